//! Neighbor discovery packets: what others send is understood, what is sent is what others send, nonsense has a reason.

use core::net::Ipv6Addr;

use holdfast_vrrp::wire::ethernet::MacAddress;
use holdfast_vrrp::wire::ndp::{ALL_NODES, Frame, HOP_LIMIT, Packet, ParseError, solicited_node};
use proptest::prelude::*;

use crate::{fuzz, hex};

const KEEPALIVED: MacAddress = MacAddress([0x1e, 0x28, 0x5f, 0x32, 0xe5, 0xe9]);
const FRR: MacAddress = MacAddress([0x00, 0x00, 0x5e, 0x00, 0x02, 0x05]);
const HOST: MacAddress = MacAddress([0x82, 0xe1, 0xa6, 0x46, 0x88, 0x56]);

/// keepalived 2.2.7 becoming Active.
const KEEPALIVED_ADVERTISEMENT: &str = "333300000001 1e285f32e5e9 86dd 60000000 0020 3a ff \
    fd000099000000000000000000000100 ff020000000000000000000000000001 \
    8800f627 20000000 fd000099000000000000000000000100 0201 1e285f32e5e9";
/// FRR 8.4.4's vrrpd becoming Active.
const FRR_ADVERTISEMENT: &str = "333300000001 00005e000205 86dd 60000000 0020 3a ff \
    fe800000000000000000000000050005 ff020000000000000000000000000001 \
    88007984 a0000000 fe800000000000000000000000050005 0201 00005e000205";
/// Linux answering a solicitation.
const LINUX_SOLICITED: &str = "82e1a6468856 1e285f32e5e9 86dd 60000000 0020 3a ff \
    fd000099000000000000000000000100 fd000099000000000000000000000002 \
    8800b78f 60000000 fd000099000000000000000000000100 0201 1e285f32e5e9";
/// Linux answering a unicast solicitation: no option.
const LINUX_SOLICITED_BARE: &str = "1e285f32e5e9 82e1a6468856 86dd 60000000 0018 3a ff \
    fd000099000000000000000000000002 fe800000000000001c285ffffe32e5e9 \
    8800ddaf 40000000 fd000099000000000000000000000002";
/// Linux's duplicate address detection, with RFC 7527's nonce option.
const LINUX_PROBE: &str = "3333ff468856 82e1a6468856 86dd 60000000 0020 3a ff \
    00000000000000000000000000000000 ff0200000000000000000001ff468856 \
    87000f86 00000000 fe8000000000000080e1a6fffe468856 0e01 86df4c1b5482";
/// Linux asking for a neighbor.
const LINUX_SOLICITATION: &str = "3333ff000100 82e1a6468856 86dd 60000000 0020 3a ff \
    fd000099000000000000000000000002 ff0200000000000000000001ff000100 \
    8700caea 00000000 fd000099000000000000000000000100 0101 82e1a6468856";

fn address(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn frame(digits: &str) -> Frame {
    Frame::parse(&hex(digits)).unwrap()
}

fn emitted(packet: Packet, mac: MacAddress, source: &str) -> Vec<u8> {
    let mut out = Vec::new();
    packet.emit_frame(mac, address(source), &mut out);
    assert_eq!(out.len(), packet.frame_len());
    out
}

/// The frame in `digits` with `bytes` written over it at `offset` and then with its checksum and length put right.
fn spoiled(digits: &str, offset: usize, bytes: &[u8]) -> Vec<u8> {
    let mut frame = hex(digits);
    frame[offset..offset + bytes.len()].copy_from_slice(bytes);
    mended(frame)
}

fn mended(mut frame: Vec<u8>) -> Vec<u8> {
    let length = frame.len() - 54;
    frame[18..20].copy_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
    let [source, destination] =
        [22, 38].map(|at| Ipv6Addr::from(<[u8; 16]>::try_from(&frame[at..at + 16]).unwrap()));
    let pseudo_header = fuzz::pseudo_header(source.into(), destination.into(), 58, length);
    fuzz::repair(&mut frame[54..], 2, &pseudo_header);
    frame
}

#[test]
fn keepaliveds_advertisement_claims_its_address() {
    let frame = frame(KEEPALIVED_ADVERTISEMENT);
    assert_eq!(
        frame.packet,
        Packet::announcement(KEEPALIVED, address("fd00:99::100"), false)
    );
    assert_eq!(frame.destination, ALL_NODES);
    assert_eq!(
        frame.claimed_address(),
        Some((address("fd00:99::100"), KEEPALIVED))
    );
}

#[test]
fn frrs_advertisement_sets_the_router_flag() {
    let frame = frame(FRR_ADVERTISEMENT);
    assert_eq!(
        frame.packet,
        Packet::announcement(FRR, address("fe80::5:5"), true)
    );
    assert_eq!(frame.claimed_address(), Some((address("fe80::5:5"), FRR)));
}

#[test]
fn a_solicited_advertisement_claims_its_target() {
    let frame = frame(LINUX_SOLICITED);
    let expected = Packet::Advertisement {
        target: address("fd00:99::100"),
        mac: Some(KEEPALIVED),
        router: false,
        solicited: true,
        overrides: true,
    };
    assert_eq!(frame.packet, expected);
    assert_eq!(
        frame.claimed_address(),
        Some((address("fd00:99::100"), KEEPALIVED))
    );
}

#[test]
fn an_advertisement_without_option_claims_by_the_frames_source() {
    let frame = frame(LINUX_SOLICITED_BARE);
    assert_eq!(
        frame.packet.claimed_address(frame.source),
        Some((address("fd00:99::2"), None))
    );
    assert_eq!(frame.claimed_address(), Some((address("fd00:99::2"), HOST)));
}

#[test]
fn a_probe_claims_nothing() {
    let frame = frame(LINUX_PROBE);
    assert_eq!(frame.packet, Packet::probe(address("fe80::80e1:a6ff:fe46:8856")));
    assert_eq!(frame.source, Ipv6Addr::UNSPECIFIED);
    assert_eq!(frame.claimed_address(), None);
}

#[test]
fn an_ordinary_solicitation_claims_its_source() {
    let frame = frame(LINUX_SOLICITATION);
    assert_eq!(
        frame.packet,
        Packet::Solicitation {
            target: address("fd00:99::100"),
            mac: Some(HOST)
        }
    );
    assert_eq!(frame.claimed_address(), Some((address("fd00:99::2"), HOST)));
}

#[test]
fn a_sender_that_no_station_can_be_claims_nothing() {
    let packet = Packet::announcement(MacAddress::BROADCAST, address("fd00::1"), false);
    assert_eq!(packet.claimed_address(address("fd00::1")), None);
    let packet = Packet::announcement(KEEPALIVED, address("::1"), false);
    assert_eq!(packet.claimed_address(address("fd00::1")), None);
    let mut bare = frame(LINUX_SOLICITED_BARE);
    bare.source_mac = MacAddress::ZERO;
    assert_eq!(bare.claimed_address(), None);
}

#[test]
fn an_announcement_is_what_keepalived_and_frr_send() {
    let packet = Packet::announcement(KEEPALIVED, address("fd00:99::100"), false);
    assert_eq!(
        emitted(packet, KEEPALIVED, "fd00:99::100"),
        hex(KEEPALIVED_ADVERTISEMENT)
    );
    let packet = Packet::announcement(FRR, address("fe80::5:5"), true);
    assert_eq!(emitted(packet, FRR, "fe80::5:5"), hex(FRR_ADVERTISEMENT));
}

#[test]
fn a_probe_goes_from_nowhere_to_the_solicited_node_group() {
    let expected = "3333ff468856 82e1a6468856 86dd 60000000 0018 3a ff \
        00000000000000000000000000000000 ff0200000000000000000001ff468856 \
        8700 0000 00000000 fe8000000000000080e1a6fffe468856";
    let packet = Packet::probe(address("fe80::80e1:a6ff:fe46:8856"));
    assert_eq!(emitted(packet, HOST, "::"), mended(hex(expected)));
}

#[test]
fn a_solicitation_is_what_linux_sends() {
    let packet = Packet::Solicitation {
        target: address("fd00:99::100"),
        mac: Some(HOST),
    };
    assert_eq!(emitted(packet, HOST, "fd00:99::2"), hex(LINUX_SOLICITATION));
}

#[test]
fn the_solicited_node_group_ends_in_the_address() {
    assert_eq!(
        solicited_node(address("fd00::12:3456:789a")),
        address("ff02::1:ff56:789a")
    );
}

#[test]
fn ethernet_padding_is_ignored() {
    let mut padded = hex(LINUX_SOLICITED_BARE);
    padded.extend_from_slice(&[0xa5; 7]);
    assert_eq!(Frame::parse(&padded), Ok(frame(LINUX_SOLICITED_BARE)));
}

#[test]
fn refused_at_every_length_short_of_complete() {
    let whole = hex(KEEPALIVED_ADVERTISEMENT);
    for length in 0..whole.len() {
        let needed = if length < 54 { 54 } else { whole.len() };
        assert_eq!(
            Frame::parse(&whole[..length]),
            Err(ParseError::Truncated { length, needed })
        );
    }
    for length in 0..24 {
        let cut = Packet::parse(
            &whole[54..54 + length],
            address("fd00:99::100"),
            ALL_NODES,
            HOP_LIMIT,
        );
        assert_eq!(cut, Err(ParseError::Truncated { length, needed: 24 }));
    }
}

#[test]
fn refused_other_ethertype() {
    assert_eq!(
        Frame::parse(&spoiled(FRR_ADVERTISEMENT, 12, &[0x08, 0x06])),
        Err(ParseError::EtherType(0x0806))
    );
}

#[test]
fn refused_other_ip_version() {
    assert_eq!(
        Frame::parse(&spoiled(FRR_ADVERTISEMENT, 14, &[0x45])),
        Err(ParseError::IpVersion(4))
    );
}

#[test]
fn refused_extension_headers() {
    assert_eq!(
        Frame::parse(&spoiled(FRR_ADVERTISEMENT, 20, &[0])),
        Err(ParseError::NextHeader(0))
    );
}

#[test]
fn refused_forwarded() {
    assert_eq!(
        Frame::parse(&spoiled(FRR_ADVERTISEMENT, 21, &[254])),
        Err(ParseError::HopLimit(254))
    );
}

#[test]
fn refused_unknown_type() {
    assert_eq!(
        Frame::parse(&spoiled(FRR_ADVERTISEMENT, 54, &[133])),
        Err(ParseError::UnknownType(133))
    );
}

#[test]
fn refused_code() {
    assert_eq!(
        Frame::parse(&spoiled(FRR_ADVERTISEMENT, 55, &[1])),
        Err(ParseError::Code(1))
    );
}

#[test]
fn refused_every_single_bit_flip_of_the_message() {
    for digits in [
        KEEPALIVED_ADVERTISEMENT,
        FRR_ADVERTISEMENT,
        LINUX_PROBE,
        LINUX_SOLICITATION,
    ] {
        let intact = hex(digits);
        for bit in 54 * 8..intact.len() * 8 {
            let mut flipped = intact.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Frame::parse(&flipped).is_err(), "bit {bit} of {digits}");
        }
    }
    let mut flipped = hex(FRR_ADVERTISEMENT);
    flipped[58] ^= 0x20;
    assert_eq!(
        Frame::parse(&flipped),
        Err(ParseError::Checksum { found: 0x7984 })
    );
}

#[test]
fn refused_multicast_target() {
    let frame = spoiled(FRR_ADVERTISEMENT, 62, &[0xff, 0x02]);
    assert_eq!(
        Frame::parse(&frame),
        Err(ParseError::MulticastTarget(address("ff02::5:5")))
    );
}

#[test]
fn refused_option_of_length_zero() {
    assert_eq!(
        Frame::parse(&spoiled(FRR_ADVERTISEMENT, 79, &[0])),
        Err(ParseError::ZeroLengthOption)
    );
}

#[test]
fn refused_truncated_option() {
    let beyond = Err(ParseError::TruncatedOption {
        length: 8,
        needed: 16,
    });
    assert_eq!(Frame::parse(&spoiled(FRR_ADVERTISEMENT, 79, &[2])), beyond);
    let mut one_byte = hex(FRR_ADVERTISEMENT);
    one_byte.truncate(79);
    assert_eq!(
        Frame::parse(&mended(one_byte)),
        Err(ParseError::TruncatedOption { length: 1, needed: 8 })
    );
}

#[test]
fn options_of_other_kinds_and_lengths_are_skipped() {
    let mut unknown_first = hex(FRR_ADVERTISEMENT);
    unknown_first.splice(78..78, [&[200, 2][..], &[0xa5; 14]].concat());
    assert_eq!(Frame::parse(&mended(unknown_first)), Ok(frame(FRR_ADVERTISEMENT)));
    let mut long = hex(FRR_ADVERTISEMENT);
    long[79] = 2;
    long.extend_from_slice(&[0; 8]);
    let Packet::Advertisement { mac, .. } = Frame::parse(&mended(long)).unwrap().packet else {
        panic!()
    };
    assert_eq!(
        mac, None,
        "a link-layer address of fourteen bytes is not Ethernet's"
    );
}

#[test]
fn refused_solicited_to_a_group() {
    assert_eq!(
        Frame::parse(&spoiled(FRR_ADVERTISEMENT, 58, &[0x60])),
        Err(ParseError::SolicitedToGroup)
    );
}

#[test]
fn refused_probe_to_another_destination() {
    let frame = spoiled(LINUX_PROBE, 38, &ALL_NODES.octets());
    assert_eq!(Frame::parse(&frame), Err(ParseError::ProbeDestination(ALL_NODES)));
}

#[test]
fn refused_probe_with_link_layer_address() {
    assert_eq!(
        Frame::parse(&spoiled(LINUX_PROBE, 78, &[1])),
        Err(ParseError::ProbeWithLinkLayerAddress)
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(data in prop::collection::vec(any::<u8>(), 0..120)) {
        fuzz::ndp(&data);
    }

    #[test]
    fn no_options_make_it_panic(
        advertisement: bool,
        options in prop::collection::vec(prop_oneof![0_u8..3, any::<u8>()], 0..64),
    ) {
        let mut data = hex(if advertisement { FRR_ADVERTISEMENT } else { LINUX_SOLICITATION });
        data.truncate(78);
        data.extend_from_slice(&options);
        fuzz::ndp(&data);
    }

    #[test]
    fn whatever_is_emitted_is_parsed_back(
        target: [u8; 16],
        source: [u8; 16],
        mac in prop::option::of(any::<[u8; 6]>()),
        advertisement: bool,
        router: bool,
        overrides: bool,
    ) {
        let (target, source) = (Ipv6Addr::from(target), Ipv6Addr::from(source));
        prop_assume!(!target.is_multicast());
        let mac = mac.map(MacAddress);
        let packet = if advertisement {
            Packet::Advertisement { target, mac, router, solicited: false, overrides }
        } else {
            Packet::Solicitation { target, mac }
        };
        let mut out = Vec::new();
        packet.emit_frame(HOST, source, &mut out);
        let expected = Frame { source_mac: HOST, source, destination: packet.group(), packet };
        prop_assert_eq!(Frame::parse(&out), Ok(expected));
    }
}
