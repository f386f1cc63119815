//! Which groups a new state of a `VirtualIPNode` concerns, and how far each change of it reaches.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_api::cluster::StoredNode;
use holdfast_api::reason::Reason;
use holdfast_api::v1alpha1::{Fault, MemberState, NodeGroup, NodeGroupStatus, VirtualIPNodeStatus};

pub(super) fn names(groups: &[NodeGroup], status: &VirtualIPNodeStatus) -> Changed {
    let told = groups.iter().map(|group| group.name.clone());
    let said = status.groups.iter().map(|group| group.name.clone());
    told.chain(said).map(|name| (name, Depth::Told)).collect()
}

/// How far a change of one group's entry on one node reaches.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Depth {
    /// What the group's status says.
    Said,
    /// What the group's other members are told.
    Told,
}

/// The groups that changed on a node.
pub(super) type Changed = BTreeMap<String, Depth>;

/// The groups whose entry differs between what was stored and what is.
pub(super) fn changed_groups(
    old: &StoredNode,
    groups: &[NodeGroup],
    generation: i64,
    status: &VirtualIPNodeStatus,
) -> Changed {
    // An acknowledgement is one of everything.
    if old.status.observed_generation != status.observed_generation || old.generation != generation {
        let mut all = names(&old.spec.groups, &old.status);
        all.extend(names(groups, status));
        return all;
    }
    let said = |status: &VirtualIPNodeStatus| -> BTreeMap<String, NodeGroupStatus> {
        let groups = status.groups.iter();
        groups.map(|group| (group.name.clone(), group.clone())).collect()
    };
    let (old, new) = (said(&old.status), said(status));
    let everything: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    everything
        .into_iter()
        .filter_map(|name| match (old.get(name), new.get(name)) {
            (Some(old), Some(new)) if old == new => None,
            (Some(old), Some(new)) if heard(old) == heard(new) => Some((name.clone(), Depth::Said)),
            _ => Some((name.clone(), Depth::Told)),
        })
        .collect()
}

/// What of a node's word about a group decides what other members are told.
fn heard(said: &NodeGroupStatus) -> impl PartialEq + '_ {
    let active = said.state == MemberState::Active;
    let refuses = |fault: &Fault| fault.reason == Reason::ConfigurationRefused.as_str();
    (
        said.applied_generation,
        said.source_address.as_deref(),
        active.then_some(said.since.as_ref()),
        said.faults.iter().any(refuses),
    )
}
