//! ARP for IPv4 over Ethernet (RFC 826): announcing an address, probing for one (RFC 5227), hearing who claims one.
//!
//! Nothing here can panic on any input, and only emitting may allocate: when the caller's buffer has to grow.

use core::net::Ipv4Addr;

use thiserror::Error;

use super::ethernet::{self, ETHERTYPE_ARP, Header, MacAddress};
use super::take;

/// The length in bytes of an ARP packet for IPv4 over Ethernet, without the frame's header.
pub const BUFFER_LEN: usize = 28;

/// The length in bytes of a frame that carries one; the kernel pads it to Ethernet's minimum.
pub const FRAME_LEN: usize = ethernet::HEADER_LEN + BUFFER_LEN;

const HARDWARE_ETHERNET: u16 = 1;
const PROTOCOL_IPV4: u16 = 0x0800;

/// Why bytes are not an ARP packet for IPv4 over Ethernet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
pub enum ParseError {
    /// The packet, or the frame around it, ends before it is complete.
    #[error("is cut short: {length} bytes of {needed}")]
    Truncated {
        /// The bytes that are there.
        length: usize,
        /// The bytes that are needed.
        needed: usize,
    },
    /// The frame carries something other than ARP.
    #[error("has EtherType {0:#06x}, not ARP's 0x0806")]
    EtherType(u16),
    /// The hardware is not Ethernet.
    #[error("is for hardware type {0}, not Ethernet (1)")]
    HardwareType(u16),
    /// The protocol is not IPv4.
    #[error("is for protocol {0:#06x}, not IPv4 (0x0800)")]
    ProtocolType(u16),
    /// The lengths of the addresses are not those of Ethernet and IPv4.
    #[error("has addresses of {hardware} and {protocol} bytes, not 6 and 4")]
    AddressLength {
        /// The length it gives for hardware addresses.
        hardware: u8,
        /// The length it gives for protocol addresses.
        protocol: u8,
    },
    /// Neither a request nor a reply.
    #[error("has operation {0}, neither request (1) nor reply (2)")]
    UnknownOperation(u16),
}

impl ParseError {
    /// The value of the `reason` label in metrics: one of six.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Truncated { .. } => "truncated",
            Self::EtherType(_) => "ethertype",
            Self::HardwareType(_) => "hardware_type",
            Self::ProtocolType(_) => "protocol_type",
            Self::AddressLength { .. } => "address_length",
            Self::UnknownOperation(_) => "unknown_operation",
        }
    }
}

/// What an ARP packet does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Operation {
    /// Asks who has the target address; by its sender fields it tells as well.
    Request,
    /// Tells.
    Reply,
}

/// An ARP packet for IPv4 over Ethernet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Packet {
    /// What it does.
    pub operation: Operation,
    /// The hardware address of the station that sent it.
    pub sender_mac: MacAddress,
    /// The address which that station says it holds; unspecified in a probe.
    pub sender_address: Ipv4Addr,
    /// The hardware address of the station it is meant for, where that is known.
    pub target_mac: MacAddress,
    /// The address asked for, or in a reply that of the asker.
    pub target_address: Ipv4Addr,
}

impl Packet {
    /// The announcement that `mac` holds `address`: a gratuitous request (RFC 5227 §2.3).
    pub const fn announcement(mac: MacAddress, address: Ipv4Addr) -> Self {
        Self {
            operation: Operation::Request,
            sender_mac: mac,
            sender_address: address,
            target_mac: MacAddress::ZERO,
            target_address: address,
        }
    }

    /// The same as a gratuitous reply (RFC 5944 §4.6), for stations that learn from replies only.
    pub const fn gratuitous_reply(mac: MacAddress, address: Ipv4Addr) -> Self {
        Self {
            operation: Operation::Reply,
            target_mac: mac,
            ..Self::announcement(mac, address)
        }
    }

    /// The question of `mac` whether anybody holds `address`, which claims nothing (RFC 5227 §2.1.1).
    pub const fn probe(mac: MacAddress, address: Ipv4Addr) -> Self {
        Self {
            sender_address: Ipv4Addr::UNSPECIFIED,
            ..Self::announcement(mac, address)
        }
    }

    /// The address that the sender says it holds, and its hardware address: from an announcement, a reply, and an
    /// ordinary request alike.
    ///
    /// `None` if the packet claims nothing: a probe, or a sender that no station can be (an address that is unspecified,
    /// loopback, multicast or broadcast; a hardware address that is zero or a group's).
    pub fn claimed_address(&self) -> Option<(Ipv4Addr, MacAddress)> {
        let address = self.sender_address;
        let nobodys = address.is_unspecified()
            || address.is_loopback()
            || address.is_multicast()
            || address.is_broadcast()
            || !self.sender_mac.is_station();
        if nobodys {
            None
        } else {
            Some((address, self.sender_mac))
        }
    }

    /// The packet in `payload`, a frame's payload. Bytes after it (Ethernet padding) are ignored.
    ///
    /// # Errors
    ///
    /// A [`ParseError`] that names the first rule which the packet breaks.
    pub fn parse(payload: &[u8]) -> Result<Self, ParseError> {
        let truncated = ParseError::Truncated {
            length: payload.len(),
            needed: BUFFER_LEN,
        };
        let mut rest = payload.get(..BUFFER_LEN).ok_or(truncated)?;
        let hardware = u16::from_be_bytes(take(&mut rest).ok_or(truncated)?);
        if hardware != HARDWARE_ETHERNET {
            return Err(ParseError::HardwareType(hardware));
        }
        let protocol = u16::from_be_bytes(take(&mut rest).ok_or(truncated)?);
        if protocol != PROTOCOL_IPV4 {
            return Err(ParseError::ProtocolType(protocol));
        }
        let [hardware, protocol] = take(&mut rest).ok_or(truncated)?;
        if (hardware, protocol) != (6, 4) {
            return Err(ParseError::AddressLength { hardware, protocol });
        }
        let operation = match u16::from_be_bytes(take(&mut rest).ok_or(truncated)?) {
            1 => Operation::Request,
            2 => Operation::Reply,
            other => return Err(ParseError::UnknownOperation(other)),
        };
        Ok(Self {
            operation,
            sender_mac: MacAddress(take(&mut rest).ok_or(truncated)?),
            sender_address: take::<4>(&mut rest).ok_or(truncated)?.into(),
            target_mac: MacAddress(take(&mut rest).ok_or(truncated)?),
            target_address: take::<4>(&mut rest).ok_or(truncated)?.into(),
        })
    }

    /// The packet in `frame`, a whole Ethernet frame without VLAN tag (the kernel takes that off).
    ///
    /// # Errors
    ///
    /// As [`Packet::parse`], and [`ParseError::EtherType`] if the frame carries something else.
    pub fn parse_frame(frame: &[u8]) -> Result<Self, ParseError> {
        let Some((header, payload)) = Header::parse(frame) else {
            return Err(ParseError::Truncated {
                length: frame.len(),
                needed: FRAME_LEN,
            });
        };
        if header.ethertype != ETHERTYPE_ARP {
            return Err(ParseError::EtherType(header.ethertype));
        }
        Self::parse(payload)
    }

    /// Appends the packet to `out`: [`BUFFER_LEN`] bytes.
    pub fn emit(&self, out: &mut Vec<u8>) {
        let operation: u16 = match self.operation {
            Operation::Request => 1,
            Operation::Reply => 2,
        };
        out.extend_from_slice(&HARDWARE_ETHERNET.to_be_bytes());
        out.extend_from_slice(&PROTOCOL_IPV4.to_be_bytes());
        out.extend_from_slice(&[6, 4]);
        out.extend_from_slice(&operation.to_be_bytes());
        out.extend_from_slice(&self.sender_mac.0);
        out.extend_from_slice(&self.sender_address.octets());
        out.extend_from_slice(&self.target_mac.0);
        out.extend_from_slice(&self.target_address.octets());
    }

    /// Appends the packet to `out` as a frame from its sender to every station: [`FRAME_LEN`] bytes.
    pub fn emit_frame(&self, out: &mut Vec<u8>) {
        out.reserve(FRAME_LEN);
        Header {
            destination: MacAddress::BROADCAST,
            source: self.sender_mac,
            ethertype: ETHERTYPE_ARP,
        }
        .emit(out);
        self.emit(out);
    }
}
