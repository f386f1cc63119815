//! What each fuzz target does with its bytes. The stable test `vrrp/tests/wire` includes this file and replays the
//! committed corpus through the same functions.
//!
//! Each first parses the bytes as they are, then with their checksum put right: a fuzzer rarely guesses one, and what
//! lies behind the check wants to be reached. What is accepted has to survive a round trip.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use holdfast_vrrp::wire::{arp, ndp, vrrp};
use holdfast_vrrp::{
    Announcement, Authentication, Checksum, Config, Family, Interval, Preemption, Priority, Transport,
    Version, VirtualAddress, VirtualRouterId,
};

/// The source and the destination under which VRRP packets of the corpus were captured.
pub const IPV4: (IpAddr, IpAddr) = (
    IpAddr::V4(Ipv4Addr::new(10, 99, 0, 1)),
    IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18)),
);
/// The same for unicast.
pub const UNICAST: (IpAddr, IpAddr) = (IPV4.0, IpAddr::V4(Ipv4Addr::new(10, 99, 0, 2)));
/// The same for IPv6.
pub const IPV6: (IpAddr, IpAddr) = (
    IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0x1c28, 0x5fff, 0xfe32, 0xe5e9)),
    IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12)),
);

/// Parses `data` as a VRRP packet of either version over either family.
pub fn vrrp(data: &[u8]) {
    let _ = vrrp::peek(data);
    for (source, destination) in [IPV4, UNICAST, IPV6] {
        for version in [Version::V2, Version::V3] {
            vrrp_round_trip(data, version, source, destination);
            let family = Family::of(source);
            let count = data.get(3).copied().map_or(0, usize::from);
            let mut repaired = data.to_vec();
            if let Some(packet) = repaired.get_mut(..vrrp::buffer_len(version, family, count)) {
                let pseudo_header = match version {
                    Version::V2 => Vec::new(),
                    Version::V3 => pseudo_header(source, destination, vrrp::IP_PROTOCOL, packet.len()),
                };
                repair(packet, 6, &pseudo_header);
            }
            vrrp_round_trip(&repaired, version, source, destination);
        }
    }
}

fn vrrp_round_trip(data: &[u8], version: Version, source: IpAddr, destination: IpAddr) {
    let packet = match vrrp::parse(data, version, source, destination) {
        Ok(packet) => packet,
        Err(error) => {
            assert!(!error.label().is_empty() && !error.to_string().is_empty());
            return;
        }
    };
    assert_eq!(
        vrrp::peek(data),
        Some((version.number(), packet.virtual_router_id.get()))
    );
    assert_eq!(packet.addresses.len(), packet.addresses.clone().count());

    let mut config = config(version, Family::of(source), packet.addresses.clone());
    config.virtual_router_id = packet.virtual_router_id;
    config.interval = packet.interval;
    config.authentication = match packet.authentication {
        vrrp::Authentication::Password(password) => Authentication::Password(password),
        vrrp::Authentication::None | vrrp::Authentication::Other(_) => Authentication::None,
    };
    let mut emitted = Vec::new();
    vrrp::emit(&config, packet.priority, source, destination, &mut emitted);
    assert_eq!(
        emitted.len(),
        vrrp::buffer_len(version, Family::of(source), packet.addresses.len())
    );
    let mut expected = packet;
    if let vrrp::Authentication::Other(_) = expected.authentication {
        expected.authentication = vrrp::Authentication::None;
    }
    assert_eq!(vrrp::parse(&emitted, version, source, destination), Ok(expected));
}

/// Parses `data` as an Ethernet frame with an ARP packet, and as an ARP packet.
pub fn arp(data: &[u8]) {
    for parsed in [arp::Packet::parse_frame(data), arp::Packet::parse(data)] {
        match parsed {
            Ok(packet) => {
                let mut emitted = Vec::new();
                packet.emit(&mut emitted);
                assert_eq!(emitted.len(), arp::BUFFER_LEN);
                assert_eq!(arp::Packet::parse(&emitted), Ok(packet));
                emitted.clear();
                packet.emit_frame(&mut emitted);
                assert_eq!(emitted.len(), arp::FRAME_LEN);
                assert_eq!(arp::Packet::parse_frame(&emitted), Ok(packet));
                if let Some((address, mac)) = packet.claimed_address() {
                    assert!(!address.is_unspecified() && mac.is_station());
                }
            }
            Err(error) => assert!(!error.label().is_empty() && !error.to_string().is_empty()),
        }
    }
}

/// Parses `data` as an Ethernet frame with a neighbor discovery packet.
pub fn ndp(data: &[u8]) {
    const HEADERS_LEN: usize = 54;
    ndp_round_trip(data);
    let mut repaired = data.to_vec();
    if let Some((headers, message)) = repaired.split_at_mut_checked(HEADERS_LEN)
        && message.len() >= 4
        && let Ok(length) = u16::try_from(message.len())
    {
        headers[18..20].copy_from_slice(&length.to_be_bytes());
        let mut pseudo_header = headers[22..54].to_vec();
        pseudo_header.extend_from_slice(&[0, 0]);
        pseudo_header.extend_from_slice(&length.to_be_bytes());
        pseudo_header.extend_from_slice(&[0, 0, 0, ndp::IP_PROTOCOL]);
        repair(message, 2, &pseudo_header);
    }
    ndp_round_trip(&repaired);
}

fn ndp_round_trip(data: &[u8]) {
    match ndp::Frame::parse(data) {
        Ok(frame) => {
            let mut message = Vec::new();
            frame.packet.emit(frame.source, frame.destination, &mut message);
            assert_eq!(message.len(), frame.packet.buffer_len());
            let parsed = ndp::Packet::parse(&message, frame.source, frame.destination, ndp::HOP_LIMIT);
            assert_eq!(parsed, Ok(frame.packet));
            if let Some((address, mac)) = frame.claimed_address() {
                assert!(!address.is_unspecified() && mac.is_station());
            }
        }
        Err(error) => assert!(!error.label().is_empty() && !error.to_string().is_empty()),
    }
}

/// A configuration that advertises `addresses` and is otherwise unremarkable.
pub fn config(version: Version, family: Family, addresses: impl Iterator<Item = IpAddr>) -> Config {
    Config {
        virtual_router_id: VirtualRouterId::new(1).expect("1 is not 0"),
        version,
        family,
        priority: Priority::DEFAULT,
        interval: Interval::DEFAULT,
        source: None,
        transport: Transport::Unicast(Vec::new()),
        addresses: addresses
            .map(|address| VirtualAddress {
                address,
                prefix_length: 0,
                interface: None,
                label: None,
            })
            .collect(),
        preemption: Preemption::Immediate,
        authentication: Authentication::None,
        checksum: Checksum::WithPseudoHeader,
        accept: true,
        startup_delay: Duration::ZERO,
        lifetime: Duration::from_secs(3),
        announcement: Announcement::default(),
        may_become_active: true,
    }
}

/// The pseudo-header of RFC 8200 §8.1 or RFC 793 as bytes.
pub fn pseudo_header(source: IpAddr, destination: IpAddr, protocol: u8, length: usize) -> Vec<u8> {
    let length = u16::try_from(length)
        .expect("test packets are short")
        .to_be_bytes();
    let mut bytes = Vec::new();
    for address in [source, destination] {
        match address {
            IpAddr::V4(address) => bytes.extend_from_slice(&address.octets()),
            IpAddr::V6(address) => bytes.extend_from_slice(&address.octets()),
        }
    }
    bytes.extend_from_slice(&length);
    bytes.extend_from_slice(&[0, protocol]);
    bytes
}

/// Writes the right checksum into `packet` at `offset`. Another implementation than the one under test: byte by byte,
/// with the carry added back at once.
pub fn repair(packet: &mut [u8], offset: usize, pseudo_header: &[u8]) {
    packet[offset..offset + 2].fill(0);
    let mut sum = 0_u16;
    for bytes in [pseudo_header, packet] {
        for (position, byte) in bytes.iter().enumerate() {
            let value = u16::from(*byte) << if position % 2 == 0 { 8 } else { 0 };
            let (added, carry) = sum.overflowing_add(value);
            sum = added + u16::from(carry);
        }
    }
    packet[offset..offset + 2].copy_from_slice(&(!sum).to_be_bytes());
}
