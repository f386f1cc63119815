//! The system calls that no crate offers safely; the only module of the agent with unsafe code
//! (docs/adr/0004-unsafe.md). Each wrapper is safe to call with anything.

#![allow(unsafe_code)]
// The C interface gives its constants and sizes as wider integers than it takes them; each fits.
#![allow(clippy::cast_possible_truncation)]

mod batch;
mod spawn;
mod thread;

pub use batch::{Datagram, Receiver, Sender};
pub use spawn::{Credentials, Program, Started, Step, pidfd_open, spawn};
pub use thread::{lock_memory, release_freed_memory, set_realtime};

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use tokio::io::unix::AsyncFd;

/// Binds an `AF_PACKET` socket to one protocol of one interface. `protocol` is the EtherType; 0 receives nothing.
pub fn bind_packet(socket: BorrowedFd<'_>, interface: u32, protocol: u16) -> io::Result<()> {
    // SAFETY: `sockaddr_ll` is plain data, for which all zeros is a valid value.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol.to_be();
    address.sll_ifindex = i32::try_from(interface).map_err(|_| io::ErrorKind::InvalidInput)?;
    let length = mem::size_of_val(&address) as libc::socklen_t;
    // SAFETY: the pointer and the length describe `address`, which outlives the call.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) })
}

/// Has the kernel look at what a request on this netlink socket asks for exactly, instead of answering with everything.
pub fn ask_exactly(socket: BorrowedFd<'_>) -> io::Result<()> {
    let yes: libc::c_int = 1;
    // SAFETY: the pointer and the length describe `yes`, which outlives the call.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_NETLINK,
            libc::NETLINK_GET_STRICT_CHK,
            (&raw const yes).cast(),
            mem::size_of_val(&yes) as libc::socklen_t,
        )
    })
}

/// Has tokio watch a non-blocking descriptor. To be called within a tokio runtime with its IO driver.
pub fn watch(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is the same open descriptor until it is dropped, and the result owns it.
    Ok(unsafe { AsyncFd::register(descriptor) }?)
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
