//! Addresses that change hands, or must not: stops, freezes, kills, restarts, failing services; written by hand.

use core::time::Duration;

use holdfast_vrrp::{Fault, Preemption, Shutdown, Standing};

use crate::scenario::{Edit, Group, Step};
use crate::script::{Script, group};

const NO_CHANGE: fn(usize, &mut holdfast_vrrp::Config) = |_, _| {};

#[test]
fn a_planned_stop_leaves_no_hole_and_is_over_soon() {
    for millis in [10, 100, 1000] {
        let group = group(millis);
        let mut script = Script::new(&group, &[100, 200], NO_CHANGE);
        script.settle().then(&Step::Stop(1, Shutdown::Planned));
        let taken_over = script.until_active(0);
        // Skew_Time of priority 100 is 156/256 of an interval.
        assert!(
            taken_over <= group.interval * 65 / 100,
            "{taken_over:?} at {millis} ms"
        );
        script.wait_without_a_hole(6 * group.interval);
        assert_eq!(script.holders(), [0]);
    }
}

#[test]
fn a_planned_stop_leaves_no_hole_even_if_the_first_resignation_is_lost() {
    for millis in [10, 100, 1000] {
        for unicast in [false, true] {
            let group = Group {
                unicast,
                ..group(millis)
            };
            let mut script = Script::new(&group, &[100, 200, 60], NO_CHANGE);
            script
                .settle()
                .then(&Step::LoseResignations(1, 1))
                .then(&Step::Stop(1, Shutdown::Planned));
            script.wait_without_a_hole(6 * group.interval);
            assert_eq!(script.active(), [0]);
            assert_eq!(script.settle().holders(), [0]);
        }
    }
}

#[test]
fn a_planned_stop_leaves_no_hole_even_if_every_resignation_is_lost() {
    let group = group(100);
    let mut script = Script::new(&group, &[200, 100], NO_CHANGE);
    script.settle();
    // The event just before keeps the checker from asking for a takeover in the time that one lost resignation costs.
    script
        .then(&Step::DeleteAddress(1))
        .then(&Step::LoseResignations(0, 2))
        .then(&Step::Stop(0, Shutdown::Planned));
    script.wait_without_a_hole(6 * group.interval);
    assert_eq!(script.settle().holders(), [1]);
}

#[test]
fn a_failing_service_or_a_node_that_is_worked_on_hands_over_without_a_hole() {
    for step in [
        Step::Standing(1, Standing::Floor),
        Step::Standing(1, Standing::Demoted),
        Step::Fault(1, Fault::ProbeFailed, true),
        Step::Fault(1, Fault::Maintenance, true),
        Step::Fault(1, Fault::SyncGroup, true),
    ] {
        let mut script = Script::new(&group(100), &[100, 200], NO_CHANGE);
        script
            .settle()
            .then(&step)
            .wait_without_a_hole(Duration::from_millis(600));
        assert_eq!(script.holders(), [0]);
    }
}

#[test]
fn a_router_that_is_told_to_hand_over_does_so_without_a_hole_and_comes_back_only_if_preemption_says_so() {
    for (preemption, after) in [(Preemption::Never, 0), (Preemption::Immediate, 1)] {
        let mut script = Script::new(&group(100), &[100, 200], |_, config| {
            config.preemption = preemption;
        });
        script
            .settle()
            .then(&Step::HandOver(1))
            .wait_without_a_hole(Duration::from_millis(250));
        assert_eq!(script.holders(), [0]);
        script.wait_without_a_hole(Duration::from_secs(1));
        assert_eq!(script.settle().holders(), [after]);
    }
}

#[test]
fn a_preempted_router_keeps_the_addresses_until_its_successor_has_them() {
    let mut script = Script::new(&group(100), &[100, 200], NO_CHANGE);
    script
        .settle()
        .then(&Step::PowerOff(1))
        .settle()
        .then(&Step::Start(1));
    script.wait_without_a_hole(Duration::from_secs(1));
    assert_eq!(script.holders(), [1]);
}

#[test]
fn an_immediate_stop_takes_the_addresses_away_at_once() {
    let mut script = Script::new(&group(1000), &[100, 200], NO_CHANGE);
    script
        .settle()
        .then(&Step::Stop(1, Shutdown::Immediate))
        .wait(Duration::from_millis(40));
    assert_eq!(script.holders(), [0; 0]);
}

#[test]
fn a_second_stop_skips_the_wait() {
    let mut script = Script::new(&group(1000), &[100, 200], NO_CHANGE);
    script
        .settle()
        .then(&Step::Stop(1, Shutdown::Planned))
        .wait(Duration::from_millis(40));
    assert_eq!(script.holders(), [1]);
    script
        .then(&Step::Stop(1, Shutdown::Planned))
        .wait(Duration::from_millis(40));
    assert_eq!(script.holders(), [0; 0]);
}

#[test]
fn a_killed_routers_addresses_are_gone_at_the_end_of_their_lifetime() {
    let mut script = Script::new(&group(100), &[100, 200], NO_CHANGE);
    script.settle().then(&Step::Kill(1));
    script.until_active(0);
    script.wait(Duration::from_millis(1100));
    assert_eq!(script.holders(), [0]);
}

#[test]
fn a_killed_router_that_is_back_before_anybody_noticed_stays_active() {
    let group = group(100);
    let mut script = Script::new(&group, &[100, 200], NO_CHANGE);
    script
        .settle()
        .then(&Step::Kill(1))
        .wait(group.interval / 2)
        .then(&Step::Start(1));
    script.wait_without_a_hole(Duration::from_secs(3));
    assert_eq!(script.active(), [1]);
    assert_eq!(script.holders(), [1]);
}

#[test]
fn a_killed_router_that_is_back_too_late_finds_its_successor_and_lets_go() {
    let group = group(100);
    let mut script = Script::new(&group, &[200, 100], |_, config| {
        config.preemption = Preemption::Never;
    });
    script.settle();
    let killed = script.active()[0];
    script.then(&Step::Kill(killed)).wait(6 * group.interval);
    script.then(&Step::Start(killed)).wait(2 * group.interval);
    assert_eq!(script.active(), [1 - killed]);
    assert_eq!(script.holders(), [1 - killed]);
}

#[test]
fn an_agent_that_stood_by_goes_on_without_a_pause() {
    let group = group(100);
    let mut script = Script::new(&group, &[100, 200], NO_CHANGE);
    script
        .settle()
        .then(&Step::Replace(1))
        .wait_without_a_hole(group.interval / 10);
    assert_eq!(script.active(), [1]);
    script.wait_without_a_hole(Duration::from_secs(3));
    assert_eq!(script.active(), [1]);
}

#[test]
fn a_frozen_router_holds_nothing_beyond_the_lifetime_and_listens_first_when_it_thaws() {
    let mut script = Script::new(&group(100), &[100, 200], NO_CHANGE);
    script
        .settle()
        .then(&Step::Freeze(1))
        .wait(Duration::from_millis(1100));
    assert_eq!(script.holders(), [0]);
    script.wait(Duration::from_secs(20)).then(&Step::Thaw(1));
    assert_eq!(script.active(), [0]);
    script.wait(Duration::from_millis(100));
    assert_eq!(script.holders(), [0]);
    // Being better, it takes over as any better one would.
    assert_eq!(script.settle().active(), [1]);
}

#[test]
fn a_router_frozen_for_less_than_an_interval_stays_active() {
    let mut script = Script::new(&group(1000), &[100, 200], NO_CHANGE);
    script.settle();
    let before = script.transitions();
    script
        .then(&Step::Freeze(1))
        .wait(Duration::from_millis(900))
        .then(&Step::Thaw(1))
        .settle();
    assert_eq!(script.transitions(), before);
    assert_eq!(script.holders(), [1]);
}

#[test]
fn an_address_that_somebody_deletes_is_put_back() {
    let mut script = Script::new(&group(100), &[100, 200], NO_CHANGE);
    script.settle();
    for _ in 0..3 {
        script.then(&Step::DeleteAddress(1));
        assert_eq!(script.holders(), [0; 0]);
        assert_eq!(script.wait(Duration::from_millis(10)).holders(), [1]);
    }
}

#[test]
fn a_router_that_cannot_bind_gives_way_to_one_that_can() {
    let mut script = Script::new(&group(100), &[100, 200], NO_CHANGE);
    script
        .settle()
        .then(&Step::PowerOff(1))
        .settle()
        .then(&Step::RefuseBinding(1, true))
        .then(&Step::Start(1));
    script.wait(Duration::from_secs(5));
    assert_eq!(script.active(), [0]);
    assert_eq!(script.holders(), [0]);
}

#[test]
fn a_changed_list_of_addresses_leaves_the_common_ones_alone() {
    let group = group(100);
    let mut script = Script::new(&group, &[100, 200], |_, config| {
        config.addresses = group.addresses(2);
    });
    script.settle();
    let before = script.transitions();
    for count in [3, 1, 2] {
        script
            .then(&Step::Configure(1, Edit::Addresses(group.addresses(count))))
            .wait(Duration::from_millis(10));
        script
            .then(&Step::Configure(0, Edit::Addresses(group.addresses(count))))
            .wait(Duration::from_millis(10));
        assert_eq!(script.holders(), [1]);
    }
    assert_eq!(script.settle().transitions(), before);
}
