//! Healing before a node is given up.

use holdfast_health::OnFailure::Hold;
use holdfast_health::{Outcome, Recover, Verdict};

use crate::kit::{BASE, FLOOR, Node, failed, healed, passed, policy, probe, secs, thresholds, times};

fn attempt(number: u8, of: u8) -> Recover {
    Recover {
        probe: "web".to_owned(),
        attempt: times(number),
        of: times(of),
    }
}

fn verdict(node: &Node) -> Verdict {
    node.probe("web").verdict
}

/// Fails after three runs, passes after two, is healed twice.
fn passing() -> Node {
    let mut node = Node::new(policy([healed(probe("web", Hold), 2, secs(30))]));
    node.passes("web", 2);
    node
}

/// The same, in the first attempt.
fn ailing() -> Node {
    let mut node = passing();
    node.fails("web", 2);
    assert_eq!(node.fail("web"), Some(attempt(1, 2)));
    node
}

#[test]
fn healing_is_tried_before_the_node_is_given_up() {
    let node = ailing();
    assert_eq!(verdict(&node), Verdict::Recovering);
    assert_eq!(node.strict(), BASE);
}

#[test]
fn one_run_that_passes_after_healing_is_enough() {
    let mut node = ailing();
    node.group.recovered(node.now, "web", passed());
    assert_eq!(
        verdict(&node),
        Verdict::Recovering,
        "whether it helped, the next runs say"
    );
    node.fails("web", 2);
    node.passes("web", 1);
    assert_eq!((verdict(&node), node.strict()), (Verdict::Passing, BASE));
}

#[test]
fn runs_during_healing_decide_nothing() {
    let mut node = ailing();
    node.fails("web", 10);
    node.passes("web", 1);
    node.fails("web", 2);
    assert_eq!(verdict(&node), Verdict::Recovering);
    node.group.recovered(node.now, "web", passed());
    node.fails("web", 2);
    assert_eq!(node.fail("web"), Some(attempt(2, 2)), "three of its own");
}

#[test]
fn when_all_attempts_are_used_up_the_probe_fails_and_nothing_more_is_tried() {
    let mut node = ailing();
    node.group.recovered(node.now, "web", passed());
    node.fails("web", 2);
    assert_eq!(node.fail("web"), Some(attempt(2, 2)));
    node.group.recovered(node.now, "web", failed("exit status 1"));
    node.fails("web", 2);
    assert_eq!(node.strict(), BASE);
    node.fails("web", 1);
    assert_eq!((verdict(&node), node.strict()), (Verdict::Failing, FLOOR));
    node.wait(secs(3600));
    node.fails("web", 20);
    assert_eq!(verdict(&node), Verdict::Failing);
}

#[test]
fn a_probe_that_failed_for_good_passes_as_any_other() {
    let mut node = Node::new(policy([healed(probe("web", Hold), 1, secs(30))]));
    node.passes("web", 2);
    node.fails("web", 2);
    assert_eq!(node.fail("web"), Some(attempt(1, 1)));
    node.group.recovered(node.now, "web", passed());
    node.fails("web", 3);
    node.passes("web", 1);
    assert_eq!(verdict(&node), Verdict::Failing);
    node.passes("web", 1);
    assert_eq!(verdict(&node), Verdict::Passing);
}

#[test]
fn within_the_cooldown_the_probe_fails_without_healing() {
    let mut node = ailing();
    node.group.recovered(node.now, "web", passed());
    node.passes("web", 1);
    node.wait(secs(29));
    node.fails("web", 3);
    assert_eq!(verdict(&node), Verdict::Failing);
    node.wait(secs(3600));
    node.fails("web", 3);
    assert_eq!(verdict(&node), Verdict::Failing, "first it has to pass again");
    node.passes("web", 2);
    node.fails("web", 2);
    assert_eq!(node.fail("web"), Some(attempt(1, 2)));
}

#[test]
fn after_the_cooldown_a_new_series_begins() {
    let mut node = ailing();
    node.group.recovered(node.now, "web", passed());
    node.passes("web", 1);
    node.wait(secs(30));
    node.fails("web", 2);
    assert_eq!(node.fail("web"), Some(attempt(1, 2)));
}

#[test]
fn the_cooldown_does_not_delay_the_attempts_of_one_series() {
    let mut node = ailing();
    node.group.recovered(node.now, "web", passed());
    node.fails("web", 2);
    assert_eq!(node.fail("web"), Some(attempt(2, 2)));
}

#[test]
fn a_node_of_which_nothing_is_known_is_healed_and_not_trusted_for_it() {
    let mut node = Node::new(policy([healed(probe("web", Hold), 1, secs(30))]));
    node.fails("web", 2);
    assert_eq!(node.fail("web"), Some(attempt(1, 1)));
    assert_eq!((node.strict(), node.lenient()), (FLOOR, BASE));
    node.group.recovered(node.now, "web", passed());
    node.passes("web", 1);
    assert_eq!(
        (verdict(&node), node.probe("web").since),
        (Verdict::NotYetKnown, None)
    );
    assert_eq!(node.strict(), FLOOR);
    node.passes("web", 1);
    assert_eq!((verdict(&node), node.strict()), (Verdict::Passing, BASE));
}

#[test]
fn a_service_that_healing_brought_up_counts_at_once_if_one_run_is_enough() {
    let mut node = Node::new(policy([healed(thresholds("web", Hold, 1, 1), 1, secs(30))]));
    assert_eq!(node.fail("web"), Some(attempt(1, 1)));
    node.group.recovered(node.now, "web", passed());
    node.passes("web", 1);
    assert_eq!((verdict(&node), node.strict()), (Verdict::Passing, BASE));
}

#[test]
fn what_is_tried_and_how_it_ended_is_reported() {
    let mut node = passing();
    assert_eq!(node.probe("web").healing, None);
    node.fails("web", 2);
    node.fail("web");
    let running = node.probe("web").healing;
    assert!(
        running
            .as_ref()
            .is_some_and(|healing| healing.running && healing.attempt == times(1))
    );
    node.wait(secs(4));
    node.group.recovered(node.now, "web", failed("exit status 1"));
    let ended = node.probe("web").healing;
    assert!(
        ended
            .as_ref()
            .is_some_and(|healing| !healing.running && healing.ended == Some(node.now))
    );
    let result = ended.and_then(|healing| healing.result);
    assert_eq!(
        result.map(|run| (run.outcome, run.message)),
        Some((Outcome::Failed, "exit status 1".to_owned()))
    );
}

#[test]
fn the_end_of_healing_that_nobody_asked_for_is_passed_over() {
    let mut node = passing();
    let before = node.group.report();
    node.group.recovered(node.now, "web", passed());
    assert_eq!(node.group.report(), before);
}

#[test]
fn an_edit_ends_an_attempt_and_counts_those_before_it() {
    let mut node = ailing();
    node.group.count_anew(node.now, "web");
    node.group.recovered(node.now, "web", passed());
    assert_eq!(
        node.probe("web").healing.and_then(|healing| healing.result),
        None,
        "it is too late"
    );
    node.fails("web", 2);
    assert_eq!(node.fail("web"), Some(attempt(2, 2)));
    node.group.count_anew(node.now, "web");
    node.fails("web", 3);
    assert_eq!(verdict(&node), Verdict::Failing);
}

#[test]
fn healing_that_is_edited_away_is_not_waited_for() {
    let mut node = ailing();
    node.edit(policy([probe("web", Hold)]));
    assert_eq!(verdict(&node), Verdict::Recovering);
    node.fails("web", 3);
    assert_eq!(verdict(&node), Verdict::Failing);
}

#[test]
fn as_many_attempts_as_there_can_be_come_to_an_end() {
    let mut node = Node::new(policy([healed(thresholds("web", Hold, 1, 1), 255, secs(30))]));
    node.passes("web", 1);
    let mut attempts = 0;
    while node.fail("web").is_some() {
        attempts += 1;
        node.group.recovered(node.now, "web", passed());
        assert!(attempts <= 255, "it never ends");
    }
    assert_eq!((attempts, verdict(&node)), (255, Verdict::Failing));
}
