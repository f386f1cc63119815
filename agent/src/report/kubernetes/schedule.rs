//! When the API server is talked to: at once with what somebody waits for, otherwise seldom; patiently after a failure;
//! and no Lease is renewed while something is still to be said. Pure: the clock is an argument.

use core::time::Duration;

use holdfast_client::Backoff;
use tokio::time::Instant;

use super::call::{Failure, Reason};

/// How often the Lease is renewed.
const RENEWAL: Duration = Duration::from_secs(10);
/// Reports that nobody waits for are at least this far apart.
const SPACING: Duration = Duration::from_secs(1);
/// Those that somebody waits for, too: many groups that move at the same time are one report.
const URGENT_SPACING: Duration = Duration::from_millis(100);
/// How long after the first failure it is tried again, doubled with each further one up to the second.
const PATIENCE: Duration = Duration::from_millis(500);
const MOST_PATIENCE: Duration = Duration::from_secs(10);
/// How long after it was found missing the object is looked for again; its appearance is noticed by the watch.
const ABSENCE: Duration = Duration::from_secs(10);

/// What to do next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Write the status.
    Report,
    /// Renew the Lease.
    Renew,
    /// Nothing before this time.
    Wait(Instant),
}

/// What is to be said, and how it went so far.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Schedule {
    /// What has not been delivered yet.
    pending: Option<Pending>,
    /// When the last report was tried.
    last_report: Option<Instant>,
    lease_due: Instant,
    /// Nothing is tried before, after a failure.
    retry_at: Option<Instant>,
    /// The API server asked for it: nothing at all is tried before.
    silence_until: Option<Instant>,
    patience: Backoff,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Pending {
    urgent: bool,
    /// There is no object to write to. That is nobody's failure, and nothing is left unsaid by renewing the Lease.
    nowhere_until: Option<Instant>,
}

impl Schedule {
    /// A schedule that begins now.
    pub fn new(now: Instant) -> Self {
        Self {
            pending: None,
            last_report: None,
            lease_due: now,
            retry_at: None,
            silence_until: None,
            patience: Backoff::new(PATIENCE, MOST_PATIENCE),
        }
    }

    /// There is something to say that has not been tried yet; `urgent` if somebody waits for it.
    pub fn news(&mut self, urgent: bool) {
        let was_urgent = self.pending.is_some_and(|pending| pending.urgent);
        self.pending = Some(Pending {
            urgent: urgent || was_urgent,
            nowhere_until: None,
        });
        if urgent {
            // A transition does not wait for the next try after an outage: that one may be the end of it.
            self.retry_at = None;
        }
    }

    /// Everything has been said, or is not true any more.
    pub fn nothing_to_say(&mut self) {
        self.pending = None;
    }

    /// What to do now.
    pub fn next(&self, now: Instant) -> Next {
        let report = self.pending.map(|pending| {
            let spacing = if pending.urgent { URGENT_SPACING } else { SPACING };
            let spaced = self.last_report.map(|last| last + spacing);
            [spaced, self.retry_at, self.silence_until, pending.nowhere_until]
                .into_iter()
                .flatten()
                .fold(now, Instant::max)
        });
        let unsaid = self
            .pending
            .is_some_and(|pending| pending.nowhere_until.is_none());
        let renewal = (!unsaid).then(|| {
            [self.retry_at, self.silence_until]
                .into_iter()
                .flatten()
                .fold(self.lease_due, Instant::max)
        });
        match (report, renewal) {
            (Some(at), _) if at <= now => Next::Report,
            (_, Some(at)) if at <= now => Next::Renew,
            (report, renewal) => {
                let soonest = report.into_iter().chain(renewal).min();
                Next::Wait(soonest.unwrap_or(now + RENEWAL))
            }
        }
    }

    /// A report was tried at `now`.
    pub fn report_begins(&mut self, now: Instant) {
        self.last_report = Some(now);
    }

    /// A report was delivered. What has changed meanwhile is news of its own.
    pub fn reported(&mut self) {
        self.pending = None;
        self.works();
    }

    /// The Lease was renewed.
    pub fn renewed(&mut self, now: Instant) {
        self.lease_due = now + RENEWAL;
        self.works();
    }

    /// A request failed. `chance` from 0 to 1 spreads the tries of many agents.
    pub fn failed(&mut self, now: Instant, failure: &Failure, chance: f64) {
        if let Some(wait) = failure.retry_after {
            // Never before, but not all at the same moment either.
            self.silence_until = Some(now + wait + PATIENCE.mul_f64(chance));
        }
        self.retry_at = Some(now + self.patience.failed(chance));
    }

    /// There is no object to report to.
    pub fn report_has_no_object(&mut self, now: Instant, chance: f64) {
        if let Some(pending) = &mut self.pending {
            pending.nowhere_until = Some(now + ABSENCE.mul_f64(0.5 + chance / 2.0));
        }
        self.works();
    }

    /// Whether something is to be said that could be.
    pub fn is_behind(&self) -> bool {
        self.pending
            .is_some_and(|pending| pending.nowhere_until.is_none())
    }

    fn works(&mut self) {
        self.patience.succeeded();
        self.retry_at = None;
        self.silence_until = None;
    }
}

/// Whether a failure of a report says that the object does not exist.
pub fn is_absence(failure: &Failure) -> bool {
    failure.reason == Reason::NotFound
}

#[cfg(test)]
mod tests;
