//! What comes out: a node's health, and everything that explains it.

use holdfast_vrrp::{Health, Instant};

use crate::run::Outcome;

/// A node's health as its probes have it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Judgement {
    /// A probe of which nothing is known yet counts as failed: for a node that is not serving.
    pub strict: Health,
    /// A probe of which nothing is known yet counts as passing: for an agent that goes on where the one before it on this node
    /// ended, so that its restart moves nothing.
    pub lenient: Health,
}

/// A judgement with everything that explains it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// The judgement.
    pub judgement: Judgement,
    /// The strict judgement's priority as a sum: `200 base − 50 haproxy (connection refused, 3 of 3) = 150`.
    pub sum: String,
    /// For each fault of the strict judgement a sentence: what fails, why, and what to look at.
    pub faults: Vec<(holdfast_vrrp::Fault, String)>,
    /// The probes in the order written.
    pub probes: Vec<ProbeReport>,
    /// Whether the node is better than it is allowed to show.
    pub held_back: Option<HeldBack>,
}

/// Why a node is held back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeldBack {
    /// Until when, if nothing changes for the worse meanwhile.
    pub until: Instant,
    /// How often its fitness changed within the window.
    pub changes: u8,
}

/// One probe as it stands now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProbeReport {
    /// Its name.
    pub name: String,
    /// What it says of the service.
    pub verdict: Verdict,
    /// Since when it says so; `None` while nothing is known.
    pub since: Option<Instant>,
    /// How the last run ended; `None` before the first, and for a quorum.
    pub outcome: Option<Outcome>,
    /// What was found: of the first run in a row that ended so, so that it does not change with each run.
    pub message: String,
    /// How many runs in a row have spoken against the verdict or, while nothing is known, for what it will be; and how many it
    /// takes.
    pub streak: (u8, u8),
}

/// What a probe says of the service.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Verdict {
    /// Nothing yet: it has not been run often enough.
    NotYetKnown,
    /// It is as it should be.
    Passing,
    /// It is not.
    Failing,
    /// It is not, and healing is being tried: the node is not given up yet.
    Recovering,
}

impl Verdict {
    /// The word as status shows it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotYetKnown => "NotYetKnown",
            Self::Passing => "Passing",
            Self::Failing => "Failing",
            Self::Recovering => "Recovering",
        }
    }
}
