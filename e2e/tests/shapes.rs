//! Groups of every shape between two agents: IPv6 alone, both families, many at once, other multicast groups, peers
//! behind a router, an address owner, other interfaces and labels.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use holdfast_e2e::{
    Group, Pair, Result, Router,
    formula::{CACHED, LIFETIME, MARGIN_ALONE, Timing},
    look,
    pair::{self, PATIENCE, Scene, settle_on, stays_on},
};
use holdfast_lab::{
    Node, Segment,
    harness::{Case, Outcome, main as run},
};

const SECOND: Duration = Duration::from_secs(1);
/// 100 groups of 3 addresses each: how many of either.
const MANY: u8 = 100;

fn main() -> std::process::ExitCode {
    run(&[
        Case::new("nodes_without_ipv4_fail_over_an_ipv6_group", ipv6_only),
        Case::new("an_address_of_the_other_family_rides_along", dual_stack),
        Case::new(
            "an_address_on_another_interface_moves_with_the_election",
            second_interface,
        ),
        Case::new("a_label_is_on_the_address", label),
        Case::new(
            "another_multicast_group_is_joined_instead_of_the_usual_one",
            custom_group,
        ),
        Case::new("an_owner_keeps_its_own_address_when_its_agent_stops", owner),
        Case::new(
            "a_peer_behind_a_router_is_believed_when_its_ttl_is_allowed",
            min_ttl,
        ),
        Case::new("a_stranger_is_not_believed_over_unicast", stranger),
        Case::new("two_groups_mirror_each_other_and_one_node_serves_both", mirrored),
        Case::new("a_hundred_groups_fail_over_together_within_the_formula", many).alone(),
    ])
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn web() -> Group {
    Group::new("web", 51).address("10.77.0.100/24")
}

fn lose_a(pair: &mut Pair) -> Result<()> {
    pair.measure("b", |pair| Ok(pair.scene.a.unplug()?)).map(drop)
}

fn ipv6_only() -> Outcome {
    let scene = Scene::new()?;
    for node in [&scene.a, &scene.b] {
        node.delete_address(node.ipv4().into())?;
    }
    let group = Group::new("web", 51)
        .address("fe80::100/64")
        .address("fd77::100/64");
    let mut pair = Pair::of_holdfast(scene, &[ip("fd77::100")], &group)?;
    let group = look::wait_for_peer(pair.on_b.agent()?, "web", PATIENCE)?;
    assert_eq!(group["activePeer"], "fe80::ff:fe00:1", "{group:#}");
    pair.meter.wait_for_holders(ip("fe80::100"), &["a"], PATIENCE)?;
    lose_a(&mut pair)?;
    pair.meter.wait_for_holders(ip("fe80::100"), &["b"], PATIENCE)?;
    Ok(())
}

fn dual_stack() -> Outcome {
    let group = web().address("fd77::100/64").elected_over_ipv4();
    let mut pair = Pair::of_holdfast(Scene::new()?, &[ip("10.77.0.100"), ip("fd77::100")], &group)?;
    assert_eq!(look::group(pair.on_a.agent()?, "web")?["family"], "IPv4");
    lose_a(&mut pair)?;
    pair.measure("a", |pair| pair::plug_again(&pair.scene.a))
        .map(drop)
}

fn second_interface() -> Outcome {
    let scene = Scene::new()?;
    let segment = Segment(1);
    scene.lab.add_segment(segment)?;
    for node in [&scene.client, &scene.a, &scene.b] {
        node.add_interface("eth1", segment)?;
    }
    let group = web().address_on("10.78.0.100/24", "eth1");
    let mut pair = Pair::of_holdfast(scene, &[ip("10.77.0.100"), ip("10.78.0.100")], &group)?;
    // Lost on the election's interface, both addresses go.
    lose_a(&mut pair)
}

fn label() -> Outcome {
    let scene = Scene::new()?;
    let agent = pair::agent(
        &scene.a,
        &[Group::new("web", 51).labelled_address("10.77.0.100/24", "eth0:web")],
    )?;
    look::wait_for_state(&agent, "web", "Active", PATIENCE)?;
    holdfast_lab::wait_until("the label is there", PATIENCE, || {
        Ok(scene
            .a
            .ip(&["addr", "show", "label", "eth0:web"])?
            .contains("10.77.0.100/32"))
    })?;
    Ok(())
}

fn custom_group() -> Outcome {
    let group = web().multicast_group(ip("224.0.0.77"));
    let mut pair = Pair::of_holdfast(Scene::new()?, &[ip("10.77.0.100")], &group)?;
    let joined = pair.scene.b.ip(&["maddr", "show", "dev", "eth0"])?;
    assert!(
        joined.contains("224.0.0.77") && !joined.contains("224.0.0.18"),
        "{joined}"
    );
    stays_on(&pair.meter, ip("10.77.0.100"), "a", SECOND)?;
    lose_a(&mut pair)
}

/// a has the virtual address as one of its own; whatever its agent does, it keeps it.
///
/// It takes part from another address. An owner that advertises from the virtual address itself would not be heard by a
/// Backup that holds it: Linux drops packets from an address that the receiver has.
fn owner() -> Outcome {
    let scene = Scene::new()?;
    let own = ip("10.77.0.100");
    scene.a.add_address(own, 24)?;
    let settings = |node: &Node| -> Result<(String, String)> {
        Ok((
            node.ip(&["-o", "addr", "show", "to", "10.77.0.100"])?,
            node.ip(&["route", "show", "table", "all"])?,
        ))
    };
    let before = settings(&scene.a)?;
    let meter = scene.meter(&[own])?;
    let on_b = pair::agent(&scene.b, &[web()])?;
    look::wait_for_state(&on_b, "web", "Active", PATIENCE)?;

    let mut on_a = pair::agent(&scene.a, &[web().priority(255)])?;
    let status = look::wait_for_state(&on_a, "web", "Active", PATIENCE)?;
    assert_eq!(status["lastTransition"]["reason"], "AddressOwner", "{status:#}");
    let active = Instant::now();
    settle_on(&meter, &[own], "a")?;
    let found = meter.time_until_answer_from(own, active, "a");
    assert!(
        found.is_some_and(|found| found < CACHED),
        "clients found a after {found:?}"
    );
    stays_on(&meter, own, "a", SECOND)?;
    assert_eq!(settings(&scene.a)?, before);

    on_a.process.stop(PATIENCE)?;
    meter.wait_for_holders(own, &["a", "b"], PATIENCE)?;
    // Longer than any lifetime that the address might have been given.
    std::thread::sleep(LIFETIME);
    assert_eq!(settings(&scene.a)?, before);
    Ok(())
}

/// What b sends arrives as if it had crossed routers.
fn min_ttl() -> Outcome {
    let scene = Scene::new()?;
    let vip = ip("10.77.0.100");
    let meter = scene.meter(&[vip])?;
    let members = [("a", scene.a.ipv4().into()), ("b", scene.b.ipv4().into())];
    let shorten = "table ip far { chain out { type filter hook output priority mangle; ip protocol 112 ip ttl set 100; }; }";
    scene
        .b
        .netns()
        .run(|| holdfast_lab::command::run_with_input("nft", &["-f", "-"], shorten))?;
    let _b = pair::agent(&scene.b, &[web().priority(200).unicast(&members)])?;
    settle_on(&meter, &[vip], "b")?;
    let on_a = pair::agent(&scene.a, &[web().unicast(&members)])?;
    let group = look::wait_for_state(&on_a, "web", "Active", PATIENCE)?;
    assert!(group["drops"]["ttl"].as_u64() > Some(0), "{group:#}");
    on_a.write_configuration(&web().unicast_from_afar(&members, 100).yaml())?;
    look::wait_for_state(&on_a, "web", "Backup", PATIENCE)?;
    settle_on(&meter, &[vip], "b")
}

/// c speaks to a, which does not list it.
fn stranger() -> Outcome {
    let scene = Scene::new()?;
    let vip = ip("10.77.0.100");
    let c = scene.lab.node("c")?;
    let meter = scene.meter(&[vip])?;
    let (a, b) = (("a", scene.a.ipv4().into()), ("b", scene.b.ipv4().into()));
    let on_a = pair::agent(&scene.a, &[web().unicast(&[a, b])])?;
    settle_on(&meter, &[vip], "a")?;
    let _c = pair::agent(&c, &[web().priority(200).unicast(&[a, ("c", c.ipv4().into())])])?;
    let notice = look::wait_for_notice(&on_a, "web", "unknown_peer", PATIENCE)?;
    assert_eq!(notice["peer"], "10.77.0.3", "{notice:#}");
    assert_eq!(look::group(&on_a, "web")?["state"], "Active");
    Ok(())
}

/// The classic pair: each node serves its own address, and both when it is alone.
fn mirrored() -> Outcome {
    let scene = Scene::new()?;
    let (first, second) = (ip("10.77.0.101"), ip("10.77.0.102"));
    let meter = scene.meter(&[first, second])?;
    let groups = |first: u8, second: u8| {
        [
            Group::new("web-a", 61).address("10.77.0.101/24").priority(first),
            Group::new("web-b", 62).address("10.77.0.102/24").priority(second),
        ]
    };
    let mut on_a = Router::holdfast(&scene.a, &groups(200, 100))?;
    let _b = Router::holdfast(&scene.b, &groups(100, 200))?;
    settle_on(&meter, &[first], "a")?;
    settle_on(&meter, &[second], "b")?;
    on_a.process().stop(PATIENCE)?;
    settle_on(&meter, &[first, second], "b")
}

fn many() -> Outcome {
    let scene = Scene::new()?;
    scene
        .client
        .ip(&["route", "add", "10.77.0.0/16", "dev", "eth0"])?;
    let group = |number: u8| {
        (1..=3).fold(Group::new(&format!("web-{number}"), number), |group, network| {
            group.address(&format!("10.77.{network}.{number}/16"))
        })
    };
    let groups = |priority: u8| {
        (1..=MANY)
            .map(|number| group(number).priority(priority))
            .collect::<Vec<_>>()
    };
    let asked: Vec<IpAddr> = [1, MANY / 2, MANY]
        .map(|number| IpAddr::from([10, 77, 1, number]))
        .into();
    let all: Vec<IpAddr> = (1..=3)
        .flat_map(|network| (1..=MANY).map(move |number| IpAddr::from([10, 77, network, number])))
        .collect();
    let mut pair = Pair::start(
        scene,
        &asked,
        |a| Router::holdfast(a, &groups(200)),
        |b| Router::holdfast(b, &groups(100)),
    )?;
    let everything_on = |pair: &Pair, node: &str| -> Result<()> {
        for vip in &all {
            pair.meter.wait_for_holders(*vip, &[node], PATIENCE)?;
        }
        Ok(())
    };
    everything_on(&pair, "a")?;
    for report in pair.measure("b", |pair| Ok(pair.scene.a.unplug()?))? {
        // 300 addresses are bound and announced, which takes a while.
        let promised = Timing::v3(100).outage(100, 3 * MARGIN_ALONE, report.noise());
        assert!(
            promised.contains(&report.longest_silence),
            "{promised:?}, but {report:#?}"
        );
    }
    everything_on(&pair, "b")
}
