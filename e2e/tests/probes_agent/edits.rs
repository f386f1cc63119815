//! Edits while what they edit is under way.

use std::{
    thread,
    time::{Duration, Instant},
};

use holdfast_e2e::{
    file_of,
    pair::{PATIENCE, Scene, unnoticed},
};
use holdfast_lab::{Agent, Node, harness::Outcome, wait_until};

use crate::{
    SECOND, became_active, find, pair, probe, probes, running, script, vip, wait_for, wait_until_gone, web,
};

/// What the edits go through, again and again: changed, gone, called otherwise, of another kind, in another order.
fn editions(node: &Node) -> Vec<Vec<String>> {
    let (_, busy) = script(node, "busy", "sleep 0.15");
    let (_, hangs) = script(node, "hangs", "sleep 1000 & sleep 1000");
    let file = format!("file: {{path: {}}}", node.folder().join("busy").display());
    let hold = "  period: 100ms\n  timeout: 2s\n  failureThreshold: 2\n";
    let longer = "  period: 100ms\n  timeout: 3s\n  failureThreshold: 2\n";
    let busy = |name: &str, timing: &str| probe(name, &busy, timing);
    // What is about to be healed all the time.
    let healing = |timeout: &str| {
        let missing = node.folder().join("missing");
        let program = node.folder().join("hangs");
        probe(
            "healing",
            &format!("file: {{path: {}}}", missing.display()),
            &format!(
                "  period: 100ms\n  onFailure: {{type: None}}\n  recover: {{exec: [{}], attempts: 1, timeout: {timeout}}}\n",
                program.display()
            ),
        )
    };
    let hanging = |name: &str| probe(name, &hangs, "  timeout: 60s\n  onFailure: {type: None}\n");
    vec![
        vec![
            busy("busy", hold),
            hanging("hangs"),
            probe("file", &file, hold),
            healing("50s"),
        ],
        vec![
            busy("busy", longer),
            hanging("hangs"),
            probe("file", &file, hold),
            healing("60s"),
        ],
        vec![busy("busy", longer), probe("file", &file, hold)],
        vec![
            busy("renamed", longer),
            hanging("hangs-too"),
            probe("file", &file, hold),
        ],
        vec![
            hanging("hangs-too"),
            probe("file", &file, longer),
            busy("renamed", longer),
        ],
        vec![
            hanging("hangs"),
            probe("file", &file, longer),
            busy("renamed", hold),
        ],
        vec![probe("renamed", &file, hold), busy("file", hold)],
        vec![],
    ]
}

pub fn edits() -> Outcome {
    let pair = pair(Scene::new()?, |node| web().spec(&probes(&editions(node)[0])))?;
    let (on_a, on_b) = (pair.on_a.agent()?, pair.on_b.agent()?);
    for agent in [on_a, on_b] {
        wait_for(agent, "it passes", |group| {
            find(group, "busy")["verdict"] == "Passing"
        })?;
    }
    pair.settle_on("a")?;
    let start = Instant::now();
    let write = |agent: &Agent, all: &[String], priority| {
        let group = web().priority(priority);
        let group = if all.is_empty() {
            group
        } else {
            group.spec(&probes(all))
        };
        agent.write_configuration(&file_of(&[group]))
    };
    let editions = [editions(&pair.scene.a), editions(&pair.scene.b)];
    for pause in [20, 70, 150, 400] {
        for (for_a, for_b) in editions[0].iter().zip(&editions[1]) {
            write(on_a, for_a, 200)?;
            write(on_b, for_b, 100)?;
            thread::sleep(Duration::from_millis(pause));
        }
    }
    write(on_a, &editions[0][0], 200)?;
    let group = wait_for(on_a, "the last edition is judged", |group| {
        let probes = group["probes"].as_array().map(Vec::len);
        probes == Some(4) && find(group, "busy")["verdict"] == "Passing"
    })?;
    assert_eq!(group["priorityExplained"], "200 base", "{group:#}");
    wait_until("the program hangs", PATIENCE, || {
        Ok(running(&pair.scene.a, "hangs").len() == 3)
    })?;
    unnoticed(&pair.meter, vip(), start);
    assert_eq!((became_active(on_a)?, became_active(on_b)?), (1, 0));

    // A word that is none leaves what runs alone.
    on_a.write_configuration("kind: Nonsense\n")?;
    thread::sleep(SECOND / 2);
    assert_eq!(running(&pair.scene.a, "hangs").len(), 3);
    write(on_a, &[], 200)?;
    write(on_b, &[], 100)?;
    for node in [&pair.scene.a, &pair.scene.b] {
        for name in ["hangs", "hangs-too", "healing"] {
            wait_until_gone(node, name)?;
        }
    }
    unnoticed(&pair.meter, vip(), start);
    Ok(())
}
