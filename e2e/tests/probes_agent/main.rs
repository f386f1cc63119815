//! Probes that misbehave: programs that hang, flood and fork, servers that never come to an end, names that nobody resolves,
//! files that make no sense, edits at the worst moment, and very many. The agent goes on advertising, its other probes go on
//! judging, and nothing is left behind.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

mod edits;
mod files;
mod hostile;
mod many;
mod programs;
mod servers;

use std::{
    fs,
    net::IpAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use holdfast_e2e::{
    Group, Pair, Result, Router, look,
    pair::{PATIENCE, Scene},
};
use holdfast_lab::{
    Agent, Node,
    harness::{Case, main as run},
    wait_until,
};
use serde_json::Value;

const SECOND: Duration = Duration::from_secs(1);
const INTERVAL: Duration = Duration::from_millis(10);
/// For probes that only show what they find; long enough for a program to be started on a busy machine, and soon over.
const SHOWN: &str = "  period: 100ms\n  timeout: 400ms\n  onFailure: {type: None}\n";

fn main() -> std::process::ExitCode {
    run(&[
        Case::new(
            "a_program_that_others_can_write_is_not_run_and_is_named",
            programs::writable,
        ),
        Case::new(
            "what_a_program_prints_is_cut_and_its_environment_is_what_is_documented",
            programs::output_and_environment,
        ),
        Case::new(
            "programs_outlive_an_agent_that_is_killed_until_their_own_end",
            programs::killed_agent,
        ),
        Case::new("edits_while_programs_run_move_nothing", edits::edits),
        Case::new(
            "a_file_that_makes_no_sense_moves_nothing_and_is_explained",
            files::files,
        ),
        Case::new(
            "no_program_is_left_by_an_agent_that_is_stopped",
            programs::none_left,
        ),
        Case::new(
            "an_agent_without_descriptors_left_serves_on_and_hands_over",
            many::no_descriptors,
        ),
        Case::new(
            "hostile_probes_disturb_neither_the_engine_nor_each_other",
            hostile::hostile,
        )
        .timeout(2 * Duration::from_mins(1))
        .alone(),
        Case::new(
            "programs_that_hang_do_not_delay_a_planned_stop",
            programs::planned_stop,
        )
        .alone(),
        Case::new(
            "programs_that_hang_do_not_delay_an_agent_that_stands_by",
            programs::standby,
        )
        .alone(),
        Case::new("a_hundred_and_sixty_probes_keep_the_agent_small", many::many).alone(),
    ])
}

fn vip() -> IpAddr {
    "10.77.0.100".parse().unwrap()
}

fn web() -> Group {
    Group::new("web", 51).address("10.77.0.100/24").interval(INTERVAL)
}

/// A probe of which `handler` and `more` are the YAML of one line and of lines with their margin.
fn probe(name: &str, handler: &str, more: &str) -> String {
    format!("- name: {name}\n  {handler}\n{more}")
}

fn probes(all: &[String]) -> String {
    format!("probes:\n{}", all.concat())
}

/// A pair whose groups `make` makes, a with priority 200 and Active.
fn pair(scene: Scene, make: impl Fn(&Node) -> Group) -> Result<Pair> {
    let (for_a, for_b) = (make(&scene.a).priority(200), make(&scene.b));
    Pair::start(
        scene,
        &[vip()],
        |a| Router::holdfast(a, &[for_a]),
        |b| Router::holdfast(b, &[for_b]),
    )
}

/// A script in the node's folder that only root can write, and `exec` of it.
fn script(node: &Node, name: &str, lines: &str) -> (PathBuf, String) {
    let path = node.folder().join(name);
    fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    set_mode(&path, 0o755);
    let exec = format!("exec: {{command: [{}]}}", path.display());
    (path, exec)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Every process of the sandbox that was started for this probe of this node, by this program or by a child of it: they all
/// have its environment.
fn running(node: &Node, probe: &str) -> Vec<String> {
    let wanted = [
        format!("HOLDFAST_NODE={}", node.name()),
        format!("HOLDFAST_PROBE={probe}"),
    ];
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        // A process may end while it is looked at.
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        let environment = String::from_utf8_lossy(&environment);
        if wanted
            .iter()
            .all(|wanted| environment.split('\0').any(|variable| variable == wanted))
        {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            found.push(String::from_utf8_lossy(&line).replace('\0', " "));
        }
    }
    found
}

fn wait_for(agent: &Agent, what: &str, accept: impl FnMut(&Value) -> bool) -> Result<Value> {
    look::wait_for_group(agent, "web", what, PATIENCE, accept)
}

fn find<'a>(group: &'a Value, probe: &str) -> &'a Value {
    let probes = group["probes"].as_array().unwrap();
    probes.iter().find(|found| found["name"] == probe).unwrap()
}

/// Waits until the last run of a probe ended with `outcome` and found something of which `part` is a part.
fn wait_for_run(agent: &Agent, probe: &str, outcome: &str, part: &str) -> Result<String> {
    let message = |group: &Value| {
        find(group, probe)["latest"]["message"]
            .as_str()
            .map(str::to_owned)
    };
    let what = format!("{probe} ends with {outcome}: {part}");
    let group = wait_for(agent, &what, |group| {
        find(group, probe)["latest"]["outcome"] == outcome
            && message(group).is_some_and(|message| message.contains(part))
    })?;
    Ok(message(&group).unwrap())
}

/// Waits until nothing is left of what was started for a probe of a node.
fn wait_until_gone(node: &Node, probe: &str) -> Result<()> {
    let what = format!("nothing of {probe} on {} is left", node.name());
    wait_until(&what, PATIENCE, || Ok(running(node, probe).is_empty()))?;
    Ok(())
}

/// How often the agent's group `web` became Active.
fn became_active(agent: &Agent) -> Result<u64> {
    Ok(look::counter(&look::group(agent, "web")?, "becameActive"))
}
