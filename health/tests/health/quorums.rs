//! So many of several probes.

use holdfast_health::OnFailure::{Fault as Leave, Hold, Weight};
use holdfast_health::Verdict;
use holdfast_vrrp::Fault;

use crate::kit::{
    BASE, FLOOR, Node, faults, healed, holds, policy, probe, quorum, secs, thresholds, weighted,
};

fn two_of_three() -> Node {
    Node::new(policy([
        probe("a", Hold),
        probe("b", Hold),
        probe("c", Hold),
        quorum("enough", &["a", "b", "c"], 2, Hold),
    ]))
}

fn verdict(node: &Node) -> Verdict {
    node.probe("enough").verdict
}

#[test]
fn a_quorum_passes_while_enough_of_its_probes_pass() {
    let mut node = two_of_three();
    for name in ["a", "b", "c"] {
        node.passes(name, 2);
    }
    assert_eq!((node.strict(), verdict(&node)), (BASE, Verdict::Passing));
    node.fails("a", 3);
    assert_eq!((node.strict(), verdict(&node)), (BASE, Verdict::Passing));
    node.fails("b", 3);
    assert_eq!((node.strict(), verdict(&node)), (FLOOR, Verdict::Failing));
    node.passes("a", 2);
    assert_eq!(
        (node.strict(), verdict(&node)),
        (BASE, Verdict::Passing),
        "it has no thresholds of its own"
    );
}

#[test]
fn what_a_quorum_does_not_know_counts_as_elsewhere() {
    let mut node = two_of_three();
    node.passes("a", 2);
    assert_eq!(verdict(&node), Verdict::NotYetKnown);
    assert_eq!((node.strict(), node.lenient()), (FLOOR, BASE));
    node.fails("b", 3);
    assert_eq!((node.strict(), node.lenient()), (FLOOR, BASE));
    node.fails("c", 3);
    assert_eq!(verdict(&node), Verdict::Failing);
    assert_eq!((node.strict(), node.lenient()), (FLOOR, FLOOR));
}

#[test]
fn a_probe_that_a_quorum_names_counts_there_only() {
    let mut node = Node::new(policy([
        thresholds("a", Leave, 1, 1),
        thresholds("b", Weight(-50), 1, 1),
        thresholds("c", Hold, 1, 1),
        quorum("enough", &["a", "b", "c"], 1, Weight(-20)),
    ]));
    node.fails("a", 1);
    node.fails("b", 1);
    node.run("c", holds(30));
    assert_eq!(node.strict(), BASE, "nor does the number in its file");
    assert_eq!(node.probe("a").quorum.as_deref(), Some("enough"));
    assert_eq!(node.probe("enough").quorum, None);
    node.fails("c", 1);
    assert_eq!(node.strict(), weighted(180));
}

#[test]
fn a_quorum_can_take_the_node_out_of_the_election() {
    let mut node = Node::new(policy([
        thresholds("a", Hold, 1, 1),
        quorum("enough", &["a"], 1, Leave),
    ]));
    node.fails("a", 1);
    assert_eq!(faults(node.strict()), [Fault::ProbeFailed]);
    assert_eq!(
        node.group.report().faults,
        [(
            Fault::ProbeFailed,
            "quorum `enough` fails: 0 of 1 pass, 1 have to; look at the service on this node, or see `holdfast-agent status`"
                .to_owned()
        )]
    );
}

#[test]
fn a_quorum_that_hangs_on_healing_is_recovering() {
    let mut node = Node::new(policy([
        healed(thresholds("a", Hold, 1, 1), 1, secs(30)),
        quorum("enough", &["a"], 1, Hold),
    ]));
    node.passes("a", 1);
    assert!(node.fail("a").is_some());
    assert_eq!((node.strict(), verdict(&node)), (BASE, Verdict::Recovering));
}

#[test]
fn a_quorum_of_what_is_not_there_or_of_itself_fails() {
    let mut node = Node::new(policy([
        quorum("enough", &["enough", "other", "gone"], 1, Hold),
        quorum("other", &["enough"], 1, Hold),
    ]));
    node.pass("enough");
    assert_eq!((node.strict(), node.lenient()), (FLOOR, FLOOR));
    assert_eq!(verdict(&node), Verdict::Failing);
}

#[test]
fn a_quorum_says_how_many_pass_and_since_when_it_stands_so() {
    let mut node = two_of_three();
    node.passes("a", 2);
    assert_eq!(
        (node.probe("enough").since, node.probe("enough").streak),
        (None, (1, 2))
    );
    node.wait(secs(7));
    node.passes("b", 2);
    let since = node.now;
    node.wait(secs(7));
    node.passes("c", 2);
    let enough = node.probe("enough");
    assert_eq!(enough.message, "3 of 3 pass, 2 have to");
    assert_eq!(
        (enough.since, enough.streak, enough.outcome),
        (Some(since), (3, 2), None)
    );
}
