//! What counts before a probe has an answer: wishes, starts, restarts, edits.

use std::{
    thread,
    time::{Duration, Instant},
};

use holdfast_e2e::{
    formula::LIFETIME,
    look,
    pair::{PATIENCE, Scene, settle_on, stays_on},
};
use holdfast_lab::{Node, harness::Outcome};

use crate::{SECOND, down, pair, probe, up, vip, wait_for, web};

pub fn placement() -> Outcome {
    let scene = Scene::new()?;
    for node in [&scene.a, &scene.b] {
        up(node, "service");
    }
    let group = |node: &Node, until: Option<jiff::Timestamp>| {
        let placed = until.map_or_else(String::new, |until| {
            format!("placement: {{preferredNode: b, until: \"{until}\"}}\n")
        });
        web().spec(&format!("{placed}probes:\n{}", probe(node, "service", "")))
    };
    let meter = scene.meter(&[vip()])?;
    let on_a = pair::agent(&scene.a, &[group(&scene.a, None).priority(200)])?;
    let on_b = pair::agent(&scene.b, &[group(&scene.b, None)])?;
    settle_on(&meter, &[vip()], "a")?;
    let start = Instant::now();
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(8);
    for (agent, node, priority) in [(&on_a, &scene.a, 200), (&on_b, &scene.b, 100)] {
        agent.write_configuration(&group(node, Some(until)).priority(priority).yaml())?;
    }
    settle_on(&meter, &[vip()], "b")?;
    let found = look::group(&on_b, "web")?;
    assert_eq!(
        found["priorityExplained"], "254 preferred by placement (100 base)",
        "{found:#}"
    );
    // The time is over, and nobody wrote anything.
    settle_on(&meter, &[vip()], "a")?;
    assert!(start.elapsed() < 3 * PATIENCE);
    assert_eq!(meter.report_since(vip(), start).held_by_nobody, Duration::ZERO);
    Ok(())
}

pub fn unknown_at_start() -> Outcome {
    let scene = Scene::new()?;
    let meter = scene.meter(&[vip()])?;
    up(&scene.b, "service");
    let group = |node: &Node| web().spec(&format!("probes:\n{}", probe(node, "service", "")));
    let on_b = pair::agent(&scene.b, &[group(&scene.b)])?;
    settle_on(&meter, &[vip()], "b")?;
    look::wait_for_group(&on_b, "web", "it passes", PATIENCE, |group| {
        group["probes"][0]["verdict"] == "Passing"
    })?;
    // The better node comes, and nobody knows yet whether its service runs: it does not.
    let on_a = pair::agent(&scene.a, &[group(&scene.a).priority(200)])?;
    stays_on(&meter, vip(), "b", 2 * SECOND)?;
    look::wait_for_group(&on_a, "web", "it fails", PATIENCE, |group| {
        group["probes"][0]["verdict"] == "Failing"
    })?;
    up(&scene.a, "service");
    settle_on(&meter, &[vip()], "a")
}

pub fn unknown_after_restart() -> Outcome {
    let make = |node: &Node| {
        let slow = "initialDelay: 3s";
        web()
            .interval(SECOND)
            .spec(&format!("probes:\n{}", probe(node, "service", slow)))
    };
    let mut pair = pair(make)?;
    look::wait_until_noted(pair.on_a.agent()?, "web", PATIENCE)?;
    let killed = Instant::now();
    pair.on_a.process().kill()?;
    let again = pair::agent(&pair.scene.a, &[make(&pair.scene.a).priority(200)])?;
    let group = look::wait_for_state(&again, "web", "Active", PATIENCE)?;
    assert_eq!(group["lastTransition"]["reason"], "Resumed", "{group:#}");
    thread::sleep((LIFETIME + 2 * SECOND).saturating_sub(killed.elapsed()));
    let report = pair.meter.report_since(vip(), killed);
    assert_eq!(
        (report.held_by_nobody, report.held_twice),
        (Duration::ZERO, Duration::ZERO),
        "{report:#?}"
    );
    // Believing has an end.
    down(&pair.scene.a, "service");
    settle_on(&pair.meter, &[vip()], "b")
}

pub fn added() -> Outcome {
    let pair = pair(|node| web().spec(&format!("probes:\n{}", probe(node, "service", ""))))?;
    let start = Instant::now();
    let (a, agent) = (&pair.scene.a, pair.on_a.agent()?);
    up(a, "second");
    let edited = web().priority(200).spec(&format!(
        "probes:\n{}{}",
        probe(a, "service", ""),
        probe(a, "second", "initialDelay: 1s")
    ));
    agent.write_configuration(&edited.yaml())?;
    wait_for(&pair.on_a, "the second is known", |group| {
        group["probes"][1]["verdict"] == "Passing"
    })?;
    let report = pair.meter.report_since(vip(), start);
    assert_eq!(report.answered_by.len(), 1, "{report:#?}");
    down(a, "second");
    settle_on(&pair.meter, &[vip()], "b")
}

pub fn own_address() -> Outcome {
    let scene = Scene::new()?;
    let group = web().spec("probes:\n- name: mine\n  tcpSocket: {host: 10.77.0.100, port: 80}\n");
    let error = pair::agent(&scene.a, &[group]).unwrap_err().to_string();
    assert!(
        error.contains("spec.probes[0].tcpSocket.host") && error.contains("swings"),
        "{error}"
    );
    Ok(())
}
