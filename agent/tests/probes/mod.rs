//! A running agent with probes as its user meets it: status, log, metrics, and what is left when it has ended.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::QUIET;
use super::namespace::{Namespace, wait_for};

fn group(probes: &str) -> String {
    format!(
        "apiVersion: vip.holdfast.dev/v1alpha1\nkind: VirtualIPGroup\nmetadata: {{name: web}}\nspec:\n  \
         virtualRouterID: 101\n  interface: eth0\n  addresses: [{{address: 192.0.2.101/24}}]\n  priority: 200\n  \
         advertisement: {{mode: Multicast, interval: 100ms}}\n  probes:\n{probes}"
    )
}

/// Looks every 100 ms whether the file is there; a busy machine may take its time to say so.
fn file(name: &str, path: &Path, more: &str) -> String {
    format!(
        "  - {{name: {name}, file: {{path: {}}}, period: 100ms, timeout: 5s, failureThreshold: 2, successThreshold: 1{more}}}\n",
        path.display()
    )
}

fn web(status: &Value) -> &Value {
    &status["groups"][0]
}

fn probe<'a>(status: &'a Value, name: &str) -> &'a Value {
    let probes = web(status)["probes"].as_array().unwrap();
    probes.iter().find(|probe| probe["name"] == name).unwrap()
}

fn stands_with(status: &Value, priority: u8) -> bool {
    web(status)["state"] == "Active" && web(status)["effectivePriority"] == priority
}

#[test]
fn a_probe_decides_how_a_node_stands_and_everybody_can_see_why() {
    let node = Namespace::new();
    let up = node.path("up");
    let extra = node.path("extra");
    node.configure(
        "web.yaml",
        &group(&(file("up", &up, "") + &file("extra", &extra, ", onFailure: {type: Weight, weight: -50}"))),
    );
    let mut agent = node.run("log", &QUIET);
    // Nobody else is there, so that the node serves though it fails.
    let failing = node.wait_for_status("web to be served in the floor band", |status| {
        stands_with(status, 12)
    });
    assert_eq!(probe(&failing, "up")["verdict"], "Failing");
    assert_eq!(probe(&failing, "up")["outcome"], "Failed");
    assert!(node.holds("192.0.2.101"));

    fs::write(&up, "").unwrap();
    let weighted = node.wait_for_status("up to pass", |status| stands_with(status, 150));
    let sum = web(&weighted)["priorityExplained"].as_str().unwrap();
    assert!(
        sum.starts_with("200 base − 50 extra (") && sum.ends_with(") = 150"),
        "{sum}"
    );
    fs::write(&extra, "").unwrap();
    let well = node.wait_for_status("everything to pass", |status| stands_with(status, 200));
    assert_eq!(web(&well)["priorityExplained"], "200 base");
    assert_eq!(
        web(&well)["counters"]["becameActive"],
        1,
        "it has been served all the time"
    );

    fs::remove_file(&up).unwrap();
    node.wait_for_status("up to fail", |status| stands_with(status, 12));
    agent.wait_for_log("probe up of group web passes");
    let table = node
        .command(env!("CARGO_BIN_EXE_holdfast-agent"))
        .args(["status", "--run-dir"])
        .arg(node.path("run"))
        .output()
        .unwrap();
    let table = String::from_utf8(table.stdout).unwrap();
    let line = table.lines().find(|line| line.contains(" up ")).unwrap();
    assert!(line.contains("Failing") && line.contains("Hold"), "{table}");
    agent.signal(Signal::SIGTERM);
    assert_eq!(agent.ended(), Some(0));
    let log = agent.log();
    let of_runs = log
        .lines()
        .filter(|line| line.contains("\"probe\":\"up\""))
        .count();
    assert_eq!(of_runs, 3, "failing, passing, failing: {log}");
}

#[test]
fn a_fault_is_told_in_the_words_of_its_probe() {
    let node = Namespace::new();
    let up = node.path("up");
    node.configure("web.yaml", &group(&file("up", &up, ", onFailure: {type: Fault}")));
    let _agent = node.run("log", &QUIET);
    let failing = node.wait_for_status("web to be at fault", |status| {
        web(status)["state"] == "Fault" && probe(status, "up")["verdict"] == "Failing"
    });
    let faults = web(&failing)["faults"].as_array().unwrap();
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0]["reason"], "ProbeFailed");
    let message = faults[0]["message"].as_str().unwrap();
    assert!(
        message.contains("probe `up` fails") && message.contains("2 of 2"),
        "{message}"
    );
    fs::write(&up, "").unwrap();
    node.wait_for_status("web to be served", |status| stands_with(status, 200));
}

#[test]
fn an_agent_that_goes_on_where_another_ended_moves_nothing_before_its_probes_have_run() {
    let node = Namespace::new();
    let up = node.path("up");
    fs::write(&up, "").unwrap();
    node.configure(
        "web.yaml",
        &group(&file("up", &up, "").replace("period: 100ms", "period: 100ms, initialDelay: 4s")),
    );
    let mut first = node.run("first", &QUIET);
    node.wait_for_status("web to be served by one that is well", |status| {
        stands_with(status, 200)
    });
    let second = node.run("second", &QUIET);
    second.wait_for_log("standing by");
    first.signal(Signal::SIGTERM);
    assert_eq!(first.ended(), Some(0));
    let resumed = node.wait_for_status("the second to serve", |status| web(status)["reason"] == "Resumed");
    assert_eq!(probe(&resumed, "up")["verdict"], "NotYetKnown");
    assert_eq!(web(&resumed)["effectivePriority"], 200, "{resumed}");
    let known = node.wait_for_status("its probe to have run", |status| {
        probe(status, "up")["verdict"] == "Passing"
    });
    assert_eq!(web(&known)["counters"]["becameActive"], 1);
    assert!(stands_with(&known, 200));
    let log = second.log();
    assert!(
        !log.contains("\"to\":\"Backup\",\"reason\":\"ServiceFailing\""),
        "{log}"
    );
}

#[test]
fn what_probes_run_ends_with_the_agent() {
    let node = Namespace::new();
    let program = node.path("hangs");
    let mark = format!("86399.{}", std::process::id());
    fs::write(&program, format!("#!/bin/sh\nsleep {mark} &\nwait\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let hangs = format!(
        "  - {{name: hangs, exec: {{command: [{}]}}, period: 1s, timeout: 1h, onFailure: {{type: None}}}}\n",
        program.display()
    );
    node.configure("web.yaml", &group(&hangs));
    let mut agent = node.run("log", &[&QUIET[..], &["--exec-insecure"]].concat());
    let runs = || {
        fs::read_dir("/proc").unwrap().flatten().any(|process| {
            fs::read(process.path().join("cmdline"))
                .is_ok_and(|line| line.split(|byte| *byte == 0).any(|word| word == mark.as_bytes()))
        })
    };
    wait_for("the program's child", || runs().then_some(()));
    agent.signal(Signal::SIGTERM);
    assert_eq!(agent.ended(), Some(0));
    // It was killed, and ends as soon as it gets a processor.
    wait_for("the end of the program's child", || (!runs()).then_some(()));
}

#[test]
fn a_group_that_a_pod_cannot_watch_is_refused_with_the_value_to_set() {
    let node = Namespace::new();
    let up = node.path("up");
    node.configure("web.yaml", &group(&file("up", &up, "")));
    let mut agent = node.run("log", &[&QUIET[..], &["--pod"]].concat());
    let refused = node.wait_for_status("the refusal", |status| {
        status["configurationProblems"][0].is_string()
    });
    let problem = refused["configurationProblems"][0].as_str().unwrap();
    assert!(
        problem.contains("group web is refused") && problem.contains("`agent.hostPaths`"),
        "{problem}"
    );
    assert_eq!(refused["groups"], serde_json::json!([]));
    agent.signal(Signal::SIGTERM);
    assert_eq!(agent.ended(), Some(0));
}
