//! Two agents on a node, the first started from a file as a static pod's is, the second to take over from it as a DaemonSet's
//! is: the groups change hands at every order of events, and nobody on the network notices.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

use std::{
    net::IpAddr,
    thread,
    time::{Duration, Instant},
};

use holdfast_e2e::{
    Group, Result, file_of,
    formula::LIFETIME,
    look,
    pair::{self, PATIENCE, Scene, settle_on, stays_on, unnoticed},
};
use holdfast_lab::{
    Agent, AgentOptions, Meter, Node,
    harness::{Case, Outcome, main as run},
    wait_until,
};
use serde_json::Value;

const SECOND: Duration = Duration::from_secs(1);

fn main() -> std::process::ExitCode {
    run(&[
        Case::new("groups_are_adopted_and_given_back_unnoticed", adopted).alone(),
        Case::new("adoption_on_both_nodes_moves_nothing", adopted_everywhere).alone(),
        Case::new("whoever_of_the_two_is_killed_the_other_goes_on", killed).alone(),
        Case::new("an_agent_that_does_not_have_a_group_says_which_and_waits", waits),
        Case::new("the_first_of_two_that_take_over_keeps", no_ping_pong),
        Case::new(
            "a_rolling_update_beside_a_static_pod_moves_nothing",
            rolling_update,
        )
        .alone(),
        Case::new(
            "groups_that_the_heir_does_not_have_go_to_other_nodes_first",
            bequeathed,
        ),
        Case::new("killed_at_any_moment_of_a_handover", killed_at_any_moment).alone(),
    ])
}

fn vip() -> IpAddr {
    "10.77.0.100".parse().unwrap()
}

fn group(priority: u8) -> Group {
    Group::new("control-plane", 100)
        .address("10.77.0.100/24")
        .priority(priority)
}

/// The same virtual router under other conditions: what a cluster may say of a group that a file has too.
fn in_the_cluster(priority: u8) -> Group {
    group(priority)
        .never_preempt()
        .spec("probes:\n- name: always\n  exec: {command: [/bin/true]}\n  period: 200ms\n")
}

/// A static pod's agent: with a file of its own.
fn of_a_file(node: &Node, groups: &[Group]) -> Result<Agent> {
    start(node, "static", groups, &[])
}

/// A DaemonSet's agent, of which a file tells what the cluster would.
fn of_the_cluster(node: &Node, groups: &[Group]) -> Result<Agent> {
    start(node, "cluster", groups, &["--take-over"])
}

fn start(node: &Node, name: &str, groups: &[Group], more: &[&str]) -> Result<Agent> {
    let options = AgentOptions {
        arguments: more.iter().map(|flag| (*flag).to_owned()).collect(),
        file: Some(format!("{name}.yaml")),
        ..AgentOptions::default()
    };
    Ok(Agent::start(node, &file_of(groups), &options)?)
}

/// Waits until an agent has said this so many times.
fn says(agent: &Agent, text: &str, times: usize) -> Result<()> {
    wait_until(
        &format!("{} agent says {text:?}", agent.node().name()),
        PATIENCE,
        || Ok(agent.process.log()?.matches(text).count() >= times),
    )?;
    Ok(())
}

const GIVES_WAY: &str = "giving way";
const ADOPTS: &str = "gave way to this one; taking over";
const IS_LEFT_ALONE: &str = "ended without a word; taking over";
const IS_HANDED: &str = "handed over to this one; taking over";

/// The status of the agent that runs on a node; `any` is one of them.
fn status(any: &Agent) -> Result<Value> {
    let mut found = Value::Null;
    wait_until("the agent that runs answers", PATIENCE, || {
        found = any.status().unwrap_or_default();
        Ok(found["role"] == "Running" && !found["groups"].as_array().is_none_or(Vec::is_empty))
    })?;
    Ok(found)
}

/// a and b with an agent of a file each, and a Active.
struct Stage {
    meter: Meter,
    first_on_a: Agent,
    first_on_b: Agent,
    scene: Scene,
}

impl Stage {
    fn new() -> Result<Self> {
        Self::of(group)
    }

    fn of(group: impl Fn(u8) -> Group) -> Result<Self> {
        let scene = Scene::new()?;
        let meter = scene.meter(&[vip()])?;
        let first_on_a = of_a_file(&scene.a, &[group(200)])?;
        let first_on_b = of_a_file(&scene.b, &[group(100)])?;
        settle_on(&meter, &[vip()], "a")?;
        look::wait_until_noted(&first_on_a, "control-plane", PATIENCE)?;
        // Whoever comes second on b is to find somebody there, who hears a.
        look::wait_for_peer(&first_on_b, "control-plane", PATIENCE)?;
        Ok(Self {
            meter,
            first_on_a,
            first_on_b,
            scene,
        })
    }

    /// Beyond the lifetime of an address that nobody renews.
    fn nobody_noticed_since(&self, start: Instant) {
        thread::sleep((LIFETIME + SECOND).saturating_sub(start.elapsed()));
        unnoticed(&self.meter, vip(), start);
    }
}

fn adopted() -> Outcome {
    let mut stage = Stage::new()?;
    let start = Instant::now();
    let mut second = of_the_cluster(&stage.scene.a, &[in_the_cluster(200)])?;
    says(&stage.first_on_a, GIVES_WAY, 1)?;
    says(&second, ADOPTS, 1)?;
    let status_of_a = status(&second)?;
    assert_eq!(status_of_a["groups"][0]["reason"], "Resumed", "{status_of_a:#}");
    look::wait_for_group(
        &second,
        "control-plane",
        "its probe is there",
        PATIENCE,
        |group| group["probes"][0]["name"] == "always",
    )?;
    says(&stage.first_on_a, "standing by", 1)?;
    wait_until("the status shows who stands by", PATIENCE, || {
        let status = second.status()?;
        Ok(status["standbys"][0]["message"] == "it takes over when the agent that runs ends")
    })?;
    stage.nobody_noticed_since(start);

    // Uninstalled: the other way round.
    let start = Instant::now();
    assert!(second.process.stop(PATIENCE)?.success());
    says(&stage.first_on_a, IS_HANDED, 1)?;
    let status_of_a = status(&stage.first_on_a)?;
    assert_eq!(status_of_a["groups"][0]["reason"], "Resumed", "{status_of_a:#}");
    stage.nobody_noticed_since(start);

    // And once more, after which the static pod is removed.
    let start = Instant::now();
    let second = of_the_cluster(&stage.scene.a, &[in_the_cluster(200)])?;
    says(&second, ADOPTS, 1)?;
    says(&stage.first_on_a, "standing by", 2)?;
    assert!(stage.first_on_a.process.stop(PATIENCE)?.success());
    stage.nobody_noticed_since(start);
    assert_eq!(look::group(&second, "control-plane")?["state"], "Active");
    Ok(())
}

fn adopted_everywhere() -> Outcome {
    let mut stage = Stage::new()?;
    let start = Instant::now();
    // The Backup first, then the Active one: any order is as good.
    let mut on_b = of_the_cluster(&stage.scene.b, &[in_the_cluster(100)])?;
    let on_a = of_the_cluster(&stage.scene.a, &[in_the_cluster(200)])?;
    says(&on_b, ADOPTS, 1)?;
    says(&on_a, ADOPTS, 1)?;
    let status_of_b = status(&on_b)?;
    assert_eq!(status_of_b["groups"][0]["state"], "Backup", "{status_of_b:#}");
    assert!(stage.first_on_b.process.stop(PATIENCE)?.success());
    assert!(on_b.process.stop(PATIENCE)?.success());
    stage.nobody_noticed_since(start);
    assert_eq!(
        look::group(&on_a, "control-plane")?["counters"]["becameActive"],
        1
    );
    Ok(())
}

fn killed() -> Outcome {
    let mut stage = Stage::new()?;
    let mut second = of_the_cluster(&stage.scene.a, &[in_the_cluster(200)])?;
    says(&second, ADOPTS, 1)?;
    status(&second)?;
    thread::sleep(SECOND / 2);
    // The other node hears nothing for a moment, as after every crash: with the interval of a second that is the default it
    // would not notice, with this one it may. What is promised is one holder at a time, and the node's place as before.
    second.process.kill()?;
    says(&stage.first_on_a, IS_LEFT_ALONE, 1)?;
    // Until then the address is held by nobody's doing, and b may be about to take it.
    look::wait_for_state(&stage.first_on_a, "control-plane", "Active", PATIENCE)?;
    look::wait_for_state(&stage.first_on_b, "control-plane", "Backup", PATIENCE)?;
    settle_on(&stage.meter, &[vip()], "a")?;
    stays_on(&stage.meter, vip(), "a", SECOND)?;
    let second = of_the_cluster(&stage.scene.a, &[in_the_cluster(200)])?;
    says(&second, ADOPTS, 1)?;
    stays_on(&stage.meter, vip(), "a", SECOND)?;
    stage.first_on_a.process.kill()?;
    stays_on(&stage.meter, vip(), "a", LIFETIME + SECOND)
}

fn waits() -> Outcome {
    let stage = Stage::new()?;
    let start = Instant::now();
    let other = Group::new("control-plane", 17).address("10.77.0.100/24");
    let second = of_the_cluster(&stage.scene.a, std::slice::from_ref(&other))?;
    let sentence = "group control-plane: virtualRouterID is 17 here and 100 in the agent that runs";
    says(&second, sentence, 1)?;
    wait_until("the agent that runs knows who waits and why", PATIENCE, || {
        let standby = &second.status()?["standbys"][0];
        let message = standby["message"].as_str().unwrap_or_default();
        Ok(message.contains(sentence) && standby["takeOver"] == true)
    })?;
    stage.nobody_noticed_since(start);
    assert_eq!(
        second.process.log()?.matches(sentence).count(),
        1,
        "it is said once"
    );
    // As soon as that is mended, it goes on.
    let start = Instant::now();
    second.write_configuration(&file_of(&[in_the_cluster(200)]))?;
    says(&second, ADOPTS, 1)?;
    stage.nobody_noticed_since(start);
    Ok(())
}

fn no_ping_pong() -> Outcome {
    let stage = Stage::new()?;
    let start = Instant::now();
    let first = of_the_cluster(&stage.scene.a, &[in_the_cluster(200)])?;
    says(&first, ADOPTS, 1)?;
    let second = of_the_cluster(&stage.scene.a, &[in_the_cluster(200)])?;
    says(&second, "standing by", 1)?;
    stage.nobody_noticed_since(start);
    let log = [
        first.process.log()?,
        second.process.log()?,
        stage.first_on_a.process.log()?,
    ]
    .concat();
    assert_eq!(log.matches(GIVES_WAY).count(), 1, "{log}");
    assert_eq!(log.matches("taking over").count(), 1, "{log}");
    Ok(())
}

fn rolling_update() -> Outcome {
    let stage = Stage::new()?;
    let mut agents = Vec::new();
    for (node, priority) in [(&stage.scene.a, 200), (&stage.scene.b, 100)] {
        let agent = of_the_cluster(node, &[in_the_cluster(priority)])?;
        says(&agent, ADOPTS, 1)?;
        agents.push(agent);
    }
    let start = Instant::now();
    for (agent, first, priority) in [(0, &stage.first_on_a, 200), (1, &stage.first_on_b, 100)] {
        let node = agents[agent].node().clone();
        agents[agent].process.stop(PATIENCE)?;
        says(first, IS_HANDED, 1)?;
        agents[agent] = of_the_cluster(&node, &[in_the_cluster(priority)])?;
        says(first, GIVES_WAY, 2)?;
        says(&agents[agent], ADOPTS, 1)?;
    }
    // With a new agent that comes before the old one goes.
    let next = of_the_cluster(&stage.scene.a, &[in_the_cluster(200)])?;
    says(&next, "standing by", 1)?;
    thread::sleep(SECOND / 2);
    agents[0].process.stop(PATIENCE)?;
    says(&next, IS_HANDED, 1)?;
    stage.nobody_noticed_since(start);
    Ok(())
}

fn bequeathed() -> Outcome {
    let scene = Scene::new()?;
    let more = "10.77.0.101".parse()?;
    let web = |priority| Group::new("web", 51).address("10.77.0.101/24").priority(priority);
    let meter = scene.meter(&[vip(), more])?;
    let _first = of_a_file(&scene.a, &[group(200)])?;
    settle_on(&meter, &[vip()], "a")?;
    let mut second = of_the_cluster(&scene.a, &[in_the_cluster(200), web(200)])?;
    says(&second, ADOPTS, 1)?;
    settle_on(&meter, &[vip(), more], "a")?;
    let on_b = pair::agent(&scene.b, &[group(100), web(100)])?;
    for name in ["control-plane", "web"] {
        look::wait_for_peer(&on_b, name, PATIENCE)?;
    }
    let start = Instant::now();
    assert!(second.process.stop(PATIENCE)?.success());
    settle_on(&meter, &[more], "b")?;
    thread::sleep(LIFETIME);
    unnoticed(&meter, vip(), start);
    let report = meter.report_since(more, start);
    assert_eq!(
        report.held_by_nobody,
        Duration::ZERO,
        "handed over without a hole: {report:#?}"
    );
    Ok(())
}

/// The agents are killed at moments spread over a handover, asker and holder in turn. With the interval that is the default the
/// other node does not notice that, nor does anybody else.
fn killed_at_any_moment() -> Outcome {
    let group = |priority| group(priority).interval(SECOND);
    let mut stage = Stage::of(group)?;
    let start = Instant::now();
    for round in 0..12_u32 {
        let mut second = of_the_cluster(&stage.scene.a, &[group(200)])?;
        says(&second, "standing by", 1)?;
        thread::sleep(Duration::from_millis(5) * round);
        if round % 2 == 0 {
            second.process.kill()?;
        } else {
            stage.first_on_a.process.kill()?;
            stage.first_on_a = of_a_file(&stage.scene.a, &[group(200)])?;
            says(&stage.first_on_a, "standing by", 1)?;
            // Perhaps while it still looks whether it may go on.
            assert!(second.process.stop(PATIENCE)?.success());
        }
        look::wait_for_state(&stage.first_on_a, "control-plane", "Active", PATIENCE)?;
    }
    stage.nobody_noticed_since(start);
    Ok(())
}
