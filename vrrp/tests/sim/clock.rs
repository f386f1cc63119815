//! Virtual time: the world's own, a node's clock that runs a little fast or slow, and the queue of what happens next.

use core::fmt;
use core::ops::Add;
use core::time::Duration;
use std::collections::BTreeMap;

use holdfast_vrrp::Instant;

/// A point in the world's true time, which no node can read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment(Duration);

impl Moment {
    /// When the world begins.
    pub const START: Self = Self(Duration::ZERO);

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    fn nanos(self) -> i128 {
        i128::try_from(self.0.as_nanos()).unwrap_or(i128::MAX)
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(rhs))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>13.6}s", self.0.as_secs_f64())
    }
}

/// A node's CLOCK_MONOTONIC: it began somewhere else and drifts.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// What it shows when the world begins.
    pub origin: Duration,
    /// How much faster than true time it runs, in millionths.
    pub drift_ppm: i32,
}

const MILLION: i128 = 1_000_000;

impl Clock {
    /// What the clock shows at `moment`.
    pub fn read(self, moment: Moment) -> Instant {
        let elapsed = moment.nanos();
        let shown = elapsed + elapsed * i128::from(self.drift_ppm) / MILLION;
        Instant::ZERO + self.origin + Duration::from_nanos(u64::try_from(shown).unwrap_or(0))
    }

    /// The first moment at which the clock shows `instant` or later.
    pub fn when(self, instant: Instant) -> Moment {
        if instant == Instant::ZERO + Duration::MAX {
            // It has saturated, and is never reached.
            return Moment(Duration::MAX);
        }
        let shown = instant.saturating_duration_since(Instant::ZERO + self.origin);
        let shown = i128::try_from(shown.as_nanos()).unwrap_or(i128::MAX / MILLION);
        let estimate = shown * MILLION / (MILLION + i128::from(self.drift_ppm));
        let mut moment = Moment(Duration::from_nanos(u64::try_from(estimate).unwrap_or(u64::MAX)));
        while self.read(moment) < instant {
            moment = moment + Duration::from_nanos(1);
        }
        moment
    }
}

/// Everything that is going to happen, in order of time and then of insertion.
#[derive(Debug)]
pub struct Queue<E> {
    events: BTreeMap<(Moment, u64), E>,
    inserted: u64,
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<E> Queue<E> {
    /// A queue of nothing.
    pub fn new() -> Self {
        Self {
            events: BTreeMap::new(),
            inserted: 0,
        }
    }

    /// Lets `event` happen at `moment`.
    pub fn push(&mut self, moment: Moment, event: E) {
        self.inserted += 1;
        self.events.insert((moment, self.inserted), event);
    }

    /// Takes what happens next.
    pub fn pop(&mut self) -> Option<(Moment, E)> {
        self.events
            .pop_first()
            .map(|((moment, _), event)| (moment, event))
    }
}

#[test]
fn a_drifting_clock_names_the_first_moment_at_which_it_shows_an_instant() {
    for drift_ppm in [-10_000, -200, 0, 7, 10_000] {
        let clock = Clock {
            origin: Duration::from_secs(5),
            drift_ppm,
        };
        for nanos in [0, 1, 999, 1_000_003, 3_609_375_000_u64] {
            let instant = Instant::ZERO + clock.origin + Duration::from_nanos(nanos);
            let moment = clock.when(instant);
            assert!(clock.read(moment) >= instant);
            let before = Moment(moment.0.saturating_sub(Duration::from_nanos(1)));
            assert!(before == moment || clock.read(before) < instant);
        }
    }
}
