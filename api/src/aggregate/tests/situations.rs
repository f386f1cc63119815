//! What is said in which situation: all that differs from a group that serves as it should.

mod change;
mod fitness;
mod health;
mod verdict;

use std::collections::BTreeSet;

use super::*;

/// One situation: how it comes to be, and what is said. Conditions that are not named are as in a group that serves.
struct Situation {
    name: &'static str,
    happens: fn(&mut Stage),
    /// Type, status and reason.
    conditions: &'static [&'static str],
    active: Option<&'static str>,
    /// Node, state and reason of each.
    members: &'static [&'static str],
    /// What messages say: a condition or a member, and a part of its message.
    says: &'static [(&'static str, &'static str)],
}

const FINE: [&str; 6] = [
    "Accepted=True Accepted",
    "Ready=True Serving",
    "Degraded=False AsExpected",
    "SplitBrain=False AsExpected",
    "Reconciling=False AsExpected",
    "Stalled=False AsExpected",
];

fn all() -> impl Iterator<Item = &'static Situation> {
    [
        health::SITUATIONS,
        fitness::SITUATIONS,
        change::SITUATIONS,
        verdict::SITUATIONS,
    ]
    .into_iter()
    .flatten()
}

#[test]
fn every_situation_is_told_as_it_is() {
    for situation in all() {
        let mut stage = Stage::serving();
        (situation.happens)(&mut stage);
        let seen = stage.settle();
        let name = situation.name;
        let expected = FINE.map(|fine| {
            let type_ = |condition: &str| condition.split('=').next().map(str::to_owned);
            let other = situation
                .conditions
                .iter()
                .find(|other| type_(other) == type_(fine));
            (*other.unwrap_or(&fine)).to_owned()
        });
        assert_eq!(
            Place::CONDITIONS.map(|place| condition(&seen, place)),
            expected,
            "{name}: {:#?}",
            seen.status
        );
        assert_eq!(seen.status.active_node.as_deref(), situation.active, "{name}");
        assert_eq!(members(&seen), situation.members, "{name}");
        for (whose, part) in situation.says {
            let condition = seen
                .status
                .conditions
                .iter()
                .find(|condition| condition.type_ == *whose);
            let member = seen.status.members.iter().find(|member| member.node == *whose);
            let message = condition
                .map(|condition| condition.message.clone())
                .or_else(|| member.and_then(|member| member.message.clone()))
                .unwrap_or_default();
            assert!(message.contains(part), "{name}: {whose} says: {message}");
        }
    }
}

#[test]
fn the_situations_show_every_reason_that_this_module_gives() {
    let mut shown = BTreeSet::new();
    for situation in all() {
        let mut stage = Stage::serving();
        (situation.happens)(&mut stage);
        let status = stage.settle().status;
        shown.extend(
            status
                .conditions
                .iter()
                .map(|c| (c.type_.clone(), c.reason.clone())),
        );
        let members = status.members.into_iter().filter_map(|member| member.reason);
        shown.extend(members.map(|reason| ("Member".to_owned(), reason)));
    }
    for state in [MemberState::Fault, MemberState::Initialize, MemberState::Standby] {
        let mut stage = Stage::serving();
        stage.says("cp-2", state, 20);
        stage.lost("cp-2");
        let reason = stage.settle().status.members[1].reason.clone().unwrap();
        assert_eq!(reason, format!("LastSeen{state:?}"));
        shown.insert(("Member".into(), reason));
    }
    for reason in Reason::ALL {
        let is_verdict = reason.places().contains(&Place::Accepted);
        let mut places = reason
            .places()
            .iter()
            .filter(|place| **place != Place::Event && !is_verdict);
        // An agent's own word, shown with what else the member says.
        let passed_through = *reason == Reason::ConfigurationRefused;
        let missing = places.find(|place| {
            let place = place.as_str().to_owned();
            !(shown.contains(&(place.clone(), reason.to_string())) || place == "Member" && passed_through)
        });
        assert_eq!(missing, None, "{reason} is given nowhere");
    }
}

#[test]
fn warnings_are_said_with_the_verdict() {
    let mut stage = Stage::serving();
    stage.verdict.warnings.push(crate::cluster::Warning {
        reason: Reason::Unusual,
        message: "the interval is very short".into(),
    });
    let seen = stage.settle();
    assert_eq!(condition(&seen, Place::Accepted), "Accepted=True Accepted");
    assert!(message(&seen, Place::Accepted).ends_with("3 nodes. the interval is very short."));
}

#[test]
fn a_status_fits_into_what_the_api_server_takes() {
    let nodes: Vec<String> = (0..70).map(|n| format!("node-{n:02}")).collect();
    let names: Vec<&str> = nodes.iter().map(|name| &**name).collect();
    let mut stage = Stage::of(&names);
    for node in &names {
        stage.says(node, MemberState::Backup, 5);
        stage.report(node).faults = vec![fault(&"R".repeat(64), &"ü".repeat(1024)); 32];
    }
    stage.says("node-69", MemberState::Active, 10);
    let seen = stage.settle();
    assert_eq!(seen.status.members.len(), 32);
    assert_eq!(seen.status.active_node.as_deref(), Some("node-69"));
    assert_eq!(seen.status.members[31].node, "node-69");
    for member in &seen.status.members {
        assert!(
            member
                .message
                .iter()
                .all(|message| message.chars().count() <= 1024)
        );
        assert!(member.reason.iter().all(|reason| reason.chars().count() <= 64));
    }
    for condition in &seen.status.conditions {
        assert!(condition.message.chars().count() <= 32768);
    }
}
