//! The types that the group a user writes and the node's share of it have in common.

use core::fmt;
use core::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::defaults;
use crate::duration::GatewayDuration;

/// One virtual address.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Address {
    /// The address with the prefix length of its subnet, for example `10.0.0.100/24` or `fd00::100/64`. The prefix
    /// selects the interface; the address itself is bound as a host address (see `bind`).
    #[schemars(length(min = 4, max = 43))]
    pub address: String,
    /// The interface that carries this address, if it is not the election's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 15))]
    pub interface: Option<String>,
    /// A label for an IPv4 address, for tools that show addresses as interfaces (`eth0:vip`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 15))]
    pub label: Option<String>,
    /// With which prefix the address is bound.
    #[serde(default)]
    pub bind: Bind,
}

/// With which prefix an address is bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub enum Bind {
    /// /32 or /128, which leaves the node's own routes and source addresses alone.
    #[default]
    HostPrefix,
    /// The prefix as written, for those whose tools insist on it.
    AsWritten,
}

/// The address family of an election; where it is left out, the first address's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub enum Family {
    /// IPv4.
    IPv4,
    /// IPv6.
    IPv6,
}

impl Family {
    /// The family of `address`.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::IPv4,
            IpAddr::V6(_) => Self::IPv6,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IPv4 => "IPv4",
            Self::IPv6 => "IPv6",
        })
    }
}

/// Where advertisements go.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// To each member's own address, and believed from members only. Works wherever the members reach each other.
    #[default]
    Unicast,
    /// To a multicast group, as RFC 9568 has it. Needs a network that carries multicast between the members.
    Multicast,
}

/// Which bytes the checksum of a VRRPv3 packet over IPv4 covers. Both are accepted; this is about what is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub enum Checksum {
    /// The pseudo-header too, as keepalived and FRR send it.
    #[default]
    WithPseudoHeader,
    /// The packet alone, as RFC 9568 §5.2.8 reads strictly.
    WithoutPseudoHeader,
}

/// Another member of a unicast group.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Peer {
    /// The node's name, or any name for a router that is not a node of the cluster. The entry with the node's own
    /// name says which source address the node uses.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The addresses it advertises from: one of the election's family, at most one of each family.
    #[schemars(
        length(min = 1, max = 2),
        inner(length(min = 2, max = 39)),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub addresses: Vec<String>,
    /// The smallest TTL or hop limit with which its advertisements are believed. 255 means: only from the same link.
    #[serde(rename = "minTTL", default = "defaults::min_ttl")]
    #[schemars(range(min = 1, max = 255))]
    pub min_ttl: i32,
}

/// When a better node takes the addresses from a healthy worse one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Preemption {
    /// `Immediate`: as soon as it hears the worse one. `Delayed`: after it has heard the worse one for `delay`.
    /// `Never`: only when the worse one is failing or gone.
    #[serde(rename = "type", default)]
    pub type_: PreemptionType,
    /// How long a better node waits. Required with `Delayed`, not allowed otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<GatewayDuration>,
}

/// The kinds of [`Preemption`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub enum PreemptionType {
    /// As soon as the better node hears the worse one.
    #[default]
    Immediate,
    /// After the better node has heard the worse one for a while.
    Delayed,
    /// Only when the worse one is failing or gone.
    Never,
}

/// What proves that an advertisement comes from a member.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Authentication {
    /// `None`: nothing, as RFC 9568 has it. `Password`: the simple password of VRRPv2, which guards against mistakes
    /// and not against attackers. `AH` and `HMAC` are reserved.
    #[serde(rename = "type", default)]
    pub type_: AuthenticationType,
    /// The key of a Secret in Holdfast's own namespace that holds the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeyReference>,
    /// A file on the node whose first line is the password, for a node that runs without Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub file: Option<String>,
}

/// The kinds of [`Authentication`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub enum AuthenticationType {
    /// Nothing, as RFC 9568 has it.
    #[default]
    None,
    /// VRRPv2's simple password (RFC 2338 §5.3.6).
    Password,
    /// VRRPv2's IP authentication header; reserved.
    AH,
    /// A keyed hash of each advertisement; reserved.
    HMAC,
}

/// One key of a Secret in Holdfast's own namespace.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SecretKeyReference {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key in its `data`.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// How the addresses are announced to their neighbors: gratuitous ARP and unsolicited neighbor advertisements.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Announcement {
    /// How many packets a burst has for each address.
    #[serde(default = "defaults::announcement_count")]
    #[schemars(range(min = 1, max = 20))]
    pub count: i32,
    /// When a second burst follows the first; `0s` for none.
    #[serde(default = "defaults::repeat_after")]
    pub repeat_after: GatewayDuration,
    /// The time between slow refreshes while the node holds the addresses; `0s` for none.
    #[serde(default = "defaults::refresh_interval")]
    pub refresh_interval: GatewayDuration,
    /// Whether each gratuitous ARP request is followed by a gratuitous ARP reply, for neighbors that ignore requests.
    #[serde(default)]
    pub arp_reply: bool,
}
