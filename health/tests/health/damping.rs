//! A node that comes and goes is held back.

use holdfast_health::OnFailure::{Fault as Leave, Hold, Weight};
use holdfast_health::{Damping, Duty, Policy, Probe};
use holdfast_vrrp::Fault;

use crate::kit::{
    BASE, DEMOTED, FLOOR, Node, faults, holds, policy, priority, probe, secs, thresholds, weighted,
};

/// Above every failing member, below every healthy one, for base priority 200.
const HELD_BACK: u8 = 27;

fn damped(probes: impl IntoIterator<Item = Probe>) -> Policy {
    Policy {
        damping: Damping {
            changes: 3,
            window: secs(180),
            longest: secs(1800),
        },
        ..policy(probes)
    }
}

fn web() -> Probe {
    thresholds("web", Hold, 1, 1)
}

/// A node whose service passes.
fn good() -> Node {
    let mut node = Node::new(damped([web()]));
    node.passes("web", 1);
    node
}

/// The same after three changes, one a second: it fails.
fn flapping() -> Node {
    let mut node = good();
    for round in 0..3 {
        node.wait(secs(1));
        if round % 2 == 0 {
            node.fails("web", 1);
            assert_eq!(node.strict(), FLOOR, "worse is shown at once");
        } else {
            node.passes("web", 1);
            assert_eq!(node.strict(), BASE, "two changes are not many");
        }
    }
    node
}

/// The same, better again: it is held back.
fn held_back() -> Node {
    let mut node = flapping();
    node.wait(secs(1));
    node.passes("web", 1);
    assert_eq!(node.strict(), weighted(HELD_BACK));
    node
}

fn waits(node: &Node) -> Option<u64> {
    let until = node.group.next_timeout()?;
    Some(until.saturating_duration_since(node.now).as_secs())
}

/// Lets it flap until it is held back again, after it was let go.
fn flap_again(node: &mut Node) {
    for _ in 0..3 {
        node.fails("web", 1);
        node.wait(secs(1));
        node.passes("web", 1);
    }
}

#[test]
fn after_so_many_changes_the_next_one_for_the_better_waits() {
    let mut node = held_back();
    assert_eq!(node.lenient(), weighted(HELD_BACK));
    assert_eq!(waits(&node), Some(180));
    node.wait(secs(179));
    assert_eq!(node.strict(), weighted(HELD_BACK));
    node.wait(secs(1));
    assert_eq!((node.strict(), node.lenient()), (BASE, BASE));
    assert_eq!(node.group.next_timeout(), None);
}

#[test]
fn who_is_held_back_says_so() {
    let node = held_back();
    assert_eq!(node.sum(), "held back at 27 of 200 base (3 changes within 3m)");
    let held = node.group.report().held_back;
    assert_eq!(
        held.map(|held| (held.until, held.changes)),
        Some((node.now + secs(180), 3))
    );
}

#[test]
fn the_order_among_those_held_back_is_that_of_their_base_priorities() {
    let shown = |base| {
        let mut node = held_back();
        node.edit(Policy {
            base: priority(base),
            ..damped([web()])
        });
        node.strict()
    };
    assert_eq!(shown(16), weighted(16));
    assert_eq!(shown(100), weighted(21));
    assert_eq!(shown(255), weighted(30));
    assert_eq!(shown(5), weighted(5), "nobody is better for being held back");
}

#[test]
fn changes_further_apart_than_the_window_do_not_add_up() {
    let mut node = good();
    for _ in 0..10 {
        node.wait(secs(90));
        node.fails("web", 1);
        node.wait(secs(90));
        node.passes("web", 1);
        assert_eq!(node.strict(), BASE);
    }
}

#[test]
fn worse_is_shown_at_once_while_held_back_and_the_wait_begins_anew() {
    let mut node = held_back();
    node.wait(secs(100));
    node.fails("web", 1);
    assert_eq!(node.strict(), FLOOR);
    assert_eq!(node.group.report().held_back, None);
    assert_eq!(node.group.next_timeout(), None, "time alone makes it no better");
    node.wait(secs(100));
    node.passes("web", 1);
    assert_eq!(node.strict(), weighted(HELD_BACK));
    assert_eq!(waits(&node), Some(180));
}

#[test]
fn each_further_time_takes_twice_as_long_up_to_the_longest() {
    let mut node = held_back();
    for wait in [180, 360, 720, 1440, 1800, 1800] {
        assert_eq!(waits(&node), Some(wait));
        node.wait(secs(wait));
        assert_eq!(node.strict(), BASE);
        flap_again(&mut node);
    }
}

#[test]
fn after_a_long_quiet_time_it_begins_again_with_the_window() {
    let mut node = held_back();
    node.wait(secs(180));
    node.wait(secs(3599));
    flap_again(&mut node);
    assert_eq!(waits(&node), Some(360), "that was not quite long enough");
    node.wait(secs(360));
    node.wait(secs(3600));
    flap_again(&mut node);
    assert_eq!(waits(&node), Some(180));
}

#[test]
fn a_node_that_was_down_for_a_long_time_is_not_held_back_for_what_was_before() {
    let mut node = held_back();
    node.fails("web", 1);
    node.wait(secs(3600));
    node.passes("web", 1);
    assert_eq!(node.strict(), BASE);
}

#[test]
fn what_becomes_known_at_the_start_is_no_change() {
    let names = ["a", "b", "c", "d"];
    let mut node = Node::new(damped(names.map(|name| thresholds(name, Weight(-10), 1, 1))));
    for name in names {
        node.wait(secs(1));
        node.passes(name, 1);
    }
    assert_eq!(node.strict(), BASE);
    node.fails("a", 1);
    node.passes("a", 1);
    assert_eq!(node.strict(), BASE);
}

#[test]
fn a_single_run_that_makes_no_verdict_is_no_change() {
    let mut node = Node::new(damped([probe("web", Hold)]));
    node.passes("web", 2);
    for _ in 0..20 {
        node.fails("web", 2);
        node.passes("web", 1);
    }
    node.fails("web", 3);
    node.passes("web", 2);
    assert_eq!(node.strict(), BASE);
}

#[test]
fn damping_can_be_switched_off() {
    let mut node = Node::new(policy([web()]));
    for _ in 0..20 {
        node.passes("web", 1);
        assert_eq!(node.strict(), BASE);
        node.fails("web", 1);
        assert_eq!(node.strict(), FLOOR);
    }
    assert_eq!(node.group.next_timeout(), None);
}

#[test]
fn weights_that_come_and_go_keep_the_lower_sum() {
    let mut node = Node::new(damped([thresholds("web", Weight(-50), 1, 1)]));
    node.passes("web", 1);
    node.fails("web", 1);
    node.passes("web", 1);
    assert_eq!(node.strict(), BASE);
    node.fails("web", 1);
    assert_eq!(node.strict(), weighted(150));
    node.passes("web", 1);
    assert_eq!((node.strict(), node.lenient()), (weighted(150), weighted(150)));
    assert_eq!(node.sum(), "held back at 150 of 200 base (3 changes within 3m)");
    node.wait(secs(180));
    assert_eq!(node.strict(), BASE);
}

#[test]
fn a_number_that_sinks_again_while_it_is_held_back_waits_anew() {
    let mut node = Node::new(damped([thresholds("load", Hold, 1, 1)]));
    for number in [0, -10, -20, -30] {
        node.run("load", holds(number));
    }
    assert_eq!(node.strict(), weighted(170));
    node.run("load", holds(-10));
    assert_eq!((node.strict(), waits(&node)), (weighted(170), Some(180)));
    node.wait(secs(60));
    node.run("load", holds(-5));
    assert_eq!(waits(&node), Some(120), "better still is no reason to wait anew");
    node.run("load", holds(-20));
    assert_eq!((node.strict(), waits(&node)), (weighted(170), Some(180)));
    node.run("load", holds(-30));
    assert_eq!(
        (node.strict(), waits(&node)),
        (weighted(170), None),
        "back to what it shows"
    );
    node.run("load", holds(-40));
    assert_eq!(node.strict(), weighted(160));
}

#[test]
fn what_came_and_went_out_of_the_election_is_held_back_as_well() {
    let mut node = Node::new(damped([thresholds("web", Leave, 1, 1)]));
    node.passes("web", 1);
    node.fails("web", 1);
    node.passes("web", 1);
    node.fails("web", 1);
    assert_eq!(faults(node.strict()), [Fault::ProbeFailed]);
    node.passes("web", 1);
    assert_eq!(node.strict(), weighted(HELD_BACK));
}

#[test]
fn fault_and_floor_are_the_same_to_a_healthy_member() {
    let mut node = Node::new(damped([
        thresholds("leave", Leave, 1, 1),
        thresholds("hold", Hold, 1, 1),
    ]));
    node.passes("leave", 1);
    node.passes("hold", 1);
    node.fails("hold", 1);
    for _ in 0..10 {
        node.fails("leave", 1);
        node.passes("leave", 1);
        assert_eq!(
            node.strict(),
            FLOOR,
            "the best of the failing ones is not held back"
        );
    }
    node.passes("hold", 1);
    assert_eq!(node.strict(), BASE);
}

#[test]
fn a_preferred_node_is_not_preferred_while_it_is_held_back() {
    let mut node = held_back();
    let preferred = Policy {
        preferred: true,
        ..damped([web()])
    };
    node.edit(preferred);
    assert_eq!(node.strict(), weighted(HELD_BACK));
    node.wait(secs(180));
    assert_eq!(node.strict(), weighted(254));
}

#[test]
fn an_edit_is_no_change() {
    let mut node = Node::new(damped([web()]));
    node.passes("web", 1);
    let with = |weight| damped([web(), thresholds("other", Weight(weight), 1, 1)]);
    node.edit(with(-10));
    node.fails("other", 1);
    for weight in [-20, -10, -20, -10, -20] {
        node.edit(with(weight));
    }
    assert_eq!(node.strict(), weighted(180));
    node.edit(with(-10));
    assert_eq!(node.strict(), weighted(190));
}

#[test]
fn an_edit_that_mends_is_shown_at_once() {
    let mut node = flapping();
    node.edit(damped([]));
    assert_eq!(node.strict(), BASE);
}

#[test]
fn a_node_that_is_worked_on_again_and_again_is_held_back() {
    let cordoned = || Policy {
        duty: Duty::Demote("cordoned".to_owned()),
        ..damped([web()])
    };
    let mut node = good();
    node.edit(cordoned());
    node.edit(damped([web()]));
    assert_eq!(node.strict(), BASE);
    node.edit(cordoned());
    assert_eq!(node.strict(), DEMOTED);
    node.edit(damped([web()]));
    assert_eq!(node.strict(), weighted(HELD_BACK));
}

#[test]
fn damping_that_is_edited_lets_go_and_begins_anew() {
    let edited = |changes| Policy {
        damping: Damping {
            changes,
            window: secs(60),
            longest: secs(10),
        },
        ..damped([web()])
    };
    let mut node = held_back();
    node.edit(edited(1));
    assert_eq!(node.strict(), BASE);
    node.fails("web", 1);
    node.passes("web", 1);
    assert_eq!(waits(&node), Some(60));
    node.wait(secs(60));
    node.fails("web", 1);
    node.passes("web", 1);
    assert_eq!(
        waits(&node),
        Some(60),
        "the longest time is not shorter than the window"
    );
    node.edit(edited(0));
    assert_eq!((node.strict(), waits(&node)), (BASE, None));
}

#[test]
fn an_edit_of_something_else_does_not_let_go() {
    let mut node = held_back();
    node.wait(secs(10));
    node.edit(Policy {
        base: priority(190),
        ..damped([web()])
    });
    assert_eq!((node.strict(), waits(&node)), (weighted(HELD_BACK), Some(170)));
}

#[test]
fn who_counts_the_unknown_as_passing_holds_back_as_much() {
    let mut node = Node::new(damped([
        thresholds("web", Weight(-50), 1, 1),
        thresholds("other", Weight(-20), 9, 9),
    ]));
    node.passes("web", 1);
    node.fails("web", 1);
    node.passes("web", 1);
    node.fails("web", 1);
    assert_eq!((node.strict(), node.lenient()), (weighted(130), weighted(150)));
    node.passes("web", 1);
    assert_eq!((node.strict(), node.lenient()), (weighted(130), weighted(150)));
    node.wait(secs(180));
    assert_eq!((node.strict(), node.lenient()), (weighted(180), BASE));
}

#[test]
fn a_call_that_comes_too_late_lets_go_all_the_same() {
    let mut node = held_back();
    node.now = node.now + secs(500);
    node.passes("web", 1);
    assert_eq!(node.strict(), BASE);
}
