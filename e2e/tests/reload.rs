//! A configuration that changes while it runs: what did not change does not move, and what is wrong changes nothing.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

use std::{
    net::IpAddr,
    thread,
    time::{Duration, Instant},
};

use holdfast_e2e::{
    Group, Pair, Result, Router, file_of, look,
    pair::{PATIENCE, Scene, seamless, settle_on, stays_on, unnoticed},
};
use holdfast_lab::{
    Agent,
    harness::{Case, Outcome, main as run},
    wait_until,
};
use nix::sys::signal::Signal;

const SECOND: Duration = Duration::from_secs(1);

fn main() -> std::process::ExitCode {
    run(&[
        Case::new("a_reload_without_a_change_moves_nothing", unchanged),
        Case::new(
            "an_added_address_is_bound_and_the_others_do_not_notice",
            address_added,
        ),
        Case::new(
            "a_removed_address_goes_and_the_others_do_not_notice",
            address_removed,
        ),
        Case::new(
            "a_changed_interval_or_priority_of_the_active_node_moves_nothing",
            retuned,
        ),
        Case::new(
            "a_raised_priority_takes_the_addresses_without_a_hole",
            priority_raised,
        )
        .alone(),
        Case::new(
            "a_file_with_a_mistake_changes_nothing_and_names_the_line",
            mistake,
        ),
        Case::new(
            "a_removed_group_is_handed_over_and_the_other_stays",
            group_removed,
        ),
        Case::new("an_empty_file_changes_nothing", emptied),
        Case::new("another_identifier_is_another_virtual_router", identifier_changed),
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

/// What must not change when nothing moves.
fn transitions(agent: &Agent, group: &str) -> Result<(String, String, u64)> {
    let group = look::group(agent, group)?;
    let text = |field: &str| group[field].to_string();
    Ok((
        text("state"),
        text("since"),
        look::counter(&group, "becameActive"),
    ))
}

/// By SIGHUP, and by a file written anew.
fn unchanged() -> Outcome {
    let pair = Pair::of_holdfast(Scene::new()?, &[vip()], &web())?;
    let (a, b) = (pair.on_a.agent()?, pair.on_b.agent()?);
    let before = (transitions(a, "web")?, transitions(b, "web")?);
    let start = Instant::now();
    for agent in [a, b] {
        agent.process.signal(Signal::SIGHUP)?;
        look::wait_for_log(agent, "read again: no change", PATIENCE)?;
    }
    a.write_configuration(&web().priority(200).yaml())?;
    thread::sleep(SECOND);
    assert_eq!((transitions(a, "web")?, transitions(b, "web")?), before);
    unnoticed(&pair.meter, vip(), start);
    Ok(())
}

fn address_added() -> Outcome {
    let (scene, added) = (Scene::new()?, ip("10.77.0.101"));
    let pair = Pair::of_holdfast(scene, &[vip()], &web())?;
    let a = pair.on_a.agent()?;
    let before = transitions(a, "web")?;
    let monitor = pair.scene.a.spawn("ip", &["-o", "monitor", "address"])?;
    let start = Instant::now();
    let more = web().address("10.77.0.101/24");
    a.write_configuration(&more.clone().priority(200).yaml())?;
    pair.meter.wait_for_holders(added, &["a"], PATIENCE)?;
    pair.on_b.agent()?.write_configuration(&more.yaml())?;
    thread::sleep(SECOND);
    assert_eq!(transitions(a, "web")?, before);
    let seen = monitor.log()?;
    assert!(!seen.contains("Deleted"), "{seen}");
    unnoticed(&pair.meter, vip(), start);
    assert_eq!(pair.meter.holders(added).len(), 1);
    // The lists are the same again, and nobody complains of another.
    let group = look::group(pair.on_b.agent()?, "web")?;
    assert_eq!(group["state"], "Backup", "{group:#}");
    Ok(())
}

fn address_removed() -> Outcome {
    let (scene, removed) = (Scene::new()?, ip("10.77.0.101"));
    let pair = Pair::of_holdfast(scene, &[vip(), removed], &web().address("10.77.0.101/24"))?;
    let a = pair.on_a.agent()?;
    let before = transitions(a, "web")?;
    let start = Instant::now();
    a.write_configuration(&web().priority(200).yaml())?;
    pair.meter.wait_for_holders(removed, &[], PATIENCE)?;
    assert_eq!(transitions(a, "web")?, before);
    unnoticed(&pair.meter, vip(), start);
    Ok(())
}

fn retuned() -> Outcome {
    let pair = Pair::of_holdfast(Scene::new()?, &[vip()], &web())?;
    let (a, b) = (pair.on_a.agent()?, pair.on_b.agent()?);
    let before = (transitions(a, "web")?, transitions(b, "web")?);
    let start = Instant::now();
    a.write_configuration(&web().priority(150).interval(Duration::from_millis(200)).yaml())?;
    let learned = "b has learned the interval";
    look::wait_for_group(b, "web", learned, PATIENCE, |group| group["interval"] == "200ms")?;
    let lowered = "a has its new priority";
    look::wait_for_group(a, "web", lowered, PATIENCE, |group| {
        group["effectivePriority"] == 150
    })?;
    thread::sleep(SECOND);
    assert_eq!((transitions(a, "web")?, transitions(b, "web")?), before);
    unnoticed(&pair.meter, vip(), start);
    Ok(())
}

fn priority_raised() -> Outcome {
    let mut pair = Pair::of_holdfast(Scene::new()?, &[vip()], &web())?;
    let better = web().priority(250).yaml();
    let report = pair
        .measure("b", |pair| Ok(pair.on_b.agent()?.write_configuration(&better)?))?
        .remove(0);
    seamless(&report);
    Ok(())
}

/// Waits until the agent reports a problem, and returns it.
fn problem(agent: &Agent) -> Result<String> {
    let first = || {
        Ok::<_, holdfast_lab::Error>(
            agent.status()?["configurationProblems"][0]
                .as_str()
                .map(str::to_owned),
        )
    };
    wait_until("the mistake is reported", PATIENCE, || Ok(first()?.is_some()))?;
    first()?.ok_or_else(|| "the problem is gone again".into())
}

fn mistake() -> Outcome {
    let pair = Pair::of_holdfast(Scene::new()?, &[vip()], &web())?;
    let a = pair.on_a.agent()?;
    let before = transitions(a, "web")?;
    let start = Instant::now();
    // One mistake in the second document refuses all, also the change in the first.
    let bad = file_of(&[
        web().priority(1),
        Group::new("more", 52).address("10.77.0.300/24"),
    ]);
    let line = bad
        .lines()
        .position(|line| line.contains("10.77.0.300"))
        .map_or(0, |index| index + 1);
    a.write_configuration(&bad)?;
    let said = problem(a)?;
    assert!(
        said.contains(&format!("holdfast.yaml:{line}:")),
        "line {line}: {said}"
    );
    assert!(
        said.contains("spec.addresses") && said.contains("10.77.0.300"),
        "{said}"
    );
    assert!(a.process.log()?.contains("what ran keeps running"));
    stays_on(&pair.meter, vip(), "a", SECOND)?;
    assert_eq!(transitions(a, "web")?, before);
    unnoticed(&pair.meter, vip(), start);
    // Mended, it is forgotten.
    a.write_configuration(&web().priority(200).yaml())?;
    wait_until("the problem is gone", PATIENCE, || {
        Ok(a.status()?["configurationProblems"] == serde_json::json!([]))
    })?;
    Ok(())
}

fn emptied() -> Outcome {
    let pair = Pair::of_holdfast(Scene::new()?, &[vip()], &web())?;
    let a = pair.on_a.agent()?;
    a.write_configuration("# nothing\n")?;
    let said = problem(a)?;
    assert!(said.contains("no VirtualIPGroup"), "{said}");
    stays_on(&pair.meter, vip(), "a", SECOND)
}

fn group_removed() -> Outcome {
    let (scene, other) = (Scene::new()?, ip("10.77.0.101"));
    let meter = scene.meter(&[vip(), other])?;
    let groups = |priority: u8| {
        [
            web().priority(priority),
            Group::new("more", 52)
                .address("10.77.0.101/24")
                .priority(priority),
        ]
    };
    let on_a = Router::holdfast(&scene.a, &groups(200))?;
    let _b = Router::holdfast(&scene.b, &groups(100))?;
    settle_on(&meter, &[vip(), other], "a")?;
    let start = Instant::now();
    let agent = on_a.agent()?;
    agent.write_configuration(&web().priority(200).yaml())?;
    settle_on(&meter, &[other], "b")?;
    let report = meter.report_since(other, start);
    assert_eq!(
        report.held_by_nobody,
        Duration::ZERO,
        "handed over, not dropped: {report:#?}"
    );
    wait_until("the status forgets it", PATIENCE, || {
        Ok(look::group(agent, "more").is_err())
    })?;
    unnoticed(&meter, vip(), start);
    Ok(())
}

fn identifier_changed() -> Outcome {
    let mut pair = Pair::of_holdfast(Scene::new()?, &[vip()], &web())?;
    let renumbered = Group::new("web", 52).address("10.77.0.100/24").priority(200);
    // Until b is renumbered too, the two are strangers who say so.
    pair.on_a.agent()?.write_configuration(&renumbered.yaml())?;
    pair.meter.wait_for_answer(vip(), "b", PATIENCE)?;
    look::wait_for_notice(pair.on_b.agent()?, "web", "virtual_router_id_mismatch", PATIENCE)?;
    pair.measure("a", |pair| {
        let worse = renumbered.clone().priority(100).yaml();
        Ok(pair.on_b.agent()?.write_configuration(&worse)?)
    })
    .map(drop)
}
