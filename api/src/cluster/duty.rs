//! What is asked of a node that is being worked on: its Node object says that it is, a group's `maintenance` says what follows.

use super::KubeNode;
use crate::v1alpha1::{CordonAction, MAINTENANCE, Maintenance, NodeDuty, NodeDutyType, TaintAction};

/// How much of a reason an entry holds.
const REASON_CHARS: usize = 256;

/// What is asked of the node with this name and this Node object, with every reason for the strongest thing that is.
pub fn duty(maintenance: &Maintenance, name: &str, node: &KubeNode) -> NodeDuty {
    let annotated = node
        .in_maintenance
        .then(|| (NodeDutyType::Release, format!("annotation {MAINTENANCE}=true")));
    let cordoned = of_cordon(maintenance.on_cordon)
        .filter(|_| node.cordoned)
        .map(|duty| (duty, format!("cordoned: kubectl uncordon {name} ends it")));
    let tainted = node.taints.iter().filter_map(|taint| {
        let policies = maintenance.on_taint.iter().filter(|policy| {
            policy.key == taint.key
                && policy.value.as_ref().is_none_or(|value| *value == taint.value)
                && policy
                    .effect
                    .as_ref()
                    .is_none_or(|effect| *effect == taint.effect)
        });
        let duty = policies.map(|policy| of_taint(policy.action)).max()?;
        Some((duty, format!("taint {taint}")))
    });
    let asked: Vec<(NodeDutyType, String)> = annotated.into_iter().chain(cordoned).chain(tainted).collect();
    let Some(strongest) = asked.iter().map(|(duty, _)| *duty).max() else {
        return NodeDuty::default();
    };
    let reasons = asked.into_iter().filter(|(duty, _)| *duty == strongest);
    let reasons: Vec<String> = reasons.map(|(_, reason)| reason).collect();
    NodeDuty {
        type_: strongest,
        reason: Some(reasons.join("; ").chars().take(REASON_CHARS).collect()),
    }
}

fn of_cordon(action: CordonAction) -> Option<NodeDutyType> {
    match action {
        CordonAction::Ignore => None,
        CordonAction::Demote => Some(NodeDutyType::Demote),
        CordonAction::Release => Some(NodeDutyType::Release),
    }
}

fn of_taint(action: TaintAction) -> NodeDutyType {
    match action {
        TaintAction::Demote => NodeDutyType::Demote,
        TaintAction::Release => NodeDutyType::Release,
    }
}
