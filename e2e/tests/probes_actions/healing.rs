//! Services that are healed before their node is given up.

use std::{fs, thread, time::Instant};

use holdfast_e2e::{
    look,
    pair::{PATIENCE, stays_on},
};
use holdfast_lab::{Node, harness::Outcome};

use crate::{SECOND, down, moves, pair, probe, service, vip, wait_for, web};

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

pub fn healed() -> Outcome {
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

pub fn not_healed() -> Outcome {
    let mut pair = pair(|node| {
        web().spec(&format!(
            "probes:\n{}",
            probe(node, "service", &healer(node, false))
        ))
    })?;
    moves(&mut pair, "b", |pair| down(&pair.scene.a, "service"))?;
    assert_eq!(attempts(&pair.scene.a), 2);
    // What healing said is in the log.
    look::wait_for_log(pair.on_a.agent()?, "not today", PATIENCE)?;
    thread::sleep(SECOND);
    assert_eq!(attempts(&pair.scene.a), 2, "nothing more is tried");
    Ok(())
}
