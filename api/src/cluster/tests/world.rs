//! A cluster in miniature: groups and records as an API server keeps them, agents that hear of them late or never, and an
//! operator that is nothing but the functions under test.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};

use crate::cluster::{
    AgentLife, KubeNode, NodeRecord, Rival, Share, StoredNode, Verdict, Withdrawal, is_member, judge,
    node_spec, withdrawal,
};
use crate::v1alpha1::{
    Fault, GroupSource, MemberState, Mode, NodeGroup, NodeGroupStatus, VirtualIPGroup, VirtualIPNodeSpec,
    VirtualIPNodeStatus,
};

pub const NODES: [&str; 4] = ["n0", "n1", "n2", "n3"];
pub const GROUPS: [&str; 2] = ["a", "b"];
pub const PATIENCE: Duration = Duration::from_mins(5);

/// What one agent runs of one group.
#[derive(Clone, Debug)]
pub struct Running {
    pub entry: NodeGroup,
    pub active_since: Option<Timestamp>,
    /// Whether it was told this by an object that exists no longer.
    pub orphaned: bool,
}

/// One agent: what it runs is all that counts on the wire.
#[derive(Clone, Debug, Default)]
pub struct Agent {
    pub started: bool,
    pub connected: bool,
    /// Refuses every configuration that it does not run already.
    pub stubborn: bool,
    pub read: Option<(i64, VirtualIPNodeSpec)>,
    pub observed: Option<i64>,
    pub running: BTreeMap<String, Running>,
    pub refused: BTreeSet<String>,
    /// Nobody waits for it any longer, so that what it does is nobody's promise.
    pub given_up: bool,
}

#[derive(Clone, Debug, Default)]
struct Kept {
    groups: BTreeMap<String, VirtualIPGroup>,
    objects: BTreeMap<String, StoredNode>,
}

#[derive(Clone, Debug)]
pub struct World {
    pub now: Timestamp,
    kept: Kept,
    backup: Option<Kept>,
    pub nodes: BTreeMap<String, KubeNode>,
    pub leases: BTreeMap<String, AgentLife>,
    pub agents: BTreeMap<String, Agent>,
    /// The records tell of another past than the agents have lived, until all of them have been heard and told again.
    pub is_rewritten: bool,
    pub writes: usize,
    next_uid: u32,
}

/// All of it in a few lines, for a failure to be read.
impl std::fmt::Display for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let entry = |entry: &NodeGroup| {
            let says = &entry.advertisement;
            let peers: Vec<String> = entry
                .peers
                .iter()
                .map(|p| format!("{}={}", p.name, p.addresses[0]))
                .collect();
            format!(
                "{}@{} id {} v{} {:?} {:?} on {:?} from {:?} peers {peers:?} may {} deleted {}",
                entry.name,
                entry.generation,
                entry.virtual_router_id,
                says.version,
                says.mode,
                says.interval,
                entry.interface,
                entry.source_addresses,
                entry.may_become_active,
                entry.deleted,
            )
        };
        for (name, group) in &self.kept.groups {
            writeln!(
                f,
                "group {name}: generation {:?}, deleted {:?}",
                group.metadata.generation, group.metadata.deletion_timestamp
            )?;
        }
        for (name, agent) in &self.agents {
            let object = self.kept.objects.get(name);
            let kube = self.nodes.get(name);
            writeln!(
                f,
                "{name}: Node {:?}, lease {:?}, object {:?} observed {:?}, started {} connected {} given up {}",
                kube.map(|kube| kube.labels.contains_key("use")),
                self.leases.get(name),
                object.map(|o| o.generation),
                object.and_then(|o| o.status.observed_generation),
                agent.started,
                agent.connected,
                agent.given_up,
            )?;
            for stored in object.iter().flat_map(|object| &object.spec.groups) {
                writeln!(f, "  told    {}", entry(stored))?;
            }
            for said in object.iter().flat_map(|object| &object.status.groups) {
                writeln!(
                    f,
                    "  said    {}@{:?} {:?} {:?}",
                    said.name, said.applied_generation, said.state, said.faults
                )?;
            }
            for run in agent.running.values() {
                writeln!(
                    f,
                    "  runs    {} active {:?} orphaned {}",
                    entry(&run.entry),
                    run.active_since,
                    run.orphaned
                )?;
            }
        }
        Ok(())
    }
}

/// The address that an agent really uses; what its Node object says may be another one, or nothing.
fn address(node: &str) -> String {
    format!("10.0.0.1{}", &node[1..])
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
            },
        );
    }

    pub fn apply_group(&mut self, name: &str, change: &dyn Fn(&mut VirtualIPGroup)) {
        let index = if name == "a" { 0 } else { 1 };
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
        for agent in self.agents.values_mut() {
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

    fn verdicts(&self, records: &[NodeRecord]) -> BTreeMap<String, Verdict> {
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
            verdicts.insert(name.clone(), judge(group, &own, &rivals, &|_| None));
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
            let spec = node_spec("cluster", record, shares, &is_virtual);
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

    pub fn read(&mut self, node: &str) {
        let agent = self.agents.get_mut(node).unwrap();
        if let Some(object) = self
            .kept
            .objects
            .get(node)
            .filter(|_| agent.started && agent.connected)
        {
            agent.read = Some((object.generation, object.spec.clone()));
        }
    }

    pub fn apply(&mut self, node: &str) {
        let agent = self.agents.get_mut(node).unwrap();
        let Some((generation, spec)) = agent.read.clone() else {
            return;
        };
        agent.observed = Some(generation);
        for entry in spec.groups {
            agent.refused.remove(&entry.name);
            if entry.deleted {
                agent.running.remove(&entry.name);
            } else if agent.stubborn
                && agent
                    .running
                    .get(&entry.name)
                    .is_none_or(|run| run.entry != entry)
            {
                agent.refused.insert(entry.name);
            } else {
                // Whatever changes: one that is Active stays so.
                let active_since = agent.running.get(&entry.name).and_then(|run| run.active_since);
                let running = Running {
                    entry: entry.clone(),
                    active_since,
                    orphaned: false,
                };
                agent.running.insert(entry.name, running);
            }
        }
    }

    /// The agent's whole truth reaches the API server, and with it its Lease.
    pub fn report(&mut self, node: &str) {
        let agent = self.agents.get_mut(node).unwrap();
        if !agent.started || !agent.connected {
            return;
        }
        self.leases.insert(node.to_owned(), AgentLife::Fresh(self.now));
        let Some(object) = self.kept.objects.get_mut(node) else {
            return;
        };
        let names: BTreeSet<&String> = agent.running.keys().chain(&agent.refused).collect();
        let groups = names.into_iter().map(|name| {
            let run = agent.running.get(name);
            let active = run.and_then(|run| run.active_since);
            NodeGroupStatus {
                name: name.clone(),
                applied_generation: run.map(|run| run.entry.generation),
                source: GroupSource::API,
                in_file: false,
                carries_api_endpoint: false,
                state: if active.is_some() {
                    MemberState::Active
                } else {
                    MemberState::Backup
                },
                reason: None,
                faults: Vec::from_iter(agent.refused.contains(name).then(|| Fault {
                    reason: "ConfigurationRefused".to_owned(),
                    message: None,
                })),
                effective_priority: None,
                since: active.map(MicroTime),
                interface: None,
                active_peer: None,
                source_address: run.and_then(|run| source(node, &run.entry)),
                conflicts: Vec::new(),
                last_transition: None,
            }
        });
        object.status = VirtualIPNodeStatus {
            observed_generation: agent.observed,
            groups: groups.collect(),
            ..VirtualIPNodeStatus::default()
        };
        object.status_seen = self.now;
    }

    /// An agent that may takes over: the others that hear it give way.
    pub fn elect(&mut self, node: &str, group: &str) {
        let now = self.now;
        let Some(run) = self.agents.get_mut(node).unwrap().running.get_mut(group) else {
            return;
        };
        if !run.entry.may_become_active || run.active_since.is_some() {
            return;
        }
        run.active_since = Some(now);
        let (entry, orphaned) = (run.entry.clone(), run.orphaned);
        for (other, agent) in &mut self.agents {
            if let Some(run) = agent.running.get_mut(group)
                && other != node
                && !deaf((node, &entry), (other, &run.entry))
            {
                run.active_since = None;
            }
        }
        // Nobody can lock an agent with words that he does not know.
        self.is_rewritten |= orphaned;
    }

    /// Two that are Active and hear each other are so for a moment only.
    fn contend(&mut self) {
        for group in GROUPS {
            for node in NODES {
                let agent = self.agents.get_mut(node).unwrap();
                let Some(run) = agent
                    .running
                    .get_mut(group)
                    .filter(|run| run.active_since.is_some())
                else {
                    continue;
                };
                let (since, entry) = (run.active_since, run.entry.clone());
                let beaten = self.agents.iter().any(|(other, agent)| {
                    let theirs = agent.running.get(group).filter(|run| run.active_since > since);
                    theirs.is_some_and(|run| !deaf((node, &entry), (other, &run.entry)))
                });
                if beaten {
                    self.agents
                        .get_mut(node)
                        .unwrap()
                        .running
                        .get_mut(group)
                        .unwrap()
                        .active_since = None;
                }
            }
        }
    }

    pub fn crash(&mut self, node: &str) {
        for run in self.agents.get_mut(node).unwrap().running.values_mut() {
            run.active_since = None;
        }
    }

    pub fn expire(&mut self, node: &str) {
        let agent = &self.agents[node];
        if !agent.connected
            && let Some(AgentLife::Fresh(heard)) = self.leases.get(node)
        {
            let heard = *heard;
            self.leases.insert(node.to_owned(), AgentLife::Expired(heard));
            // What it runs was told by an object that is gone, and now nobody will ask.
            self.is_rewritten |= agent.running.values().any(|run| run.orphaned);
        }
    }

    /// Who is out of sight for good: their Nodes are gone and their agents silent, and nobody answers for them.
    pub fn give_up(&mut self) {
        let records = self.records();
        for (name, group) in &self.kept.groups {
            // Told by an object that is gone, on a node that nothing points at: nobody knows to ask it.
            let forgotten = self.agents.iter().any(|(node, agent)| {
                let record = records.iter().find(|record| record.name == *node);
                let is_known = record.is_some_and(|record| is_member(group, record));
                !is_known && agent.running.get(name).is_some_and(|run| run.orphaned)
            });
            self.is_rewritten |= forgotten;
        }
        let present: BTreeSet<String> = self.records().into_iter().map(|record| record.name).collect();
        for (name, agent) in &mut self.agents {
            agent.given_up |= !present.contains(name);
        }
    }

    /// What must never be: two that could be Active, or are, and one does not hear the other.
    pub fn assert_nobody_is_deaf(&self) {
        if self.is_rewritten {
            return;
        }
        for group in GROUPS {
            let could = |run: &&Running| run.entry.may_become_active || run.active_since.is_some();
            let able: Vec<(&String, &Running)> = self
                .agents
                .iter()
                .filter(|(_, agent)| !agent.given_up)
                .filter_map(|(name, agent)| Some((name, agent.running.get(group).filter(could)?)))
                .collect();
            for (place, (a, ours)) in able.iter().enumerate() {
                for (b, theirs) in &able[..place] {
                    assert!(
                        !deaf((a, &ours.entry), (b, &theirs.entry)),
                        "group {group}: {a} and {b} could both be Active:\n{self}"
                    );
                }
            }
        }
    }

    /// Everybody is reachable again and willing, and talks until there is nothing more to say.
    pub fn settle(&mut self) {
        for agent in self.agents.values_mut().filter(|agent| agent.started) {
            (agent.connected, agent.stubborn) = (true, false);
        }
        let mut quiet_rounds = 0;
        for _ in 0..16 {
            self.assert_nobody_is_deaf();
            self.contend();
            for node in NODES {
                self.report(node);
            }
            let before = self.writes;
            self.operate(&NODES);
            for node in NODES {
                self.read(node);
                self.apply(node);
                self.report(node);
            }
            // What was said last in one round may be what the next one writes about.
            quiet_rounds = if before == self.writes {
                quiet_rounds + 1
            } else {
                0
            };
            if quiet_rounds == 2 {
                let present: BTreeSet<String> =
                    self.records().into_iter().map(|record| record.name).collect();
                for (name, agent) in &mut self.agents {
                    agent.given_up = !present.contains(name);
                }
                let mut running = self.agents.values().flat_map(|agent| agent.running.values());
                self.is_rewritten &= running.any(|run| run.orphaned);
                return;
            }
        }
        panic!("there is no end of writing:\n{self}");
    }

    /// What settling has to lead to.
    pub fn assert_settled(&self) {
        let records = self.records();
        let verdicts = self.verdicts(&records);
        for (name, group) in &self.kept.groups {
            if group.metadata.deletion_timestamp.is_some() || !verdicts[name].accepted {
                continue;
            }
            if records
                .iter()
                .any(|record| record.node.is_none() && is_member(group, record))
            {
                // What is to change waits for it.
                continue;
            }
            for record in records
                .iter()
                .filter(|record| record.node.is_some() && self.agents[&record.name].started)
            {
                let selected = record.node.as_ref().unwrap().labels.contains_key("use");
                let run = self.agents[&record.name].running.get(name);
                let run = run.filter(|run| !run.orphaned);
                assert_eq!(run.is_some(), selected, "{name} on {}:\n{self}", record.name);
                if let Some(run) = run {
                    assert!(run.entry.may_become_active, "{name} on {}:\n{self}", record.name);
                    assert_eq!(
                        Some(run.entry.generation),
                        group.metadata.generation,
                        "{name} on {}:\n{self}",
                        record.name
                    );
                }
            }
        }
    }
}

fn source(node: &str, entry: &NodeGroup) -> Option<String> {
    entry
        .source_addresses
        .first()
        .cloned()
        .or_else(|| Some(address(node)))
}

/// Whether one of the two drops what the other says, told from their configurations as from the wire.
fn deaf(a: (&str, &NodeGroup), b: (&str, &NodeGroup)) -> bool {
    let words = |entry: &NodeGroup| {
        let says = &entry.advertisement;
        let interval = (says.version == 2).then_some(says.interval);
        let link = entry.interface.clone().unwrap_or_else(|| "eth0".to_owned());
        (
            entry.virtual_router_id,
            says.version,
            says.mode,
            interval,
            link,
            entry.authentication.clone(),
        )
    };
    let listed = |of: &NodeGroup, node: &str, entry: &NodeGroup| {
        let source = source(node, entry).unwrap();
        of.peers.iter().any(|peer| peer.addresses.contains(&source))
    };
    let unicast = a.1.advertisement.mode == Mode::Unicast;
    words(a.1) != words(b.1) || unicast && !(listed(a.1, b.0, b.1) && listed(b.1, a.0, a.1))
}
