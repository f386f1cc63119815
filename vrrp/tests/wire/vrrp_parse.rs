//! What is taken for an advertisement, and each reason why something is not.

use core::net::IpAddr;
use core::time::Duration;

use holdfast_vrrp::wire::vrrp::{Authentication, MAX_ADDRESSES, Packet, ParseError, buffer_len, parse, peek};
use holdfast_vrrp::{DropReason, Family, Version};
use proptest::prelude::*;

use crate::fuzz::{self, IPV4, IPV6, UNICAST};
use crate::hex;

/// keepalived 2.2.7, `version 2`, priority 150, one second, two addresses.
const KEEPALIVED_V2: &str = "210b9602 00013362 0a630064 0a630065 0000000000000000";
/// The same with `auth_type PASS`, `auth_pass s3cret`, one address.
const KEEPALIVED_V2_PASSWORD: &str = "210c9601 0101010e 0a630066 7333637265740000";
/// keepalived 2.2.7, `version 3`, priority 200, 100 ms, three addresses.
const KEEPALIVED_V3: &str = "310dc803 000afb6d 0a630067 0a630071 0a63007b";
/// keepalived 2.2.7, `version 3`, unicast.
const KEEPALIVED_V3_UNICAST: &str = "310e6401 00644a7c 0a630068";
/// keepalived 2.2.7, `version 3`, `native_ipv6`, 10 ms.
const KEEPALIVED_V3_IPV6: &str =
    "310f6402 00010ec7 fe800000000000000000000000000099 fd000099000000000000000000000100";
/// FRR 8.4.4's vrrpd, version 3 over IPv4, one second.
const FRR_V3: &str = "3105c802 006405fb 0a630069 0a630073";
/// FRR 8.4.4's vrrpd over IPv6, sent from `fe80::5:5`.
const FRR_V3_IPV6: &str =
    "3105c802 00640b32 fe800000000000000000000000050005 fd000099000000000000000000000105";

fn parse_v2(payload: &[u8]) -> Result<Packet<'_>, ParseError> {
    parse(payload, Version::V2, IPV4.0, IPV4.1)
}

fn parse_v3(payload: &[u8]) -> Result<Packet<'_>, ParseError> {
    parse(payload, Version::V3, IPV4.0, IPV4.1)
}

fn parse_v6(payload: &[u8]) -> Result<Packet<'_>, ParseError> {
    parse(payload, Version::V3, IPV6.0, IPV6.1)
}

/// `digits` with the checksum that VRRPv3 has over IPv4.
fn v3(digits: &str) -> Vec<u8> {
    let mut packet = hex(digits);
    let pseudo_header = fuzz::pseudo_header(IPV4.0, IPV4.1, 112, packet.len());
    fuzz::repair(&mut packet, 6, &pseudo_header);
    packet
}

/// `digits` with the checksum that VRRPv2 has.
fn v2(digits: &str) -> Vec<u8> {
    let mut packet = hex(digits);
    fuzz::repair(&mut packet, 6, &[]);
    packet
}

fn addresses(list: &[&str]) -> Vec<IpAddr> {
    list.iter().map(|address| address.parse().unwrap()).collect()
}

#[test]
fn keepalived_v2_is_understood() {
    let bytes = hex(KEEPALIVED_V2);
    let packet = parse_v2(&bytes).unwrap();
    assert_eq!(packet.version, Version::V2);
    assert_eq!(packet.virtual_router_id.get(), 11);
    assert_eq!(packet.priority, 150);
    assert_eq!(packet.interval.get(), Duration::from_secs(1));
    assert_eq!(packet.authentication, Authentication::None);
    assert_eq!(
        packet.addresses.collect::<Vec<_>>(),
        addresses(&["10.99.0.100", "10.99.0.101"])
    );
}

#[test]
fn keepalived_v2_password_is_understood() {
    let bytes = hex(KEEPALIVED_V2_PASSWORD);
    let packet = parse_v2(&bytes).unwrap();
    assert_eq!(packet.authentication, Authentication::Password(*b"s3cret\0\0"));
    assert_eq!(packet.addresses.collect::<Vec<_>>(), addresses(&["10.99.0.102"]));
}

#[test]
fn keepalived_v3_is_understood() {
    let bytes = hex(KEEPALIVED_V3);
    let packet = parse_v3(&bytes).unwrap();
    assert_eq!(packet.version, Version::V3);
    assert_eq!(packet.virtual_router_id.get(), 13);
    assert_eq!(packet.priority, 200);
    assert_eq!(packet.interval.get(), Duration::from_millis(100));
    assert_eq!(packet.authentication, Authentication::None);
    assert_eq!(
        packet.addresses.collect::<Vec<_>>(),
        addresses(&["10.99.0.103", "10.99.0.113", "10.99.0.123"])
    );
}

#[test]
fn keepalived_v3_unicast_is_summed_with_its_real_destination() {
    let bytes = hex(KEEPALIVED_V3_UNICAST);
    assert_eq!(
        parse(&bytes, Version::V3, UNICAST.0, UNICAST.1)
            .unwrap()
            .virtual_router_id
            .get(),
        14
    );
    assert_eq!(parse_v3(&bytes), Err(ParseError::Checksum { found: 0x4a7c }));
}

#[test]
fn keepalived_v3_ipv6_is_understood() {
    let bytes = hex(KEEPALIVED_V3_IPV6);
    let packet = parse_v6(&bytes).unwrap();
    assert_eq!(packet.interval.get(), Duration::from_millis(10));
    assert_eq!(packet.addresses.len(), 2);
    assert_eq!(
        packet.addresses.collect::<Vec<_>>(),
        addresses(&["fe80::99", "fd00:99::100"])
    );
}

#[test]
fn a_resignation_has_priority_zero() {
    let bytes = hex("210b0002 0001c962 0a630064 0a630065 0000000000000000");
    assert_eq!(parse_v2(&bytes).unwrap().priority, 0);
}

#[test]
fn frr_is_understood_over_both_families() {
    let bytes = hex(FRR_V3);
    assert_eq!(parse_v3(&bytes).unwrap().interval.get(), Duration::from_secs(1));
    let bytes = hex(FRR_V3_IPV6);
    let packet = parse(&bytes, Version::V3, "fe80::5:5".parse().unwrap(), IPV6.1).unwrap();
    assert_eq!(
        packet.addresses.collect::<Vec<_>>(),
        addresses(&["fe80::5:5", "fd00:99::105"])
    );
}

#[test]
fn v3_over_ipv4_is_accepted_without_pseudo_header_too() {
    let mut strict = hex(KEEPALIVED_V3);
    fuzz::repair(&mut strict, 6, &[]);
    assert_ne!(strict, hex(KEEPALIVED_V3));
    assert_eq!(parse_v3(&strict).unwrap().priority, 200);
}

#[test]
fn v3_over_ipv6_is_refused_without_pseudo_header() {
    let mut packet = hex(KEEPALIVED_V3_IPV6);
    fuzz::repair(&mut packet, 6, &[]);
    assert!(matches!(parse_v6(&packet), Err(ParseError::Checksum { .. })));
}

#[test]
fn v2_is_refused_with_pseudo_header() {
    let mut packet = hex(KEEPALIVED_V2);
    let pseudo_header = fuzz::pseudo_header(IPV4.0, IPV4.1, 112, packet.len());
    fuzz::repair(&mut packet, 6, &pseudo_header);
    assert!(matches!(parse_v2(&packet), Err(ParseError::Checksum { .. })));
}

#[test]
fn padding_after_the_packet_is_ignored_whatever_it_holds() {
    for (digits, parse) in [
        (
            KEEPALIVED_V2,
            parse_v2 as fn(&[u8]) -> Result<Packet<'_>, ParseError>,
        ),
        (KEEPALIVED_V3, parse_v3),
        (KEEPALIVED_V3_IPV6, parse_v6),
    ] {
        let exact = hex(digits);
        let mut padded = exact.clone();
        padded.extend_from_slice(&[0xa5; 19]);
        assert_eq!(parse(&padded), parse(&exact), "{digits}");
        assert!(parse(&exact).is_ok(), "{digits}");
    }
}

#[test]
fn reserved_bits_are_ignored() {
    let bytes = v3("310e6401 f0640000 0a630068");
    assert_eq!(parse_v3(&bytes).unwrap().interval.get(), Duration::from_secs(1));
}

#[test]
fn the_longest_interval_of_each_version_is_read() {
    assert_eq!(
        parse_v3(&v3("310e6401 0fff0000 0a630068"))
            .unwrap()
            .interval
            .get(),
        Duration::from_millis(40_950)
    );
    let bytes = v2("210e6401 00ff0000 0a630068 0000000000000000");
    assert_eq!(parse_v2(&bytes).unwrap().interval.get(), Duration::from_secs(255));
}

#[test]
fn an_unknown_authentication_type_is_reported_not_refused() {
    let bytes = v2("210e6401 02010000 0a630068 0000000000000000");
    assert_eq!(parse_v2(&bytes).unwrap().authentication, Authentication::Other(2));
}

#[test]
fn passwords_do_not_reach_debug_output() {
    let bytes = hex(KEEPALIVED_V2_PASSWORD);
    let shown = format!("{:?}", parse_v2(&bytes).unwrap());
    assert!(shown.contains("Password(***)"), "{shown}");
    assert!(!shown.contains("115"), "{shown}");
}

#[test]
fn refused_truncated_header() {
    assert_eq!(parse_v3(&[]), Err(ParseError::Truncated { length: 0, needed: 8 }));
    assert_eq!(
        parse_v3(&hex("310e6401006400")),
        Err(ParseError::Truncated { length: 7, needed: 8 })
    );
}

#[test]
fn refused_at_every_length_short_of_complete() {
    for (digits, parse) in [
        (
            KEEPALIVED_V2,
            parse_v2 as fn(&[u8]) -> Result<Packet<'_>, ParseError>,
        ),
        (KEEPALIVED_V3, parse_v3),
        (KEEPALIVED_V3_IPV6, parse_v6),
    ] {
        let bytes = hex(digits);
        for length in 0..bytes.len() {
            let needed = if length < 8 { 8 } else { bytes.len() };
            assert_eq!(
                parse(&bytes[..length]),
                Err(ParseError::Truncated { length, needed }),
                "{digits}"
            );
        }
    }
}

#[test]
fn refused_unknown_version() {
    let bytes = hex("410e6401 00640000 0a630068");
    assert_eq!(parse_v3(&bytes), Err(ParseError::UnknownVersion(4)));
}

#[test]
fn refused_other_version_by_name_and_with_what_to_change() {
    let bytes = hex(KEEPALIVED_V2);
    let error = parse_v3(&bytes).unwrap_err();
    assert_eq!(
        error,
        ParseError::VersionMismatch {
            theirs: Version::V2,
            ours: Version::V3
        }
    );
    assert_eq!(
        format!("10.0.0.2 {}", DropReason::from(error)),
        "10.0.0.2 speaks VRRPv2, this router VRRPv3; \
         set advertisement.version to 2 or keepalived's vrrp_version to 3"
    );
    let bytes = hex(KEEPALIVED_V3);
    assert_eq!(
        parse_v2(&bytes),
        Err(ParseError::VersionMismatch {
            theirs: Version::V3,
            ours: Version::V2
        })
    );
}

#[test]
fn refused_version_2_over_ipv6() {
    let bytes = hex(KEEPALIVED_V2);
    assert_eq!(
        parse(&bytes, Version::V2, IPV6.0, IPV6.1),
        Err(ParseError::Version2OverIpv6)
    );
}

#[test]
fn refused_mixed_families() {
    let bytes = hex(KEEPALIVED_V3);
    assert_eq!(
        parse(&bytes, Version::V3, IPV4.0, IPV6.1),
        Err(ParseError::MixedFamilies)
    );
}

#[test]
fn refused_unknown_type() {
    assert_eq!(
        parse_v3(&v3("320e6401 00640000 0a630068")),
        Err(ParseError::UnknownType(2))
    );
}

#[test]
fn refused_router_id_zero() {
    assert_eq!(
        parse_v3(&v3("31006401 00640000 0a630068")),
        Err(ParseError::ZeroVirtualRouterId)
    );
}

#[test]
fn refused_no_addresses() {
    assert_eq!(parse_v3(&v3("310e6400 00640000")), Err(ParseError::NoAddresses));
    assert_eq!(
        parse_v2(&v2("210e6400 00010000 0000000000000000")),
        Err(ParseError::NoAddresses)
    );
}

#[test]
fn refused_zero_interval() {
    assert_eq!(
        parse_v3(&v3("310e6401 00000000 0a630068")),
        Err(ParseError::ZeroInterval)
    );
    assert_eq!(
        parse_v3(&v3("310e6401 f0000000 0a630068")),
        Err(ParseError::ZeroInterval),
        "only reserved bits"
    );
    assert_eq!(
        parse_v2(&v2("210e6401 00000000 0a630068 0000000000000000")),
        Err(ParseError::ZeroInterval)
    );
}

#[test]
fn refused_first_address_not_link_local() {
    let mut bytes =
        hex("310f6402 00010000 fd000099000000000000000000000100 fe800000000000000000000000000099");
    let pseudo_header = fuzz::pseudo_header(IPV6.0, IPV6.1, 112, bytes.len());
    fuzz::repair(&mut bytes, 6, &pseudo_header);
    assert_eq!(
        parse_v6(&bytes),
        Err(ParseError::FirstAddressNotLinkLocal(
            "fd00:99::100".parse().unwrap()
        ))
    );
}

#[test]
fn refused_every_single_bit_flip() {
    for (digits, parse) in [
        (
            KEEPALIVED_V2,
            parse_v2 as fn(&[u8]) -> Result<Packet<'_>, ParseError>,
        ),
        (KEEPALIVED_V2_PASSWORD, parse_v2),
        (KEEPALIVED_V3, parse_v3),
        (FRR_V3, parse_v3),
        (KEEPALIVED_V3_IPV6, parse_v6),
    ] {
        let intact = hex(digits);
        assert!(parse(&intact).is_ok(), "{digits}");
        for bit in 0..intact.len() * 8 {
            let mut flipped = intact.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(&flipped).is_err(), "bit {bit} of {digits}");
        }
    }
}

#[test]
fn refused_for_its_checksum_by_what_the_packet_holds() {
    let mut bytes = hex(KEEPALIVED_V3);
    bytes[2] = 201;
    assert_eq!(parse_v3(&bytes), Err(ParseError::Checksum { found: 0xfb6d }));
}

#[test]
fn peek_reads_version_and_router_id_and_nothing_else() {
    assert_eq!(peek(&hex(KEEPALIVED_V2)), Some((2, 11)));
    assert_eq!(peek(&[0xf1, 0]), Some((15, 0)));
    assert_eq!(peek(&[0x31]), None);
    assert_eq!(peek(&[]), None);
}

#[test]
fn buffer_len_is_the_length_on_the_wire() {
    assert_eq!(buffer_len(Version::V2, Family::V4, 2), hex(KEEPALIVED_V2).len());
    assert_eq!(buffer_len(Version::V3, Family::V4, 3), hex(KEEPALIVED_V3).len());
    assert_eq!(
        buffer_len(Version::V3, Family::V6, 2),
        hex(KEEPALIVED_V3_IPV6).len()
    );
    assert_eq!(buffer_len(Version::V3, Family::V6, MAX_ADDRESSES), 4088);
}

#[test]
fn each_reason_has_a_label_of_its_own() {
    let reasons = [
        ParseError::Truncated { length: 0, needed: 8 },
        ParseError::UnknownVersion(4),
        ParseError::VersionMismatch {
            theirs: Version::V2,
            ours: Version::V3,
        },
        ParseError::Version2OverIpv6,
        ParseError::MixedFamilies,
        ParseError::UnknownType(2),
        ParseError::ZeroVirtualRouterId,
        ParseError::NoAddresses,
        ParseError::ZeroInterval,
        ParseError::Checksum { found: 0 },
        ParseError::FirstAddressNotLinkLocal("fd00::1".parse().unwrap()),
    ];
    let mut labels = reasons.map(ParseError::label);
    labels.sort_unstable();
    assert!(labels.windows(2).all(|pair| pair[0] != pair[1]), "{labels:?}");
    assert!(labels.iter().all(|label| {
        label
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    }));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(data in prop::collection::vec(any::<u8>(), 0..64)) {
        fuzz::vrrp(&data);
    }

    #[test]
    fn no_bytes_behind_a_plausible_header_make_it_panic(
        first in prop::sample::select(vec![0x21_u8, 0x31]),
        count in 0_u8..6,
        rest in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let mut data = vec![first, 7, 100, count];
        data.extend_from_slice(&rest);
        fuzz::vrrp(&data);
    }
}
