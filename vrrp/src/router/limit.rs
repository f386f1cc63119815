//! How often something that others can provoke is done: a few times at once, then at a steady pace.

use core::time::Duration;

use crate::time::Instant;

/// Allows `burst` times at once and then once every `period`.
///
/// Kept as a single instant, the one at which all allowance would be back (the generic cell rate algorithm).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct RateLimit {
    period: Duration,
    burst: u32,
    replenished: Instant,
}

impl RateLimit {
    /// A limit with all its allowance.
    pub(super) const fn new(burst: u32, period: Duration) -> Self {
        Self {
            period,
            burst,
            replenished: Instant::ZERO,
        }
    }

    /// Whether it may be done now; if so it counts as done.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let allowed = self.next() <= now;
        if allowed {
            self.replenished = self.replenished.max(now) + self.period;
        }
        allowed
    }

    /// From when on it may be done again.
    pub(super) fn next(&self) -> Instant {
        self.replenished - self.period * self.burst.saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_allowed_and_then_a_steady_pace() {
        let second = Duration::from_secs(1);
        let start = Instant::ZERO + 100 * second;
        let mut limit = RateLimit::new(3, second);
        assert_eq!([(); 4].map(|()| limit.take(start)), [true, true, true, false]);
        assert_eq!(limit.next(), start + second);
        assert!(!limit.take(start + second / 2));
        assert!(limit.take(start + second));
        assert!(!limit.take(start + second));
        let later = start + 60 * second;
        assert_eq!([(); 4].map(|()| limit.take(later)), [true, true, true, false]);
    }
}
