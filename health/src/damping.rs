//! Flap damping: a node that comes and goes is held back for a growing time, so that addresses do not swing.
//!
//! Worse is shown at once, always; only better waits. What is counted is what was shown: while a node is held back its ups and
//! downs are seen by nobody, and restart the wait instead.

use core::time::Duration;
use std::collections::VecDeque;

use holdfast_vrrp::Instant;

use crate::assess::{Fitness, Reserve};
use crate::judgement::HeldBack;
use crate::policy::Damping;

/// What a node may show of its fitness.
#[derive(Clone, Debug)]
pub(crate) struct Damper {
    settings: Damping,
    /// How fit the node is.
    fitness: Fitness,
    /// How fit it has shown itself: never fitter than it is.
    shown: Fitness,
    /// When what is shown changed; as many as are needed to count to `settings.changes`.
    changes: VecDeque<Instant>,
    /// Whether it is being held back.
    hold: Option<Hold>,
    /// For how long it is held back, this time or the next.
    wait: Duration,
    /// When its fitness, or what is shown of it, changed last.
    last: Instant,
}

/// A time of being held back, from the first change for the better that has to wait until one is shown.
#[derive(Clone, Copy, Debug)]
struct Hold {
    /// Until when, while it is better than it shows.
    until: Option<Instant>,
    /// How many changes led to this.
    changes: u8,
}

/// What makes a node's fitness change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cause {
    /// Its service, or that it is being worked on: this counts.
    Flap,
    /// Something becomes known for the first time, or the group was edited: this does not.
    News,
}

impl Damper {
    /// For a node that is so fit when it is first looked at.
    pub fn new(now: Instant, settings: Damping, fitness: Fitness) -> Self {
        Self {
            settings,
            fitness,
            shown: fitness,
            changes: VecDeque::new(),
            hold: None,
            wait: settings.window,
            last: now,
        }
    }

    /// Takes note of how fit the node is now.
    pub fn judge(&mut self, now: Instant, fitness: Fitness, cause: Cause) {
        self.handle_timeout(now);
        if fitness == self.fitness {
            return;
        }
        self.calm_down(now);
        let got_worse = fitness < self.fitness;
        self.fitness = fitness;
        self.last = now;

        if fitness <= self.shown {
            // Worse than shown, or back to it: there is nothing to hold back.
            if let Some(hold) = &mut self.hold {
                hold.until = None;
            }
            self.show(now, cause);
        } else if self.settings.changes > 0 && (self.hold.is_some() || self.is_flapping(now, cause)) {
            let changes = self.settings.changes;
            let until = now + self.wait;
            let hold = self.hold.get_or_insert(Hold { until: None, changes });
            // The wait begins when the node becomes better, and anew whenever it gets worse meanwhile.
            if got_worse || hold.until.is_none() {
                hold.until = Some(until);
            }
        } else {
            self.show(now, cause);
        }
    }

    /// Lets go of a node whose time of being held back is over.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.next_timeout().is_some_and(|until| until <= now) {
            self.hold = None;
            self.show(now, Cause::Flap);
            self.last = now;
            self.wait = self.wait.saturating_mul(2).min(self.longest());
        }
    }

    /// When the node may show how fit it is.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.hold?.until
    }

    /// How much the node may not show; `None`: it shows all there is.
    pub fn reserve(&self) -> Option<Reserve> {
        self.next_timeout().map(|_| match (self.fitness, self.shown) {
            (Fitness::Fit(sum), Fitness::Fit(shown)) => Reserve::Part(sum.saturating_sub(shown)),
            _ => Reserve::All,
        })
    }

    /// Whether the node is held back.
    pub fn held_back(&self) -> Option<HeldBack> {
        let Hold { until, changes } = self.hold?;
        until.map(|until| HeldBack { until, changes })
    }

    /// After a long quiet time a node is trusted as in the beginning.
    fn calm_down(&mut self, now: Instant) {
        if now.saturating_duration_since(self.last) >= self.longest().saturating_mul(2) {
            self.wait = self.settings.window;
            self.hold = None;
        }
    }

    fn longest(&self) -> Duration {
        self.settings.longest.max(self.settings.window)
    }

    fn is_flapping(&self, now: Instant, cause: Cause) -> bool {
        let recent = |change: &&Instant| now.saturating_duration_since(**change) < self.settings.window;
        cause == Cause::Flap
            && self.changes.iter().filter(recent).count() >= usize::from(self.settings.changes)
    }

    fn show(&mut self, now: Instant, cause: Cause) {
        if self.shown != self.fitness && cause == Cause::Flap {
            self.changes.push_back(now);
            if self.changes.len() > usize::from(self.settings.changes) {
                self.changes.pop_front();
            }
        }
        self.shown = self.fitness;
    }
}
