//! What is to be made of results: the part of a group's configuration that decides about health.

use core::num::NonZeroU8;
use core::time::Duration;

use holdfast_vrrp::Priority;

/// What decides about one group's health on one node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    /// The node's configured priority.
    pub base: Priority,
    /// Whether the group is to be on this node by somebody's wish (`spec.placement`): as long as nothing is wrong with it,
    /// it stands in the election with 254. An owner of the addresses stays with 255.
    pub preferred: bool,
    /// What is asked of the node, because it is being worked on.
    pub duty: Duty,
    /// The probes in the order written. Names are unique, and a probe is named by one quorum at most; where that is not so, the
    /// first counts.
    pub probes: Vec<Probe>,
    /// How a node that comes and goes is held back.
    pub damping: Damping,
}

impl Policy {
    /// For a group without probes on a node of which nothing is asked.
    pub const fn without_probes(base: Priority) -> Self {
        Self {
            base,
            preferred: false,
            duty: Duty::Serve,
            probes: Vec::new(),
            damping: Damping::OFF,
        }
    }
}

/// What is asked of a node.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum Duty {
    /// To serve, if it is its turn.
    #[default]
    Serve,
    /// To serve only if nobody else can, for this reason.
    Demote(String),
    /// To give up the addresses, for this reason.
    Release(String),
}

/// One probe, as far as its results are concerned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Probe {
    /// Its name, unique in its group.
    pub name: String,
    /// Where its results come from.
    pub kind: Kind,
    /// What its failure does. Ignored for one that a quorum names: it counts there only.
    pub on_failure: OnFailure,
}

/// Where a probe's results come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// From runs.
    Runs {
        /// How many in a row count.
        thresholds: Thresholds,
        /// Whether healing is tried before the probe counts as failed.
        recovery: Option<Recovery>,
    },
    /// From other probes: it passes while at least so many of those named pass.
    Quorum {
        /// The probes' names. One that there is not, or that is a quorum itself, does not pass.
        of: Vec<String>,
        /// How many of them have to pass.
        at_least: usize,
    },
}

/// How many results in a row change a probe's verdict.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Thresholds {
    /// So many runs in a row that did not pass make it fail (keepalived's `fall`).
    pub failure: NonZeroU8,
    /// So many runs in a row that passed make it pass (keepalived's `rise`).
    pub success: NonZeroU8,
}

/// How healing is tried before a node is given up: when a probe would fail, and anew each time it would do so after healing.
/// One run that passes ends it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Recovery {
    /// How often it is tried in a row.
    pub attempts: NonZeroU8,
    /// For how long after the last attempt no other series of attempts is begun.
    pub cooldown: Duration,
}

/// What a failing probe does to its node. The severe ones come before the others, see the [crate's page](crate).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum OnFailure {
    /// Nothing: it is shown.
    None,
    /// The node hands over and stays in the election's floor band: it serves if every member fails.
    #[default]
    Hold,
    /// The node leaves the election.
    Fault,
    /// The priority changes: a negative weight is added while the probe fails, a positive one while it passes (keepalived's
    /// rule). The sum stays within 1 to 254. 0 does nothing.
    Weight(i16),
}

/// How a node that comes and goes is held back, so that addresses do not swing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Damping {
    /// After so many changes of the node's fitness, for the worse or back, within `window` the next change for the better
    /// waits. 0: never.
    pub changes: u8,
    /// The time in which changes are counted, and for which a node is held back the first time; twice as long each further
    /// time.
    pub window: Duration,
    /// The longest time for which a node is held back; at least `window`.
    pub longest: Duration,
}

impl Damping {
    /// Nobody is ever held back.
    pub const OFF: Self = Self {
        changes: 0,
        window: Duration::ZERO,
        longest: Duration::ZERO,
    };
}
