//! Growing pauses: doubled with each failure in a row, and never quite the same, so that those who fail together do not try
//! again together.

use core::hash::{BuildHasher as _, Hasher as _};
use core::time::Duration;
use std::hash::RandomState;

/// Pauses from the first to the last, each twice the one before. Pure: the chance is an argument.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Backoff {
    first: Duration,
    last: Duration,
    failures: u32,
}

impl Backoff {
    /// A backoff that has seen no failure.
    pub const fn new(first: Duration, last: Duration) -> Self {
        Self {
            first,
            last,
            failures: 0,
        }
    }

    /// How long to wait after one more failure: somewhere in the upper half of the pause, where `chance`, from 0 to 1, says.
    pub fn failed(&mut self, chance: f64) -> Duration {
        let doubled = self.first.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        doubled.min(self.last).mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
    }

    /// Back to the first pause.
    pub const fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// From here on `last` is the longest pause.
    pub const fn up_to(&mut self, last: Duration) {
        self.last = last;
    }
}

/// Something between 0 and 1, for spreading what many do.
pub fn chance() -> f64 {
    // The standard library's only source of chance: its hash tables' keys.
    let random = RandomState::new().build_hasher().finish();
    f64::from(u16::try_from(random & 0xffff).unwrap_or(0)) / f64::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn pauses_double_to_the_last_and_begin_anew_after_a_success() {
        let mut backoff = Backoff::new(ms(500), ms(3000));
        let pauses: Vec<Duration> = (0..40).map(|_| backoff.failed(1.0)).collect();
        assert_eq!(pauses[..4], [ms(500), ms(1000), ms(2000), ms(3000)]);
        assert!(pauses[4..].iter().all(|pause| *pause == ms(3000)));
        backoff.succeeded();
        assert_eq!(backoff.failed(1.0), ms(500));
    }

    #[test]
    fn the_longest_pause_may_change_on_the_way() {
        let mut backoff = Backoff::new(ms(500), ms(8000));
        for _ in 0..10 {
            backoff.failed(1.0);
        }
        backoff.up_to(ms(4000));
        assert_eq!(backoff.failed(1.0), ms(4000));
    }

    #[test]
    fn chance_chooses_from_the_upper_half() {
        for (chance, pause) in [(0.0, 500), (0.5, 750), (1.0, 1000), (-1.0, 500), (2.0, 1000)] {
            assert_eq!(Backoff::new(ms(1000), ms(1000)).failed(chance), ms(pause));
        }
    }

    #[test]
    fn no_two_chances_in_a_row_are_the_same() {
        let chances: Vec<f64> = (0..20).map(|_| chance()).collect();
        assert!(chances.iter().all(|chance| (0.0..=1.0).contains(chance)));
        let first = chances[0];
        let others = chances.iter().filter(|chance| (**chance - first).abs() > 1e-6);
        assert!(others.count() > 10, "{chances:?}");
    }
}
