//! One group on a few nodes, whose records a test changes by hand.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use serde_json::{Value, json};

use crate::cluster::{
    AgentLife, KubeNode, NodeRecord, Share, StoredNode, Verdict, Wait, is_member, node_spec, waits,
};
use crate::reason::Reason;
use crate::v1alpha1::{
    Fault, GroupSource, MemberState, NodeGroup, NodeGroupStatus, VirtualIPGroup, VirtualIPNodeSpec,
};

/// A time that is so many seconds after the beginning of all tests.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

/// The group `web` with these fields of `spec` on top of what it needs.
pub fn group(spec: &Value) -> VirtualIPGroup {
    let mut group = json!({
        "apiVersion": "vip.holdfast.dev/v1alpha1", "kind": "VirtualIPGroup",
        "metadata": { "name": "web", "uid": "web-uid", "generation": 1 },
        "spec": {
            "addresses": [{ "address": "10.0.0.100/24" }],
            "virtualRouterID": 51,
            "nodeSelector": { "matchLabels": { "edge": "" } },
        },
    });
    for (key, value) in spec.as_object().unwrap() {
        group["spec"][key] = value.clone();
    }
    serde_json::from_value(group).unwrap()
}

/// A selected node with a live agent and the address 10.0.0.11 for `a`, .12 for `b`.
pub fn node(name: &str) -> NodeRecord {
    NodeRecord {
        name: name.to_owned(),
        node: Some(KubeNode {
            labels: [("edge".to_owned(), String::new())].into(),
            internal_ips: vec![address(name).parse().unwrap()],
            ..KubeNode::default()
        }),
        object: None,
        agent: AgentLife::Fresh(at(0)),
    }
}

pub fn address(name: &str) -> String {
    let last = match name.bytes().last().unwrap() {
        digit @ b'0'..=b'9' => digit - b'0' + 60,
        letter => letter - b'a' + 11,
    };
    format!("10.0.0.{last}")
}

pub fn accepted() -> Verdict {
    Verdict {
        accepted: true,
        reason: Reason::Accepted,
        message: String::new(),
        warnings: Vec::new(),
        amiss: Vec::new(),
    }
}

/// The group and the nodes that are watched.
pub struct Cluster {
    pub group: VirtualIPGroup,
    pub accepted: bool,
    pub protected: bool,
    pub nodes: Vec<NodeRecord>,
    pub now: Timestamp,
}

impl Cluster {
    /// Nodes that have not heard of the group.
    pub fn new(group: VirtualIPGroup, names: &[&str]) -> Self {
        let nodes = names.iter().map(|name| node(name)).collect();
        Self {
            group,
            accepted: true,
            protected: false,
            nodes,
            now: at(0),
        }
    }

    /// Nodes that have been told all there is, and have acknowledged it.
    pub fn settled(group: VirtualIPGroup, names: &[&str]) -> Self {
        let mut cluster = Self::new(group, names);
        cluster.settle();
        cluster
    }

    pub fn node(&mut self, name: &str) -> &mut NodeRecord {
        self.nodes.iter_mut().find(|node| node.name == name).unwrap()
    }

    fn seen(&self, name: &str) -> &NodeRecord {
        self.nodes.iter().find(|node| node.name == name).unwrap()
    }

    pub fn has_member(&self, name: &str) -> bool {
        is_member(&self.group, self.seen(name))
    }

    pub fn members(&self) -> Vec<&NodeRecord> {
        self.nodes
            .iter()
            .filter(|node| is_member(&self.group, node))
            .collect()
    }

    pub fn waits(&self) -> Vec<Wait> {
        waits(&self.group, &self.members())
    }

    /// What the node would be told now.
    pub fn spec(&self, name: &str) -> VirtualIPNodeSpec {
        let verdict = Verdict {
            accepted: self.accepted,
            ..accepted()
        };
        let members = self.members();
        let share = Share {
            group: &self.group,
            verdict: &verdict,
            members: &members,
            protected: self.protected,
        };
        let takes_part = members.iter().any(|member| member.name == name);
        let is_virtual = |address: core::net::IpAddr| address.to_string() == "10.0.0.100";
        let shares = takes_part.then_some(share);
        node_spec(self.now, "uid", self.seen(name), shares, &is_virtual)
    }

    /// Its entry of the group.
    pub fn told(&self, name: &str) -> Option<NodeGroup> {
        self.spec(name)
            .groups
            .into_iter()
            .find(|entry| entry.name == "web")
    }

    pub fn may(&self, name: &str) -> bool {
        self.told(name).unwrap().may_become_active
    }

    /// The names of the peers it would be told.
    pub fn peers(&self, name: &str) -> Vec<String> {
        self.told(name)
            .unwrap()
            .peers
            .into_iter()
            .map(|peer| peer.name)
            .collect()
    }

    /// Writes what the nodes are to be told, all seen from here, and says how many were told something new.
    pub fn write(&mut self, names: &[&str]) -> usize {
        let specs: Vec<_> = names.iter().map(|name| self.spec(name)).collect();
        let mut news = 0;
        for (name, spec) in names.iter().zip(specs) {
            let object = self.node(name).object.get_or_insert_with(StoredNode::default);
            if object.generation == 0 || object.spec != spec {
                object.spec = spec;
                object.generation += 1;
                news += 1;
            }
        }
        news
    }

    /// The agent applies what is stored and says so.
    pub fn acknowledge(&mut self, name: &str) {
        let source = address(name);
        let object = self.node(name).object.as_mut().unwrap();
        let old = object.status.groups.clone();
        object.status.observed_generation = Some(object.generation);
        object.status.groups = object
            .spec
            .groups
            .iter()
            .filter(|entry| !entry.deleted)
            .map(|entry| NodeGroupStatus {
                name: entry.name.clone(),
                applied_generation: Some(entry.generation),
                source: GroupSource::API,
                in_file: false,
                carries_api_endpoint: false,
                state: MemberState::Backup,
                reason: None,
                faults: Vec::new(),
                effective_priority: None,
                priority_explained: None,
                probes: Vec::new(),
                held_back_until: None,
                since: None,
                interface: None,
                active_peer: None,
                source_address: entry.source_addresses.first().or(Some(&source)).cloned(),
                conflicts: Vec::new(),
                warnings: Vec::new(),
                last_transition: None,
            })
            .collect();
        for report in &mut object.status.groups {
            if let Some(old) = old.iter().find(|old| old.name == report.name) {
                report.state = old.state;
                report.since.clone_from(&old.since);
            }
        }
    }

    /// Everything is told and acknowledged until there is nothing new.
    pub fn settle(&mut self) {
        self.settle_without(&[]);
    }

    /// The same while these agents hear and say nothing.
    pub fn settle_without(&mut self, silent: &[&str]) {
        let names: Vec<String> = self.nodes.iter().map(|node| node.name.clone()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        for _ in 0..8 {
            self.write(&names);
            for name in names.iter().filter(|name| !silent.contains(name)) {
                self.acknowledge(name);
            }
        }
    }

    pub fn report(&mut self, name: &str) -> &mut NodeGroupStatus {
        let object = self.node(name).object.as_mut().unwrap();
        object
            .status
            .groups
            .iter_mut()
            .find(|report| report.name == "web")
            .unwrap()
    }

    pub fn becomes(&mut self, name: &str, state: MemberState, seconds: i64) {
        let report = self.report(name);
        report.state = state;
        report.since = Some(MicroTime(at(seconds)));
    }

    pub fn refuses(&mut self, name: &str) {
        let fault = Fault {
            reason: "ConfigurationRefused".to_owned(),
            message: None,
        };
        self.report(name).faults.push(fault);
    }

    pub fn lost(&mut self, name: &str) {
        self.node(name).agent = AgentLife::Expired(at(0));
    }

    pub fn deselect(&mut self, name: &str) {
        self.node(name).node.as_mut().unwrap().labels.clear();
    }

    pub fn select(&mut self, name: &str) {
        self.node(name).node.as_mut().unwrap().labels = [("edge".to_owned(), String::new())].into();
    }

    /// A new generation of the group.
    pub fn edit(&mut self, change: impl FnOnce(&mut VirtualIPGroup)) {
        change(&mut self.group);
        self.group.metadata.generation = self.group.metadata.generation.map(|generation| generation + 1);
    }

    pub fn delete(&mut self) {
        self.group.metadata.deletion_timestamp = Some(Time(at(0)));
    }
}
