//! The deadlines of one virtual router: which timers there are, when each fires, and which is next.

use core::time::Duration;

use crate::time::Instant;

/// Everything that a virtual router waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Timer {
    /// Fires when the router may leave Initialize: at once, or after the start-up delay.
    StartupDelay,
    /// Fires when it is known whether a predecessor's addresses may be served on: nobody else was heard, or they expire.
    AdoptionEnd,
    /// Fires when the Active router has been silent for too long: Active_Down_Timer (RFC 9568 §6.2).
    ActiveDown,
    /// Fires when a worse router has been Active for as long as `Preemption::Delayed` grants it, or one that became worse
    /// for Skew_Time.
    PreemptDelay,
    /// Fires when the next advertisement is due: Adver_Timer (RFC 9568 §6.2).
    Advertisement,
    /// Fires when a third of the addresses' lifetime has passed since they were last renewed.
    Renew,
    /// Fires when the neighbors are told a second time that the addresses have moved here.
    AnnounceAgain,
    /// Fires when the neighbors are reminded where the addresses are.
    AnnounceRefresh,
    /// Fires when neighbors that were told otherwise may be corrected once more.
    Correction,
    /// Fires one interval after this router yielded: its last word may have been lost, and is said once more.
    LastWordAgain,
    /// Fires when no successor has been heard one interval after this router resigned: it says so once more.
    ResignAgain,
    /// Fires when a successor must be serving, or none is to be expected: the addresses held on for it are let go.
    ReleaseEnd,
    /// Fires when addresses that could not be bound, or were removed too often, are to be bound again.
    BindRetry,
    /// Fires when a router that gave up on binding may try to take part again.
    BindRecovery,
}

impl Timer {
    const COUNT: usize = 14;

    const ALL: [Self; Self::COUNT] = [
        Self::StartupDelay,
        Self::AdoptionEnd,
        Self::ActiveDown,
        Self::PreemptDelay,
        Self::Advertisement,
        Self::Renew,
        Self::AnnounceAgain,
        Self::AnnounceRefresh,
        Self::Correction,
        Self::LastWordAgain,
        Self::ResignAgain,
        Self::ReleaseEnd,
        Self::BindRetry,
        Self::BindRecovery,
    ];
}

/// At most one deadline for each [`Timer`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Timers([Option<Instant>; Timer::COUNT]);

impl Timers {
    /// How many timers can be due at once.
    pub(super) const COUNT: usize = Timer::COUNT;

    /// Lets `timer` fire at `deadline`, and no longer when it would have.
    pub(super) fn set(&mut self, timer: Timer, deadline: Instant) {
        *self.slot(timer) = Some(deadline);
    }

    /// Lets `timer` fire at `deadline` or when it would have, whichever is earlier.
    pub(super) fn set_earlier(&mut self, timer: Timer, deadline: Instant) {
        let slot = self.slot(timer);
        *slot = Some(slot.map_or(deadline, |set| set.min(deadline)));
    }

    /// Keeps `timers` from firing.
    pub(super) fn clear(&mut self, timers: &[Timer]) {
        for timer in timers {
            *self.slot(*timer) = None;
        }
    }

    /// Keeps every timer from firing.
    pub(super) fn clear_all(&mut self) {
        *self = Self::default();
    }

    /// Whether `timer` is to fire.
    pub(super) fn is_set(&self, timer: Timer) -> bool {
        self.0.get(timer as usize).copied().flatten().is_some()
    }

    /// When the next timer fires.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.iter().flatten().min().copied()
    }

    /// Takes away the earliest timer that is due at `now`, with its deadline.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<(Timer, Instant)> {
        let due = |timer: Timer| {
            Some((
                timer,
                self.0
                    .get(timer as usize)
                    .copied()
                    .flatten()
                    .filter(|at| *at <= now)?,
            ))
        };
        let first = Timer::ALL.into_iter().filter_map(due).min_by_key(|(_, at)| *at)?;
        *self.slot(first.0) = None;
        Some(first)
    }

    fn slot(&mut self, timer: Timer) -> &mut Option<Instant> {
        // The table has a place for each timer; `COUNT` and `ALL` are checked against each other by the compiler.
        &mut self.0[timer as usize]
    }
}

/// When a timer that was due at `scheduled` and repeats every `period` fires next.
///
/// Counted from when it was due, so that lateness does not add up, and skipping what has been missed, so that a late
/// caller does not catch up in a burst. Always later than `now`.
pub(super) fn next_period(scheduled: Instant, period: Duration, now: Instant) -> Instant {
    let period = period.max(Duration::from_millis(1));
    let next = scheduled + period;
    if next > now {
        return next;
    }
    let period = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
    let late = now.as_nanos().saturating_sub(scheduled.as_nanos());
    now + Duration::from_nanos(period - late % period)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn every_timer_has_a_place_in_the_table() {
        for (place, timer) in Timer::ALL.into_iter().enumerate() {
            assert_eq!(timer as usize, place);
        }
    }

    #[test]
    fn due_timers_are_taken_in_the_order_of_their_deadlines() {
        let mut timers = Timers::default();
        timers.set(Timer::Renew, at(10));
        timers.set(Timer::Advertisement, at(20));
        timers.set(Timer::ActiveDown, at(30));
        assert_eq!(timers.next(), Some(at(10)));
        assert_eq!(timers.take_due(at(25)), Some((Timer::Renew, at(10))));
        assert_eq!(timers.take_due(at(25)), Some((Timer::Advertisement, at(20))));
        assert_eq!(timers.take_due(at(25)), None);
        assert_eq!(timers.next(), Some(at(30)));
    }

    #[test]
    fn a_period_is_counted_from_when_the_timer_was_due() {
        assert_eq!(next_period(at(100), Duration::from_millis(10), at(103)), at(110));
    }

    #[test]
    fn missed_periods_are_skipped_not_caught_up() {
        assert_eq!(next_period(at(100), Duration::from_millis(10), at(110)), at(120));
        assert_eq!(next_period(at(100), Duration::from_millis(10), at(157)), at(160));
    }
}
