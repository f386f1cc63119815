//! The kernel's links and addresses: a thread that acts on the engine's requests and tells it what changed.
//!
//! The thread may wait for the kernel's RTNL lock; the engine never does. Requests carry tickets, answers repeat them.
//!
//! How a virtual address lies on its interface (`change` builds it, `plan` orders it):
//! - as a host prefix, marked with [`PROTOCOL_MARK`], deprecated, so that nobody prefers it as a source, and with a
//!   finite lifetime, so that it goes when its agent does;
//! - for IPv4, as the secondary of a *companion*, a second address `<node's> peer <virtual>/32` with the same lifetime.
//!   Only so the kernel itself gives the local route of the virtual address the node's address as its source, and
//!   itself takes that route away in the end. A route replaced by hand stays when the address expires.
//!
//! An IPv4 address leaves in two steps (`leaving`), because the kernel resets no connection of an address that it does not have:
//! first its local route goes, and with it all that draws packets; then, when its connections have been reset, the address.
//!
//! When the first addresses come to a link that came up, neighbors that did not answer while it was down are asked anew.

mod change;
mod channel;
mod leaving;
pub(crate) mod parse;
mod plan;
mod socket;
mod table;
mod thread;

use core::net::IpAddr;
use core::time::Duration;
use std::sync::Arc;

use holdfast_vrrp::Instant;

pub use change::PROTOCOL_MARK;
pub use channel::{MessageReceiver, MessageSender, channel};
pub use thread::spawn;

/// What the engine asks for.
#[derive(Clone, Debug)]
pub enum Request {
    /// Put these addresses on their interfaces, or extend their lifetime if they are there. Answered by
    /// [`Message::Bound`] once all are there, or [`Message::BindFailed`].
    Bind {
        /// Repeated in the answer.
        ticket: u64,
        /// The addresses.
        bindings: Arc<[Binding]>,
        /// How long they live without renewal.
        lifetime: Duration,
    },
    /// Extend the lifetime of these addresses; leaves alone what the kernel no longer has. Not answered.
    Renew {
        /// The addresses.
        bindings: Arc<[Binding]>,
        /// How long they live from now on.
        lifetime: Duration,
        /// Not to be carried out after this: the addresses may have expired, and a renewal would bring them back.
        not_after: Instant,
    },
    /// Take these addresses away; those that are gone already are no error. Answered by [`Message::Unbound`].
    ///
    /// Nothing reaches them any more when this is carried out; where connections are closed, an IPv4 address goes when they have been
    /// reset, at most a tenth of a second later.
    Unbind {
        /// Repeated in the answer.
        ticket: u64,
        /// The addresses.
        bindings: Arc<[Binding]>,
    },
    /// Finish what was asked before this and end the thread.
    Stop,
}

/// One address on one interface.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Binding {
    /// The interface's index.
    pub interface: u32,
    /// The address.
    pub address: IpAddr,
    /// Its prefix length on the interface.
    pub prefix_length: u8,
    /// The IPv4 label.
    pub label: Option<Box<str>>,
    /// The node's own address on that interface and of that family: what local traffic to an IPv4 host prefix uses as
    /// its source, so that the virtual address never is one. `None`: the kernel's choice is left alone. It has no effect
    /// on IPv6, where a deprecated address is the source of nothing but traffic to itself (RFC 6724 §5 rules 1 and 3).
    pub preferred_source: Option<IpAddr>,
}

/// What the thread tells the engine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// All addresses of that [`Request::Bind`] are on their interfaces.
    Bound {
        /// The request's.
        ticket: u64,
    },
    /// At least one address of that [`Request::Bind`] could not be bound; the others may be.
    BindFailed {
        /// The request's.
        ticket: u64,
        /// Which address, and why, in words.
        error: String,
    },
    /// The addresses of that [`Request::Unbind`] are gone.
    Unbound {
        /// The request's.
        ticket: u64,
    },
    /// Everything known about links and addresses is void; the present state follows, then [`Message::Synced`].
    /// Comes first after start, and whenever the kernel dropped notifications.
    Resync,
    /// The present state has been told completely.
    Synced,
    /// A link exists and looks like this (new or changed).
    Link(Link),
    /// A link is gone.
    LinkGone {
        /// Its index.
        index: u32,
    },
    /// An address exists and looks like this (new or changed).
    Address(Address),
    /// An address is gone: deleted by anybody (also on request), or expired.
    AddressGone {
        /// Its interface.
        interface: u32,
        /// The address.
        address: IpAddr,
    },
}

/// A network interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    /// The kernel's index, stable for the interface's life.
    pub index: u32,
    /// Its name, which may change.
    pub name: String,
    /// Administratively up and with carrier.
    pub up: bool,
    /// The link-layer address, if it has a six-byte one.
    pub mac: Option<[u8; 6]>,
}

/// An address on an interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    /// Its interface.
    pub interface: u32,
    /// The address.
    pub address: IpAddr,
    /// Its prefix length.
    pub prefix_length: u8,
    /// Whether it can be used as a source: not tentative, not a failed duplicate, not deprecated by others.
    pub usable: bool,
    /// An IPv4 secondary address of its subnet.
    pub secondary: bool,
    /// Whether it bears our protocol mark (IFA_PROTO), so that a Holdfast agent has bound it.
    pub ours: bool,
    /// When it expires, if it has a finite lifetime.
    pub expires: Option<Instant>,
}
