//! When two reports of Active are a split, and when one of them is only old.

use super::*;

/// cp-2 becomes Active at second 100 while cp-1, Active since second 10, says nothing else; both were heard then.
fn two_say_active(heard: [i64; 2]) -> Stage {
    let mut stage = Stage::serving();
    stage.says("cp-2", MemberState::Active, 100);
    stage.heard("cp-1", heard[0]);
    stage.heard("cp-2", heard[1]);
    stage
}

fn is_split(stage: &mut Stage) -> bool {
    condition(&stage.settle(), Place::SplitBrain) == "SplitBrain=True SeveralActive"
}

#[test]
fn two_active_nodes_are_a_split_when_both_were_heard_two_seconds_after_both_said_so() {
    // When cp-1 and cp-2 were heard last, what time it is, and whether that is a split.
    let cases = [
        ([99, 99], 120, false),
        ([99, 110], 120, false),
        ([110, 99], 120, false),
        ([101, 110], 120, false),
        ([110, 101], 120, false),
        ([102, 102], 120, true),
        ([110, 111], 120, true),
        // What was written just before the renewal may still be on its way.
        ([110, 120], 120, false),
        ([110, 120], 121, true),
    ];
    for (heard, now, split) in cases {
        let mut stage = two_say_active(heard);
        stage.now = at(now);
        assert_eq!(is_split(&mut stage), split, "heard {heard:?} at {now}");
        let expected = if split {
            "cp-1: Active ActiveSilent"
        } else {
            "cp-1: Unknown LastSeenActive"
        };
        assert_eq!(members(&stage.settle())[0], expected);
        assert_eq!(stage.settle().status.active_node.as_deref(), Some("cp-2"));
    }
}

#[test]
fn it_is_looked_for_until_it_is_certain_and_no_longer() {
    let mut stage = two_say_active([99, 99]);
    assert_eq!(stage.settle().look_again.unwrap().as_secs(), 2);
    stage.heard("cp-1", 103);
    stage.heard("cp-2", 103);
    stage.heard("cp-3", 103);
    assert!(is_split(&mut stage));
    assert_eq!(
        stage.settle().look_again.unwrap().as_secs(),
        38,
        "until the Leases run out"
    );
}

#[test]
fn a_split_stays_one_while_an_agent_reports_something_else() {
    let mut stage = two_say_active([110, 111]);
    stage.now = at(120);
    assert!(is_split(&mut stage));
    stage.object("cp-1").status_seen = at(120);
    assert!(
        is_split(&mut stage),
        "another report of the node says nothing of this group"
    );
    stage.heard("cp-2", 120);
    assert!(is_split(&mut stage), "a renewal ends no split");
    stage.says("cp-1", MemberState::Backup, 121);
    assert!(!is_split(&mut stage));
}

#[test]
fn a_split_ends_when_an_agent_is_not_heard_any_more() {
    let mut stage = two_say_active([110, 111]);
    stage.now = at(160);
    assert!(is_split(&mut stage));
    stage.lost("cp-1");
    assert!(!is_split(&mut stage));
    assert_eq!(members(&stage.settle())[0], "cp-1: Unknown LastSeenActive");
}

#[test]
fn one_that_became_active_again_is_not_the_one_of_the_split_before() {
    let mut stage = two_say_active([110, 111]);
    stage.now = at(120);
    assert!(is_split(&mut stage));
    // cp-1 was Backup in between, and is Active again: cp-2's next word may be that it is not.
    stage.says("cp-1", MemberState::Active, 119);
    assert!(!is_split(&mut stage));
}

#[test]
fn three_active_nodes_are_all_named() {
    let mut stage = two_say_active([110, 110]);
    stage.says("cp-3", MemberState::Active, 50);
    stage.heard("cp-3", 110);
    stage.now = at(120);
    assert!(is_split(&mut stage));
    assert!(message(&stage.settle(), Place::SplitBrain).starts_with("cp-1, cp-2 and cp-3 are Active"));
}

#[test]
fn a_lost_node_is_none_beside_two_that_split() {
    let mut stage = two_say_active([110, 110]);
    stage.says("cp-3", MemberState::Active, 101);
    stage.heard("cp-3", 95);
    stage.now = at(120);
    assert!(is_split(&mut stage));
    assert!(message(&stage.settle(), Place::SplitBrain).starts_with("cp-1 and cp-2 are Active"));
    assert_eq!(
        members(&stage.settle())[2],
        "cp-3: Active ActiveSilent",
        "the last one to say so"
    );
}

#[test]
fn evidence_from_the_wire_counts_only_from_an_active_node_that_is_heard() {
    let conflict = || vec![fault("OtherActive", "10.0.0.9 advertises itself")];
    let wire = |stage: &mut Stage| {
        condition(&stage.settle(), Place::SplitBrain) == "SplitBrain=True ConflictOnTheWire"
    };
    let mut stage = Stage::serving();
    stage.report("cp-2").conflicts = conflict();
    assert!(!wire(&mut stage), "a Backup's");
    stage.report("cp-1").conflicts = conflict();
    assert!(wire(&mut stage));
    stage.lost("cp-1");
    assert!(!wire(&mut stage), "one that is not heard");
}

#[test]
fn a_planned_handover_is_no_split_in_either_order_of_the_reports() {
    for old_first in [true, false] {
        let mut stage = Stage::serving();
        let reports = |stage: &mut Stage, old: bool| {
            if old {
                stage.says("cp-1", MemberState::Backup, 104);
            } else {
                stage.says("cp-2", MemberState::Active, 104);
            }
        };
        stage.settle();
        for old in [old_first, !old_first] {
            reports(&mut stage, old);
            assert_eq!(
                condition(&stage.settle(), Place::SplitBrain),
                "SplitBrain=False AsExpected"
            );
        }
        let seen = stage.settle();
        assert_eq!(seen.status.active_node.as_deref(), Some("cp-2"));
        assert_eq!(condition(&seen, Place::Ready), "Ready=True Serving");
        let transition = seen.status.last_transition.unwrap();
        assert_eq!(transition.from.as_deref(), Some("cp-1"), "old first: {old_first}");
        assert_eq!(transition.to.as_deref(), Some("cp-2"));
    }
}
