//! Neighbor discovery packets as whole Ethernet frames, for sockets that send and receive these.

use core::net::Ipv6Addr;

use super::{HOP_LIMIT, IP_PROTOCOL, Packet, ParseError};
use crate::wire::ethernet::{self, ETHERTYPE_IPV6, Header, MacAddress};
use crate::wire::take;

const IPV6_HEADER_LEN: usize = 40;

/// A neighbor discovery packet and the headers it came under.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Frame {
    /// The hardware address it came from.
    pub source_mac: MacAddress,
    /// The address it came from; unspecified for a probe.
    pub source: Ipv6Addr,
    /// The address or group it went to.
    pub destination: Ipv6Addr,
    /// What it says.
    pub packet: Packet,
}

impl Frame {
    /// The neighbor discovery packet in `frame`, a whole Ethernet frame without VLAN tag (the kernel takes that off).
    /// Ethernet padding is ignored. An ICMPv6 message behind extension headers is refused: nobody sends these here.
    ///
    /// # Errors
    ///
    /// As [`Packet::parse`], and those for the headers.
    pub fn parse(frame: &[u8]) -> Result<Self, ParseError> {
        let needed = ethernet::HEADER_LEN + IPV6_HEADER_LEN;
        let truncated = ParseError::Truncated {
            length: frame.len(),
            needed,
        };
        let (header, mut rest) = Header::parse(frame).ok_or(truncated)?;
        if header.ethertype != ETHERTYPE_IPV6 {
            return Err(ParseError::EtherType(header.ethertype));
        }
        let [version, _, _, _] = take(&mut rest).ok_or(truncated)?;
        if version >> 4 != 6 {
            return Err(ParseError::IpVersion(version >> 4));
        }
        let payload_len = usize::from(u16::from_be_bytes(take(&mut rest).ok_or(truncated)?));
        let [next_header, hop_limit] = take(&mut rest).ok_or(truncated)?;
        let source = Ipv6Addr::from(take::<16>(&mut rest).ok_or(truncated)?);
        let destination = Ipv6Addr::from(take::<16>(&mut rest).ok_or(truncated)?);
        if next_header != IP_PROTOCOL {
            return Err(ParseError::NextHeader(next_header));
        }
        let payload = rest.get(..payload_len).ok_or(ParseError::Truncated {
            length: frame.len(),
            needed: needed + payload_len,
        })?;
        let packet = Packet::parse(payload, source, destination, hop_limit)?;
        Ok(Self {
            source_mac: header.source,
            source,
            destination,
            packet,
        })
    }

    /// The address that the sender says it holds, and its hardware address: the packet's, or where that has none
    /// the frame's. `None` if it claims nothing ([`Packet::claimed_address`]).
    pub fn claimed_address(&self) -> Option<(Ipv6Addr, MacAddress)> {
        let (address, mac) = self.packet.claimed_address(self.source)?;
        let mac = mac.unwrap_or(self.source_mac);
        if mac.is_station() {
            Some((address, mac))
        } else {
            None
        }
    }
}

impl Packet {
    /// Appends the packet to `out` as a frame from `mac` and `source` to the packet's [group](Packet::group), for a
    /// socket that sends whole frames: [`Packet::frame_len`] bytes.
    pub fn emit_frame(&self, mac: MacAddress, source: Ipv6Addr, out: &mut Vec<u8>) {
        let destination = self.group();
        out.reserve(self.frame_len());
        Header {
            destination: MacAddress::of_group(destination),
            source: mac,
            ethertype: ETHERTYPE_IPV6,
        }
        .emit(out);
        let payload_len = u16::try_from(self.buffer_len()).unwrap_or(u16::MAX);
        // Version 6, no traffic class, no flow label.
        out.extend_from_slice(&[0x60, 0, 0, 0]);
        out.extend_from_slice(&payload_len.to_be_bytes());
        out.extend_from_slice(&[IP_PROTOCOL, HOP_LIMIT]);
        out.extend_from_slice(&source.octets());
        out.extend_from_slice(&destination.octets());
        self.emit(source, destination, out);
    }

    /// The length in bytes of a frame that carries the packet.
    pub const fn frame_len(&self) -> usize {
        ethernet::HEADER_LEN + IPV6_HEADER_LEN + self.buffer_len()
    }
}
