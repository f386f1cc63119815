//! What failing probes do, and which of it goes first.

use holdfast_health::OnFailure::{Fault as Leave, Hold, None as Nothing, Weight};
use holdfast_health::{Duty, Policy};
use holdfast_vrrp::{Fault, Standing};

use crate::kit::{BASE, DEMOTED, FLOOR, Node, faults, policy, priority, probe, stands, thresholds, weighted};

#[test]
fn a_failing_fault_probe_takes_the_node_out_of_the_election() {
    let mut node = Node::new(policy([probe("web", Leave)]));
    assert_eq!(
        faults(node.strict()),
        [Fault::ProbeFailed],
        "nothing is known yet"
    );
    assert_eq!(faults(node.lenient()), []);
    node.passes("web", 2);
    assert_eq!(node.strict(), BASE);
    node.fails("web", 3);
    assert_eq!(faults(node.strict()), [Fault::ProbeFailed]);
}

#[test]
fn a_fault_goes_before_hold_and_hold_before_weights() {
    let mut node = Node::new(policy([
        probe("leave", Leave),
        probe("hold", Hold),
        probe("weight", Weight(-50)),
    ]));
    for name in ["leave", "hold", "weight"] {
        node.passes(name, 2);
    }
    assert_eq!(node.strict(), BASE);
    node.fails("weight", 3);
    assert_eq!(node.strict(), weighted(150));
    node.fails("hold", 3);
    assert_eq!(node.strict(), FLOOR);
    node.fails("leave", 3);
    assert_eq!(faults(node.strict()), [Fault::ProbeFailed]);
    node.passes("hold", 2);
    assert_eq!(faults(node.strict()), [Fault::ProbeFailed]);
    node.passes("leave", 2);
    assert_eq!(node.strict(), weighted(150));
}

#[test]
fn a_negative_weight_counts_while_the_probe_fails_and_a_positive_one_while_it_passes() {
    let mut node = Node::new(policy([probe("minus", Weight(-50)), probe("plus", Weight(30))]));
    assert_eq!(node.strict(), weighted(150), "unknown counts as failing");
    assert_eq!(node.lenient(), weighted(230));
    node.passes("minus", 2);
    assert_eq!(node.strict(), BASE);
    node.passes("plus", 2);
    assert_eq!(node.strict(), weighted(230));
    node.fails("minus", 3);
    assert_eq!(node.strict(), weighted(180));
    node.fails("plus", 3);
    assert_eq!(node.strict(), weighted(150));
}

#[test]
fn weights_leave_the_priority_within_1_and_254() {
    let mut node = Node::new(policy([probe("minus", Weight(-253)), probe("plus", Weight(253))]));
    node.fails("minus", 3);
    assert_eq!(node.strict(), weighted(1));
    node.passes("minus", 2);
    node.passes("plus", 2);
    assert_eq!(node.strict(), weighted(254));
}

#[test]
fn an_owner_stays_one_only_while_no_weight_counts() {
    let mut node = Node::new(Policy {
        base: priority(255),
        ..policy([thresholds("plus", Weight(20), 1, 1)])
    });
    node.fails("plus", 1);
    assert_eq!(node.strict(), BASE);
    node.passes("plus", 1);
    assert_eq!(node.strict(), weighted(254));
}

#[test]
fn weights_that_cancel_out_are_weights_all_the_same() {
    let mut node = Node::new(policy([probe("minus", Weight(-30)), probe("plus", Weight(30))]));
    node.fails("minus", 3);
    node.passes("plus", 2);
    assert_eq!(node.strict(), weighted(200));
}

#[test]
fn a_weight_of_nothing_does_nothing() {
    let mut node = Node::new(policy([probe("web", Weight(0))]));
    node.fails("web", 3);
    assert_eq!(node.strict(), BASE);
    node.passes("web", 2);
    assert_eq!(node.strict(), BASE);
}

#[test]
fn a_preferred_node_stands_with_254_while_nothing_is_wrong() {
    let preferred = |probes: Vec<_>| Policy {
        preferred: true,
        ..policy(probes)
    };
    let mut node = Node::new(preferred(vec![probe("web", Hold), probe("shown", Nothing)]));
    assert_eq!(node.strict(), FLOOR);
    assert_eq!(node.lenient(), weighted(254));
    node.passes("web", 2);
    assert_eq!(node.strict(), weighted(254), "what is only shown is no reason");
    node.fails("web", 3);
    assert_eq!(node.strict(), FLOOR);

    let mut node = Node::new(preferred(vec![probe("web", Weight(-50))]));
    node.passes("web", 2);
    assert_eq!(node.strict(), weighted(254));
    node.fails("web", 3);
    assert_eq!(
        node.strict(),
        weighted(150),
        "the preference ends with the first failure"
    );
}

#[test]
fn a_preference_counts_for_nothing_while_the_node_is_worked_on() {
    let mut node = Node::new(Policy {
        preferred: true,
        duty: Duty::Demote("cordoned".to_owned()),
        ..policy([])
    });
    assert_eq!(node.strict(), DEMOTED);
    node.edit(Policy {
        preferred: true,
        ..policy([])
    });
    assert_eq!(node.strict(), weighted(254));
}

#[test]
fn a_preferred_owner_stays_the_owner() {
    let node = Node::new(Policy {
        preferred: true,
        base: priority(255),
        ..policy([])
    });
    assert_eq!(node.strict(), stands(Standing::Base));
}
