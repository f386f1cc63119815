//! `VirtualIPGroup`: the object a user writes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Address, Announcement, Authentication, Checksum, Family, FlapDamping, Maintenance, Mode, Peer, Placement,
    Preemption, Probe, VirtualIPGroupStatus, defaults,
};
use crate::duration::GatewayDuration;

/// Virtual addresses that are served together by one node at a time: one virtual router and one election.
#[allow(
    clippy::duplicated_attributes,
    reason = "each printer column says its own type"
)]
#[derive(CustomResource, Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "vip.holdfast.dev",
    version = "v1alpha1",
    kind = "VirtualIPGroup",
    plural = "virtualipgroups",
    singular = "virtualipgroup",
    shortname = "vipg",
    status = "VirtualIPGroupStatus",
    derive = "PartialEq",
    doc = "Virtual IP addresses that one node of the cluster serves at a time.",
    category = "holdfast",
    printcolumn(
        name = "VRID",
        type_ = "integer",
        description = "The virtual router's identifier.",
        json_path = ".spec.virtualRouterID"
    ),
    printcolumn(
        name = "Addresses",
        type_ = "string",
        description = "The virtual addresses.",
        json_path = ".status.summary.addresses"
    ),
    printcolumn(
        name = "Active",
        type_ = "string",
        description = "The node that serves the addresses.",
        json_path = ".status.activeNode"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        description = "Whether the present generation is applied and exactly one node serves the addresses.",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        description = "Why the group is ready or not.",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        priority = 1
    ),
    printcolumn(
        name = "Interface",
        type_ = "string",
        description = "The interfaces on which members take part.",
        json_path = ".status.summary.interfaces",
        priority = 1
    ),
    printcolumn(
        name = "Members",
        type_ = "string",
        description = "The nodes that take part.",
        json_path = ".status.summary.members",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct VirtualIPGroupSpec {
    /// The virtual addresses. Those of the election's family are advertised; those of the other family ride along.
    #[schemars(
        length(min = 1, max = 64),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["address"])
    )]
    pub addresses: Vec<Address>,
    /// The interface on which the election is held. Default: the one whose subnet holds an address of the election's
    /// family.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 15))]
    pub interface: Option<String>,
    /// The virtual router's identifier, which all its members share and nobody else on the link uses. Required in a
    /// file; in a cluster the operator writes one if it is left out.
    #[serde(rename = "virtualRouterID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 255))]
    pub virtual_router_id: Option<i32>,
    /// The nodes that take part. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_selector: Option<LabelSelector>,
    /// The priority of every member that no override names; the highest healthy one serves. 255 means that the node
    /// owns the addresses.
    #[serde(default = "defaults::priority")]
    #[schemars(range(min = 1, max = 255))]
    pub priority: i32,
    /// What is different on some nodes. The first entry that matches a node counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub node_overrides: Vec<NodeOverride>,
    /// How members tell each other that they are there.
    #[serde(default)]
    pub advertisement: Advertisement,
    /// When a better node takes the addresses from a healthy worse one.
    #[serde(default)]
    pub preemption: Preemption,
    /// What proves that an advertisement comes from a member.
    #[serde(default)]
    pub authentication: Authentication,
    /// How the addresses are announced to their neighbors: gratuitous ARP and unsolicited neighbor advertisements.
    #[serde(default)]
    pub announcement: Announcement,
    /// How long after its agent's start a node stays out of the election.
    #[serde(default)]
    pub startup_delay: GatewayDuration,
    /// What is watched on each node: a node whose service fails hands over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub probes: Vec<Probe>,
    /// How a node that comes and goes is held back, so that the addresses do not swing.
    #[serde(default)]
    pub flap_damping: FlapDamping,
    /// A node that is to serve for a while, whatever the priorities say: a switchover by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// Groups with the same name here move together: one that cannot be served on a node takes the others with it
    /// (keepalived's `vrrp_sync_group`). They need the same members, interface, priorities and preemption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub sync_group: Option<String>,
    /// What becomes of a member whose node is being worked on. Without words: nothing, also when it is cordoned.
    #[serde(default)]
    pub maintenance: Maintenance,
}

/// What is different on some nodes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeOverride {
    /// The names of the nodes; exactly one of `nodes` and `selector` is given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        inner(length(min = 1, max = 253)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub nodes: Vec<String>,
    /// The labels of the nodes; exactly one of `nodes` and `selector` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// The priority of these nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 255))]
    pub priority: Option<i32>,
    /// The interface of the election on these nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 15))]
    pub interface: Option<String>,
    /// The address these nodes take part from. Default: the interface's IPv4 primary or IPv6 link-local address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 39))]
    pub source_address: Option<String>,
}

/// How members tell each other that they are there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Advertisement {
    /// The protocol version: 3 (RFC 9568) or 2 (RFC 3768, IPv4 only, keepalived's default). All members must speak
    /// the same.
    #[serde(default = "defaults::version")]
    #[schemars(range(min = 2, max = 3))]
    pub version: i32,
    /// How often the active node advertises. Version 3: a multiple of 10ms from 10ms to 40950ms; version 2: whole
    /// seconds up to 255s. A member takes over after a little more than three missed advertisements.
    #[serde(default = "defaults::interval")]
    pub interval: GatewayDuration,
    /// `Unicast`: to each member's own address. `Multicast`: to a multicast group, as RFC 9568 has it.
    #[serde(default)]
    pub mode: Mode,
    /// The family of the election. Default: the first address's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<Family>,
    /// The multicast group. Default: 224.0.0.18 or ff02::12.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 39))]
    pub multicast_group: Option<String>,
    /// The members of a unicast group. Required in a file; in a cluster the default is the selected nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub peers: Vec<Peer>,
    /// Which bytes the checksum of a VRRPv3 packet over IPv4 covers: `WithPseudoHeader` as keepalived and FRR send it,
    /// `WithoutPseudoHeader` as RFC 9568 §5.2.8 reads strictly. Both are accepted.
    #[serde(default)]
    pub checksum: Checksum,
}
