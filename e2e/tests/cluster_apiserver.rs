//! A control plane's address in front of two real API servers: killed, hung, unready, closed to strangers, without etcd. The
//! preset knows the one from the other.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use holdfast_e2e::{
    Group, Result, look,
    pair::{self, PATIENCE, settle_on, stays_on},
};
use holdfast_lab::{
    Agent, Lab, Meter, Node,
    harness::{Case, Outcome, main as run},
    kubernetes::{ControlPlane, ControlPlaneOptions},
};

const SECOND: Duration = Duration::from_secs(1);

fn main() -> std::process::ExitCode {
    let long = Duration::from_mins(3);
    run(&[
        Case::new(
            "the_address_leaves_an_api_server_that_dies_or_hangs",
            dies_or_hangs,
        )
        .timeout(long),
        Case::new("an_api_server_that_answers_nobody_unknown_is_alive", anonymous).timeout(long),
        Case::new(
            "an_etcd_that_is_lost_moves_nothing_and_a_lost_api_server_everywhere_neither",
            lost_everywhere,
        )
        .timeout(long),
        Case::new(
            "where_each_api_server_has_its_own_etcd_the_address_leaves_one_that_has_lost_it",
            own_etcd,
        )
        .timeout(long),
    ])
}

fn vip() -> IpAddr {
    "10.77.0.100".parse().unwrap()
}

/// Two control-plane nodes, an agent on each, and whoever asks. Each is a cluster of its own, which the preset cannot tell.
struct Scene {
    on_a: Agent,
    on_b: Agent,
    meter: Meter,
    plane_a: ControlPlane,
    plane_b: ControlPlane,
    _lab: Lab,
}

/// With API servers that have these arguments more, asked about etcd or not.
fn scene(arguments: &[&str], etcd: &str) -> Result<Scene> {
    let lab = Lab::new()?;
    let (client, a, b) = (lab.client()?, lab.node("a")?, lab.node("b")?);
    let options = ControlPlaneOptions {
        arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
        // kubeadm's certificate names neither localhost nor 127.0.0.1.
        without_loopback: true,
        ..ControlPlaneOptions::default()
    };
    let plane_a = ControlPlane::start_on(a.clone(), &options)?;
    let plane_b = ControlPlane::start_on(b.clone(), &options)?;
    let group = |plane: &ControlPlane| {
        Group::new("control-plane", 51)
            .address("10.77.0.100/24")
            .spec(&format!(
                "flapDamping: {{changes: 0}}\nprobes:\n- name: apiserver\n  preset: KubeAPIServer\n  presetOptions: {{etcd: {etcd}, tls: {{caFile: {}}}}}\n  \
                 period: 200ms\n  timeout: 500ms\n",
                plane.authority().display()
            ))
    };
    let meter = Meter::start(&client, &[a.clone(), b.clone()], &[vip()])?;
    let start = |node: &Node, plane: &ControlPlane, priority| {
        let agent = pair::agent(node, &[group(plane).priority(priority)])?;
        wait_for_verdict(&agent, "Passing")?;
        Ok::<_, Box<dyn std::error::Error>>(agent)
    };
    let (on_a, on_b) = (start(&a, &plane_a, 200)?, start(&b, &plane_b, 100)?);
    settle_on(&meter, &[vip()], "a")?;
    Ok(Scene {
        on_a,
        on_b,
        meter,
        plane_a,
        plane_b,
        _lab: lab,
    })
}

fn wait_for_verdict(agent: &Agent, verdict: &str) -> Result<String> {
    let what = format!("the API server is {verdict}");
    let group = look::wait_for_group(agent, "control-plane", &what, PATIENCE, |group| {
        group["probes"][0]["verdict"] == verdict
    })?;
    Ok(group["probes"][0]["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

fn dies_or_hangs() -> Outcome {
    let mut scene = scene(&[], "Exclude")?;
    let start = Instant::now();
    scene.plane_a.kill_api_server()?;
    settle_on(&scene.meter, &[vip()], "b")?;
    // What it was doing when it was killed differs.
    let message = wait_for_verdict(&scene.on_a, "Failing")?;
    let words = ["refused", "closed", "reset"];
    assert!(words.iter().any(|word| message.contains(word)), "{message}");
    scene.plane_a.start_api_server()?;
    settle_on(&scene.meter, &[vip()], "a")?;
    scene.plane_a.api_server()?.freeze()?;
    settle_on(&scene.meter, &[vip()], "b")?;
    scene.plane_a.api_server()?.thaw()?;
    settle_on(&scene.meter, &[vip()], "a")?;
    let report = scene.meter.report_since(vip(), start);
    assert_eq!(report.held_by_nobody, Duration::ZERO, "{report:#?}");
    Ok(())
}

fn anonymous() -> Outcome {
    let scene = scene(&["--anonymous-auth=false"], "Exclude")?;
    stays_on(&scene.meter, vip(), "a", SECOND)?;
    let group = look::group(&scene.on_a, "control-plane")?;
    assert_eq!(group["effectivePriority"], 200, "{group:#}");
    Ok(())
}

/// What all API servers see at the same time is no reason to leave one for the other; and an address that nobody holds helps
/// nobody.
fn lost_everywhere() -> Outcome {
    let mut scene = scene(&[], "Exclude")?;
    let start = Instant::now();
    for plane in [&scene.plane_a, &scene.plane_b] {
        plane.freeze_etcd()?;
    }
    stays_on(&scene.meter, vip(), "a", 4 * SECOND)?;
    let group = look::group(&scene.on_a, "control-plane")?;
    assert_eq!(group["probes"][0]["verdict"], "Passing", "{group:#}");
    for plane in [&scene.plane_a, &scene.plane_b] {
        plane.thaw_etcd()?;
    }
    scene.plane_b.kill_api_server()?;
    scene.plane_a.kill_api_server()?;
    wait_for_verdict(&scene.on_a, "Failing")?;
    wait_for_verdict(&scene.on_b, "Failing")?;
    settle_on(&scene.meter, &[vip()], "a")?;
    // The first that is back serves.
    scene.plane_b.start_api_server()?;
    settle_on(&scene.meter, &[vip()], "b")?;
    let report = scene.meter.report_since(vip(), start);
    assert_eq!(report.held_by_nobody, Duration::ZERO, "{report:#?}");
    Ok(())
}

/// Nobody is to be without an address because all have lost their etcd.
fn own_etcd() -> Outcome {
    let scene = scene(&[], "Include")?;
    let start = Instant::now();
    scene.plane_a.freeze_etcd()?;
    settle_on(&scene.meter, &[vip()], "b")?;
    scene.plane_b.freeze_etcd()?;
    wait_for_verdict(&scene.on_b, "Failing")?;
    settle_on(&scene.meter, &[vip()], "a")?;
    stays_on(&scene.meter, vip(), "a", 4 * SECOND)?;
    // The first that has its etcd again serves.
    scene.plane_b.thaw_etcd()?;
    settle_on(&scene.meter, &[vip()], "b")?;
    let report = scene.meter.report_since(vip(), start);
    assert_eq!(report.held_by_nobody, Duration::ZERO, "{report:#?}");
    Ok(())
}
