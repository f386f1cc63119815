//! What goes into a virtual router and what comes out of it.

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use thiserror::Error;

use crate::config::{Config, VirtualAddress};
use crate::time::Instant;
use crate::types::Priority;
use crate::wire::vrrp::ParseError;

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

/// The node's fitness to hold the addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Health {
    /// The facts that keep the router out of the election; empty if none does.
    pub faults: Faults,
    /// The priority with which it stands in the election.
    pub standing: Standing,
}

/// The priority with which a router stands in the election.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// The configured priority.
    Base,
    /// The configured priority after weights.
    Weighted(Priority),
    /// A member whose service fails (`onFailure: Hold`): in the floor band, behind every healthy member.
    Floor,
}

/// The set of facts that keep a router in Fault. A set, never a counter: each is present or it is not.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Faults(u8);

/// One fact that keeps a router in Fault.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Fault {
    /// The interface does not exist (yet).
    InterfaceMissing = 0,
    /// The interface is down or has no carrier.
    LinkDown = 1,
    /// The interface has no address from which to take part.
    NoSourceAddress = 2,
    /// The virtual addresses could not be bound, again and again.
    BindFailed = 3,
    /// A probe with `onFailure: Fault` fails.
    ProbeFailed = 4,
    /// Another group on this node uses the same identifier in the same family on the same interface.
    IdentifierInUse = 5,
}

impl Fault {
    /// Every fault, in the order in which they are shown.
    pub const ALL: [Self; 6] = [
        Self::InterfaceMissing,
        Self::LinkDown,
        Self::NoSourceAddress,
        Self::BindFailed,
        Self::ProbeFailed,
        Self::IdentifierInUse,
    ];

    /// The reason as status and logs show it.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::InterfaceMissing => "InterfaceMissing",
            Self::LinkDown => "LinkDown",
            Self::NoSourceAddress => "NoSourceAddress",
            Self::BindFailed => "BindFailed",
            Self::ProbeFailed => "ProbeFailed",
            Self::IdentifierInUse => "IdentifierInUse",
        }
    }
}

impl Faults {
    /// No fault.
    pub const NONE: Self = Self(0);

    /// Whether there is no fault.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `fault` is present.
    pub const fn contains(self, fault: Fault) -> bool {
        self.0 & (1 << fault as u8) != 0
    }

    /// This set with `fault` present or absent.
    #[must_use]
    pub const fn with(self, fault: Fault, present: bool) -> Self {
        let bit = 1 << fault as u8;
        if present {
            Self(self.0 | bit)
        } else {
            Self(self.0 & !bit)
        }
    }

    /// The faults of both sets.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The faults present, in the order of [`Fault::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Fault> {
        Fault::ALL.into_iter().filter(move |fault| self.contains(*fault))
    }
}

impl FromIterator<Fault> for Faults {
    fn from_iter<I: IntoIterator<Item = Fault>>(faults: I) -> Self {
        faults
            .into_iter()
            .fold(Self::NONE, |set, fault| set.with(fault, true))
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
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

/// Something on the wire that was understood but should not be so. Each is a counter's label and a sentence for people
/// whose subject is the station named in it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
pub enum Notice {
    /// Another router advertised while this one was Active, and lost: both hold the addresses, or did.
    #[error(
        "{router} is Active too, with priority {priority}, and has been told to yield; the link between the two was cut"
    )]
    OtherActive {
        /// The other router.
        router: IpAddr,
        /// Its priority.
        priority: u8,
    },
    /// Two routers say that they own the addresses (RFC 9568 §7.1 with erratum 8298): the lower address yields.
    #[error("{0} has priority 255 too; only the router that owns the addresses may have it")]
    OtherOwner(IpAddr),
    /// While this router was Active, a station that is not this node said that it holds a virtual address.
    #[error("another station claims the virtual address {0}, which this node holds")]
    AddressClaimed(IpAddr),
    /// The Active router advertises at another interval than this router would (RFC 9568 §7.1); it is adopted.
    #[error(
        "{router} advertises every {theirs:?}, this router every {ours:?}; set the same interval on both"
    )]
    IntervalDiffers {
        /// The Active router.
        router: IpAddr,
        /// Its interval.
        theirs: Duration,
        /// This router's own.
        ours: Duration,
    },
    /// The other router lists other virtual addresses (RFC 9568 §7.1).
    #[error("{0} advertises other virtual addresses than this router has")]
    AddressesDiffer(IpAddr),
}

impl Notice {
    /// The value of the `kind` label in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::OtherActive { .. } => "other_active",
            Self::OtherOwner(_) => "other_owner",
            Self::AddressClaimed(_) => "address_claimed",
            Self::IntervalDiffers { .. } => "interval_differs",
            Self::AddressesDiffer(_) => "addresses_differ",
        }
    }
}

/// Why the addresses are announced, which decides how often.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Announce {
    /// The addresses have just moved here, or caches may be wrong after a conflict: a burst.
    Burst,
    /// The slow refresh: once each.
    Refresh,
}

/// The state of a virtual router (RFC 9568 §6.4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum State {
    /// Not taking part: before the start-up delay has passed, or after a shutdown.
    Initialize,
    /// Watching the Active router.
    Backup,
    /// Holding the addresses.
    Active,
    /// Kept out of the election by facts ([`Faults`]).
    Fault,
}

impl State {
    /// The state's name as status, logs and metrics show it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Initialize => "Initialize",
            Self::Backup => "Backup",
            Self::Active => "Active",
            Self::Fault => "Fault",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One change of state and why it happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transition {
    /// The state left.
    pub from: State,
    /// The state entered.
    pub to: State,
    /// Why.
    pub reason: Reason,
    /// The priority with which the router stands in the election from now on.
    pub priority: Priority,
    /// How long the addresses had been without a holder that this router could hear, when it became Active: the time
    /// since the Active router's last advertisement. `None` for other transitions or if none was ever heard.
    pub silence: Option<Duration>,
}

/// Why a router changed its state.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reason {
    /// The start-up delay passed, or there was none.
    Started,
    /// This router owns the addresses.
    AddressOwner,
    /// The Active router has not been heard for Active_Down_Interval.
    ActiveSilent,
    /// The Active router said that it leaves.
    ActiveResigned,
    /// This router's priority beats the Active router's, and preemption allows it.
    Preempted,
    /// The Active router is in the floor band and this one is healthy.
    ActiveUnfit,
    /// An advertisement with a higher priority was heard.
    HigherPriority,
    /// An advertisement with the same priority and a higher source address was heard.
    HigherAddress,
    /// This router's service fails: it hands over and stays in the election's floor band.
    ServiceFailing,
    /// Faults appeared.
    Faulted,
    /// The last fault went away.
    Recovered,
    /// The router was told to stop.
    Shutdown,
    /// The configuration made it another virtual router, or forbade it to be Active.
    Reconfigured,
    /// The process had not run for too long to know whether it still holds the addresses.
    TimeGap,
    /// The predecessor process on this node was Active and its addresses are still alive.
    Resumed,
}

impl Reason {
    /// The reason as status and logs show it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Started => "Started",
            Self::AddressOwner => "AddressOwner",
            Self::ActiveSilent => "ActiveSilent",
            Self::ActiveResigned => "ActiveResigned",
            Self::Preempted => "Preempted",
            Self::ActiveUnfit => "ActiveUnfit",
            Self::HigherPriority => "HigherPriority",
            Self::HigherAddress => "HigherAddress",
            Self::ServiceFailing => "ServiceFailing",
            Self::Faulted => "Faulted",
            Self::Recovered => "Recovered",
            Self::Shutdown => "Shutdown",
            Self::Reconfigured => "Reconfigured",
            Self::TimeGap => "TimeGap",
            Self::Resumed => "Resumed",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a packet was not believed. Each is a counter's label and a sentence for people.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
pub enum DropReason {
    /// The packet is not a well-formed advertisement of this router's version.
    #[error(transparent)]
    Malformed(#[from] ParseError),
    /// The TTL or hop limit says that it was forwarded (RFC 9568 §7.1).
    #[error("arrived with TTL {ttl}, below {min}: it crossed a router, or is forged")]
    Ttl {
        /// As it arrived.
        ttl: u8,
        /// The smallest that is believed.
        min: u8,
    },
    /// The source is not one of the listed unicast peers.
    #[error("comes from an address that is not listed as a peer")]
    UnknownPeer,
    /// The packet came to a multicast group this router does not use, or unicast where multicast is spoken.
    #[error("was sent to an address this virtual router does not listen on")]
    WrongDestination,
    /// VRRPv2: the other router uses another interval (RFC 3768 §7.1).
    #[error("advertises every {theirs:?}, this router every {ours:?}; VRRPv2 requires them to be equal")]
    IntervalMismatch {
        /// The sender's interval.
        theirs: Duration,
        /// This router's.
        ours: Duration,
    },
    /// VRRPv2: no password, or another, or one where none is configured.
    #[error("carries another authentication type or password")]
    AuthenticationMismatch,
    /// The packet came from this router's own address: a loop, or an address used twice.
    #[error("carries this router's own source address: a loop in the network, or a duplicate address")]
    OwnAddress,
    /// The packet speaks for another virtual router; the caller found the wrong one.
    #[error("speaks for virtual router {theirs}, this one is {ours}")]
    OtherVirtualRouter {
        /// The identifier in the packet.
        theirs: u8,
        /// This router's.
        ours: u8,
    },
    /// This router is not taking part at the moment (Initialize or Fault).
    #[error("arrived while this router is not taking part")]
    NotParticipating,
}

impl DropReason {
    /// The value of the `reason` label in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Malformed(error) => error.label(),
            Self::Ttl { .. } => "ttl",
            Self::UnknownPeer => "unknown_peer",
            Self::WrongDestination => "wrong_destination",
            Self::IntervalMismatch { .. } => "interval_mismatch",
            Self::AuthenticationMismatch => "authentication_mismatch",
            Self::OwnAddress => "own_address",
            Self::OtherVirtualRouter { .. } => "other_virtual_router",
            Self::NotParticipating => "not_participating",
        }
    }
}

/// What a virtual router is doing, for status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// The state.
    pub state: State,
    /// Since when.
    pub since: Instant,
    /// The facts that keep it in Fault.
    pub faults: Faults,
    /// The priority with which it stands in the election.
    pub priority: Priority,
    /// The Active router last heard and believed, unless this router is Active itself.
    pub active_peer: Option<IpAddr>,
    /// The interval in force: learned while Backup, its own while Active.
    pub interval: Duration,
    /// Whether the addresses are still held after Active was left, until the successor serves.
    pub releasing: bool,
    /// Whether addresses are on this node for this router: it is Active, releasing, or has adopted a predecessor's.
    pub holding: bool,
    /// Whether the configuration lets it become Active.
    pub may_become_active: bool,
    /// The last change of state.
    pub last_transition: Option<(Instant, Transition)>,
}
