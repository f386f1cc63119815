//! What comes over the wire and should not: packets that are dropped, and those that are understood but are evidence.

use core::net::IpAddr;
use core::time::Duration;

use thiserror::Error;

use crate::wire::vrrp::ParseError;

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
    /// The packet came from this router's own address: it is listed among its own peers, the network loops, or the
    /// address is used twice.
    #[error(
        "carries this router's own source address: it stands among its own peers, the network loops, or the address is \
         used twice"
    )]
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
