//! What a judgement looks like to people: each probe, the sum, and a sentence for each fault.

use holdfast_vrrp::Fault;

use crate::assess::Assessment;
use crate::judgement::{Judgement, ProbeReport, Report};
use crate::policy::{Kind, Policy, Probe};
use crate::probes::{Probes, Slot, Source, View};

/// The judgement with everything that explains it.
pub(crate) fn report(policy: &Policy, probes: &Probes, strict: &Assessment, judgement: Judgement) -> Report {
    Report {
        judgement,
        sum: format!("{} base", policy.base),
        faults: strict
            .faults
            .iter()
            .map(|fault| (fault, sentence(fault)))
            .collect(),
        probes: policy
            .probes
            .iter()
            .zip(probes.slots())
            .map(|(probe, slot)| probe_report(policy, probes, probe, slot))
            .collect(),
        held_back: None,
    }
}

fn sentence(fault: Fault) -> String {
    fault.reason().to_owned()
}

fn probe_report(policy: &Policy, probes: &Probes, probe: &Probe, slot: &Slot) -> ProbeReport {
    let bare = ProbeReport {
        name: probe.name.clone(),
        on_failure: probe.on_failure,
        quorum: slot
            .quorum
            .and_then(|place| policy.probes.get(place))
            .map(|quorum| quorum.name.clone()),
        verdict: slot.verdict(),
        since: None,
        outcome: None,
        message: String::new(),
        streak: (0, 0),
        latest: None,
        healing: None,
    };
    match (&slot.source, &probe.kind) {
        (Source::Runs(tracker), Kind::Runs { thresholds, .. }) => ProbeReport {
            since: tracker.since(),
            outcome: tracker.shown().map(|row| row.outcome),
            message: tracker.shown().map(|row| row.message.clone()).unwrap_or_default(),
            streak: tracker.streak(*thresholds),
            latest: tracker.latest().cloned(),
            healing: tracker.healing().cloned(),
            ..bare
        },
        (Source::Quorum(quorum), _) => {
            let passing = probes.passing(quorum, View::Strict);
            ProbeReport {
                since: quorum.since,
                message: format!(
                    "{passing} of {} pass, {} have to",
                    quorum.of.len(),
                    quorum.at_least
                ),
                streak: (count(passing), count(quorum.at_least)),
                ..bare
            }
        }
        (Source::Runs(_), Kind::Quorum { .. }) => bare,
    }
}

fn count(of: usize) -> u8 {
    u8::try_from(of).unwrap_or(u8::MAX)
}
