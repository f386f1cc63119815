//! Edits of groups and of the nodes that share in them: what they ask for moves, and nothing else.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use holdfast_api::v1alpha1::{MemberState, VirtualIPGroup};
use holdfast_e2e::{
    cluster::{LABEL, SETTLED, VIP, conditions, group, serving, web},
    pair::{PATIENCE, seamless, settle_on, unnoticed},
};
use holdfast_lab::{
    harness::{Case, Outcome, main as run},
    wait_until,
};
use serde_json::{Value, json};

/// For how long two nodes have an address while one hands it to the other.
const HANDOVER: Duration = Duration::from_millis(300);

fn main() -> std::process::ExitCode {
    let long = Duration::from_mins(3);
    run(&[
        Case::new("an_edit_moves_what_it_asks_for_and_nothing_else", edited).timeout(long),
        Case::new("a_refused_edit_changes_nothing_and_says_why", refused).timeout(long),
        Case::new("a_node_that_loses_its_label_hands_over_and_leaves", deselected).timeout(long),
    ])
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn edited() -> Outcome {
    let (cluster, meter) = serving()?;
    let since = |group: &VirtualIPGroup| group.status.as_ref().unwrap().members[0].since.clone();
    let before = since(&cluster.console.group("web")?);

    // What may be changed under a client's hands.
    let mut spec = web();
    let edits: [(&str, Value); 5] = [
        ("/spec/advertisement/interval", json!("200ms")),
        ("/spec/preemption", json!({"type": "Delayed", "delay": "1s"})),
        ("/spec/nodeOverrides/0/priority", json!(150)),
        (
            "/spec/addresses",
            json!([{"address": "10.77.0.100/24"}, {"address": "10.77.0.101/24"}]),
        ),
        ("/spec/addresses", json!([{"address": "10.77.0.100/24"}])),
    ];
    for (field, value) in edits {
        let start = Instant::now();
        set(&mut spec, field, value);
        cluster.apply(&spec)?;
        let ready = cluster.console.wait_until_ready("web", "a", SETTLED)?;
        println!(
            "{field}: applied on all nodes and Ready after {:?}",
            start.elapsed()
        );
        assert_eq!(since(&ready), before, "{field}: {}", conditions::describe(&ready));
        unnoticed(&meter, VIP, start);
        if field == "/spec/addresses" {
            let second = spec["spec"]["addresses"][1].is_object();
            wait_until("the second address came or went", PATIENCE, || {
                let a = cluster.node("a").ok();
                Ok(a.is_some_and(|a| a.holds(ip("10.77.0.101")).ok() == Some(second)))
            })?;
        }
    }
    // A label of a node, and an annotation, are nobody's business here.
    let start = Instant::now();
    cluster
        .plane
        .kubectl(&["label", "node", "a", "b", "vip.example.com/other=x"])?;
    cluster.plane.kubectl(&["annotate", "vipg", "web", "note=x"])?;
    std::thread::sleep(Duration::from_secs(1));
    unnoticed(&meter, VIP, start);

    // What asks to move, moves, and without a hole.
    let start = Instant::now();
    set(&mut spec, "/spec/preemption", json!({"type": "Immediate"}));
    set(&mut spec, "/spec/nodeOverrides/0/nodes", json!(["b"]));
    cluster.apply(&spec)?;
    let moved = cluster.console.wait_until_ready("web", "b", SETTLED)?;
    settle_on(&meter, &[VIP], "b")?;
    let report = meter.report_since(VIP, start);
    assert_eq!(report.held_by_nobody, Duration::ZERO, "{report:#?}");
    seamless(&report);
    let transition = moved.status.unwrap().last_transition.unwrap();
    assert_eq!(
        (transition.from.as_deref(), transition.to.as_deref()),
        (Some("a"), Some("b")),
        "{transition:?}"
    );

    // Another virtual router: its election is held anew, and at no time do two serve that do not hear each other.
    let start = Instant::now();
    set(&mut spec, "/spec/virtualRouterID", json!(77));
    cluster.apply(&spec)?;
    cluster.console.wait_until_ready("web", "b", SETTLED)?;
    settle_on(&meter, &[VIP], "b")?;
    let report = meter.report_since(VIP, start);
    println!(
        "another identifier: nobody answered for {:?}",
        report.longest_silence
    );
    assert!(report.held_twice < HANDOVER, "{report:#?}");
    Ok(())
}

fn refused() -> Outcome {
    let (cluster, meter) = serving()?;
    let start = Instant::now();
    // The API server refuses what one object decides, and names the field.
    let mut wrong = web();
    set(&mut wrong, "/spec/addresses/0/address", json!("10.77.0.300/24"));
    let said = cluster.apply(&wrong).unwrap_err().to_string();
    assert!(said.contains("spec.addresses"), "{said}");

    // The operator refuses what only it can know. The older group is not disturbed; ages are told in seconds.
    std::thread::sleep(Duration::from_millis(1100));
    let taken = group("more", &["10.77.0.100/24"]);
    cluster.apply(&taken)?;
    let more = cluster
        .console
        .wait_for_group("more", "the newer group is refused", SETTLED, |group| {
            conditions::is_false(group, "Accepted")
        })?;
    assert_eq!(conditions::reason(&more, "Accepted"), "AddressConflict");
    let message = conditions::message(&more, "Accepted");
    assert!(
        message.contains("web") && message.contains("10.77.0.100"),
        "{message}"
    );
    assert!(conditions::is_true(&more, "Stalled") && conditions::is_false(&more, "Ready"));

    // An edit that is refused leaves what ran.
    let mut edit = web();
    set(
        &mut edit,
        "/spec/nodeSelector/matchLabels",
        json!({"no-node": "has-this"}),
    );
    cluster.apply(&edit)?;
    let stalled = cluster
        .console
        .wait_for_group("web", "the edit is refused", SETTLED, |group| {
            conditions::is_current(group) && conditions::is_false(group, "Accepted")
        })?;
    assert_eq!(conditions::reason(&stalled, "Accepted"), "NoNodeMatches");
    assert!(conditions::is_false(&stalled, "Ready"));
    std::thread::sleep(Duration::from_secs(1));
    // What it has it keeps: nobody else gets the address that its former generation runs with.
    let more = cluster.console.group("more")?;
    assert!(
        conditions::is_false(&more, "Accepted"),
        "{}",
        conditions::describe(&more)
    );
    unnoticed(&meter, VIP, start);

    cluster.apply(&web())?;
    cluster.console.wait_until_ready("web", "a", SETTLED)?;
    unnoticed(&meter, VIP, start);
    Ok(())
}

fn deselected() -> Outcome {
    let (cluster, meter) = serving()?;
    let start = Instant::now();
    let (key, value) = LABEL;
    cluster
        .plane
        .kubectl(&["label", "node", "a", &format!("{key}-")])?;
    cluster
        .console
        .wait_for_group("web", "a has left and b is Ready", SETTLED, |group| {
            conditions::members(group) == [("b", MemberState::Active)]
                && conditions::active_node(group) == Some("b")
                && conditions::is_true(group, "Ready")
        })?;
    settle_on(&meter, &[VIP], "b")?;
    let report = meter.report_since(VIP, start);
    assert_eq!(report.held_by_nobody, Duration::ZERO, "handed over: {report:#?}");
    cluster.wait_until_forgotten("a", "web")?;

    let start = Instant::now();
    cluster
        .plane
        .kubectl(&["label", "node", "a", &format!("{key}={value}")])?;
    cluster.console.wait_until_ready("web", "a", SETTLED)?;
    settle_on(&meter, &[VIP], "a")?;
    let report = meter.report_since(VIP, start);
    assert_eq!(report.held_by_nobody, Duration::ZERO, "taken back: {report:#?}");
    Ok(())
}

/// Sets the field at a JSON pointer, whose last part need not exist yet.
fn set(object: &mut Value, pointer: &str, value: Value) {
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let parent = object.pointer_mut(parent).unwrap();
    match parent {
        Value::Array(list) => list[field.parse::<usize>().unwrap()] = value,
        other => other[field] = value,
    }
}
