//! Holdfast's probes beside keepalived's `track_script`, with the same weights, on either side: the same node serves as if both
//! were keepalived.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

use std::{fs, net::IpAddr, path::PathBuf, time::Duration};

use holdfast_e2e::{
    Group, Pair, Result, Router, look,
    pair::{PATIENCE, Scene, stays_on},
};
use holdfast_lab::{
    Node,
    harness::{Case, Outcome, main as run},
    keepalived::{TrackScript, VrrpInstance},
};

const PREFERRED: u8 = 150;
const OTHER: u8 = 100;
/// keepalived runs a script once a second at most.
const FALL: u8 = 2;

fn main() -> std::process::ExitCode {
    use Preferred::{Holdfast, Keepalived};
    run(&[
        Case::new("a_negative_weight_makes_holdfast_hand_over_to_keepalived", || {
            fails_and_recovers(Holdfast, -100)
        }),
        Case::new("a_negative_weight_makes_keepalived_hand_over_to_holdfast", || {
            fails_and_recovers(Keepalived, -100)
        }),
        Case::new("a_positive_weight_makes_holdfast_hand_over_to_keepalived", || {
            fails_and_recovers(Holdfast, 100)
        }),
        Case::new("a_positive_weight_makes_keepalived_hand_over_to_holdfast", || {
            fails_and_recovers(Keepalived, 100)
        }),
        Case::new("a_fault_of_holdfast_is_weight_zero_of_keepalived", || {
            fails_and_recovers(Holdfast, 0)
        }),
        Case::new("weight_zero_of_keepalived_is_a_fault_of_holdfast", || {
            fails_and_recovers(Keepalived, 0)
        }),
        Case::new("a_held_holdfast_goes_behind_every_healthy_keepalived", held),
        Case::new("a_weight_too_small_moves_nothing_on_either_side", || {
            too_small(Holdfast)?;
            too_small(Keepalived)
        }),
    ])
}

/// Which of the two has the higher priority and is on node a.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Preferred {
    Holdfast,
    Keepalived,
}

fn vip() -> IpAddr {
    "10.77.0.100".parse().unwrap()
}

fn service(node: &Node) -> PathBuf {
    node.folder().join("service")
}

fn up(node: &Node) {
    fs::write(service(node), "").unwrap();
}

fn down(node: &Node) {
    fs::remove_file(service(node)).unwrap();
}

/// The group with a probe that does on failure what `action` says.
fn group(node: &Node, action: &str) -> Group {
    Group::new("web", 51).address("10.77.0.100/24").spec(&format!(
        "probes:\n- name: service\n  file: {{path: {}}}\n  period: 1s\n  failureThreshold: {FALL}\n  \
         successThreshold: 1\n  onFailure: {action}\n",
        service(node).display()
    ))
}

fn holdfast(node: &Node, priority: u8, weight: i16) -> Result<Router> {
    let action = match weight {
        0 => "{type: Fault}".to_owned(),
        weight => format!("{{type: Weight, weight: {weight}}}"),
    };
    Router::holdfast(node, &[group(node, &action).priority(priority)])
}

fn keepalived(node: &Node, priority: u8, weight: i16) -> Result<Router> {
    let script = TrackScript {
        command: format!("/usr/bin/test -e {}", service(node).display()),
        fall: FALL,
        rise: 1,
        weight,
    };
    let instance = VrrpInstance::new(51)
        .address("10.77.0.100/32")
        .priority(priority)
        .track_script(script);
    Router::keepalived(node, &[instance])
}

/// Starts a router on a node, with a priority and a weight.
type Start = fn(&Node, u8, i16) -> Result<Router>;

/// The preferred one on a, the other on b, both services up.
fn beside(preferred: Preferred, weight: i16) -> Result<Pair> {
    let scene = Scene::new()?;
    up(&scene.a);
    up(&scene.b);
    let [on_a, on_b]: [Start; 2] = match preferred {
        Preferred::Holdfast => [holdfast, keepalived],
        Preferred::Keepalived => [keepalived, holdfast],
    };
    let pair = Pair::start(
        scene,
        &[vip()],
        |a| on_a(a, PREFERRED, weight),
        |b| on_b(b, OTHER, weight),
    )?;
    let ours = match preferred {
        Preferred::Holdfast => &pair.on_a,
        Preferred::Keepalived => &pair.on_b,
    };
    look::wait_for_group(ours.agent()?, "web", "it passes", PATIENCE, |group| {
        group["probes"][0]["verdict"] == "Passing"
    })?;
    pair.settle_on("a")?;
    Ok(pair)
}

fn fails_and_recovers(preferred: Preferred, weight: i16) -> Outcome {
    let pair = beside(preferred, weight)?;
    down(&pair.scene.a);
    pair.settle_on("b")?;
    up(&pair.scene.a);
    pair.settle_on("a")?;
    // The other one's service does not matter while it does not serve.
    down(&pair.scene.b);
    stays_on(&pair.meter, vip(), "a", Duration::from_secs(3))?;
    Ok(())
}

fn held() -> Outcome {
    let scene = Scene::new()?;
    up(&scene.a);
    let pair = Pair::start(
        scene,
        &[vip()],
        |a| Router::holdfast(a, &[group(a, "{type: Hold}").priority(200)]),
        |b| Router::keepalived(b, &[VrrpInstance::new(51).address("10.77.0.100/32").priority(20)]),
    )?;
    look::wait_for_group(pair.on_a.agent()?, "web", "it passes", PATIENCE, |group| {
        group["probes"][0]["verdict"] == "Passing"
    })?;
    pair.settle_on("a")?;
    down(&pair.scene.a);
    pair.settle_on("b")?;
    up(&pair.scene.a);
    pair.settle_on("a")?;
    Ok(())
}

fn too_small(preferred: Preferred) -> Outcome {
    let pair = beside(preferred, -10)?;
    down(&pair.scene.a);
    stays_on(&pair.meter, vip(), "a", Duration::from_secs(4))?;
    Ok(())
}
