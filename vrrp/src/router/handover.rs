//! Leaving without a hole: addresses stay on this node, renewed, until the successor serves them.

use core::net::IpAddr;
use core::time::Duration;

use super::VirtualRouter;
use super::timer::Timer;
use crate::config::Config;
use crate::io::{Action, Shutdown};
use crate::state::{Reason, State};
use crate::time::Instant;

/// How long after its first advertisement a successor is trusted to have bound and announced the addresses.
pub(super) const SUCCESSOR_GRACE: Duration = Duration::from_millis(200);
/// How many intervals a router that resigned waits for a successor: more than the Active_Down_Interval of any.
const PATIENCE: u32 = 4;

/// Addresses held on for a successor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Release {
    /// Whether a successor has been heard.
    successor_heard: bool,
}

/// What follows when this router has left the election.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Plan {
    /// It has not left it for good.
    Run,
    /// Nothing: it has been told to stop.
    Stop,
    /// It starts again as another virtual router.
    Restart(Box<Config>),
}

impl VirtualRouter {
    /// Begins to leave the Active state on its own account: says so and holds on. The caller says which state follows.
    pub(super) fn resign(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.say_leaving(out);
        self.stop_serving();
        self.release = Some(Release {
            successor_heard: false,
        });
        let interval = self.config.interval.get();
        self.timers.set(Timer::ResignAgain, now + interval);
        self.timers.set(Timer::ReleaseEnd, now + interval * PATIENCE);
    }

    /// Begins to leave the Active state because a better router has been heard: holds on until that one serves.
    pub(super) fn hold_on_for_successor(&mut self, now: Instant) {
        self.release = Some(Release {
            successor_heard: true,
        });
        self.timers.set(Timer::ReleaseEnd, now + SUCCESSOR_GRACE);
    }

    /// Leaves the Active state at once: says so and takes the addresses away. The caller says which state follows.
    pub(super) fn leave_at_once(&mut self, out: &mut Vec<Action>) {
        self.say_leaving(out);
        self.unbind(out);
        self.timers.clear_all();
    }

    /// Hands over and stays in the election: whoever is best next, this router included, takes over.
    pub(super) fn hand_over(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.state == State::Active {
            self.resign(now, out);
            self.enter_backup(now, Reason::ToldToHandOver, out);
        }
    }

    /// Whether this router is unfit, has offered its addresses to the others, and has heard none take them; they are where they
    /// were.
    ///
    /// Where all fail together it is right to go on as if nothing had been. One that is cut off from the others hears nobody
    /// either: neighbors that hear both sides follow the fit router that took over on the other one, and must not be called
    /// back. A fit router's word is the last in the election, and so it has to be in the neighbors' caches.
    pub(super) fn offered_in_vain(&self) -> bool {
        let in_vain = |release: Release| !release.successor_heard;
        self.health.standing.is_floor()
            && self.release.is_some_and(in_vain)
            && self.hold.is_bound_to(&self.config.addresses)
    }

    /// Takes note that another router advertises.
    pub(super) fn on_successor(&mut self, now: Instant) {
        if let Some(release) = &mut self.release {
            release.successor_heard = true;
            self.timers.clear(&[Timer::ResignAgain]);
            self.timers.set_earlier(Timer::ReleaseEnd, now + SUCCESSOR_GRACE);
        }
    }

    /// Takes note that another station says that it holds `address`: it serves.
    pub(super) fn on_successor_serves(&mut self, now: Instant, address: IpAddr, out: &mut Vec<Action>) {
        if self.release.is_some() && self.hold.contains(address) {
            self.finish_release(now, out);
        }
    }

    /// No successor has been heard: the first word may have been lost. Said once more only, because each time postpones
    /// what the Backups wait for.
    pub(super) fn on_resign_again(&self, out: &mut Vec<Action>) {
        self.say_leaving(out);
    }

    /// Lets the addresses go and does what was to follow.
    pub(super) fn finish_release(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.release = None;
        self.timers.clear(&[Timer::ResignAgain, Timer::ReleaseEnd]);
        self.unbind(out);
        if let Plan::Restart(_) = self.plan {
            self.restart(now, out);
        }
    }

    /// Stops (RFC 9568 §6.4.2 and §6.4.3, Shutdown), without a hole if `Planned` and asked for the first time.
    pub(super) fn shut_down(&mut self, now: Instant, shutdown: Shutdown, out: &mut Vec<Action>) {
        let again = self.plan == Plan::Stop;
        self.plan = Plan::Stop;
        if again || shutdown == Shutdown::Immediate {
            if self.state == State::Active || self.release.is_some_and(|release| !release.successor_heard) {
                self.say_leaving(out);
            }
            self.unbind(out);
            self.release = None;
        } else if self.state == State::Active {
            self.resign(now, out);
        }
        self.leave_election(Reason::Shutdown, now, out);
    }

    /// Enters Initialize; what is being released still is.
    pub(super) fn leave_election(&mut self, reason: Reason, now: Instant, out: &mut Vec<Action>) {
        if self.adoption.take().is_some() || self.release.is_none() {
            self.unbind(out);
            self.timers.clear_all();
        } else {
            self.timers.clear(&[
                Timer::ActiveDown,
                Timer::PreemptDelay,
                Timer::LastWordAgain,
                Timer::BindRecovery,
            ]);
        }
        if self.state != State::Initialize {
            self.transition(now, State::Initialize, reason, None, out);
        }
    }

    /// Priority 0, if there is an address to send it from.
    fn say_leaving(&self, out: &mut Vec<Action>) {
        if self.config.source.is_some() {
            out.push(Action::Send { priority: 0 });
        }
    }
}
