//! Members that are lost, split, added and cut off: what the status says of them, and that there is one active node.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

use std::{
    thread,
    time::{Duration, Instant},
};

use holdfast_api::v1alpha1::{MemberState, VirtualIPGroup};
use holdfast_e2e::{
    cluster::{Cluster, LABEL, SETTLED, VIP, conditions, serve, web},
    pair::{PATIENCE, settle_on, stays_on},
};
use holdfast_lab::{
    harness::{Case, Outcome, main as run},
    kubernetes::{ControlPlaneOptions, OperatorOptions},
    wait_until,
};
use serde_json::json;

/// How long an agent's word is good for.
const LEASE: Duration = Duration::from_secs(40);

fn main() -> std::process::ExitCode {
    let long = Duration::from_mins(4);
    run(&[
        Case::new("a_lost_node_is_reported_lost_and_never_as_a_split", lost).timeout(long),
        Case::new(
            "two_nodes_that_do_not_hear_each_other_are_reported_as_a_split",
            split,
        )
        .timeout(long),
        Case::new(
            "a_new_member_waits_for_one_that_has_not_heard_of_it",
            added_while_cut_off,
        )
        .timeout(long),
        Case::new("a_change_of_mode_ends_with_one_active_node", mode_changed).timeout(long),
    ])
}

/// What the status says of a member: its state and why.
fn member<'a>(group: &'a VirtualIPGroup, node: &str) -> Option<(MemberState, &'a str)> {
    let members = &group.status.as_ref()?.members;
    let member = members.iter().find(|member| member.node == node)?;
    Some((member.state, member.reason.as_deref().unwrap_or_default()))
}

fn lost() -> Outcome {
    let mut cluster = Cluster::without_programs(&["a", "b", "c"], &ControlPlaneOptions::default())?;
    cluster.start_operator(&OperatorOptions {
        arguments: vec!["--member-patience".to_owned(), "5s".to_owned()],
        ..OperatorOptions::default()
    })?;
    for node in ["a", "b", "c"] {
        cluster.start_agent(node)?;
    }
    let meter = serve(&cluster)?;
    let statuses = cluster.console.record::<VirtualIPGroup>()?;
    let start = Instant::now();

    // A planned handover and back: the reports come in either order.
    let stopped = cluster.agents.get_mut("a").unwrap().process.stop(PATIENCE)?;
    assert!(stopped.success(), "{stopped}");
    cluster
        .console
        .wait_for_group("web", "another node is active", SETTLED, |group| {
            conditions::active_node(group).is_some_and(|node| node != "a")
        })?;
    cluster.start_agent("a")?;
    cluster.console.wait_until_ready("web", "a", SETTLED)?;
    settle_on(&meter, &[VIP], "a")?;

    // A node is lost with all that it could have said.
    let fault = Instant::now();
    cluster.node("a")?.unplug()?;
    let moved = cluster
        .console
        .wait_for_group("web", "the status follows", SETTLED, |group| {
            conditions::active_node(group).is_some_and(|node| node != "a")
        })?;
    println!(
        "the status named another node {:?} after the loss",
        fault.elapsed()
    );
    let (state, reason) = member(&moved, "a").unwrap();
    assert_eq!((state, reason), (MemberState::Unknown, "LastSeenActive"));
    let expired = cluster.console.wait_for_group(
        "web",
        "the loss is noticed, and a live member serves",
        LEASE + SETTLED,
        |group| conditions::is_true(group, "Degraded") && conditions::is_true(group, "Ready"),
    )?;
    println!(
        "Degraded {:?} after the loss: {}",
        fault.elapsed(),
        conditions::message(&expired, "Degraded")
    );
    assert!(
        conditions::message(&expired, "Degraded").contains('a'),
        "{}",
        conditions::describe(&expired)
    );
    assert_eq!(member(&expired, "a").unwrap().0, MemberState::Unknown);
    conditions::never_split(&statuses.since(start));

    // A group is deleted although one of its members cannot say that it has let go; an Event names it.
    cluster
        .plane
        .kubectl(&["delete", "vipg", "web", "--timeout=30s"])?;
    meter.wait_for_holders(VIP, &[], PATIENCE)?;
    wait_until("an Event names the node", SETTLED, || {
        let events = cluster
            .plane
            .get(&["events.events.k8s.io", "-n", "default"])?
            .to_string();
        Ok(events.contains("Unconfirmed")
            || events.contains("unconfirmed")
            || events.contains("not confirmed"))
    })?;
    // When it is back it is told, and lets go.
    holdfast_e2e::pair::plug_again(cluster.node("a")?)?;
    cluster
        .console
        .wait_for_node("a", "a has let go", 2 * SETTLED, |node| {
            node.status
                .as_ref()
                .is_some_and(|status| status.groups.is_empty())
        })?;
    meter.wait_for_holders(VIP, &[], PATIENCE)?;
    Ok(())
}

fn split() -> Outcome {
    let cluster = Cluster::start(&["a", "b"])?;
    let meter = serve(&cluster)?;
    for node in ["a", "b"] {
        cluster.node(node)?.isolate()?;
    }
    meter.wait_for_holders(VIP, &["a", "b"], PATIENCE)?;
    let start = Instant::now();
    let reported = cluster
        .console
        .wait_for_group("web", "the split is reported", 2 * SETTLED, |group| {
            conditions::is_true(group, "SplitBrain") && conditions::is_false(group, "Ready")
        })?;
    println!(
        "reported after {:?}: {}",
        start.elapsed(),
        conditions::message(&reported, "SplitBrain")
    );
    let message = conditions::message(&reported, "SplitBrain");
    assert!(message.contains('a') && message.contains('b'), "{message}");
    wait_until("there is an Event", SETTLED, || {
        let events = cluster
            .plane
            .get(&["events.events.k8s.io", "-n", "default"])?
            .to_string();
        Ok(events.contains("SplitBrain"))
    })?;
    for node in ["a", "b"] {
        cluster.node(node)?.join()?;
    }
    cluster.console.wait_until_ready("web", "a", 2 * SETTLED)?;
    meter.wait_for_holders(VIP, &["a"], PATIENCE)?;
    Ok(())
}

fn added_while_cut_off() -> Outcome {
    let mut cluster = Cluster::start(&["a", "b"])?;
    cluster.add_node("c")?;
    cluster.start_agent("c")?;
    let meter = serve(&cluster)?;
    // The newcomer is the best, so it would take over if it might.
    let mut eager = web();
    eager["spec"]["nodeOverrides"] =
        json!([{"nodes": ["c"], "priority": 250}, {"nodes": ["a"], "priority": 200}]);
    let start = Instant::now();
    cluster.cut_off("a")?;
    cluster.apply(&eager)?;
    cluster
        .plane
        .kubectl(&["label", "node", "c", &format!("{}={}", LABEL.0, LABEL.1)])?;
    let told = cluster
        .console
        .wait_for_node("c", "c is told of the group", SETTLED, |node| {
            !node.spec.groups.is_empty()
        })?;
    assert!(!told.spec.groups[0].may_become_active, "a does not know of c");
    stays_on(&meter, VIP, "a", Duration::from_secs(5))?;
    let waiting =
        cluster
            .console
            .wait_for_group("web", "the status says who waits for whom", SETTLED, |group| {
                conditions::is_true(group, "Reconciling")
            })?;
    assert_eq!(conditions::reason(&waiting, "Reconciling"), "WaitingForMembers");
    let message = conditions::message(&waiting, "Reconciling");
    assert!(message.contains('a') && message.contains('c'), "{message}");
    println!("{message}");
    assert!(!cluster.console.node("c")?.spec.groups[0].may_become_active);
    let report = meter.report_since(VIP, start);
    assert_eq!(report.held_twice, Duration::ZERO, "{report:#?}");

    cluster.reconnect()?;
    let free = Instant::now();
    cluster.console.wait_until_ready("web", "c", 3 * SETTLED)?;
    println!("c took over {:?} after a was reached again", free.elapsed());
    settle_on(&meter, &[VIP], "c")?;
    let report = meter.report_since(VIP, start);
    // A planned handover hands the address over without a hole: both have it for a moment.
    assert!(report.held_twice < Duration::from_secs(1), "{report:#?}");
    assert_eq!(report.held_by_nobody, Duration::ZERO, "{report:#?}");
    Ok(())
}

fn mode_changed() -> Outcome {
    let cluster = Cluster::start(&["a", "b"])?;
    let meter = serve(&cluster)?;
    let start = Instant::now();
    let mut multicast = web();
    multicast["spec"]["advertisement"]["mode"] = json!("Multicast");
    for edit in [multicast, web()] {
        cluster.apply(&edit)?;
        let ready = cluster.console.wait_until_ready("web", "a", 2 * SETTLED)?;
        assert!(conditions::is_false(&ready, "SplitBrain"));
        cluster
            .console
            .wait_for_group("web", "nobody waits any more", SETTLED, |group| {
                conditions::is_false(group, "Reconciling")
            })?;
        thread::sleep(Duration::from_secs(1));
    }
    let report = meter.report_since(VIP, start);
    assert_eq!(report.held_twice, Duration::ZERO, "{report:#?}");
    assert_eq!(report.answered_by.len(), 1, "{report:#?}");
    Ok(())
}
