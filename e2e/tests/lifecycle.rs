//! The life of one agent: killed and restarted, standing by, its interface gone and back, its address taken by
//! somebody, and the codes with which it ends.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

use std::{
    net::IpAddr,
    thread,
    time::{Duration, Instant},
};

use holdfast_e2e::{
    Group, Pair, Result,
    formula::{LIFETIME, MARGIN_BESIDE},
    look,
    pair::{self, PATIENCE, Scene, seamless, settle_on, stays_on},
};
use holdfast_lab::{
    Agent, AgentOptions, Node, Segment, agent,
    harness::{Case, Outcome, main as run},
    wait_until,
};

const SECOND: Duration = Duration::from_secs(1);

fn main() -> std::process::ExitCode {
    run(&[
        Case::new(
            "a_killed_agent_that_is_restarted_in_time_keeps_its_address",
            restarted_in_time,
        ),
        Case::new(
            "an_agent_restarted_after_the_takeover_gives_the_old_address_up",
            restarted_too_late,
        ),
        Case::new(
            "an_agent_restarted_as_another_virtual_router_does_not_resume",
            restarted_as_another,
        ),
        Case::new(
            "a_second_agent_stands_by_and_takes_over_without_a_lost_answer",
            standby,
        )
        .alone(),
        Case::new(
            "a_second_agent_takes_over_when_the_first_is_killed",
            standby_after_kill,
        ),
        Case::new(
            "an_interface_that_goes_and_comes_is_waited_for",
            interface_removed,
        ),
        Case::new("an_agent_starts_before_its_interface", interface_later),
        Case::new(
            "a_group_follows_its_subnet_when_the_interface_is_renamed",
            interface_renamed,
        ),
        Case::new(
            "a_node_without_address_is_out_of_the_election_until_it_has_one",
            source_address_lost,
        ),
        Case::new("a_deleted_address_is_put_back_at_once", put_back),
        Case::new(
            "somebody_who_keeps_deleting_the_address_is_not_raced",
            put_back_slowly,
        ),
        Case::new("an_agent_that_cannot_run_says_why_in_its_exit_code", exit_codes),
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

fn two_agents(group: &Group) -> Result<Pair> {
    Pair::of_holdfast(Scene::new()?, &[vip()], group)
}

/// How often the agent's group `web` became Active.
fn became_active(agent: &Agent) -> Result<u64> {
    Ok(look::counter(&look::group(agent, "web")?, "becameActive"))
}

/// The interval leaves a second to come back.
fn restarted_in_time() -> Outcome {
    let mut pair = two_agents(&web().interval(SECOND))?;
    look::wait_until_noted(pair.on_a.agent()?, "web", PATIENCE)?;
    let killed = Instant::now();
    pair.on_a.process().kill()?;
    let again = pair::agent(&pair.scene.a, &[web().interval(SECOND).priority(200)])?;
    let group = look::wait_for_state(&again, "web", "Active", PATIENCE)?;
    assert_eq!(group["lastTransition"]["reason"], "Resumed", "{group:#}");
    // Beyond the lifetime of an address that nobody renews.
    thread::sleep((4 * SECOND + SECOND / 2).saturating_sub(killed.elapsed()));
    let report = pair.meter.report_since(vip(), killed);
    assert_eq!(
        (report.held_by_nobody, report.held_twice),
        (Duration::ZERO, Duration::ZERO),
        "{report:#?}"
    );
    assert!(
        report.answered_by.iter().all(|span| &*span.node == "a"),
        "{report:#?}"
    );
    assert_eq!(became_active(pair.on_b.agent()?)?, 0);
    Ok(())
}

/// b is Active before a's agent is back, and a's address is still alive.
fn restarted_too_late() -> Outcome {
    let mut pair = two_agents(&web().never_preempt())?;
    look::wait_until_noted(pair.on_a.agent()?, "web", PATIENCE)?;
    let killed = Instant::now();
    pair.on_a.process().kill()?;
    pair.meter.wait_for_answer(vip(), "b", PATIENCE)?;
    assert!(pair.scene.a.holds(vip())?, "the dead agent's address is alive");
    let again = pair::agent(&pair.scene.a, &[web().never_preempt().priority(200)])?;
    pair.settle_on("b")?;
    assert!(
        killed.elapsed() < 5 * SECOND / 2,
        "given up before it expires: {:?}",
        killed.elapsed()
    );
    stays_on(&pair.meter, vip(), "b", SECOND)?;
    assert_eq!(look::group(&again, "web")?["state"], "Backup");
    Ok(())
}

/// The address is alive and the state file says Active, but of a virtual router that nobody heard of under this identifier.
fn restarted_as_another() -> Outcome {
    let mut pair = two_agents(&web().interval(SECOND))?;
    look::wait_until_noted(pair.on_a.agent()?, "web", PATIENCE)?;
    pair.on_a.process().kill()?;
    let other = Group::new("web", 52).address("10.77.0.100/24").interval(SECOND);
    let again = pair::agent(&pair.scene.a, &[other])?;
    look::wait_for_state(&again, "web", "Backup", PATIENCE)?;
    let group = look::wait_for_state(&again, "web", "Active", PATIENCE)?;
    assert_eq!(group["lastTransition"]["reason"], "ActiveSilent", "{group:#}");
    Ok(())
}

/// Pair with a second agent on a, standing by.
fn with_standby() -> Result<(Pair, Agent)> {
    let pair = two_agents(&web())?;
    let standby = Agent::start(
        &pair.scene.a,
        &web().priority(200).yaml(),
        &AgentOptions::default(),
    )?;
    look::wait_for_log(&standby, "standing by", PATIENCE)?;
    Ok((pair, standby))
}

fn standby() -> Outcome {
    let (mut pair, standby) = with_standby()?;
    let start = Instant::now();
    let status = pair.stop_a()?;
    assert!(status.success(), "{status}");
    look::wait_for_state(&standby, "web", "Active", PATIENCE)?;
    thread::sleep(LIFETIME);
    let report = pair.meter.report_since(vip(), start);
    seamless(&report);
    assert_eq!(
        (report.held_by_nobody, report.held_twice),
        (Duration::ZERO, Duration::ZERO),
        "{report:#?}"
    );
    assert!(
        report.answered_by.iter().all(|span| &*span.node == "a"),
        "{report:#?}"
    );
    assert_eq!(became_active(pair.on_b.agent()?)?, 0);
    Ok(())
}

fn standby_after_kill() -> Outcome {
    let (mut pair, standby) = with_standby()?;
    pair.on_a.process().kill()?;
    look::wait_for_state(&standby, "web", "Active", PATIENCE)?;
    pair.settle_on("a")?;
    stays_on(&pair.meter, vip(), "a", SECOND)
}

fn interface_removed() -> Outcome {
    let mut pair = two_agents(&web())?;
    pair.measure("b", |pair| {
        Ok(pair.scene.a.ip(&["link", "del", "dev", "eth0"]).map(drop)?)
    })?;
    let group = look::wait_for_faults(pair.on_a.agent()?, "web", &["InterfaceMissing"], PATIENCE)?;
    let message = group["faults"][0]["message"].as_str().unwrap_or_default();
    assert!(message.contains("eth0"), "{message}");
    pair.measure("a", |pair| {
        Ok(pair.scene.a.add_interface("eth0", Segment::FIRST)?)
    })
    .map(drop)
}

fn interface_later() -> Outcome {
    let scene = Scene::new()?;
    let meter = scene.meter(&[vip()])?;
    scene.a.ip(&["link", "del", "dev", "eth0"])?;
    let agent = pair::agent(&scene.a, &[web()])?;
    look::wait_for_faults(&agent, "web", &["InterfaceMissing"], PATIENCE)?;
    look::wait_for_log(&agent, "waited for", PATIENCE)?;
    scene.a.add_interface("eth0", Segment::FIRST)?;
    settle_on(&meter, &[vip()], "a")
}

/// One group names its interface, the other finds it.
fn interface_renamed() -> Outcome {
    let scene = Scene::new()?;
    let (pinned, free) = (vip(), ip("10.77.0.101"));
    let meter = scene.meter(&[pinned, free])?;
    let groups = [
        web(),
        Group::new("free", 52).address("10.77.0.101/24").any_interface(),
    ];
    let agent = pair::agent(&scene.a, &groups)?;
    settle_on(&meter, &[pinned, free], "a")?;
    rename(&scene.a, "eth0", "lan0")?;
    look::wait_for_faults(&agent, "web", &["InterfaceMissing"], PATIENCE)?;
    settle_on(&meter, &[free], "a")?;
    let what = "the other group is on lan0";
    look::wait_for_group(&agent, "free", what, PATIENCE, |group| {
        group["state"] == "Active" && group["interface"] == "lan0"
    })?;
    wait_until("the pinned address is gone", PATIENCE, || {
        Ok(!scene.a.holds(pinned)?)
    })?;
    rename(&scene.a, "lan0", "eth0")?;
    settle_on(&meter, &[pinned, free], "a")?;
    look::wait_for_state(&agent, "web", "Active", PATIENCE).map(drop)
}

/// As udev does it: an interface is renamed while it is down.
fn rename(node: &Node, from: &str, to: &str) -> Result<()> {
    node.ip(&["link", "set", "dev", from, "down"])?;
    node.ip(&["link", "set", "dev", from, "name", to])?;
    node.ip(&["link", "set", "dev", to, "up"])?;
    Ok(())
}

fn source_address_lost() -> Outcome {
    let mut pair = two_agents(&web())?;
    let own = IpAddr::from(pair.scene.a.ipv4());
    let report = pair
        .measure("b", |pair| Ok(pair.scene.a.delete_address(own)?))?
        .remove(0);
    // It cannot say that it leaves, but it leaves.
    assert!(report.held_twice < MARGIN_BESIDE, "{report:#?}");
    look::wait_for_faults(pair.on_a.agent()?, "web", &["NoSourceAddress"], PATIENCE)?;
    pair.measure("a", |pair| Ok(pair.scene.a.add_address(own, 24)?))
        .map(drop)
}

fn put_back() -> Outcome {
    let pair = two_agents(&web())?;
    let start = Instant::now();
    pair.scene.a.delete_address(vip())?;
    // That it goes may be heard a moment later than the deed is done.
    wait_until("it was seen to go", PATIENCE, || {
        let report = pair.meter.report_since(vip(), start);
        Ok(report.held_by_nobody > Duration::ZERO)
    })?;
    pair.meter.wait_for_holders(vip(), &["a"], PATIENCE)?;
    stays_on(&pair.meter, vip(), "a", SECOND)?;
    let report = pair.meter.report_since(vip(), start);
    assert!(report.held_by_nobody < MARGIN_BESIDE, "{report:#?}");
    let group = look::wait_for_state(pair.on_a.agent()?, "web", "Active", PATIENCE)?;
    assert_eq!(look::counter(&group, "addressesRestored"), 1, "{group:#}");
    assert_eq!(became_active(pair.on_b.agent()?)?, 0);
    Ok(())
}

fn put_back_slowly() -> Outcome {
    let pair = two_agents(&web())?;
    let start = Instant::now();
    let mut deleted = 0_u32;
    while start.elapsed() < 2 * SECOND {
        if pair.scene.a.delete_address(vip()).is_ok() {
            deleted += 1;
        }
        thread::sleep(Duration::from_millis(5));
    }
    // Three at once and then one a second.
    assert!(
        (3..=6).contains(&deleted),
        "put back {deleted} times in two seconds"
    );
    pair.settle_on("a")?;
    stays_on(&pair.meter, vip(), "a", SECOND)
}

fn exit_codes() -> Outcome {
    let scene = Scene::new()?;
    let binary = agent::agent_binary()?;
    let binary = binary.to_string_lossy();
    let broken = scene.a.folder().join("broken.yaml");
    let yaml = web().priority(0).yaml();
    let line = yaml
        .lines()
        .position(|line| line.contains("priority"))
        .map_or(0, |index| index + 1);
    std::fs::write(&broken, yaml)?;
    let run_folder = scene.a.folder().display().to_string();
    let broken = broken.display().to_string();
    let sound = scene.a.folder().join("sound.yaml");
    std::fs::write(&sound, web().yaml())?;
    let sound = sound.display().to_string();
    let start = ["run", "--node", "a", "--run-dir", &run_folder, "--config"];

    let output = scene.a.exec(&binary, &[&start[..], &[&broken]].concat())?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(
        said.contains(&format!("broken.yaml:{line}:")) && said.contains("spec.priority"),
        "{said}"
    );

    let output = scene.a.exec(&binary, &["run", "--frobnicate"])?;
    assert_eq!(output.status.code(), Some(2));

    let _running = pair::agent(&scene.a, &[web()])?;
    let output = scene
        .a
        .exec(&binary, &[&start[..], &[&sound, "--no-wait"]].concat())?;
    assert_eq!(
        output.status.code(),
        Some(5),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    let dropped = [
        &["--bounding-set=-net_admin,-net_raw", "--inh-caps=-all", &binary][..],
        &start[..],
        &[&sound],
    ]
    .concat();
    let output = scene.b.exec("setpriv", &dropped)?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("CAP_NET_ADMIN"), "{said}");
    Ok(())
}
