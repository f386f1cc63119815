//! The deletion of a group: who has let go of its addresses, and how long the others are waited for.

use core::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::seat::Seat;
use super::{AgentLife, NodeRecord};
use crate::v1alpha1::{AGENT_LEASE_SECONDS, ALLOW_DELETE, VirtualIPGroup};

/// How far a deletion is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Withdrawal {
    /// It is refused for now: the cluster's API endpoint is at one of the group's addresses, for this reason.
    Protected(String),
    /// These nodes have not yet let go; look again after this time if nothing changes before.
    Waiting {
        /// Their names.
        nodes: Vec<String>,
        /// When waiting for the next of them ends; `None`: all of them are alive and will answer.
        look_again: Option<Duration>,
    },
    /// The finalizer may go; these nodes have not confirmed, and nobody waits for them any longer.
    Done {
        /// Their names.
        unconfirmed: Vec<String>,
    },
}

/// How far the deletion of `group` (whose `deletionTimestamp` is set) is. `endpoint` says why one of its addresses is the
/// cluster's API endpoint as far as the operator itself knows; an agent whose Lease has expired is waited for this long.
pub fn withdrawal(
    now: Timestamp,
    group: &VirtualIPGroup,
    members: &[&NodeRecord],
    endpoint: Option<&str>,
    patience: Duration,
) -> Withdrawal {
    if let Some(reason) = protection(group, members, endpoint) {
        return Withdrawal::Protected(reason);
    }
    let name = group.metadata.name.as_deref().unwrap_or_default();
    let deleted = group
        .metadata
        .deletion_timestamp
        .as_ref()
        .map_or(now, |time| time.0);
    let (mut waited_for, mut unconfirmed, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for member in members {
        let seat = Seat::of(member, name);
        if seat.has_let_go() {
            continue;
        }
        // Without a tombstone the node would keep its entry for ever when the group is gone.
        let told = seat.is_dismissed();
        match end_of_waiting(member, deleted, patience) {
            _ if seat.is_unmanned() && told => {}
            Some(end) if end <= now && told => unconfirmed.push(member.name.clone()),
            end => {
                waited_for.push(member.name.clone());
                ends.extend(end.filter(|end| *end > now));
            }
        }
    }
    if waited_for.is_empty() {
        return Withdrawal::Done { unconfirmed };
    }
    Withdrawal::Waiting {
        nodes: waited_for,
        look_again: ends
            .into_iter()
            .min()
            .map(|end| end.duration_since(now).unsigned_abs()),
    }
}

/// Until when a member is waited for; `None`: until it answers, for its agent is there.
fn end_of_waiting(member: &NodeRecord, deleted: Timestamp, patience: Duration) -> Option<Timestamp> {
    let lease = SignedDuration::from_secs(i64::from(AGENT_LEASE_SECONDS));
    let lost = match member.agent {
        AgentLife::Fresh(_) => return None,
        AgentLife::Expired(heard) => heard.saturating_add(lease).unwrap_or(heard),
        AgentLife::Never => deleted,
    };
    let patience = SignedDuration::try_from(patience).unwrap_or(SignedDuration::MAX);
    lost.max(deleted).saturating_add(patience).ok()
}

/// Why a group is not deleted although somebody asked for it.
fn protection(group: &VirtualIPGroup, members: &[&NodeRecord], endpoint: Option<&str>) -> Option<String> {
    let annotations = group.metadata.annotations.as_ref();
    if annotations
        .and_then(|all| all.get(ALLOW_DELETE))
        .is_some_and(|value| value == "true")
    {
        return None;
    }
    let name = group.metadata.name.as_deref().unwrap_or_default();
    let found = |wanted: &dyn Fn(&Seat<'_>) -> bool| {
        let seats = members.iter().map(|member| Seat::of(member, name));
        seats
            .into_iter()
            .find(|seat| wanted(seat))
            .map(|seat| &*seat.record.name)
    };
    let carries = |seat: &Seat<'_>| seat.reported.is_some_and(|report| report.carries_api_endpoint);
    let in_file = |seat: &Seat<'_>| seat.reported.is_some_and(|report| report.in_file);
    let why = endpoint
        .map(str::to_owned)
        .or_else(|| {
            found(&carries)
                .map(|node| format!("node {node} reaches the API server through one of its addresses"))
        })
        .or_else(|| {
            found(&in_file).map(|node| {
                format!("a file on node {node} has the group too, as one does that the cluster stands on")
            })
        })?;
    Some(format!(
        "{why}: if it is really to go, say so with `kubectl annotate virtualipgroup {name} {ALLOW_DELETE}=true`"
    ))
}
