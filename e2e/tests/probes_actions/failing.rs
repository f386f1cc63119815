//! Nodes that are held back or leave the election, alone and all at once, under each kind of preemption.

use std::{
    thread,
    time::{Duration, Instant},
};

use holdfast_e2e::{
    Group, look,
    pair::{PATIENCE, settle_on, stays_on},
};
use holdfast_lab::{Node, harness::Outcome};

use crate::{SECOND, down, moves, pair, probe, up, vip, wait_for, web};

pub fn fault() -> Outcome {
    let mut pair = pair(|node| {
        let action = "onFailure: {type: Fault}";
        web().spec(&format!("probes:\n{}", probe(node, "service", action)))
    })?;
    moves(&mut pair, "b", |pair| down(&pair.scene.a, "service"))?;
    let group = look::wait_for_faults(pair.on_a.agent()?, "web", &["ProbeFailed"], PATIENCE)?;
    let sentence = group["faults"][0]["message"].as_str().unwrap();
    assert!(
        sentence.contains("service") && sentence.contains("2 of 2"),
        "{sentence}"
    );
    moves(&mut pair, "a", |pair| up(&pair.scene.a, "service"))
}

pub fn all_fail_with_hold() -> Outcome {
    let mut pair = pair(|node| web().spec(&format!("probes:\n{}", probe(node, "service", ""))))?;
    let start = Instant::now();
    down(&pair.scene.a, "service");
    down(&pair.scene.b, "service");
    for router in [&pair.on_a, &pair.on_b] {
        wait_for(router, "it fails", |group| {
            group["probes"][0]["verdict"] == "Failing"
        })?;
    }
    pair.settle_on("a")?;
    stays_on(&pair.meter, vip(), "a", SECOND)?;
    assert_eq!(
        pair.meter.report_since(vip(), start).held_by_nobody,
        Duration::ZERO
    );
    // The first that is well again serves, be it the worse one.
    moves(&mut pair, "b", |pair| up(&pair.scene.b, "service"))?;
    moves(&mut pair, "a", |pair| up(&pair.scene.a, "service"))
}

pub fn all_fail_with_fault() -> Outcome {
    let pair = pair(|node| {
        web().spec(&format!(
            "probes:\n{}",
            probe(node, "service", "onFailure: {type: Fault}")
        ))
    })?;
    down(&pair.scene.a, "service");
    down(&pair.scene.b, "service");
    pair.meter.wait_for_holders(vip(), &[], PATIENCE)?;
    up(&pair.scene.b, "service");
    settle_on(&pair.meter, &[vip()], "b")
}

pub fn hold_under_never() -> Outcome {
    let mut pair = pair(|node| {
        web()
            .never_preempt()
            .spec(&format!("probes:\n{}", probe(node, "service", "")))
    })?;
    moves(&mut pair, "b", |pair| down(&pair.scene.a, "service"))?;
    up(&pair.scene.a, "service");
    wait_for(&pair.on_a, "well again", |group| {
        group["effectivePriority"] == 200
    })?;
    stays_on(&pair.meter, vip(), "b", SECOND)?;
    moves(&mut pair, "a", |pair| down(&pair.scene.b, "service"))
}

const DELAY: Duration = Duration::from_secs(2);

fn delayed(node: &Node) -> Group {
    web()
        .preempt_after(DELAY)
        .spec(&format!("probes:\n{}", probe(node, "service", "")))
}

pub fn back_after_delay() -> Outcome {
    let mut pair = pair(delayed)?;
    moves(&mut pair, "b", |pair| down(&pair.scene.a, "service"))?;
    let well = Instant::now();
    moves(&mut pair, "a", |pair| up(&pair.scene.a, "service"))?;
    assert!(well.elapsed() >= DELAY, "{:?}", well.elapsed());
    Ok(())
}

pub fn delay_starts_again() -> Outcome {
    let mut pair = pair(|node| delayed(node).spec("flapDamping: {changes: 0}"))?;
    moves(&mut pair, "b", |pair| down(&pair.scene.a, "service"))?;
    up(&pair.scene.a, "service");
    thread::sleep(DELAY / 2);
    down(&pair.scene.a, "service");
    wait_for(&pair.on_a, "it fails again", |group| {
        group["probes"][0]["verdict"] == "Failing"
    })?;
    let well = Instant::now();
    moves(&mut pair, "a", |pair| up(&pair.scene.a, "service"))?;
    assert!(well.elapsed() >= DELAY, "{:?}", well.elapsed());
    Ok(())
}
