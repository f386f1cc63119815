//! What the operator says about a group: `VirtualIPGroup.status`, in the shape that kstatus and people expect.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::GatewayDuration;

/// What is true of a group now.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VirtualIPGroupStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Accepted` and `Ready` are true when all is well; `Degraded`, `SplitBrain`, `Reconciling` and `Stalled` when
    /// it is not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
    /// The node that serves the addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub active_node: Option<String>,
    /// Every member and what it is doing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["node"])
    )]
    pub members: Vec<Member>,
    /// How the addresses came to where they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_transition: Option<Transition>,
    /// What `kubectl get` prints of the lists here and in the spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<GroupSummary>,
}

/// Lists of a group in one line each: the first entries, and how many more there are.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupSummary {
    /// The virtual addresses, without their prefix lengths.
    #[schemars(length(max = 256))]
    pub addresses: String,
    /// The interfaces on which members take part.
    #[schemars(length(max = 64))]
    pub interfaces: String,
    /// The members' names.
    #[schemars(length(max = 1024))]
    pub members: String,
}

/// One member of a group.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// The node's name.
    #[schemars(length(min = 1, max = 253))]
    pub node: String,
    /// What it is doing: RFC 9568's states, `Fault`, `Standby`, or `Unknown` when it has not been heard of lately.
    pub state: MemberState,
    /// Its priority after everything that changes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 255))]
    pub effective_priority: Option<i32>,
    /// How that priority comes about: `200 base − 50 haproxy (connection refused, 3 of 3) = 150`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub priority_explained: Option<String>,
    /// The names of its probes that fail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        inner(length(max = 63)),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub failing_probes: Vec<String>,
    /// Until when it is held back, because it came and went too often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_back_until: Option<MicroTime>,
    /// Why its node is being worked on, if something follows from that for this group: `cordoned`, and what ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub maintenance: Option<String>,
    /// Since when it has been in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<MicroTime>,
    /// Why, in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub reason: Option<String>,
    /// The interface on which it takes part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 15))]
    pub interface: Option<String>,
    /// More about it, in a sentence: what its agent says of its faults, or when it was last heard of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
}

/// What a member is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub enum MemberState {
    /// Has the group but has not started (RFC 9568 §6.4.1).
    Initialize,
    /// Watches the active node (RFC 9568 §6.4.2).
    Backup,
    /// Serves the addresses (RFC 9568 §6.4.3).
    Active,
    /// Cannot take part.
    Fault,
    /// Another agent on the node has the group.
    Standby,
    /// Has not been heard of lately.
    Unknown,
}

/// How the addresses moved.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Transition {
    /// The node that served them before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub from: Option<String>,
    /// The node that serves them since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub to: Option<String>,
    /// Why, in one word.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// When.
    pub time: MicroTime,
    /// How long it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<GatewayDuration>,
}

/// One reason why a node cannot take part.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// In one word, such as `LinkDown`.
    #[schemars(length(min = 1, max = 64))]
    pub reason: String,
    /// In a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
}
