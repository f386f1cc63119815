//! The Backup state (RFC 9568 §6.4.2, RFC 3768 §6.4.2): whom it follows and when it takes over.

use holdfast_vrrp::{Action, Interval, Notice, Preemption, Reason, Standing, State, Version};

use crate::harness::*;

#[test]
fn backup_takes_over_when_the_active_router_has_been_silent_for_active_down_interval() {
    let mut solo = Solo::backup(config(100));
    solo.hear(HIGHER, 200);
    assert_eq!(solo.pass(active_down(100) - millis(1)), []);
    let out = solo.timeout();
    assert_eq!(
        out[..2],
        [send(100), bind(&[VIP])],
        "advertise first, then bind, and announce nothing yet"
    );
    let Action::Transition(transition) = &out[2] else {
        panic!("{out:?}")
    };
    assert_eq!(transition.reason, Reason::ActiveSilent);
    assert_eq!(transition.silence, Some(active_down(100)));
    assert_eq!(transition.priority, priority(100));
    assert_eq!(out.len(), 3);
    assert_eq!(solo.wakes_in(), SECOND, "Adver_Timer runs");
}

#[test]
fn backup_that_has_never_heard_an_active_router_reports_no_silence() {
    let mut solo = Solo::backup(config(100));
    let log = solo.pass(4 * SECOND);
    let (at, transition) = first_transition(&log).unwrap();
    assert_eq!(
        (at, transition.reason, transition.silence),
        (active_down(100), Reason::ActiveSilent, None)
    );
}

#[test]
fn backup_follows_an_active_router_of_higher_or_equal_priority() {
    for theirs in [100, 101, 255] {
        let mut solo = Solo::backup(config(100));
        for _ in 0..20 {
            solo.pass(SECOND);
            assert_eq!(solo.hear(LOWER, theirs), []);
        }
        assert_eq!(solo.state(), State::Backup);
        assert_eq!(solo.snapshot().active_peer, Some(LOWER));
    }
}

#[test]
fn backup_takes_over_after_skew_time_when_the_active_router_resigns() {
    let mut solo = Solo::backup(config(100));
    solo.hear(HIGHER, 200);
    solo.pass(millis(500));
    assert_eq!(solo.hear(HIGHER, 0), []);
    assert_eq!(solo.wakes_in(), skew(100));
    let log = solo.pass(skew(100));
    let (_, transition) = first_transition(&log).unwrap();
    assert_eq!(
        (transition.reason, transition.silence),
        (Reason::ActiveResigned, Some(skew(100)))
    );
}

#[test]
fn backup_follows_again_when_a_successor_is_heard_within_skew_time() {
    let mut solo = Solo::backup(config(100));
    solo.hear(HIGHER, 0);
    solo.hear(LOWER, 150);
    assert_eq!(solo.wakes_in(), active_down(100));
}

#[test]
fn backup_discards_a_lower_priority_and_takes_over_when_the_down_timer_fires() {
    let mut solo = Solo::backup(config(100));
    let mut heard = 0;
    while solo.state() == State::Backup {
        let log = solo.pass(millis(900));
        if let Some((_, transition)) = first_transition(&log) {
            assert_eq!(transition.reason, Reason::Preempted);
            break;
        }
        assert_eq!(solo.hear(HIGHER, 99), []);
        heard += 1;
    }
    assert_eq!(heard, 4, "they did not extend the timer");
}

#[test]
fn a_worse_router_that_was_heard_before_a_better_one_is_not_the_reason() {
    let mut solo = Solo::backup(config(100));
    solo.hear(HIGHER, 99);
    solo.hear(LOWER, 100);
    let log = solo.pass(4 * SECOND);
    assert_eq!(first_transition(&log).unwrap().1.reason, Reason::ActiveSilent);
}

#[test]
fn a_discarded_advertisement_does_not_hide_the_better_router_that_is_followed() {
    let mut solo = Solo::backup(config(100));
    solo.hear(LOWER, 150);
    solo.hear(HIGHER, 50);
    assert_eq!(solo.snapshot().active_peer, Some(LOWER));
    solo.hear(LOWER, 80);
    assert_eq!(solo.snapshot().active_peer, Some(LOWER));
    solo.hear(HIGHER, 90);
    assert_eq!(solo.snapshot().active_peer, Some(HIGHER));
}

#[test]
fn a_discarded_advertisement_does_not_teach_an_interval() {
    let mut solo = Solo::backup(config(100));
    let mut theirs = config(50);
    theirs.interval = interval(10 * SECOND);
    solo.hear_from(&theirs, HIGHER, 50);
    assert_eq!(solo.snapshot().interval, SECOND);
}

#[test]
fn backup_ignores_lower_priority_when_preemption_is_never() {
    let mut start = config(100);
    start.preemption = Preemption::Never;
    let mut solo = Solo::backup(start);
    for _ in 0..20 {
        assert_eq!(solo.pass(SECOND), []);
        assert_eq!(solo.hear(HIGHER, 16), []);
    }
    assert_eq!(solo.state(), State::Backup);
    let log = solo.pass(4 * SECOND);
    assert_eq!(first_transition(&log).unwrap().1.reason, Reason::ActiveSilent);
}

#[test]
fn backup_adopts_the_interval_of_the_active_router() {
    for (preemption, theirs) in [
        (Preemption::Immediate, 100),
        (Preemption::Never, 50),
        (Preemption::Delayed(60 * SECOND), 50),
    ] {
        let mut start = config(100);
        start.preemption = preemption;
        let mut solo = Solo::backup(start.clone());
        start.interval = interval(10 * SECOND);
        let out = solo.hear_from(&start, HIGHER, theirs);
        assert_eq!(
            out,
            [Action::Notice(Notice::IntervalDiffers {
                router: HIGHER,
                theirs: 10 * SECOND,
                ours: SECOND
            })]
        );
        assert_eq!(solo.snapshot().interval, 10 * SECOND);
        assert_eq!(solo.wakes_in(), 30 * SECOND + skew(100) * 10);
        assert_eq!(
            solo.hear_from(&start, HIGHER, theirs),
            [],
            "said once, not with every advertisement"
        );
    }
}

#[test]
fn a_router_that_becomes_active_advertises_at_its_own_interval_again() {
    let mut solo = Solo::backup(config(100));
    let mut theirs = config(200);
    theirs.interval = interval(millis(100));
    solo.hear_from(&theirs, HIGHER, 200);
    let log = solo.pass(millis(361));
    assert!(first_transition(&log).is_some(), "{log:?}");
    assert_eq!(solo.snapshot().interval, SECOND);
    let start = solo.now;
    let log = solo.pass(5 * SECOND);
    assert!(start < solo.now);
    assert_eq!(sent(log.iter().map(|(_, action)| action)).len(), 5);
}

#[test]
fn skew_is_not_lost_at_ten_milliseconds() {
    let mut start = config(100);
    start.interval = interval(millis(10));
    let mut solo = Solo::backup(start);
    solo.hear(HIGHER, 200);
    assert_eq!(solo.wakes_in(), std::time::Duration::from_nanos(36_093_750));
    solo.hear(HIGHER, 0);
    assert_eq!(solo.wakes_in(), std::time::Duration::from_nanos(6_093_750));
}

#[test]
fn version_2_counts_skew_in_fractions_of_a_second() {
    let mut start = config(100);
    start.version = Version::V2;
    start.interval = Interval::new(Version::V2, 10 * SECOND).unwrap();
    let mut solo = Solo::backup(start);
    assert_eq!(solo.wakes_in(), 30 * SECOND + skew(100));
    solo.hear(HIGHER, 0);
    assert_eq!(solo.wakes_in(), skew(100));
}

#[test]
fn delayed_preemption_takes_over_from_a_worse_router_after_the_delay() {
    let mut start = config(100);
    start.preemption = Preemption::Delayed(millis(9500));
    let mut solo = Solo::backup(start);
    solo.hear(HIGHER, 50);
    for _ in 0..9 {
        assert_eq!(solo.pass(SECOND), []);
        assert_eq!(solo.hear(HIGHER, 50), []);
    }
    let log = solo.pass(SECOND);
    let (at, transition) = first_transition(&log).unwrap();
    assert_eq!((at, transition.reason), (millis(500), Reason::Preempted));
}

#[test]
fn delayed_preemption_starts_again_when_a_better_router_is_heard() {
    let mut start = config(100);
    start.preemption = Preemption::Delayed(3 * SECOND);
    let mut solo = Solo::backup(start);
    solo.hear(HIGHER, 50);
    solo.pass(2 * SECOND);
    solo.hear(LOWER, 150);
    solo.hear(HIGHER, 50);
    assert_eq!(solo.pass(3 * SECOND - millis(1)), []);
    assert_eq!(
        transitions(&solo.timeout()),
        [(State::Backup, State::Active, Reason::Preempted)]
    );
}

#[test]
fn delayed_preemption_starts_again_when_the_router_was_in_doubt_itself() {
    let mut start = config(100);
    start.preemption = Preemption::Delayed(3 * SECOND);
    let mut solo = Solo::backup(start);
    solo.hear(HIGHER, 50);
    solo.pass(2 * SECOND);
    solo.health(&[], Standing::Floor);
    solo.pass(millis(10));
    solo.health(&[], Standing::Base);
    solo.hear(HIGHER, 50);
    assert_eq!(solo.pass(3 * SECOND - millis(1)), []);
    assert_eq!(
        transitions(&solo.timeout()),
        [(State::Backup, State::Active, Reason::Preempted)]
    );
}

#[test]
fn delayed_preemption_gives_way_to_skew_time_when_the_worse_router_resigns() {
    let mut start = config(100);
    start.preemption = Preemption::Delayed(SECOND);
    let mut solo = Solo::backup(start);
    solo.hear(HIGHER, 50);
    solo.pass(millis(900));
    solo.hear(HIGHER, 0);
    assert_eq!(solo.wakes_in(), skew(100));
}

#[test]
fn delayed_preemption_stops_when_the_own_priority_no_longer_wins() {
    let mut start = config(100);
    start.preemption = Preemption::Delayed(2 * SECOND);
    let mut solo = Solo::backup(start);
    solo.hear(HIGHER, 50);
    solo.health(&[], Standing::Weighted(priority(50)));
    solo.pass(millis(1900));
    solo.hear(HIGHER, 50);
    assert_eq!(solo.pass(3 * SECOND), []);
}

#[test]
fn a_healthy_backup_takes_over_at_once_from_an_active_router_in_the_floor_band() {
    for preemption in [
        Preemption::Immediate,
        Preemption::Delayed(60 * SECOND),
        Preemption::Never,
    ] {
        let mut start = config(16);
        start.preemption = preemption;
        let mut solo = Solo::backup(start);
        let out = solo.hear(HIGHER, 15);
        assert_eq!(out[..2], [send(16), bind(&[VIP])]);
        assert_eq!(
            transitions(&out),
            [(State::Backup, State::Active, Reason::ActiveUnfit)]
        );
    }
}

#[test]
fn an_unfit_router_that_cannot_hear_the_active_one_does_not_make_a_backup_take_over() {
    let mut solo = Solo::backup(config(100));
    for _ in 0..5 {
        solo.hear(HIGHER, 200);
        solo.pass(millis(500));
        assert_eq!(solo.hear(LOWER, 10), []);
        solo.pass(millis(500));
    }
    assert_eq!(solo.snapshot().active_peer, Some(HIGHER));
}

#[test]
fn a_backup_takes_over_at_once_when_only_an_unfit_router_is_left_after_a_resignation() {
    let mut solo = Solo::backup(config(100));
    solo.hear(HIGHER, 200);
    solo.hear(HIGHER, 0);
    let out = solo.hear(LOWER, 10);
    assert_eq!(
        transitions(&out),
        [(State::Backup, State::Active, Reason::ActiveUnfit)]
    );
}

#[test]
fn a_failing_backup_does_not_take_over_from_a_better_failing_one() {
    let mut solo = Solo::backup(config(100));
    solo.health(&[], Standing::Floor);
    assert_eq!(solo.snapshot().priority, priority(100).floored());
    assert_eq!(solo.hear(LOWER, 15), []);
    assert_eq!(solo.state(), State::Backup);
}

#[test]
fn a_router_that_may_not_become_active_stays_backup() {
    let mut start = config(100);
    start.may_become_active = false;
    let mut solo = Solo::backup(start);
    assert_eq!(solo.pass(60 * SECOND), []);
    assert_eq!(solo.hear(HIGHER, 5), []);
    assert_eq!(solo.hear(HIGHER, 0), []);
    assert_eq!(solo.pass(60 * SECOND), []);
    assert_eq!(solo.state(), State::Backup);
    assert!(!solo.snapshot().may_become_active);
}

#[test]
fn a_router_that_may_become_active_again_takes_over_when_its_timer_fires() {
    let mut start = config(100);
    start.may_become_active = false;
    let mut solo = Solo::backup(start);
    solo.pass(10 * SECOND);
    assert_eq!(solo.configure(|config| config.may_become_active = true), []);
    assert!(solo.wakes_in() <= active_down(100));
    assert_eq!(
        transitions(&solo.timeout()),
        [(State::Backup, State::Active, Reason::ActiveSilent)]
    );
}

#[test]
fn a_backup_that_slept_does_not_take_silence_for_evidence() {
    let mut solo = Solo::backup(config(100));
    solo.hear(HIGHER, 200);
    solo.now = solo.now + 60 * SECOND;
    assert_eq!(solo.input(holdfast_vrrp::Input::Timeout), []);
    assert_eq!(solo.wakes_in(), active_down(100));
}

#[test]
fn what_waited_while_the_process_did_not_run_moves_nothing() {
    for theirs in [0, 5] {
        let mut solo = Solo::backup(config(100));
        solo.hear(HIGHER, 200);
        solo.now = solo.now + 60 * SECOND;
        assert_eq!(solo.hear(HIGHER, theirs), []);
        assert_eq!(solo.wakes_in(), active_down(100));
        solo.pass(SECOND);
        solo.hear(HIGHER, theirs);
        let counts = solo.state() == State::Active || solo.wakes_in() == skew(100);
        assert!(counts, "what is said now");
    }
}

#[test]
fn the_owner_preempts_whatever_preemption_says() {
    for preemption in [Preemption::Never, Preemption::Delayed(600 * SECOND)] {
        let mut start = config(255);
        start.preemption = preemption;
        start.may_become_active = false;
        let mut solo = Solo::backup(start);
        solo.configure(|config| config.may_become_active = true);
        solo.pass(3 * SECOND);
        assert_eq!(solo.hear(HIGHER, 254), []);
        assert_eq!(
            solo.wakes_in(),
            skew(255),
            "the worse router's advertisement does not count"
        );
    }
}

#[test]
fn a_backup_says_and_holds_nothing() {
    let mut solo = Solo::backup(config(100));
    for _ in 0..100 {
        assert_eq!(solo.pass(SECOND), []);
        assert_eq!(solo.hear(HIGHER, 200), []);
        assert_eq!(solo.claimed(VIP), []);
    }
    assert!(!solo.snapshot().holding);
}
