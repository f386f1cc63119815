//! ARP packets: what others send is understood, what is sent is what others understand, nonsense has a reason.

use core::net::Ipv4Addr;

use holdfast_vrrp::wire::arp::{BUFFER_LEN, FRAME_LEN, Operation, Packet, ParseError};
use holdfast_vrrp::wire::ethernet::MacAddress;
use proptest::prelude::*;

use crate::{fuzz, hex};

const ROUTER: MacAddress = MacAddress([0x1e, 0x28, 0x5f, 0x32, 0xe5, 0xe9]);
const HOST: MacAddress = MacAddress([0x82, 0xe1, 0xa6, 0x46, 0x88, 0x56]);
const VIP: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 103);

/// keepalived 2.2.7 becoming Active.
const KEEPALIVED_ANNOUNCEMENT: &str =
    "ffffffffffff 1e285f32e5e9 0806 0001 0800 0604 0001 1e285f32e5e9 0a630067 ffffffffffff 0a630067";
/// Linux asking for a neighbor.
const LINUX_REQUEST: &str =
    "ffffffffffff 1e285f32e5e9 0806 0001 0800 0604 0001 1e285f32e5e9 0a630001 000000000000 0a630002";
/// Linux answering.
const LINUX_REPLY: &str =
    "1e285f32e5e9 82e1a6468856 0806 0001 0800 0604 0002 82e1a6468856 0a630002 1e285f32e5e9 0a630001";
/// `arping -D`.
const ARPING_PROBE: &str =
    "ffffffffffff 82e1a6468856 0806 0001 0800 0604 0001 82e1a6468856 00000000 ffffffffffff 0a630037";
/// `arping -A`.
const ARPING_GRATUITOUS_REPLY: &str =
    "ffffffffffff 82e1a6468856 0806 0001 0800 0604 0002 82e1a6468856 0a630002 82e1a6468856 0a630002";

fn frame(packet: Packet) -> Vec<u8> {
    let mut out = Vec::new();
    packet.emit_frame(&mut out);
    out
}

/// The payload of an announcement, with `bytes` written over it at `offset`.
fn spoiled(offset: usize, bytes: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    Packet::announcement(ROUTER, VIP).emit(&mut payload);
    payload[offset..offset + bytes.len()].copy_from_slice(bytes);
    payload
}

#[test]
fn keepaliveds_announcement_claims_its_address() {
    let packet = Packet::parse_frame(&hex(KEEPALIVED_ANNOUNCEMENT)).unwrap();
    assert_eq!(
        packet,
        Packet {
            target_mac: MacAddress::BROADCAST,
            ..Packet::announcement(ROUTER, VIP)
        }
    );
    assert_eq!(packet.claimed_address(), Some((VIP, ROUTER)));
}

#[test]
fn an_ordinary_request_claims_its_sender() {
    let packet = Packet::parse_frame(&hex(LINUX_REQUEST)).unwrap();
    assert_eq!(packet.operation, Operation::Request);
    assert_eq!(packet.target_address, Ipv4Addr::new(10, 99, 0, 2));
    assert_eq!(
        packet.claimed_address(),
        Some((Ipv4Addr::new(10, 99, 0, 1), ROUTER))
    );
}

#[test]
fn a_reply_claims_its_sender() {
    let packet = Packet::parse_frame(&hex(LINUX_REPLY)).unwrap();
    assert_eq!(packet.operation, Operation::Reply);
    assert_eq!(
        packet.claimed_address(),
        Some((Ipv4Addr::new(10, 99, 0, 2), HOST))
    );
}

#[test]
fn a_probe_claims_nothing() {
    let packet = Packet::parse_frame(&hex(ARPING_PROBE)).unwrap();
    assert_eq!(packet.target_address, Ipv4Addr::new(10, 99, 0, 55));
    assert_eq!(packet.claimed_address(), None);
    assert_eq!(Packet::probe(ROUTER, VIP).claimed_address(), None);
}

#[test]
fn a_sender_that_no_station_can_be_claims_nothing() {
    for address in [
        [127, 0, 0, 1],
        [224, 0, 0, 18],
        [255, 255, 255, 255],
        [0, 0, 0, 0],
    ] {
        assert_eq!(
            Packet::announcement(ROUTER, address.into()).claimed_address(),
            None,
            "{address:?}"
        );
    }
    for mac in [
        MacAddress::ZERO,
        MacAddress::BROADCAST,
        MacAddress([1, 0, 0x5e, 0, 0, 0x12]),
    ] {
        assert_eq!(Packet::announcement(mac, VIP).claimed_address(), None, "{mac}");
    }
}

#[test]
fn an_announcement_is_a_request_for_its_own_address_to_everybody() {
    let expected =
        "ffffffffffff 1e285f32e5e9 0806 0001 0800 0604 0001 1e285f32e5e9 0a630067 000000000000 0a630067";
    assert_eq!(frame(Packet::announcement(ROUTER, VIP)), hex(expected));
}

#[test]
fn a_gratuitous_reply_is_what_arping_sends() {
    let packet = Packet::gratuitous_reply(HOST, Ipv4Addr::new(10, 99, 0, 2));
    assert_eq!(frame(packet), hex(ARPING_GRATUITOUS_REPLY));
}

#[test]
fn a_probe_has_no_sender_address() {
    let expected =
        "ffffffffffff 1e285f32e5e9 0806 0001 0800 0604 0001 1e285f32e5e9 00000000 000000000000 0a630067";
    assert_eq!(frame(Packet::probe(ROUTER, VIP)), hex(expected));
}

#[test]
fn padding_is_ignored() {
    let mut padded = hex(LINUX_REPLY);
    padded.extend_from_slice(&[0xa5; 18]);
    assert_eq!(
        Packet::parse_frame(&padded),
        Packet::parse_frame(&hex(LINUX_REPLY))
    );
}

#[test]
fn refused_at_every_length_short_of_complete() {
    let whole = hex(LINUX_REPLY);
    for length in 0..14 {
        assert_eq!(
            Packet::parse_frame(&whole[..length]),
            Err(ParseError::Truncated {
                length,
                needed: FRAME_LEN
            })
        );
    }
    for length in 0..BUFFER_LEN {
        let truncated = Err(ParseError::Truncated {
            length,
            needed: BUFFER_LEN,
        });
        assert_eq!(Packet::parse(&whole[14..14 + length]), truncated);
        assert_eq!(Packet::parse_frame(&whole[..14 + length]), truncated);
    }
}

#[test]
fn refused_other_ethertype() {
    let mut vlan = hex(LINUX_REPLY);
    vlan.splice(12..12, [0x81, 0x00, 0x00, 0x64]);
    assert_eq!(Packet::parse_frame(&vlan), Err(ParseError::EtherType(0x8100)));
}

#[test]
fn refused_other_hardware() {
    assert_eq!(
        Packet::parse(&spoiled(0, &[0, 32])),
        Err(ParseError::HardwareType(32))
    );
}

#[test]
fn refused_other_protocol() {
    assert_eq!(
        Packet::parse(&spoiled(2, &[0x86, 0xdd])),
        Err(ParseError::ProtocolType(0x86dd))
    );
}

#[test]
fn refused_other_address_lengths() {
    assert_eq!(
        Packet::parse(&spoiled(4, &[8])),
        Err(ParseError::AddressLength {
            hardware: 8,
            protocol: 4
        })
    );
    assert_eq!(
        Packet::parse(&spoiled(5, &[16])),
        Err(ParseError::AddressLength {
            hardware: 6,
            protocol: 16
        })
    );
}

#[test]
fn refused_unknown_operation() {
    assert_eq!(
        Packet::parse(&spoiled(6, &[0, 3])),
        Err(ParseError::UnknownOperation(3))
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(data in prop::collection::vec(any::<u8>(), 0..64)) {
        fuzz::arp(&data);
    }

    #[test]
    fn whatever_is_emitted_is_parsed_back(
        reply: bool,
        macs: [[u8; 6]; 2],
        addresses: [u32; 2],
    ) {
        let packet = Packet {
            operation: if reply { Operation::Reply } else { Operation::Request },
            sender_mac: MacAddress(macs[0]),
            sender_address: addresses[0].into(),
            target_mac: MacAddress(macs[1]),
            target_address: addresses[1].into(),
        };
        let mut payload = Vec::new();
        packet.emit(&mut payload);
        prop_assert_eq!(payload.len(), BUFFER_LEN);
        prop_assert_eq!(Packet::parse(&payload), Ok(packet));
        let frame = frame(packet);
        prop_assert_eq!(frame.len(), FRAME_LEN);
        prop_assert_eq!(Packet::parse_frame(&frame), Ok(packet));
    }
}
