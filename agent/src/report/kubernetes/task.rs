//! The loop: look, compare with what was said, say it or renew the Lease, sleep.

use core::hash::{BuildHasher as _, Hasher as _};
use core::time::Duration;
use std::fs;
use std::hash::RandomState;
use std::sync::Arc;

use holdfast_api::v1alpha1::{AGENT_FIELD_MANAGER, API_VERSION, VirtualIPNode, VirtualIPNodeStatus};
use holdfast_client::chance;
use jiff::Timestamp;
use kube::api::{Patch, PatchParams, Request};
use kube::{Client, Resource as _};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::call::{Failure, Reason, call};
use super::lease::Keeper;
use super::schedule::{Next, Schedule, is_absence};
use super::status::{is_urgent, last_word, node_status};
use crate::report::Shared;
use crate::status::Role;

/// How often the engine is asked what it is doing; transitions are not waited for.
const LOOK: Duration = Duration::from_secs(1);

/// A status in the API that is not what was written is not believed before this time has passed since: a watch lags.
const WATCH_LAG: Duration = Duration::from_secs(5);

/// Between two tries of the last word.
const LAST_TRIES: Duration = Duration::from_millis(100);

/// Who knows what is true of this node.
pub trait Truth: Send + Sync + 'static {
    /// What is true now, after `previous`. `None` if that cannot be known, or is nobody's business yet.
    fn status(
        &self,
        previous: Option<&VirtualIPNodeStatus>,
    ) -> impl Future<Output = Option<VirtualIPNodeStatus>> + Send;
}

impl Truth for Arc<Shared> {
    async fn status(&self, previous: Option<&VirtualIPNodeStatus>) -> Option<VirtualIPNodeStatus> {
        if self.role() == Role::Standby {
            return None;
        }
        // First what was told, then what runs: the other way round a group that has just been added would seem to be gone.
        let applied = self.applied_spec()?;
        let groups = self.snapshot().await.ok()?;
        Some(node_status(&groups, &applied, previous, Timestamp::now()))
    }
}

/// Reports for as long as the process runs.
pub struct Task<T> {
    truth: T,
    client: Client,
    shared: Arc<Shared>,
    wake: Arc<Notify>,
    requests: Request,
    lease: Keeper,
    schedule: Schedule,
    /// What is true, as far as was looked.
    latest: Option<VirtualIPNodeStatus>,
    /// What was last tried to be written.
    tried: Option<VirtualIPNodeStatus>,
    /// What the API server is known to have, and since when.
    delivered: Option<(VirtualIPNodeStatus, Instant)>,
    /// The last failure logged, until something works again.
    failing: Option<Reason>,
}

impl<T: Truth> Task<T> {
    /// A reporter of what `truth` knows about `shared`'s node.
    pub fn new(truth: T, client: Client, namespace: String, shared: Arc<Shared>, wake: Arc<Notify>) -> Self {
        Self {
            truth,
            requests: Request::new(VirtualIPNode::url_path(&(), None)),
            lease: Keeper::new(shared.node(), namespace, identity(shared.node())),
            client,
            shared,
            wake,
            schedule: Schedule::new(Instant::now()),
            latest: None,
            tried: None,
            delivered: None,
            failing: None,
        }
    }

    /// Reports until it is told to finish, and then says the last word.
    pub async fn run(mut self, finished: oneshot::Receiver<()>) {
        let told = tokio::select! {
            biased;
            told = finished => told,
            never = self.report_for_ever() => match never {},
        };
        if told.is_ok() {
            self.say_last_word().await;
        }
    }

    async fn report_for_ever(&mut self) -> core::convert::Infallible {
        loop {
            let next = if self.look().await {
                self.schedule.next(Instant::now())
            } else {
                // Nothing is known, so nothing is said, and nothing is said to be still true.
                Next::Wait(Instant::now() + LOOK)
            };
            match next {
                Next::Report => self.report().await,
                Next::Renew => self.renew().await,
                Next::Wait(until) => {
                    let until = until.min(Instant::now() + LOOK);
                    let woken = self.wake.notified();
                    let _ = tokio::time::timeout_at(until, woken).await;
                }
            }
        }
    }

    /// Learns what is true now, as far as that can be known.
    async fn look(&mut self) -> bool {
        let Some(status) = self.truth.status(self.latest.as_ref()).await else {
            return false;
        };
        self.compare(status, Instant::now());
        true
    }

    /// Takes note of what is true, and of whether that is to be said.
    fn compare(&mut self, status: VirtualIPNodeStatus, now: Instant) {
        let overwritten = self.delivered.as_ref().is_some_and(|(delivered, at)| {
            now.duration_since(*at) >= WATCH_LAG && self.shared.is_overwritten(delivered, *at)
        });
        if overwritten {
            // Somebody else wrote, the object was made anew, or etcd was restored.
            self.delivered = None;
            self.tried = None;
        }
        let delivered = self.delivered.as_ref().map(|(delivered, _)| delivered);
        if delivered == Some(&status) {
            self.schedule.nothing_to_say();
        } else if self.tried.as_ref() != Some(&status) {
            self.schedule.news(is_urgent(self.tried.as_ref(), &status));
        }
        self.latest = Some(status);
        let behind = self.schedule.is_behind();
        self.shared.note_api(|api| {
            if !behind {
                api.unreported_since = None;
            } else if api.unreported_since.is_none() {
                api.unreported_since = Some(Timestamp::now());
            }
        });
    }

    async fn report(&mut self) {
        let Some(status) = self.latest.clone() else {
            return;
        };
        self.schedule.report_begins(Instant::now());
        self.tried = Some(status.clone());
        match self.write(&status).await {
            Ok(()) => self.delivered(status),
            Err(failure) if is_absence(&failure) => {
                tracing::debug!(
                    "there is no VirtualIPNode {} to report to yet",
                    self.shared.node()
                );
                self.delivered = None;
                self.answered();
                self.schedule.report_has_no_object(Instant::now(), chance());
            }
            Err(failure) => {
                // It may have arrived all the same, so that going back to what was said before is news too.
                self.delivered = None;
                self.failed(&failure, "reporting this node's status");
            }
        }
    }

    fn delivered(&mut self, status: VirtualIPNodeStatus) {
        self.delivered = Some((status, Instant::now()));
        self.schedule.reported();
        self.answered();
        self.shared.note_api(|api| {
            api.counters.reports += 1;
            api.unreported_since = None;
        });
    }

    async fn renew(&mut self) {
        let renewed = tokio::select! {
            biased;
            // What the renewal would say is perhaps no longer so.
            () = self.wake.notified() => return,
            renewed = self.lease.renew(&self.client, Timestamp::now()) => renewed,
        };
        match renewed {
            Ok(()) => {
                self.schedule.renewed(Instant::now());
                self.answered();
                self.shared.note_api(|api| api.counters.lease_renewals += 1);
            }
            Err(failure) => self.failed(&failure, "renewing this node's Lease"),
        }
    }

    async fn write(&self, status: &VirtualIPNodeStatus) -> Result<(), Failure> {
        let node = self.shared.node();
        let patch = serde_json::json!({
            "apiVersion": API_VERSION,
            "kind": VirtualIPNode::kind(&()),
            "metadata": { "name": node },
            "status": status,
        });
        let parameters = PatchParams::apply(AGENT_FIELD_MANAGER).force();
        let request = self
            .requests
            .patch_subresource("status", node, &parameters, &Patch::Apply(&patch))
            .map_err(|error| {
                Failure::new(Reason::Rejected, format!("the status cannot be written: {error}"))
            })?;
        call(&self.client, request).await.map(drop)
    }

    /// Once more than the rest: there is no time for patience.
    async fn say_last_word(&mut self) {
        let Some(latest) = &self.latest else { return };
        let status = last_word(latest, Timestamp::now());
        let delivered = self.delivered.as_ref().map(|(delivered, _)| delivered);
        if delivered == Some(&status) {
            return;
        }
        while let Err(failure) = self.write(&status).await {
            if is_absence(&failure) {
                return;
            }
            tokio::time::sleep(failure.retry_after.unwrap_or(LAST_TRIES)).await;
        }
    }

    fn answered(&mut self) {
        if self.failing.take().is_some() {
            tracing::info!("what this node reports arrives at the API server again");
        }
        self.shared.note_api(|api| {
            api.reached = true;
            api.last_answer = Some(Timestamp::now());
            api.error = None;
        });
    }

    fn failed(&mut self, failure: &Failure, doing: &str) {
        self.schedule.failed(Instant::now(), failure, chance());
        // Once for each kind of failure; that it goes on is in the metrics.
        if self.failing.replace(failure.reason) != Some(failure.reason) {
            tracing::warn!(
                reason = failure.reason.label(),
                "{doing}: {}; trying again for as long as it takes, and serving meanwhile",
                failure.message
            );
        }
        self.shared.note_api(|api| {
            api.reached = false;
            api.error = Some(format!("{doing}: {}", failure.message));
            *api.counters
                .failures
                .entry(failure.reason.label().to_owned())
                .or_default() += 1;
        });
    }
}

/// A name that no other process has, on this node or another.
fn identity(node: &str) -> String {
    let unique = fs::read_to_string("/proc/sys/kernel/random/uuid").map_or_else(
        |_| format!("{:x}", RandomState::new().build_hasher().finish()),
        |uuid| uuid.trim().to_owned(),
    );
    format!("{node}_{unique}")
}
