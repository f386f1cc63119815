//! From the probes' verdicts to a place in the election: derived afresh each time, nothing is counted up and down.

use holdfast_vrrp::{Fault, Faults, Health, Priority, Standing};

use crate::policy::{Duty, OnFailure, Policy};
use crate::probes::{Probes, Slot, Source, View};

/// What the verdicts and the node's duty come to, the most severe first.
#[derive(Clone, Debug)]
pub(crate) struct Assessment<'a> {
    /// What keeps the node out of the election.
    pub faults: Faults,
    /// What keeps it in the floor band.
    pub floor: Option<Floor>,
    /// Whether the group is wanted here and nothing is wrong with it.
    pub preferred: bool,
    /// What is added to the base priority.
    pub terms: Vec<Term<'a>>,
}

/// Why a node stands in the floor band.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Floor {
    /// Its service fails.
    Failing,
    /// It is being worked on.
    Demoted,
}

/// What one probe adds to the priority.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Term<'a> {
    /// The probe.
    pub slot: &'a Slot,
    /// What it adds; never 0.
    pub adds: i32,
}

/// How fit a node is, seen from the members that nothing is wrong with. Whether the worst stand in the floor band or outside
/// the election matters to each other only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Fitness {
    /// Every healthy member goes first.
    Unfit,
    /// It stands with what its weights come to.
    Fit(i32),
}

/// How much of its fitness a fit node may not show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reserve {
    /// It was unfit: it stands behind every healthy member, and before every failing one.
    All,
    /// So much of what its weights come to.
    Part(i32),
}

impl<'a> Assessment<'a> {
    pub fn new(policy: &Policy, probes: &'a Probes, view: View) -> Self {
        let mut terms = Vec::new();
        let (mut fault, mut hold, mut fails) = (false, false, false);
        for slot in probes.acting() {
            let passes = probes.passes(slot, view);
            let mut adds = match &slot.source {
                Source::Runs(tracker) if passes => i32::from(tracker.adds()),
                _ => 0,
            };
            match slot.on_failure {
                OnFailure::Weight(weight) if (weight > 0) == passes => adds += i32::from(weight),
                OnFailure::Hold => hold |= !passes,
                OnFailure::Fault => fault |= !passes,
                OnFailure::Weight(_) | OnFailure::None => {}
            }
            fails |= !passes && slot.on_failure != OnFailure::None;
            if adds != 0 {
                terms.push(Term { slot, adds });
            }
        }
        let floor = match policy.duty {
            _ if hold => Some(Floor::Failing),
            Duty::Demote(_) => Some(Floor::Demoted),
            Duty::Serve | Duty::Release(_) => None,
        };
        Self {
            faults: Faults::NONE
                .with(Fault::ProbeFailed, fault)
                .with(Fault::Maintenance, matches!(policy.duty, Duty::Release(_))),
            floor,
            preferred: policy.preferred && !fails && policy.duty == Duty::Serve && !policy.base.is_owner(),
            terms,
        }
    }

    pub fn fitness(&self) -> Fitness {
        if self.faults.is_empty() && self.floor.is_none() {
            Fitness::Fit(self.sum())
        } else {
            Fitness::Unfit
        }
    }

    /// All terms together.
    pub fn sum(&self) -> i32 {
        self.terms
            .iter()
            .map(|term| term.adds)
            .fold(0, i32::saturating_add)
    }

    /// The node's health if so much is held back.
    pub fn health(&self, base: Priority, held_back: Option<Reserve>) -> Health {
        Health {
            faults: self.faults,
            standing: self.standing(base, held_back),
        }
    }

    fn standing(&self, base: Priority, held_back: Option<Reserve>) -> Standing {
        let sum = self.sum();
        match (self.floor, held_back) {
            (Some(Floor::Failing), _) => Standing::Floor,
            (Some(Floor::Demoted), _) => Standing::Demoted,
            (None, Some(Reserve::All)) => Standing::Weighted(behind(base).min(within(base, sum))),
            (None, Some(Reserve::Part(part))) => Standing::Weighted(within(base, sum.saturating_sub(part))),
            (None, None) if self.preferred => Standing::Weighted(within(Priority::BACKUP_MAX, sum)),
            (None, None) if self.terms.is_empty() => Standing::Base,
            (None, None) => Standing::Weighted(within(base, sum)),
        }
    }
}

/// `base` with `adds`, kept within what a router may say that does not own the addresses: 1 to 254.
pub(crate) fn within(base: Priority, adds: i32) -> Priority {
    let sum = i32::from(base.get())
        .saturating_add(adds)
        .clamp(1, i32::from(Priority::BACKUP_MAX.get()));
    u8::try_from(sum)
        .ok()
        .and_then(Priority::new)
        .unwrap_or(Priority::DEFAULT)
}

/// Where a node stands of which all is held back: above every failing member, below every healthy one, in the order of the base
/// priorities.
fn behind(base: Priority) -> Priority {
    within(base.floored(), i32::from(Priority::FLOOR_MAX.get()))
}
