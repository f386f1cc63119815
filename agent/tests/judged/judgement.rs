//! Engines that are told how healthy their node is: what they do and say on the wire, alone and in pairs on a cable.

use std::thread::sleep;
use std::time::Instant;

use holdfast_agent::engine::Event;
use holdfast_vrrp::{Fault, Preemption, Reason, Standing, State};

use crate::isolated::isolated;
use crate::rig::{
    INTERVAL, Node, alone, await_some, bad, faulty, good, group, lenient, pair, priority, stands,
};

#[test]
fn a_node_of_which_nothing_is_known_serves_in_the_floor_band_until_its_probes_pass() {
    isolated(|| {
        let (mut node, wire) = alone();
        node.judge(
            "web",
            lenient(bad(Standing::Floor), good()),
            "floor 12 of 200 base: web not yet known",
        );
        node.apply([group("web", 1, 200)]);
        node.await_active("web");
        wire.await_priority(1, 12);
        node.judge("web", good(), "200 base");
        let said = node.await_event("the change", |event| {
            matches!(event, Event::PriorityChanged { .. })
        });
        let Event::PriorityChanged {
            from, to, message, ..
        } = said
        else {
            unreachable!()
        };
        assert_eq!((from.get(), to.get()), (12, 200));
        assert_eq!(message, "priority 12 → 200: 200 base");
        wire.await_priority(1, 200);
        assert_eq!(node.state("web"), State::Active);
    });
}

#[test]
fn weights_are_advertised_at_once_and_said_once() {
    isolated(|| {
        let (mut node, wire) = alone();
        node.judge("web", good(), "200 base");
        node.apply([group("web", 1, 200)]);
        node.await_active("web");
        wire.await_priority(1, 200);
        let sum = "200 base − 50 haproxy (connection refused, 3 of 3) = 150";
        let weighted = stands(Standing::Weighted(priority(150)));
        node.judge("web", weighted, sum);
        wire.await_priority(1, 150);
        // Another text alone is no news, nor is the same judgement.
        node.judge(
            "web",
            weighted,
            "200 base − 50 haproxy (connection refused, 9 of 3) = 150",
        );
        node.judge("web", weighted, sum);
        sleep(INTERVAL * 3);
        let said: Vec<String> = node.events().iter().filter_map(changed).collect();
        assert_eq!(said, [format!("priority 200 → 150: {sum}")]);
        assert_eq!(node.state("web"), State::Active);
    });
}

#[test]
fn a_node_whose_service_fails_hands_over_and_serves_until_its_successor_does() {
    isolated(|| {
        let (mut first, mut second) = pair();
        first.judge("web", good(), "200 base");
        second.judge("web", good(), "100 base");
        first.apply([group("web", 1, 200)]);
        first.await_active("web");
        second.apply([group("web", 1, 100)]);
        second.await_state("web", State::Backup);
        let sum = "floor 12 of 200 base: haproxy fails (answered 503, 3 of 3)";
        first.judge("web", bad(Standing::Floor), sum);
        let (left, message) = first.await_transition("web", State::Backup);
        assert_eq!(left.reason, Reason::ServiceFailing);
        assert!(message.ends_with(sum), "{message}");
        first.await_release_to(&second, "10.0.0.101", "web");
        second.await_active("web");
        second.await_held("10.0.0.101");
        // Healthy again it is the better one, and takes the addresses back.
        first.judge("web", good(), "200 base");
        first.await_active("web");
        second.await_state("web", State::Backup);
    });
}

#[test]
fn without_a_successor_a_failing_node_goes_on_without_a_hole() {
    isolated(|| {
        let (mut node, wire) = alone();
        node.judge("web", good(), "200 base");
        node.apply([group("web", 1, 200)]);
        node.await_active("web");
        node.judge("web", bad(Standing::Floor), "floor 12 of 200 base");
        node.await_transition("web", State::Backup);
        let missing = node.missing_until_active("10.0.0.101", "web");
        assert_eq!(missing, 0, "the address was gone for a while");
        wire.await_priority(1, 12);
    });
}

#[test]
fn a_failing_probe_that_is_a_fault_is_named_and_left_when_it_passes() {
    isolated(|| {
        let (mut node, wire) = alone();
        node.judge("web", good(), "200 base");
        node.apply([group("web", 1, 200)]);
        node.await_active("web");
        let why = "haproxy fails: connection refused, 3 of 3; look at it with `systemctl status haproxy`";
        let told = Instant::now();
        node.judge("web", faulty(Fault::ProbeFailed), why);
        let (left, message) = node.await_transition("web", State::Fault);
        assert_eq!((left.reason, message.as_str()), (Reason::Faulted, why));
        wire.await_priority(1, 0);
        let status = node.status("web");
        assert_eq!(status.faults[0].reason, "ProbeFailed");
        assert_eq!(status.faults[0].message, "a probe with onFailure Fault fails");
        // A successor is waited for as long as one may take to notice, which is for four intervals.
        assert!(
            node.holds("10.0.0.101") || told.elapsed() > INTERVAL * 4,
            "let go before anybody else could serve"
        );
        node.await_release("10.0.0.101");
        node.judge("web", good(), "200 base");
        node.await_active("web");
    });
}

#[test]
fn a_preferred_node_takes_over_though_it_is_never_to_preempt_and_goes_back_to_that_afterwards() {
    isolated(|| {
        let (mut first, mut second) = pair();
        let never = |name, id, base| {
            let mut group = group(name, id, base);
            group.preemption = Preemption::Never;
            group
        };
        second.apply([never("web", 1, 100)]);
        second.await_active("web");
        first.apply([never("web", 1, 200)]);
        sleep(INTERVAL * 6);
        assert_eq!(first.state("web"), State::Backup);
        let best = stands(Standing::Weighted(priority(254)));
        first.prefer("web", best, "254 preferred by placement (200 base)");
        first.await_active("web");
        second.await_state("web", State::Backup);
        first.judge("web", bad(Standing::Floor), "floor 12 of 200 base");
        second.await_active("web");
        first.judge("web", good(), "200 base");
        sleep(INTERVAL * 6);
        assert_eq!(first.state("web"), State::Backup);
    });
}

#[test]
fn an_agent_that_goes_on_where_another_ended_is_not_held_to_what_its_probes_do_not_know_yet() {
    isolated(|| {
        let (mut node, wire) = alone();
        node.judge("web", good(), "200 base");
        node.apply([group("web", 1, 200)]);
        node.await_active("web");
        let predecessor = node.yield_to_next();
        assert!(predecessor.active.contains_key("web"));

        let mut next = Node::start(predecessor, 1);
        let unknown = lenient(bad(Standing::Floor), good());
        wire.drain();
        next.judge("web", unknown, "floor 12 of 200 base: haproxy not yet known");
        next.apply([group("web", 1, 200)]);
        let (resumed, _) = next.await_transition("web", State::Active);
        assert_eq!((resumed.reason, resumed.priority.get()), (Reason::Resumed, 200));
        assert_eq!(wire.hear(&[1]), [(1, 200)].into());
        assert!(next.events().is_empty(), "it moved or said something");
        // Once its health is known, it is held to that, also where it is not known any more.
        next.judge("web", good(), "200 base");
        next.judge("web", unknown, "floor 12 of 200 base: haproxy not yet known");
        let (left, _) = next.await_transition("web", State::Backup);
        assert_eq!(left.reason, Reason::ServiceFailing);
    });
}

#[test]
fn an_agent_that_has_ceased_to_serve_has_no_benefit_of_the_doubt_any_more() {
    isolated(|| {
        let (mut first, mut second) = pair();
        first.judge("web", good(), "200 base");
        first.apply([group("web", 1, 200)]);
        first.await_active("web");
        let mut next = Node::start(first.yield_to_next(), 1);
        next.judge(
            "web",
            lenient(bad(Standing::Floor), good()),
            "floor 12 of 200 base",
        );
        next.apply([group("web", 1, 200)]);
        next.await_active("web");
        second.apply([group("web", 1, 250)]);
        second.await_active("web");
        next.await_state("web", State::Backup);
        await_some("it to stand in the floor band", || {
            (next.status("web").effective_priority == 12).then_some(())
        });
        drop(first);
    });
}

fn changed(event: &Event) -> Option<String> {
    match event {
        Event::PriorityChanged { message, .. } => Some(message.clone()),
        _ => None,
    }
}
