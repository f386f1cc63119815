//! A new configuration, applied as a difference: what does not change does not move.

use core::mem;

use super::VirtualRouter;
use super::handover::Plan;
use super::holding::Hold;
use super::timer::Timer;
use crate::config::{Change, Config};
use crate::io::Action;
use crate::state::{Reason, State};
use crate::time::Instant;

impl VirtualRouter {
    /// Makes `new` the configuration in force; one of another virtual router once this one has been handed over.
    pub(super) fn configure(&mut self, now: Instant, new: Box<Config>, out: &mut Vec<Action>) {
        match &mut self.plan {
            Plan::Stop => return,
            Plan::Restart(planned) => {
                *planned = new;
                return;
            }
            Plan::Run => {}
        }
        let change = self.config.diff(&new);
        if change == Change::Restart {
            self.become_another(now, new, out);
            return;
        }

        let old = mem::replace(&mut self.config, *new);
        if self.hold.is_something() && self.config.addresses != old.addresses {
            self.rebind(now, self.config.accept != old.accept, out);
        } else if self.state == State::Active && self.config.accept != old.accept {
            self.bind(now, out);
        }
        if self.config.lifetime != old.lifetime {
            self.renew_now(now, out);
        }
        self.settle(now, out);
        match self.state {
            State::Active => {
                if change >= Change::Readvertise {
                    self.advertise_now(now, out);
                }
                if self.config.announcement != old.announcement {
                    self.restart_refresh(now);
                }
            }
            State::Backup => self.reconsider(now),
            State::Initialize | State::Fault => {}
        }
    }

    /// Starts again as the virtual router that was planned, when nothing of this one is left.
    pub(super) fn restart(&mut self, now: Instant, out: &mut Vec<Action>) {
        if let Plan::Restart(new) = mem::replace(&mut self.plan, Plan::Run) {
            self.config = *new;
            self.hold = Hold::NOTHING;
            self.timers.clear_all();
            self.start(now, out);
        }
    }

    fn become_another(&mut self, now: Instant, new: Box<Config>, out: &mut Vec<Action>) {
        if self.timers.is_set(Timer::StartupDelay) {
            self.config = *new;
            return;
        }
        self.plan = Plan::Restart(new);
        if self.state == State::Active {
            self.resign(now, out);
        }
        self.leave_election(Reason::Reconfigured, now, out);
        if self.release.is_none() {
            self.restart(now, out);
        }
    }
}
