//! Everything that can be wrong with a probe, all at once, beside a good one.

use std::{
    fs,
    net::Ipv4Addr,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use holdfast_e2e::{
    capture::Capture,
    file_of,
    formula::MARGIN_BESIDE,
    pair::{PATIENCE, Scene},
    visitor::site,
};
use holdfast_lab::{Agent, Node, harness::Outcome, wait_until};

use crate::{
    INTERVAL, SECOND, SHOWN, became_active, pair, probe, probes, running, script,
    servers::{
        deaf_resolver, drip, drip_header, drop_packets_to, endless_body, endless_continue, endless_header,
        serve,
    },
    vip, wait_for_run, wait_until_gone, web,
};

/// The good one: three failures in a row, as often as a probe may be run.
const QUICK: &str = "  period: 100ms\n  timeout: 100ms\n  failureThreshold: 3\n  successThreshold: 2\n";
const DETECTION: Duration = Duration::from_millis(300);

/// Each with how its runs end and what they say.
const HOSTILE: &[(&str, &str, &str)] = &[
    ("hangs", "TimedOut", "had printed: waiting"),
    ("stubborn", "TimedOut", "had printed nothing"),
    ("floods", "Failed", "printed more than 1 MiB and was killed"),
    ("forks", "TimedOut", "was killed"),
    ("leaves-child", "Passed", "gone, and the pipe is held"),
    ("detaches", "Passed", "detached"),
    ("dropped", "TimedOut", "not connected"),
    ("nobody", "TimedOut", "not connected"),
    ("drips", "TimedOut", "the answer does not end"),
    ("drips-header", "TimedOut", "nothing was answered"),
    ("endless", "Failed", "body does not match"),
    ("endless-header", "Failed", "longer than 64 KiB"),
    ("endless-continue", "Failed", "does not end within 512 KiB"),
    ("endless-tcp", "Failed", "answer does not match"),
    ("unresolved", "TimedOut", "nobody.example has not been resolved"),
];

/// The processes that have ended and that the agent has not waited for.
fn zombies_of(agent: &Agent) -> usize {
    let parent = agent.process.pid().to_string();
    let is_zombie = |path: PathBuf| {
        let stat = fs::read_to_string(path).ok()?;
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        Some(fields.next()? == "Z" && fields.next()? == parent)
    };
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter(|entry| is_zombie(entry.path().join("stat")) == Some(true))
        .count()
}

fn hostile_probes(node: &Node) -> Vec<String> {
    let exec = |name: &str, lines: &str| script(node, name, lines).1;
    let handlers = [
        exec("hangs", "echo waiting; exec sleep 1000"),
        exec("stubborn", "trap '' TERM INT HUP; while :; do sleep 1000; done"),
        "exec: {command: [/usr/bin/yes]}".to_owned(),
        exec(
            "forks",
            "for i in 1 2 3 4 5 6 7 8; do (sleep 1000; :) & done; wait",
        ),
        exec(
            "leaves-child",
            "echo gone, and the pipe is held; sleep 1000 & exit 0",
        ),
        exec("detaches", "echo detached; setsid sleep 0.5 & exit 0"),
        "tcpSocket: {port: 9}".to_owned(),
        "tcpSocket: {host: 10.77.0.77, port: 80}".to_owned(),
        "httpGet: {port: 81}".to_owned(),
        "httpGet: {port: 82}".to_owned(),
        "httpGet: {port: 83, body: never}".to_owned(),
        "httpGet: {port: 84}".to_owned(),
        "httpGet: {port: 85}".to_owned(),
        "tcpSocket: {port: 83, send: x, expect: never}".to_owned(),
        "tcpSocket: {host: nobody.example, port: 80}".to_owned(),
    ];
    let named = HOSTILE.iter().zip(handlers);
    named
        .map(|((name, ..), handler)| probe(name, &handler, SHOWN))
        .collect()
}

/// The longest time between two advertisements of `from` among `(seconds, sender)`.
fn largest_gap(advertisements: &[Vec<String>], from: Ipv4Addr) -> Duration {
    let own = advertisements.iter().filter(|one| one[1] == from.to_string());
    let times: Vec<f64> = own.map(|one| one[0].parse().unwrap()).collect();
    assert!(times.len() > 100, "only {} advertisements of {from}", times.len());
    let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
    Duration::from_secs_f64(gaps.fold(0.0, f64::max))
}

pub fn hostile() -> Outcome {
    let scene = Scene::new()?;
    deaf_resolver(&scene);
    for node in [&scene.a, &scene.b] {
        drop_packets_to(node, 9)?;
        serve(node, 81, drip);
        serve(node, 82, drip_header);
        serve(node, 83, endless_body);
        serve(node, 84, endless_header);
        serve(node, 85, endless_continue);
    }
    let (on_a, _on_b) = (site(&scene.a)?, site(&scene.b)?);
    let mut pair = pair(scene, |node| {
        let mut all = hostile_probes(node);
        all.push(probe("good", "httpGet: {port: 80}", QUICK));
        web().spec(&probes(&all))
    })?;
    let agent = pair.on_a.agent()?;
    for (name, outcome, part) in HOSTILE {
        wait_for_run(agent, name, outcome, part)?;
    }
    pair.settle_on("a")?;

    let capture = Capture::start(&pair.scene.client)?;
    let start = Instant::now();
    thread::sleep(5 * SECOND);
    let report = pair.meter.report_since(vip(), start);
    assert!(
        report.answered_by.iter().all(|span| &*span.node == "a"),
        "{report:#?}"
    );
    assert_eq!(became_active(pair.on_b.agent()?)?, 0);
    let heard = capture.stop()?.packets("vrrp", &["frame.time_epoch", "ip.src"])?;
    let gap = largest_gap(&heard, pair.scene.a.ipv4());
    assert!(
        gap <= INTERVAL + Duration::from_millis(15) + report.noise(),
        "{gap:?} between two advertisements: {report:#?}"
    );

    // No more than a run at a time, and nothing of the runs before it.
    for (name, most) in [
        ("hangs", 1),
        ("stubborn", 2),
        ("forks", 17),
        ("leaves-child", 2),
        ("detaches", 12),
    ] {
        let left = running(&pair.scene.a, name);
        assert!(left.len() <= most, "{name}: {left:?}");
    }
    wait_until("programs are waited for as they end", PATIENCE, || {
        Ok(pair.on_a.agent().is_ok_and(|agent| zombies_of(agent) <= 2))
    })?;

    // The one that matters is heard in time among all the others.
    let mut on_a = Some(on_a);
    let reports = pair.measure("b", |_| {
        on_a.take().unwrap().process.kill()?;
        Ok(())
    })?;
    let takeover = reports[0].takeover.unwrap();
    assert_eq!(reports[0].held_by_nobody, Duration::ZERO, "{:#?}", reports[0]);
    assert!(
        (DETECTION / 2..=DETECTION + 2 * MARGIN_BESIDE).contains(&takeover),
        "{:#?}",
        reports[0]
    );

    // A probe that is removed takes everything along, and so does the last of them.
    let plain = file_of(&[web().priority(200)]);
    pair.on_a.agent()?.write_configuration(&plain)?;
    for (name, ..) in HOSTILE {
        wait_until_gone(&pair.scene.a, name)?;
    }
    wait_until("every program was waited for", PATIENCE, || {
        Ok(pair.on_a.agent().is_ok_and(|agent| zombies_of(agent) == 0))
    })?;
    Ok(())
}
