//! A group's conditions, as a test asks about them.

use holdfast_api::v1alpha1::{MemberState, VirtualIPGroup};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// The condition of this type, if the status has it.
pub fn find<'a>(group: &'a VirtualIPGroup, kind: &str) -> Option<&'a Condition> {
    let status = group.status.as_ref()?;
    status.conditions.iter().find(|condition| condition.type_ == kind)
}

/// Whether the condition of this type is true.
pub fn is_true(group: &VirtualIPGroup, kind: &str) -> bool {
    find(group, kind).is_some_and(|condition| condition.status == "True")
}

/// Whether the condition of this type is false; one that is missing is not.
pub fn is_false(group: &VirtualIPGroup, kind: &str) -> bool {
    find(group, kind).is_some_and(|condition| condition.status == "False")
}

/// The reason of the condition of this type; empty where it is missing.
pub fn reason<'a>(group: &'a VirtualIPGroup, kind: &str) -> &'a str {
    find(group, kind).map_or("", |condition| condition.reason.as_str())
}

/// The sentence of the condition of this type; empty where it is missing.
pub fn message<'a>(group: &'a VirtualIPGroup, kind: &str) -> &'a str {
    find(group, kind).map_or("", |condition| condition.message.as_str())
}

/// The node that the status names as active.
pub fn active_node(group: &VirtualIPGroup) -> Option<&str> {
    group.status.as_ref()?.active_node.as_deref()
}

/// The members by name, each with the state that it is known to be in.
pub fn members(group: &VirtualIPGroup) -> Vec<(&str, MemberState)> {
    let members = group.status.iter().flat_map(|status| &status.members);
    members.map(|member| (&*member.node, member.state)).collect()
}

/// Since when the member of this name is in its state, as the status has it.
pub fn since(group: &VirtualIPGroup, node: &str) -> Option<Timestamp> {
    let members = &group.status.as_ref()?.members;
    let member = members.iter().find(|member| member.node == node)?;
    Some(member.since.as_ref()?.0)
}

/// Fails if any version of any group said that two nodes had its addresses, or if no version was seen but the first.
///
/// # Panics
/// With the status that said so.
pub fn never_split(versions: &[VirtualIPGroup]) {
    assert!(versions.len() > 1, "the statuses were not seen: {versions:?}");
    for version in versions {
        assert!(!is_true(version, "SplitBrain"), "{}", describe(version));
    }
}

/// Whether the status is about the present generation.
pub fn is_current(group: &VirtualIPGroup) -> bool {
    group
        .status
        .as_ref()
        .is_some_and(|status| status.observed_generation == group.metadata.generation)
}

/// The status in a few lines, for a test's complaint.
pub fn describe(group: &VirtualIPGroup) -> String {
    let Some(status) = &group.status else {
        return "the group has no status".to_owned();
    };
    let conditions = status.conditions.iter().map(|condition| {
        format!(
            "\n  {}={} {}: {}",
            condition.type_, condition.status, condition.reason, condition.message
        )
    });
    let members = status.members.iter().map(|member| {
        let (reason, message) = (
            member.reason.as_deref().unwrap_or(""),
            member.message.as_deref().unwrap_or(""),
        );
        format!("\n  {} is {:?} {reason}: {message}", member.node, member.state)
    });
    format!(
        "its status: generation {:?} of {:?}, active {:?}{}{}",
        status.observed_generation,
        group.metadata.generation,
        status.active_node,
        conditions.collect::<String>(),
        members.collect::<String>()
    )
}
