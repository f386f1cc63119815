//! Operators that end, return, and compete: what they say stays true, and no address moves for them.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

use std::{
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use holdfast_api::v1alpha1::{VirtualIPGroup, VirtualIPNode};
use holdfast_e2e::{
    Result,
    cluster::{Cluster, SETTLED, VIP, serve, web},
    pair::{PATIENCE, settle_on, unnoticed},
};
use holdfast_lab::{
    harness::{Case, Outcome, main as run},
    kubernetes::{ControlPlaneOptions, NAMESPACE, Operator, OperatorOptions},
    wait_until,
};
use serde_json::{Value, json};

/// How long a leader's Lease is good for.
const LEASE: Duration = Duration::from_secs(15);

fn main() -> std::process::ExitCode {
    let long = Duration::from_mins(3);
    run(&[
        Case::new("a_killed_operator_is_missed_by_nobody_but_the_status", killed).timeout(long),
        Case::new("of_two_operators_one_leads_and_a_thawed_one_writes_nothing", two).timeout(long),
        Case::new("nothing_is_written_while_nothing_changes_but_leases", quiet).timeout(long),
    ])
}

fn with_interval(interval: &str) -> Value {
    let mut group = web();
    group["spec"]["advertisement"]["interval"] = json!(interval);
    group
}

fn killed() -> Outcome {
    let mut cluster = Cluster::start(&["a", "b"])?;
    let meter = serve(&cluster)?;
    let start = Instant::now();
    cluster.operators.clear();
    cluster.apply(&with_interval("200ms"))?;
    thread::sleep(Duration::from_secs(2));
    cluster.start_operator(&OperatorOptions::default())?;
    let back = Instant::now();
    cluster.console.wait_until_ready("web", "a", LEASE + SETTLED)?;
    println!(
        "the edit was applied {:?} after the operator's return",
        back.elapsed()
    );
    unnoticed(&meter, VIP, start);

    // A failover that no operator saw is in the status when one is back.
    cluster.operators.clear();
    let stopped = cluster.agents.get_mut("a").unwrap().process.stop(PATIENCE)?;
    assert!(stopped.success(), "{stopped}");
    settle_on(&meter, &[VIP], "b")?;
    cluster.start_operator(&OperatorOptions::default())?;
    cluster
        .console
        .wait_for_group("web", "the status names b", LEASE + SETTLED, |group| {
            group
                .status
                .as_ref()
                .is_some_and(|status| status.active_node.as_deref() == Some("b"))
        })?;
    Ok(())
}

fn two() -> Outcome {
    let mut cluster = Cluster::without_programs(&["a", "b"], &ControlPlaneOptions::default())?;
    for (identity, port) in [("first", 8080), ("second", 8081)] {
        cluster.start_operator(&OperatorOptions {
            identity: Some(identity.to_owned()),
            port: Some(port),
            ..OperatorOptions::default()
        })?;
        wait_until("somebody leads", SETTLED, || Ok(leader(&cluster).is_some()))?;
    }
    assert_eq!(leader(&cluster).as_deref(), Some("first"));
    for node in ["a", "b"] {
        cluster.start_agent(node)?;
    }
    let meter = serve(&cluster)?;

    // The leader hangs for longer than its Lease, in the middle of its work.
    let start = Instant::now();
    cluster.operators[0].process.freeze()?;
    wait_until("the second one leads", 2 * LEASE, || {
        Ok(leader(&cluster).as_deref() == Some("second"))
    })?;
    println!("the second one led after {:?}", start.elapsed());
    cluster.apply(&with_interval("300ms"))?;
    cluster.console.wait_until_ready("web", "a", SETTLED)?;
    let before = generations(&cluster)?;

    // Thawed, it is a leader no more: it ends, and has written nothing.
    cluster.operators[0].process.thaw()?;
    let ended = cluster.operators[0].process.wait(SETTLED)?;
    println!("the first one ended: {ended}");
    thread::sleep(Duration::from_secs(2));
    assert_eq!(generations(&cluster)?, before);
    assert_eq!(leader(&cluster).as_deref(), Some("second"));
    cluster.console.wait_until_ready("web", "a", SETTLED)?;
    unnoticed(&meter, VIP, start);

    // A leader that is asked to end leaves at once, and the next one need not wait.
    cluster.start_operator(&OperatorOptions {
        identity: Some("third".to_owned()),
        ..OperatorOptions::default()
    })?;
    wait_until("the third one runs", SETTLED, || {
        Ok(listens(&cluster.operators[2]))
    })?;
    let start = Instant::now();
    let stopped = cluster.operators[1].process.stop(PATIENCE)?;
    assert!(stopped.success(), "{stopped}");
    wait_until("the third one leads", LEASE, || {
        Ok(leader(&cluster).as_deref() == Some("third"))
    })?;
    println!("the third one led after {:?}", start.elapsed());
    assert!(start.elapsed() < LEASE * 2 / 3, "the Lease was given back");
    Ok(())
}

/// Whether an operator answers for its metrics and health.
fn listens(operator: &Operator) -> bool {
    let address = operator.metrics_address();
    let asked = operator
        .node()
        .netns()
        .run(|| Ok(TcpStream::connect(address).is_ok()));
    asked.unwrap_or(false)
}

/// Who holds the operators' Lease.
fn leader(cluster: &Cluster) -> Option<String> {
    let lease = cluster
        .plane
        .get(&["lease", "holdfast-operator", "-n", NAMESPACE])
        .ok()?;
    let holder = lease["spec"]["holderIdentity"].as_str()?;
    (!holder.is_empty()).then(|| holder.to_owned())
}

/// How often the nodes' specs were changed.
fn generations(cluster: &Cluster) -> Result<Vec<Option<i64>>> {
    let of = |name: &str| -> Result<Option<i64>> { Ok(cluster.console.node(name)?.metadata.generation) };
    Ok(vec![of("a")?, of("b")?])
}

fn quiet() -> Outcome {
    let cluster = Cluster::start(&["a", "b"])?;
    let _meter = serve(&cluster)?;
    let (groups, nodes) = (
        cluster.console.record::<VirtualIPGroup>()?,
        cluster.console.record::<VirtualIPNode>()?,
    );
    // What there was to say at the start is said when nothing has been written for a while; what was written before is seen once
    // when a recording begins.
    wait_until("all is said", SETTLED, || {
        let start = Instant::now();
        thread::sleep(Duration::from_secs(3));
        Ok(groups.since(start).is_empty() && nodes.since(start).is_empty())
    })?;
    let start = Instant::now();
    thread::sleep(Duration::from_secs(25));
    assert_eq!(groups.since(start), [], "a group was written");
    assert_eq!(nodes.since(start), [], "a node was written");
    Ok(())
}
