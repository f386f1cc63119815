//! Groups that move together: what happens to one happens to all, once.

use std::collections::BTreeSet;
use std::thread::sleep;

use holdfast_agent::engine::Event;
use holdfast_api::model::NodeGroup;
use holdfast_vrrp::{Fault, Preemption, Reason, Standing, State};

use crate::isolated::isolated;
use crate::rig::{
    INTERVAL, Node, alone, await_some, bad, faulty, good, group, lenient, pair, priority, stands, synced,
};

const BOTH: [&str; 2] = ["in", "out"];

/// The groups of sync group `edge` on a node with this base priority.
fn edge(base: u8) -> [NodeGroup; 2] {
    [synced("in", 1, base), synced("out", 2, base)]
}

/// The first node serves both groups with 200, the second stands by with 100.
fn serving() -> (Node, Node) {
    let (mut first, mut second) = pair();
    first.apply(edge(200));
    for group in BOTH {
        first.await_active(group);
    }
    second.apply(edge(100));
    for group in BOTH {
        second.await_state(group, State::Backup);
    }
    quiet(&mut first, &mut second);
    (first, second)
}

/// Nothing moves any more.
fn quiet(first: &mut Node, second: &mut Node) {
    let (_, _) = (first.events(), second.events());
    // For longer than any router waits for another.
    sleep(INTERVAL * 6);
    let said = [first.events(), second.events()];
    assert!(
        said.iter().all(|said| moves(said).is_empty()),
        "still moving: {said:?}"
    );
}

/// Which groups changed their states, to which, and why.
fn moves(said: &[Event]) -> Vec<(String, State, Reason)> {
    let moves = said.iter().filter_map(|event| match event {
        Event::Transition {
            group, transition, ..
        } => Some((group.clone(), transition.to, transition.reason)),
        _ => None,
    });
    moves.collect()
}

fn serves_both(node: &Node) -> bool {
    BOTH.iter().all(|group| node.state(group) == State::Active)
}

/// Waits until the one serves both and the other none: it yields only when it hears the one's advertisement.
fn await_handed(to: &Node, from: &Node) {
    await_some("one node to serve both groups, and the other none", || {
        let left = BOTH.iter().all(|group| from.state(group) != State::Active);
        (left && serves_both(to)).then_some(())
    });
}

#[test]
fn a_fault_of_one_group_moves_all_once_and_they_come_back_together() {
    isolated(|| {
        let (mut first, mut second) = serving();
        first.judge("in", faulty(Fault::ProbeFailed), "haproxy fails");
        let (left, message) = first.await_transition("out", State::Fault);
        assert_eq!(left.reason, Reason::Faulted);
        assert_eq!(
            message,
            "group in of sync group edge cannot take part: ProbeFailed"
        );
        assert_eq!(first.status("out").faults[0].reason, "SyncGroup");
        assert_eq!(first.status("out").faults[0].message, message);
        assert_eq!(first.status("in").faults.len(), 1, "it is not kept out by itself");
        await_handed(&second, &first);
        quiet(&mut first, &mut second);

        first.judge("in", good(), "200 base");
        await_handed(&first, &second);
        let back = moves(&first.events());
        assert_eq!(
            back.len(),
            4,
            "each group recovers and takes over, and no more: {back:?}"
        );
        quiet(&mut first, &mut second);
    });
}

#[test]
fn all_stand_as_low_as_the_lowest_and_move_because_of_it() {
    isolated(|| {
        let (mut first, mut second) = serving();
        let sum = "200 base − 150 haproxy (connection refused, 3 of 3) = 50";
        first.judge("in", stands(Standing::Weighted(priority(50))), sum);
        await_handed(&second, &first);
        let said = first.events();
        let changes: Vec<&String> = said
            .iter()
            .filter_map(|event| match event {
                Event::PriorityChanged { message, .. } => Some(message),
                _ => None,
            })
            .collect();
        let fellow = format!("priority 200 → 50: as group in of sync group edge: {sum}");
        assert_eq!(changes, [&format!("priority 200 → 50: {sum}"), &fellow]);
        assert_eq!(moves(&said).len(), 2, "{said:?}");
        assert_eq!(first.status("out").effective_priority, 50);
        assert!(
            first
                .status("out")
                .priority_explained
                .contains("as group in of sync group edge")
        );
        quiet(&mut first, &mut second);
        first.judge("in", good(), "200 base");
        await_handed(&first, &second);
        quiet(&mut first, &mut second);
    });
}

#[test]
fn a_failing_service_of_one_group_hands_all_over() {
    isolated(|| {
        let (mut first, mut second) = serving();
        first.judge("in", bad(Standing::Floor), "floor 12 of 200 base: haproxy fails");
        let (left, message) = first.await_transition("out", State::Backup);
        assert_eq!(left.reason, Reason::ServiceFailing);
        assert!(
            message.contains("as group in of sync group edge: floor 12 of 200 base"),
            "{message}"
        );
        await_handed(&second, &first);
        quiet(&mut first, &mut second);
        // Both fail: the better one serves again, with both.
        second.judge("out", bad(Standing::Floor), "floor 6 of 100 base: haproxy fails");
        await_handed(&first, &second);
        quiet(&mut first, &mut second);
    });
}

#[test]
fn a_group_that_loses_its_place_to_somebody_better_takes_the_others_along_once() {
    isolated(|| {
        let (mut node, mut foreign) = pair();
        node.apply(edge(200));
        for group in BOTH {
            node.await_active(group);
        }
        // Somebody who takes part in one of the elections only, and so cannot take both.
        foreign.apply([group("in", 1, 250)]);
        foreign.await_active("in");
        let (left, message) = node.await_transition("out", State::Backup);
        assert_eq!(left.reason, Reason::ToldToHandOver);
        assert_eq!(message, "group in of its sync group has left");
        node.await_active("out");
        assert_eq!(node.state("in"), State::Backup);
        quiet(&mut node, &mut foreign);
    });
}

#[test]
fn groups_that_were_torn_apart_find_together_though_they_are_never_to_preempt() {
    isolated(|| {
        let (mut first, mut second) = pair();
        let never = |group: NodeGroup| NodeGroup {
            preemption: Preemption::Never,
            ..group
        };
        // Each node begins with another group, and hears of the other one too late.
        first.apply([never(synced("in", 1, 200))]);
        second.apply([never(synced("out", 2, 100))]);
        first.await_active("in");
        second.await_active("out");
        first.apply(edge(200).map(never));
        second.apply(edge(100).map(never));
        await_handed(&first, &second);
        quiet(&mut first, &mut second);
        // Together they stay where they are, however good the other node.
        first.judge("in", faulty(Fault::ProbeFailed), "haproxy fails");
        await_handed(&second, &first);
        first.judge("in", good(), "200 base");
        for group in BOTH {
            first.await_state(group, State::Backup);
        }
        quiet(&mut first, &mut second);
        assert!(serves_both(&second));
    });
}

#[test]
fn a_group_that_is_withdrawn_or_restarted_as_another_router_is_told_apart() {
    isolated(|| {
        let (mut node, _wire) = alone();
        node.apply(edge(200));
        for group in BOTH {
            node.await_active(group);
        }
        let [gone, stays] = edge(200);
        node.apply([
            NodeGroup {
                deleted: true,
                ..gone
            },
            stays.clone(),
        ]);
        let withdrawn = |event: &Event| matches!(event, Event::Withdrawn { group } if group == "in");
        node.await_event("the end of one group", withdrawn);
        node.apply(edge(200));
        node.await_active("in");
        assert_eq!(node.status("out").counters.became_active, 1);

        node.apply([synced("in", 3, 200), stays]);
        let (left, _) = node.await_transition("out", State::Backup);
        assert_eq!(left.reason, Reason::ToldToHandOver);
        await_some("both to be Active again", || serves_both(&node).then_some(()));
    });
}

#[test]
fn a_group_that_is_new_beside_serving_ones_moves_none_of_them_while_nothing_is_known_of_it() {
    isolated(|| {
        let (mut node, wire) = alone();
        let [first, second] = edge(200);
        node.apply([first.clone()]);
        node.await_active("in");
        node.events();
        let unknown = lenient(bad(Standing::Floor), good());
        node.judge("out", unknown, "floor 12 of 200 base: web not yet known");
        node.apply([first, second]);
        node.await_active("out");
        wire.drain();
        assert_eq!(wire.hear(&[1, 2]), [(1, 200), (2, 12)].into());
        // Once it is known, it counts.
        node.judge("out", good(), "200 base");
        wire.await_priority(2, 200);
        let said = moves(&node.events());
        assert!(said.iter().all(|(group, ..)| group == "out"), "{said:?}");
        node.judge("out", bad(Standing::Floor), "floor 12 of 200 base: web fails");
        let (left, _) = node.await_transition("in", State::Backup);
        assert_eq!(left.reason, Reason::ServiceFailing);
    });
}

#[test]
fn a_node_that_starts_stands_with_all_its_groups_where_the_least_known_does() {
    isolated(|| {
        let (mut node, wire) = alone();
        let unknown = lenient(bad(Standing::Floor), good());
        node.judge("in", good(), "200 base");
        node.judge("out", unknown, "floor 12 of 200 base: web not yet known");
        node.apply(edge(200));
        for group in BOTH {
            node.await_active(group);
        }
        assert_eq!(wire.hear(&[1, 2]), [(1, 12), (2, 12)].into());
        node.judge("out", good(), "200 base");
        for id in [1, 2] {
            wire.await_priority(id, 200);
        }
    });
}

#[test]
fn hundreds_of_groups_move_together_at_once() {
    isolated(|| {
        let (mut node, _wire) = alone();
        let groups = || (1..=150).map(|id| synced(&format!("group-{id}"), id, 200));
        node.apply(groups());
        let await_all = |node: &Node, state: State| {
            await_some(&format!("all groups in {state}"), || {
                groups()
                    .all(|group| node.state(&group.name) == state)
                    .then_some(())
            });
        };
        await_all(&node, State::Active);
        let _ = node.events();
        node.judge("group-75", faulty(Fault::ProbeFailed), "haproxy fails");
        await_all(&node, State::Fault);
        sleep(INTERVAL * 2);
        // Event by event, none twice and none left out.
        let said = moves(&node.events());
        let left: BTreeSet<&String> = said.iter().map(|(group, ..)| group).collect();
        assert_eq!((said.len(), left.len()), (150, 150), "{said:?}");
        assert!(
            said.iter().all(|(_, state, _)| *state == State::Fault),
            "{said:?}"
        );
    });
}
