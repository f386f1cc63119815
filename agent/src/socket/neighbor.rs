//! ARP and neighbor discovery on one interface: announcing addresses, and hearing who else says that it holds one.

use core::net::IpAddr;
use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use holdfast_vrrp::wire::ethernet::MacAddress;
use holdfast_vrrp::wire::{arp, ndp};
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

use super::filter::{arp_program, listed, neighbor_program};
use super::outbox::{FrameOutbox, SendReport};
use crate::sys;

/// One batch of received packets.
const BATCH: usize = 32;

/// Longer than any neighbor packet with options that matter.
const LONGEST: usize = 256;

/// Somebody's word that it holds an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claim {
    /// The address.
    pub address: IpAddr,
    /// Who says so.
    pub mac: MacAddress,
}

/// The sockets for neighbor packets on one interface.
#[derive(Debug)]
pub struct NeighborSocket {
    /// Hears ARP frames.
    arp: Socket,
    /// Hears neighbor advertisements. A raw ICMPv6 socket costs a busy link nothing; a tap would see every packet.
    ndp: Option<Socket>,
    /// Sends frames and hears nothing.
    out: Socket,
    memory: sys::Receiver,
}

impl NeighborSocket {
    /// Opens the sockets. They hear nothing until told what to [watch](NeighborSocket::watch).
    ///
    /// # Errors
    /// EPERM without CAP_NET_RAW; ENODEV if the interface is gone.
    pub fn open(name: &str, index: u32) -> io::Result<Self> {
        // Protocol 0 hears nothing, so that no frame slips in before the filter is in place.
        let arp = Socket::new(Domain::PACKET, Type::RAW, None)?;
        arp.attach_filter(&arp_program(&[]).encode())?;
        sys::bind_packet(arp.as_fd(), index, ETHERTYPE_ARP)?;
        let out = Socket::new(Domain::PACKET, Type::RAW, None)?;
        sys::bind_packet(out.as_fd(), index, 0)?;
        // A node may run without IPv6 altogether.
        let ndp = match Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6)) {
            Ok(socket) => Some(socket),
            Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => None,
            Err(error) => return Err(error),
        };
        if let Some(ndp) = &ndp {
            ndp.attach_filter(&neighbor_program(&[]).encode())?;
            ndp.bind_device(Some(name.as_bytes()))?;
            ndp.set_recv_hoplimit_v6(true)?;
            setsockopt(ndp, sockopt::Ipv6RecvPacketInfo, &true)?;
            ndp.set_nonblocking(true)?;
        }
        arp.set_nonblocking(true)?;
        out.set_nonblocking(true)?;
        Ok(Self {
            arp,
            ndp,
            out,
            memory: sys::Receiver::new(BATCH, LONGEST),
        })
    }

    /// Hears claims to these addresses and drops others in the kernel, as far as they can be listed there.
    pub fn watch(&mut self, addresses: &BTreeSet<IpAddr>) -> io::Result<()> {
        let (v4, v6) = listed(addresses.iter());
        self.arp.attach_filter(&arp_program(&v4).encode())?;
        if let Some(ndp) = &self.ndp {
            ndp.attach_filter(&neighbor_program(&v6).encode())?;
        }
        Ok(())
    }

    /// Receives one batch of each kind without waiting, appends what it claims, and says how many packets there were.
    pub fn receive(&mut self, claims: &mut Vec<Claim>) -> io::Result<usize> {
        let mut received = self.memory.receive(self.arp.as_fd())?;
        claims.extend(
            self.memory
                .iter()
                .filter(|frame| !frame.outgoing)
                .filter_map(|frame| {
                    let (address, mac) = arp::Packet::parse_frame(frame.bytes).ok()?.claimed_address()?;
                    Some(Claim {
                        address: address.into(),
                        mac,
                    })
                }),
        );
        if let Some(ndp) = &self.ndp {
            received += self.memory.receive(ndp.as_fd())?;
            claims.extend(self.memory.iter().filter_map(|packet| {
                let (IpAddr::V6(source), IpAddr::V6(destination)) = (packet.source?, packet.destination?)
                else {
                    return None;
                };
                let parsed = ndp::Packet::parse(packet.bytes, source, destination, packet.hop_limit?).ok()?;
                let (address, mac) = parsed.claimed_address(source)?;
                Some(Claim {
                    address: address.into(),
                    mac: mac?,
                })
            }));
        }
        Ok(received)
    }

    /// Sends every frame in `outbox` and empties it.
    pub fn send(&self, outbox: &mut FrameOutbox) -> SendReport {
        outbox.send(self.out.as_fd())
    }

    /// What to wait on for claims.
    pub fn receivers(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        [Some(&self.arp), self.ndp.as_ref()]
            .into_iter()
            .flatten()
            .map(AsFd::as_fd)
    }
}

const ETHERTYPE_ARP: u16 = 0x0806;
