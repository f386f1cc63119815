//! The node under the virtual addresses: its routes, its own addresses and the source of what it says stay its own.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    thread,
};

use holdfast_e2e::{
    Group, Pair, Result,
    formula::LIFETIME,
    look,
    pair::{self, PATIENCE, Scene, settle_on},
};
use holdfast_lab::{
    Node,
    harness::{Case, Outcome, main as run},
    wait_until,
};

fn main() -> std::process::ExitCode {
    run(&[
        Case::new("a_renewal_by_dhcp_leaves_the_routes_as_they_were", renewal),
        Case::new("the_virtual_address_is_never_a_source", never_a_source),
        Case::new("everything_that_holdfast_set_is_gone_after_a_stop", nothing_left),
    ])
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn vip() -> IpAddr {
    ip("10.77.0.100")
}

fn web() -> Group {
    Group::new("web", 51).address("10.77.0.100/24")
}

/// The node's own address goes and comes while a virtual one is there, and the DHCP client sets its routes again, as it
/// does. (With the virtual one bound as /24 the node loses its connected route here, which nobody sets again.)
fn renewal() -> Outcome {
    let scene = Scene::new()?;
    let meter = scene.meter(&[vip()])?;
    let agent = pair::agent(&scene.a, &[web()])?;
    settle_on(&meter, &[vip()], "a")?;
    let a = &scene.a;
    let set_routes = || -> Outcome {
        for destination in ["default", "192.0.2.0/24"] {
            a.ip(&["route", "replace", destination, "via", "10.77.0.250"])?;
        }
        Ok(())
    };
    set_routes()?;
    let routes = || Ok::<_, holdfast_lab::Error>((a.ip(&["-4", "route"])?, a.ip(&["-6", "route"])?));
    let before = routes()?;
    let became_active = || -> Result<u64> { Ok(look::counter(&look::group(&agent, "web")?, "becameActive")) };
    let times = became_active()?;
    a.renew_own_address()?;
    set_routes()?;
    assert_eq!(routes()?, before);
    // The moment without an address is no reason to give the virtual one up.
    assert_eq!(meter.holders(vip()).len(), 1);
    // Nor does anything go when the lifetimes of that moment run out.
    thread::sleep(LIFETIME);
    assert_eq!(routes()?, before);
    settle_on(&meter, &[vip()], "a")?;
    assert_eq!(became_active()?, times, "the address was given up in between");
    source_is_own(a)
}

/// What leaves the node towards the client, the world, or the virtual address leaves from the node's own address.
fn source_is_own(node: &Node) -> Outcome {
    for destination in ["10.77.0.250", "10.77.0.77", "10.77.0.100"] {
        let route = node.ip(&["route", "get", destination])?;
        assert!(route.contains(&format!("src {} ", node.ipv4())), "{route}");
    }
    Ok(())
}

fn never_a_source() -> Outcome {
    let group = web().address("fd77::100/64").elected_over_ipv4();
    let scene = Scene::new()?;
    let pair = Pair::of_holdfast(scene, &[vip(), ip("fd77::100")], &group)?;
    let a = &pair.scene.a;
    source_is_own(a)?;
    for destination in ["fd77::fa", "fd77::77"] {
        let route = a.ip(&["-6", "route", "get", destination])?;
        assert!(route.contains("src fd77::1 "), "{route}");
    }
    // And a socket that asks the kernel for nothing.
    for (destination, own) in [
        ("10.77.0.250:9", IpAddr::from(a.ipv4())),
        ("10.77.0.100:9", a.ipv4().into()),
        ("[fd77::fa]:9", a.ipv6().into()),
    ] {
        let source = a.netns().run(|| Ok(source_towards(destination)))?;
        assert_eq!(source, own, "towards {destination}");
    }
    Ok(())
}

/// The address from which the kernel lets a socket of this namespace speak to `destination`.
fn source_towards(destination: &str) -> IpAddr {
    let destination: SocketAddr = destination.parse().unwrap();
    let any: IpAddr = if destination.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind((any, 0)).unwrap();
    socket.connect(destination).unwrap();
    socket.local_addr().unwrap().ip()
}

fn nothing_left() -> Outcome {
    let scene = Scene::new()?;
    let settings = |node: &Node| -> Result<Vec<String>> {
        let asked: [&[&str]; 6] = [
            &["-o", "addr"],
            &["-4", "route", "show", "table", "all"],
            &["-6", "route", "show", "table", "all"],
            &["rule"],
            &["-6", "rule"],
            &["maddr"],
        ];
        asked.iter().map(|arguments| Ok(node.ip(arguments)?)).collect()
    };
    let before = settings(&scene.a)?;
    let meter = scene.meter(&[vip(), ip("fd77::100")])?;
    let mut agent = pair::agent(&scene.a, &[web().address("fd77::100/64").elected_over_ipv4()])?;
    settle_on(&meter, &[vip(), ip("fd77::100")], "a")?;
    assert_ne!(settings(&scene.a)?, before);
    agent.process.stop(PATIENCE)?;
    // The kernel leaves a multicast group a moment after the socket is closed.
    wait_until("nothing is left", PATIENCE, || {
        Ok(settings(&scene.a).is_ok_and(|after| after == before))
    })?;
    Ok(())
}
