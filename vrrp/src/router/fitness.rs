//! What this node's health means for its place in the election: priority, floor band, Fault.

use super::VirtualRouter;
use super::timer::Timer;
use crate::health::{Fault, Faults, Health, Standing};
use crate::io::Action;
use crate::state::{Reason, State};
use crate::time::Instant;
use crate::types::Priority;

impl VirtualRouter {
    /// The facts that keep this router out of the election, derived afresh each time.
    pub(super) fn faults(&self) -> Faults {
        let own = Faults::NONE
            .with(Fault::NoSourceAddress, self.config.source.is_none())
            .with(Fault::BindFailed, self.hold.given_up);
        self.health.faults.union(own)
    }

    /// The priority with which this router stands in the election.
    pub(super) fn priority(&self) -> Priority {
        match self.health.standing {
            Standing::Base => self.config.priority,
            Standing::Weighted(priority) => priority,
            Standing::Floor | Standing::Demoted => self.config.priority.floored(),
        }
    }

    /// Takes note of the node's health.
    pub(super) fn on_health(&mut self, now: Instant, health: Health, out: &mut Vec<Action>) {
        let before = self.priority();
        let sank = health.standing.is_floor() && !self.health.standing.is_floor();
        let rose = !health.standing.is_floor() && self.health.standing.is_floor();
        self.health = health;
        self.settle(now, out);
        if rose && self.state == State::Active {
            self.restart_refresh(now);
        }
        match self.state {
            State::Active if sank => {
                self.resign(now, out);
                let reason = match health.standing {
                    Standing::Demoted => Reason::Demoted,
                    _ => Reason::ServiceFailing,
                };
                self.enter_backup_sunk(now, reason, out);
            }
            State::Active if self.priority() != before => self.advertise_now(now, out),
            State::Backup => self.reconsider(now),
            State::Active | State::Fault | State::Initialize => {}
        }
    }

    /// Enters Fault if there is a fault, and leaves it if there is none.
    pub(super) fn settle(&mut self, now: Instant, out: &mut Vec<Action>) {
        let faults = self.faults();
        match self.state {
            State::Fault if faults.is_empty() => {
                self.enter_backup(now, Reason::Recovered, out);
            }
            _ if faults.is_empty() => {}
            State::Initialize if self.adoption.is_some() => self.end_adoption(now, out),
            State::Initialize | State::Backup | State::Active | State::Fault => self.fail(now, faults, out),
        }
    }

    fn fail(&mut self, now: Instant, faults: Faults, out: &mut Vec<Action>) {
        let able_to_serve = faults.is_able_to_serve();
        match self.state {
            State::Active if able_to_serve => self.resign(now, out),
            State::Active => self.leave_at_once(out),
            _ if self.release.is_some() && !able_to_serve => self.finish_release(now, out),
            _ => {}
        }
        if matches!(self.state, State::Active | State::Backup) {
            self.timers
                .clear(&[Timer::ActiveDown, Timer::PreemptDelay, Timer::LastWordAgain]);
            self.transition(now, State::Fault, Reason::Faulted, None, out);
        }
    }
}
