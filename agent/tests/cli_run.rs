//! A running agent as its user meets it: status, reload, standby, signals, and what is left when it has ended.

#![allow(clippy::unwrap_used, clippy::expect_used)] // Lints know test functions, not their helpers.

mod namespace;
mod probes;

use std::io::{Read as _, Write as _};

use namespace::Namespace;
use nix::sys::signal::Signal;
use serde_json::Value;

fn group(name: &str, virtual_router_id: u8, priority: u8) -> String {
    format!(
        "apiVersion: vip.holdfast.dev/v1alpha1\nkind: VirtualIPGroup\nmetadata: {{name: {name}}}\nspec:\n  \
         virtualRouterID: {virtual_router_id}\n  interface: eth0\n  addresses: [{{address: \
         192.0.2.{virtual_router_id}/24}}]\n  priority: {priority}\n  advertisement: {{mode: Multicast, interval: \
         100ms}}\n"
    )
}

fn named<'a>(status: &'a Value, name: &str) -> Option<&'a Value> {
    status["groups"]
        .as_array()?
        .iter()
        .find(|group| group["name"] == name)
}

fn is_active(status: &Value, name: &str) -> bool {
    named(status, name).is_some_and(|group| group["state"] == "Active")
}

/// How often the group became Active since the agent started.
fn became_active(status: &Value, name: &str) -> u64 {
    named(status, name).unwrap()["counters"]["becameActive"]
        .as_u64()
        .unwrap()
}

const QUIET: [&str; 2] = ["--metrics-address", "off"];

#[test]
fn a_group_is_served_reloaded_as_a_difference_and_given_up_at_the_end() {
    let node = Namespace::new();
    node.configure("web.yaml", &group("web", 101, 100));
    let mut agent = node.run("log", &[]);
    node.wait_for_status("web to be Active", |status| is_active(status, "web"));
    assert!(node.holds("192.0.2.101"));
    // A second file adds a group and leaves the first alone.
    node.configure("db.yaml", &group("db", 102, 100));
    let both = node.wait_for_status("db to be Active", |status| is_active(status, "db"));
    assert!(is_active(&both, "web") && became_active(&both, "web") == 1);

    // A mistake changes nothing and is said.
    node.configure(
        "db.yaml",
        &group("db", 102, 100).replace("priority: 100", "priority: high"),
    );
    let kept = node.wait_for_status("the mistake", |status| {
        status["configurationProblems"][0].is_string()
    });
    assert!(
        kept["configurationProblems"][0]
            .as_str()
            .unwrap()
            .contains("db.yaml:8"),
        "{kept}"
    );
    assert!(is_active(&kept, "db") && is_active(&kept, "web"));

    // The mistake corrected, on SIGHUP.
    node.configure("db.yaml", &group("db", 102, 150));
    agent.signal(Signal::SIGHUP);
    let corrected = node.wait_for_status("the correction", |status| {
        named(status, "db").is_some_and(|group| group["effectivePriority"] == 150)
    });
    assert_eq!(corrected["configurationProblems"], serde_json::json!([]));
    assert!(is_active(&corrected, "db") && became_active(&corrected, "db") == 1);

    // A group that is gone from a valid configuration is given up, a configuration that is gone is not.
    std::fs::remove_file(node.path("config/db.yaml")).unwrap();
    node.wait_for_status("db to be withdrawn", |status| named(status, "db").is_none());
    std::fs::remove_file(node.path("config/web.yaml")).unwrap();
    let kept = node.wait_for_status("the absence", |status| {
        status["configurationProblems"][0].is_string()
    });
    assert!(is_active(&kept, "web") && became_active(&kept, "web") == 1 && node.holds("192.0.2.101"));

    agent.signal(Signal::SIGTERM);
    assert_eq!(agent.ended(), Some(0));
    assert!(!node.holds("192.0.2.101") && !node.holds("192.0.2.102"));
    assert!(!node.path("run/agent.sock").exists());
    assert_eq!(std::fs::read_dir(node.path("run")).unwrap().count(), 0);
    let line = agent
        .log()
        .lines()
        .find(|line| line.contains("\"to\":\"Active\""))
        .map(str::to_owned)
        .unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&line["group"], &line["from"], &line["level"]),
        (&"web".into(), &"Backup".into(), &"INFO".into())
    );
}

#[test]
fn a_standby_takes_over_where_the_running_agent_ends() {
    let node = Namespace::new();
    node.configure("web.yaml", &group("web", 101, 100));
    let mut first = node.run("first", &QUIET);
    let served = node.wait_for_status("web to be Active", |status| is_active(status, "web"));
    let mut second = node.run("second", &QUIET);
    second.wait_for_log("standing by");

    let refused = node.run_to_end(&["--no-wait"]);
    assert_eq!(
        refused.status.code(),
        Some(5),
        "{}",
        String::from_utf8_lossy(&refused.stderr)
    );

    first.signal(Signal::SIGTERM);
    assert_eq!(first.ended(), Some(0));
    assert!(
        node.holds("192.0.2.101"),
        "the address moved although a standby was there"
    );
    let resumed = node.wait_for_status("the standby to serve web", |status| is_active(status, "web"));
    assert_eq!(named(&resumed, "web").unwrap()["reason"], "Resumed");
    assert_eq!(
        named(&resumed, "web").unwrap()["virtualRouterID"],
        named(&served, "web").unwrap()["virtualRouterID"]
    );
    assert!(node.holds("192.0.2.101"));

    // Killed, it says nothing: the next one finds the state file.
    let mut third = node.run("third", &QUIET);
    third.wait_for_log("standing by");
    second.signal(Signal::SIGKILL);
    assert_eq!(second.ended(), None);
    third.wait_for_log("ended without a word; taking over");
    node.wait_for_status("the third to serve web", |status| is_active(status, "web"));
    third.signal(Signal::SIGTERM);
    assert_eq!(third.ended(), Some(0));
    assert!(!node.holds("192.0.2.101"));
}

#[test]
fn a_second_signal_ends_the_agent_at_once() {
    let node = Namespace::new();
    // Nobody else is there, so that a planned stop waits for a successor: for four intervals of 10 s.
    node.configure("web.yaml", &group("web", 101, 255).replace("100ms", "10s"));
    let mut agent = node.run("log", &QUIET);
    node.wait_for_status("web to be Active", |status| is_active(status, "web"));
    agent.signal(Signal::SIGTERM);
    agent.wait_for_log("ending:");
    agent.signal(Signal::SIGINT);
    assert_eq!(agent.ended(), Some(0));
    assert!(!node.holds("192.0.2.101"));
}

#[test]
fn a_configuration_with_nothing_valid_ends_with_4() {
    let node = Namespace::new();
    node.configure("web.yaml", "kind: VirtualIPGroup\n");
    let output = node.run_to_end(&QUIET);
    assert_eq!(
        output.status.code(),
        Some(4),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(String::from_utf8_lossy(&output.stderr).contains("web.yaml"));
}

#[test]
fn the_log_level_changes_while_the_agent_runs() {
    let node = Namespace::new();
    node.configure("web.yaml", &group("web", 101, 100));
    let agent = node.run("log", &[&QUIET[..], &["--log-level", "error"]].concat());
    node.wait_for_status("web to be Active", |status| is_active(status, "web"));
    assert!(!agent.log().contains("\"INFO\""), "{}", agent.log());
    let mut command = node.command(env!("CARGO_BIN_EXE_holdfast-agent"));
    let output = command
        .args(["log-level", "info", "--run-dir"])
        .arg(node.path("run"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    agent.wait_for_log("the log level is now info");
}

#[test]
fn metrics_and_probes_are_served_on_loopback() {
    let node = Namespace::new();
    node.configure("web.yaml", &group("web", 101, 100));
    let _agent = node.run("log", &[]);
    node.wait_for_status("web to be Active", |status| is_active(status, "web"));
    for (path, answer) in [
        ("/healthz", "ok"),
        ("/readyz", "ok (Running)"),
        (
            "/metrics",
            "holdfast_vrrp_state{group=\"web\",state=\"Active\"} 1\n",
        ),
    ] {
        let shown = get(&node, path);
        assert!(
            shown.starts_with("HTTP/1.0 200") && shown.contains(answer),
            "{path}: {shown}"
        );
    }
}

#[test]
fn in_a_cluster_without_its_api_server_nothing_is_no_failure_and_a_file_is_served() {
    let node = Namespace::new();
    let (cache, kubeconfig) = (node.path("cache"), node.path("kubeconfig"));
    let cluster = [
        "--kubernetes",
        "--cache-dir",
        cache.to_str().unwrap(),
        "--kubeconfig",
        kubeconfig.to_str().unwrap(),
    ];
    std::fs::create_dir(node.path("config")).unwrap();
    let mut agent = node.run("log", &cluster);
    agent.wait_for_log("waiting for the API server");
    let shown = get(&node, "/readyz");
    assert!(shown.starts_with("HTTP/1.0 200"), "{shown}");
    agent.wait_for_log("the API server is not reached");

    node.configure("web.yaml", &group("web", 101, 100));
    let served = node.wait_for_status("web to be Active", |status| is_active(status, "web"));
    assert_eq!(served["configurationProblems"], serde_json::json!([]));
    assert!(node.holds("192.0.2.101"));
    assert!(!cache.exists(), "the API said nothing that could be kept");

    agent.signal(Signal::SIGTERM);
    assert_eq!(agent.ended(), Some(0));
    assert!(!node.holds("192.0.2.101"));
}

#[test]
fn in_a_cluster_what_the_api_said_last_is_served_before_it_is_heard_and_beats_a_file() {
    let node = Namespace::new();
    let cache = node.path("cache");
    std::fs::create_dir(&cache).unwrap();
    std::fs::write(cache.join("node.json"), CACHED).unwrap();
    node.configure("web.yaml", &group("web", 101, 50));
    let more = [
        "--kubernetes",
        "--cache-dir",
        cache.to_str().unwrap(),
        "--kubeconfig",
        "/nowhere",
    ];
    let agent = node.run("log", &[&more[..], &QUIET[..]].concat());
    let served = node.wait_for_status("web to be Active", |status| is_active(status, "web"));
    assert_eq!(named(&served, "web").unwrap()["effectivePriority"], 100);
    agent.signal(Signal::SIGHUP);
    agent.wait_for_log("the configuration was read again: no change");
    // The tombstone in the cache beats the file too.
    node.configure("gone.yaml", &group("gone", 102, 50));
    agent.wait_for_log("group gone is in a file and was deleted in the cluster");
    assert!(!node.holds("192.0.2.102"));
}

/// What an agent of cp-1 has written: group web, and the tombstone of group gone.
const CACHED: &str = include_str!("cached-node.json");

/// What the agent's HTTP server answers inside the namespace, as soon as it listens.
fn get(node: &Namespace, path: &str) -> String {
    namespace::wait_for("an answer", || {
        Some(ask(node, path)).filter(|answer| !answer.is_empty())
    })
}

/// Asks it with what every machine has; nothing if nobody listens.
fn ask(node: &Namespace, path: &str) -> String {
    let script = "exec 3<>/dev/tcp/127.0.0.1/9414; cat >&3; cat <&3";
    let mut command = node.command("bash");
    command
        .args(["-c", script])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    let request = format!("GET {path} HTTP/1.0\r\n\r\n");
    // Nobody reads it where nobody listens.
    let _ = child.stdin.take().unwrap().write_all(request.as_bytes());
    let mut answer = String::new();
    child.stdout.take().unwrap().read_to_string(&mut answer).unwrap();
    child.wait().unwrap();
    answer
}
