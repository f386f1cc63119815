//! The engine's one timer queue: which group wants to be woken next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use holdfast_vrrp::Instant;

/// Deadlines of groups, each known by its slot.
///
/// A deadline that moves later costs nothing here: the entry stays and is put back when it comes up too early. A backup
/// that hears ten thousand advertisements so touches the queue once per Active_Down_Interval, not ten thousand times.
#[derive(Debug, Default)]
pub struct Timers {
    queue: BinaryHeap<Reverse<(Instant, usize)>>,
    /// For each slot the earliest entry in the queue; entries that are not it are stale.
    armed: Vec<Option<Instant>>,
}

impl Timers {
    /// Makes sure that `slot` comes up no later than `deadline`.
    pub fn arm(&mut self, slot: usize, deadline: Instant) {
        if self.armed.len() <= slot {
            self.armed.resize(slot + 1, None);
        }
        if self.armed[slot].is_none_or(|armed| deadline < armed) {
            self.armed[slot] = Some(deadline);
            self.queue.push(Reverse((deadline, slot)));
        }
    }

    /// Forgets `slot`.
    pub fn disarm(&mut self, slot: usize) {
        if let Some(armed) = self.armed.get_mut(slot) {
            *armed = None;
        }
    }

    /// The earliest deadline at which some slot comes up.
    pub fn next(&mut self) -> Option<Instant> {
        while let Some(Reverse((deadline, slot))) = self.queue.peek() {
            if self.armed[*slot] == Some(*deadline) {
                return Some(*deadline);
            }
            self.queue.pop();
        }
        None
    }

    /// Takes one slot whose deadline has come. The caller arms it again with what it wants next.
    pub fn pop_due(&mut self, now: Instant) -> Option<usize> {
        let deadline = self.next()?;
        if deadline > now {
            return None;
        }
        let Reverse((_, slot)) = self.queue.pop()?;
        self.armed[slot] = None;
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn slots_come_up_in_the_order_of_their_deadlines() {
        let mut timers = Timers::default();
        timers.arm(0, at(30));
        timers.arm(1, at(10));
        timers.arm(2, at(20));
        assert_eq!(timers.next(), Some(at(10)));
        let due: Vec<_> = std::iter::from_fn(|| timers.pop_due(at(20))).collect();
        assert_eq!(due, [1, 2]);
        assert_eq!(timers.next(), Some(at(30)));
    }

    #[test]
    fn an_earlier_deadline_replaces_a_later_one_and_fires_once() {
        let mut timers = Timers::default();
        timers.arm(0, at(30));
        timers.arm(0, at(10));
        assert_eq!(timers.pop_due(at(40)), Some(0));
        assert_eq!(timers.pop_due(at(40)), None);
    }

    #[test]
    fn moving_a_deadline_later_does_not_grow_the_queue() {
        let mut timers = Timers::default();
        for nanos in 10..10_000 {
            timers.arm(0, at(nanos));
        }
        assert_eq!(timers.queue.len(), 1);
        assert_eq!(timers.next(), Some(at(10)));
    }

    #[test]
    fn a_disarmed_slot_never_comes_up() {
        let mut timers = Timers::default();
        timers.arm(0, at(10));
        timers.disarm(0);
        assert_eq!(timers.next(), None);
        assert_eq!(timers.pop_due(at(99)), None);
    }
}
