//! Everything the operator knows, folded from watch events, and what each event makes worth looking at again. Pure and
//! synchronous; the work grows with the change and not with the cluster.
//!
//! Facts go in (`apply_…`, `delete_…`, [`Index::advance`]), [`Index::settle`] says which groups and nodes they touch, and
//! `views` hands out what the two reconcilers read. Nothing here decides what a node is told: that is
//! `holdfast_api::cluster`.

mod changed;
mod keys;
mod life;
mod members;
#[cfg(test)]
mod tests;
mod verdicts;
mod views;

use core::net::IpAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use holdfast_api::cluster::{KubeNode, NodeRecord, StoredNode, Verdict, duty};
use holdfast_api::v1alpha1::{VirtualIPGroup, VirtualIPNode};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt as _;

use changed::{Changed, Depth, changed_groups, names};
pub use keys::virtual_addresses;
use life::Life;
pub use views::{GroupView, NodePlan, Stored};

/// The names of what has to be looked at again.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Dirty {
    /// Groups, whose status or acceptance may have changed.
    pub groups: BTreeSet<String>,
    /// Nodes, whose `VirtualIPNode` may have to say something else.
    pub nodes: BTreeSet<String>,
}

impl Dirty {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.nodes.is_empty()
    }
}

/// How an object was seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seen {
    /// In a list: that is how things are, also if time has gone back, as it does when etcd is restored.
    Listed,
    /// In a watch, or as the answer to a write. The two overtake each other, so what is older than what is known is
    /// passed over.
    Told,
}

/// Everything the operator knows. See the module.
#[derive(Debug)]
pub struct Index {
    /// When this operator started: what it saw first was already so.
    started: Timestamp,
    /// The UID of the namespace kube-system, which stands for the cluster.
    cluster_uid: String,
    /// How long a node whose agent is silent and whose Node object is gone stays a member.
    patience: Duration,
    groups: BTreeMap<String, Arc<VirtualIPGroup>>,
    nodes: BTreeMap<String, Entry>,
    /// The nodes that share in a group or still have it, gone ones among them.
    members: BTreeMap<String, BTreeSet<String>>,
    /// The same from the other side.
    memberships: BTreeMap<String, BTreeSet<String>>,
    /// Which groups have a virtual address.
    virtual_addresses: HashMap<IpAddr, BTreeSet<String>>,
    /// Which Nodes have an address.
    node_addresses: HashMap<IpAddr, BTreeSet<String>>,
    /// Which groups move together.
    sync_groups: BTreeMap<String, BTreeSet<String>>,
    verdicts: BTreeMap<String, Verdict>,
    /// Groups in deletion whose tombstones may be given out, by UID.
    withdrawing: BTreeSet<String>,
    /// Groups to be judged anew when the index settles.
    unjudged: BTreeSet<String>,
    leases: life::Watching,
    dirty: Dirty,
}

/// One node, by whichever of its objects it is known.
#[derive(Debug, Default)]
struct Entry {
    record: Arc<NodeRecord>,
    life: Life,
    /// The UID and the version of the `VirtualIPNode`, for the next write's precondition.
    stored: ObjectMeta,
}

impl Index {
    /// An index that knows nothing yet.
    pub fn new(started: Timestamp, patience: Duration) -> Self {
        Self {
            started,
            cluster_uid: String::new(),
            patience,
            groups: BTreeMap::new(),
            nodes: BTreeMap::new(),
            members: BTreeMap::new(),
            memberships: BTreeMap::new(),
            virtual_addresses: HashMap::new(),
            node_addresses: HashMap::new(),
            sync_groups: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            withdrawing: BTreeSet::new(),
            unjudged: BTreeSet::new(),
            leases: life::Watching::default(),
            dirty: Dirty::default(),
        }
    }

    /// Which cluster this is: the first thing to say, before anything is planned.
    pub fn set_cluster(&mut self, uid: String) {
        self.cluster_uid = uid;
    }

    /// A group as the API server has it now.
    pub fn apply_group(&mut self, group: VirtualIPGroup, seen: Seen) {
        let name = group.name_any();
        let old = self.groups.get(&name).map(Arc::clone);
        let told = match &old {
            Some(old) if **old == group => return,
            Some(old) if seen == Seen::Told && is_older(&group.metadata, &old.metadata) => return,
            Some(old) => same_instructions(old, &group),
            None => false,
        };
        self.dirty.groups.insert(name.clone());
        self.unjudge_with_neighbors(&name);
        if let Some(old) = &old {
            self.forget_keys(old);
        }
        self.remember_keys(&group);
        self.groups.insert(name.clone(), Arc::new(group));
        if !told {
            self.touch_members(&name);
            self.find_members(&name);
            self.touch_members(&name);
            self.unjudge_with_neighbors(&name);
        }
    }

    /// A group is no more.
    pub fn delete_group(&mut self, name: &str) {
        let Some(group) = self.groups.get(name).map(Arc::clone) else {
            return;
        };
        self.unjudge_with_neighbors(name);
        self.touch_members(name);
        self.forget_keys(&group);
        if let Some(uid) = group.uid() {
            self.withdrawing.remove(&uid);
        }
        self.groups.remove(name);
        self.verdicts.remove(name);
        self.unjudged.remove(name);
        self.forget_members(name);
        self.dirty.groups.insert(name.to_owned());
    }

    /// A Node as the API server has it now. What of it no group asks for touches nothing.
    pub fn apply_node(&mut self, name: &str, node: KubeNode, now: Timestamp) {
        let entry = self.entry(name, now);
        if entry.record.node.as_ref() == Some(&node) {
            return;
        }
        entry.life.node_seen();
        let new = node.clone();
        let old = Arc::make_mut(&mut entry.record).node.replace(node);
        let told = old.iter().flat_map(KubeNode::addresses);
        let moved = old.is_none() || !told.eq(new.addresses());
        let relabeled = old.as_ref().map(|old| &old.labels) != Some(&new.labels);
        self.not_gone(name);
        if relabeled {
            self.find_memberships(name);
        }
        if old
            .as_ref()
            .is_some_and(|old| self.asks_something_else(name, old, &new))
        {
            self.dirty.nodes.insert(name.to_owned());
        }
        if moved {
            self.move_node(name, old.as_ref(), Some(&new));
        }
    }

    /// Whether one of a node's groups asks something else of it, now that it is worked on or is not any more.
    fn asks_something_else(&self, name: &str, old: &KubeNode, new: &KubeNode) -> bool {
        let groups = self.memberships.get(name).into_iter().flatten();
        groups.filter_map(|group| self.groups.get(group)).any(|group| {
            let asked = |node: &KubeNode| duty(&group.spec.maintenance, name, node);
            asked(old) != asked(new)
        })
    }

    /// A Node object is no more. The node itself may well be there.
    pub fn delete_node(&mut self, name: &str, now: Timestamp) {
        let Some(entry) = self.nodes.get_mut(name) else {
            return;
        };
        let Some(old) = entry.record.node.clone() else {
            return;
        };
        Arc::make_mut(&mut entry.record).node = None;
        entry.life.node_missing(now);
        self.schedule_life(name);
        self.find_memberships(name);
        self.move_node(name, Some(&old), None);
        self.forget_if_unknown(name);
    }

    /// A `VirtualIPNode` as the API server has it now.
    pub fn apply_stored(&mut self, object: VirtualIPNode, seen: Seen, now: Timestamp) {
        let name = object.name_any();
        let entry = self.entry(&name, now);
        if seen == Seen::Told && is_older(&object.metadata, &entry.stored) {
            return;
        }
        entry.stored = ObjectMeta {
            uid: object.metadata.uid.clone(),
            resource_version: object.metadata.resource_version.clone(),
            ..ObjectMeta::default()
        };
        let generation = object.metadata.generation.unwrap_or_default();
        let status = object.status.unwrap_or_default();
        let old = entry.record.object.as_ref();
        let told = old.is_none_or(|old| old.generation != generation || old.spec != object.spec);
        let said = old.is_none_or(|old| old.status != status);
        if !told && !said {
            return;
        }
        let speaks_first = old.is_none_or(|old| old.status.observed_generation.is_none())
            && status.observed_generation.is_some();
        let mut changed = old.map_or_else(
            || names(&object.spec.groups, &status),
            |old| changed_groups(old, &object.spec.groups, generation, &status),
        );
        let status_seen = match old {
            Some(old) if !said => old.status_seen,
            _ => now,
        };
        Arc::make_mut(&mut entry.record).object = Some(StoredNode {
            generation,
            spec: object.spec,
            status,
            status_seen,
        });
        if told {
            self.dirty.nodes.insert(name.clone());
        }
        if speaks_first {
            // Its groups have waited for this word, and neither side has named them yet.
            let groups = self.memberships.get(&name).into_iter().flatten();
            changed.extend(groups.map(|group| (group.clone(), Depth::Told)));
        }
        self.changed_entries(&name, &changed);
        self.schedule_life(&name);
    }

    /// A `VirtualIPNode` is no more, which is no instruction.
    pub fn delete_stored(&mut self, name: &str) {
        let Some(entry) = self.nodes.get_mut(name) else {
            return;
        };
        let Some(old) = entry.record.object.clone() else {
            return;
        };
        Arc::make_mut(&mut entry.record).object = None;
        entry.stored = ObjectMeta::default();
        self.dirty.nodes.insert(name.to_owned());
        self.changed_entries(name, &names(&old.spec.groups, &old.status));
        self.forget_if_unknown(name);
    }

    /// Whether tombstones of a group in deletion may be given out: the group reconciler decides that, in one place.
    pub fn set_withdrawing(&mut self, group: &str, uid: &str, withdrawing: bool) {
        let changed = if withdrawing {
            self.withdrawing.insert(uid.to_owned())
        } else {
            self.withdrawing.remove(uid)
        };
        if changed {
            self.touch_members(group);
        }
    }

    /// Everything is to be looked at: after a start, or when this replica begins to lead.
    pub fn touch_all(&mut self) {
        self.dirty.groups.extend(self.groups.keys().cloned());
        self.dirty.nodes.extend(self.nodes.keys().cloned());
    }

    /// Judges what has to be judged anew and answers everything that became worth looking at since the last call.
    pub fn settle(&mut self) -> Dirty {
        self.judge_anew();
        core::mem::take(&mut self.dirty)
    }

    /// The names of all groups, to tell which of them a new list no longer has.
    pub fn group_names(&self) -> BTreeSet<String> {
        self.groups.keys().cloned().collect()
    }

    /// The names of all nodes that have a Node object.
    pub fn node_names(&self) -> BTreeSet<String> {
        self.names_where(|entry| entry.record.node.is_some())
    }

    /// The names of all nodes that have a `VirtualIPNode`.
    pub fn stored_names(&self) -> BTreeSet<String> {
        self.names_where(|entry| entry.record.object.is_some())
    }

    fn names_where(&self, known: impl Fn(&Entry) -> bool) -> BTreeSet<String> {
        let known = self.nodes.iter().filter(|(_, entry)| known(entry));
        known.map(|(name, _)| name.clone()).collect()
    }

    fn entry(&mut self, name: &str, now: Timestamp) -> &mut Entry {
        self.nodes.entry(name.to_owned()).or_insert_with(|| {
            let record = NodeRecord {
                name: name.to_owned(),
                ..NodeRecord::default()
            };
            Entry {
                record: Arc::new(record),
                life: Life::new(now),
                stored: ObjectMeta::default(),
            }
        })
    }

    fn forget_if_unknown(&mut self, name: &str) {
        let unknown = |entry: &Entry| {
            entry.record.node.is_none() && entry.record.object.is_none() && !entry.life.has_lease()
        };
        if self.nodes.get(name).is_some_and(unknown) {
            self.unschedule_life(name);
            self.nodes.remove(name);
            for group in self.memberships.remove(name).unwrap_or_default() {
                if let Some(members) = self.members.get_mut(&group) {
                    members.remove(name);
                }
            }
        }
    }
}

/// Whether one state of an object came before another one of the same object. Versions are numbers that grow.
fn is_older(new: &ObjectMeta, known: &ObjectMeta) -> bool {
    let version = |metadata: &ObjectMeta| -> Option<u64> { metadata.resource_version.as_ref()?.parse().ok() };
    new.uid == known.uid && version(new) < version(known)
}

/// Whether two versions of a group differ in nothing that a node is told or that decides who is a member.
fn same_instructions(old: &VirtualIPGroup, new: &VirtualIPGroup) -> bool {
    old.spec == new.spec
        && old.metadata.uid == new.metadata.uid
        && old.metadata.generation == new.metadata.generation
        && old.metadata.deletion_timestamp == new.metadata.deletion_timestamp
        && old.metadata.annotations == new.metadata.annotations
        && old.metadata.finalizers == new.metadata.finalizers
}
