//! The operator and its agents come by Helm, take over from the static Pods, and go again.

use std::{thread, time::Duration};

use holdfast_e2e::{Result, guide::Part};
use holdfast_lab::{kubeadm::MANIFESTS, wait_until};

use super::agents;
use crate::world::{PATIENCE, PLANE, SERVICE, VIP, WORKER, World};

const NAMESPACE: &str = "holdfast-system";
const GROUP: &str = "vipg/control-plane";
/// Where the static Pod's manifest is put when it is to go.
const ASIDE: &str = "/etc/kubernetes/holdfast.yaml";
/// Where the chart's agents keep what the cluster said.
const CACHE: &str = "/var/lib/holdfast";
/// Where an agent's socket is, and which groups it is Active for.
const RUN: &str = "/run/holdfast";

/// `helm install`, and the group of the static Pods becomes an object.
pub fn helm_install(world: &mut World) -> Result<()> {
    let chart = world.root.join("charts/holdfast").display().to_string();
    let arguments = [
        "install",
        "holdfast",
        &chart,
        "--namespace",
        NAMESPACE,
        "--create-namespace",
    ];
    world.helm(&[&arguments[..], &["--wait", "--timeout", "3m"]].concat())?;
    world.say("  operators and agents are ready");
    world.follow_the_guide(Part::Operator)?;
    group_is_ready(world)
}

/// The static Pods go one by one, the active node's last. Their work is done by the DaemonSet's agents, and nobody notices.
pub fn static_pods_removed(world: &mut World) -> Result<()> {
    let active = world.active()?;
    let others = PLANE.into_iter().filter(|name| *name != active);
    for name in others.chain([active.as_str()]) {
        let member = world.member(name);
        member
            .machine()
            .run("mv", &[&format!("{MANIFESTS}/holdfast.yaml"), ASIDE])?;
        wait_until(&format!("one agent is left on {name}"), PATIENCE, || {
            thread::sleep(Duration::from_millis(200));
            Ok(member.pids_of("holdfast-agent")?.len() == 1)
        })?;
    }
    thread::sleep(Duration::from_secs(5));
    world.expect_active(&active, "nothing moves when the static Pods go");
    agents::have_two_capabilities(world, &PLANE)?;
    group_is_ready(world)
}

/// A drain moves nothing by itself.
pub fn drained_and_ignored(world: &mut World) -> Result<()> {
    let active = world.active()?;
    drain(world, &active)?;
    world.expect_active(&active, "onCordon: Ignore moves nothing");
    world.kubectl(&["uncordon", &active]).map(drop)
}

/// `onCordon: Demote`: the address leaves before anything is evicted.
pub fn drained_and_demoted(world: &mut World) -> Result<()> {
    drained_and_moved(world, "Demote")
}

/// `onCordon: Release`: the same, and the node is out of the election.
pub fn drained_and_released(world: &mut World) -> Result<()> {
    drained_and_moved(world, "Release")
}

/// A drain moves the address, under a `policy` that says so.
pub(super) fn drained_and_moved(world: &mut World, policy: &str) -> Result<()> {
    let patch = format!(r#"{{"spec":{{"maintenance":{{"onCordon":"{policy}"}}}}}}"#);
    world.kubectl(&["patch", GROUP, "--type=merge", "-p", &patch])?;
    group_is_ready(world)?;
    let active = world.active()?;
    drain(world, &active)?;
    world.wait_for_another_than(&active, VIP, Duration::from_secs(20))?;
    world.kubectl(&["uncordon", &active])?;
    group_is_ready(world)
}

/// The DaemonSet's agents are replaced, node by node.
pub fn rolling_update(world: &mut World) -> Result<()> {
    world.kubectl(&["-n", NAMESPACE, "rollout", "restart", "daemonset/holdfast-agent"])?;
    rolled_out(world)
}

/// `helm upgrade` with a value that changes both programs, and `helm rollback`.
pub fn upgraded_and_rolled_back(world: &mut World) -> Result<()> {
    let chart = world.root.join("charts/holdfast").display().to_string();
    let upgrade = [
        "upgrade",
        "holdfast",
        &chart,
        "--namespace",
        NAMESPACE,
        "--set",
        "log.level=debug",
    ];
    world.helm(&upgrade)?;
    rolled_out(world)?;
    world.say("  upgraded");
    world.helm(&["rollback", "holdfast", "1", "--namespace", NAMESPACE])?;
    rolled_out(world)?;
    group_is_ready(world)
}

/// Where the address leads to this cluster's own API server, the group cannot go first: kubelets and schedulers would lose the way,
/// and with them the Job that helm waits for. So the static Pods come back, stand by, and take over when the others go.
pub fn uninstalled(world: &mut World) -> Result<()> {
    let active = world.active()?;
    for name in PLANE {
        let member = world.member(name);
        member
            .machine()
            .run("mv", &[ASIDE, &format!("{MANIFESTS}/holdfast.yaml")])?;
        wait_until(&format!("two agents are on {name}"), PATIENCE, || {
            thread::sleep(Duration::from_millis(200));
            Ok(member.pids_of("holdfast-agent")?.len() == 2)
        })?;
    }
    thread::sleep(Duration::from_secs(5));
    world.helm(&["uninstall", "holdfast", "--namespace", NAMESPACE, "--no-hooks"])?;
    for name in PLANE {
        let member = world.member(name);
        wait_until(&format!("one agent is left on {name}"), PATIENCE, || {
            thread::sleep(Duration::from_millis(200));
            Ok(member.pids_of("holdfast-agent")?.len() == 1)
        })?;
    }
    world.expect_active(&active, "nothing moves when the static Pods take over");
    // Nobody is left who would take the finalizer away.
    world.kubectl(&[
        "patch",
        GROUP,
        "--type=merge",
        "-p",
        r#"{"metadata":{"finalizers":null}}"#,
    ])?;
    for kind in ["virtualipgroups", "virtualipnodes"] {
        world.kubectl(&["delete", kind, "--all", "--timeout=60s"])?;
    }
    world.kubectl(&["delete", "namespace", NAMESPACE, "--timeout=120s"])?;
    let left = world.kubectl(&["get", "virtualipgroups,virtualipnodes", "-o", "name"])?;
    assert_eq!(left, "", "objects that are left");
    wait_until("no agent is left on the worker", PATIENCE, || {
        thread::sleep(Duration::from_millis(200));
        Ok(world.member(WORKER).pids_of("holdfast-agent")?.is_empty())
    })?;
    for name in PLANE.into_iter().chain([WORKER]) {
        nothing_is_left(world, name, name == active)?;
    }
    for folder in [CACHE, RUN] {
        assert_eq!(files(world, WORKER, folder)?, "", "{folder} of {WORKER}");
    }
    // Its agent left the group to the static Pod's, and would have come back to it.
    for name in PLANE {
        assert_ne!(files(world, name, CACHE)?, "", "what {name} was told");
        world.member(name).machine().run("rm", &["-rf", CACHE])?;
    }
    Ok(())
}

/// What is in a folder of the node, but for folders.
fn files(world: &mut World, name: &str, folder: &str) -> Result<String> {
    let machine = world.member(name).machine();
    Ok(machine.run("find", &[folder, "!", "-type", "d"])?)
}

/// Neither address, nor a route to one, nor a link or a table of Holdfast's is on the node, but for the control plane's address where
/// a static Pod holds it.
fn nothing_is_left(world: &mut World, name: &str, active: bool) -> Result<()> {
    let machine = world.member(name).machine();
    let traces = [
        VIP.to_string(),
        SERVICE.to_string(),
        "holdfast".into(),
        "vrrp".into(),
    ];
    for command in [
        &["ip", "-o", "address"][..],
        &["ip", "route", "show", "table", "all"],
        &["ip", "link", "show", "type", "macvlan"],
        &["nft", "list", "tables"],
    ] {
        let said = machine.run(command[0], &command[1..])?;
        let lines = said
            .lines()
            .filter(|line| traces.iter().any(|trace| line.contains(trace)));
        let left: Vec<&str> = lines
            .filter(|line| !(active && line.contains(&traces[0])))
            .collect();
        assert!(left.is_empty(), "{command:?} on {name}: {left:#?}");
    }
    assert_eq!(
        machine.node().holds(VIP)?,
        active,
        "whether {name} holds the address"
    );
    Ok(())
}

/// What is done before work on a node.
pub(super) fn drain(world: &World, node: &str) -> Result<()> {
    let flags = [
        "--ignore-daemonsets",
        "--delete-emptydir-data",
        "--force",
        "--timeout=120s",
    ];
    world.kubectl(&[&["drain", node], &flags[..]].concat()).map(drop)
}

/// Waits until all pods are those of the release.
pub(super) fn rolled_out(world: &World) -> Result<()> {
    for workload in ["daemonset/holdfast-agent", "deployment/holdfast-operator"] {
        world.kubectl(&["-n", NAMESPACE, "rollout", "status", workload, "--timeout=3m"])?;
    }
    Ok(())
}

/// Waits until the group's status is that of one active node, and that it is the one that holds the address.
pub(super) fn group_is_ready(world: &World) -> Result<()> {
    world.wait_until_ready(GROUP, VIP)
}
