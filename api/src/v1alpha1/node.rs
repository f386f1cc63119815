//! `VirtualIPNode`: what one node is to do and what it is doing. Rendered, never written by hand; holds no secret.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Address, Announcement, Authentication, Checksum, Family, Fault, FlapDamping, MemberState, Mode, NodeDuty,
    NodePreference, Peer, Preemption, Probe,
};
use crate::duration::GatewayDuration;

/// What one node is to do.
#[allow(
    clippy::duplicated_attributes,
    reason = "each printer column says its own type"
)]
#[derive(CustomResource, Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "vip.holdfast.dev",
    version = "v1alpha1",
    kind = "VirtualIPNode",
    plural = "virtualipnodes",
    singular = "virtualipnode",
    shortname = "vipn",
    status = "VirtualIPNodeStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "What one node does with virtual IP addresses. Written by Holdfast: change the VirtualIPGroups instead.",
    category = "holdfast",
    printcolumn(
        name = "Groups",
        type_ = "string",
        description = "The groups that the node takes part in.",
        json_path = ".status.summary.groups"
    ),
    printcolumn(
        name = "Active",
        type_ = "string",
        description = "The groups whose addresses the node serves.",
        json_path = ".status.summary.active"
    ),
    printcolumn(
        name = "Problem",
        type_ = "string",
        description = "What keeps the agent from doing all it should.",
        json_path = ".status.problems[0].reason"
    ),
    printcolumn(
        name = "Generation",
        type_ = "integer",
        description = "The generation of the spec.",
        json_path = ".metadata.generation",
        priority = 1
    ),
    printcolumn(
        name = "Applied",
        type_ = "integer",
        description = "The generation of the spec that the agent has applied.",
        json_path = ".status.observedGeneration",
        priority = 1
    ),
    printcolumn(
        name = "Agent",
        type_ = "string",
        description = "The version of the agent.",
        json_path = ".status.agentVersion",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct VirtualIPNodeSpec {
    /// The UID of the cluster's namespace `kube-system`: what another cluster said does not count.
    #[serde(rename = "clusterUID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub cluster_uid: Option<String>,
    /// The groups this node takes part in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 1024),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub groups: Vec<NodeGroup>,
    /// What an agent must be able to do to apply this spec; one that cannot keeps what it runs and says so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        inner(length(min = 1, max = 63)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub required_features: Vec<String>,
}

/// One group as one node sees it: overrides applied, defaults filled in, the node itself not among the peers.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeGroup {
    /// The group's name.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// The group's UID; absent for a group from a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub uid: Option<String>,
    /// The group's generation; 0 for a group from a file.
    #[serde(default)]
    pub generation: i64,
    /// The virtual router's identifier.
    #[serde(rename = "virtualRouterID")]
    #[schemars(range(min = 1, max = 255))]
    pub virtual_router_id: i32,
    /// The interface of the election. Absent: the one whose subnet holds an address of the election's family.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 15))]
    pub interface: Option<String>,
    /// The addresses to take part from, at most one of each family. Empty: the interface's IPv4 primary or IPv6
    /// link-local address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 2),
        inner(length(min = 2, max = 39)),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub source_addresses: Vec<String>,
    /// The virtual addresses in the order written.
    #[schemars(
        length(min = 1, max = 64),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["address"])
    )]
    pub addresses: Vec<Address>,
    /// The other members of a unicast group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub peers: Vec<Peer>,
    /// This node's priority.
    #[schemars(range(min = 1, max = 255))]
    pub priority: i32,
    /// How this node advertises.
    pub advertisement: NodeAdvertisement,
    /// When a better node takes the addresses from a healthy worse one.
    #[serde(default)]
    pub preemption: Preemption,
    /// What proves that an advertisement comes from a member. Names the secret, never holds it.
    #[serde(default)]
    pub authentication: Authentication,
    /// How the addresses are announced to their neighbors.
    #[serde(default)]
    pub announcement: Announcement,
    /// How long after its agent's start this node stays out of the election.
    #[serde(default)]
    pub startup_delay: GatewayDuration,
    /// What is watched on this node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub probes: Vec<Probe>,
    /// How the node is held back if it comes and goes.
    #[serde(default)]
    pub flap_damping: FlapDamping,
    /// The sync group whose groups move together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub sync_group: Option<String>,
    /// That the group is to be on this node by somebody's wish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred: Option<NodePreference>,
    /// What is asked of the node, because it is being worked on.
    #[serde(default)]
    pub duty: NodeDuty,
    /// Whether this node may become active: false until every member knows it.
    pub may_become_active: bool,
    /// The group was deleted: hand over, forget it, and acknowledge.
    #[serde(default)]
    pub deleted: bool,
}

/// How one node advertises: an [`super::Advertisement`] with its defaults filled in and its peers resolved.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeAdvertisement {
    /// The protocol version: 2 or 3.
    #[schemars(range(min = 2, max = 3))]
    pub version: i32,
    /// How often this node advertises while it is active.
    pub interval: GatewayDuration,
    /// The family of the election.
    pub family: Family,
    /// Where advertisements go.
    pub mode: Mode,
    /// The multicast group; given with `Multicast` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 39))]
    pub multicast_group: Option<String>,
    /// Which bytes the checksum of a VRRPv3 packet over IPv4 covers.
    #[serde(default)]
    pub checksum: Checksum,
}

/// What one node is doing.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VirtualIPNodeStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The version of the agent that reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub agent_version: Option<String>,
    /// What keeps the agent from doing all it should on this node: each in one word and in a sentence with what to do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub problems: Vec<Fault>,
    /// The groups and what the node does with them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 1024),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub groups: Vec<NodeGroupStatus>,
    /// What `kubectl get` prints of the list of groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<NodeSummary>,
}

/// Lists of a node in one line each: the first entries, and how many more there are.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeSummary {
    /// The groups' names.
    #[schemars(length(max = 256))]
    pub groups: String,
    /// The names of the groups that the node serves.
    #[schemars(length(max = 256))]
    pub active: String,
}

/// What one node does with one group.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeGroupStatus {
    /// The group's name.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// The generation of the group that is applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_generation: Option<i64>,
    /// From where the applied configuration came.
    #[serde(default)]
    pub source: GroupSource,
    /// Whether the group is also written in a file on this node.
    #[serde(default, skip_serializing_if = "is_false")]
    pub in_file: bool,
    /// Whether this node reaches the API server through an address of the group.
    #[serde(rename = "carriesAPIEndpoint", default, skip_serializing_if = "is_false")]
    pub carries_api_endpoint: bool,
    /// What the node is doing.
    pub state: MemberState,
    /// Why it is in that state, in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub reason: Option<String>,
    /// Why it cannot take part, if it cannot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub faults: Vec<Fault>,
    /// What somebody should see to although it keeps the node from nothing, such as a certificate that does not name an address
    /// of the group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub warnings: Vec<Fault>,
    /// Its priority after everything that changes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 255))]
    pub effective_priority: Option<i32>,
    /// How that priority comes about: `200 base − 50 haproxy (connection refused, 3 of 3) = 150`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub priority_explained: Option<String>,
    /// The probes and what they say, in the order written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub probes: Vec<ProbeStatus>,
    /// Until when the node is held back, because it came and went too often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_back_until: Option<MicroTime>,
    /// Since when it has been in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<MicroTime>,
    /// The interface of the election on this node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 15))]
    pub interface: Option<String>,
    /// The address of the router that it takes for the active one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 39))]
    pub active_peer: Option<String>,
    /// The address from which it takes part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 39))]
    pub source_address: Option<String>,
    /// What on the wire says that somebody else has an address of the group while this node is active.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub conflicts: Vec<Fault>,
    /// The last time this node became active or ceased to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_transition: Option<NodeTransition>,
}

/// What one probe of a group says on one node.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProbeStatus {
    /// The probe's name.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// What it says of the service.
    pub verdict: ProbeVerdict,
    /// How its runs end: `Passed`, `Failed`, `TimedOut` or `CouldNotRun`; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub outcome: Option<String>,
    /// What the first run in a row that ended so has found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub message: Option<String>,
    /// Since when it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<MicroTime>,
}

/// What a probe says of the service.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub enum ProbeVerdict {
    /// Nothing yet: it has not been run often enough.
    NotYetKnown,
    /// It is as it should be.
    Passing,
    /// It is not.
    Failing,
    /// It is not, and healing is being tried.
    Recovering,
}

/// From where a node has a group's configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub enum GroupSource {
    /// From its `VirtualIPNode`.
    #[default]
    API,
    /// From what its `VirtualIPNode` said last, as kept on the node's disk.
    Cache,
    /// From a file on the node.
    File,
}

/// One change of a node's state.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeTransition {
    /// The state left.
    pub from: MemberState,
    /// The state entered.
    pub to: MemberState,
    /// Why, in one word.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// When.
    pub time: MicroTime,
    /// For a takeover: how long the addresses had no active node that was heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<GatewayDuration>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks like this")]
fn is_false(value: &bool) -> bool {
    !value
}
