//! The Backup state: watching the Active router, and knowing when to take over from it (RFC 9568 §6.4.2).

use core::net::IpAddr;
use core::time::Duration;

use super::VirtualRouter;
use super::election::{self, Advertised, AsBackup, Candidate};
use super::receive::Heard;
use super::timer::Timer;
use crate::config::Transport;
use crate::evidence::Notice;
use crate::io::Action;
use crate::state::{Reason, State};
use crate::time::Instant;
use crate::types::{Interval, Version, active_down_interval, skew, skew_step};

/// How many intervals a router in the floor band waits beyond Skew_Time when the Active router has resigned, itself perhaps, so
/// that healthy ones come first: one, after which the word is said again in case it was lost. All that is shorter than the
/// addresses are held on for; where all fail together, the best of them takes up again what it never gave away, and nothing
/// moves.
const UNFIT_WAITS: u32 = 1;

/// What a Backup knows about the Active router, and what an Active one still knows about the one before it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Watch {
    /// Who it is.
    pub(super) router: Option<IpAddr>,
    /// What it says of itself.
    pub(super) advertised: Advertised,
    /// To whom this router has yielded, if it was Active.
    pub(super) yielded_to: Option<IpAddr>,
    /// When it was last heard, whatever it said.
    pub(super) last_heard: Option<Instant>,
    /// Its interval, once it is known: Active_Adver_Interval (RFC 9568 §6.1).
    learned: Option<Interval>,
    /// From when on Active_Down_Timer runs, so that it can be recomputed without being restarted.
    down_from: Instant,
    /// Whether it has resigned, so that Active_Down_Timer runs for Skew_Time only.
    resigned: bool,
    /// Whether this router was it until just now, and has sunk into the floor band.
    sunk: bool,
    /// Whether a worse router was heard whose advertisements do not count.
    outranked: bool,
    /// Since when a worse router has been heard without interruption, for `Preemption::Delayed`.
    worse_since: Option<Instant>,
    /// Since when the Active router has been heard to advertise less than before, and less than this one would.
    fallen_since: Option<Instant>,
    /// Until when advertisements may be old ones that had waited while the process did not run.
    history_until: Instant,
}

impl VirtualRouter {
    /// Enters Backup with a full Active_Down_Interval of this router's own interval (RFC 9568 §6.4.1).
    pub(super) fn enter_backup(&mut self, now: Instant, reason: Reason, out: &mut Vec<Action>) {
        self.transition(now, State::Backup, reason, None, out);
        self.watch_afresh(now);
    }

    /// Enters Backup because this router has sunk into the floor band: whoever is fit goes first.
    pub(super) fn enter_backup_sunk(&mut self, now: Instant, reason: Reason, out: &mut Vec<Action>) {
        self.enter_backup(now, reason, out);
        self.watch.sunk = true;
        self.restart_active_down(now);
    }

    /// Forgets what was heard: only what is heard from now on counts.
    pub(super) fn watch_afresh(&mut self, now: Instant) {
        self.watch = Watch {
            down_from: now,
            ..Watch::default()
        };
        self.timers.clear(&[Timer::PreemptDelay]);
        self.restart_active_down(now);
    }

    /// Forgets what was heard, and for one interval takes what is heard for history: an Active router that was unfit or
    /// that resigned while this process did not run may have a successor since.
    pub(super) fn watch_after_gap(&mut self, now: Instant) {
        self.watch_afresh(now);
        self.watch.history_until = now + self.config.interval.get();
    }

    /// Makes of an advertisement what a Backup is to make of it.
    pub(super) fn hear_as_backup(&mut self, now: Instant, heard: &Heard, out: &mut Vec<Action>) {
        let advertised = self.advertised_by(heard);
        match election::as_backup(self.candidate(), advertised, self.config.preemption) {
            AsBackup::Resigned | AsBackup::Replace | AsBackup::TakeOver if now < self.watch.history_until => {
                self.note_active(now, heard);
            }
            AsBackup::Resigned => {
                self.note_active(now, heard);
                self.stop_preempting();
                self.watch.resigned = true;
                self.restart_active_down(now);
            }
            AsBackup::Follow => {
                self.follow(now, heard, out);
                self.stop_preempting();
            }
            // The last word of one that has yielded, or one that does not hear the Active router: that is between those two.
            AsBackup::FollowFor(_) | AsBackup::TakeOver if self.knows_better_than(heard) => {}
            AsBackup::FollowFor(delay) => {
                self.follow(now, heard, out);
                let since = *self.watch.worse_since.get_or_insert(now);
                self.watch.fallen_since = None;
                self.timers.set(Timer::PreemptDelay, (since + delay).max(now));
            }
            AsBackup::Replace => {
                self.follow(now, heard, out);
                self.watch.worse_since.get_or_insert(now);
                let since = *self.watch.fallen_since.get_or_insert(now);
                // A delay that is over sooner is over sooner.
                self.timers
                    .set_earlier(Timer::PreemptDelay, (since + self.skew() + self.turn()).max(now));
            }
            AsBackup::Discard => {
                self.watch.outranked = true;
                if !self.knows_better_than(heard) {
                    self.note_active(now, heard);
                }
            }
            AsBackup::TakeOver => {
                self.note_active(now, heard);
                self.become_active(now, Reason::ActiveUnfit, out);
            }
        }
    }

    /// Watches the sender as the Active router: its interval is adopted and the timer starts again.
    pub(super) fn follow(&mut self, now: Instant, heard: &Heard, out: &mut Vec<Action>) {
        self.note_active(now, heard);
        if heard.interval != self.config.interval && self.watch.learned != Some(heard.interval) {
            out.push(Action::Notice(Notice::IntervalDiffers {
                router: heard.router,
                theirs: heard.interval.get(),
                ours: self.config.interval.get(),
            }));
        }
        self.watch.learned = Some(heard.interval);
        self.watch.resigned = false;
        self.watch.outranked = false;
        self.restart_active_down(now);
    }

    /// Active_Down_Timer has fired: nobody better is there.
    pub(super) fn on_active_down(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.config.may_become_active {
            let reason = if self.watch.outranked {
                Reason::Preempted
            } else if self.watch.resigned {
                Reason::ActiveResigned
            } else {
                Reason::ActiveSilent
            };
            self.become_active(now, reason, out);
        } else {
            self.watch_afresh(now);
        }
    }

    /// A worse router, or one that became so, has been Active for as long as it was granted.
    pub(super) fn on_preempt_delay(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.config.may_become_active {
            self.become_active(now, Reason::Preempted, out);
        }
    }

    /// Lets a changed priority, interval or preemption take effect without starting any timer again.
    pub(super) fn reconsider(&mut self, now: Instant) {
        if self.state != State::Backup {
            return;
        }
        self.timers
            .set(Timer::ActiveDown, self.active_down_deadline().max(now));
        let Some(since) = self.watch.worse_since else {
            return;
        };
        match election::as_backup(self.candidate(), self.watch.advertised, self.config.preemption) {
            AsBackup::FollowFor(delay) => self.timers.set(Timer::PreemptDelay, (since + delay).max(now)),
            AsBackup::Replace => {}
            _ => self.stop_preempting(),
        }
    }

    /// The interval in force: as a Backup the Active router's, otherwise this router's own (RFC 9568 §6.1).
    pub(super) fn interval(&self) -> Interval {
        match (self.state, self.config.version) {
            (State::Backup, Version::V3) => self.watch.learned.unwrap_or(self.config.interval),
            _ => self.config.interval,
        }
    }

    /// How long the Active router has been silent, if one was heard.
    pub(super) fn silence(&self, now: Instant) -> Option<Duration> {
        self.watch
            .last_heard
            .map(|heard| now.saturating_duration_since(heard))
    }

    /// How this router stands in the election.
    pub(super) fn candidate(&self) -> Candidate {
        Candidate {
            priority: self.priority(),
            failing: self.health.standing.is_floor(),
            eligible: self.config.may_become_active,
        }
    }

    /// Whether a better router than the sender was heard, and neither resigned nor fell silent since.
    fn knows_better_than(&self, heard: &Heard) -> bool {
        let other = self.watch.router.is_some_and(|router| router != heard.router);
        other && self.watch.advertised.priority > heard.priority
    }

    /// What the sender says of itself, with what it has said since it is watched. A resignation ends that.
    fn advertised_by(&self, heard: &Heard) -> Advertised {
        let watched = self.watch.router == Some(heard.router) && heard.priority != 0;
        let before = if watched { self.watch.advertised.highest } else { 0 };
        Advertised {
            priority: heard.priority,
            highest: heard.priority.max(before),
        }
    }

    fn note_active(&mut self, now: Instant, heard: &Heard) {
        self.watch.advertised = self.advertised_by(heard);
        self.watch.router = Some(heard.router);
        self.watch.last_heard = Some(now);
        self.watch.sunk = false;
    }

    fn stop_preempting(&mut self) {
        self.watch.worse_since = None;
        self.watch.fallen_since = None;
        self.timers.clear(&[Timer::PreemptDelay]);
    }

    fn restart_active_down(&mut self, now: Instant) {
        self.watch.down_from = now;
        self.timers.set(Timer::ActiveDown, self.active_down_deadline());
    }

    fn active_down_deadline(&self) -> Instant {
        let Watch { resigned, sunk, .. } = self.watch;
        let patience = match self.health.standing.is_floor() {
            true if resigned || sunk => UNFIT_WAITS * self.interval().get() + self.skew(),
            false if resigned => self.skew(),
            _ => active_down_interval(self.config.version, self.priority(), self.interval()),
        };
        self.watch.down_from + patience + self.turn()
    }

    /// How long this router lets others of its priority go first: those listed peers, other than the Active router, that win against
    /// it by their address (RFC 9568 §6.4.3). Each of them has its own time within the one step that priorities are apart in
    /// Skew_Time, so that the first is heard before the second acts, and none comes behind a router of lower priority.
    fn turn(&self) -> Duration {
        let (Transport::Unicast(peers), Some(own)) = (&self.config.transport, self.config.source) else {
            return Duration::ZERO;
        };
        let mut rivals = 0;
        let mut before = 0;
        for peer in peers
            .iter()
            .filter(|peer| Some(peer.address) != self.watch.router)
        {
            rivals += 1;
            before += u32::from(peer.address > own);
        }
        skew_step(self.config.version, self.interval()) * before / (rivals + 1)
    }

    /// Skew_Time at the interval in force.
    fn skew(&self) -> Duration {
        skew(self.config.version, self.priority(), self.interval())
    }
}
