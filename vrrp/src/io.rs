//! What goes into a virtual router and what comes out of it.

use core::net::IpAddr;

use crate::config::{Config, VirtualAddress};
use crate::evidence::{DropReason, Notice};
use crate::health::Health;
use crate::state::Transition;

/// Something that happened, handed to [`crate::VirtualRouter::handle`].
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// The instant that [`crate::VirtualRouter::next_timeout`] named has come (or passed).
    Timeout,
    /// A VRRP packet with this router's identifier arrived on its interface.
    Advertisement(Received<'a>),
    /// The node's fitness changed: what keeps it out of the election, and with which priority it stands in it.
    Health(Health),
    /// The configuration is to become this one.
    Configure(Box<Config>),
    /// What became of addresses that were to be bound, or that disappeared.
    AddressResult(AddressResult),
    /// Another station said on the wire that it holds this virtual address (gratuitous ARP, an ARP reply or
    /// request sent from it, an unsolicited neighbor advertisement).
    AddressClaimed(IpAddr),
    /// Hand over if Active, and stay in the election as Backup: another group that moves together with this one has left.
    HandOver,
    /// Stop, without a hole if `Planned`; a second one, or `Immediate`, skips the wait.
    Shutdown(Shutdown),
}

/// A VRRP packet as it came off the wire. Everything in it is untrusted.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The IP source address.
    pub source: IpAddr,
    /// The IP destination address, which the checksum may cover.
    pub destination: IpAddr,
    /// The TTL or hop limit with which it arrived.
    pub ttl: u8,
    /// The IP payload: the VRRP packet and whatever padding follows it.
    pub payload: &'a [u8],
}

/// What became of the virtual addresses on the node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AddressResult {
    /// All addresses of the last [`Action::Bind`] are on their interfaces.
    Bound,
    /// At least one address of the last [`Action::Bind`] could not be bound.
    Failed,
    /// An address that is to be held has disappeared from its interface without this router's doing.
    Removed(IpAddr),
}

/// How a router is to stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shutdown {
    /// Say so, serve until the successor does, then leave.
    Planned,
    /// Say so and leave.
    Immediate,
}

/// Something the caller is to do, in the order given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Send one advertisement to the group or to each peer, as [`crate::wire::vrrp`] emits it from the
    /// configuration and this priority. Zero resigns.
    Send {
        /// The priority in the packet.
        priority: u8,
    },
    /// Put these addresses on their interfaces with the configuration's lifetime (extending that of those that are
    /// there), and answer with [`Input::AddressResult`].
    Bind(Vec<VirtualAddress>),
    /// Extend the lifetime of all held addresses to the configuration's, but never bring back one that has expired.
    Renew,
    /// Tell the neighbors where the held addresses are.
    Announce(Announce),
    /// Take these addresses away.
    Unbind(Vec<VirtualAddress>),
    /// The state changed; for report, log and metrics.
    Transition(Transition),
    /// A packet was dropped, and why; for counters and plain words.
    Dropped(DropReason),
    /// Something on the wire that was understood but should not be so: evidence of a split or of a misconfiguration.
    Notice(Notice),
}

/// Why the addresses are announced, which decides how often.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Announce {
    /// The addresses have just moved here, or caches may be wrong after a conflict: a burst.
    Burst,
    /// The slow refresh: once each.
    Refresh,
}
