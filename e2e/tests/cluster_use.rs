//! What a user of the cluster does: applies groups, looks at them, and deletes them.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

use std::{
    collections::BTreeSet,
    net::IpAddr,
    path::Path,
    time::{Duration, Instant},
};

use holdfast_api::v1alpha1::MemberState;
use holdfast_e2e::{
    Result,
    cluster::{Cluster, SETTLED, VIP, conditions, group, serving, web},
    look,
    pair::{PATIENCE, settle_on, unnoticed},
};
use holdfast_lab::{
    Agent,
    harness::{Case, Outcome, main as run},
    kubernetes::{ControlPlaneOptions, OperatorOptions},
    wait_until,
};
use serde_json::{Value, json};

fn main() -> std::process::ExitCode {
    let long = Duration::from_mins(3);
    run(&[
        Case::new("an_applied_group_is_served_and_says_so_to_a_person", applied).timeout(long),
        Case::new("a_deleted_group_leaves_nothing_behind", deleted).timeout(long),
        Case::new(
            "a_group_that_carries_the_api_endpoint_is_not_deleted_by_mistake",
            protected,
        )
        .timeout(long),
        Case::new("fifty_groups_at_once_are_served_and_deleted", fifty).timeout(long),
    ])
}

fn applied() -> Outcome {
    let cluster = Cluster::start(&["a", "b"])?;
    let meter = cluster.meter(&[VIP])?;
    let start = Instant::now();
    cluster.apply(&web())?;
    let applied = start.elapsed();
    meter.wait_for_answer(VIP, "a", SETTLED)?;
    let answered = start.elapsed();
    cluster.console.wait_until_ready("web", "a", SETTLED)?;
    println!(
        "applied in {applied:?}, a client has an answer after {answered:?}, Ready after {:?}",
        start.elapsed()
    );

    let what = "all have said what they are";
    let ready = cluster.console.wait_for_group("web", what, SETTLED, |group| {
        let wrong = ["Degraded", "SplitBrain", "Reconciling", "Stalled"];
        conditions::members(group) == [("a", MemberState::Active), ("b", MemberState::Backup)]
            && conditions::is_true(group, "Ready")
            && wrong.iter().all(|kind| conditions::is_false(group, kind))
    })?;
    let status = ready.status.as_ref().unwrap();
    assert_eq!(status.members[0].effective_priority, Some(200));
    assert!(conditions::is_true(&ready, "Accepted"));
    let transition = status.last_transition.as_ref().unwrap();
    assert_eq!(transition.to.as_deref(), Some("a"));

    // The identifier was written once, by somebody who says so.
    let id = ready.spec.virtual_router_id.unwrap();
    assert!((1..=255).contains(&id), "{id}");
    let writers = cluster.plane.get(&["vipg", "web", "--show-managed-fields"])?["metadata"]["managedFields"]
        .to_string();
    assert!(writers.contains("holdfast-allocator"), "{writers}");

    as_a_person_reads_it(&cluster, id)?;
    settle_on(&meter, &[VIP], "a")
}

fn as_a_person_reads_it(cluster: &Cluster, id: i32) -> Outcome {
    let kubectl = |line: &str| {
        cluster
            .plane
            .kubectl(&line.split_whitespace().collect::<Vec<_>>())
    };
    let listed = kubectl("get vipg")?;
    let header = listed.lines().next().unwrap_or_default();
    let row: Vec<_> = listed
        .lines()
        .nth(1)
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    for column in ["NAME", "ADDRESSES", "ACTIVE", "READY", "VRID", "AGE"] {
        assert!(header.contains(column), "{listed}");
    }
    for cell in ["web", "10.77.0.100", "a", "True", &id.to_string()] {
        assert!(row.contains(&cell), "{cell}: {listed}");
    }
    let wide = kubectl("get vipg -o wide")?;
    assert!(wide.len() > listed.len(), "{wide}");
    println!("{wide}");
    for condition in ["Ready", "SplitBrain=false", "Stalled=false"] {
        kubectl(&format!("wait --for=condition={condition} --timeout=5s vipg/web"))?;
    }
    let described = kubectl("describe vipg web")?;
    for word in ["Active Node:", "Last Transition Time:", "Reason:", "Members:"] {
        assert!(described.contains(word), "{word} is not in {described}");
    }
    for field in [
        "vipg.spec.preemption.type",
        "vipg.spec.addresses.address",
        "vipg.status.activeNode",
        "vipn.spec.groups",
    ] {
        // What is explained is published some time after the definition.
        let mut explained = String::new();
        wait_until("kubectl explains it", SETTLED, || {
            explained = kubectl(&format!("explain {field}")).unwrap_or_default();
            Ok(!explained.is_empty())
        })?;
        let (_, text) = explained.split_once("DESCRIPTION:").unwrap_or_default();
        assert!(text.split_whitespace().count() > 4, "{explained}");
    }
    let nodes = kubectl("get vipn")?;
    let row = |line: usize| nodes.lines().nth(line).unwrap_or_default().split_whitespace();
    assert!(
        row(0).eq(["NAME", "GROUPS", "ACTIVE", "PROBLEM", "AGE"]),
        "{nodes}"
    );
    assert!(row(1).take(3).eq(["a", "web", "web"]), "{nodes}");
    assert!(row(2).take(2).eq(["b", "web"]), "{nodes}");
    Ok(())
}

fn deleted() -> Outcome {
    let (mut cluster, meter) = serving()?;
    let start = Instant::now();
    cluster
        .plane
        .kubectl(&["delete", "vipg", "web", "--timeout=20s"])?;
    println!("deleted after {:?}", start.elapsed());
    meter.wait_for_holders(VIP, &[], PATIENCE)?;
    let report = meter.report_since(VIP, start);
    assert!(
        report.answered_by.iter().all(|span| *span.node == *"a"),
        "nobody takes over on the way out: {report:#?}"
    );
    for node in ["a", "b"] {
        cluster.wait_until_forgotten(node, "web")?;
    }
    // The name is free again, and so is the address.
    cluster.apply(&web())?;
    cluster.console.wait_until_ready("web", "a", SETTLED)?;
    settle_on(&meter, &[VIP], "a")?;

    // An agent that ends keeps what it was told for the next one, until all of it has been taken back.
    let folders = |agent: &Agent| [agent.cache_folder(), agent.run_folder().to_owned()];
    let [cache, run] = folders(cluster.agent("b")?);
    stop(&mut cluster, "b")?;
    assert_eq!(files_in(&cache)?, ["node.json", "secrets.json"]);
    assert_eq!(files_in(&run)?, NOTHING);
    cluster.start_agent("b")?;
    look::wait_for_state(cluster.agent("b")?, "web", "Backup", PATIENCE)?;
    cluster
        .plane
        .kubectl(&["delete", "vipg", "web", "--timeout=20s"])?;
    for node in ["a", "b"] {
        let folders = folders(cluster.agent(node)?);
        stop(&mut cluster, node)?;
        for folder in folders {
            assert_eq!(files_in(&folder)?, NOTHING, "{} of {node}", folder.display());
        }
    }
    Ok(())
}

const NOTHING: [&str; 0] = [];

fn stop(cluster: &mut Cluster, node: &str) -> Outcome {
    let agent = cluster.agents.get_mut(node).unwrap();
    assert!(agent.process.stop(PATIENCE)?.success());
    Ok(())
}

fn files_in(folder: &Path) -> Result<Vec<String>> {
    let mut names = std::fs::read_dir(folder)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

fn protected() -> Outcome {
    let mut cluster = Cluster::without_programs(&["a", "b"], &ControlPlaneOptions::default())?;
    cluster.start_operator(&OperatorOptions {
        arguments: vec!["--api-endpoint".to_owned(), VIP.to_string()],
        ..OperatorOptions::default()
    })?;
    for node in ["a", "b"] {
        cluster.start_agent(node)?;
    }
    let meter = cluster.meter(&[VIP])?;
    cluster.apply(&web())?;
    cluster.console.wait_until_ready("web", "a", SETTLED)?;
    settle_on(&meter, &[VIP], "a")?;
    let start = Instant::now();
    cluster
        .plane
        .kubectl(&["delete", "vipg", "web", "--wait=false"])?;
    let kept = cluster
        .console
        .wait_for_group("web", "its deletion is held", SETTLED, |group| {
            conditions::reason(group, "Stalled") == "DeletionProtected"
        })?;
    let message = conditions::message(&kept, "Stalled");
    assert!(message.contains("vip.holdfast.dev/allow-delete"), "{message}");
    std::thread::sleep(Duration::from_secs(2));
    unnoticed(&meter, VIP, start);
    cluster
        .plane
        .kubectl(&["annotate", "vipg", "web", "vip.holdfast.dev/allow-delete=true"])?;
    meter.wait_for_holders(VIP, &[], SETTLED)?;
    wait_until("the group is gone", SETTLED, || {
        Ok(cluster.console.group("web").is_err())
    })?;
    Ok(())
}

fn fifty() -> Outcome {
    const COUNT: u8 = 50;
    let cluster = Cluster::start(&["a", "b"])?;
    let names: Vec<String> = (1..=COUNT).map(|number| format!("group-{number}")).collect();
    let groups: Vec<Value> = names
        .iter()
        .zip(101_u8..)
        .map(|(name, last)| group(name, &[&format!("10.77.0.{last}/24")]))
        .collect();
    let start = Instant::now();
    cluster.apply(&json!({"apiVersion": "v1", "kind": "List", "items": groups}))?;
    let applied = start.elapsed();
    let mut ids = BTreeSet::new();
    for name in &names {
        let ready = cluster.console.wait_for_group(
            name,
            &format!("{name} is Ready"),
            Duration::from_secs(40),
            |group| conditions::is_current(group) && conditions::is_true(group, "Ready"),
        )?;
        ids.insert(ready.spec.virtual_router_id.unwrap());
    }
    println!(
        "{COUNT} groups applied in {applied:?}, all Ready after {:?}",
        start.elapsed()
    );
    assert_eq!(ids.len(), usize::from(COUNT), "each has an identifier of its own");
    let held = |node: &str| -> Result<BTreeSet<IpAddr>> {
        let addresses = cluster
            .node(node)?
            .addresses()?
            .into_iter()
            .map(|held| held.address);
        Ok(addresses
            .filter(|address| (101..=150).any(|last| *address == IpAddr::from([10, 77, 0, last])))
            .collect())
    };
    // Who has yielded lets go a moment later.
    wait_until("one node alone holds each address", PATIENCE, || {
        let both = held("a").and_then(|on_a| Ok((on_a, held("b")?)));
        Ok(both.is_ok_and(|(on_a, on_b)| {
            on_a.len() + on_b.len() == usize::from(COUNT) && on_a.is_disjoint(&on_b)
        }))
    })?;
    for node in ["a", "b"] {
        let generation = cluster
            .console
            .node(node)?
            .metadata
            .generation
            .unwrap_or_default();
        println!("{node} was written {generation} times");
        assert!(
            generation <= i64::from(COUNT) * 2,
            "{node} was written {generation} times"
        );
    }

    let start = Instant::now();
    cluster
        .plane
        .kubectl(&["delete", "vipg", "--all", "--timeout=60s"])?;
    println!("all deleted after {:?}", start.elapsed());
    wait_until("nobody holds any of them", PATIENCE, || {
        let all = held("a").and_then(|on_a| Ok((on_a, held("b")?)));
        Ok(all.is_ok_and(|(on_a, on_b)| on_a.is_empty() && on_b.is_empty()))
    })?;
    Ok(())
}
