//! VRRP over raw IP: one socket per interface and family, shared by all virtual routers there.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use holdfast_vrrp::wire::vrrp::IP_PROTOCOL;
use holdfast_vrrp::{Family, Received};
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use super::filter::{VridSet, vrrp_program};
use super::outbox::{Outbox, SendReport};
use crate::sys;

/// Advertisements are sent with this TTL, so that a receiver can tell that they crossed no router (RFC 9568 §5.1.1.3).
const TTL: u32 = 255;

/// Network control (CS6), as routing protocols are marked: a full queue drops others first.
const TRAFFIC_CLASS: u32 = 0xc0;

/// Room for a tenth of a second of advertisements from 250 routers at 10 ms.
const RECEIVE_BUFFER: usize = 1 << 20;

/// One batch of received packets.
const BATCH: usize = 64;

/// The longest advertisement: 255 IPv6 addresses; and for IPv4, with the longest IP header.
const LONGEST: usize = 8 + 255 * 16;

/// A raw socket for VRRP on one interface.
#[derive(Debug)]
pub struct VrrpSocket {
    socket: Socket,
    family: Family,
    interface: u32,
    memberships: BTreeSet<IpAddr>,
}

impl VrrpSocket {
    /// Opens the socket. It hears unicast at once, and multicast groups as told by [`VrrpSocket::set_memberships`].
    ///
    /// # Errors
    /// EPERM without CAP_NET_RAW; ENODEV if the interface is gone.
    pub fn open(interface: &str, index: u32, family: Family) -> io::Result<Self> {
        let protocol = Some(Protocol::from(i32::from(IP_PROTOCOL)));
        let socket = match family {
            Family::V4 => {
                let socket = Socket::new(Domain::IPV4, Type::RAW, protocol)?;
                socket.set_ttl_v4(TTL)?;
                socket.set_multicast_ttl_v4(TTL)?;
                socket.set_multicast_loop_v4(false)?;
                // Only groups joined on this very socket; otherwise it would hear what others on the host have joined.
                socket.set_multicast_all_v4(false)?;
                socket.set_tos_v4(TRAFFIC_CLASS)?;
                socket
            }
            Family::V6 => {
                let socket = Socket::new(Domain::IPV6, Type::RAW, protocol)?;
                socket.set_unicast_hops_v6(TTL)?;
                socket.set_multicast_hops_v6(TTL)?;
                socket.set_multicast_loop_v6(false)?;
                socket.set_multicast_all_v6(false)?;
                socket.set_multicast_if_v6(index)?;
                socket.set_tclass_v6(TRAFFIC_CLASS)?;
                socket.set_recv_hoplimit_v6(true)?;
                setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
                socket
            }
        };
        socket.bind_device(Some(interface.as_bytes()))?;
        socket.set_nonblocking(true)?;
        // Beyond the system's limit where that is allowed, within it otherwise.
        if setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
            socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        }
        Ok(Self {
            socket,
            family,
            interface: index,
            memberships: BTreeSet::new(),
        })
    }

    /// Joins and leaves multicast groups so that exactly `groups` are heard.
    pub fn set_memberships(&mut self, groups: &BTreeSet<IpAddr>) -> io::Result<()> {
        let interface = InterfaceIndexOrAddress::Index(self.interface);
        for left in self.memberships.difference(groups) {
            // The interface may have been made anew, which has left the group already.
            let _ = match left {
                IpAddr::V4(group) => self.socket.leave_multicast_v4_n(group, &interface),
                IpAddr::V6(group) => self.socket.leave_multicast_v6(group, self.interface),
            };
        }
        for joined in groups.difference(&self.memberships) {
            match joined {
                IpAddr::V4(group) => self.socket.join_multicast_v4_n(group, &interface)?,
                IpAddr::V6(group) => self.socket.join_multicast_v6(group, self.interface)?,
            }
        }
        self.memberships.clone_from(groups);
        Ok(())
    }

    /// Has the kernel drop what comes with an identifier in `muted`, unless it is in `wanted`.
    pub fn set_filter(&mut self, wanted: &VridSet, muted: &VridSet) -> io::Result<()> {
        self.socket
            .attach_filter(&vrrp_program(self.family, &muted.without(wanted)).encode())
    }

    /// Receives one batch into `inbox`, without waiting; how many packets.
    pub fn receive(&self, inbox: &mut Inbox) -> io::Result<usize> {
        inbox.family = self.family;
        inbox.memory.receive(self.socket.as_fd())
    }

    /// Sends everything in `outbox` and empties it.
    pub fn send(&self, outbox: &mut Outbox) -> SendReport {
        outbox.send(self.socket.as_fd())
    }
}

impl AsFd for VrrpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Received packets, and the memory for them. One serves all sockets.
#[derive(Debug)]
pub struct Inbox {
    memory: sys::Receiver,
    family: Family,
}

impl Default for Inbox {
    fn default() -> Self {
        Self {
            memory: sys::Receiver::new(BATCH, LONGEST),
            family: Family::V4,
        }
    }
}

impl Inbox {
    /// How many packets one batch has at most.
    pub fn capacity(&self) -> usize {
        self.memory.capacity()
    }

    /// The packets of the last batch. What is not even a whole IP packet is left out.
    pub fn iter(&self) -> impl Iterator<Item = Received<'_>> {
        self.memory.iter().filter_map(|received| match self.family {
            Family::V4 => ipv4(received.bytes),
            Family::V6 => Some(Received {
                source: received.source?,
                destination: received.destination.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
                // Without a hop limit the packet is one that crossed routers, for all we know.
                ttl: received.hop_limit.unwrap_or(0),
                payload: received.bytes,
            }),
        })
    }
}

/// Takes the IP header off, which a raw IPv4 socket delivers (RFC 791 §3.1).
fn ipv4(packet: &[u8]) -> Option<Received<'_>> {
    let header_len = usize::from(packet.first()? & 0x0f) * 4;
    let total_len = usize::from(u16::from_be_bytes([*packet.get(2)?, *packet.get(3)?]));
    let address = |at: usize| {
        let octets: [u8; 4] = packet.get(at..at + 4)?.try_into().ok()?;
        Some(IpAddr::V4(Ipv4Addr::from(octets)))
    };
    Some(Received {
        source: address(12)?,
        destination: address(16)?,
        ttl: *packet.get(8)?,
        payload: packet.get(header_len.max(20)..total_len.min(packet.len()))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: [u8; 24] = [
        0x45, 0, 0, 22, 0, 0, 0, 0, 255, 112, 0, 0, 10, 0, 0, 1, 224, 0, 0, 18, 0x31, 51, 0xee, 0xee,
    ];

    #[test]
    fn the_ip_header_is_taken_off_and_padding_behind_the_packet_too() {
        let received = ipv4(&PACKET).unwrap();
        assert_eq!(received.source, IpAddr::from([10, 0, 0, 1]));
        assert_eq!(received.destination, IpAddr::from([224, 0, 0, 18]));
        assert_eq!(received.ttl, 255);
        assert_eq!(received.payload, [0x31, 51]);
    }

    #[test]
    fn a_packet_cut_anywhere_is_no_panic() {
        for length in 0..PACKET.len() {
            let _ = ipv4(&PACKET[..length]);
        }
        let mut lying = PACKET;
        lying[0] = 0x4f;
        assert!(ipv4(&lying).is_none());
    }
}
