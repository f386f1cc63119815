//! Priorities that probes change: by weights, by a quorum, by a number in a file.

use std::fs;

use holdfast_e2e::pair::stays_on;
use holdfast_lab::harness::Outcome;

use crate::{SECOND, TIMING, down, moves, pair, probe, service, up, vip, wait_for, web};

pub fn weight() -> Outcome {
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

pub fn positive_weight() -> Outcome {
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

pub fn weight_under_never() -> Outcome {
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

pub fn quorum() -> Outcome {
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
    wait_for(&pair.on_a, "the sum names the quorum", |group| {
        let sum = group["priorityExplained"].as_str().unwrap();
        sum.contains("enough") && sum.contains("1 of")
    })?;
    moves(&mut pair, "a", |pair| up(&pair.scene.a, "two"))
}

pub fn number() -> Outcome {
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
    wait_for(&pair.on_b, "the sum", |group| {
        group["priorityExplained"] == "100 base + 120 hand = 220"
    })?;
    // What is no number counts for nothing, and is said.
    moves(&mut pair, "a", |pair| {
        fs::write(service(&pair.scene.b, "hand"), "many\n").unwrap();
    })?;
    wait_for(&pair.on_b, "what it is instead", |group| {
        group["probes"][0]["message"].as_str().unwrap().contains("many")
    })?;
    Ok(())
}
