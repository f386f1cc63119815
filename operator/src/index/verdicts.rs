//! Which groups are accepted beside which: a change of one is carried to those that share an address, a sync group, or a
//! virtual router identifier on a common member, and no further.

use core::cmp::Ordering;
use core::net::IpAddr;
use std::collections::BTreeSet;
use std::sync::Arc;

use holdfast_api::cluster::{NodeRecord, Reporter, Rival, Verdict, judge, outranks};
use holdfast_api::v1alpha1::{Family, VirtualIPGroup};
use kube::ResourceExt as _;

use super::{Index, virtual_addresses};

impl Index {
    /// Whether a group is accepted. `None`: there is no such group, or the index has not settled.
    pub fn verdict(&self, group: &str) -> Option<&Verdict> {
        self.verdicts.get(group)
    }

    /// The group and those that its verdict can change are to be judged again.
    pub(super) fn unjudge_with_neighbors(&mut self, group: &str) {
        self.unjudged.insert(group.to_owned());
        let neighbors = self.neighbors(group);
        self.unjudged.extend(neighbors);
    }

    /// Judges whatever has to be, first those that come first: a verdict depends on theirs only.
    pub(super) fn judge_anew(&mut self) {
        let mut waiting: Vec<String> = core::mem::take(&mut self.unjudged).into_iter().collect();
        let mut concerned = BTreeSet::new();
        while let Some(name) = waiting.pop() {
            if self.groups.contains_key(&name) && concerned.insert(name.clone()) {
                waiting.extend(self.neighbors(&name));
            }
        }
        let mut concerned: Vec<Arc<VirtualIPGroup>> = concerned
            .iter()
            .filter_map(|name| self.groups.get(name).cloned())
            .collect();
        concerned.sort_by(|a, b| first(a, b));
        for group in concerned {
            let name = group.name_any();
            let verdict = self.judge(&group);
            if self.verdicts.get(&name) != Some(&verdict) {
                self.verdicts.insert(name.clone(), verdict);
                self.touch_members(&name);
                self.dirty.groups.insert(name);
            }
        }
    }

    fn judge(&self, group: &VirtualIPGroup) -> Verdict {
        let name = group.name_any();
        let rivals: Vec<(&VirtualIPGroup, Vec<&NodeRecord>)> = self
            .neighbors(&name)
            .iter()
            .filter(|rival| self.is_in_force(rival))
            .filter_map(|rival| self.groups.get(rival))
            .filter(|rival| outranks(rival, group))
            .map(|rival| (&**rival, self.present_members(&rival.name_any())))
            .collect();
        let rivals: Vec<Rival<'_>> = rivals
            .iter()
            .map(|(group, members)| Rival { group, members })
            .collect();
        let members = self.present_members(&name);
        // One that is yet to be given an identifier is judged as if it had been: it conflicts with nobody's.
        let mut given = None;
        if group.spec.virtual_router_id.is_none()
            && let Some(identifier) = self.free_identifier(&name)
        {
            let group = given.insert(group.clone());
            group.spec.virtual_router_id = Some(i32::from(identifier));
        }
        let group = given.as_ref().unwrap_or(group);
        judge(group, &members, &rivals, &|address| self.reporters_of(address))
    }

    /// Whether a group is accepted, or is refused but goes on on the nodes that were told of a former generation: what ran
    /// keeps running, and keeps what it has.
    fn is_in_force(&self, name: &str) -> bool {
        let is_told = |record: &NodeRecord| {
            record.object.as_ref().is_some_and(|object| {
                let mut entries = object.spec.groups.iter();
                entries.any(|entry| entry.name == name && !entry.deleted)
            })
        };
        self.verdicts.get(name).is_some_and(|verdict| verdict.accepted)
            || self.present_members(name).into_iter().any(is_told)
    }

    /// The groups with which this one can be in conflict.
    fn neighbors(&self, name: &str) -> BTreeSet<String> {
        let Some(group) = self.groups.get(name) else {
            return BTreeSet::new();
        };
        let same_address = virtual_addresses(group)
            .into_iter()
            .filter_map(|address| self.virtual_addresses.get(&address))
            .flatten();
        let fellows = self
            .members
            .get(name)
            .into_iter()
            .flatten()
            .filter_map(|node| self.memberships.get(node))
            .flatten();
        let same_router = fellows.filter(|other| {
            let id = group.spec.virtual_router_id;
            id.is_some() && self.groups.get(*other).and_then(|it| it.spec.virtual_router_id) == id
        });
        let sync_group = group.spec.sync_group.as_ref();
        let moving_along = sync_group
            .and_then(|name| self.sync_groups.get(name))
            .into_iter()
            .flatten();
        let neighbors = same_address.chain(same_router).chain(moving_along);
        let mut neighbors: BTreeSet<String> = neighbors.cloned().collect();
        neighbors.remove(name);
        neighbors
    }

    /// The Nodes that say that this address is their own, in the order of their names.
    fn reporters_of(&self, address: IpAddr) -> Vec<Reporter> {
        let nodes = self.node_addresses.get(&address).into_iter().flatten();
        let reporter = |name: &String| {
            let node = self.nodes.get(name)?.record.node.as_ref()?;
            let is_alike = |ip: &IpAddr| Family::of(*ip) == Family::of(address);
            let others = || {
                node.internal_ips
                    .iter()
                    .filter(|ip| is_alike(ip) && **ip != address)
            };
            Some(Reporter {
                node: name.clone(),
                sole: node.internal_ips.contains(&address) && others().next().is_none(),
                own: others()
                    .find(|ip| !self.virtual_addresses.contains_key(*ip))
                    .copied(),
            })
        };
        nodes.filter_map(reporter).collect()
    }
}

fn first(a: &VirtualIPGroup, b: &VirtualIPGroup) -> Ordering {
    if a.metadata.name == b.metadata.name {
        Ordering::Equal
    } else if outranks(a, b) {
        Ordering::Less
    } else {
        Ordering::Greater
    }
}
