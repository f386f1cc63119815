//! Groups that move together have to agree on everything that decides where they go.

use serde_json::{Value, json};

use super::Rival;
use crate::reason::Reason;
use crate::rules::election_family;
use crate::v1alpha1::{VirtualIPGroup, VirtualIPGroupSpec};

/// How much of a value a message repeats.
const VALUE_CHARS: usize = 200;

/// Why `group` cannot move together with those of its sync group that come first: the first field that differs.
pub(super) fn mismatch(group: &VirtualIPGroup, rivals: &[Rival<'_>]) -> Option<(Reason, String)> {
    let sync_group = group.spec.sync_group.as_ref()?;
    let mut fellows = rivals.iter().map(|rival| rival.group).filter(|other| {
        // Who goes need not be followed.
        other.metadata.deletion_timestamp.is_none() && other.spec.sync_group.as_ref() == Some(sync_group)
    });
    fellows.find_map(|other| {
        let (ours, theirs) = (deciding(&group.spec), deciding(&other.spec));
        let mut pairs = ours.into_iter().zip(theirs);
        let ((field, own), (_, their)) = pairs.find(|(own, their)| own != their)?;
        let message = format!(
            "{field}: this is {}, and {} in group `{}`, which is in sync group `{sync_group}` too: write the same in both, or \
             take one of them out of the sync group",
            shown(&own),
            shown(&their),
            other.metadata.name.as_deref().unwrap_or_default()
        );
        Some((Reason::SyncGroupMismatch, message))
    })
}

/// The fields that decide where a group goes and when, each with its value.
fn deciding(spec: &VirtualIPGroupSpec) -> [(&'static str, Value); 9] {
    // No selector and an empty one select the same.
    let selector = spec.node_selector.as_ref().filter(|selector| {
        selector
            .match_labels
            .as_ref()
            .is_some_and(|labels| !labels.is_empty())
            || selector
                .match_expressions
                .as_ref()
                .is_some_and(|all| !all.is_empty())
    });
    [
        ("spec.nodeSelector", json!(selector)),
        ("spec.nodeOverrides", json!(spec.node_overrides)),
        ("spec.interface", json!(spec.interface)),
        ("spec.priority", json!(spec.priority)),
        ("spec.preemption", json!(spec.preemption)),
        ("spec.placement", json!(spec.placement)),
        ("spec.advertisement.interval", json!(spec.advertisement.interval)),
        ("spec.advertisement.version", json!(spec.advertisement.version)),
        ("spec.advertisement.family", json!(election_family(spec))),
    ]
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => return "not written".to_owned(),
        Value::Array(all) if all.is_empty() => return "empty".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.chars().count() <= VALUE_CHARS {
        return text;
    }
    text.chars().take(VALUE_CHARS).collect::<String>() + "…"
}
