//! Which replica writes: the one that holds a Lease.
//!
//! # Guarantees
//!
//! Every write of the Lease names the version it is based on, so of two replicas that reach for it one is refused. A
//! replica believes that it leads only until [`RENEW_DEADLINE`] after it *began* the last renewal that succeeded, which is
//! shorter than the others wait ([`LEASE_DURATION`]), both by clocks that no step of the time of day moves. Whoever was
//! paused longer than that finds itself not leading before it writes anything.
//!
//! # Assumptions
//!
//! Nothing but speed is built on there being one leader: every write of any object names the version it is based on too,
//! so what a former leader still has under way is refused where it matters.

#[cfg(test)]
mod tests;

use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};

use holdfast_client::{Backoff, chance};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, ResourceExt as _};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::error::{Category, because};

/// The name of the operators' Lease in Holdfast's namespace.
pub const LEASE_NAME: &str = "holdfast-operator";
/// How long others wait for a leader that does not renew.
pub const LEASE_DURATION: Duration = Duration::from_secs(15);
/// A leader that has not renewed for so long gives up.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// How often the Lease is renewed, or looked at.
pub const RETRY_PERIOD: Duration = Duration::from_secs(2);
/// How long one request may take: two of them fit before the deadline.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(4);

/// Whether this replica leads, for everybody who writes.
#[derive(Debug, Default)]
pub struct Leadership {
    until: Mutex<Until>,
    began: Notify,
}

#[derive(Clone, Copy, Debug, Default)]
enum Until {
    #[default]
    No,
    Time(Instant),
    Always,
}

impl Leadership {
    /// For an operator that is alone and needs no election.
    pub fn always() -> Self {
        Self {
            until: Mutex::new(Until::Always),
            began: Notify::new(),
        }
    }

    /// Whether this replica leads at this moment.
    pub fn holds(&self) -> bool {
        match *self.until() {
            Until::No => false,
            Until::Time(until) => Instant::now() < until,
            Until::Always => true,
        }
    }

    /// Waits until this replica leads.
    pub async fn begun(&self) {
        loop {
            let began = self.began.notified();
            if self.holds() {
                return;
            }
            began.await;
        }
    }

    /// From now on this replica writes nothing.
    pub fn end(&self) {
        *self.until() = Until::No;
    }

    fn extend(&self, until: Instant) {
        *self.until() = Until::Time(until);
        self.began.notify_waiters();
    }

    fn until(&self) -> std::sync::MutexGuard<'_, Until> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How an election ended for this replica.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ended {
    /// It led and does not any more, for this reason.
    Lost(String),
    /// It was asked to stop.
    Stopped,
}

/// Takes part in the election.
#[derive(Debug)]
pub struct Elector {
    api: Api<Lease>,
    identity: String,
    leadership: Arc<Leadership>,
    /// The Lease as last seen, and when it last changed.
    seen: Option<(Lease, Instant)>,
    /// When the last renewal that succeeded was begun.
    renewed: Option<Instant>,
}

impl Elector {
    /// An elector under this name, which no other replica may have.
    pub fn new(api: Api<Lease>, identity: String, leadership: Arc<Leadership>) -> Self {
        Self {
            api,
            identity,
            leadership,
            seen: None,
            renewed: None,
        }
    }

    /// Takes part until leadership is lost or `stop` says so. Calls `renewed` after each renewal.
    pub async fn run(&mut self, mut stop: watch::Receiver<bool>, mut renewed: impl FnMut(Instant)) -> Ended {
        let mut pace = Backoff::new(RETRY_PERIOD, RETRY_PERIOD);
        loop {
            if let Some(lost) = self.overdue() {
                return lost;
            }
            let began = Instant::now();
            let attempt = tokio::time::timeout(REQUEST_TIMEOUT, self.attempt());
            match attempt.await {
                Ok(Ok(None)) => {
                    if self.renewed.replace(began).is_none() {
                        tracing::info!("leading as {}", self.identity);
                    }
                    self.leadership.extend(began + RENEW_DEADLINE);
                    renewed(began);
                }
                Ok(Ok(Some(holder))) => {
                    if self.renewed.is_some() {
                        return self.lost(format!("{holder} leads now"));
                    }
                }
                Ok(Err(error)) if Category::of(&error) == Category::Conflict => {
                    tracing::debug!("another replica was faster: {}", because(&error));
                }
                Ok(Err(error)) => {
                    tracing::warn!(
                        "writing the Lease {LEASE_NAME}: {}; trying again",
                        because(&error)
                    );
                }
                Err(_) => tracing::warn!(
                    "writing the Lease {LEASE_NAME}: the API server did not answer within {}s; trying again",
                    REQUEST_TIMEOUT.as_secs()
                ),
            }
            // A leader renews on time; the others come at different times.
            let pause = match self.renewed {
                Some(_) => RETRY_PERIOD,
                None => pace.failed(chance()) + RETRY_PERIOD / 4,
            };
            let next = began + pause;
            let next = self.deadline().map_or(next, |deadline| next.min(deadline));
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                _ = stop.wait_for(|stop| *stop) => return Ended::Stopped,
            }
        }
    }

    /// Gives the Lease back, so that nobody has to wait for it to run out. Call it when nothing writes any more.
    pub async fn release(&mut self) {
        self.leadership.end();
        let Some((mut lease, _)) = self.seen.take() else {
            return;
        };
        if self.renewed.take().is_none() || holder(&lease) != Some(&self.identity) {
            return;
        }
        if let Some(spec) = lease.spec.as_mut() {
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            spec.renew_time = Some(MicroTime(Timestamp::now()));
        }
        let parameters = PostParams::default();
        let write = self.api.replace(LEASE_NAME, &parameters, &lease);
        match tokio::time::timeout(REQUEST_TIMEOUT, write).await {
            Ok(Ok(_)) => tracing::info!("gave the Lease {LEASE_NAME} back"),
            Ok(Err(error)) => tracing::warn!("giving the Lease {LEASE_NAME} back: {}", because(&error)),
            Err(_) => {
                tracing::warn!("giving the Lease {LEASE_NAME} back: the API server did not answer");
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.renewed.map(|renewed| renewed + RENEW_DEADLINE)
    }

    fn overdue(&self) -> Option<Ended> {
        let overdue = self.deadline().is_some_and(|deadline| Instant::now() >= deadline);
        overdue.then(|| {
            self.lost(format!(
                "the Lease could not be renewed for {}s",
                RENEW_DEADLINE.as_secs()
            ))
        })
    }

    fn lost(&self, why: String) -> Ended {
        self.leadership.end();
        Ended::Lost(why)
    }

    /// Takes or renews the Lease. Answers who holds it if that is somebody else.
    async fn attempt(&mut self) -> Result<Option<String>, kube::Error> {
        // A leader knows the Lease, and writes it without asking first.
        if self.renewed.is_some()
            && let Some((lease, _)) = self.seen.clone()
        {
            match self.write(Some(lease)).await {
                Err(error) if Category::of(&error) == Category::Conflict => {}
                other => return other.map(|()| None),
            }
        }
        let lease = self.api.get_opt(LEASE_NAME).await?;
        if let Some(lease) = &lease {
            self.observe(lease);
            if let Some(holder) = holder(lease)
                && holder != self.identity
                && !self.has_run_out()
            {
                return Ok(Some(holder.to_owned()));
            }
        }
        self.write(lease).await.map(|()| None)
    }

    /// Notes when the Lease last changed: its own times are by another machine's clock.
    fn observe(&mut self, lease: &Lease) {
        let same = self
            .seen
            .as_ref()
            .is_some_and(|(seen, _)| seen.spec == lease.spec);
        if let (true, Some((seen, _))) = (same, &mut self.seen) {
            seen.clone_from(lease);
        } else {
            self.seen = Some((lease.clone(), Instant::now()));
        }
    }

    fn has_run_out(&self) -> bool {
        self.seen.as_ref().is_none_or(|(lease, changed)| {
            let seconds = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
            let duration = seconds.and_then(|seconds| u64::try_from(seconds).ok());
            changed.elapsed() > duration.map_or(LEASE_DURATION, Duration::from_secs)
        })
    }

    async fn write(&mut self, lease: Option<Lease>) -> Result<(), kube::Error> {
        let mine = self.mine(lease.as_ref());
        let parameters = PostParams::default();
        let written = match lease {
            Some(_) => self.api.replace(LEASE_NAME, &parameters, &mine).await?,
            None => self.api.create(&parameters, &mine).await?,
        };
        self.seen = Some((written, Instant::now()));
        Ok(())
    }

    /// The Lease as this replica writes it, over what is there.
    fn mine(&self, old: Option<&Lease>) -> Lease {
        let now = MicroTime(Timestamp::now());
        let old_spec = old.and_then(|old| old.spec.clone()).unwrap_or_default();
        let kept = old.and_then(holder) == Some(&self.identity);
        let transitions = old_spec.lease_transitions.unwrap_or_default();
        let acquired = old_spec.acquire_time.clone().filter(|_| kept);
        Lease {
            metadata: ObjectMeta {
                name: Some(LEASE_NAME.to_owned()),
                resource_version: old.and_then(kube::ResourceExt::resource_version),
                uid: old.and_then(kube::ResourceExt::uid),
                labels: old.map(|old| old.labels().clone()),
                annotations: old.map(|old| old.annotations().clone()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                #[allow(clippy::cast_possible_truncation, reason = "the constant is 15")]
                lease_duration_seconds: Some(LEASE_DURATION.as_secs() as i32),
                acquire_time: Some(acquired.unwrap_or_else(|| now.clone())),
                renew_time: Some(now),
                lease_transitions: Some(transitions + i32::from(!kept && old.is_some())),
                ..old_spec
            }),
        }
    }
}

fn holder(lease: &Lease) -> Option<&str> {
    let holder = lease.spec.as_ref()?.holder_identity.as_deref()?;
    (!holder.is_empty()).then_some(holder)
}
