//! What probes find, as a node's place in the election: which of them fail, what that does to the priority, and why.
//!
//! Sans-IO like the protocol: results and time go in, a [`Judgement`] and its explanation come out. A judgement is made
//! anew from the present facts each time; nothing is counted up and down.

mod assess;
mod damping;
mod explain;
mod group;
mod judgement;
mod policy;
mod probes;
mod quorum;
mod run;
mod sum;
mod tracker;
mod words;

pub use group::GroupHealth;
pub use judgement::{Healing, HeldBack, Judgement, ProbeReport, Recover, Report, Verdict};
pub use policy::{Damping, Duty, Kind, OnFailure, Policy, Probe, Recovery, Thresholds};
pub use run::{Outcome, Run};
