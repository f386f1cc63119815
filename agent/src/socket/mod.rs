//! The engine's sockets: VRRP over raw IP, and the neighbor packets (ARP, NDP) that announce addresses.
//! All non-blocking, all bound to one interface, all with a filter in the kernel.

mod filter;
mod neighbor;
mod outbox;
mod vrrp;

use std::io;

pub use filter::VridSet;
pub(crate) use filter::echo_program;
pub use neighbor::{Claim, NeighborSocket};
pub use outbox::{FrameOutbox, Outbox, SendReport};
pub use vrrp::{Inbox, VrrpSocket};

use socket2::{Domain, Socket, Type};

/// Whether this process may open the sockets it needs.
pub fn check_privilege() -> io::Result<()> {
    Socket::new(Domain::PACKET, Type::RAW, None).map(drop)
}
