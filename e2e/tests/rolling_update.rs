//! Three nodes whose agents are replaced one after the other, as a DaemonSet does it: each handover without a hole, though a
//! new agent does not know yet whether its node's service runs.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

use std::{
    fs,
    net::IpAddr,
    thread,
    time::{Duration, Instant},
};

use holdfast_e2e::{
    Group, Result, look,
    pair::{self, PATIENCE, seamless, settle_on},
};
use holdfast_lab::{
    Agent, Lab, Meter, Node,
    harness::{Case, Outcome, main as run},
};

fn main() -> std::process::ExitCode {
    run(&[Case::new(
        "agents_replaced_one_after_the_other_lose_no_answer",
        replaced_one_after_the_other,
    )
    .alone()])
}

fn vip() -> IpAddr {
    "10.77.0.100".parse().unwrap()
}

fn start(node: &Node, priority: u8) -> Result<Agent> {
    let service = node.folder().join("service");
    fs::write(&service, "")?;
    let group = Group::new("web", 51)
        .address("10.77.0.100/24")
        .priority(priority)
        .spec(&format!(
            "probes:\n- name: service\n  file: {{path: {}}}\n  period: 200ms\n",
            service.display()
        ));
    let agent = pair::agent(node, &[group])?;
    // As a DaemonSet waits for a pod to be ready.
    look::wait_for_group(&agent, "web", "its service is known to run", PATIENCE, |group| {
        group["effectivePriority"] == priority
    })?;
    Ok(agent)
}

fn replaced_one_after_the_other() -> Outcome {
    let lab = Lab::new()?;
    let client = lab.client()?;
    let nodes =
        [("a", 200), ("b", 150), ("c", 100)].map(|(name, priority)| (lab.node(name).unwrap(), priority));
    let all: Vec<Node> = nodes.iter().map(|(node, _)| node.clone()).collect();
    let meter = Meter::start(&client, &all, &[vip()])?;
    let mut agents = Vec::new();
    for (node, priority) in &nodes {
        agents.push(start(node, *priority)?);
    }
    settle_on(&meter, &[vip()], "a")?;
    for (place, (node, priority)) in nodes.iter().enumerate() {
        let began = Instant::now();
        agents[place].process.stop(PATIENCE)?;
        agents[place] = start(node, *priority)?;
        settle_on(&meter, &[vip()], "a")?;
        thread::sleep(Duration::from_millis(200));
        let report = meter.report_since(vip(), began);
        println!(
            "{} replaced: {} holders in turn, the longest silence {:?} (the client's own address {:?})",
            node.name(),
            report.answered_by.len(),
            report.longest_silence,
            report.control_silence
        );
        assert_eq!(report.held_by_nobody, Duration::ZERO, "{report:#?}");
        seamless(&report);
        // Only the Active one's replacement moves anything: away and back.
        let holders = if place == 0 { 3 } else { 1 };
        assert_eq!(report.answered_by.len(), holders, "{report:#?}");
    }
    Ok(())
}
