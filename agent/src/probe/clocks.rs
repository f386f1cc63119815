//! The clocks that probes go by: one that timers wait on, the agent's own, and the calendar, put beside each other once.

use std::fmt;
use std::sync::Arc;

use holdfast_vrrp::Instant;
use jiff::{SignedDuration, Timestamp};

use crate::clock;

/// The clocks that probes go by.
#[derive(Clone)]
pub struct Clocks {
    /// The same moment on the timers' clock and on the agent's.
    timers: tokio::time::Instant,
    agent: Instant,
    calendar: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl Clocks {
    /// The machine's own.
    pub fn system() -> Self {
        Self::with_calendar(Timestamp::now)
    }

    /// With another calendar.
    pub fn with_calendar(calendar: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self {
            timers: tokio::time::Instant::now(),
            agent: clock::now(),
            calendar: Arc::new(calendar),
        }
    }

    /// The time on the agent's clock.
    pub fn now(&self) -> Instant {
        self.agent + self.timers.elapsed()
    }

    /// The date and time.
    pub fn date(&self) -> Timestamp {
        (self.calendar)()
    }

    /// When the agent's clock shows `then`, on the timers' clock.
    pub fn timer(&self, then: Instant) -> tokio::time::Instant {
        self.timers + then.saturating_duration_since(self.agent)
    }

    /// The date and time of `then`, by what all clocks show now. To be asked once for each instant and kept: asked again it
    /// would wander whenever somebody sets the calendar.
    pub fn date_of(&self, then: Instant) -> Timestamp {
        let (date, now) = (self.date(), self.now());
        let signed = |duration| SignedDuration::try_from(duration).unwrap_or(SignedDuration::ZERO);
        let ago = signed(now.saturating_duration_since(then));
        let ahead = signed(then.saturating_duration_since(now));
        date.checked_sub(ago)
            .and_then(|date| date.checked_add(ahead))
            .unwrap_or(date)
    }
}

impl fmt::Debug for Clocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clocks")
            .field("agent", &self.agent)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn past_and_future_have_their_dates() {
        let noon: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let clocks = Clocks::with_calendar(move || noon);
        let now = clocks.now();
        let date = |then| clocks.date_of(then).to_string();
        assert_eq!(date(now - Duration::from_secs(5)), "2026-11-21T11:59:55Z");
        assert_eq!(date(now + Duration::from_mins(3)), "2026-11-21T12:03:00Z");
    }

    #[tokio::test(start_paused = true)]
    async fn the_agents_clock_and_the_timers_go_alike() {
        let clocks = Clocks::system();
        let then = clocks.now() + Duration::from_secs(7);
        tokio::time::sleep_until(clocks.timer(then)).await;
        assert_eq!(clocks.now(), then);
    }
}
