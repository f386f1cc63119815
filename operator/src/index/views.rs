//! What the reconcilers and the metrics read from the index.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use holdfast_api::cluster::{
    AgentLife, NodeRecord, Share, Verdict, node_spec, remembered_virtual_router_id, virtual_router_id,
    wish_ends_in,
};
use holdfast_api::v1alpha1::{FINALIZER, NodeGroup, VirtualIPGroup, VirtualIPNodeSpec};
use jiff::Timestamp;
use kube::ResourceExt as _;

use super::Index;

/// A group with everything its status depends on.
#[derive(Clone, Debug)]
pub struct GroupView {
    /// The group as stored.
    pub group: Arc<VirtualIPGroup>,
    /// Whether it is accepted.
    pub verdict: Verdict,
    /// Its members that are not gone, in the order of their names.
    pub members: Vec<Arc<NodeRecord>>,
}

/// What a node is to be told, and what it has been told.
#[derive(Clone, PartialEq, Debug)]
pub struct NodePlan {
    /// What it is to be told.
    pub spec: VirtualIPNodeSpec,
    /// Its `VirtualIPNode`; `None`: there is none.
    pub stored: Option<Stored>,
    /// Whether it shares in a group. Then it needs an object, if only to say in it what it runs already: before that it is
    /// told nothing.
    pub shares: bool,
    /// After this time it is to be told something else although nothing has changed.
    pub look_again: Option<Duration>,
}

/// A `VirtualIPNode` as far as writing it goes.
#[derive(Clone, PartialEq, Debug)]
pub struct Stored {
    /// What the node has been told.
    pub spec: VirtualIPNodeSpec,
    /// The precondition of a write.
    pub resource_version: String,
}

impl NodePlan {
    /// Whether anything has to be written: never what is there already, and no object for a node without a group.
    pub fn is_news(&self) -> bool {
        match &self.stored {
            Some(stored) => stored.spec != self.spec,
            None => self.shares || !self.spec.groups.is_empty(),
        }
    }

    /// The groups of which it is told something new.
    pub fn changed(&self) -> BTreeSet<String> {
        let stored = self.stored.iter().flat_map(|stored| &stored.spec.groups);
        let old: BTreeMap<&str, &NodeGroup> = stored.map(|entry| (entry.name.as_str(), entry)).collect();
        let groups = self.spec.groups.iter();
        let new: BTreeMap<&str, &NodeGroup> = groups.map(|entry| (entry.name.as_str(), entry)).collect();
        let names = old.keys().chain(new.keys());
        names
            .filter(|name| old.get(*name) != new.get(*name))
            .map(|name| (*name).to_owned())
            .collect()
    }
}

impl Index {
    /// A group and what its status depends on, once it has been judged.
    pub fn group(&self, name: &str) -> Option<GroupView> {
        Some(GroupView {
            group: Arc::clone(self.groups.get(name)?),
            verdict: self.verdicts.get(name)?.clone(),
            members: self.present(name).map(Arc::clone).collect(),
        })
    }

    /// What a node is to be told now. `None`: nothing is known of it.
    pub fn plan(&self, name: &str, now: Timestamp) -> Option<NodePlan> {
        let entry = self.nodes.get(name)?;
        let parts: Vec<(&VirtualIPGroup, &Verdict, Vec<&NodeRecord>)> = self
            .memberships
            .get(name)
            .into_iter()
            .flatten()
            .filter_map(|group| Some((&**self.groups.get(group)?, self.verdicts.get(group)?)))
            .filter(|(group, _)| self.may_be_told(group, entry.life.gone))
            .map(|(group, verdict)| {
                let mut members = self.present_members(&group.name_any());
                if entry.life.gone {
                    let at = members.partition_point(|member| member.name.as_str() < name);
                    members.insert(at, &entry.record);
                }
                (group, verdict, members)
            })
            .collect();
        let is_shared = parts
            .iter()
            .any(|(group, verdict, _)| verdict.accepted && group.metadata.deletion_timestamp.is_none());
        let shares = parts.iter().map(|(group, verdict, members)| Share {
            group,
            verdict,
            members,
            // Of a group whose deletion is refused nodes are not told at all.
            protected: false,
        });
        let spec = node_spec(now, &self.cluster_uid, &entry.record, shares, &|address| {
            self.virtual_addresses.contains_key(&address)
        });
        let stored = entry
            .record
            .object
            .as_ref()
            .zip(entry.stored.resource_version.as_ref())
            .map(|(object, resource_version)| Stored {
                spec: object.spec.clone(),
                resource_version: resource_version.clone(),
            });
        Some(NodePlan {
            look_again: wish_ends_in(now, &spec),
            spec,
            stored,
            shares: is_shared,
        })
    }

    /// Whether nodes are told of a group at all: of a running one when it has its identifier and its finalizer, of one in
    /// deletion when its withdrawal has been decided. What they were told of any other is kept. A node that is gone is
    /// told of withdrawals only, in case it comes back.
    fn may_be_told(&self, group: &VirtualIPGroup, gone: bool) -> bool {
        if group.metadata.deletion_timestamp.is_some() {
            group.uid().is_some_and(|uid| self.withdrawing.contains(&uid))
        } else {
            !gone
                && group.spec.virtual_router_id.is_some()
                && group.finalizers().iter().any(|it| it == FINALIZER)
        }
    }

    /// The members of a group that are not gone.
    pub(super) fn present_members(&self, group: &str) -> Vec<&NodeRecord> {
        self.present(group).map(|record| &**record).collect()
    }

    fn present(&self, group: &str) -> impl Iterator<Item = &Arc<NodeRecord>> {
        self.members
            .get(group)
            .into_iter()
            .flatten()
            .filter_map(|node| self.nodes.get(node))
            .filter(|entry| !entry.life.gone)
            .map(|entry| &entry.record)
    }

    /// The virtual router identifier for a group that names none; `None`: all are taken, by groups or by what nodes run.
    pub fn free_identifier(&self, name: &str) -> Option<u8> {
        let named = self
            .groups
            .iter()
            .filter(|(other, _)| *other != name)
            .filter_map(|(_, group)| group.spec.virtual_router_id);
        let told = self
            .stored_groups()
            .filter(|entry| entry.name != name)
            .map(|entry| entry.virtual_router_id);
        let taken: BTreeSet<i32> = named.chain(told).collect();
        let is_taken = |identifier: u8| taken.contains(&i32::from(identifier));
        let records = self.nodes.values().map(|entry| &*entry.record);
        remembered_virtual_router_id(name, records)
            .filter(|identifier| !is_taken(*identifier))
            .or_else(|| virtual_router_id(&self.cluster_uid, name, &is_taken))
    }

    /// How many entries of nodes have no group: what it was is kept running.
    pub fn orphans(&self) -> usize {
        self.stored_groups()
            .filter(|entry| !entry.deleted && !self.groups.contains_key(&entry.name))
            .count()
    }

    /// All groups, for counting.
    pub fn groups(&self) -> impl Iterator<Item = &VirtualIPGroup> {
        self.groups.values().map(|group| &**group)
    }

    /// How many nodes there are with an agent that has never run, is alive, is silent.
    pub fn agents(&self) -> [usize; 3] {
        let count = |is: fn(&AgentLife) -> bool| {
            let agents = self.nodes.values().map(|entry| &entry.record.agent);
            agents.filter(|agent| is(agent)).count()
        };
        [
            count(|agent| matches!(agent, AgentLife::Never)),
            count(|agent| matches!(agent, AgentLife::Fresh(_))),
            count(|agent| matches!(agent, AgentLife::Expired(_))),
        ]
    }

    fn stored_groups(&self) -> impl Iterator<Item = &NodeGroup> {
        let objects = self
            .nodes
            .values()
            .filter_map(|entry| entry.record.object.as_ref());
        objects.flat_map(|object| &object.spec.groups)
    }
}
