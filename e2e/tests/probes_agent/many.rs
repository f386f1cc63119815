//! Many probes, and more than the agent has descriptors for.

use std::{
    fmt::Write as _,
    fs,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use holdfast_e2e::{
    Group, Pair, Result, Router, file_of,
    pair::{PATIENCE, Scene, unnoticed},
    visitor::site,
};
use holdfast_lab::{Agent, AgentOptions, agent, harness::Outcome, wait_until};

use crate::{
    SECOND, SHOWN, became_active, probe, probes,
    servers::{deaf_resolver, drip, drop_packets_to, serve},
    set_mode, vip, wait_for_run, web,
};

/// What one agent takes.
#[derive(Clone, Copy, Debug)]
struct Taken {
    processor: Duration,
    resident: u64,
    threads: u64,
    descriptors: usize,
}

fn taken_by(agent: &Agent) -> Result<Taken> {
    let process = PathBuf::from(format!("/proc/{}", agent.process.pid()));
    let status = fs::read_to_string(process.join("status"))?;
    let number = |field: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap()
    };
    let stat = fs::read_to_string(process.join("stat"))?;
    // The 14th to 17th field: its own time and that of the programs it has waited for, in hundredths of a second.
    let times = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .skip(11)
        .take(4);
    let ticks: u64 = times.map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Ok(Taken {
        processor: Duration::from_millis(ticks * 10),
        resident: number("VmRSS:") << 10,
        threads: number("Threads:"),
        descriptors: fs::read_dir(process.join("fd"))?.count(),
    })
}

/// Sixteen of all kinds, among them what hangs; one is a program, of which a run costs what a process costs.
fn sixteen() -> String {
    let kinds = [
        ("refused", "tcpSocket: {port: 1}", 4),
        ("dropped", "tcpSocket: {port: 9}", 2),
        ("dripping", "httpGet: {port: 81}", 1),
        ("served", "httpGet: {port: 80}", 3),
        ("file", "file: {path: /etc/passwd}", 3),
        ("process", "process: {name: nginx}", 1),
        ("program", "exec: {command: [/bin/true]}", 1),
        ("unresolved", "httpGet: {host: nobody.example, port: 80}", 1),
    ];
    let mut all = String::from("probes:\n");
    for (name, handler, count) in kinds {
        for number in 0..count {
            write!(all, "{}", probe(&format!("{name}-{number}"), handler, SHOWN)).unwrap();
        }
    }
    all
}

pub fn many() -> Outcome {
    let scene = Scene::new()?;
    deaf_resolver(&scene);
    for node in [&scene.a, &scene.b] {
        drop_packets_to(node, 9)?;
        serve(node, 81, drip);
    }
    let _on_a = site(&scene.a)?;
    let mut groups = vec![web().priority(200).spec(&sixteen())];
    for number in 1..10 {
        let group = Group::new(&format!("group-{number}"), number);
        groups.push(group.address(&format!("10.79.0.{number}/32")).spec(&sixteen()));
    }
    let pair = Pair::start(
        scene,
        &[vip()],
        |a| Router::holdfast(a, &groups),
        |b| Router::holdfast(b, &[web()]),
    )?;
    let on_a = pair.on_a.agent()?;
    for (name, outcome) in [
        ("refused-3", "Failed"),
        ("served-2", "Passed"),
        ("unresolved-0", "TimedOut"),
    ] {
        wait_for_run(on_a, name, outcome, "")?;
    }
    let start = Instant::now();
    let before = taken_by(on_a)?;
    for _ in 0..10 {
        thread::sleep(SECOND);
        let asked = Instant::now();
        let status = on_a.status()?;
        assert!(asked.elapsed() < SECOND, "the status took {:?}", asked.elapsed());
        assert_eq!(status["groups"].as_array().unwrap().len(), 10);
    }
    let after = taken_by(on_a)?;
    let share =
        after.processor.saturating_sub(before.processor).as_secs_f64() / start.elapsed().as_secs_f64();
    assert!(share < 1.0, "{share:.2} of a processor: {before:?}, {after:?}");
    assert!(after.resident < 100 << 20, "{after:?}");
    assert!(
        after.resident < before.resident + (10 << 20),
        "{before:?}, {after:?}"
    );
    // Each name that hangs has a thread.
    assert!(after.threads < 100, "{after:?}");
    assert!(after.descriptors < 300, "{after:?}");
    let report = pair.meter.report_since(vip(), start);
    assert!(
        report.answered_by.iter().all(|span| &*span.node == "a"),
        "{report:#?}"
    );
    assert_eq!(became_active(pair.on_b.agent()?)?, 0);
    Ok(())
}

/// More connections hang than there are descriptors. What serves has had its own since its start.
pub fn no_descriptors() -> Outcome {
    const MOST: usize = 64;
    let scene = Scene::new()?;
    drop_packets_to(&scene.a, 9)?;
    let wrapper = scene.a.folder().join("few-descriptors");
    let binary = agent::agent_binary()?;
    let lines = format!("#!/bin/sh\nulimit -n {MOST}\nexec {} \"$@\"\n", binary.display());
    fs::write(&wrapper, lines)?;
    set_mode(&wrapper, 0o755);
    let hangs = "  period: 100ms\n  timeout: 1m\n  onFailure: {type: None}\n";
    let groups: Vec<Group> = (0..6)
        .map(|number| {
            let all = (0..16).map(|number| probe(&format!("hangs-{number}"), "tcpSocket: {port: 9}", hangs));
            let group = if number == 0 {
                web().priority(200)
            } else {
                let other = Group::new(&format!("group-{number}"), number);
                other.address(&format!("10.79.0.{number}/32"))
            };
            group.spec(&probes(&all.collect::<Vec<_>>()))
        })
        .collect();
    let options = AgentOptions {
        binary: Some(wrapper),
        ..AgentOptions::default()
    };
    let mut pair = Pair::start(
        scene,
        &[vip()],
        |a| Ok(Router::Holdfast(Agent::start(a, &file_of(&groups), &options)?)),
        |b| {
            thread::sleep(SECOND);
            Router::holdfast(b, &[web()])
        },
    )?;
    let on_a = pair.on_a.agent()?;
    let start = Instant::now();
    wait_until("it says what is missing", PATIENCE, || {
        Ok(on_a
            .process
            .log()?
            .contains("could not be run: too many open files"))
    })?;
    let before = taken_by(on_a)?;
    thread::sleep(3 * SECOND);
    let spent = taken_by(on_a)?.processor.checked_sub(before.processor).unwrap();
    assert!(spent < 2 * SECOND, "{spent:?} within 3 s");
    unnoticed(&pair.meter, vip(), start);
    assert_eq!(became_active(pair.on_b.agent()?)?, 0);
    // Nor does it take a descriptor to hand over.
    let report = pair
        .measure("b", |pair| {
            let status = pair.stop_a()?;
            assert!(status.success(), "{status}");
            Ok(())
        })?
        .remove(0);
    assert_eq!(report.held_by_nobody, Duration::ZERO, "{report:#?}");
    Ok(())
}
