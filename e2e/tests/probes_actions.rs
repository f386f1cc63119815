//! What a failing probe does to its node: held back behind the others, out of the election, a lower priority; healed first,
//! counted with others, moved with others. Files stand for services here: they fail and pass at one stroke.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

use std::{
    fs,
    net::IpAddr,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use holdfast_e2e::{
    Group, Pair, Result, Router,
    formula::LIFETIME,
    look,
    pair::{self, PATIENCE, Scene, settle_on, stays_on},
};
use holdfast_lab::{
    Node,
    harness::{Case, Outcome, main as run},
};
use serde_json::Value;

const SECOND: Duration = Duration::from_secs(1);
const TIMING: &str = "  period: 100ms\n  timeout: 100ms\n  failureThreshold: 2\n  successThreshold: 2\n";

fn main() -> std::process::ExitCode {
    run(&[
        Case::new(
            "a_weight_moves_the_address_and_back_and_is_explained_as_a_sum",
            weight,
        ),
        Case::new("a_positive_weight_is_lost_by_failing", positive_weight),
        Case::new(
            "a_weight_moves_the_address_under_never_too_and_not_back",
            weight_under_never,
        ),
        Case::new("a_fault_leaves_the_election_without_a_hole", fault),
        Case::new("when_all_fail_the_best_of_them_serves_on", all_fail_with_hold),
        Case::new("when_all_fail_with_fault_nobody_serves", all_fail_with_fault),
        Case::new(
            "a_healthy_backup_takes_over_from_a_failing_node_under_never",
            hold_under_never,
        ),
        Case::new(
            "a_recovered_node_comes_back_after_the_delay_and_not_before",
            back_after_delay,
        ),
        Case::new(
            "a_delay_starts_again_when_the_better_node_falters",
            delay_starts_again,
        ),
        Case::new("a_service_that_is_healed_in_time_moves_nothing", healed),
        Case::new("a_node_is_given_up_when_healing_was_in_vain", not_healed),
        Case::new("two_of_three_are_enough_and_one_is_not", quorum),
        Case::new("a_number_in_a_file_moves_the_address_without_a_reload", number),
        Case::new("groups_of_a_sync_group_move_together", sync_group),
        Case::new("mirrored_groups_stand_in_for_each_other", mirrored),
        Case::new("a_preferred_node_serves_as_long_as_it_can", placement),
        Case::new(
            "a_node_is_not_preferred_before_its_probe_has_passed",
            unknown_at_start,
        ),
        Case::new(
            "a_restarted_agent_believes_in_what_it_was_serving",
            unknown_after_restart,
        ),
        Case::new("a_probe_added_by_an_edit_moves_nothing", added),
        Case::new("a_probe_of_the_own_address_is_refused", own_address),
    ])
}

fn vip() -> IpAddr {
    "10.77.0.100".parse().unwrap()
}

fn web() -> Group {
    Group::new("web", 51).address("10.77.0.100/24")
}

/// The file that stands for the service `name` of a node.
fn service(node: &Node, name: &str) -> PathBuf {
    node.folder().join(name)
}

fn up(node: &Node, name: &str) {
    fs::write(service(node, name), "").unwrap();
}

fn down(node: &Node, name: &str) {
    fs::remove_file(service(node, name)).unwrap();
}

/// A probe of the service `name` of a node, with more of its fields.
fn probe(node: &Node, name: &str, more: &str) -> String {
    let path = service(node, name);
    let more = indented(more);
    format!(
        "- name: {name}\n  file: {{path: {}}}\n{TIMING}{more}",
        path.display()
    )
}

fn indented(yaml: &str) -> String {
    yaml.lines().flat_map(|line| ["  ", line, "\n"]).collect()
}

/// A pair whose groups `make` makes, a with priority 200; all probes pass.
fn pair(make: impl Fn(&Node) -> Group) -> Result<Pair> {
    let scene = Scene::new()?;
    for node in [&scene.a, &scene.b] {
        up(node, "service");
    }
    let (for_a, for_b) = (make(&scene.a).priority(200), make(&scene.b));
    let pair = Pair::start(
        scene,
        &[vip()],
        |a| Router::holdfast(a, &[for_a]),
        |b| Router::holdfast(b, &[for_b]),
    )?;
    for router in [&pair.on_a, &pair.on_b] {
        wait_for(router, "all pass", |group| {
            let probes = group["probes"].as_array().unwrap();
            probes.iter().all(|probe| probe["verdict"] == "Passing")
        })?;
    }
    pair.settle_on("a")?;
    Ok(pair)
}

fn wait_for(router: &Router, what: &str, accept: impl FnMut(&Value) -> bool) -> Result<Value> {
    look::wait_for_group(router.agent()?, "web", what, PATIENCE, accept)
}

/// Does something, waits until `node` serves, and sees to it that there was a holder at every moment.
fn moves(pair: &mut Pair, node: &str, deed: impl FnOnce(&Pair)) -> Result<()> {
    let reports = pair.measure(node, |pair| {
        deed(pair);
        Ok(())
    })?;
    assert_eq!(reports[0].held_by_nobody, Duration::ZERO, "{:#?}", reports[0]);
    Ok(())
}

fn weight() -> Outcome {
    let mut pair = pair(|node| {
        let action = "onFailure: {type: Weight, weight: -150}";
        web().spec(&format!("probes:\n{}", probe(node, "service", action)))
    })?;
    moves(&mut pair, "b", |pair| down(&pair.scene.a, "service"))?;
    let group = wait_for(&pair.on_a, "the sum", |group| group["effectivePriority"] == 50)?;
    let sum = group["priorityExplained"].as_str().unwrap();
    assert!(
        sum.starts_with("200 base − 150 service (") && sum.ends_with(", 2 of 2) = 50"),
        "{sum}"
    );
    moves(&mut pair, "a", |pair| up(&pair.scene.a, "service"))?;
    let group = wait_for(&pair.on_a, "the sum", |group| group["effectivePriority"] == 200)?;
    assert_eq!(group["priorityExplained"], "200 base");
    Ok(())
}

fn positive_weight() -> Outcome {
    let pair = pair(|node| {
        let action = "onFailure: {type: Weight, weight: 30}";
        web().spec(&format!("probes:\n{}", probe(node, "service", action)))
    })?;
    let group = wait_for(&pair.on_a, "the sum", |group| group["effectivePriority"] == 230)?;
    assert_eq!(group["priorityExplained"], "200 base + 30 service = 230");
    // 200 against 130: not enough, as keepalived has it.
    down(&pair.scene.a, "service");
    wait_for(&pair.on_a, "the sum", |group| group["effectivePriority"] == 200)?;
    stays_on(&pair.meter, vip(), "a", SECOND)?;
    // Nobody's service is up: the priorities as they are.
    down(&pair.scene.b, "service");
    pair.settle_on("a")?;
    Ok(())
}

fn weight_under_never() -> Outcome {
    let mut pair = pair(|node| {
        let action = "onFailure: {type: Weight, weight: -150}";
        web()
            .never_preempt()
            .spec(&format!("probes:\n{}", probe(node, "service", action)))
    })?;
    moves(&mut pair, "b", |pair| down(&pair.scene.a, "service"))?;
    up(&pair.scene.a, "service");
    wait_for(&pair.on_a, "well again", |group| {
        group["effectivePriority"] == 200
    })?;
    stays_on(&pair.meter, vip(), "b", SECOND)
}

fn fault() -> Outcome {
    let mut pair = pair(|node| {
        let action = "onFailure: {type: Fault}";
        web().spec(&format!("probes:\n{}", probe(node, "service", action)))
    })?;
    moves(&mut pair, "b", |pair| down(&pair.scene.a, "service"))?;
    let group = wait_for(&pair.on_a, "Fault", |group| group["state"] == "Fault")?;
    assert_eq!(look::faults(&group), ["ProbeFailed"]);
    let sentence = group["faults"][0]["message"].as_str().unwrap();
    assert!(
        sentence.contains("service") && sentence.contains("2 of 2"),
        "{sentence}"
    );
    moves(&mut pair, "a", |pair| up(&pair.scene.a, "service"))
}

fn all_fail_with_hold() -> Outcome {
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

fn all_fail_with_fault() -> Outcome {
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

fn hold_under_never() -> Outcome {
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

fn back_after_delay() -> Outcome {
    let mut pair = pair(delayed)?;
    moves(&mut pair, "b", |pair| down(&pair.scene.a, "service"))?;
    let well = Instant::now();
    moves(&mut pair, "a", |pair| up(&pair.scene.a, "service"))?;
    assert!(well.elapsed() >= DELAY, "{:?}", well.elapsed());
    Ok(())
}

fn delay_starts_again() -> Outcome {
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

/// A program that brings the service of a node up again, or says that it cannot.
fn healer(node: &Node, heals: bool) -> String {
    let path = node.folder().join("heal");
    let deed = if heals {
        format!("touch {}", service(node, "service").display())
    } else {
        "echo not today; exit 3".to_owned()
    };
    fs::write(
        &path,
        format!("#!/bin/sh\necho once >> {}.log\n{deed}\n", path.display()),
    )
    .unwrap();
    let mut permissions = fs::metadata(&path).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
    fs::set_permissions(&path, permissions).unwrap();
    format!(
        "recover: {{exec: [{}], attempts: 2, cooldown: 30s}}",
        path.display()
    )
}

fn attempts(node: &Node) -> usize {
    fs::read_to_string(node.folder().join("heal.log")).map_or(0, |log| log.lines().count())
}

fn healed() -> Outcome {
    let pair = pair(|node| {
        web().spec(&format!(
            "probes:\n{}",
            probe(node, "service", &healer(node, true))
        ))
    })?;
    let start = Instant::now();
    down(&pair.scene.a, "service");
    wait_for(&pair.on_a, "healing was tried", |_| attempts(&pair.scene.a) == 1)?;
    wait_for(&pair.on_a, "it passes", |group| {
        group["probes"][0]["verdict"] == "Passing"
    })?;
    let report = pair.meter.report_since(vip(), start);
    assert_eq!(report.answered_by.len(), 1, "{report:#?}");
    stays_on(&pair.meter, vip(), "a", SECOND)?;
    assert_eq!(attempts(&pair.scene.a), 1);
    Ok(())
}

fn not_healed() -> Outcome {
    let mut pair = pair(|node| {
        web().spec(&format!(
            "probes:\n{}",
            probe(node, "service", &healer(node, false))
        ))
    })?;
    moves(&mut pair, "b", |pair| down(&pair.scene.a, "service"))?;
    assert_eq!(attempts(&pair.scene.a), 2);
    let log = pair.on_a.process().log()?;
    assert!(
        log.contains("not today"),
        "what healing said is in the log:\n{log}"
    );
    thread::sleep(SECOND);
    assert_eq!(attempts(&pair.scene.a), 2, "nothing more is tried");
    Ok(())
}

fn quorum() -> Outcome {
    let names = ["one", "two", "service"];
    let scene_names = names.map(String::from);
    let mut pair = pair(|node| {
        let probes: String = scene_names
            .iter()
            .map(|name| {
                up(node, name);
                probe(node, name, "")
            })
            .collect();
        web().spec(&format!(
            "probes:\n{probes}- name: enough\n  quorum: {{probes: [one, two, service], atLeast: 2}}\n"
        ))
    })?;
    down(&pair.scene.a, "one");
    wait_for(&pair.on_a, "one fails", |group| {
        group["probes"][0]["verdict"] == "Failing"
    })?;
    stays_on(&pair.meter, vip(), "a", SECOND)?;
    moves(&mut pair, "b", |pair| down(&pair.scene.a, "two"))?;
    let group = look::group(pair.on_a.agent()?, "web")?;
    let sum = group["priorityExplained"].as_str().unwrap();
    assert!(sum.contains("enough") && sum.contains("1 of"), "{sum}");
    moves(&mut pair, "a", |pair| up(&pair.scene.a, "two"))
}

fn number() -> Outcome {
    let mut pair = pair(|node| {
        let hand = service(node, "hand");
        fs::write(&hand, "0\n").unwrap();
        web().spec(&format!(
            "probes:\n- name: hand\n  file: {{path: {}, value: Priority}}\n{TIMING}  onFailure: {{type: None}}\n",
            hand.display()
        ))
    })?;
    moves(&mut pair, "b", |pair| {
        fs::write(service(&pair.scene.b, "hand"), "120\n").unwrap();
    })?;
    let group = look::group(pair.on_b.agent()?, "web")?;
    assert_eq!(
        group["priorityExplained"], "100 base + 120 hand = 220",
        "{group:#}"
    );
    // What is no number counts for nothing, and is said.
    moves(&mut pair, "a", |pair| {
        fs::write(service(&pair.scene.b, "hand"), "many\n").unwrap();
    })?;
    let group = look::group(pair.on_b.agent()?, "web")?;
    assert!(
        group["probes"][0]["message"].as_str().unwrap().contains("many"),
        "{group:#}"
    );
    Ok(())
}

fn sync_group() -> Outcome {
    let second: IpAddr = "10.77.0.101".parse().unwrap();
    let scene = Scene::new()?;
    let meter = scene.meter(&[vip(), second])?;
    let groups = |node: &Node, priority: u8| {
        up(node, "service");
        let action = "onFailure: {type: Fault}";
        [
            web().priority(priority).spec("syncGroup: edge"),
            Group::new("other", 52)
                .address("10.77.0.101/24")
                .priority(priority)
                .spec(&format!(
                    "syncGroup: edge\nprobes:\n{}",
                    probe(node, "service", action)
                )),
        ]
    };
    let on_a = pair::agent(&scene.a, &groups(&scene.a, 200))?;
    let _on_b = pair::agent(&scene.b, &groups(&scene.b, 100))?;
    let both = [vip(), second];
    look::wait_for_group(&on_a, "other", "it passes", PATIENCE, |group| {
        group["probes"][0]["verdict"] == "Passing"
    })?;
    settle_on(&meter, &both, "a")?;
    let start = Instant::now();
    down(&scene.a, "service");
    settle_on(&meter, &both, "b")?;
    for vip in both {
        let report = meter.report_since(vip, start);
        assert_eq!(report.held_by_nobody, Duration::ZERO, "{report:#?}");
    }
    let group = look::group(&on_a, "web")?;
    assert_eq!(look::faults(&group), ["SyncGroup"], "{group:#}");
    let sentence = group["faults"][0]["message"].as_str().unwrap();
    assert!(
        sentence.contains("other") && sentence.contains("edge"),
        "{sentence}"
    );
    up(&scene.a, "service");
    settle_on(&meter, &both, "a")
}

fn mirrored() -> Outcome {
    let second: IpAddr = "10.77.0.101".parse().unwrap();
    let scene = Scene::new()?;
    let meter = scene.meter(&[vip(), second])?;
    let groups = |node: &Node, web_priority: u8, api_priority: u8| {
        for name in ["nginx", "haproxy"] {
            up(node, name);
        }
        [
            web()
                .priority(web_priority)
                .spec(&format!("probes:\n{}", probe(node, "nginx", ""))),
            Group::new("api", 52)
                .address("10.77.0.101/24")
                .priority(api_priority)
                .spec(&format!("probes:\n{}", probe(node, "haproxy", ""))),
        ]
    };
    let on_a = pair::agent(&scene.a, &groups(&scene.a, 200, 100))?;
    let on_b = pair::agent(&scene.b, &groups(&scene.b, 100, 200))?;
    for (agent, name) in [(&on_a, "web"), (&on_a, "api"), (&on_b, "web"), (&on_b, "api")] {
        look::wait_for_group(agent, name, "it passes", PATIENCE, |group| {
            group["probes"][0]["verdict"] == "Passing"
        })?;
    }
    settle_on(&meter, &[vip()], "a")?;
    settle_on(&meter, &[second], "b")?;
    down(&scene.a, "nginx");
    settle_on(&meter, &[vip(), second], "b")?;
    up(&scene.a, "nginx");
    settle_on(&meter, &[vip()], "a")?;
    stays_on(&meter, second, "b", SECOND)?;
    down(&scene.b, "haproxy");
    settle_on(&meter, &[vip(), second], "a")
}

fn placement() -> Outcome {
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(8);
    let scene = Scene::new()?;
    for node in [&scene.a, &scene.b] {
        up(node, "service");
    }
    let group = |node: &Node, placed: bool| {
        let placed = if placed {
            format!("placement: {{preferredNode: b, until: \"{until}\"}}\n")
        } else {
            String::new()
        };
        web().spec(&format!("{placed}probes:\n{}", probe(node, "service", "")))
    };
    let meter = scene.meter(&[vip()])?;
    let on_a = pair::agent(&scene.a, &[group(&scene.a, false).priority(200)])?;
    let on_b = pair::agent(&scene.b, &[group(&scene.b, false)])?;
    settle_on(&meter, &[vip()], "a")?;
    let start = Instant::now();
    for (agent, node, priority) in [(&on_a, &scene.a, 200), (&on_b, &scene.b, 100)] {
        agent.write_configuration(&group(node, true).priority(priority).yaml())?;
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

fn unknown_at_start() -> Outcome {
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
    let found = look::group(&on_a, "web")?;
    assert_eq!(found["probes"][0]["verdict"], "Failing", "{found:#}");
    up(&scene.a, "service");
    settle_on(&meter, &[vip()], "a")
}

fn unknown_after_restart() -> Outcome {
    let make = |node: &Node| {
        let slow = "initialDelay: 3s";
        web()
            .interval(SECOND)
            .spec(&format!("probes:\n{}", probe(node, "service", slow)))
    };
    let mut pair = pair(make)?;
    stays_on(&pair.meter, vip(), "a", SECOND)?;
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

fn added() -> Outcome {
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

fn own_address() -> Outcome {
    let scene = Scene::new()?;
    let group = web().spec("probes:\n- name: mine\n  tcpSocket: {host: 10.77.0.100, port: 80}\n");
    let error = pair::agent(&scene.a, &[group]).unwrap_err().to_string();
    assert!(
        error.contains("spec.probes[0].tcpSocket.host") && error.contains("swings"),
        "{error}"
    );
    Ok(())
}
