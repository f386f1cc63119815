//! What one node is told in all: its share of each group, tombstones of what it is to forget, and what it was told of groups
//! that are nowhere: absence is not an instruction.

use core::net::IpAddr;
use std::collections::BTreeMap;

use jiff::Timestamp;

use super::members::{Share, is_deselected, written_share};
use super::plan::Plan;
use super::seat::{Seat, active};
use super::{NodeRecord, duty, placement};
use crate::v1alpha1::{GroupSource, NodeGroup, VirtualIPNodeSpec};

/// What `node` is to be told now: its share of each group, tombstones of what it is to forget, and what it was told of groups
/// that are nowhere (absence is not an instruction). `is_virtual` says whether an address is anybody's virtual address.
///
/// The records have to contain everything that was written so far: whoever decides on an older copy of a member's entry
/// may admit somebody whom that member no longer hears.
pub fn node_spec<'a>(
    now: Timestamp,
    cluster_uid: &str,
    node: &NodeRecord,
    shares: impl IntoIterator<Item = Share<'a>>,
    is_virtual: &dyn Fn(IpAddr) -> bool,
) -> VirtualIPNodeSpec {
    let stored = node.object.iter().flat_map(|object| &object.spec.groups);
    let mut groups: BTreeMap<String, NodeGroup> = stored
        .filter(|entry| !(entry.deleted && Seat::of(node, &entry.name).has_let_go()))
        .map(|entry| (entry.name.clone(), entry.clone()))
        .collect();
    for share in shares {
        let name = share.group.metadata.name.clone().unwrap_or_default();
        if let Some(mut entry) = entry(node, &share, is_virtual) {
            entry.preferred = entry.preferred.and_then(|wish| placement::told(wish, now));
            groups.insert(name, entry);
        }
    }
    VirtualIPNodeSpec {
        cluster_uid: Some(cluster_uid.to_owned()),
        groups: groups.into_values().collect(),
        required_features: Vec::new(),
    }
}

/// What a node is to be told of one group; `None` if that is what it was told before.
fn entry(node: &NodeRecord, share: &Share<'_>, is_virtual: &dyn Fn(IpAddr) -> bool) -> Option<NodeGroup> {
    let place = share.members.iter().position(|member| member.name == node.name)?;
    let seat = Seat::of(node, share.group.metadata.name.as_deref()?);
    if share.group.metadata.deletion_timestamp.is_some() {
        let dismissed = !share.protected && !stays_until_others_left(share, place);
        return tombstone(share, &seat).filter(|_| dismissed);
    }
    if !share.verdict.accepted {
        return kept(share, &seat);
    }
    if is_deselected(share.group, node) {
        // What only a file of the node says is between the file and the node.
        let told = seat.entry().is_some()
            || seat
                .reported
                .is_some_and(|report| report.source != GroupSource::File);
        return tombstone(share, &seat).filter(|_| told);
    }
    Plan::new(share.group, share.members, is_virtual).entry(place)
}

/// A refused group runs on as it was told, but for the work on its node: that waits for nobody's edit.
fn kept(share: &Share<'_>, seat: &Seat<'_>) -> Option<NodeGroup> {
    let (entry, node) = (seat.entry()?, seat.record.node.as_ref()?);
    Some(NodeGroup {
        duty: duty(&share.group.spec.maintenance, &seat.record.name, node),
        ..entry.clone()
    })
}

/// Of a group that is deleted, the Active one goes last, so that nobody takes over on the way out.
fn stays_until_others_left(share: &Share<'_>, place: usize) -> bool {
    let name = share.group.metadata.name.as_deref().unwrap_or_default();
    let seats: Vec<Seat<'_>> = share
        .members
        .iter()
        .map(|member| Seat::of(member, name))
        .collect();
    let others = seats.iter().enumerate().filter(|(other, _)| *other != place);
    active(&seats) == Some(place)
        && others
            .into_iter()
            .any(|(_, seat)| seat.is_live() && !seat.has_let_go())
}

/// The entry that has an agent hand over and forget the group; `None` for one that has nothing to forget.
fn tombstone(share: &Share<'_>, seat: &Seat<'_>) -> Option<NodeGroup> {
    if seat.has_let_go() {
        return None;
    }
    let known = seat
        .stored
        .cloned()
        .or_else(|| written_share(share.group, seat.record))?;
    Some(NodeGroup {
        deleted: true,
        ..known
    })
}
