//! Nodes that are being worked on.

use holdfast_health::OnFailure::{Fault as Leave, Hold, Weight};
use holdfast_health::{Duty, Policy};
use holdfast_vrrp::Fault;

use crate::kit::{BASE, DEMOTED, FLOOR, Node, faults, policy, probe};

fn on_duty(duty: Duty) -> Policy {
    Policy {
        duty,
        ..policy([
            probe("leave", Leave),
            probe("hold", Hold),
            probe("weight", Weight(-50)),
        ])
    }
}

fn passing(duty: Duty) -> Node {
    let mut node = Node::new(on_duty(duty));
    for name in ["leave", "hold", "weight"] {
        node.passes(name, 2);
    }
    node
}

#[test]
fn a_released_node_leaves_the_election() {
    let mut node = passing(Duty::Serve);
    assert_eq!(node.strict(), BASE);
    node.edit(on_duty(Duty::Release("drained".to_owned())));
    assert_eq!(faults(node.strict()), [Fault::Maintenance]);
    assert_eq!(faults(node.lenient()), [Fault::Maintenance]);
    node.edit(on_duty(Duty::Serve));
    assert_eq!(node.strict(), BASE);
}

#[test]
fn a_demoted_node_stands_in_the_floor_band_and_its_service_does_not_fail() {
    let mut node = passing(Duty::Demote("cordoned".to_owned()));
    assert_eq!((node.strict(), node.lenient()), (DEMOTED, DEMOTED));
    node.fails("weight", 3);
    assert_eq!(node.strict(), DEMOTED, "weights do not matter in the floor band");
}

#[test]
fn a_failing_service_goes_before_a_demotion() {
    let mut node = passing(Duty::Demote("cordoned".to_owned()));
    node.fails("hold", 3);
    assert_eq!(node.strict(), FLOOR);
    node.fails("leave", 3);
    assert_eq!(faults(node.strict()), [Fault::ProbeFailed]);
}

#[test]
fn a_released_node_whose_service_fails_says_both() {
    let mut node = passing(Duty::Release("drained".to_owned()));
    node.fails("leave", 3);
    assert_eq!(faults(node.strict()), [Fault::ProbeFailed, Fault::Maintenance]);
}
