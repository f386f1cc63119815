//! Starting: into the election from scratch, or with the addresses of a predecessor on this node.

use super::VirtualRouter;
use super::timer::Timer;
use crate::io::Action;
use crate::state::{Reason, State};
use crate::time::Instant;

/// What a predecessor process on this node left behind, for [`VirtualRouter::resume`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resume {
    /// When the addresses that are still bound expire.
    pub expires: Instant,
    /// Since when the predecessor was Active.
    pub active_since: Instant,
    /// The predecessor handed over deliberately and has just stopped: no need to listen for another Active router first.
    pub handed_over: bool,
}

impl VirtualRouter {
    /// Lets the predecessor's addresses be judged: at once if it handed them over, otherwise after one interval of
    /// listening, but never after they have expired.
    pub(super) fn schedule_adoption(&mut self, now: Instant, resume: Resume) {
        let listen_until = if resume.handed_over {
            now
        } else {
            now + self.config.interval.get()
        };
        self.timers
            .set(Timer::AdoptionEnd, listen_until.min(resume.expires));
        self.adoption = Some(resume);
    }

    /// Nobody else has been heard: serves on with the predecessor's addresses, unless they have expired. A node that was
    /// Active all the time does not become so, and needs no permission.
    pub(super) fn on_adoption_end(&mut self, now: Instant, out: &mut Vec<Action>) {
        let alive = self.adoption.take_if(|resume| now < resume.expires);
        match alive {
            Some(resume) if self.faults().is_empty() => {
                self.become_active(now, Reason::Resumed, out);
                self.since = resume.active_since;
            }
            _ => self.end_adoption(now, out),
        }
    }

    /// Gives up the predecessor's addresses and starts from scratch.
    pub(super) fn end_adoption(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.adoption = None;
        self.timers.clear(&[Timer::AdoptionEnd]);
        self.unbind(out);
        self.start(now, out);
    }

    /// Enters the election (RFC 9568 §6.4.1, Startup): the owner as Active, everybody else as Backup.
    pub(super) fn start(&mut self, now: Instant, out: &mut Vec<Action>) {
        if !self.faults().is_empty() {
            self.transition(now, State::Fault, Reason::Faulted, None, out);
        } else if self.priority().is_owner() && self.config.may_become_active {
            self.become_active(now, Reason::AddressOwner, out);
        } else {
            self.enter_backup(now, Reason::Started, out);
        }
    }
}
