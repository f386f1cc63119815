//! The whole status as `kubectl describe` shows it, for somebody who has never seen Holdfast.

use serde_json::Value;

use super::*;

/// Keys as titles, lists entry by entry: what kubectl makes of a status.
fn describe(status: &Value, depth: usize, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    let Value::Object(fields) = status else {
        lines.push(format!("{indent}{}", status.as_str().unwrap()));
        return;
    };
    for (key, value) in fields {
        let (first, rest) = key.split_at(1);
        let title = format!("{indent}{}{rest}:", first.to_ascii_uppercase());
        match value {
            Value::Object(_) => {
                lines.push(title);
                describe(value, depth + 1, lines);
            }
            Value::Array(entries) => {
                lines.push(title);
                for entry in entries {
                    describe(entry, depth + 1, lines);
                }
            }
            Value::String(text) => lines.push(format!("{title} {text}")),
            other => lines.push(format!("{title} {other}")),
        }
    }
}

/// What is told of the group: without what is always the same.
fn told(mut stage: Stage) -> String {
    let mut status = serde_json::to_value(stage.settle().status).unwrap();
    for condition in status["conditions"].as_array_mut().unwrap() {
        let condition = condition.as_object_mut().unwrap();
        condition.remove("lastTransitionTime");
        condition.remove("observedGeneration");
    }
    let mut lines = Vec::new();
    describe(&status, 0, &mut lines);
    lines.join("\n")
}

/// Three control plane nodes behind HAProxy; cp-1 has the highest priority.
fn control_plane() -> Stage {
    let mut stage = Stage::serving();
    stage.group.spec.node_overrides =
        serde_json::from_value(json!([{ "nodes": ["cp-1"], "priority": 200 }])).unwrap();
    stage.probes(&json!([{ "name": "haproxy", "httpGet": { "port": 8404, "path": "/ready" } }]));
    stage
}

fn stops(stage: &mut Stage, node: &str, base: i32, floor: i32) {
    stage.verdict_of(node, "haproxy", "Failing", "Failed", "connection refused", 90);
    let sum = format!("floor {floor} of {base} base: haproxy fails (connection refused, 3 of 3)");
    stage.stands(node, floor, &sum);
}

#[test]
fn the_service_stopped_on_the_node_that_served() {
    let mut stage = control_plane();
    stage.settle();
    stage.says("cp-2", MemberState::Active, 91);
    stage.says("cp-1", MemberState::Backup, 91);
    stage.report("cp-1").reason = Some("ServiceFailing".into());
    stage.report("cp-2").last_transition.as_mut().unwrap().reason = "ActiveResigned".into();
    stage.report("cp-2").last_transition.as_mut().unwrap().duration = None;
    stage.verdict_of("cp-2", "haproxy", "Passing", "Passed", "", 5);
    stage.stands("cp-2", 100, "100 base");
    stops(&mut stage, "cp-1", 200, 12);
    insta::assert_snapshot!("service-stopped", told(stage));
}

#[test]
fn the_service_stopped_everywhere() {
    let mut stage = control_plane();
    stops(&mut stage, "cp-1", 200, 12);
    stops(&mut stage, "cp-2", 100, 6);
    stops(&mut stage, "cp-3", 100, 6);
    insta::assert_snapshot!("service-stopped-everywhere", told(stage));
}

#[test]
fn a_node_is_drained_while_another_came_and_went() {
    let mut stage = control_plane();
    let why = "cordoned: kubectl uncordon cp-3 ends it";
    stage.work_on("cp-3", NodeDutyType::Demote, why);
    stage.stands(
        "cp-3",
        6,
        &format!("floor 6 of 100 base: node is being worked on ({why})"),
    );
    stage.report("cp-2").held_back_until = Some(micro(285));
    stage.stands("cp-2", 21, "held back at 21 of 100 base (3 changes within 3m)");
    insta::assert_snapshot!("drained-and-held-back", told(stage));
}
