//! A cluster in miniature: groups and records as an API server keeps them, and an operator that is nothing but the functions
//! under test.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::agents::{Agent, address};
use crate::cluster::{
    AgentLife, KubeNode, NodeRecord, Rival, Share, StoredNode, Verdict, Withdrawal, is_member, judge,
    node_spec, withdrawal,
};
use crate::v1alpha1::{VirtualIPGroup, VirtualIPNodeSpec};

pub const NODES: [&str; 4] = ["n0", "n1", "n2", "n3"];
pub const GROUPS: [&str; 2] = ["a", "b"];
pub const PATIENCE: Duration = Duration::from_mins(5);

#[derive(Clone, Debug, Default)]
pub struct Kept {
    pub groups: BTreeMap<String, VirtualIPGroup>,
    pub objects: BTreeMap<String, StoredNode>,
}

#[derive(Clone, Debug)]
pub struct World {
    pub now: Timestamp,
    /// What the API server has.
    pub kept: Kept,
    backup: Option<Kept>,
    pub nodes: BTreeMap<String, KubeNode>,
    pub leases: BTreeMap<String, AgentLife>,
    pub agents: BTreeMap<String, Agent>,
    /// The records tell of another past than the agents have lived, until all of them have been heard and told again.
    pub is_rewritten: bool,
    pub writes: usize,
    next_uid: u32,
}

fn known_address(node: &str) -> Vec<IpAddr> {
    let known = match node {
        "n0" | "n1" => address(node),
        // Near, and not the one the agent uses.
        "n2" => "10.0.0.77".to_owned(),
        _ => "192.168.0.3".to_owned(),
    };
    known.parse().into_iter().collect()
}

impl World {
    pub fn new() -> Self {
        let mut world = Self {
            now: Timestamp::UNIX_EPOCH,
            kept: Kept::default(),
            backup: None,
            nodes: BTreeMap::new(),
            leases: BTreeMap::new(),
            agents: BTreeMap::new(),
            is_rewritten: false,
            writes: 0,
            next_uid: 0,
        };
        for node in NODES {
            world.agents.insert(node.to_owned(), Agent::default());
            world.add_node(node);
        }
        world
    }

    pub fn add_node(&mut self, node: &str) {
        self.nodes.insert(
            node.to_owned(),
            KubeNode {
                labels: BTreeMap::from([("use".to_owned(), "yes".to_owned())]),
                internal_ips: known_address(node),
                ..KubeNode::default()
            },
        );
    }

    pub fn apply_group(&mut self, name: &str, change: &dyn Fn(&mut VirtualIPGroup)) {
        let index = i32::from(name != "a");
        if let Some(group) = self.kept.groups.get_mut(name) {
            let old = group.clone();
            change(group);
            if *group != old {
                group.metadata.generation = group.metadata.generation.map(|generation| generation + 1);
            }
            return;
        }
        let mut group: VirtualIPGroup = serde_json::from_value(serde_json::json!({
            "apiVersion": "vip.holdfast.dev/v1alpha1", "kind": "VirtualIPGroup",
            "metadata": { "name": name, "generation": 1 },
            "spec": {
                "addresses": [{ "address": format!("10.0.0.20{index}/24") }],
                "virtualRouterID": 50 + index,
                "nodeSelector": { "matchLabels": { "use": "yes" } },
                "advertisement": { "mode": "Unicast" },
            },
        }))
        .unwrap();
        self.next_uid += 1;
        group.metadata.uid = Some(format!("{name}-{}", self.next_uid));
        group.metadata.creation_timestamp = Some(Time(self.now));
        change(&mut group);
        self.kept.groups.insert(name.to_owned(), group);
    }

    pub fn delete_group(&mut self, name: &str) {
        if let Some(group) = self.kept.groups.get_mut(name) {
            let now = self.now;
            group.metadata.deletion_timestamp.get_or_insert(Time(now));
        }
    }

    /// The finalizer goes, if the operator says so.
    pub fn finalize(&mut self, name: &str) {
        let records = self.records();
        let Some(group) = self.kept.groups.get(name) else {
            return;
        };
        if group.metadata.deletion_timestamp.is_none() {
            return;
        }
        let members: Vec<&NodeRecord> = records.iter().filter(|record| is_member(group, record)).collect();
        if let Withdrawal::Done { unconfirmed } = withdrawal(self.now, group, &members, None, PATIENCE) {
            for node in unconfirmed {
                self.agents.get_mut(&node).unwrap().given_up = true;
            }
            self.kept.groups.remove(name);
        }
    }

    /// Removed with its finalizer, by hand.
    pub fn lose_group(&mut self, name: &str) {
        self.kept.groups.remove(name);
    }

    /// `kubectl delete crd`: all objects are gone, and what the agents do not know by themselves is nowhere.
    pub fn wipe(&mut self) {
        self.kept = Kept::default();
        self.orphan();
    }

    /// What agents run was told by objects that exist no longer.
    fn orphan(&mut self) {
        for (node, agent) in &mut self.agents {
            // Nobody asks one whose agent is silent already, and soon nobody knows any more that there was something to ask.
            let is_silent = matches!(self.leases.get(node), Some(AgentLife::Expired(_)));
            self.is_rewritten |= is_silent && !agent.running.is_empty();
            (agent.read, agent.observed) = (None, None);
            for running in agent.running.values_mut() {
                running.orphaned = true;
            }
        }
    }

    pub fn back_up(&mut self) {
        self.backup = Some(self.kept.clone());
    }

    pub fn restore(&mut self) {
        if let Some(backup) = self.backup.clone() {
            self.kept = backup;
            self.orphan();
            self.is_rewritten = true;
        }
    }

    pub fn records(&self) -> Vec<NodeRecord> {
        let names: BTreeSet<&String> = self.nodes.keys().chain(self.kept.objects.keys()).collect();
        let all = names.into_iter().map(|name| NodeRecord {
            name: name.clone(),
            node: self.nodes.get(name).cloned(),
            object: self.kept.objects.get(name).cloned(),
            agent: self.leases.get(name).copied().unwrap_or_default(),
        });
        all.filter(|record| !self.is_gone(record)).collect()
    }

    fn is_gone(&self, record: &NodeRecord) -> bool {
        let silent = |heard: Timestamp| self.now.duration_since(heard) > SignedDuration::from_mins(6);
        record.node.is_none()
            && match record.agent {
                AgentLife::Expired(heard) => silent(heard),
                AgentLife::Never => true,
                AgentLife::Fresh(_) => false,
            }
    }

    pub fn verdicts(&self, records: &[NodeRecord]) -> BTreeMap<String, Verdict> {
        let members = |group: &VirtualIPGroup| -> Vec<NodeRecord> {
            records
                .iter()
                .filter(|record| is_member(group, record))
                .cloned()
                .collect()
        };
        let mut verdicts = BTreeMap::new();
        for (name, group) in &self.kept.groups {
            let own = members(group);
            let others: Vec<(&VirtualIPGroup, Vec<NodeRecord>)> = self
                .kept
                .groups
                .values()
                .filter(|other| crate::cluster::outranks(other, group))
                .map(|other| (other, members(other)))
                .collect();
            let borrowed: Vec<Vec<&NodeRecord>> = others
                .iter()
                .map(|(_, members)| members.iter().collect())
                .collect();
            let rivals: Vec<Rival<'_>> = others
                .iter()
                .zip(&borrowed)
                .map(|((group, _), members)| Rival { group, members })
                .collect();
            let own: Vec<&NodeRecord> = own.iter().collect();
            verdicts.insert(name.clone(), judge(group, &own, &rivals, &|_| Vec::new()));
        }
        verdicts
    }

    /// What the operator would write now for each node it knows.
    pub fn rendered(&self) -> BTreeMap<String, VirtualIPNodeSpec> {
        let records = self.records();
        let verdicts = self.verdicts(&records);
        let groups: Vec<(&String, &VirtualIPGroup, Vec<&NodeRecord>)> = self
            .kept
            .groups
            .iter()
            .map(|(name, group)| {
                (
                    name,
                    group,
                    records.iter().filter(|r| is_member(group, r)).collect(),
                )
            })
            .collect();
        let is_virtual = |address: IpAddr| address.to_string().starts_with("10.0.0.20");
        let mut specs = BTreeMap::new();
        for record in &records {
            let shares = groups
                .iter()
                .filter(|(_, _, members)| members.iter().any(|member| member.name == record.name));
            let shares = shares.map(|(name, group, members)| Share {
                group,
                verdict: &verdicts[*name],
                members,
                protected: false,
            });
            let spec = node_spec(self.now, "cluster", record, shares, &is_virtual);
            let is_member = groups
                .iter()
                .any(|(_, _, members)| members.iter().any(|m| m.name == record.name));
            if record.object.is_some() || is_member {
                specs.insert(record.name.clone(), spec);
            }
        }
        specs
    }

    /// The operator looks once, and writes what it then thinks of these nodes.
    pub fn operate(&mut self, nodes: &[&str]) {
        let mut rendered = self.rendered();
        rendered.retain(|name, _| nodes.contains(&name.as_str()));
        for (name, spec) in rendered {
            let object = self.kept.objects.entry(name.clone()).or_default();
            for entry in &object.spec.groups {
                let reported = object
                    .status
                    .groups
                    .iter()
                    .any(|report| report.name == entry.name);
                let acknowledged = object.status.observed_generation == Some(object.generation) && !reported;
                assert!(
                    spec.groups.iter().any(|new| new.name == entry.name) || entry.deleted && acknowledged,
                    "{} was taken from {name} without an acknowledged tombstone",
                    entry.name
                );
            }
            if object.generation == 0 || object.spec != spec {
                object.spec = spec;
                object.generation += 1;
                self.writes += 1;
            }
        }
        let verdicts = self.verdicts(&self.records());
        for (name, group) in &mut self.kept.groups {
            let accepted = if verdicts[name].accepted { "True" } else { "False" };
            group.status = serde_json::from_value(serde_json::json!({ "conditions": [{
                "type": "Accepted", "status": accepted, "reason": "x", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
                "observedGeneration": group.metadata.generation,
            }] }))
            .unwrap();
        }
    }
}
