//! The Active state: advertising, answering those that lose, yielding to those that win (RFC 9568 §6.4.3).

use core::time::Duration;

use super::VirtualRouter;
use super::backup::Watch;
use super::election::{self, AsActive};
use super::limit::RateLimit;
use super::receive::Heard;
use super::timer::{Timer, next_period};
use crate::evidence::Notice;
use crate::io::Action;
use crate::state::{Reason, State};
use crate::time::Instant;

impl VirtualRouter {
    /// The limit on answers to advertisements that lose. RFC 9568 §6.4.3 wants each answered at once; a flood, or a peer
    /// that believes the same of itself, is answered a hundred times a second at most.
    pub(super) const ANSWERS: RateLimit = RateLimit::new(8, Duration::from_millis(10));

    /// Takes the addresses: advertises, binds, and announces them once they are bound (RFC 9568 §6.4.1, §6.4.2); what it offered
    /// in vain it keeps, without a word.
    pub(super) fn become_active(&mut self, now: Instant, reason: Reason, out: &mut Vec<Action>) {
        let silence = self.silence(now);
        let offered_in_vain = self.offered_in_vain();
        self.watch = Watch::default();
        self.release = None;
        self.timers.clear_all();
        self.advertise(out);
        self.timers
            .set(Timer::Advertisement, now + self.config.interval.get());
        if offered_in_vain {
            self.keep(now, out);
        } else {
            self.bind(now, out);
        }
        self.transition(now, State::Active, reason, silence, out);
    }

    /// Adver_Timer has fired: advertises and starts it again from when it was due.
    pub(super) fn on_advertisement_timer(&mut self, now: Instant, due: Instant, out: &mut Vec<Action>) {
        self.advertise(out);
        self.timers.set(
            Timer::Advertisement,
            next_period(due, self.config.interval.get(), now),
        );
    }

    /// Advertises now, ahead of the timer, which starts again.
    pub(super) fn advertise_now(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.advertise(out);
        self.timers
            .set(Timer::Advertisement, now + self.config.interval.get());
    }

    /// Makes of an advertisement what an Active router is to make of it.
    pub(super) fn hear_as_active(&mut self, now: Instant, heard: &Heard, out: &mut Vec<Action>) {
        if self.priority().is_owner() && heard.priority == u8::MAX {
            out.push(Action::Notice(Notice::OtherOwner(heard.router)));
        }
        match election::as_active(self.priority(), self.config.source, heard.priority, heard.router) {
            AsActive::Resigned => self.answer(now, out),
            AsActive::Assert => {
                if !self.is_new(now) {
                    out.push(Action::Notice(Notice::OtherActive {
                        router: heard.router,
                        priority: heard.priority,
                    }));
                }
                self.answer(now, out);
                // Whoever has heard the other one's announcements sends to the wrong place.
                self.correct_neighbors(now, out);
            }
            AsActive::Yield(reason) => {
                self.advertise(out);
                self.stop_serving();
                self.hold_on_for_successor(now);
                self.enter_backup(now, reason, out);
                self.follow(now, heard, out);
                self.watch.yielded_to = Some(heard.router);
                self.timers.set(Timer::LastWordAgain, now + self.interval().get());
            }
        }
    }

    /// The last word of a router that has yielded, once more.
    ///
    /// A router that yields advertises once more. When a split heals and the winner's advertisement is the first across, the
    /// winner would never hear that there were two, and whoever listened to this router's announcements would go on sending
    /// here. A losing advertisement makes it answer and announce (RFC 9568 §6.4.3). A single one may be lost: over
    /// unicast the first packet after a split is, if the kernel has just given up on the neighbor's MAC address.
    ///
    /// It has to lose: to a router that knows no better, one that wins comes from an Active router.
    pub(super) fn on_last_word_again(&self, out: &mut Vec<Action>) {
        let Some(winner) = self.watch.yielded_to else {
            return;
        };
        let theirs = self.watch.advertised.priority;
        let verdict = election::as_active(self.priority(), self.config.source, theirs, winner);
        if self.watch.router == Some(winner) && matches!(verdict, AsActive::Yield(_)) {
            self.advertise(out);
        }
    }

    /// Whether this router became Active so short a time ago that another one's advertisement may be its last word: of the one
    /// that was Active before, or of an equal that became Active in the same moment. An interval passes until the other hears
    /// of this router, another one until it says its last word once more.
    fn is_new(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) < 3 * self.config.interval.get()
    }

    /// Keeps the timers of the Active state from firing; the addresses stay and are renewed.
    pub(super) fn stop_serving(&mut self) {
        self.timers.clear(&[
            Timer::Advertisement,
            Timer::AnnounceAgain,
            Timer::AnnounceRefresh,
            Timer::Correction,
            Timer::BindRetry,
        ]);
    }

    fn answer(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.answers.take(now) {
            self.advertise_now(now, out);
        }
    }

    fn advertise(&self, out: &mut Vec<Action>) {
        out.push(Action::Send {
            priority: self.priority().get(),
        });
    }
}
