//! What the command says and with which code it ends, without an engine: for scripts and for people who mistype.

#![allow(clippy::unwrap_used, clippy::expect_used)] // Lints know test functions, not their helpers.

use std::path::Path;
use std::process::{Command, Output};

const GROUP: &str = "\
apiVersion: vip.holdfast.dev/v1alpha1
kind: VirtualIPGroup
metadata: {name: web}
spec:
  virtualRouterID: 51
  interface: eth0
  addresses: [{address: 192.0.2.100/24}]
  priority: 100
  nodeSelector: {matchLabels: {role: web}}
  nodeOverrides: [{nodes: [cp-1], priority: 200}]
  advertisement: {mode: Multicast, interval: 100ms}
";

fn agent(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast-agent"));
    command
        .env_remove("HOLDFAST_NODE")
        .args(arguments)
        .output()
        .unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn written(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("groups.yaml"), text).unwrap();
    folder
}

fn as_text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn check_shows_what_a_node_would_run() {
    let folder = written(GROUP);
    let path = as_text(folder.path());
    let output = agent(&[
        "check",
        "--config",
        path,
        "--node",
        "cp-1",
        "--node-label",
        "role=web",
    ]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert_eq!(
        out(&output),
        "valid: 1 group, of which node cp-1 runs 1\n  web: VRID 51, priority 200, VRRPv3/IPv4 every 100ms by multicast \
         224.0.0.18, on eth0: 192.0.2.100/24\n"
    );
    let elsewhere = agent(&["check", "--config", path, "--node", "db-1"]);
    assert_eq!(
        out(&elsewhere),
        "valid: 1 group, of which node db-1 runs 0\n  not on this node, by their nodeSelector: web\n"
    );
    assert!(out(&agent(&["check", "--config", path])).starts_with("valid: 1 group (--node NAME"));
}

#[test]
fn check_lists_every_problem_with_its_place_and_ends_with_1() {
    let text = GROUP
        .replace("priority: 100", "priority: 300")
        .replace("192.0.2.100/24", "192.0.2.100/99");
    let folder = written(&text);
    let output = agent(&["check", "--config", as_text(folder.path())]);
    assert_eq!(code(&output), 1);
    let shown = err(&output);
    let file = folder.path().join("groups.yaml");
    assert!(
        shown.contains(&format!("{}:7:", file.display())) && shown.contains("spec.addresses[0]"),
        "{shown}"
    );
    assert!(
        shown.contains(&format!("{}:8:", file.display())) && shown.contains("spec.priority"),
        "{shown}"
    );
    assert!(shown.ends_with("2 problems\n"), "{shown}");
    assert_eq!(out(&output), "");
}

#[test]
fn check_judges_groups_whose_selector_it_cannot_match() {
    let folder = written(&GROUP.replace("virtualRouterID: 51", "virtualRouterID: 256"));
    let output = agent(&["check", "--config", as_text(folder.path()), "--node", "db-1"]);
    assert_eq!(code(&output), 1, "{}", out(&output));
}

#[test]
fn bad_arguments_end_with_2_and_say_what_to_write() {
    let output = agent(&["run", "--node", "cp-1"]);
    assert_eq!(code(&output), 2);
    assert!(err(&output).contains("--config <PATH>"), "{}", err(&output));
    assert_eq!(code(&agent(&[])), 2);
    assert_eq!(code(&agent(&["log-level", "loud"])), 2);
}

#[test]
fn help_and_version_succeed() {
    for arguments in [["--help"], ["--version"], ["version"]] {
        let output = agent(&arguments);
        assert_eq!(code(&output), 0);
        assert!(out(&output).contains("agent"), "{}", out(&output));
    }
    assert!(out(&agent(&["run", "--help"])).contains("Exit codes:"));
}

#[test]
fn without_an_agent_status_says_which_socket_it_tried() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [["status", "--run-dir"], ["log-level", "--run-dir"]] {
        let mut arguments = arguments.to_vec();
        arguments.push(as_text(folder.path()));
        if arguments[0] == "log-level" {
            arguments.push("debug");
        }
        let output = agent(&arguments);
        assert_eq!(code(&output), 1);
        let shown = err(&output);
        assert!(
            shown.contains("agent.sock: it is not running") && shown.contains("holdfast-agent run"),
            "{shown}"
        );
    }
}

#[test]
fn without_privilege_run_ends_with_3_and_says_how_to_grant_it() {
    let folder = written(GROUP);
    // Root keeps its files but loses its capabilities; anybody else has none to lose.
    let mut command = if nix::unistd::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args([
            "--bounding-set",
            "-all",
            "--inh-caps",
            "-all",
            env!("CARGO_BIN_EXE_holdfast-agent"),
        ]);
        command
    } else {
        Command::new(env!("CARGO_BIN_EXE_holdfast-agent"))
    };
    let output = command
        .args(["run", "--node", "cp-1", "--config", as_text(folder.path())])
        .output()
        .unwrap();
    assert_eq!(code(&output), 3, "{}", err(&output));
    for word in ["CAP_NET_ADMIN", "CAP_NET_RAW", "setcap", "AmbientCapabilities"] {
        assert!(err(&output).contains(word), "{}", err(&output));
    }
}

#[test]
fn check_shows_presets_as_the_ordinary_probes_that_they_are() {
    let probes = "  probes:\n  - {name: api, preset: KubeAPIServer, failureThreshold: 2}\n  - {name: up, file: {path: /run/up}}\n";
    let folder = written(&(GROUP.replace("  nodeSelector: {matchLabels: {role: web}}\n", "") + probes));
    let output = agent(&[
        "check",
        "--config",
        as_text(folder.path()),
        "--node",
        "cp-1",
        "-o",
        "probes",
    ]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let shown = out(&output);
    let probes = shown.strip_prefix("# web\n").unwrap();
    assert!(
        probes.contains("/readyz?exclude=etcd") && probes.contains("kubernetes.default.svc"),
        "{shown}"
    );
    assert!(
        probes.contains("failureThreshold: 2") && probes.contains("/run/up"),
        "{shown}"
    );
    assert!(!probes.contains("preset"), "{shown}");

    // What is shown may be written in place of the preset.
    let indented = format!("  {}\n", probes.trim_end().replace('\n', "\n  "));
    let again = written(&(GROUP.to_owned() + &indented));
    let output = agent(&["check", "--config", as_text(again.path())]);
    assert_eq!(code(&output), 0, "{}\n{indented}", err(&output));
}
