//! One virtual router's state machine (RFC 9568 §6.4).

use crate::config::Config;
use crate::io::{Action, Faults, Input, Snapshot, State};
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

/// One virtual router on one node.
#[derive(Clone, Debug)]
pub struct VirtualRouter {
    config: Config,
}

impl VirtualRouter {
    /// A router in Initialize that enters the election when it is first given [`Input::Timeout`].
    pub fn new(_now: Instant, config: Config) -> Self {
        Self { config }
    }

    /// A router whose predecessor on this node was Active and left its addresses bound.
    pub fn resume(_now: Instant, config: Config, _resume: Resume) -> Self {
        Self { config }
    }

    /// Takes note of what happened at `now` and appends what is to be done to `out`.
    pub fn handle(&mut self, _now: Instant, _input: Input<'_>, _out: &mut Vec<Action>) {}

    /// When the router wants [`Input::Timeout`]; `None` if nothing is due ever.
    pub fn next_timeout(&self) -> Option<Instant> {
        None
    }

    /// The configuration in force.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What the router is doing.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            state: State::Initialize,
            since: Instant::ZERO,
            faults: Faults::NONE,
            priority: self.config.priority,
            active_peer: None,
            interval: self.config.interval.get(),
            releasing: false,
            holding: false,
            may_become_active: self.config.may_become_active,
            last_transition: None,
        }
    }
}
