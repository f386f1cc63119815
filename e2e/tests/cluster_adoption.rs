//! A control plane's address from before there was a cluster: served by agents of files, then by agents of the cluster, and at
//! the end by whichever of them is left, without a packet lost on the way.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

use std::{
    thread,
    time::{Duration, Instant},
};

use holdfast_api::v1alpha1::MemberState;
use holdfast_e2e::{
    Group, Result,
    cluster::{Cluster, LABEL, SETTLED, VIP, conditions},
    formula::LIFETIME,
    look,
    pair::{PATIENCE, settle_on, unnoticed},
};
use holdfast_lab::{
    Agent, AgentOptions, Meter, Node,
    harness::{Case, Outcome, main as run},
    kubernetes::{ControlPlaneOptions, OperatorOptions},
    wait_until,
};
use serde_json::{Value, json};

fn main() -> std::process::ExitCode {
    let long = Duration::from_mins(3);
    run(&[
        Case::new(
            "a_static_pods_group_is_adopted_by_the_cluster_and_given_back",
            adopted,
        )
        .timeout(long)
        .alone(),
        Case::new(
            "a_group_of_another_identifier_is_not_adopted_and_the_agent_says_so",
            differs,
        )
        .timeout(long),
    ])
}

const GROUP: &str = "control-plane";
const NODES: [(&str, u8); 2] = [("a", 200), ("b", 100)];

/// The group as the API has it: the priorities and the interval of the files, and more.
fn in_the_cluster(virtual_router_id: u8) -> Value {
    json!({
        "apiVersion": "vip.holdfast.dev/v1alpha1",
        "kind": "VirtualIPGroup",
        "metadata": {"name": GROUP},
        "spec": {
            "addresses": [{"address": "10.77.0.100/24"}],
            "interface": "eth0",
            "virtualRouterID": virtual_router_id,
            "nodeSelector": {"matchLabels": {LABEL.0: LABEL.1}},
            "nodeOverrides": [{"nodes": ["a"], "priority": 200}],
            "advertisement": {"interval": "100ms"},
            "probes": [{"name": "kernel", "file": {"path": "/proc/version"}}],
        },
    })
}

/// A cluster without agents of its own, and the agents of files on its nodes.
struct Stage {
    meter: Meter,
    of_files: Vec<Agent>,
    cluster: Cluster,
}

impl Stage {
    fn new() -> Result<Self> {
        let names = NODES.map(|(name, _)| name);
        let mut cluster = Cluster::without_programs(&names, &ControlPlaneOptions::default())?;
        let meter = cluster.meter(&[VIP])?;
        let members: Vec<_> = cluster
            .nodes
            .iter()
            .map(|node| (node.name(), node.ipv4().into()))
            .collect();
        let of_files = cluster.nodes.iter().zip(NODES).map(|(node, (_, priority))| {
            let others: Vec<_> = members
                .iter()
                .filter(|(name, _)| *name != node.name())
                .copied()
                .collect();
            let group = Group::new(GROUP, 100)
                .address("10.77.0.100/24")
                .priority(priority)
                .unicast(&others);
            of_a_file(node, &group)
        });
        let of_files = of_files.collect::<Result<Vec<_>>>()?;
        settle_on(&meter, &[VIP], "a")?;
        cluster.start_operator(&OperatorOptions::default())?;
        Ok(Self {
            meter,
            of_files,
            cluster,
        })
    }

    /// An agent as a DaemonSet starts it.
    fn start_daemon(&self, name: &str) -> Result<Agent> {
        let kubeconfig = self.cluster.plane.agent_kubeconfig(name)?;
        let options = AgentOptions {
            arguments: vec!["--take-over".to_owned()],
            ..AgentOptions::default()
        };
        Ok(Agent::start_in_cluster(
            self.cluster.node(name)?,
            &kubeconfig,
            None,
            &options,
        )?)
    }

    fn nobody_noticed_since(&self, start: Instant) {
        thread::sleep(LIFETIME.saturating_sub(start.elapsed()));
        unnoticed(&self.meter, VIP, start);
    }
}

fn of_a_file(node: &Node, group: &Group) -> Result<Agent> {
    let options = AgentOptions {
        file: Some("static.yaml".to_owned()),
        ..AgentOptions::default()
    };
    let mut agent = Agent::start(node, &group.yaml(), &options)?;
    agent.wait_until_answering(PATIENCE)?;
    Ok(agent)
}

fn adopted() -> Outcome {
    let mut stage = Stage::new()?;
    let start = Instant::now();
    // Before the cluster knows of the group, they wait and say for what.
    let mut daemons = NODES.map(|(name, _)| stage.start_daemon(name).unwrap());
    for daemon in &daemons {
        look::wait_for_log(
            daemon,
            "apply a VirtualIPGroup named control-plane with virtualRouterID: 100, interface: eth0",
            SETTLED,
        )?;
    }
    stage.cluster.apply(&in_the_cluster(100))?;
    for daemon in &daemons {
        look::wait_for_log(daemon, "gave way to this one; taking over", SETTLED)?;
    }
    stage.cluster.console.wait_until_ready(GROUP, "a", SETTLED)?;
    let what = "both have said what they are";
    stage
        .cluster
        .console
        .wait_for_group(GROUP, what, SETTLED, |group| {
            conditions::members(group) == [("a", MemberState::Active), ("b", MemberState::Backup)]
        })?;
    stage.nobody_noticed_since(start);

    // What stands by has the group in a file, and the cluster knows.
    stage
        .cluster
        .console
        .wait_for_node("a", "the group is in a file too", SETTLED, |node| {
            let status = node.status.as_ref();
            status.is_some_and(|status| {
                status
                    .groups
                    .iter()
                    .any(|group| group.name == GROUP && group.in_file)
            })
        })?;

    // One static pod is removed for good, and the other node's DaemonSet pod: both go on with what they have left.
    let start = Instant::now();
    assert!(stage.of_files[0].process.stop(PATIENCE)?.success());
    assert!(daemons[1].process.stop(PATIENCE)?.success());
    look::wait_for_log(
        &stage.of_files[1],
        "handed over to this one; taking over",
        SETTLED,
    )?;
    stage.nobody_noticed_since(start);

    // b is still one that takes over, and with a's agent of the cluster gone nothing is left on a.
    let [on_a, _] = &mut daemons;
    assert!(on_a.process.stop(PATIENCE)?.success());
    settle_on(&stage.meter, &[VIP], "b")
}

/// Without an identifier in the group, the operator chooses another one than the files have.
fn differs() -> Outcome {
    let stage = Stage::new()?;
    let start = Instant::now();
    let daemon = stage.start_daemon("a")?;
    stage.cluster.apply(&in_the_cluster(17))?;
    look::wait_for_log(
        &daemon,
        "virtualRouterID is 17 here and 100 in the agent that runs",
        SETTLED,
    )?;
    wait_until("the agent that runs knows who waits", PATIENCE, || {
        Ok(daemon.status()?["standbys"][0]["takeOver"] == true)
    })?;
    stage.nobody_noticed_since(start);
    // Said right, it is adopted, and the node that has no agent of the cluster is no obstacle.
    let start = Instant::now();
    stage.cluster.apply(&in_the_cluster(100))?;
    look::wait_for_log(&daemon, "gave way to this one; taking over", SETTLED)?;
    look::wait_for_state(&daemon, GROUP, "Active", PATIENCE)?;
    stage.nobody_noticed_since(start);
    Ok(())
}
