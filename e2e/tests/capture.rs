//! A failover as others see it on the wire: recorded by dumpcap, judged by tshark.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

use std::{net::IpAddr, thread, time::Duration};

use holdfast_e2e::{
    Group, Pair, Result,
    capture::{Capture, Captured},
    pair::Scene,
};
use holdfast_lab::harness::{Case, Outcome, main as run};

const SECOND: Duration = Duration::from_secs(1);
/// Every VRRP packet.
const VRRP: &str = "vrrp";
/// Gratuitous ARP requests for the virtual address (RFC 5227 §3).
const GRATUITOUS_ARP: &str =
    "arp.opcode == 1 && arp.src.proto_ipv4 == 10.77.0.100 && arp.dst.proto_ipv4 == 10.77.0.100";
/// Unsolicited neighbor advertisements to all nodes for the virtual address, Override set (RFC 4861 §7.2.6).
const UNSOLICITED_NA: &str = "icmpv6.type == 136 && ipv6.dst == ff02::1 && icmpv6.nd.na.target_address == fd77::100 \
                              && icmpv6.nd.na.flag.o == 1 && icmpv6.nd.na.flag.s == 0";
/// How many announcements a burst has.
const BURST: usize = 5;

fn main() -> std::process::ExitCode {
    run(&[
        Case::new("tshark_finds_no_fault_with_a_v2_failover", || {
            let group = Group::new("web", 51)
                .version(2)
                .interval(SECOND)
                .address("10.77.0.100/24");
            judged(&group, "10.77.0.100", &Expected::V2)
        }),
        Case::new("tshark_finds_no_fault_with_a_v3_failover_over_ipv4", || {
            judged(
                &Group::new("web", 51).address("10.77.0.100/24"),
                "10.77.0.100",
                &Expected::V3,
            )
        }),
        Case::new("tshark_finds_no_fault_with_a_v3_failover_over_ipv6", || {
            let group = Group::new("web", 51)
                .address("fe80::100/64")
                .address("fd77::100/64");
            judged(&group, "fd77::100", &Expected::V3_IPV6)
        }),
    ])
}

/// What every advertisement of a failover has in common.
struct Expected {
    version: &'static str,
    destination: &'static str,
    multicast_mac: &'static str,
    /// The two senders' addresses.
    sources: [&'static str; 2],
    announcements: &'static str,
    three_intervals: Duration,
}

impl Expected {
    const V2: Self = Self {
        version: "2",
        three_intervals: Duration::from_secs(3),
        ..Self::V3
    };
    const V3: Self = Self {
        version: "3",
        destination: "224.0.0.18",
        multicast_mac: "01:00:5e:00:00:12",
        sources: ["10.77.0.1", "10.77.0.2"],
        announcements: GRATUITOUS_ARP,
        three_intervals: Duration::from_millis(300),
    };
    const V3_IPV6: Self = Self {
        version: "3",
        destination: "ff02::12",
        multicast_mac: "33:33:00:00:00:12",
        sources: ["fe80::ff:fe00:1", "fe80::ff:fe00:2"],
        announcements: UNSOLICITED_NA,
        three_intervals: Duration::from_millis(300),
    };
}

/// a serves, stops, and b takes over; the client records what it hears.
fn judged(group: &Group, vip: &str, expected: &Expected) -> Outcome {
    let vip: IpAddr = vip.parse().unwrap();
    let scene = Scene::new()?;
    let capture = Capture::start(&scene.client)?;
    let mut pair = Pair::of_holdfast(scene, &[vip], group)?;
    thread::sleep(expected.three_intervals);
    pair.measure("b", |pair| pair.stop_a().map(drop))?;
    thread::sleep(SECOND / 2);
    let captured = capture.stop()?;

    for what in [VRRP, "arp", "icmpv6"] {
        let complaints = captured.complaints(what)?;
        assert!(
            complaints.is_empty(),
            "tshark complains of {what}: {complaints:?}"
        );
    }
    advertisements(&captured, expected)?;
    for (mac, node) in [("02:00:00:00:00:01", "a"), ("02:00:00:00:00:02", "b")] {
        let filter = format!("{} && eth.src == {mac}", expected.announcements);
        let seen = captured.packets(&filter, &["frame.number"])?.len();
        assert_eq!(seen, BURST, "announcements of {node}");
    }
    Ok(())
}

fn advertisements(captured: &Captured, expected: &Expected) -> Result<()> {
    let version = if expected.destination.contains(':') {
        "ipv6"
    } else {
        "ip"
    };
    let ttl = if version == "ip" { "ip.ttl" } else { "ipv6.hlim" };
    let (source, destination) = (format!("{version}.src"), format!("{version}.dst"));
    let fields = [
        &source,
        &destination,
        ttl,
        "eth.dst",
        "vrrp.version",
        "vrrp.virt_rtr_id",
        "vrrp.prio",
        "vrrp.checksum.status",
    ];
    let packets = captured.packets(VRRP, &fields)?;
    let of = |source: &str| {
        packets
            .iter()
            .filter(|packet| packet[0] == source)
            .collect::<Vec<_>>()
    };
    for packet in &packets {
        let common = [
            expected.destination,
            "255",
            expected.multicast_mac,
            expected.version,
            "51",
        ];
        assert_eq!(packet[1..6], common, "{packet:?}");
        // 1 is what tshark calls good.
        assert_eq!(packet[7], "1", "the checksum of {packet:?}");
        assert!(expected.sources.contains(&packet[0].as_str()), "{packet:?}");
    }
    let (of_a, of_b) = (of(expected.sources[0]), of(expected.sources[1]));
    assert!(of_a.len() >= 3 && !of_b.is_empty(), "{packets:?}");
    // Everything but the last word has the priority; the last word is a resignation, and then nothing more.
    let priorities: Vec<&str> = of_a.iter().map(|packet| packet[6].as_str()).collect();
    let resignation = priorities
        .iter()
        .position(|priority| *priority == "0")
        .ok_or("a never resigned")?;
    assert!(
        priorities[..resignation]
            .iter()
            .all(|priority| *priority == "200"),
        "{priorities:?}"
    );
    assert!(
        priorities[resignation..].iter().all(|priority| *priority == "0"),
        "{priorities:?}"
    );
    assert!(of_b.iter().all(|packet| packet[6] == "100"), "{of_b:?}");
    Ok(())
}
