//! What an edit of a running group changes, and what it does not.

use holdfast_health::OnFailure::{Fault as Leave, Hold, Weight};
use holdfast_health::{Policy, Verdict};

use crate::kit::{BASE, FLOOR, Node, policy, priority, probe, quorum, thresholds, weighted};

#[test]
fn a_probe_that_is_added_counts_as_passing_until_something_is_known_of_it() {
    let mut node = Node::new(policy([probe("web", Hold)]));
    node.passes("web", 2);
    node.edit(policy([probe("web", Hold), probe("new", Leave)]));
    assert_eq!(node.probe("new").verdict, Verdict::NotYetKnown);
    assert_eq!((node.strict(), node.lenient()), (BASE, BASE));
    node.fails("new", 2);
    assert_eq!(node.strict(), BASE);
    node.fails("new", 1);
    assert_ne!(node.strict(), BASE);
}

#[test]
fn a_probe_that_was_not_known_before_an_edit_is_not_trusted_after_it() {
    let mut node = Node::new(policy([probe("web", Hold)]));
    node.edit(policy([probe("web", Hold), probe("new", Hold)]));
    assert_eq!((node.strict(), node.lenient()), (FLOOR, BASE));
}

#[test]
fn an_edit_that_leaves_a_probe_alone_does_not_disturb_its_count() {
    let mut node = Node::new(policy([probe("web", Hold)]));
    node.passes("web", 2);
    node.fails("web", 2);
    node.edit(Policy {
        base: priority(150),
        ..policy([probe("web", Hold)])
    });
    assert_eq!(node.strict(), BASE);
    node.fails("web", 1);
    assert_eq!(node.strict(), FLOOR);
}

#[test]
fn an_edited_probe_keeps_its_verdict_and_begins_to_count_anew() {
    let mut node = Node::new(policy([probe("web", Hold)]));
    node.passes("web", 2);
    let since = node.probe("web").since;
    node.fails("web", 2);
    node.edit(policy([thresholds("web", Hold, 2, 2)]));
    assert_eq!((node.strict(), node.probe("web").since), (BASE, since));
    node.fails("web", 1);
    assert_eq!(node.strict(), BASE);
    node.fails("web", 1);
    assert_eq!(node.strict(), FLOOR);
    node.edit(policy([thresholds("web", Hold, 2, 4)]));
    assert_eq!(node.strict(), FLOOR);
}

#[test]
fn a_probe_that_looks_for_something_else_begins_to_count_anew_when_told_so() {
    let mut node = Node::new(policy([probe("web", Hold)]));
    node.passes("web", 2);
    node.fails("web", 2);
    node.group.count_anew(node.now, "web");
    node.fails("web", 2);
    assert_eq!(node.strict(), BASE);
    node.fails("web", 1);
    assert_eq!(node.strict(), FLOOR);
}

#[test]
fn what_a_failure_does_can_be_edited_while_it_fails() {
    let mut node = Node::new(policy([probe("web", Hold)]));
    node.fails("web", 3);
    node.edit(policy([probe("web", Weight(-50))]));
    assert_eq!(node.strict(), weighted(150));
}

#[test]
fn a_probe_that_is_taken_away_no_longer_counts() {
    let mut node = Node::new(policy([probe("web", Hold), probe("other", Hold)]));
    node.passes("other", 2);
    node.fails("web", 3);
    node.edit(policy([probe("other", Hold)]));
    assert_eq!(node.strict(), BASE);
    assert_eq!(node.group.report().probes.len(), 1);
}

#[test]
fn probes_that_change_places_keep_what_is_known_of_them() {
    let mut node = Node::new(policy([probe("a", Hold), probe("b", Weight(-50))]));
    node.passes("a", 2);
    node.fails("b", 3);
    node.edit(policy([probe("b", Weight(-50)), probe("a", Hold)]));
    assert_eq!(node.strict(), weighted(150));
    let report = node.group.report();
    let names: Vec<_> = report.probes.iter().map(|probe| probe.name.as_str()).collect();
    assert_eq!(names, ["b", "a"], "in the order written");
}

#[test]
fn a_quorum_keeps_since_when_it_passes_while_it_does() {
    let probes = |at_least| {
        policy([
            thresholds("a", Hold, 1, 1),
            thresholds("b", Hold, 1, 1),
            quorum("enough", &["a", "b"], at_least, Hold),
        ])
    };
    let mut node = Node::new(probes(1));
    node.passes("a", 1);
    node.fails("b", 1);
    let since = node.probe("enough").since;
    assert!(since.is_some());
    node.wait(crate::kit::secs(9));
    node.edit(probes(1));
    assert_eq!(node.probe("enough").since, since);
    node.edit(probes(2));
    assert_eq!(node.probe("enough").verdict, Verdict::Failing);
    assert_eq!(node.probe("enough").since, Some(node.now));
}

#[test]
fn a_probe_that_becomes_a_quorum_is_a_new_one() {
    let mut node = Node::new(policy([thresholds("a", Hold, 1, 1), thresholds("b", Hold, 1, 1)]));
    node.passes("a", 1);
    node.fails("b", 1);
    assert_eq!(node.strict(), FLOOR);
    node.edit(policy([
        thresholds("a", Hold, 1, 1),
        quorum("b", &["a"], 1, Hold),
    ]));
    assert_eq!(node.strict(), BASE);
    node.edit(policy([thresholds("a", Hold, 1, 1), thresholds("b", Hold, 1, 1)]));
    assert_eq!(node.probe("b").verdict, Verdict::NotYetKnown);
}
