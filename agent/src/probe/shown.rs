//! What is made of a group's probes, as status shows it: words and dates instead of types and instants.

use std::collections::BTreeMap;

use holdfast_health::{Healing, OnFailure, Outcome, ProbeReport, Report};
use holdfast_vrrp::Instant;
use jiff::{SignedDuration, Timestamp};

use super::group::Counted;
use crate::status::{FaultStatus, HealingStatus, HealthStatus, ProbeStatus, RunStatus};

/// Every outcome, so that those that never happened are counted as 0.
const OUTCOMES: [Outcome; 4] = [
    Outcome::Passed,
    Outcome::Failed,
    Outcome::TimedOut,
    Outcome::CouldNotRun,
];

/// The instants that a report speaks of.
pub fn instants(report: &Report) -> impl Iterator<Item = Instant> {
    let held_back = report.held_back.map(|held_back| held_back.until);
    let probes = report.probes.iter().flat_map(|probe| {
        let healed = probe.healing.as_ref().and_then(|healing| healing.ended);
        [probe.since, healed]
    });
    probes.flatten().chain(held_back)
}

/// What is shown of a group. `dates` has the date of each of its [`instants`], `counted` how a probe's runs have ended.
pub fn health(
    report: &Report,
    dates: &BTreeMap<Instant, Timestamp>,
    counted: impl Fn(&str) -> Option<Counted>,
) -> HealthStatus {
    let date = |then: Instant| dates.get(&then).copied();
    let fault = |(fault, sentence): &(holdfast_vrrp::Fault, String)| FaultStatus {
        reason: fault.reason().to_owned(),
        message: sentence.clone(),
    };
    let probe = |probe: &ProbeReport| {
        let counted = counted(&probe.name);
        ProbeStatus {
            name: probe.name.clone(),
            on_failure: probe
                .quorum
                .as_ref()
                .map_or_else(|| on_failure(probe.on_failure), |_| "Quorum".to_owned()),
            quorum: probe.quorum.clone(),
            verdict: probe.verdict.name().to_owned(),
            outcome: probe.outcome.map(|outcome| outcome.name().to_owned()),
            message: probe.message.clone(),
            since: probe.since.and_then(date),
            streak: format!("{} of {}", probe.streak.0, probe.streak.1),
            latest: probe.latest.as_ref().map(run),
            healing: probe.healing.as_ref().map(|one| healing(one, date)),
            runs: counted.as_ref().map_or_else(BTreeMap::new, runs),
            time: counted.map_or(SignedDuration::ZERO, |counted| {
                SignedDuration::try_from(counted.took).unwrap_or(SignedDuration::MAX)
            }),
        }
    };
    HealthStatus {
        priority_explained: report.sum.clone(),
        held_back_until: report.held_back.and_then(|held_back| date(held_back.until)),
        faults: report.faults.iter().map(fault).collect(),
        probes: report.probes.iter().map(probe).collect(),
        warnings: Vec::new(),
    }
}

/// What a failure does, in a word and its number: `Hold`, `Weight −50`.
pub fn on_failure(what: OnFailure) -> String {
    match what {
        OnFailure::None => "None".to_owned(),
        OnFailure::Hold => "Hold".to_owned(),
        OnFailure::Fault => "Fault".to_owned(),
        OnFailure::Weight(weight) if weight < 0 => format!("Weight \u{2212}{}", weight.unsigned_abs()),
        OnFailure::Weight(weight) => format!("Weight {weight}"),
    }
}

fn run(run: &holdfast_health::Run) -> RunStatus {
    RunStatus {
        outcome: run.outcome.name().to_owned(),
        message: run.message.clone(),
    }
}

fn healing(healing: &Healing, date: impl Fn(Instant) -> Option<Timestamp>) -> HealingStatus {
    HealingStatus {
        attempt: healing.attempt.get(),
        of: healing.of.get(),
        running: healing.running,
        ended: healing.ended.and_then(date),
        result: healing.result.as_ref().map(run),
    }
}

fn runs(counted: &Counted) -> BTreeMap<String, u64> {
    OUTCOMES
        .into_iter()
        .map(|outcome| {
            let count = counted.runs.get(&outcome).copied().unwrap_or(0);
            (outcome.name().to_owned(), count)
        })
        .collect()
}
