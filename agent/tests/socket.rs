//! The engine's sockets on a cable between two namespaces.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // Lints know test functions, not their helpers.

mod isolated;

use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::time::Instant;

use holdfast_agent::socket::{
    Claim, FrameOutbox, Inbox, NeighborSocket, Outbox, VridSet, VrrpSocket, check_privilege,
};
use holdfast_vrrp::wire::ethernet::MacAddress;
use holdfast_vrrp::wire::{arp, ndp};
use holdfast_vrrp::{Family, VirtualRouterId};
use isolated::{beyond, ip, isolated};
use nix::net::if_::if_nametoindex;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How long a packet may take that is on its way.
const PATIENCE: u16 = 10_000;
/// How long to wait for a packet that is not to come.
const SILENCE: u16 = 200;

const GROUP_V4: &str = "224.0.0.18";
const GROUP_V6: &str = "ff02::12";

fn at(address: &str) -> IpAddr {
    address.parse().unwrap()
}

fn id(id: u8) -> VirtualRouterId {
    VirtualRouterId::new(id).unwrap()
}

fn index(name: &str) -> u32 {
    if_nametoindex(name).unwrap()
}

/// A cable: this end is `near`, the other end `far` in a namespace of its own; `open` opens sockets there.
fn cable<T: Send + 'static>(open: impl FnOnce() -> T + Send + 'static) -> T {
    ip("link add near type veth peer name far");
    let opened = beyond("far", || {
        set_up("far", "2");
        open()
    });
    set_up("near", "1");
    // Both ends have to be up before either carries anything.
    let deadline = Instant::now() + Duration::from_secs(5);
    while !ip("link show dev near").contains("LOWER_UP") {
        assert!(Instant::now() < deadline);
    }
    opened
}

fn set_up(link: &str, host: &str) {
    ip(&format!("link set {link} addrgenmode none"));
    ip(&format!("link set {link} up"));
    ip(&format!("address add 10.0.0.{host}/24 dev {link}"));
    ip(&format!("address add fe80::{host}/64 dev {link} nodad"));
    ip(&format!("address add fd00::{host}/64 dev {link} nodad"));
}

fn vrrp(link: &str, family: Family, groups: &[&str]) -> VrrpSocket {
    let mut socket = VrrpSocket::open(link, index(link), family).unwrap();
    let groups: BTreeSet<IpAddr> = groups.iter().map(|group| at(group)).collect();
    socket.set_memberships(&groups).unwrap();
    socket
}

fn ready(socket: impl AsFd, patience: u16) -> bool {
    poll(
        &mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)],
        PollTimeout::from(patience),
    )
    .unwrap()
        == 1
}

/// A packet as it was received, with its payload.
type Packet = (IpAddr, IpAddr, u8, Vec<u8>);

/// The next `count` packets; then nothing more may come.
fn received(socket: &VrrpSocket, count: usize) -> Vec<Packet> {
    let (mut inbox, mut packets) = (Inbox::default(), Vec::new());
    while packets.len() < count {
        assert!(ready(socket, PATIENCE), "only these came: {packets:?}");
        socket.receive(&mut inbox).unwrap();
        packets.extend(inbox.iter().map(|packet| {
            (
                packet.source,
                packet.destination,
                packet.ttl,
                packet.payload.to_vec(),
            )
        }));
    }
    assert!(!ready(socket, SILENCE), "more than {count} packets came");
    packets
}

/// The beginning of a VRRPv3 packet, which is all that the sockets look at.
fn packet(virtual_router_id: u8) -> [u8; 4] {
    [0x31, virtual_router_id, 100, 0]
}

fn send(socket: &VrrpSocket, datagrams: &[(&str, &str, u8)]) {
    let mut outbox = Outbox::default();
    for (source, destination, id) in datagrams {
        outbox.push(at(source), at(destination), |bytes| {
            bytes.extend_from_slice(&packet(*id));
        });
    }
    let report = socket.send(&mut outbox);
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    assert_eq!(report.sent, datagrams.len());
}

#[test]
fn advertisements_arrive_with_their_addresses_and_hop_limit() {
    isolated(|| {
        check_privilege().unwrap();
        let (far_v4, far_v6) = cable(|| {
            (
                vrrp("far", Family::V4, &[GROUP_V4]),
                vrrp("far", Family::V6, &[GROUP_V6]),
            )
        });
        let cases = [
            (
                Family::V4,
                far_v4,
                ["10.0.0.1", GROUP_V4],
                ["10.0.0.1", "10.0.0.2"],
            ),
            (Family::V6, far_v6, ["fe80::1", GROUP_V6], ["fd00::1", "fd00::2"]),
        ];
        for (family, far, multicast, unicast) in cases {
            // The sender is a member itself and does not hear its own.
            let near = vrrp("near", family, &[multicast[1]]);
            send(
                &near,
                &[(multicast[0], multicast[1], 51), (unicast[0], unicast[1], 52)],
            );
            let expected = [
                (at(multicast[0]), at(multicast[1]), 255, packet(51).to_vec()),
                (at(unicast[0]), at(unicast[1]), 255, packet(52).to_vec()),
            ];
            assert_eq!(received(&far, 2), expected, "{family}");
            assert!(!ready(&near, 0), "{family}");
        }
    });
}

#[test]
fn each_datagram_of_a_batch_has_the_source_it_was_given() {
    isolated(|| {
        let far = cable(|| vrrp("far", Family::V4, &[GROUP_V4]));
        let sources: Vec<String> = (0..100).map(|n| format!("10.0.0.{}", 100 + n)).collect();
        for source in &sources {
            ip(&format!("address add {source}/32 dev near"));
        }
        let near = vrrp("near", Family::V4, &[]);
        let datagrams: Vec<_> = (1..)
            .zip(&sources)
            .map(|(id, source)| (source.as_str(), GROUP_V4, id))
            .collect();
        send(&near, &datagrams);
        let packets = received(&far, sources.len());
        let found: Vec<String> = packets.iter().map(|(source, ..)| source.to_string()).collect();
        assert_eq!(found, sources);
    });
}

#[test]
fn a_datagram_that_cannot_go_does_not_stop_the_others() {
    isolated(|| {
        let far = cable(|| vrrp("far", Family::V4, &[GROUP_V4]));
        let near = vrrp("near", Family::V4, &[]);
        let mut outbox = Outbox::default();
        for source in ["10.0.0.99", "10.0.0.1", "10.0.0.98", "10.0.0.1"] {
            outbox.push(at(source), at(GROUP_V4), |bytes| {
                bytes.extend_from_slice(&packet(1));
            });
        }
        let report = near.send(&mut outbox);
        assert_eq!(report.sent, 2);
        let failed: Vec<usize> = report.failed.iter().map(|(index, _)| *index).collect();
        assert_eq!(failed, [0, 2], "{:?}", report.failed);
        received(&far, 2);
        assert_eq!(near.send(&mut outbox).sent, 0, "the outbox is empty");
    });
}

#[test]
fn only_joined_groups_are_heard_and_only_until_they_are_left() {
    isolated(|| {
        for (family, [joined, other, source]) in [
            (Family::V4, [GROUP_V4, "224.0.0.19", "10.0.0.1"]),
            (Family::V6, [GROUP_V6, "ff02::13", "fe80::1"]),
        ] {
            let (mut far, _stranger) = cable(move || {
                // Another program on that host has joined the other group.
                (vrrp("far", family, &[joined]), vrrp("far", family, &[other]))
            });
            let near = vrrp("near", family, &[]);
            let both = [(source, joined, 1), (source, other, 2)];
            send(&near, &both);
            assert_eq!(received(&far, 1)[0].1, at(joined));
            far.set_memberships(&[at(other)].into()).unwrap();
            send(&near, &both);
            assert_eq!(received(&far, 1)[0].1, at(other));
            ip("link del near");
        }
    });
}

#[test]
fn a_socket_hears_its_own_interface_only() {
    isolated(|| {
        let (far, other) = cable(|| {
            ip("link add other type veth peer name another");
            set_up("other", "3");
            (
                vrrp("far", Family::V4, &[GROUP_V4]),
                vrrp("other", Family::V4, &[GROUP_V4]),
            )
        });
        send(
            &vrrp("near", Family::V4, &[]),
            &[("10.0.0.1", GROUP_V4, 1), ("10.0.0.1", "10.0.0.2", 1)],
        );
        received(&far, 2);
        assert!(!ready(&other, 0));
    });
}

#[test]
fn muted_identifiers_are_dropped_in_the_kernel_and_all_others_pass() {
    isolated(|| {
        for (family, source, group) in [
            (Family::V4, "10.0.0.1", GROUP_V4),
            (Family::V6, "fe80::1", GROUP_V6),
        ] {
            let mut far = cable(move || vrrp("far", family, &[group]));
            let near = vrrp("near", family, &[]);
            let all: Vec<(&str, &str, u8)> = (0..=255).map(|id| (source, group, id)).collect();
            let set = |ids: &[u8]| ids.iter().map(|n| id(*n)).collect::<VridSet>();
            let mostly: Vec<u8> = (1..=255).filter(|id| id % 3 != 0).collect();
            let cases: [(&[u8], &[u8]); 5] = [
                (&[51], &[]),
                (&[51], &[1, 31, 32, 255]),
                (&[], &[64]),
                (&[51], &[50, 51, 52]),
                (&[51], &mostly),
            ];
            for (wanted, muted) in cases {
                far.set_filter(&set(wanted), &set(muted)).unwrap();
                send(&near, &all);
                // Zero is nobody's identifier; it is counted as an error, not muted.
                let expected: Vec<u8> = (0..=255)
                    .filter(|id| wanted.contains(id) || !muted.contains(id))
                    .collect();
                let found: Vec<u8> = received(&far, expected.len())
                    .iter()
                    .map(|(.., packet)| packet[1])
                    .collect();
                assert_eq!(found, expected, "{family}, {wanted:?} wanted, {muted:?} muted");
            }
            ip("link del near");
        }
    });
}

const MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 9]);

/// The frames with which a station says that it holds these addresses.
fn claim(addresses: &[&str]) -> FrameOutbox {
    let mut outbox = FrameOutbox::default();
    for address in addresses {
        outbox.push(|frame| match at(address) {
            IpAddr::V4(address) => arp::Packet::announcement(MAC, address).emit_frame(frame),
            IpAddr::V6(address) => {
                ndp::Packet::announcement(MAC, address, false).emit_frame(MAC, address, frame);
            }
        });
    }
    outbox
}

/// The next `count` addresses that `socket` hears claimed; then nothing more may come.
fn claimed(socket: &mut NeighborSocket, count: usize) -> Vec<String> {
    let mut claims: Vec<Claim> = Vec::new();
    let hears = |socket: &NeighborSocket, patience: u16| {
        let mut receivers: Vec<PollFd<'_>> = socket
            .receivers()
            .map(|receiver| PollFd::new(receiver, PollFlags::POLLIN))
            .collect();
        poll(&mut receivers, PollTimeout::from(patience)).unwrap() > 0
    };
    while claims.len() < count {
        assert!(hears(socket, PATIENCE), "only these came: {claims:?}");
        socket.receive(&mut claims).unwrap();
    }
    assert!(!hears(socket, SILENCE), "more than {count} claims came");
    assert!(claims.iter().all(|claim| claim.mac == MAC), "{claims:?}");
    claims.iter().map(|claim| claim.address.to_string()).collect()
}

#[test]
fn claims_to_watched_addresses_are_heard_and_others_are_not() {
    isolated(|| {
        let mut far = cable(|| NeighborSocket::open("far", index("far")).unwrap());
        let near = NeighborSocket::open("near", index("near")).unwrap();
        let all = ["10.0.0.100", "10.0.0.101", "fd00::100", "fd00::101"];
        near.send(&mut claim(&all));
        assert!(claimed(&mut far, 0).is_empty(), "nothing is watched yet");
        far.watch(
            &[
                at("10.0.0.100"),
                at("10.0.0.102"),
                at("fd00::101"),
                at("fd00::103"),
            ]
            .into(),
        )
        .unwrap();
        let report = near.send(&mut claim(&all));
        assert_eq!((report.sent, report.failed.len()), (4, 0));
        assert_eq!(claimed(&mut far, 2), ["10.0.0.100", "fd00::101"]);
        far.watch(&BTreeSet::new()).unwrap();
        near.send(&mut claim(&all));
        assert!(claimed(&mut far, 0).is_empty(), "nothing is watched any more");
    });
}

#[test]
fn every_one_of_many_watched_addresses_is_heard() {
    isolated(|| {
        let mut far = cable(|| NeighborSocket::open("far", index("far")).unwrap());
        let near = NeighborSocket::open("near", index("near")).unwrap();
        for count in [1_u16, 2, 50, 51, 200] {
            let v4 = (0..count).map(|n| format!("10.0.1.{n}"));
            let v6 = (0..count).map(|n| format!("fd00::1:{n:x}"));
            let addresses: Vec<String> = v4.chain(v6).collect();
            far.watch(&addresses.iter().map(|address| at(address)).collect())
                .unwrap();
            near.send(&mut claim(
                &addresses.iter().map(String::as_str).collect::<Vec<_>>(),
            ));
            let mut heard = claimed(&mut far, addresses.len());
            heard.sort_unstable();
            let mut expected = addresses;
            expected.sort_unstable();
            assert_eq!(heard, expected);
        }
    });
}

#[test]
fn a_nodes_own_announcements_are_not_claims_to_itself() {
    isolated(|| {
        // Something has to keep the far end alive.
        let _far = cable(|| NeighborSocket::open("far", index("far")).unwrap());
        let mut near = NeighborSocket::open("near", index("near")).unwrap();
        near.watch(&[at("10.0.0.100"), at("fd00::100")].into()).unwrap();
        near.send(&mut claim(&["10.0.0.100", "fd00::100"]));
        assert!(claimed(&mut near, 0).is_empty());
    });
}
