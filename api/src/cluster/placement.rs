//! A node that is to serve by somebody's wish: that it can, and for how long.

use core::time::Duration;

use holdfast_vrrp::Priority;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{NodeRecord, Warning};
use crate::reason::Reason;
use crate::v1alpha1::{NodeGroup, NodePreference, VirtualIPGroup, VirtualIPNodeSpec};

/// The priority with which a preferred node stands, if it has no higher one.
const PREFERRED: i32 = Priority::BACKUP_MAX.get() as i32;

/// How many members a message names.
const NAMED_AT_ONCE: usize = 5;

/// What a node is told of a wish; nothing when its time has passed. The API keeps whole seconds, and what is written otherwise
/// would never be what is stored.
pub(super) fn told(wish: NodePreference, now: Timestamp) -> Option<NodePreference> {
    let Some(until) = wish.until else {
        return Some(wish);
    };
    let until = Timestamp::from_second(until.0.as_second()).unwrap_or(until.0);
    let wish = NodePreference {
        until: Some(Time(until)),
    };
    Some(wish).filter(|_| until > now)
}

/// When a node is to be told something else only because time has passed: a wish ends.
pub fn wish_ends_in(now: Timestamp, spec: &VirtualIPNodeSpec) -> Option<Duration> {
    let wishes = spec.groups.iter().filter_map(|entry| entry.preferred.as_ref());
    let ends = wishes.filter_map(|wish| Some(wish.until.as_ref()?.0));
    let next = ends.filter(|end| *end > now).min()?;
    Some(next.duration_since(now).unsigned_abs())
}

/// Why nobody could do as `spec.placement` wishes, if its node is not selected.
pub(super) fn not_a_member(group: &VirtualIPGroup, selected: &[&NodeRecord]) -> Option<(Reason, String)> {
    let wanted = &group.spec.placement.as_ref()?.preferred_node;
    if selected.iter().any(|member| member.name == *wanted) {
        return None;
    }
    let mut names: Vec<&str> = selected.iter().map(|member| &*member.name).collect();
    names.sort_unstable();
    let more = names.len().saturating_sub(NAMED_AT_ONCE);
    names.truncate(NAMED_AT_ONCE);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    let members = names.join(", ") + &more;
    let message = format!(
        "spec.placement.preferredNode: no member of the group is called `{wanted}`: write one of {members}, or remove \
         `placement`"
    );
    Some((Reason::PlacementNotAMember, message))
}

/// A warning if somebody else stands as high as the preferred node, or higher.
pub(super) fn without_effect(group: &VirtualIPGroup, shares: &[(&str, NodeGroup)]) -> Option<Warning> {
    let wanted = &group.spec.placement.as_ref()?.preferred_node;
    let (_, own) = shares.iter().find(|(node, _)| node == wanted)?;
    let stands = own.priority.max(PREFERRED);
    let (node, other) = shares
        .iter()
        .filter(|(node, share)| node != wanted && share.priority >= stands)
        .max_by_key(|(_, share)| share.priority)?;
    Some(Warning {
        reason: Reason::PlacementWithoutEffect,
        message: format!(
            "spec.placement.preferredNode: {wanted} stands in the election with {stands} as long as nothing is wrong with it, \
             and {node} has priority {}: give {node} one below {PREFERRED}, or it may keep the addresses",
            other.priority
        ),
    })
}
