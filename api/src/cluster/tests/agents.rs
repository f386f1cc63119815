//! The agents: what they run is all that counts on the wire, and what they hear and say comes late or never.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::world::{GROUPS, NODES, World};
use crate::cluster::AgentLife;
use crate::v1alpha1::{
    Fault, GroupSource, MemberState, Mode, NodeGroup, NodeGroupStatus, VirtualIPNodeSpec, VirtualIPNodeStatus,
};

/// What one agent runs of one group.
#[derive(Clone, Debug)]
pub struct Running {
    pub entry: NodeGroup,
    pub active_since: Option<Timestamp>,
    /// Whether it was told this by an object that exists no longer.
    pub orphaned: bool,
}

/// Whether an agent runs and reaches the API server.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Life {
    #[default]
    NotStarted,
    CutOff,
    Connected,
}

/// One agent: what it runs is all that counts on the wire.
#[derive(Clone, Debug, Default)]
pub struct Agent {
    pub life: Life,
    /// Refuses every configuration that it does not run already.
    pub stubborn: bool,
    pub read: Option<(i64, VirtualIPNodeSpec)>,
    pub observed: Option<i64>,
    pub running: BTreeMap<String, Running>,
    pub refused: BTreeSet<String>,
    /// Nobody waits for it any longer, so that what it does is nobody's promise.
    pub given_up: bool,
}

/// The address that an agent really uses; what its Node object says may be another one, or nothing.
pub fn address(node: &str) -> String {
    format!("10.0.0.1{}", &node[1..])
}

impl Agent {
    /// Runs and reaches the API server, or no longer; one that does not run is not cut off either.
    pub fn connect(&mut self, connected: bool) {
        self.life = match self.life {
            Life::NotStarted => Life::NotStarted,
            _ if connected => Life::Connected,
            _ => Life::CutOff,
        };
    }
}

impl World {
    pub fn read(&mut self, node: &str) {
        let agent = self.agents.get_mut(node).unwrap();
        if let Some(object) = self
            .kept
            .objects
            .get(node)
            .filter(|_| agent.life == Life::Connected)
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
        if agent.life != Life::Connected {
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
                priority_explained: None,
                probes: Vec::new(),
                held_back_until: None,
                since: active.map(MicroTime),
                interface: None,
                active_peer: None,
                source_address: run.and_then(|run| source(node, &run.entry)),
                conflicts: Vec::new(),
                warnings: Vec::new(),
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
    pub fn contend(&mut self) {
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
        if agent.life != Life::Connected
            && let Some(AgentLife::Fresh(heard)) = self.leases.get(node)
        {
            let heard = *heard;
            self.leases.insert(node.to_owned(), AgentLife::Expired(heard));
            // What it runs was told by an object that is gone, and now nobody will ask.
            self.is_rewritten |= agent.running.values().any(|run| run.orphaned);
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
pub fn deaf(a: (&str, &NodeGroup), b: (&str, &NodeGroup)) -> bool {
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
