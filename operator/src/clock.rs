//! The operator's own clock: the time of day when it started, carried on by the monotonic clock. No step of the host's
//! clock makes a Lease older or younger.

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// A clock that only ever goes on.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Timestamp,
    at: Instant,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self {
            started: Timestamp::now(),
            at: Instant::now(),
        }
    }

    /// When it started.
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.at.elapsed()).unwrap_or(SignedDuration::MAX);
        self.started.saturating_add(elapsed).unwrap_or(Timestamp::MAX)
    }
}
