//! Which packets are believed (RFC 9568 §7.1, RFC 3768 §7.1), and that a dropped one leaves no trace.

use std::net::IpAddr;

use holdfast_vrrp::wire::vrrp::ParseError;
use holdfast_vrrp::{
    Action, Authentication, Checksum, Config, DropReason, Family, Interval, Peer, State, Transport, Version,
    VirtualRouterId,
};

use crate::harness::*;

const STRANGER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 77));

fn version_2() -> Config {
    let mut config = config(100);
    config.version = Version::V2;
    config.interval = Interval::DEFAULT;
    config
}

fn unicast(min_ttl: u8) -> Config {
    let mut config = config(100);
    config.transport = Transport::Unicast(vec![Peer {
        address: HIGHER,
        min_ttl,
    }]);
    config
}

fn version_3_over_ipv6() -> Config {
    let mut config = config(100);
    config.family = Family::V6;
    config.source = Some("fe80::5".parse().unwrap());
    config.transport = Transport::Multicast("ff02::12".parse().unwrap());
    config.addresses = vec![
        vip("fe80::100".parse().unwrap()),
        vip("2001:db8::100".parse().unwrap()),
        vip(VIP),
    ];
    config
}

/// Asserts that a packet is dropped for `reason` by a Backup and by an Active router, without a trace in either.
#[track_caller]
fn assert_dropped(config: &Config, from: IpAddr, to: IpAddr, ttl: u8, payload: &[u8], reason: DropReason) {
    for mut solo in [Solo::backup(config.clone()), Solo::active(config.clone())] {
        solo.pass(millis(300));
        let before = (solo.snapshot(), solo.router.next_timeout());
        assert_eq!(solo.receive(from, to, ttl, payload), [Action::Dropped(reason)]);
        assert_eq!((solo.snapshot(), solo.router.next_timeout()), before);
    }
}

#[track_caller]
fn assert_believed(config: &Config, from: IpAddr, to: IpAddr, ttl: u8, payload: &[u8]) {
    let mut solo = Solo::backup(config.clone());
    solo.pass(millis(300));
    assert_eq!(solo.receive(from, to, ttl, payload), []);
    assert_eq!(solo.snapshot().active_peer, Some(from));
}

#[test]
fn multicast_with_ttl_below_255_is_dropped() {
    let config = config(100);
    let payload = packet(&config, 200, HIGHER, GROUP);
    assert_dropped(
        &config,
        HIGHER,
        GROUP,
        254,
        &payload,
        DropReason::Ttl { ttl: 254, min: 255 },
    );
    assert_believed(&config, HIGHER, GROUP, 255, &payload);
}

#[test]
fn unicast_is_believed_from_the_ttl_that_its_peer_is_granted() {
    let config = unicast(253);
    let payload = packet(&config, 200, HIGHER, OWN);
    assert_believed(&config, HIGHER, OWN, 253, &payload);
    assert_dropped(
        &config,
        HIGHER,
        OWN,
        252,
        &payload,
        DropReason::Ttl { ttl: 252, min: 253 },
    );
}

#[test]
fn unicast_from_a_stranger_is_dropped() {
    let config = unicast(255);
    let payload = packet(&config, 200, STRANGER, OWN);
    assert_dropped(&config, STRANGER, OWN, 255, &payload, DropReason::UnknownPeer);
}

#[test]
fn multicast_is_dropped_where_unicast_is_spoken_and_the_other_way_round() {
    let config = unicast(255);
    let payload = packet(&config, 200, HIGHER, GROUP);
    assert_dropped(
        &config,
        HIGHER,
        GROUP,
        255,
        &payload,
        DropReason::WrongDestination,
    );
    let config = self::config(100);
    let payload = packet(&config, 200, HIGHER, OWN);
    assert_dropped(&config, HIGHER, OWN, 255, &payload, DropReason::WrongDestination);
}

#[test]
fn another_multicast_group_is_dropped() {
    let other = "224.0.0.99".parse().unwrap();
    let config = config(100);
    let payload = packet(&config, 200, HIGHER, other);
    assert_dropped(
        &config,
        HIGHER,
        other,
        255,
        &payload,
        DropReason::WrongDestination,
    );
}

#[test]
fn the_routers_own_address_is_dropped() {
    let config = config(100);
    let payload = packet(&config, 200, OWN, GROUP);
    assert_dropped(&config, OWN, GROUP, 255, &payload, DropReason::OwnAddress);
}

#[test]
fn the_other_version_is_dropped() {
    let config = config(100);
    let payload = packet(&version_2(), 200, HIGHER, GROUP);
    let reason = ParseError::VersionMismatch {
        theirs: Version::V2,
        ours: Version::V3,
    };
    assert_dropped(
        &config,
        HIGHER,
        GROUP,
        255,
        &payload,
        DropReason::Malformed(reason),
    );
    let payload = packet(&config, 200, HIGHER, GROUP);
    let reason = ParseError::VersionMismatch {
        theirs: Version::V3,
        ours: Version::V2,
    };
    assert_dropped(
        &version_2(),
        HIGHER,
        GROUP,
        255,
        &payload,
        DropReason::Malformed(reason),
    );
}

#[test]
fn an_unknown_type_is_dropped() {
    let config = config(100);
    let mut payload = packet(&config, 200, HIGHER, GROUP);
    payload[0] = 0x32;
    let reason = DropReason::Malformed(ParseError::UnknownType(2));
    assert_dropped(&config, HIGHER, GROUP, 255, &payload, reason);
}

#[test]
fn an_incomplete_packet_is_dropped() {
    let config = config(100);
    let payload = packet(&config, 200, HIGHER, GROUP);
    for length in 0..payload.len() {
        let mut solo = Solo::backup(config.clone());
        let out = solo.receive(HIGHER, GROUP, 255, &payload[..length]);
        assert!(
            matches!(
                out[..],
                [Action::Dropped(DropReason::Malformed(
                    ParseError::Truncated { .. }
                ))]
            ),
            "{length} bytes: {out:?}"
        );
    }
}

#[test]
fn a_wrong_checksum_is_dropped() {
    for config in [config(100), version_2()] {
        let mut payload = packet(&config, 200, HIGHER, GROUP);
        payload[2] = 201;
        let found = u16::from_be_bytes([payload[6], payload[7]]);
        let reason = DropReason::Malformed(ParseError::Checksum { found });
        assert_dropped(&config, HIGHER, GROUP, 255, &payload, reason);
    }
}

#[test]
fn both_ways_to_compute_the_version_3_checksum_over_ipv4_are_believed() {
    let config = config(100);
    let mut other = config.clone();
    other.checksum = Checksum::WithoutPseudoHeader;
    assert_believed(&config, HIGHER, GROUP, 255, &packet(&other, 200, HIGHER, GROUP));
    assert_believed(&other, HIGHER, GROUP, 255, &packet(&config, 200, HIGHER, GROUP));
}

#[test]
fn another_virtual_router_id_is_dropped() {
    let config = config(100);
    let mut other = config.clone();
    other.virtual_router_id = VirtualRouterId::new(52).unwrap();
    let payload = packet(&other, 200, HIGHER, GROUP);
    assert_dropped(
        &config,
        HIGHER,
        GROUP,
        255,
        &payload,
        DropReason::OtherVirtualRouter { theirs: 52, ours: 51 },
    );
}

#[test]
fn an_advertisement_interval_of_zero_is_dropped() {
    let config = config(100);
    let mut other = config.clone();
    other.checksum = Checksum::WithoutPseudoHeader;
    let mut payload = packet(&other, 200, HIGHER, GROUP);
    // Taking 100 centiseconds out of the interval puts them into the ones' complement sum.
    payload[5] = 0;
    let checksum = u16::from_be_bytes([payload[6], payload[7]]);
    payload[6..8].copy_from_slice(&(checksum + 100).to_be_bytes());
    assert_dropped(
        &config,
        HIGHER,
        GROUP,
        255,
        &payload,
        DropReason::Malformed(ParseError::ZeroInterval),
    );
}

#[test]
fn version_2_drops_another_interval() {
    let config = version_2();
    let mut other = config.clone();
    other.interval = Interval::new(Version::V2, 3 * SECOND).unwrap();
    let payload = packet(&other, 200, HIGHER, GROUP);
    let reason = DropReason::IntervalMismatch {
        theirs: 3 * SECOND,
        ours: SECOND,
    };
    assert_dropped(&config, HIGHER, GROUP, 255, &payload, reason);
}

#[test]
fn version_2_drops_another_password() {
    let open = version_2();
    let mut locked = version_2();
    locked.authentication = Authentication::Password(*b"secret\0\0");
    let mut other = version_2();
    other.authentication = Authentication::Password(*b"secret!\0");
    for (ours, theirs) in [(&open, &locked), (&locked, &open), (&locked, &other)] {
        let payload = packet(theirs, 200, HIGHER, GROUP);
        assert_dropped(
            ours,
            HIGHER,
            GROUP,
            255,
            &payload,
            DropReason::AuthenticationMismatch,
        );
    }
    assert_believed(&locked, HIGHER, GROUP, 255, &packet(&locked, 200, HIGHER, GROUP));
}

#[test]
fn version_3_over_ipv6_is_believed_and_its_first_address_must_be_link_local() {
    let config = version_3_over_ipv6();
    let (from, group) = ("fe80::9".parse().unwrap(), "ff02::12".parse().unwrap());
    assert_believed(&config, from, group, 255, &packet(&config, 200, from, group));
    let mut other = config.clone();
    let global: std::net::Ipv6Addr = "2001:db8::100".parse().unwrap();
    other.addresses = vec![vip(global.into())];
    let payload = packet(&other, 200, from, group);
    let reason = DropReason::Malformed(ParseError::FirstAddressNotLinkLocal(global));
    assert_dropped(&config, from, group, 255, &payload, reason);
}

#[test]
fn a_router_drops_everything_before_it_has_started() {
    let config = config(100);
    let mut solo = Solo::new(config.clone());
    let payload = packet(&config, 200, HIGHER, GROUP);
    assert_eq!(
        solo.receive(HIGHER, GROUP, 255, &payload),
        [Action::Dropped(DropReason::NotParticipating)]
    );
    assert_eq!(solo.state(), State::Initialize);
}

#[test]
fn dropped_packets_do_not_extend_the_down_timer() {
    let mut solo = Solo::backup(config(100));
    let payload = packet(&config(100), 200, HIGHER, GROUP);
    let mut waited = std::time::Duration::ZERO;
    while solo.state() == State::Backup {
        solo.pass(millis(100));
        solo.receive(HIGHER, GROUP, 254, &payload);
        waited += millis(100);
    }
    assert_eq!(waited, millis(3700));
}
