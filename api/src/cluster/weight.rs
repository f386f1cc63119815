//! Weights that change nothing: probes whose failure leaves everybody where they are in the order of priorities.

use holdfast_vrrp::Priority;

use super::Warning;
use crate::reason::Reason;
use crate::v1alpha1::{FailureActionType, FileValue, NodeGroup, Probe, VirtualIPGroup};

/// Where one member stands.
#[derive(Clone, Copy)]
struct Range {
    /// While every probe passes.
    passing: i32,
    /// While every probe fails.
    failing: i32,
}

/// A warning if all the weights of a group together cannot put one of its members behind another.
pub(super) fn without_effect(group: &VirtualIPGroup, shares: &[(&str, NodeGroup)]) -> Option<Warning> {
    let probes = &group.spec.probes;
    let acting = probes
        .iter()
        .filter(|probe| !Probe::is_in_quorum(&probe.name, probes));
    let acting: Vec<&Probe> = acting.collect();
    // What a file holds, only its node knows.
    if acting.iter().any(|probe| adds_a_number(probe)) {
        return None;
    }
    let weighing: Vec<(&str, i32)> = acting
        .into_iter()
        .filter(|probe| probe.on_failure.type_ == FailureActionType::Weight)
        .map(|probe| (&*probe.name, probe.on_failure.weight.unwrap_or(0)))
        .collect();
    if weighing.is_empty() {
        return None;
    }
    let weights = || weighing.iter().map(|(_, weight)| *weight);
    let (gained, lost) = (
        weights().map(|it| it.max(0)).sum(),
        weights().map(|it| it.min(0)).sum(),
    );
    let ranges: Vec<Range> = shares
        .iter()
        .map(|(_, share)| Range {
            passing: with(share.priority, gained),
            failing: with(share.priority, lost),
        })
        .collect();
    // Each with each that it is ahead of, or equal to.
    let pairs: Vec<(Range, Range)> = ranges
        .iter()
        .enumerate()
        .flat_map(|(place, ahead)| {
            let others = ranges
                .iter()
                .enumerate()
                .filter(move |(other, _)| *other != place);
            others.map(|(_, behind)| (*ahead, *behind))
        })
        .filter(|(ahead, behind)| ahead.passing >= behind.passing)
        .collect();
    let gap = pairs
        .iter()
        .map(|(ahead, behind)| ahead.passing - behind.passing)
        .min()?;
    if pairs.iter().any(|(ahead, behind)| ahead.failing < behind.passing) {
        return None;
    }
    let step = ranges
        .iter()
        .map(|range| range.passing - range.failing)
        .max()
        .unwrap_or(0)
        .max(0);
    let probes: Vec<String> = weighing.iter().map(|(name, _)| format!("`{name}`")).collect();
    Some(Warning {
        reason: Reason::WeightWithoutEffect,
        message: format!(
            "spec.probes: {} can lower a priority by {step}, and the closest two members are {gap} apart, so that nobody hands \
             over for it: write a weight beyond {gap}, or `onFailure: {{type: Hold}}`",
            probes.join(", ")
        ),
    })
}

fn adds_a_number(probe: &Probe) -> bool {
    let file = probe.file.as_ref();
    file.is_some_and(|file| file.value == FileValue::Priority)
}

/// A priority with something added: only an owner's, to which nothing is added, is 255.
fn with(priority: i32, adds: i32) -> i32 {
    if adds == 0 {
        priority
    } else {
        priority
            .saturating_add(adds)
            .clamp(1, i32::from(Priority::BACKUP_MAX.get()))
    }
}
