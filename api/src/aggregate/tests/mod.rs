//! A group of three members on a stage: who is told what, who says what, and what is made of it.

mod describe;
mod property;
mod situations;
mod split;
mod time;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, MicroTime, ObjectMeta, Time};
use serde_json::json;

use super::{Aggregate, aggregate};
use crate::cluster::{AgentLife, KubeNode, NodeRecord, Share, StoredNode, Verdict, Warning, Withdrawal};
use crate::duration::GatewayDuration;
use crate::reason::{Place, Reason};
use crate::render::{NodeFacts, node_group};
use crate::v1alpha1::{
    Fault, GroupSource, MemberState, NodeDuty, NodeDutyType, NodeGroup, NodeGroupStatus, NodeTransition,
    VirtualIPGroup, VirtualIPGroupSpec, VirtualIPNodeSpec, VirtualIPNodeStatus,
};

const GROUP: &str = "web";
const GENERATION: i64 = 3;

/// A time on the stage's clock.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

/// A node's clock says what the stage's says.
fn micro(seconds: i64) -> MicroTime {
    MicroTime(at(seconds))
}

fn fault(reason: &str, message: &str) -> Fault {
    Fault {
        reason: reason.into(),
        message: Some(message.into()),
    }
}

#[derive(Clone, Debug)]
struct Stage {
    now: Timestamp,
    group: VirtualIPGroup,
    verdict: Verdict,
    records: BTreeMap<String, NodeRecord>,
    withdrawal: Option<Withdrawal>,
}

impl Stage {
    /// cp-1 has been Active since second 10, cp-2 and cp-3 are its Backups; all were last heard at second 100, and it is
    /// second 105.
    fn serving() -> Self {
        let mut stage = Self::of(&["cp-1", "cp-2", "cp-3"]);
        stage.says("cp-1", MemberState::Active, 10);
        stage.says("cp-2", MemberState::Backup, 5);
        stage.says("cp-3", MemberState::Backup, 5);
        stage
    }

    /// Members that are told of the group and have said nothing.
    fn of(nodes: &[&str]) -> Self {
        let spec: VirtualIPGroupSpec = serde_json::from_value(json!({
            "addresses": [{ "address": "10.0.0.100/24" }],
            "virtualRouterID": 51,
            "advertisement": { "mode": "Multicast" },
        }))
        .unwrap();
        let group = VirtualIPGroup {
            metadata: ObjectMeta {
                name: Some(GROUP.into()),
                uid: Some("uid-1".into()),
                generation: Some(GENERATION),
                ..ObjectMeta::default()
            },
            spec,
            status: None,
        };
        let verdict = Verdict {
            accepted: true,
            reason: Reason::Accepted,
            message: format!("the group is valid and selects {} nodes", nodes.len()),
            warnings: Vec::new(),
            amiss: Vec::new(),
        };
        let mut stage = Self {
            now: at(105),
            group,
            verdict,
            records: BTreeMap::new(),
            withdrawal: None,
        };
        for node in nodes {
            stage.add(node);
            stage.record(node).object = Some(StoredNode {
                generation: 1,
                status_seen: at(0),
                ..StoredNode::default()
            });
            stage.tell(node);
            stage.record(node).agent = AgentLife::Fresh(at(100));
        }
        stage
    }

    /// A selected node of which nothing else is known.
    fn add(&mut self, node: &str) {
        let record = NodeRecord {
            name: node.into(),
            node: Some(KubeNode::default()),
            ..NodeRecord::default()
        };
        self.records.insert(node.into(), record);
    }

    fn record(&mut self, node: &str) -> &mut NodeRecord {
        self.records.get_mut(node).unwrap()
    }

    fn object(&mut self, node: &str) -> &mut StoredNode {
        self.record(node).object.get_or_insert_default()
    }

    /// Writes the group as it is into the node's object.
    fn tell(&mut self, node: &str) {
        let facts = NodeFacts {
            name: node.into(),
            labels: BTreeMap::new(),
        };
        let entry = node_group(&self.group, &facts).unwrap();
        let object = self.object(node);
        object.spec = VirtualIPNodeSpec {
            groups: vec![entry],
            ..VirtualIPNodeSpec::default()
        };
    }

    fn told(&mut self, node: &str) -> &mut NodeGroup {
        &mut self.object(node).spec.groups[0]
    }

    /// The node reports that it has been in this state since then, and that it runs what it was told.
    fn says(&mut self, node: &str, state: MemberState, since: i64) {
        let address = format!("10.0.0.{}", node.trim_start_matches("cp-"));
        let last_transition = (state == MemberState::Active).then(|| NodeTransition {
            from: MemberState::Backup,
            to: MemberState::Active,
            reason: "ActiveSilent".into(),
            time: micro(since),
            duration: Some(GatewayDuration::from_millis(3_004)),
        });
        let report = NodeGroupStatus {
            name: GROUP.into(),
            applied_generation: self.object(node).spec.groups.first().map(|told| told.generation),
            source: GroupSource::API,
            in_file: false,
            carries_api_endpoint: false,
            state,
            reason: Some(match state {
                MemberState::Active => "ActiveSilent".into(),
                MemberState::Fault => "Faulted".into(),
                _ => "HigherPriority".into(),
            }),
            faults: Vec::new(),
            effective_priority: Some(100),
            priority_explained: None,
            probes: Vec::new(),
            held_back_until: None,
            since: Some(micro(since)),
            interface: Some("eth0".into()),
            active_peer: (state == MemberState::Backup).then(|| "10.0.0.1".into()),
            source_address: Some(address),
            conflicts: Vec::new(),
            warnings: Vec::new(),
            last_transition,
        };
        let object = self.object(node);
        object.status = VirtualIPNodeStatus {
            observed_generation: Some(object.generation),
            groups: vec![report],
            ..VirtualIPNodeStatus::default()
        };
        object.status_seen = at(since);
    }

    /// The group has these probes, everybody knows, and they pass everywhere.
    fn probes(&mut self, probes: &serde_json::Value) {
        self.group.spec.probes = serde_json::from_value(probes.clone()).unwrap();
        let nodes: Vec<String> = self.records.keys().cloned().collect();
        let names: Vec<String> = self
            .group
            .spec
            .probes
            .iter()
            .map(|probe| probe.name.clone())
            .collect();
        for node in &nodes {
            self.tell(node);
            let base = self.told(node).priority;
            for name in &names {
                self.verdict_of(node, name, "Passing", "Passed", "", 5);
            }
            self.stands(node, base, &format!("{base} base"));
        }
    }

    /// What a node's agent says of a probe.
    fn verdict_of(&mut self, node: &str, probe: &str, verdict: &str, outcome: &str, found: &str, since: i64) {
        let said = json!({ "name": probe, "verdict": verdict, "outcome": outcome, "message": found, "since": micro(since) });
        let probes = &mut self.report(node).probes;
        probes.retain(|other| other.name != probe);
        probes.push(serde_json::from_value(said).unwrap());
    }

    /// The priority with which a node stands, and why.
    fn stands(&mut self, node: &str, priority: i32, sum: &str) {
        let report = self.report(node);
        report.effective_priority = Some(priority);
        report.priority_explained = Some(sum.into());
    }

    /// The node is being worked on.
    fn work_on(&mut self, node: &str, type_: NodeDutyType, reason: &str) {
        self.told(node).duty = NodeDuty {
            type_,
            reason: Some(reason.into()),
        };
    }

    fn report(&mut self, node: &str) -> &mut NodeGroupStatus {
        &mut self.object(node).status.groups[0]
    }

    fn heard(&mut self, node: &str, when: i64) {
        self.record(node).agent = AgentLife::Fresh(at(when));
    }

    fn lost(&mut self, node: &str) {
        let (AgentLife::Fresh(heard) | AgentLife::Expired(heard)) = self.record(node).agent else {
            panic!("{node} was never heard");
        };
        self.record(node).agent = AgentLife::Expired(heard);
    }

    /// Changes the group; nobody is told yet.
    fn edit(&mut self) {
        self.group.metadata.generation = Some(GENERATION + 1);
    }

    fn refuse(&mut self, reason: Reason, message: &str) {
        self.verdict = Verdict {
            accepted: false,
            reason,
            message: message.into(),
            warnings: Vec::new(),
            amiss: Vec::new(),
        };
    }

    fn delete(&mut self, withdrawal: Withdrawal) {
        self.group.metadata.deletion_timestamp = Some(Time(at(104)));
        self.withdrawal = Some(withdrawal);
    }

    /// Selects the nodes with this label only.
    fn select(&mut self, label: &str) {
        let labels = [(label.to_owned(), String::new())].into();
        self.group.spec.node_selector = Some(LabelSelector {
            match_labels: Some(labels),
            ..LabelSelector::default()
        });
    }

    fn label(&mut self, node: &str, label: &str) {
        let kube = self.record(node).node.as_mut().unwrap();
        kube.labels.insert(label.to_owned(), String::new());
    }

    fn look(&self) -> Aggregate {
        let members: Vec<&NodeRecord> = self.records.values().collect();
        let share = Share {
            group: &self.group,
            verdict: &self.verdict,
            members: &members,
            protected: matches!(self.withdrawal, Some(Withdrawal::Protected(_))),
        };
        aggregate(self.now, &share, self.withdrawal.as_ref())
    }

    /// Looks, writes the status, and checks what is true of every status.
    fn settle(&mut self) -> Aggregate {
        let seen = self.look();
        assert_eq!(seen, self.look(), "equal input, other output");
        self.group.status = Some(seen.status.clone());
        assert_eq!(seen, self.look(), "a written status has to be written again");
        let text = serde_json::to_value(&seen.status).unwrap();
        let read = serde_json::from_value(text).unwrap();
        assert_eq!(
            seen.status, read,
            "what the API server keeps is not what was said"
        );
        well_formed(&seen);
        seen
    }
}

fn well_formed(seen: &Aggregate) {
    let status = &seen.status;
    let types: Vec<&str> = status.conditions.iter().map(|c| &*c.type_).collect();
    assert_eq!(types, Place::CONDITIONS.map(Place::as_str));
    for condition in &status.conditions {
        assert_eq!(condition.observed_generation, status.observed_generation);
        assert!(
            condition.message.len() > 5 && !condition.message.contains(". ."),
            "{condition:?}"
        );
        assert!(condition.message.ends_with(['.', '…']), "{condition:?}");
        let known = Reason::ALL
            .iter()
            .find(|reason| reason.as_str() == condition.reason);
        let places: BTreeSet<&str> = known
            .unwrap()
            .places()
            .iter()
            .map(|place| place.as_str())
            .collect();
        assert!(places.contains(&*condition.type_), "undocumented: {condition:?}");
    }
    let is = |type_: &str| {
        status
            .conditions
            .iter()
            .any(|c| c.type_ == type_ && c.status == "True")
    };
    assert!(!(is("Ready") && is("SplitBrain")), "ready with a split");
    assert!(
        is("Accepted") || is("Stalled") && !is("Ready"),
        "refused, but not stalled"
    );
    assert!(
        !is("Ready") || status.active_node.is_some(),
        "ready without an Active node"
    );
    assert!(status.members.is_sorted_by(|one, other| one.node < other.node));
}

/// `Ready=True Serving`, and so on.
fn condition(seen: &Aggregate, place: Place) -> String {
    let condition = seen
        .status
        .conditions
        .iter()
        .find(|c| c.type_ == place.as_str())
        .unwrap();
    format!("{}={} {}", condition.type_, condition.status, condition.reason)
}

fn message(seen: &Aggregate, place: Place) -> String {
    let condition = seen
        .status
        .conditions
        .iter()
        .find(|c| c.type_ == place.as_str())
        .unwrap();
    condition.message.clone()
}

/// `cp-1: Active ActiveSilent`, and so on.
fn members(seen: &Aggregate) -> Vec<String> {
    let each = seen.status.members.iter();
    each.map(|member| {
        format!(
            "{}: {:?} {}",
            member.node,
            member.state,
            member.reason.as_deref().unwrap_or("")
        )
    })
    .collect()
}
