//! Who becomes Active, when, and that it is one: scenarios written by hand.

use core::time::Duration;

use holdfast_vrrp::{Fault, Preemption, Priority, Shutdown, Standing, Version, active_down_interval, skew};

use crate::scenario::{Edit, Group, Step};
use crate::script::{Script, group};

const NO_CHANGE: fn(usize, &mut holdfast_vrrp::Config) = |_, _| {};

fn never_preempt(_: usize, config: &mut holdfast_vrrp::Config) {
    config.preemption = Preemption::Never;
}

fn priority(value: u8) -> Priority {
    Priority::new(value).unwrap_or(Priority::DEFAULT)
}

#[test]
fn of_nodes_that_start_together_the_highest_priority_becomes_active() {
    for millis in [10, 100, 1000] {
        let mut script = Script::new(&group(millis), &[100, 200, 150], NO_CHANGE);
        assert_eq!(script.settle().active(), [1]);
        assert_eq!(script.holders(), [1]);
    }
}

#[test]
fn a_lost_active_router_is_replaced_after_active_down_interval() {
    for (version, millis) in [
        (Version::V3, 10),
        (Version::V3, 100),
        (Version::V3, 1000),
        (Version::V2, 1000),
    ] {
        let group = Group {
            version,
            ..group(millis)
        };
        let mut script = Script::new(&group, &[100, 200], NO_CHANGE);
        script.settle().then(&Step::PowerOff(1));
        let taken_over = script.until_active(0);
        let patience = active_down_interval(version, priority(100), group.interval());
        let margin = group.interval / 10;
        // The last advertisement may be up to one interval old.
        assert!(taken_over <= patience + margin, "{taken_over:?} at {millis} ms");
        assert!(
            taken_over + group.interval + margin >= patience,
            "{taken_over:?} at {millis} ms"
        );
    }
}

#[test]
fn routers_on_two_sides_of_a_partition_are_both_active_and_one_yields_within_an_interval_of_its_end() {
    let mut script = Script::new(&group(100), &[100, 200, 90], NO_CHANGE);
    script.settle().then(&Step::Partition(vec![0, 1, 0])).settle();
    assert_eq!(script.active(), [0, 1]);
    script.then(&Step::Heal).wait(Duration::from_millis(105));
    assert_eq!(script.active(), [1]);
    // The one that yields keeps the addresses until the other one's announcement, which was due at once.
    script.wait(Duration::from_millis(205));
    assert_eq!(script.holders(), [1]);
}

#[test]
fn equal_priorities_after_a_partition_are_decided_by_the_higher_address() {
    for first in [0, 1] {
        let mut script = Script::new(&group(100), &[100, 100], NO_CHANGE);
        // Whoever was Active before.
        script
            .settle()
            .then(&Step::PowerOff(first))
            .settle()
            .then(&Step::Start(first))
            .settle();
        script.then(&Step::Partition(vec![0, 1])).settle();
        assert_eq!(script.active(), [0, 1]);
        assert_eq!(script.then(&Step::Heal).settle().active(), [1]);
    }
}

#[test]
fn of_equal_backups_one_takes_over_and_no_other_becomes_active() {
    let unicast = Group {
        unicast: true,
        ..group(1000)
    };
    let link = Duration::from_micros(500);
    // One that stops changes its own state, too.
    for (end, changes) in [(Step::PowerOff(3), 1), (Step::Stop(3, Shutdown::Planned), 2)] {
        let mut script = Script::paced(&unicast, &[100, 100, 100, 100], link, NO_CHANGE);
        assert_eq!(script.settle().active(), [3]);
        let before = script.transitions();
        script.then(&end).settle();
        assert_eq!(script.active(), [2], "the highest address of those that are left");
        assert_eq!(script.transitions() - before, changes, "{end:?}");
    }
}

#[test]
fn an_equal_priority_does_not_take_over_from_a_living_active_router() {
    let mut script = Script::new(&group(100), &[100, 100], NO_CHANGE);
    script
        .settle()
        .then(&Step::PowerOff(1))
        .settle()
        .then(&Step::Start(1))
        .settle();
    assert_eq!(script.active(), [0]);
}

#[test]
fn a_backup_that_hears_nothing_becomes_active_and_is_told_to_yield_when_the_link_is_whole() {
    let mut script = Script::new(&group(100), &[100, 200], NO_CHANGE);
    script.settle().then(&Step::CutOneWay(1, 0)).settle();
    assert_eq!(script.active(), [0, 1]);
    assert_eq!(script.then(&Step::Heal).settle().active(), [1]);
}

#[test]
fn the_preferred_node_takes_over_when_it_returns() {
    let mut script = Script::new(&group(100), &[100, 200], NO_CHANGE);
    script.settle().then(&Step::PowerOff(1)).settle();
    assert_eq!(script.active(), [0]);
    script.then(&Step::Start(1)).settle();
    assert_eq!(script.active(), [1]);
}

#[test]
fn the_preferred_node_waits_for_as_long_as_the_preemption_delay_says() {
    let delay = Duration::from_secs(3);
    let mut script = Script::new(&group(100), &[100, 200], |_, config| {
        config.preemption = Preemption::Delayed(delay);
    });
    script
        .settle()
        .wait(delay)
        .then(&Step::PowerOff(1))
        .settle()
        .then(&Step::Start(1));
    let taken_over = script.until_active(1);
    assert!(
        (delay..delay + Duration::from_millis(200)).contains(&taken_over),
        "{taken_over:?}"
    );
}

#[test]
fn the_preferred_node_stays_backup_when_preemption_is_never() {
    let mut script = Script::new(&group(100), &[100, 200], never_preempt);
    script
        .settle()
        .then(&Step::PowerOff(1))
        .settle()
        .then(&Step::Start(1))
        .settle();
    assert_eq!(script.active(), [0]);
}

#[test]
fn the_owner_takes_over_when_it_returns_even_when_preemption_is_never() {
    let mut script = Script::new(&group(100), &[100, 255], never_preempt);
    script
        .settle()
        .then(&Step::Freeze(1))
        .wait(Duration::from_secs(5));
    assert_eq!(script.active(), [0]);
    assert_eq!(script.then(&Step::Thaw(1)).settle().active(), [1]);
}

#[test]
fn a_healthy_node_takes_over_from_one_in_the_floor_band_even_when_preemption_is_never() {
    let mut script = Script::new(&group(100), &[100, 200], never_preempt);
    script.settle();
    let failing = script.active()[0];
    script.then(&Step::Standing(failing, Standing::Floor)).settle();
    assert_eq!(script.active(), [1 - failing]);
    // When both fail, somebody still serves.
    script
        .then(&Step::Standing(1 - failing, Standing::Floor))
        .settle();
    assert_eq!(script.active().len(), 1);
}

#[test]
fn of_several_backups_that_see_a_priority_fall_only_the_best_ends_active() {
    for preemption in [Preemption::Never, Preemption::Delayed(Duration::from_mins(1))] {
        let mut script = Script::new(&group(100), &[200, 180, 190, 170], |_, config| {
            config.preemption = preemption;
        });
        script.settle();
        assert_eq!(script.active(), [0]);
        script.then(&Step::Standing(0, Standing::Weighted(priority(160))));
        script.wait_without_a_hole(Duration::from_millis(300));
        assert_eq!((script.active(), script.holders()), (vec![2], vec![2]));
        let before = script.transitions();
        assert_eq!(script.settle().transitions(), before);
    }
}

#[test]
fn a_node_that_recovers_its_priority_under_never_stays_backup_until_its_successor_gets_worse() {
    let mut script = Script::new(&group(100), &[100, 200, 180], never_preempt);
    script
        .settle()
        .then(&Step::Standing(1, Standing::Weighted(priority(150))))
        .settle();
    assert_eq!(script.active(), [2]);
    script.then(&Step::Standing(1, Standing::Base)).settle();
    assert_eq!(script.active(), [2]);
    script
        .then(&Step::Standing(2, Standing::Weighted(priority(179))))
        .settle();
    assert_eq!(script.active(), [1]);
}

#[test]
fn the_backup_with_the_highest_priority_is_the_first_to_take_over_at_10_ms_too() {
    let mut script = Script::new(&group(10), &[50, 250, 100, 150], NO_CHANGE);
    script.settle();
    let before = script.transitions();
    script.then(&Step::PowerOff(1)).settle();
    assert_eq!(script.active(), [3]);
    // Skew_Time in nanoseconds: nobody else became Active on the way.
    assert_eq!(script.transitions() - before, 1);
    let skew_of = |value| skew(Version::V3, priority(value), group(10).interval());
    let apart = skew_of(100).saturating_sub(skew_of(150));
    assert!(apart > Duration::from_millis(1), "{apart:?}");
}

#[test]
fn clocks_that_differ_by_two_percent_cause_no_failover_in_a_minute() {
    let mut script = Script::new(&group(10), &[100, 200, 150], NO_CHANGE);
    script.settle();
    let before = script.transitions();
    script.wait(Duration::from_mins(1));
    assert_eq!(script.transitions(), before);
}

#[test]
fn a_configuration_that_says_the_same_moves_nothing() {
    let mut script = Script::new(&group(100), &[100, 200], NO_CHANGE);
    script.settle();
    let before = script.transitions();
    for node in [0, 1, 1, 0] {
        script
            .then(&Step::Configure(node, Edit::Same))
            .wait(Duration::from_millis(70));
        script
            .then(&Step::Configure(node, Edit::Members(vec![0, 1])))
            .wait_without_a_hole(Duration::from_millis(70));
    }
    assert_eq!(script.settle().transitions(), before);
    assert_eq!(script.holders(), [1]);
}

#[test]
fn a_backup_that_joins_fails_or_leaves_moves_nothing() {
    let mut script = Script::new(
        &Group {
            unicast: true,
            ..group(100)
        },
        &[100, 200, 150],
        NO_CHANGE,
    );
    script.settle().then(&Step::PowerOff(2)).settle();
    let of_others = |script: &Script| (script.active(), script.holders());
    let before = of_others(&script);
    script.then(&Step::Start(2)).settle();
    assert_eq!(of_others(&script), before);
    script.then(&Step::Fault(2, Fault::ProbeFailed, true)).settle();
    script.then(&Step::Fault(2, Fault::ProbeFailed, false)).settle();
    script
        .then(&Step::Stop(2, holdfast_vrrp::Shutdown::Planned))
        .settle();
    assert_eq!(of_others(&script), before);
}

#[test]
fn a_member_that_may_not_become_active_does_not_even_when_it_is_alone() {
    let mut script = Script::new(&group(100), &[100, 200], |node, config| {
        config.may_become_active = node == 0;
    });
    assert_eq!(script.settle().active(), [0]);
    assert_eq!(script.then(&Step::PowerOff(0)).settle().active(), [0; 0]);
    assert_eq!(
        script
            .then(&Step::Configure(1, Edit::MayBecomeActive(true)))
            .settle()
            .active(),
        [1]
    );
}

#[test]
fn a_member_that_is_active_stays_so_when_it_may_not_become_active_any_more() {
    let mut script = Script::new(&group(100), &[100, 200], NO_CHANGE);
    assert_eq!(script.settle().active(), [1]);
    script
        .then(&Step::Configure(1, Edit::MayBecomeActive(false)))
        .settle();
    assert_eq!(script.active(), [1]);
    assert_eq!(script.then(&Step::Replace(1)).settle().active(), [1]);
    assert_eq!(script.then(&Step::PowerOff(1)).settle().active(), [0]);
    assert_eq!(
        script.then(&Step::Start(1)).settle().active(),
        [0],
        "it would have to become Active again"
    );
}
