//! What comes out: a node's health, and everything that explains it.

use core::num::NonZeroU8;

use holdfast_vrrp::{Fault, Health, Instant};

use crate::policy::OnFailure;
use crate::run::{Outcome, Run};

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
///
/// But for [`ProbeReport::streak`] and [`ProbeReport::latest`] nothing in it changes from run to run: texts change with a
/// verdict, or when the runs end in another way for as long as it takes to make a verdict. [`Report::same_for_status`] compares
/// what does not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// The judgement.
    pub judgement: Judgement,
    /// The strict judgement's priority as a sum: `200 base − 50 haproxy (connection refused, 3 of 3) = 150`.
    pub sum: String,
    /// For each fault of the strict judgement a sentence: what fails, why, and what to look at.
    pub faults: Vec<(Fault, String)>,
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
    /// How often its fitness had changed within the window when that began.
    pub changes: u8,
}

/// One probe as it stands now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProbeReport {
    /// Its name.
    pub name: String,
    /// What its failure does, if no quorum names it.
    pub on_failure: OnFailure,
    /// The quorum that names it: it counts there only.
    pub quorum: Option<String>,
    /// What it says of the service.
    pub verdict: Verdict,
    /// Since when it says so; `None` while nothing is known.
    pub since: Option<Instant>,
    /// How the runs ended that led to the verdict, or that have ended in another way since for as long as it takes to make a
    /// verdict; `None` before the first run, and for a quorum.
    pub outcome: Option<Outcome>,
    /// What the first of those runs found. For a quorum, how many of its probes pass.
    pub message: String,
    /// How many runs in a row have spoken against the verdict or, while nothing is known, for what it will be; and how many it
    /// takes. For a quorum: how many of its probes pass, and how many have to. Changes from run to run: for who looks at the
    /// node itself, not for the API.
    pub streak: (u8, u8),
    /// The last run, whatever came of it; `None` before the first, and for a quorum. Changes from run to run like
    /// [`Self::streak`].
    pub latest: Option<Run>,
    /// The last attempt at healing, if there was one.
    pub healing: Option<Healing>,
}

/// An attempt at healing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Healing {
    /// The how-manieth of its series, from 1.
    pub attempt: NonZeroU8,
    /// How many there are to be in a series.
    pub of: NonZeroU8,
    /// Whether it is still being tried.
    pub running: bool,
    /// When it ended.
    pub ended: Option<Instant>,
    /// How it ended, if that is known: whether it helped, the probe's next runs say.
    pub result: Option<Run>,
}

/// Healing is to be tried now; [`crate::GroupHealth::recovered`] is to be told how it ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recover {
    /// The probe that asks for it.
    pub probe: String,
    /// The how-manieth attempt of a series this is, from 1.
    pub attempt: NonZeroU8,
    /// How many there are to be in a series.
    pub of: NonZeroU8,
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
    /// It is not, and healing is being tried: it counts as before, the node is not given up yet.
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

impl Report {
    /// Whether this says the same as `other` but for what changes from run to run, and so need not be written again.
    pub fn same_for_status(&self, other: &Self) -> bool {
        self.judgement == other.judgement
            && self.sum == other.sum
            && self.faults == other.faults
            && self.held_back == other.held_back
            && self.probes.len() == other.probes.len()
            && self
                .probes
                .iter()
                .zip(&other.probes)
                .all(|(one, other)| one.same_for_status(other))
    }
}

impl ProbeReport {
    /// Whether this says the same as `other` but for what changes from run to run.
    pub fn same_for_status(&self, other: &Self) -> bool {
        // Taken apart, so that a new field has to be thought of here.
        let Self {
            name,
            on_failure,
            quorum,
            verdict,
            since,
            outcome,
            message,
            streak: _,
            latest: _,
            healing,
        } = self;
        *name == other.name
            && *on_failure == other.on_failure
            && *quorum == other.quorum
            && *verdict == other.verdict
            && *since == other.since
            && *outcome == other.outcome
            && *message == other.message
            && *healing == other.healing
    }
}
