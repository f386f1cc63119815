//! Health, maintenance and placement in a cluster: what a probe, a cordon, a taint, an annotation or a wish does to the
//! addresses, and what `kubectl describe` tells somebody who has never seen Holdfast.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use holdfast_api::v1alpha1::{MemberState, VirtualIPGroup};
use holdfast_e2e::{
    Result,
    cluster::{Cluster, SETTLED, VIP, conditions, wait_until_all_share, web},
    pair::{PATIENCE, settle_on, stays_on},
};
use holdfast_lab::{
    AgentOptions, Meter,
    harness::{Case, Outcome, main as run},
    kubernetes::{ControlPlaneOptions, OperatorOptions},
    wait_until,
};
use serde_json::{Value, json};

const SECOND: Duration = Duration::from_secs(1);
/// The members; a is preferred, and c makes sure that there is somebody left to take over.
const NODES: [&str; 3] = ["a", "b", "c"];

fn main() -> std::process::ExitCode {
    let long = Duration::from_mins(3);
    run(&[
        Case::new("a_failed_probe_is_explained_to_a_stranger", explained).timeout(long),
        Case::new(
            "a_service_that_fails_everywhere_is_said_and_served",
            fails_everywhere,
        )
        .timeout(long),
        Case::new(
            "what_a_pod_cannot_see_is_refused_with_the_value_that_is_missing",
            not_possible,
        )
        .timeout(long),
        Case::new("a_cordon_moves_nothing_unless_the_group_says_so", cordon).timeout(long),
        Case::new(
            "an_annotated_node_gives_the_addresses_up_without_a_hole",
            annotation,
        )
        .timeout(long),
        Case::new("a_taint_of_the_users_own_releases", taint).timeout(long),
        Case::new("a_wish_moves_the_address_and_its_end_moves_it_back", placement).timeout(long),
        Case::new("a_wish_for_a_stranger_is_refused", placement_of_a_stranger).timeout(long),
        Case::new("single_runs_are_not_written_to_the_api", quiet).timeout(long),
    ])
}

/// The file that stands for the service of a node.
fn service(cluster: &Cluster, node: &str) -> PathBuf {
    cluster.node(node).unwrap().folder().join("service")
}

fn up(cluster: &Cluster, node: &str) {
    fs::write(service(cluster, node), "").unwrap();
}

fn down(cluster: &Cluster, node: &str) {
    fs::remove_file(service(cluster, node)).unwrap();
}

/// The group with a script that looks at the service of its node.
fn watching(cluster: &Cluster, more: &Value) -> Value {
    let mut group = web();
    let folder = |node: &str| service(cluster, node).display().to_string();
    let look = format!(
        "case $HOLDFAST_NODE in a) test -e {} ;; b) test -e {} ;; c) test -e {} ;; esac || {{ echo no such file; exit 1; }}",
        folder("a"),
        folder("b"),
        folder("c")
    );
    group["spec"]["nodeOverrides"] =
        json!([{"nodes": ["a"], "priority": 200}, {"nodes": ["b"], "priority": 150}]);
    group["spec"]["probes"] = json!([{
        "name": "shop",
        "exec": {"command": ["/bin/sh", "-c", look]},
        "period": "200ms",
        "failureThreshold": 3,
        "successThreshold": 2,
    }]);
    for (field, value) in more.as_object().into_iter().flatten() {
        group["spec"][field] = value.clone();
    }
    group
}

/// A cluster whose agents may run a shell, serving the group.
fn serving(more: &Value) -> Result<(Cluster, Meter)> {
    let mut cluster = Cluster::without_programs(&NODES, &ControlPlaneOptions::default())?;
    cluster.start_operator(&OperatorOptions::default())?;
    for node in NODES {
        let kubeconfig = cluster.plane.agent_kubeconfig(node)?;
        let options = AgentOptions {
            arguments: vec!["--exec-allow".to_owned(), "/bin/sh".to_owned()],
            ..AgentOptions::default()
        };
        cluster.start_agent_with(node, &kubeconfig, None, &options)?;
    }
    for node in NODES {
        up(&cluster, node);
    }
    let meter = cluster.meter(&[VIP])?;
    cluster.apply(&watching(&cluster, more))?;
    cluster.console.wait_until_ready("web", "a", SETTLED)?;
    wait_until_all_share(&cluster, "web")?;
    settle_on(&meter, &[VIP], "a")?;
    Ok((cluster, meter))
}

fn wait_for(
    cluster: &Cluster,
    what: &str,
    accept: impl FnMut(&VirtualIPGroup) -> bool,
) -> Result<VirtualIPGroup> {
    cluster.console.wait_for_group("web", what, SETTLED, accept)
}

fn explained() -> Outcome {
    let (cluster, meter) = serving(&json!({}))?;
    let start = Instant::now();
    down(&cluster, "a");
    settle_on(&meter, &[VIP], "b")?;
    assert_eq!(meter.report_since(VIP, start).held_by_nobody, Duration::ZERO);
    // What a and b say of it comes one after the other.
    let group = wait_for(&cluster, "the failing probe and who serves are known", |group| {
        conditions::reason(group, "Degraded") == "ProbeFailing"
            && conditions::is_true(group, "Ready")
            && conditions::active_node(group) == Some("b")
            && conditions::members(group).first() == Some(&("a", MemberState::Backup))
    })?;
    let member = &group.status.as_ref().unwrap().members[0];
    assert_eq!(member.failing_probes, ["shop"]);
    let text = cluster.plane.kubectl(&["describe", "vipg", "web"])?;
    println!("{text}");
    for words in [
        "ProbeFailing",
        "shop",
        "no such file",
        "3 of 3",
        "floor 12 of 200 base",
        "Active Node:",
    ] {
        assert!(text.contains(words), "{words:?} is not in\n{text}");
    }
    up(&cluster, "a");
    settle_on(&meter, &[VIP], "a")?;
    wait_for(&cluster, "all is well", |group| {
        conditions::is_false(group, "Degraded")
    })?;
    Ok(())
}

fn fails_everywhere() -> Outcome {
    let (cluster, meter) = serving(&json!({}))?;
    for node in NODES {
        down(&cluster, node);
    }
    wait_for(&cluster, "the best of the failing serves", |group| {
        conditions::reason(group, "Degraded") == "ServedByFailingMember"
            && conditions::is_true(group, "Ready")
    })?;
    settle_on(&meter, &[VIP], "a")?;
    Ok(())
}

fn not_possible() -> Outcome {
    let mut cluster = Cluster::without_programs(&["a"], &ControlPlaneOptions::default())?;
    cluster.start_operator(&OperatorOptions::default())?;
    let kubeconfig = cluster.plane.agent_kubeconfig("a")?;
    let options = AgentOptions {
        arguments: vec!["--pod".to_owned()],
        ..AgentOptions::default()
    };
    cluster.start_agent_with("a", &kubeconfig, None, &options)?;
    for (handler, value) in [
        (json!({"process": {"name": "nginx"}}), "agent.hostPID"),
        (json!({"file": {"path": "/etc/hostname"}}), "agent.hostPaths"),
        (json!({"exec": {"command": ["/bin/true"]}}), "agent.exec"),
    ] {
        let mut group = web();
        group["spec"]["probes"] = json!([{"name": "it"}]);
        for (field, action) in handler.as_object().unwrap() {
            group["spec"]["probes"][0][field] = action.clone();
        }
        cluster.apply(&group)?;
        let text = format!("it is refused for {value}");
        wait_for(&cluster, &text, |group| {
            let said = conditions::describe(group);
            said.contains(value) && said.contains("ConfigurationRefused")
        })?;
    }
    Ok(())
}

fn cordon() -> Outcome {
    let (cluster, meter) = serving(&json!({}))?;
    cluster.plane.kubectl(&["cordon", "a"])?;
    stays_on(&meter, VIP, "a", 2 * SECOND)?;
    let start = Instant::now();
    cluster.apply(&watching(
        &cluster,
        &json!({"maintenance": {"onCordon": "Demote"}}),
    ))?;
    settle_on(&meter, &[VIP], "b")?;
    wait_for(&cluster, "the maintenance and its end are explained", |group| {
        conditions::reason(group, "Degraded") == "MemberInMaintenance"
            && conditions::describe(group).contains("kubectl uncordon a")
    })?;
    // Better a node that is worked on than none whose service runs.
    down(&cluster, "b");
    down(&cluster, "c");
    settle_on(&meter, &[VIP], "a")?;
    up(&cluster, "b");
    settle_on(&meter, &[VIP], "b")?;
    cluster.plane.kubectl(&["uncordon", "a"])?;
    settle_on(&meter, &[VIP], "a")?;
    assert_eq!(meter.report_since(VIP, start).held_by_nobody, Duration::ZERO);
    Ok(())
}

fn annotation() -> Outcome {
    let (cluster, meter) = serving(&json!({}))?;
    let start = Instant::now();
    cluster
        .plane
        .kubectl(&["annotate", "node", "a", "vip.holdfast.dev/maintenance=true"])?;
    settle_on(&meter, &[VIP], "b")?;
    let group = wait_for(&cluster, "the maintenance is known", |group| {
        conditions::reason(group, "Degraded") == "MemberInMaintenance"
            && conditions::active_node(group) == Some("b")
            && conditions::members(group).first() == Some(&("a", MemberState::Fault))
    })?;
    let member = &group.status.as_ref().unwrap().members[0];
    assert_eq!(member.reason.as_deref(), Some("Maintenance"));
    cluster
        .plane
        .kubectl(&["annotate", "node", "a", "vip.holdfast.dev/maintenance-"])?;
    settle_on(&meter, &[VIP], "a")?;
    let report = meter.report_since(VIP, start);
    assert_eq!(report.held_by_nobody, Duration::ZERO, "{report:#?}");
    Ok(())
}

fn taint() -> Outcome {
    let policy = json!({"maintenance": {"onTaint": [{"key": "example.com/burning", "action": "Release"}]}});
    let (cluster, meter) = serving(&policy)?;
    cluster
        .plane
        .kubectl(&["taint", "node", "a", "example.com/smoking=yes:NoSchedule"])?;
    stays_on(&meter, VIP, "a", SECOND)?;
    cluster
        .plane
        .kubectl(&["taint", "node", "a", "example.com/burning=yes:NoExecute"])?;
    settle_on(&meter, &[VIP], "b")?;
    cluster
        .plane
        .kubectl(&["taint", "node", "a", "example.com/burning:NoExecute-"])?;
    settle_on(&meter, &[VIP], "a")?;
    Ok(())
}

/// For how long a wish is good: long enough for a busy API server to tell of it meanwhile.
const WISH: Duration = Duration::from_secs(15);

fn placement() -> Outcome {
    let (cluster, meter) = serving(&json!({"preemption": {"type": "Immediate"}}))?;
    let until = jiff::Timestamp::now() + WISH;
    let wish = json!({"placement": {"preferredNode": "b", "until": until.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()}});
    let start = Instant::now();
    cluster.apply(&watching(&cluster, &wish))?;
    settle_on(&meter, &[VIP], "b")?;
    let group = wait_for(&cluster, "the wish is explained", |group| {
        let member = &group.status.as_ref().unwrap().members[1];
        let sum = member.priority_explained.as_deref().unwrap_or_default();
        sum.contains("preferred by placement") && conditions::active_node(group) == Some("b")
    })?;
    assert!(conditions::is_true(&group, "Accepted"));
    meter.wait_for_holders(VIP, &["a"], WISH + PATIENCE)?;
    settle_on(&meter, &[VIP], "a")?;
    assert_eq!(meter.report_since(VIP, start).held_by_nobody, Duration::ZERO);
    Ok(())
}

fn placement_of_a_stranger() -> Outcome {
    let (cluster, meter) = serving(&json!({}))?;
    let wish = json!({"placement": {"preferredNode": "nobody"}});
    cluster.apply(&watching(&cluster, &wish))?;
    let group = wait_for(&cluster, "it is refused", |group| {
        conditions::is_false(group, "Accepted")
    })?;
    assert_eq!(conditions::reason(&group, "Accepted"), "PlacementNotAMember");
    stays_on(&meter, VIP, "a", SECOND)?;
    Ok(())
}

fn quiet() -> Outcome {
    let (cluster, _meter) = serving(&json!({}))?;
    down(&cluster, "a");
    wait_for(&cluster, "b serves", |group| {
        conditions::active_node(group) == Some("b")
    })?;
    let version =
        || Ok::<_, Box<dyn std::error::Error>>(cluster.console.node("a")?.metadata.resource_version);
    // Until all that there is to say has been said.
    let mut before = version()?;
    let mut since = Instant::now();
    wait_until("nothing more is written", SETTLED, || {
        let now = version().ok().flatten();
        if now != before {
            (before, since) = (now, Instant::now());
        }
        std::thread::sleep(SECOND / 10);
        Ok(since.elapsed() > 3 * SECOND)
    })?;
    // Twenty-five runs that fail, and no word of them.
    std::thread::sleep(5 * SECOND);
    assert_eq!(version()?, before);
    Ok(())
}
