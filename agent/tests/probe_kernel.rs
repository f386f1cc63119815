//! Probes of links and routes in a network namespace of their own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // Lints know test functions, not their helpers.

mod isolated;

use core::time::Duration;
use std::time::Instant;

use holdfast_agent::probe::check::{Check, Scene};
use holdfast_agent::probe::local::{Interface, Route};
use holdfast_api::model::probe as model;
use holdfast_health::{Outcome, Run};
use isolated::{ip, isolated};

/// How long the kernel may take.
const PATIENCE: Duration = Duration::from_secs(10);

fn scene() -> Scene {
    Scene {
        node: "cp-1".into(),
        group: "web".into(),
        probe: "check".into(),
        interface: None,
        state: "Active",
        priority: 200,
    }
}

/// Runs the check in this thread's namespace until it says `expected`: the kernel takes its time to see that a link has changed.
fn comes_to(check: &mut dyn Check, expected: &Run) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let run = async { tokio::time::timeout(PATIENCE, check.run(&scene())).await };
        let found = runtime.block_on(run).expect("it answers");
        if found == *expected {
            return;
        }
        assert!(Instant::now() < deadline, "{found:?}, not {expected:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn passes(check: &mut dyn Check) {
    comes_to(check, &Run::new(Outcome::Passed, ""));
}

fn fails(check: &mut dyn Check, message: &str) {
    comes_to(check, &Run::new(Outcome::Failed, message));
}

fn route(destination: &str, interface: Option<&str>, gateway: Option<&str>, table: u32) -> Route {
    Route::new(model::Route {
        destination: destination.parse().unwrap(),
        interface: interface.map(Into::into),
        gateway: gateway.map(|gateway| gateway.parse().unwrap()),
        table,
    })
}

#[test]
fn an_interface_passes_while_it_is_up_and_has_a_carrier() {
    isolated(|| {
        let mut uplink = Interface::new("up0".into());
        fails(&mut uplink, "up0 does not exist");
        ip("link add up0 type veth peer name far0");
        fails(&mut uplink, "up0 is down: `ip link set up0 up`");
        ip("link set up0 up");
        fails(&mut uplink, "up0 has no carrier");
        ip("link set far0 up");
        passes(&mut uplink);
        ip("link set far0 down");
        fails(&mut uplink, "up0 has no carrier");
        ip("link delete up0");
        fails(&mut uplink, "up0 does not exist");
        passes(&mut Interface::new("lo".into()));
    });
}

#[test]
fn a_route_passes_while_it_is_there_and_its_link_carries_it() {
    isolated(|| {
        for link in ["one", "two"] {
            ip(&format!("link add {link} type veth peer name {link}-far"));
            ip(&format!("link set {link} up"));
            ip(&format!("link set {link}-far up"));
        }
        ip("address add 192.0.2.11/24 dev one");
        ip("address add 198.51.100.11/24 dev two");
        ip("address add fd00:a::11/64 dev one nodad");
        let (mut default, main) = (route("0.0.0.0/0", None, None, 254), 254);
        fails(&mut default, "there is no route to 0.0.0.0/0");
        ip("route add default via 192.0.2.1");
        passes(&mut default);
        passes(&mut route("0.0.0.0/0", Some("one"), Some("192.0.2.1"), main));
        fails(
            &mut route("0.0.0.0/0", Some("two"), None, main),
            "there is no route to 0.0.0.0/0 dev two",
        );
        fails(
            &mut route("0.0.0.0/0", None, Some("192.0.2.2"), main),
            "there is no route to 0.0.0.0/0 via 192.0.2.2",
        );
        fails(
            &mut route("0.0.0.0/0", Some("three"), None, main),
            "three does not exist",
        );
        passes(&mut route("192.0.2.0/24", Some("one"), None, main));
        fails(&mut route("::/0", None, None, main), "there is no route to ::/0");
        ip("-6 route add default via fd00:a::1 dev one");
        passes(&mut route("::/0", Some("one"), Some("fd00:a::1"), main));

        ip("route add 10.0.0.0/8 nexthop via 192.0.2.1 nexthop via 198.51.100.1");
        for (interface, gateway) in [("one", "192.0.2.1"), ("two", "198.51.100.1")] {
            passes(&mut route("10.0.0.0/8", Some(interface), Some(gateway), main));
        }
        fails(
            &mut route("10.0.0.0/8", Some("one"), Some("198.51.100.1"), main),
            "there is no route to 10.0.0.0/8 via 198.51.100.1 dev one",
        );
        fails(
            &mut route("10.0.0.0/16", None, None, main),
            "there is no route to 10.0.0.0/16",
        );

        fails(
            &mut route("10.0.0.0/8", None, None, 4000),
            "there is no route to 10.0.0.0/8 in table 4000",
        );
        ip("route add 10.0.0.0/8 via inet6 fd00:a::1 dev one table 4000");
        passes(&mut route("10.0.0.0/8", Some("one"), Some("fd00:a::1"), 4000));
        ip("route add blackhole 172.16.0.0/12");
        fails(
            &mut route("172.16.0.0/12", None, None, main),
            "the route to 172.16.0.0/12 refuses all packets",
        );

        ip("link set one-far down");
        fails(
            &mut default,
            "the route to 0.0.0.0/0 leads through a link that is down",
        );
        passes(&mut route("10.0.0.0/8", None, None, main));
    });
}

#[test]
fn a_route_is_found_among_many() {
    isolated(|| {
        let batch: String = (0..200)
            .flat_map(|x| (0..100).map(move |y| format!("route add 10.{x}.{y}.0/24 dev lo\n")))
            .collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), batch).unwrap();
        ip(&format!("-batch {}", file.path().display()));
        passes(&mut route("10.199.99.0/24", Some("lo"), None, 254));
        fails(
            &mut route("10.200.0.0/24", None, None, 254),
            "there is no route to 10.200.0.0/24",
        );
    });
}
