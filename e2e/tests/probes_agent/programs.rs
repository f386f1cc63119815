//! Programs: which are run, what they get and what is shown of them, and what becomes of them when the agent ends.

use std::{
    fs,
    os::unix::fs::symlink,
    thread,
    time::{Duration, Instant},
};

use holdfast_e2e::{
    Group, file_of,
    formula::{MARGIN_ALONE, Timing},
    look,
    pair::{PATIENCE, Scene, agent, seamless},
};
use holdfast_lab::{Agent, AgentOptions, Node, harness::Outcome, wait_until};

use crate::{
    SECOND, SHOWN, became_active, pair, probe, probes, running, script, set_mode, vip, wait_for_run,
    wait_until_gone, web,
};

pub fn writable() -> Outcome {
    let scene = Scene::new()?;
    let ran = scene.a.folder().join("ran");
    let folder = scene.a.folder().join("open-folder");
    fs::create_dir(&folder)?;
    let (program, exec) = script(&scene.a, "open", &format!("touch {}", ran.display()));
    let (_, in_folder) = script(
        &scene.a,
        "open-folder/program",
        &format!("touch {}", ran.display()),
    );
    // What leads to it may be as safe as can be.
    symlink(&program, scene.a.folder().join("link"))?;
    let by_link = exec.replace("/open]", "/link]");
    set_mode(&program, 0o757);
    set_mode(&folder, 0o777);
    let group = web().spec(&probes(&[
        probe("open", &exec, SHOWN),
        probe("in-folder", &in_folder, SHOWN),
        probe("by-link", &by_link, SHOWN),
    ]));
    let mut on_a = agent(&scene.a, std::slice::from_ref(&group))?;
    for (name, file) in [("open", &program), ("in-folder", &folder), ("by-link", &program)] {
        let named = format!("{} can be written by others", file.display());
        let message = wait_for_run(&on_a, name, "CouldNotRun", &named)?;
        assert!(
            message.contains(&format!("chmod go-w {}", file.display())),
            "{message}"
        );
    }
    thread::sleep(SECOND / 2);
    assert!(!ran.exists(), "it was run all the same");

    // As the sentence says.
    set_mode(&program, 0o755);
    wait_for_run(&on_a, "open", "Passed", "")?;
    assert!(ran.exists());
    wait_for_run(&on_a, "in-folder", "CouldNotRun", "open-folder")?;

    // Or by the other way that it names.
    on_a.process.stop(PATIENCE)?;
    let options = AgentOptions {
        arguments: vec!["--exec-insecure".to_owned()],
        ..AgentOptions::default()
    };
    let again = Agent::start(&scene.a, &file_of(&[group]), &options)?;
    wait_for_run(&again, "in-folder", "Passed", "")?;
    Ok(())
}

pub fn output_and_environment() -> Outcome {
    let scene = Scene::new()?;
    let log = |node: &Node| node.folder().join("states");
    let pair = pair(scene, |node| {
        let (_, wordy) = script(
            node,
            "wordy",
            "printf '\\033[31mred\\033[0m\\n'; head -c 100000 /dev/zero | tr '\\0' x; echo the-end; exit 7",
        );
        let note = format!(
            "echo $HOLDFAST_STATE $HOLDFAST_PRIORITY >> {}",
            log(node).display()
        );
        let (_, notes) = script(node, "notes", &note);
        web().spec(&probes(&[
            probe("wordy", &wordy, SHOWN),
            probe("environment", "exec: {command: [/usr/bin/env]}", SHOWN),
            probe("notes", &notes, SHOWN),
        ]))
    })?;
    let on_a = pair.on_a.agent()?;
    let message = wait_for_run(on_a, "wordy", "Failed", "exited with status 7: red\n")?;
    let exited = "exited with status 7: red\n".len();
    assert!(!message.contains("the-end"), "it is not cut");
    assert!(
        message.len() <= 4096 && message.len() > 4096 - exited,
        "{} bytes",
        message.len()
    );
    assert!(message[exited..].bytes().all(|byte| byte == b'x'), "{message:?}");

    let printed = wait_for_run(on_a, "environment", "Passed", "HOLDFAST_STATE=Active")?;
    let mut variables: Vec<&str> = printed.lines().collect();
    variables.sort_unstable();
    assert_eq!(
        variables,
        [
            "HOLDFAST_GROUP=web",
            "HOLDFAST_NODE=a",
            "HOLDFAST_PRIORITY=200",
            "HOLDFAST_PROBE=environment",
            "HOLDFAST_STATE=Active",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ]
    );
    for (node, line) in [(&pair.scene.a, "Active 200\n"), (&pair.scene.b, "Backup 100\n")] {
        wait_until(
            &format!("a program on {} sees {line}", node.name()),
            PATIENCE,
            || Ok(fs::read_to_string(log(node)).is_ok_and(|lines| lines.ends_with(line))),
        )?;
    }
    Ok(())
}

/// What hangs, ignores signals, and has children that do; and many short runs, so that one is just being started whenever it is.
fn programs_that_hang(node: &Node) -> Vec<String> {
    let (_, stubborn) = script(node, "stubborn", "trap '' TERM INT HUP; sleep 1000 & sleep 1000");
    let mut all = vec![probe(
        "stubborn",
        &stubborn,
        "  timeout: 60s\n  onFailure: {type: None}\n",
    )];
    for number in 0..12 {
        let short = "  period: 100ms\n  timeout: 50ms\n  onFailure: {type: None}\n";
        all.push(probe(
            &format!("short-{number}"),
            "exec: {command: [/bin/sleep, '1000']}",
            short,
        ));
    }
    all
}

pub fn planned_stop() -> Outcome {
    let mut pair = pair(Scene::new()?, |node| {
        web().spec(&probes(&programs_that_hang(node)))
    })?;
    wait_until("the program hangs", PATIENCE, || {
        Ok(running(&pair.scene.a, "stubborn").len() == 3)
    })?;
    let began = Instant::now();
    let report = pair
        .measure("b", |pair| {
            let status = pair.stop_a()?;
            assert!(status.success(), "{status}");
            assert!(began.elapsed() < SECOND, "it took {:?} to end", began.elapsed());
            Ok(())
        })?
        .remove(0);
    seamless(&report);
    assert_eq!(report.held_by_nobody, Duration::ZERO, "{report:#?}");
    let promised = Timing::v3(10).after_resignation(100, MARGIN_ALONE, report.noise());
    assert!(
        report
            .takeover
            .is_some_and(|takeover| promised.contains(&takeover)),
        "{promised:?}, but {report:#?}"
    );
    let names = (0..12).map(|number| format!("short-{number}"));
    for name in names.chain(["stubborn".to_owned()]) {
        let left = running(&pair.scene.a, &name);
        assert!(left.is_empty(), "{name} is left: {left:?}");
    }
    Ok(())
}

/// The agent that comes next waits for nothing, least of all for programs.
pub fn standby() -> Outcome {
    let slower = |node: &Node| {
        let group = web().interval(Duration::from_millis(100));
        group.spec(&probes(&programs_that_hang(node)))
    };
    let mut pair = pair(Scene::new()?, slower)?;
    let file = slower(&pair.scene.a).priority(200).yaml();
    let standby = Agent::start(&pair.scene.a, &file, &AgentOptions::default())?;
    look::wait_for_log(&standby, "standing by", PATIENCE)?;
    wait_until("the program hangs", PATIENCE, || {
        Ok(running(&pair.scene.a, "stubborn").len() == 3)
    })?;
    let start = Instant::now();
    let status = pair.stop_a()?;
    assert!(status.success(), "{status}");
    look::wait_for_state(&standby, "web", "Active", PATIENCE)?;
    thread::sleep(SECOND);
    let report = pair.meter.report_since(vip(), start);
    assert!(
        report.answered_by.iter().all(|span| &*span.node == "a"),
        "{report:#?}"
    );
    assert_eq!(
        (report.held_by_nobody, report.held_twice),
        (Duration::ZERO, Duration::ZERO),
        "{report:#?}"
    );
    assert_eq!(became_active(pair.on_b.agent()?)?, 0);
    wait_until("only what the second started runs", PATIENCE, || {
        Ok(running(&pair.scene.a, "stubborn").len() == 3)
    })?;
    Ok(())
}

/// So many that some are always just being started.
pub fn none_left() -> Outcome {
    let scene = Scene::new()?;
    let short = "  period: 100ms\n  timeout: 50ms\n  onFailure: {type: None}\n";
    let all: Vec<String> = (0..16)
        .map(|number| {
            probe(
                &format!("short-{number}"),
                "exec: {command: [/bin/sleep, '1000']}",
                short,
            )
        })
        .collect();
    let groups: Vec<Group> = (1..11)
        .map(|number| {
            let group = Group::new(&format!("group-{number}"), number);
            group.address(&format!("10.79.0.{number}/32")).spec(&probes(&all))
        })
        .collect();
    for round in 0..8 {
        let mut on_a = agent(&scene.a, &groups)?;
        thread::sleep(SECOND + round * Duration::from_millis(13));
        let status = on_a.process.stop(PATIENCE)?;
        assert!(status.success(), "{status}");
        for number in 0..16 {
            wait_until_gone(&scene.a, &format!("short-{number}"))?;
        }
    }
    Ok(())
}

/// Nobody is there any more who could end them; a service manager or a container runtime ends them with the agent, and none runs
/// here. They do not hold up the agent that comes next either.
pub fn killed_agent() -> Outcome {
    let scene = Scene::new()?;
    let (_, slow) = script(&scene.a, "slow", "sleep 5; echo done");
    let timeout = "  period: 100ms\n  timeout: 30s\n  onFailure: {type: None}\n";
    let groups = [web().spec(&probes(&[
        probe("slow", &slow, timeout),
        probe("floods", "exec: {command: [/usr/bin/yes]}", SHOWN),
    ]))];
    let mut on_a = agent(&scene.a, &groups)?;
    wait_until("the program runs", PATIENCE, || {
        Ok(running(&scene.a, "slow").len() == 2)
    })?;
    let killed = Instant::now();
    on_a.process.kill()?;
    assert_eq!(running(&scene.a, "slow").len(), 2, "they outlive the agent");
    wait_until("what still prints has ended", PATIENCE, || {
        Ok(running(&scene.a, "floods").is_empty())
    })?;
    wait_until("what runs has come to its own end", PATIENCE, || {
        Ok(running(&scene.a, "slow").is_empty())
    })?;
    assert!(killed.elapsed() > SECOND, "something has ended it");

    let mut on_a = agent(&scene.a, &groups)?;
    wait_until("the program runs again", PATIENCE, || {
        Ok(running(&scene.a, "slow").len() == 2)
    })?;
    on_a.process.kill()?;
    let on_a = agent(&scene.a, &groups)?;
    wait_for_run(&on_a, "slow", "Passed", "done")?;
    Ok(())
}
