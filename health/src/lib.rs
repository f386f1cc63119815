//! What probes find, as a node's place in the election: which of them fail, what that does to the priority, and why.
//!
//! Sans-IO like the protocol: results and time go in, a [`Judgement`] and its explanation come out. A judgement is made
//! anew from the present facts each time; nothing is counted up and down. No input makes this crate panic, and its memory is
//! bounded by the number of probes.
//!
//! ```text
//! Run ──▶ a probe's row of runs ──▶ Verdict ──▶ assessment of all probes and the duty ──▶ damping ──▶ Judgement, Report
//!                                      └─▶ Recover: healing is tried before the verdict is Failing
//! ```
//!
//! # From verdicts to a place in the election
//!
//! The first line that is true decides.
//!
//! | if | the node |
//! |---|---|
//! | its duty is [`Duty::Release`], or a probe with [`OnFailure::Fault`] fails | leaves the election |
//! | a probe with [`OnFailure::Hold`] fails | stands in the floor band |
//! | its duty is [`Duty::Demote`] | stands in the floor band, as one whose service does not fail |
//! | it is held back, see below | stands lower than it could |
//! | the group is preferred here and no probe fails that does anything | stands with 254 and its weights |
//! | weights apply | stands with the base priority and its weights, 1 to 254 |
//! | nothing of this | stands with the base priority |
//!
//! # Damping
//!
//! A node is fit, with what its weights come to, or it is unfit: outside the election or in the floor band. A change of that is
//! counted when others see it; that something becomes known for the first time and what an edit changes is not. Once
//! [`Damping::changes`] lie within [`Damping::window`], the next change for the better waits. It waits for `window`; the next
//! time twice as long, and so on up to [`Damping::longest`]; after a quiet time of twice `longest` it begins again with `window`.
//! It is the strict judgement that decides whether the node waits; the lenient one shows no more meanwhile.
//!
//! | the node became | it shows |
//! |---|---|
//! | worse | that, at once, always; a wait begins anew once it is better again |
//! | fit again while it has to wait | 16 to 30 in the order of the base priorities: below every healthy member, above every failing one |
//! | fit with more weight while it has to wait | the lower sum it had |
//! | better, and need not wait, or has waited | that |
//!
//! With the defaults, 3 changes within 3 minutes, healthy members see it come and go at most 4 times within any 3 minutes. That
//! is below the 5 at which EVPN fabrics freeze an address that moves.

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
