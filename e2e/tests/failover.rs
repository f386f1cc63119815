//! Holdfast against Holdfast: what a client sees, and who holds the address, when a node, its link or its agent fails.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

use std::{
    net::{IpAddr, Ipv4Addr, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use holdfast_e2e::{
    Group, Pair,
    formula::{CACHED, LEAVING, LIFETIME, MARGIN_ALONE, MARGIN_BESIDE, Timing},
    look,
    pair::{self, PATIENCE, Scene, seamless, settle_on, stays_on},
};
use holdfast_lab::{
    Report,
    harness::{Case, Outcome, main as run},
};

const SECOND: Duration = Duration::from_secs(1);

fn main() -> std::process::ExitCode {
    run(&[
        Case::new("a_lost_node_is_replaced_within_the_formula_at_1_s", || {
            lost_and_returned(1000, MARGIN_BESIDE, |report| {
                assert!(
                    report.longest_silence <= MARGIN_BESIDE + report.noise(),
                    "{report:#?}"
                );
            })
        }),
        Case::new(
            "a_frozen_agent_loses_its_address_and_does_not_disturb_when_it_thaws",
            || frozen(4 * SECOND),
        ),
        Case::new(
            "an_agent_frozen_for_less_than_the_lifetime_lets_go_before_it_says_anything",
            || frozen(2 * SECOND),
        ),
        Case::new("a_killed_agents_address_expires_within_the_lifetime", killed),
        Case::new(
            "a_deaf_node_stops_disturbing_as_soon_as_it_hears_again",
            one_way_loss,
        ),
        Case::new("a_split_heals_to_the_better_node_and_clients_find_it", split),
        Case::new("a_lost_node_is_replaced_within_the_formula_at_100_ms", || {
            lost_and_returned(100, MARGIN_ALONE, seamless)
        })
        .alone(),
        Case::new("a_lost_node_is_replaced_within_the_formula_at_10_ms", || {
            lost_and_returned(10, MARGIN_ALONE, seamless)
        })
        .alone(),
        Case::new(
            "a_node_that_returns_answers_those_it_asked_for_in_vain_at_once",
            returned_with_a_question,
        )
        .alone(),
        Case::new("a_planned_stop_leaves_no_hole_at_1_s", || planned_stop(1000)).alone(),
        Case::new("a_planned_stop_leaves_no_hole_at_100_ms", || planned_stop(100)).alone(),
        Case::new("a_planned_stop_leaves_no_hole_at_10_ms", || planned_stop(10)).alone(),
        Case::new(
            "a_planned_stop_over_unicast_leaves_no_hole",
            planned_stop_over_unicast,
        )
        .alone(),
        Case::new("a_second_signal_ends_at_once", hurried_stop),
        Case::new("a_stop_without_a_successor_ends_all_the_same", lonely_stop),
    ])
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn vip() -> IpAddr {
    ip("10.77.0.100")
}

fn web() -> Group {
    Group::new("web", 51).address("10.77.0.100/24")
}

fn two_agents(group: &Group) -> holdfast_e2e::Result<Pair> {
    Pair::of_holdfast(Scene::new()?, &[vip()], group)
}

/// Lost, the node is replaced within the formula and `margin`; its return is as `returned` wants it.
fn lost_and_returned(millis: u64, margin: Duration, returned: fn(&Report)) -> Outcome {
    let mut pair = two_agents(&web().interval(Duration::from_millis(millis)))?;
    let report = pair.measure("b", |pair| Ok(pair.scene.a.unplug()?))?.remove(0);
    let promised = Timing::v3(millis).outage(100, margin, report.noise());
    assert!(
        promised.contains(&report.longest_silence),
        "{promised:?}, but {report:#?}"
    );
    // Where the successor comes before an address has to have left for good, both may have it for a moment.
    let both = if *promised.start() > LEAVING {
        Duration::ZERO
    } else {
        LEAVING
    };
    assert!(report.held_twice <= both, "{report:#?}");
    look::wait_for_faults(pair.on_a.agent()?, "web", &["LinkDown"], PATIENCE)?;

    let report = pair
        .measure("a", |pair| pair::plug_again(&pair.scene.a))?
        .remove(0);
    returned(&report);
    let group = look::wait_for_state(pair.on_a.agent()?, "web", "Active", PATIENCE)?;
    assert!(look::faults(&group).is_empty(), "{group:#}");
    Ok(())
}

/// Cut off, a node asks for the client's link-layer address. The kernel repeats that after a second, and what is for the client waits.
fn returned_with_a_question() -> Outcome {
    let mut pair = two_agents(&web().interval(Duration::from_millis(10)))?;
    pair.measure("b", |pair| Ok(pair.scene.a.unplug()?))?;
    let client = pair.scene.client.ipv4();
    let report = pair
        .measure("a", |pair| {
            pair::after_link_changes();
            let asked = pair.scene.a.netns().run(|| Ok(ask(client)))?;
            asked?;
            Ok(pair.scene.a.plug()?)
        })?
        .remove(0);
    seamless(&report);
    Ok(())
}

/// Sends one datagram, which nobody has to take.
fn ask(whom: Ipv4Addr) -> std::io::Result<()> {
    UdpSocket::bind("0.0.0.0:0")?.send_to(b"?", (whom, 9)).map(drop)
}

fn planned_stop(millis: u64) -> Outcome {
    let pair = two_agents(&web().interval(Duration::from_millis(millis)))?;
    no_hole(pair, Timing::v3(millis))
}

fn planned_stop_over_unicast() -> Outcome {
    let scene = Scene::new()?;
    let members = [("a", scene.a.ipv4().into()), ("b", scene.b.ipv4().into())];
    let pair = Pair::of_holdfast(scene, &[vip()], &web().unicast(&members))?;
    no_hole(pair, Timing::v3(100))
}

fn no_hole(mut pair: Pair, timing: Timing) -> Outcome {
    let report = pair
        .measure("b", |pair| {
            let status = pair.stop_a()?;
            assert!(status.success(), "{status}");
            Ok(())
        })?
        .remove(0);
    seamless(&report);
    assert_eq!(report.held_by_nobody, Duration::ZERO, "{report:#?}");
    let promised = timing.after_resignation(100, MARGIN_ALONE, report.noise());
    assert!(
        report
            .takeover
            .is_some_and(|takeover| promised.contains(&takeover)),
        "{promised:?}, but {report:#?}"
    );
    // The overlap is what makes it seamless; with the successor's first announcement the address begins to leave.
    assert!(
        report.held_twice <= timing.interval.max(MARGIN_ALONE) + LEAVING,
        "{report:#?}"
    );
    Ok(())
}

/// Frozen, the agent on a cannot renew the address; the kernel takes it away.
fn frozen(time: Duration) -> Outcome {
    let mut pair = two_agents(&web().never_preempt())?;
    let start = Instant::now();
    pair.on_a.process().freeze()?;
    pair.meter.wait_for_answer(vip(), "b", PATIENCE)?;
    thread::sleep(time.saturating_sub(start.elapsed()));
    let thawed = Instant::now();
    pair.on_a.process().thaw()?;
    pair.settle_on("b")?;
    stays_on(&pair.meter, vip(), "b", SECOND)?;
    let report = pair.meter.report_since(vip(), start);
    assert!(report.held_twice <= LIFETIME, "{report:#?}");
    let after = pair.meter.report_since(vip(), thawed);
    assert!(after.held_twice <= MARGIN_BESIDE, "{after:#?}");
    assert!(
        after.answered_by.iter().all(|span| &*span.node == "b"),
        "{after:#?}"
    );
    let group = look::wait_for_state(pair.on_a.agent()?, "web", "Backup", PATIENCE)?;
    assert_eq!(group["lastTransition"]["reason"], "TimeGap", "{group:#}");
    let group = look::wait_for_state(pair.on_b.agent()?, "web", "Active", PATIENCE)?;
    assert_eq!(
        look::counter(&group, "becameActive"),
        1,
        "nobody took it from b meanwhile: {group:#}"
    );
    Ok(())
}

fn killed() -> Outcome {
    let mut pair = two_agents(&web())?;
    let report = pair
        .measure("b", |pair| Ok(pair.on_a.process().kill()?))?
        .remove(0);
    assert!(
        report.held_twice > SECOND,
        "the address outlives its agent for a while: {report:#?}"
    );
    assert!(report.held_twice <= LIFETIME, "{report:#?}");
    assert_eq!(report.held_by_nobody, Duration::ZERO, "{report:#?}");
    let promised = Timing::v3(100).outage(100, MARGIN_BESIDE, report.noise());
    assert!(
        report
            .takeover
            .is_some_and(|takeover| promised.contains(&takeover)),
        "{promised:?}, but {report:#?}"
    );
    Ok(())
}

/// b does not hear a, and so both hold the address, until it does.
fn one_way_loss() -> Outcome {
    let pair = two_agents(&web())?;
    // The other direction is silent anyway.
    pair.scene.b.lose_frames_to(&pair.scene.a)?;
    stays_on(&pair.meter, vip(), "a", SECOND)?;
    pair.scene.a.heal_losses()?;
    pair.scene.a.lose_frames_to(&pair.scene.b)?;
    pair.meter.wait_for_holders(vip(), &["a", "b"], PATIENCE)?;
    let notice = look::wait_for_notice(pair.on_a.agent()?, "web", "other_active", PATIENCE)?;
    assert_eq!(notice["peer"], "10.77.0.2", "{notice:#}");
    pair.scene.a.heal_losses()?;
    let healed = Instant::now();
    pair.settle_on("a")?;
    let report = pair.meter.report_since(vip(), healed);
    assert!(report.held_twice < SECOND, "{report:#?}");
    stays_on(&pair.meter, vip(), "a", SECOND)
}

fn split() -> Outcome {
    let scene = Scene::new()?;
    let meter = scene.meter(&[vip()])?;
    scene.a.isolate()?;
    scene.b.isolate()?;
    let _a = pair::agent(&scene.a, &[web().priority(200)])?;
    settle_on(&meter, &[vip()], "a")?;
    // b comes last, so that the client's cache points at it.
    let _b = pair::agent(&scene.b, &[web()])?;
    meter.wait_for_answer(vip(), "b", PATIENCE)?;
    let joined = Instant::now();
    scene.a.join()?;
    scene.b.join()?;
    settle_on(&meter, &[vip()], "a")?;
    // By announcements, before the client's cache would have made it ask again.
    let found = meter.time_until_answer_from(vip(), joined, "a");
    assert!(
        found.is_some_and(|found| found < CACHED),
        "clients found a after {found:?}"
    );
    stays_on(&meter, vip(), "a", SECOND)
}

fn hurried_stop() -> Outcome {
    // An interval that leaves time for a second signal before the successor is there.
    let mut pair = two_agents(&web().interval(SECOND))?;
    let process = pair.on_a.process();
    process.signal(nix::sys::signal::Signal::SIGTERM)?;
    thread::sleep(Duration::from_millis(100));
    let second = Instant::now();
    let status = process.stop(PATIENCE)?;
    assert!(status.success(), "{status}");
    assert!(
        second.elapsed() < MARGIN_BESIDE,
        "ended after {:?}",
        second.elapsed()
    );
    assert!(!pair.scene.a.holds(vip())?, "it takes its addresses along");
    pair.settle_on("b")
}

fn lonely_stop() -> Outcome {
    let scene = Scene::new()?;
    let meter = scene.meter(&[vip()])?;
    let mut agent = pair::agent(&scene.a, &[web()])?;
    settle_on(&meter, &[vip()], "a")?;
    let stopped = Instant::now();
    agent.process.stop(PATIENCE)?;
    // Four intervals, for a successor that might be there.
    assert!(stopped.elapsed() < SECOND, "ended after {:?}", stopped.elapsed());
    assert!(!scene.a.holds(vip())?);
    Ok(())
}
