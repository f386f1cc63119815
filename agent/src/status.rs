//! What the agent tells about itself: one structure for the local socket, the CLI, metrics and (later) the API.

use core::net::IpAddr;

use holdfast_api::v1alpha1::GroupSource;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The whole agent.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentStatus {
    /// The node's name (`--node`).
    pub node: String,
    /// The agent's version.
    pub version: String,
    /// `Active`: runs the groups below. `Standby`: another agent runs them in this network namespace.
    pub role: Role,
    /// What the process could not get and does without: real-time priority, locked memory.
    pub limitations: Vec<String>,
    /// What went wrong with the last configuration offered; empty if it is in force.
    pub configuration_problems: Vec<String>,
    /// What the agent has to do with the API server; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<ApiStatus>,
    /// The agents that stand by for this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub standbys: Vec<StandbyStatus>,
    /// The agent that this one stands by for, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<WaitStatus>,
    /// The groups in the order of their names.
    pub groups: Vec<GroupStatus>,
}

/// The agent as a client of the API server.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiStatus {
    /// Whether the last request was answered.
    pub reached: bool,
    /// When it last answered.
    pub last_answer: Option<Timestamp>,
    /// Why the last request failed, in a sentence; absent after one that did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The generation of this node's `VirtualIPNode` that is in force.
    pub observed_generation: Option<i64>,
    /// Since when something has been waiting to be reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreported_since: Option<Timestamp>,
    /// What is wrong on this node beyond single groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<FaultStatus>,
    /// Groups of which the last word could not be put into force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<Refusal>,
    /// What was counted.
    #[serde(default)]
    pub counters: ApiCounters,
}

/// A group of which the last word could not be put into force; what ran before keeps running.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// The group.
    pub group: String,
    /// Why, in a sentence.
    pub message: String,
}

/// What the agent has counted as a client of the API server since it started.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiCounters {
    /// Reports of this node's status written.
    pub reports: u64,
    /// Renewals of this node's Lease.
    pub lease_renewals: u64,
    /// Requests that failed, by reason in one word.
    pub failures: std::collections::BTreeMap<String, u64>,
}

/// Whether this agent is the one that runs the groups.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Role {
    /// It runs them.
    Running,
    /// Another agent in this network namespace does; this one takes over when that one ends.
    Standby,
}

/// An agent that stands by in this network namespace.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StandbyStatus {
    /// Its process; 0 if it is in another PID namespace.
    pub process: i32,
    /// Its version; absent for one that says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether it was started with `--take-over`.
    pub take_over: bool,
    /// Why it stands by, in a sentence.
    pub message: String,
}

/// The agent that runs the groups where this one stands by.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitStatus {
    /// Its process; 0 if it is in another PID namespace.
    pub process: i32,
    /// Its version; absent for one that says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Why this one stands by, in a sentence.
    pub message: String,
}

/// One group on this node.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupStatus {
    /// The group's name.
    pub name: String,
    /// The virtual router's identifier.
    #[serde(rename = "virtualRouterID")]
    pub virtual_router_id: u8,
    /// `VRRPv2` or `VRRPv3`.
    pub version: String,
    /// `IPv4` or `IPv6`.
    pub family: String,
    /// The interface in use, or the one that is waited for.
    pub interface: Option<String>,
    /// The address this node takes part from.
    pub source_address: Option<IpAddr>,
    /// The virtual addresses with the prefix written.
    pub addresses: Vec<String>,
    /// `Initialize`, `Backup`, `Active` or `Fault`.
    pub state: String,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Why it is in that state: the last transition's reason.
    pub reason: String,
    /// The present faults, each with what was found and what to do.
    pub faults: Vec<FaultStatus>,
    /// The priority in the election.
    pub effective_priority: u8,
    /// The effective priority as a sum: `200 base − 50 haproxy (connection refused, 3 of 3) = 150`.
    pub priority_explained: String,
    /// The probes in the order written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<ProbeStatus>,
    /// What somebody should see to although it keeps the node from nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<FaultStatus>,
    /// Until when the node is held back, because it came and went too often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_back_until: Option<Timestamp>,
    /// The address of the Active router, if it is another one and was heard.
    pub active_peer: Option<IpAddr>,
    /// Its name, if it is a configured peer.
    pub active_peer_name: Option<String>,
    /// The advertisement interval in force (learned from the Active router while Backup), as a Gateway API duration.
    pub interval: String,
    /// Whether the addresses are still served after Active was left, until the successor does.
    pub releasing: bool,
    /// The last change of state.
    pub last_transition: Option<TransitionStatus>,
    /// The last time this node became Active or ceased to be.
    #[serde(default)]
    pub last_move: Option<TransitionStatus>,
    /// The generation of the group that runs; 0 for one from a file.
    #[serde(default)]
    pub generation: i64,
    /// From where the group's configuration came, if there is an API server to choose from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<GroupSource>,
    /// Whether the group of an API server is also written in a file on this node.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub in_file: bool,
    /// While Active: what on the wire has said of late that somebody else has an address of the group.
    #[serde(default)]
    pub conflicts: Vec<FaultStatus>,
    /// What was counted.
    pub counters: Counters,
    /// Packets dropped, by reason.
    pub drops: std::collections::BTreeMap<String, u64>,
    /// What does not fit together with other routers on the wire, in plain words.
    pub notices: Vec<Notice>,
}

/// One fact that keeps a group in Fault.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FaultStatus {
    /// The reason in one word: `LinkDown`.
    pub reason: String,
    /// What was found and what to do, in a sentence.
    pub message: String,
}

/// What is made of one group's probes: what [`GroupStatus`] has of them.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct HealthStatus {
    /// The priority as a sum.
    pub priority_explained: String,
    /// Until when the node is held back.
    pub held_back_until: Option<Timestamp>,
    /// A sentence for each fault that comes from probes or from what is asked of the node.
    pub faults: Vec<FaultStatus>,
    /// The probes in the order written.
    pub probes: Vec<ProbeStatus>,
    /// What somebody should see to although it keeps the node from nothing.
    pub warnings: Vec<FaultStatus>,
}

/// One probe.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProbeStatus {
    /// Its name.
    pub name: String,
    /// What its failure does: `None`, `Hold`, `Fault`, `Weight −50`, or `Quorum` if it counts in one.
    pub on_failure: String,
    /// The quorum in which it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum: Option<String>,
    /// What it says of the service: `NotYetKnown`, `Passing`, `Failing` or `Recovering`.
    pub verdict: String,
    /// How its runs end: `Passed`, `Failed`, `TimedOut` or `CouldNotRun`; absent before the first, and for a quorum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// What the first run in a row that ended so has found; of a quorum, how many of its probes pass.
    pub message: String,
    /// Since when it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// How many runs in a row speak against the verdict, or for what it will be, of how many that it takes; of a quorum, how
    /// many pass of how many that have to.
    pub streak: String,
    /// The last run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<RunStatus>,
    /// The last attempt at healing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healing: Option<HealingStatus>,
    /// How often it was run since the agent started, by outcome; empty for a quorum.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub runs: std::collections::BTreeMap<String, u64>,
    /// How long all of them together have taken.
    pub time: SignedDuration,
}

/// One run of a probe.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunStatus {
    /// How it ended.
    pub outcome: String,
    /// What it found.
    pub message: String,
}

/// An attempt at healing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealingStatus {
    /// The how-manieth of its series, from 1.
    pub attempt: u8,
    /// How many there are to be in a series.
    pub of: u8,
    /// Whether it is still being tried.
    pub running: bool,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<RunStatus>,
}

/// One change of state.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TransitionStatus {
    /// The state left.
    pub from: String,
    /// The state entered.
    pub to: String,
    /// Why, in one word.
    pub reason: String,
    /// When.
    pub time: Timestamp,
    /// For a takeover: how long the addresses had no Active router that was heard.
    pub duration: Option<SignedDuration>,
}

/// What one virtual router has counted since the agent started.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Advertisements sent, one for each destination.
    pub advertisements_sent: u64,
    /// Advertisements received and believed.
    pub advertisements_received: u64,
    /// Advertisements that could not be sent.
    pub send_errors: u64,
    /// Times this node became Active.
    pub became_active: u64,
    /// Priority-0 advertisements sent.
    pub resignations_sent: u64,
    /// Priority-0 advertisements received.
    pub resignations_received: u64,
    /// Gratuitous ARPs and unsolicited neighbor advertisements sent.
    pub announcements_sent: u64,
    /// Addresses put back after somebody else deleted them.
    pub addresses_restored: u64,
    /// Times another station claimed one of the addresses while this node was Active.
    pub conflicts: u64,
}

/// Something on the wire that does not fit this group's configuration.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// In one word: `version_mismatch`; the same words as the drop reasons.
    pub kind: String,
    /// Who sent it.
    pub peer: IpAddr,
    /// In a sentence, with what to do.
    pub message: String,
    /// When it was last seen.
    pub last_seen: Timestamp,
    /// How often it was seen.
    pub count: u64,
}

/// What the agent was told and has put into force: what it acknowledges to the API server.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Applied {
    /// The generation of this node's `VirtualIPNode` that is in force as far as it could be; `None` before the first.
    pub observed_generation: Option<i64>,
    /// The groups that run, and those that were refused, by name. Withdrawn ones are gone from here once they are withdrawn.
    pub groups: std::collections::BTreeMap<String, AppliedGroup>,
    /// What is wrong on this node beyond single groups: a kubeconfig that points at its own virtual address.
    pub problems: Vec<FaultStatus>,
}

/// One group that the agent was told of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AppliedGroup {
    /// The generation that runs; `None` if none does.
    pub generation: Option<i64>,
    /// From where it came.
    pub source: GroupSource,
    /// Whether a file on this node has it too.
    pub in_file: bool,
    /// Whether this node's API server address is one of its addresses.
    pub carries_api_endpoint: bool,
    /// Why what it was told last could not be put into force, in a sentence; what ran before keeps running.
    pub refused: Option<String>,
}
