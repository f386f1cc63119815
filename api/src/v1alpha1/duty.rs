//! Where a group is to be by somebody's wish, and what becomes of it on nodes that are being worked on.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::defaults;
use crate::duration::GatewayDuration;

/// A node that is to serve for a while, whatever the priorities and `preemption` say, as long as nothing is wrong with it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Placement {
    /// The node that is to serve.
    #[schemars(length(min = 1, max = 253))]
    pub preferred_node: String,
    /// Until when. Default: until the field is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}

/// What becomes of a member whose node is being worked on. A node annotated `vip.holdfast.dev/maintenance=true` always hands
/// over and gives up the addresses.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Maintenance {
    /// What becomes of a member whose node is cordoned (`kubectl cordon`, `kubectl drain`).
    #[serde(default)]
    pub on_cordon: CordonAction,
    /// What becomes of a member whose node has a taint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub on_taint: Vec<TaintPolicy>,
}

/// What becomes of a member whose node is cordoned.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize, JsonSchema)]
pub enum CordonAction {
    /// Nothing.
    #[default]
    Ignore,
    /// It hands over, and serves only if nobody else can.
    Demote,
    /// It hands over and gives up the addresses.
    Release,
}

/// What becomes of a member whose node has a taint.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaintPolicy {
    /// The taint's key, such as `node.kubernetes.io/out-of-service`.
    #[schemars(length(min = 1, max = 316))]
    pub key: String,
    /// The taint's value. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub value: Option<String>,
    /// The taint's effect: `NoSchedule`, `PreferNoSchedule` or `NoExecute`. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    pub effect: Option<String>,
    /// `Demote`: the member hands over, and serves only if nobody else can. `Release`: it gives up the addresses.
    pub action: TaintAction,
}

/// The kinds of action on a taint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub enum TaintAction {
    /// Hand over, and serve only if nobody else can.
    Demote,
    /// Hand over and give up the addresses.
    Release,
}

/// How a node that comes and goes is held back, so that addresses do not swing: after so many changes of its fitness within
/// `window`, the next change for the better waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FlapDamping {
    /// How many changes; 0: never. The default keeps addresses below the 5 moves in 180 s at which EVPN fabrics freeze them.
    #[serde(default = "defaults::damping_changes")]
    #[schemars(range(min = 0, max = 100))]
    pub changes: i32,
    /// The time in which they are counted, and for which a node is held back the first time; twice as long each further time.
    #[serde(default = "defaults::damping_window")]
    pub window: GatewayDuration,
    /// The longest time for which a node is held back.
    #[serde(default = "defaults::damping_longest")]
    pub longest: GatewayDuration,
}

/// What is asked of one node, because it is being worked on.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeDuty {
    /// `Serve`, `Demote` or `Release`.
    #[serde(rename = "type", default)]
    pub type_: NodeDutyType,
    /// Why, in a few words: `cordoned`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub reason: Option<String>,
}

/// The kinds of [`NodeDuty`], the strongest last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug, Serialize, Deserialize, JsonSchema)]
pub enum NodeDutyType {
    /// To serve, if it is its turn.
    #[default]
    Serve,
    /// To serve only if nobody else can.
    Demote,
    /// To give up the addresses.
    Release,
}

/// That a group is to be on this node by somebody's wish.
#[derive(Clone, PartialEq, Default, Debug, Serialize, Deserialize, JsonSchema)]
pub struct NodePreference {
    /// Until when, by the node's own clock. Default: for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}
