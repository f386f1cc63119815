//! Leaving without a hole: planned stop, being told to hand over, and being beaten.

use holdfast_vrrp::{Action, Fault, Input, Reason, Shutdown, Standing, State};

use crate::harness::*;

#[test]
fn a_planned_stop_resigns_and_serves_on() {
    let mut solo = Solo::active(config(100));
    let out = solo.shut_down(Shutdown::Planned);
    assert_eq!(out[0], send(0));
    assert_eq!(
        transitions(&out),
        [(State::Active, State::Initialize, Reason::Shutdown)]
    );
    assert_eq!(out.len(), 2);
    let snapshot = solo.snapshot();
    assert!(snapshot.releasing && snapshot.holding && !solo.router.is_stopped());
}

#[test]
fn a_planned_stop_ends_when_the_successor_announces_an_address() {
    let mut solo = Solo::active(config(100));
    solo.shut_down(Shutdown::Planned);
    assert_eq!(solo.claimed(VIP_2), []);
    assert_eq!(solo.claimed(VIP), [unbind(&[VIP])]);
    assert!(solo.router.is_stopped());
    assert_eq!(solo.router.next_timeout(), None);
}

#[test]
fn a_planned_stop_ends_200_ms_after_the_successors_first_advertisement() {
    let mut solo = Solo::active(config(100));
    solo.shut_down(Shutdown::Planned);
    solo.pass(millis(600));
    assert_eq!(solo.hear(LOWER, 50), []);
    solo.pass(millis(100));
    assert_eq!(solo.hear(LOWER, 50), []);
    assert_eq!(solo.wakes_in(), millis(100), "counted from the first");
    assert_eq!(solo.timeout(), [unbind(&[VIP])]);
    assert!(solo.router.is_stopped());
}

#[test]
fn a_planned_stop_without_successor_repeats_itself_once_and_ends_after_four_intervals() {
    let mut solo = Solo::active(config(100));
    solo.shut_down(Shutdown::Planned);
    let log = solo.pass(60 * SECOND);
    assert_eq!(times_of(&log, &send(0)), [SECOND]);
    assert_eq!(times_of(&log, &unbind(&[VIP])), [4 * SECOND]);
    assert!(solo.router.is_stopped());
}

#[test]
fn a_planned_stop_ends_after_four_intervals_even_if_the_successor_is_late() {
    let mut solo = Solo::active(config(100));
    solo.shut_down(Shutdown::Planned);
    solo.pass(millis(3900));
    solo.hear(LOWER, 50);
    assert_eq!(solo.wakes_in(), millis(100));
    assert_eq!(solo.timeout(), [unbind(&[VIP])]);
}

#[test]
fn priority_zero_is_not_repeated_once_a_successor_is_heard() {
    let mut start = config(100);
    start.interval = interval(millis(100));
    let mut solo = Solo::active(start);
    solo.shut_down(Shutdown::Planned);
    solo.pass(millis(61));
    solo.hear(HIGHER, 90);
    let log = solo.pass(SECOND);
    assert_eq!(sent(log.iter().map(|(_, action)| action)), []);
}

#[test]
fn addresses_are_renewed_until_they_are_let_go() {
    let mut start = config(100);
    start.interval = interval(5 * SECOND);
    start.lifetime = 3 * SECOND;
    let mut solo = Solo::active(start);
    solo.shut_down(Shutdown::Planned);
    let log = solo.pass(60 * SECOND);
    let wanted: Vec<_> = (1..=19).map(|n| n * SECOND).collect();
    let mut renewals = times_of(&log, &Action::Renew);
    renewals.truncate(19);
    assert_eq!(renewals, wanted);
    assert_eq!(times_of(&log, &unbind(&[VIP])), [20 * SECOND]);
}

#[test]
fn a_second_shutdown_skips_the_wait() {
    for second in [Shutdown::Planned, Shutdown::Immediate] {
        let mut solo = Solo::active(config(100));
        solo.shut_down(Shutdown::Planned);
        assert_eq!(solo.shut_down(second), [send(0), unbind(&[VIP])]);
        assert!(solo.router.is_stopped());
    }
}

#[test]
fn an_immediate_shutdown_resigns_and_lets_go() {
    let mut solo = Solo::active(config(100));
    let out = solo.shut_down(Shutdown::Immediate);
    assert_eq!(out[..2], [send(0), unbind(&[VIP])]);
    assert_eq!(
        transitions(&out),
        [(State::Active, State::Initialize, Reason::Shutdown)]
    );
    assert!(solo.router.is_stopped());
}

#[test]
fn a_backup_stops_at_once_and_in_silence() {
    let mut solo = Solo::backup(config(100));
    let out = solo.shut_down(Shutdown::Planned);
    assert_eq!(
        transitions(&out),
        [(State::Backup, State::Initialize, Reason::Shutdown)]
    );
    assert_eq!(out.len(), 1);
    assert!(solo.router.is_stopped());
    assert_eq!(solo.router.next_timeout(), None, "Active_Down_Timer is cancelled");
}

#[test]
fn a_router_that_listens_for_others_before_it_resumes_stops_at_once() {
    let mut solo = Solo::resumed(config(100), 3 * SECOND, false);
    assert_eq!(solo.shut_down(Shutdown::Planned), [unbind(&[VIP])]);
    assert!(solo.router.is_stopped());
}

#[test]
fn a_stopped_router_does_nothing_whatever_it_is_told() {
    let mut solo = Solo::backup(config(100));
    solo.shut_down(Shutdown::Planned);
    assert_eq!(solo.hear(HIGHER, 0), []);
    assert_eq!(solo.configure(|config| config.priority = priority(255)), []);
    assert_eq!(solo.bound(), []);
    assert_eq!(solo.shut_down(Shutdown::Planned), []);
    solo.now = solo.now + 1000 * SECOND;
    assert_eq!(solo.input(Input::Timeout), []);
    assert_eq!(solo.state(), State::Initialize);
}

#[test]
fn an_active_router_that_is_beaten_holds_on_until_the_winner_announces() {
    let mut solo = Solo::active(config(100));
    let out = solo.hear(HIGHER, 200);
    assert_eq!(out.len(), 2, "a last word and the transition: {out:?}");
    assert!(solo.snapshot().releasing);
    assert_eq!(solo.claimed(VIP), [unbind(&[VIP])]);
    assert_eq!(solo.state(), State::Backup);
    solo.pass(SECOND);
    assert_eq!(
        solo.wakes_in(),
        active_down(100) - SECOND,
        "it watches the winner"
    );
}

#[test]
fn an_active_router_that_is_beaten_holds_on_for_200_ms_at_most() {
    let mut solo = Solo::active(config(100));
    solo.hear(HIGHER, 200);
    solo.pass(millis(150));
    solo.hear(HIGHER, 200);
    let log = solo.pass(SECOND);
    assert_eq!(times_of(&log, &unbind(&[VIP])), [millis(50)]);
    assert!(!solo.snapshot().holding);
}

#[test]
fn a_router_that_becomes_active_while_it_lets_go_never_unbinds() {
    let mut start = config(100);
    start.interval = interval(millis(10));
    let mut solo = Solo::active(start);
    solo.hear(HIGHER, 200);
    let log = solo.pass(SECOND);
    let (_, transition) = first_transition(&log).unwrap();
    assert_eq!(
        (transition.to, transition.reason),
        (State::Active, Reason::ActiveSilent)
    );
    assert!(!log.iter().any(|(_, action)| matches!(action, Action::Unbind(_))));
    assert_eq!(solo.bound(), [BURST]);
}

#[test]
fn a_beaten_router_that_is_stopped_still_waits_for_the_winner() {
    let mut solo = Solo::active(config(100));
    solo.hear(HIGHER, 200);
    let out = solo.shut_down(Shutdown::Planned);
    assert_eq!(
        sent(&out),
        [],
        "it is not Active, so it has nothing to resign from"
    );
    assert!(solo.snapshot().holding);
    assert_eq!(solo.timeout(), [unbind(&[VIP])]);
    assert!(solo.router.is_stopped());
}

#[test]
fn a_handover_interrupted_by_a_gap_in_time_ends() {
    let mut solo = Solo::active(config(100));
    solo.shut_down(Shutdown::Planned);
    solo.now = solo.now + 60 * SECOND;
    assert_eq!(solo.input(Input::Timeout), [unbind(&[VIP])]);
    assert!(solo.router.is_stopped());
}

#[test]
fn a_router_that_is_told_to_hand_over_resigns_serves_on_and_stays_in_the_election() {
    let mut solo = Solo::active(config(200));
    let out = solo.hand_over();
    assert_eq!(out[0], send(0));
    assert_eq!(
        transitions(&out),
        [(State::Active, State::Backup, Reason::ToldToHandOver)]
    );
    assert_eq!(out.len(), 2);
    let snapshot = solo.snapshot();
    assert!(snapshot.releasing && snapshot.holding);
    assert_eq!(snapshot.priority, priority(200), "a Backup like any other");
    assert_eq!(
        solo.hand_over(),
        [],
        "told again, it has nothing more to hand over"
    );
    solo.pass(skew(16));
    solo.hear(LOWER, 16);
    let log = solo.pass(millis(200));
    assert_eq!(times_of(&log, &unbind(&[VIP])), [millis(200)]);
}

#[test]
fn a_router_that_was_told_to_hand_over_goes_on_when_nobody_else_takes_over() {
    let mut solo = Solo::active(config(200));
    solo.hand_over();
    let log = solo.pass(active_down(200));
    assert_eq!(
        times_of(&log, &send(0)),
        [SECOND],
        "the first word may have been lost"
    );
    let (at, transition) = first_transition(&log).unwrap();
    assert_eq!((at, transition.to), (active_down(200), State::Active));
    assert!(!log.iter().any(|(_, action)| matches!(action, Action::Unbind(_))));
}

#[test]
fn a_router_that_was_told_to_hand_over_leaves_the_others_the_time_to_hear_it_twice() {
    for length in [millis(10), millis(100), SECOND] {
        let mut start = config(254);
        start.interval = interval(length);
        let mut solo = Solo::active(start);
        solo.hand_over();
        // Priority 0 twice, an interval apart, and the longest Skew_Time after the second.
        let log = solo.pass(2 * length);
        assert_eq!(first_transition(&log), None, "at {length:?}");
        assert_eq!(sent(log.iter().map(|(_, action)| action)), [0]);
    }
}

#[test]
fn a_router_that_is_not_active_has_nothing_to_hand_over() {
    let failed = || {
        let mut solo = Solo::backup(config(100));
        solo.health(&[Fault::LinkDown], Standing::Base);
        solo
    };
    for mut solo in [
        Solo::new(config(100)),
        Solo::backup(config(100)),
        failed(),
        Solo::resumed(config(100), 20 * SECOND, false),
    ] {
        let before = (solo.snapshot(), solo.router.next_timeout());
        assert_eq!(solo.hand_over(), []);
        assert_eq!((solo.snapshot(), solo.router.next_timeout()), before);
    }
}
