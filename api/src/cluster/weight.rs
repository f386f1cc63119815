//! Weights that change nothing: a probe whose failure leaves everybody where they are in the order of priorities.

use super::Warning;
use crate::reason::Reason;
use crate::v1alpha1::{FailureActionType, NodeGroup, Probe, VirtualIPGroup};

/// A warning if all the weights of a group together cannot put one of its members behind another.
pub(super) fn without_effect(group: &VirtualIPGroup, shares: &[(&str, NodeGroup)]) -> Option<Warning> {
    let weighing: Vec<&Probe> = group
        .spec
        .probes
        .iter()
        .filter(|probe| probe.on_failure.type_ == FailureActionType::Weight)
        .collect();
    // A negative weight is added by a failure, a positive one is taken away by it: the step is the same.
    let steps = weighing.iter().filter_map(|probe| probe.on_failure.weight);
    let together: i32 = steps.map(i32::saturating_abs).sum();
    let mut priorities: Vec<i32> = shares.iter().map(|(_, share)| share.priority).collect();
    priorities.sort_unstable();
    let gap = priorities.windows(2).map(|pair| pair[1] - pair[0]).min()?;
    if weighing.is_empty() || together > gap {
        return None;
    }
    let probes: Vec<String> = weighing.iter().map(|probe| format!("`{}`", probe.name)).collect();
    Some(Warning {
        reason: Reason::WeightWithoutEffect,
        message: format!(
            "spec.probes: {} can change a priority by {together}, and the closest two members are {gap} apart, so that \
             nobody ever hands over: write a weight beyond {gap}, or `onFailure: {{type: Hold}}`",
            probes.join(", ")
        ),
    })
}
