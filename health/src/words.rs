//! What was found and what to do about it, in a few words.

use holdfast_vrrp::Fault;

use crate::judgement::Verdict;
use crate::policy::{Duty, OnFailure, Policy};
use crate::probes::{Probes, Slot, Source, View};
use crate::quorum::Quorum;
use crate::run::first_line;
use crate::tracker::Row;

/// How much of what was found is repeated in a sentence; the whole stands with the probe.
const LONGEST: usize = 120;

/// Why the probe fails: `connection refused, 3 of 3`. `None` while nothing is known of it.
pub(crate) fn why(probes: &Probes, slot: &Slot) -> Option<String> {
    if slot.verdict() != Verdict::Failing {
        return None;
    }
    Some(match &slot.source {
        Source::Runs(tracker) => {
            let found = tracker.shown().map(found).unwrap_or_default();
            let of = tracker.failure_threshold();
            format!("{found}, {of} of {of}")
        }
        Source::Quorum(quorum) => of_quorum(probes, quorum),
    })
}

/// How the probes stand that a quorum names: `1 of 3 pass, 2 have to`.
pub(crate) fn of_quorum(probes: &Probes, quorum: &Quorum) -> String {
    let passing = probes.passing(quorum, View::Strict);
    format!(
        "{passing} of {} pass, {} have to",
        quorum.of.len(),
        quorum.at_least
    )
}

/// What runs found.
fn found(row: &Row) -> String {
    row.outcome.in_words(&row.message, LONGEST)
}

/// A fault as a sentence that says what to look at.
pub(crate) fn fault(policy: &Policy, probes: &Probes, fault: Fault) -> String {
    if let (Fault::Maintenance, Duty::Release(reason)) = (fault, &policy.duty) {
        return format!(
            "the node is not to serve: {}; it takes part again when that is over",
            line(reason)
        );
    }
    let clauses: Vec<_> = probes
        .failing(OnFailure::Fault)
        .map(|slot| failing(probes, slot))
        .collect();
    let is_known = probes
        .failing(OnFailure::Fault)
        .any(|slot| slot.verdict() == Verdict::Failing);
    let what_to_do = if is_known {
        "; look at the service on this node, or see `holdfast-agent status`"
    } else {
        ": the node takes part once it has passed"
    };
    clauses.join("; ") + what_to_do
}

fn failing(probes: &Probes, slot: &Slot) -> String {
    let name = &slot.name;
    if slot.verdict() != Verdict::Failing {
        return format!("nothing is known of probe `{name}` yet");
    }
    match &slot.source {
        Source::Runs(tracker) => {
            let found = tracker.shown().map(found).unwrap_or_default();
            let of = tracker.failure_threshold();
            format!("probe `{name}` fails: {found} ({of} of {of} runs)")
        }
        Source::Quorum(quorum) => format!("quorum `{name}` fails: {}", of_quorum(probes, quorum)),
    }
}

/// The first line that says something, cut if it is long.
pub(crate) fn line(text: &str) -> String {
    first_line(text, LONGEST)
}
