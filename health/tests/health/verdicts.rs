//! From runs to a probe's verdict.

use holdfast_health::OnFailure::{Hold, None as Nothing, Weight};
use holdfast_health::{Outcome, Run, Verdict};

use crate::kit::{BASE, FLOOR, Node, failed, holds, policy, probe, secs, stands, weighted};

#[test]
fn a_new_group_counts_as_failed_until_its_probe_has_passed_often_enough() {
    let mut node = Node::new(policy([probe("web", Hold)]));
    assert_eq!(node.strict(), FLOOR);
    assert_eq!(node.probe("web").verdict, Verdict::NotYetKnown);
    node.passes("web", 1);
    assert_eq!(node.strict(), FLOOR);
    node.passes("web", 1);
    assert_eq!(node.strict(), BASE);
    assert_eq!(node.probe("web").verdict, Verdict::Passing);
}

#[test]
fn an_agent_that_goes_on_may_count_what_it_does_not_know_as_passing() {
    let mut node = Node::new(policy([probe("web", Hold)]));
    assert_eq!(node.lenient(), BASE);
    node.fails("web", 2);
    assert_eq!(node.lenient(), BASE);
    node.fails("web", 1);
    assert_eq!(node.lenient(), FLOOR);
}

#[test]
fn a_passing_probe_fails_after_so_many_runs_in_a_row_and_not_before() {
    let mut node = Node::new(policy([probe("web", Hold)]));
    node.passes("web", 2);
    node.fails("web", 2);
    assert_eq!(node.strict(), BASE);
    node.passes("web", 1);
    node.fails("web", 2);
    assert_eq!(
        node.strict(),
        BASE,
        "one that passed between them begins the count anew"
    );
    node.fails("web", 1);
    assert_eq!(node.strict(), FLOOR);
}

#[test]
fn a_failing_probe_passes_after_so_many_runs_in_a_row_and_not_before() {
    let mut node = Node::new(policy([probe("web", Hold)]));
    node.fails("web", 3);
    node.passes("web", 1);
    node.fails("web", 1);
    node.passes("web", 1);
    assert_eq!(node.strict(), FLOOR);
    node.passes("web", 1);
    assert_eq!(node.strict(), BASE);
}

#[test]
fn whatever_did_not_pass_counts_against_the_probe() {
    let mut node = Node::new(policy([probe("web", Hold)]));
    node.passes("web", 2);
    for outcome in [Outcome::Failed, Outcome::TimedOut, Outcome::CouldNotRun] {
        assert_eq!(node.strict(), BASE);
        node.run("web", Run::new(outcome, ""));
    }
    assert_eq!(node.strict(), FLOOR);
}

#[test]
fn a_probe_without_consequences_is_only_shown() {
    let mut node = Node::new(policy([probe("web", Nothing)]));
    assert_eq!(node.strict(), BASE);
    node.fails("web", 3);
    assert_eq!(node.strict(), BASE);
    assert_eq!(node.probe("web").verdict, Verdict::Failing);
}

#[test]
fn the_number_in_a_file_counts_while_its_probe_passes() {
    let mut node = Node::new(policy([probe("load", Nothing)]));
    node.run("load", holds(-40));
    assert_eq!(node.strict(), BASE, "it does not pass yet");
    node.run("load", holds(-30));
    assert_eq!(node.strict(), weighted(170));
    node.run("load", holds(-70));
    assert_eq!(node.strict(), weighted(130), "a new number counts at once");
    node.fails("load", 2);
    assert_eq!(node.strict(), weighted(130), "it still passes");
    node.fails("load", 1);
    assert_eq!(node.strict(), BASE);
}

#[test]
fn the_number_in_a_file_is_added_to_the_weight() {
    let mut node = Node::new(policy([probe("load", Weight(20))]));
    node.run("load", holds(5));
    node.run("load", holds(5));
    assert_eq!(node.strict(), weighted(225));
}

#[test]
fn a_run_of_a_probe_that_is_not_there_is_passed_over() {
    let mut node = Node::new(policy([probe("web", Hold)]));
    node.passes("web", 2);
    let before = node.group.report();
    node.fails("other", 5);
    node.group.recovered(node.now, "other", failed(""));
    node.group.count_anew(node.now, "other");
    assert_eq!(node.group.report(), before);
}

#[test]
fn a_node_without_probes_stands_with_its_base_priority() {
    let node = Node::new(policy([]));
    assert_eq!((node.strict(), node.lenient()), (BASE, BASE));
    assert_eq!(node.group.next_timeout(), None);
}

#[test]
fn a_verdict_says_since_when_it_stands() {
    let mut node = Node::new(policy([probe("web", Hold)]));
    node.passes("web", 1);
    assert_eq!(node.probe("web").since, None);
    node.wait(secs(5));
    node.passes("web", 1);
    let since = node.now;
    assert_eq!(node.probe("web").since, Some(since));
    node.wait(secs(5));
    node.passes("web", 3);
    node.fails("web", 2);
    assert_eq!(node.probe("web").since, Some(since));
    node.fails("web", 1);
    assert_eq!(node.probe("web").since, Some(node.now));
}

#[test]
fn a_streak_says_how_many_runs_speak_against_the_verdict() {
    let mut node = Node::new(policy([probe("web", Hold)]));
    assert_eq!(node.probe("web").streak, (0, 3));
    node.passes("web", 1);
    assert_eq!(node.probe("web").streak, (1, 2), "on its way to passing");
    node.passes("web", 4);
    assert_eq!(node.probe("web").streak, (0, 3));
    node.fails("web", 2);
    assert_eq!(node.probe("web").streak, (2, 3));
    node.fails("web", 9);
    assert_eq!(node.probe("web").streak, (0, 2));
    node.passes("web", 1);
    assert_eq!(node.probe("web").streak, (1, 2));
}

#[test]
fn thousands_of_runs_count_like_many() {
    let mut node = Node::new(policy([probe("web", Hold)]));
    node.fails("web", 1000);
    assert_eq!(node.strict(), FLOOR);
    node.passes("web", 1000);
    assert_eq!(node.strict(), stands(holdfast_vrrp::Standing::Base));
}
