//! What a judgement looks like to people: the sum, a sentence for each fault, and each probe.

use crate::assess::Assessment;
use crate::judgement::{HeldBack, Judgement, ProbeReport, Report};
use crate::policy::Policy;
use crate::probes::{Probes, Slot, Source, View};
use crate::sum::sum;
use crate::words;

/// The judgement with everything that explains it.
pub(crate) fn report(
    policy: &Policy,
    probes: &Probes,
    strict: &Assessment<'_>,
    judgement: Judgement,
    held_back: Option<HeldBack>,
) -> Report {
    Report {
        judgement,
        sum: sum(policy, probes, strict, judgement.strict.standing, held_back),
        faults: strict
            .faults
            .iter()
            .map(|fault| (fault, words::fault(policy, probes, fault)))
            .collect(),
        probes: probes.iter().map(|slot| probe_report(probes, slot)).collect(),
        held_back,
    }
}

fn probe_report(probes: &Probes, slot: &Slot) -> ProbeReport {
    let bare = ProbeReport {
        name: slot.name.clone(),
        on_failure: slot.on_failure,
        quorum: slot.quorum.clone(),
        verdict: slot.verdict(),
        since: None,
        outcome: None,
        message: String::new(),
        streak: (0, 0),
        latest: None,
        healing: None,
    };
    match &slot.source {
        Source::Runs(tracker) => ProbeReport {
            since: tracker.since(),
            outcome: tracker.shown().map(|row| row.outcome),
            message: tracker.shown().map(|row| row.message.clone()).unwrap_or_default(),
            streak: tracker.streak(),
            latest: tracker.latest().cloned(),
            healing: tracker.healing().cloned(),
            ..bare
        },
        Source::Quorum(quorum) => ProbeReport {
            since: quorum.since(),
            message: words::of_quorum(probes, quorum),
            streak: (
                count(probes.passing(quorum, View::Strict)),
                count(quorum.at_least),
            ),
            ..bare
        },
    }
}

fn count(of: usize) -> u8 {
    u8::try_from(of).unwrap_or(u8::MAX)
}
