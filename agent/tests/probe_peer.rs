//! Probes of a neighbor on a cable between two namespaces.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // Lints know test functions, not their helpers.

mod isolated;

use core::time::Duration;
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::process::{self, Command};
use std::time::Instant;

use holdfast_agent::probe::check::{Check, Scene};
use holdfast_agent::probe::local::{Echo, Neighbor};
use holdfast_health::{Outcome, Run};
use isolated::{beyond, ip, isolated};

/// How long an answer may take that is to come.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long is waited for one that is not to come.
const SILENCE: Duration = Duration::from_millis(300);

fn scene(interface: Option<&str>) -> Scene {
    Scene {
        node: "cp-1".into(),
        group: "web".into(),
        probe: "check".into(),
        interface: interface.map(Into::into),
        state: "Active",
        priority: 200,
    }
}

/// Runs in this thread's namespace.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// One run with this time limit; `None` if nothing is found within it.
async fn run(check: &mut dyn Check, limit: Duration) -> Option<Run> {
    tokio::time::timeout(limit, check.run(&scene(Some("near"))))
        .await
        .ok()
}

async fn passes(check: &mut dyn Check) {
    assert_eq!(run(check, PATIENCE).await, Some(Run::new(Outcome::Passed, "")));
}

async fn fails(check: &mut dyn Check, message: &str) {
    assert_eq!(
        run(check, PATIENCE).await,
        Some(Run::new(Outcome::Failed, message))
    );
}

async fn hears_nothing(check: &mut dyn Check) {
    assert_eq!(run(check, SILENCE).await, None);
}

fn neighbor(address: &str) -> Neighbor {
    Neighbor::new(address.parse().unwrap(), None)
}

fn echo(address: &str, interface: Option<&str>) -> Echo {
    Echo::new(address.parse().unwrap(), interface.map(Into::into))
}

/// A cable from `near` here to `far` in a namespace that lives as long as the answer.
fn cable() -> File {
    ip("link add near type veth peer name far");
    let there = beyond("far", || {
        set_up("far", "2");
        File::open("/proc/thread-self/ns/net").unwrap()
    });
    set_up("near", "1");
    let deadline = Instant::now() + PATIENCE;
    while !ip("link show dev near").contains("LOWER_UP") {
        assert!(Instant::now() < deadline);
    }
    there
}

fn set_up(link: &str, host: &str) {
    ip(&format!("link set {link} addrgenmode none"));
    ip(&format!("link set {link} up"));
    ip(&format!("address add 10.0.0.{host}/24 dev {link}"));
    ip(&format!("address add fe80::{host}/64 dev {link} nodad"));
    ip(&format!("address add fd00::{host}/64 dev {link} nodad"));
}

#[test]
fn a_neighbor_answers_for_its_own_addresses_and_nobody_for_others() {
    isolated(|| {
        let _there = cable();
        block_on(async {
            for address in ["10.0.0.2", "fd00::2", "fe80::2"] {
                let mut check = neighbor(address);
                passes(&mut check).await;
                passes(&mut check).await;
            }
            for address in ["10.0.0.3", "fd00::3", "fe80::3"] {
                let mut check = neighbor(address);
                hears_nothing(&mut check).await;
                hears_nothing(&mut check).await;
            }
            // What the kernel remembers of a neighbor is no answer.
            ip("neighbor add 10.0.0.4 lladdr 02:00:00:00:00:04 dev near nud permanent");
            hears_nothing(&mut neighbor("10.0.0.4")).await;
        });
    });
}

#[test]
fn a_node_without_an_address_can_ask_its_neighbors() {
    isolated(|| {
        let _there = cable();
        ip("address flush dev near");
        block_on(async {
            for address in ["10.0.0.2", "fd00::2"] {
                passes(&mut neighbor(address)).await;
            }
        });
    });
}

#[test]
fn a_virtual_address_never_asks() {
    isolated(|| {
        let there = cable();
        ip("address flush dev near");
        for address in ["10.0.0.100/24", "fd00::100/64"] {
            // As the agent binds them.
            ip(&format!("address add {address} dev near preferred_lft 0 nodad"));
        }
        block_on(async {
            for address in ["10.0.0.2", "fd00::2"] {
                passes(&mut neighbor(address)).await;
            }
        });
        let known = Command::new("nsenter")
            .arg(format!("--net=/proc/{}/fd/{}", process::id(), there.as_raw_fd()))
            .args(["ip", "neighbor", "show"])
            .output()
            .unwrap();
        let known = String::from_utf8(known.stdout).unwrap();
        assert!(
            !known.contains("::100") && !known.contains("10.0.0.100"),
            "{known}"
        );
    });
}

#[test]
fn a_neighbor_is_lost_with_the_cable_and_found_again() {
    isolated(|| {
        let there = cable();
        block_on(async {
            let mut check = neighbor("10.0.0.2");
            passes(&mut check).await;
            ip("link set near down");
            fails(&mut check, "near is down").await;
            ip("link delete near");
            fails(&mut check, "near does not exist").await;
            drop(there);
            let _there = cable();
            passes(&mut check).await;
        });
    });
}

#[test]
fn a_peer_is_not_asked_for_what_only_this_node_could_answer() {
    isolated(|| {
        let _there = cable();
        block_on(async {
            fails(
                &mut neighbor("10.0.0.1"),
                "10.0.0.1 is an address of this node itself",
            )
            .await;
            let mut nowhere = Neighbor::new("10.0.0.2".parse().unwrap(), None);
            let found = nowhere.run(&scene(None)).await;
            assert_eq!(found.outcome, Outcome::CouldNotRun, "{found:?}");
            let mut on_lo = Neighbor::new("10.0.0.2".parse().unwrap(), Some("lo".into()));
            let found = on_lo.run(&scene(None)).await;
            assert_eq!(found.outcome, Outcome::CouldNotRun, "{found:?}");
            assert!(found.message.contains("no hardware address"), "{found:?}");
        });
    });
}

#[test]
fn an_echo_comes_back_from_whoever_has_the_address() {
    isolated(|| {
        let _there = cable();
        block_on(async {
            for address in ["10.0.0.2", "fd00::2", "127.0.0.1", "::1"] {
                passes(&mut echo(address, None)).await;
            }
            for address in ["10.0.0.2", "fd00::2", "fe80::2"] {
                passes(&mut echo(address, Some("near"))).await;
            }
            // The group's interface tells which link is meant.
            passes(&mut echo("fe80::2", None)).await;
            let found = echo("fe80::2", None).run(&scene(None)).await;
            assert_eq!(found.outcome, Outcome::CouldNotRun, "{found:?}");
            hears_nothing(&mut echo("10.0.0.3", None)).await;
        });
    });
}

#[test]
fn an_echo_to_nowhere_fails_at_once() {
    isolated(|| {
        let _there = cable();
        block_on(async {
            for address in ["192.0.2.1", "2001:db8::1"] {
                let begin = Instant::now();
                let found = run(&mut echo(address, None), PATIENCE).await.unwrap();
                assert_eq!(found.outcome, Outcome::Failed, "{found:?}");
                assert!(found.message.contains("cannot be reached"), "{found:?}");
                assert!(begin.elapsed() < PATIENCE / 2);
            }
            fails(&mut echo("10.0.0.2", Some("gone")), "gone does not exist").await;
        });
    });
}

#[test]
fn many_who_ask_at_once_get_each_their_own_answer() {
    isolated(|| {
        let _there = cable();
        block_on(async {
            let scene = scene(Some("near"));
            let mut present: Vec<_> = (0..20).map(|_| echo("10.0.0.2", None)).collect();
            let mut absent = echo("10.0.0.3", None);
            let all = futures::future::join_all(present.iter_mut().map(|check| check.run(&scene)));
            let (found, nothing) = tokio::join!(
                tokio::time::timeout(PATIENCE, all),
                tokio::time::timeout(SILENCE, absent.run(&scene))
            );
            assert!(found.unwrap().iter().all(|run| run.outcome == Outcome::Passed));
            assert!(nothing.is_err(), "another's answer is none");
        });
    });
}
