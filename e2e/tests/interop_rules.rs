//! The finer rules of the election, with keepalived on the other side: ties, preemption, intervals, and what does not
//! fit together said in plain words.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

use std::{
    fs,
    net::IpAddr,
    os::unix::fs::PermissionsExt as _,
    thread,
    time::{Duration, Instant},
};

use holdfast_e2e::{
    Group, Result, Router,
    formula::{CACHED, MARGIN_ALONE, Timing},
    look,
    pair::{self, PATIENCE, Scene, settle_on, stays_on},
};
use holdfast_lab::{
    Node,
    harness::{Case, Outcome, main as run},
    keepalived::VrrpInstance,
};

const SECOND: Duration = Duration::from_secs(1);
const V4: &str = "10.77.0.100";
const V6: &str = "fd77::100";

fn main() -> std::process::ExitCode {
    run(&[
        Case::new(
            "after_a_split_the_higher_address_of_holdfast_wins_and_clients_find_it",
            || split(Kind::Keepalived, Kind::Holdfast, V4),
        ),
        Case::new(
            "after_a_split_the_higher_address_of_keepalived_wins_and_clients_find_it",
            || split(Kind::Holdfast, Kind::Keepalived, V4),
        ),
        Case::new(
            "after_a_split_over_ipv6_the_higher_link_local_address_wins",
            || split(Kind::Keepalived, Kind::Holdfast, V6),
        ),
        Case::new(
            "holdfast_that_never_preempts_leaves_a_worse_keepalived_in_peace",
            || never_preempts(Kind::Holdfast, Kind::Keepalived),
        ),
        Case::new(
            "keepalived_with_nopreempt_leaves_a_worse_holdfast_in_peace",
            || never_preempts(Kind::Keepalived, Kind::Holdfast),
        ),
        Case::new(
            "holdfast_preempts_keepalived_after_its_delay_and_not_before",
            || preempts_late(Kind::Holdfast, Kind::Keepalived),
        ),
        Case::new(
            "keepalived_preempts_holdfast_after_its_delay_and_not_before",
            || preempts_late(Kind::Keepalived, Kind::Holdfast),
        ),
        Case::new(
            "another_list_of_addresses_is_noticed_and_does_not_split_the_election",
            lists_differ,
        ),
        Case::new("another_password_is_named_with_its_sender", wrong_password),
        Case::new("another_version_is_named_with_its_sender", other_version),
        Case::new(
            "another_identifier_for_the_same_address_is_named_with_its_sender",
            other_identifier,
        ),
        Case::new(
            "another_interval_in_v2_is_named_with_its_sender",
            other_interval_v2,
        ),
        Case::new(
            "the_interval_of_a_v3_active_router_is_learned_and_counts",
            interval_learned,
        )
        .alone(),
    ])
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Holdfast,
    Keepalived,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Preempt {
    AtOnce,
    After(Duration),
    Never,
}

/// VRRPv3 every 100 ms for one address, by either program.
fn start(kind: Kind, node: &Node, vip: &str, priority: u8, preempt: Preempt) -> Result<Router> {
    let ipv6 = vip.contains(':');
    let addresses = if ipv6 {
        vec!["fe80::100/64".to_owned(), format!("{vip}/64")]
    } else {
        vec![format!("{vip}/24")]
    };
    match kind {
        Kind::Holdfast => {
            let group = addresses
                .iter()
                .fold(Group::new("web", 51).priority(priority), |group, address| {
                    group.address(address)
                });
            let group = match preempt {
                Preempt::AtOnce => group,
                Preempt::After(delay) => group.preempt_after(delay),
                Preempt::Never => group.never_preempt(),
            };
            Router::holdfast(node, &[group])
        }
        Kind::Keepalived => {
            let instance = addresses
                .iter()
                .fold(VrrpInstance::new(51).priority(priority), |instance, address| {
                    instance.address(address)
                });
            let instance = match preempt {
                Preempt::AtOnce => instance,
                Preempt::After(delay) => instance.preempt_delay(delay),
                Preempt::Never => instance.nopreempt(),
            };
            Router::keepalived(node, &[instance])
        }
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Both Active with the same priority, the client's cache pointing at the one that will lose.
fn split(on_a: Kind, on_b: Kind, vip: &str) -> Outcome {
    let (scene, address) = (Scene::new()?, ip(vip));
    let meter = scene.meter(&[address])?;
    scene.a.isolate()?;
    scene.b.isolate()?;
    let winner = start(on_b, &scene.b, vip, 100, Preempt::AtOnce)?;
    settle_on(&meter, &[address], "b")?;
    let _a = start(on_a, &scene.a, vip, 100, Preempt::AtOnce)?;
    meter.wait_for_holders(address, &["a", "b"], PATIENCE)?;
    meter.wait_for_answer(address, "a", PATIENCE)?;
    if on_a == Kind::Keepalived {
        // It yields without a word, and a winner that has heard nothing of it announces nothing. So it is heard first.
        scene.b.lose_frames_to(&scene.a)?;
    }
    let joined = Instant::now();
    scene.a.join()?;
    scene.b.join()?;
    if on_a == Kind::Keepalived {
        look::wait_for_notice(winner.agent()?, "web", "other_active", PATIENCE)?;
        scene.a.heal_losses()?;
    }
    settle_on(&meter, &[address], "b")?;
    // By its announcements, before the client's cache would have made it ask again.
    let found = meter.time_until_answer_from(address, joined, "b");
    assert!(
        found.is_some_and(|found| found < CACHED),
        "clients found b after {found:?}"
    );
    stays_on(&meter, address, "b", SECOND)
}

fn never_preempts(better: Kind, worse: Kind) -> Outcome {
    let (scene, vip) = (Scene::new()?, ip(V4));
    let meter = scene.meter(&[vip])?;
    let mut on_b = start(worse, &scene.b, V4, 100, Preempt::AtOnce)?;
    settle_on(&meter, &[vip], "b")?;
    let on_a = start(better, &scene.a, V4, 200, Preempt::Never)?;
    // Long enough for three intervals and for the start of either daemon.
    stays_on(&meter, vip, "b", 2 * SECOND)?;
    if let Ok(agent) = on_a.agent() {
        let group = look::wait_for_peer(agent, "web", PATIENCE)?;
        assert_eq!(group["activePeer"], "10.77.0.2", "{group:#}");
    }
    // It was there all the time.
    on_b.process().stop(PATIENCE)?;
    settle_on(&meter, &[vip], "a")
}

fn preempts_late(better: Kind, worse: Kind) -> Outcome {
    let (scene, vip) = (Scene::new()?, ip(V4));
    let meter = scene.meter(&[vip])?;
    let _b = start(worse, &scene.b, V4, 100, Preempt::AtOnce)?;
    settle_on(&meter, &[vip], "b")?;
    let delay = 2 * SECOND;
    let began = Instant::now();
    let _a = start(better, &scene.a, V4, 200, Preempt::After(delay))?;
    settle_on(&meter, &[vip], "a")?;
    let waited = began.elapsed();
    // On a busy machine either takes its time to start.
    assert!(
        (delay..delay + 4 * SECOND).contains(&waited),
        "preempted after {waited:?}"
    );
    Ok(())
}

/// keepalived refuses advertisements with another number of addresses than its own; Holdfast does as RFC 9568 §7.1 says
/// and only tells.
fn lists_differ() -> Outcome {
    let (scene, common) = (Scene::new()?, ip(V4));
    let meter = scene.meter(&[common])?;
    let _b = start(Kind::Keepalived, &scene.b, V4, 100, Preempt::AtOnce)?;
    settle_on(&meter, &[common], "b")?;
    let more = |priority| {
        Group::new("web", 51)
            .priority(priority)
            .address("10.77.0.100/24")
            .address("10.77.0.101/24")
    };
    let agent = pair::agent(&scene.a, &[more(50)])?;
    let notice = look::wait_for_notice(&agent, "web", "addresses_differ", PATIENCE)?;
    assert_eq!(notice["peer"], "10.77.0.2", "{notice:#}");
    assert_eq!(look::group(&agent, "web")?["state"], "Backup");
    stays_on(&meter, common, "b", SECOND)?;
    // Preferred, it is heard by nobody; with the same list it is.
    agent.write_configuration(&more(200).yaml())?;
    meter.wait_for_holders(common, &["a", "b"], PATIENCE)?;
    agent.write_configuration(
        &Group::new("web", 51)
            .priority(200)
            .address("10.77.0.100/24")
            .yaml(),
    )?;
    settle_on(&meter, &[common], "a")?;
    stays_on(&meter, common, "a", SECOND)
}

/// keepalived on b serves; Holdfast comes to a with something that does not fit.
fn noticed(keepalived: VrrpInstance, group: &Group, kind: &str, words: &str) -> Outcome {
    let (scene, vip) = (Scene::new()?, ip(V4));
    let meter = scene.meter(&[vip])?;
    let _b = Router::keepalived(&scene.b, &[keepalived.address("10.77.0.100/24")])?;
    settle_on(&meter, &[vip], "b")?;
    let agent = pair::agent(&scene.a, &[group.clone().address("10.77.0.100/24")])?;
    let notice = look::wait_for_notice(&agent, "web", kind, PATIENCE)?;
    assert_eq!(notice["peer"], "10.77.0.2", "{notice:#}");
    let message = notice["message"].as_str().unwrap_or_default();
    assert!(
        message.starts_with("10.77.0.2 ") && message.contains(words),
        "{message}"
    );
    // The log says it too.
    look::wait_for_log(&agent, words, PATIENCE)
}

fn wrong_password() -> Outcome {
    let scene = Scene::new()?;
    let file = scene.lab.folder().join("password");
    fs::write(&file, "right\n")?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    noticed(
        VrrpInstance::new(51)
            .version(2)
            .interval(SECOND)
            .password("wrong"),
        &Group::new("web", 51)
            .version(2)
            .interval(SECOND)
            .password_file(&file),
        "authentication_mismatch",
        "password",
    )
}

fn other_version() -> Outcome {
    noticed(
        VrrpInstance::new(51).version(2).interval(SECOND),
        // Slow: whatever keepalived receives and refuses puts off its own next advertisement.
        &Group::new("web", 51).interval(SECOND),
        "version_mismatch",
        "VRRPv2",
    )
}

fn other_identifier() -> Outcome {
    noticed(
        VrrpInstance::new(52),
        &Group::new("web", 51),
        "virtual_router_id_mismatch",
        "virtual router ID 52",
    )
}

fn other_interval_v2() -> Outcome {
    noticed(
        VrrpInstance::new(51).version(2).interval(SECOND),
        &Group::new("web", 51).version(2).interval(2 * SECOND),
        "interval_mismatch",
        "every 1s",
    )
}

fn interval_learned() -> Outcome {
    let (scene, vip) = (Scene::new()?, ip(V4));
    let meter = scene.meter(&[vip])?;
    let _a = start(Kind::Keepalived, &scene.a, V4, 200, Preempt::AtOnce)?;
    settle_on(&meter, &[vip], "a")?;
    let agent = pair::agent(
        &scene.b,
        &[Group::new("web", 51).interval(SECOND).address("10.77.0.100/24")],
    )?;
    let notice = look::wait_for_notice(&agent, "web", "interval_differs", PATIENCE)?;
    assert_eq!(notice["peer"], "10.77.0.1", "{notice:#}");
    assert_eq!(look::group(&agent, "web")?["interval"], "100ms");
    let fault = Instant::now();
    scene.a.unplug()?;
    settle_on(&meter, &[vip], "b")?;
    thread::sleep(Duration::from_millis(50));
    let report = meter.report_since(vip, fault);
    let timing = Timing::v3(100);
    let promised = timing.outage(100, MARGIN_ALONE, report.noise());
    // keepalived has no real-time priority: on a busy machine the advertisement before the loss may be older.
    let promised = promised.start().saturating_sub(timing.interval)..=*promised.end();
    assert!(
        promised.contains(&report.longest_silence),
        "{promised:?}, but {report:#?}"
    );
    // Active, it is back to its own.
    assert_eq!(
        look::wait_for_state(&agent, "web", "Active", PATIENCE)?["interval"],
        "1s"
    );
    Ok(())
}
