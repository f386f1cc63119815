//! Validated types: everything behind the edge sees only these.
//!
//! A value of these types has passed the rules; it is built from the YAML types by [`crate::render`] (a group for a
//! node) and by [`NodeSpec`]'s conversion (what an agent is given).

pub mod probe;

use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use holdfast_health::Policy;
use jiff::Timestamp;

use holdfast_vrrp::{
    Authentication, Checksum, Family, Interval, Peer, Preemption, Priority, Version, VirtualRouterId,
};

/// What one node is to do: the engine's only input.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NodeSpec {
    /// The groups this node takes part in, by name.
    pub groups: BTreeMap<String, NodeGroup>,
}

/// One group as one node sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeGroup {
    /// The object's name.
    pub name: String,
    /// The object's UID; `None` for a group from a file.
    pub uid: Option<String>,
    /// The object's generation; 0 for a group from a file.
    pub generation: i64,
    /// The virtual router's identifier.
    pub virtual_router_id: VirtualRouterId,
    /// The interface of the election. `None`: the one whose subnet holds an address, found by the agent.
    pub interface: Option<String>,
    /// The address to take part from. `None`: the interface's IPv4 primary or IPv6 link-local address.
    pub source_address: Option<IpAddr>,
    /// The virtual addresses in the order written; at least one of them is of [`NodeGroup::family`].
    pub addresses: Vec<Address>,
    /// The family of the election.
    pub family: Family,
    /// The base priority, overrides applied.
    pub priority: Priority,
    /// How the node advertises.
    pub advertisement: Advertisement,
    /// When a better node takes over from a healthy worse one.
    pub preemption: Preemption,
    /// What proves that an advertisement comes from a member.
    pub authentication: Authentication,
    /// How addresses are announced to their neighbors.
    pub announcement: Announcement,
    /// How long after start the node stays out of the election.
    pub startup_delay: Duration,
    /// The probes that are run.
    pub probes: Vec<probe::Probe>,
    /// What decides about the node's health: its base is [`NodeGroup::priority`], and it is not preferred, which only the
    /// present time can say.
    pub health: Policy,
    /// That the group is to be on this node by somebody's wish, and until when; `None` inside: for good.
    pub preferred: Option<Option<Timestamp>>,
    /// The sync group whose groups move together.
    pub sync_group: Option<String>,
    /// Whether this node may become Active; false until every member knows it.
    pub may_become_active: bool,
    /// The group was deleted: hand over, forget it, and acknowledge.
    pub deleted: bool,
}

/// One virtual address as written.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Address {
    /// The address.
    pub address: IpAddr,
    /// The prefix length written, which selects the interface.
    pub prefix_length: u8,
    /// The interface that carries it, if that is not the election's.
    pub interface: Option<String>,
    /// The IPv4 label (at most 15 bytes).
    pub label: Option<String>,
    /// With which prefix it is bound.
    pub bind: Bind,
}

/// With which prefix an address is bound.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Bind {
    /// /32 or /128: leaves the node's routes and source selection alone.
    #[default]
    HostPrefix,
    /// The prefix as written, for those who must.
    AsWritten,
}

/// How a node advertises.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Advertisement {
    /// The protocol version.
    pub version: Version,
    /// The interval while Active.
    pub interval: Interval,
    /// Where to, and from whom.
    pub mode: Mode,
    /// The checksum of VRRPv3 over IPv4.
    pub checksum: Checksum,
}

/// Where advertisements go and from whom they are believed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mode {
    /// To this multicast group.
    Multicast(IpAddr),
    /// To these peers, which never include the node itself.
    Unicast(Vec<NamedPeer>),
}

/// Another member of a unicast group, with its name for status and logs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NamedPeer {
    /// The node's name, or any name for a foreign router.
    pub name: String,
    /// Its address in the election's family and the smallest TTL believed.
    pub peer: Peer,
}

/// How addresses are announced to their neighbors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Announcement {
    /// Packets per address in a burst, 1 to 20.
    pub count: u8,
    /// When the second burst follows the first; zero for no second one.
    pub repeat_after: Duration,
    /// The time between slow refreshes; zero for none.
    pub refresh_interval: Duration,
    /// Whether each gratuitous ARP request is followed by a gratuitous ARP reply, for stubborn neighbors.
    pub arp_reply: bool,
}
