//! The addresses on the node: renewed, put back, retried, given up.

use holdfast_vrrp::{Action, Fault, Reason, State};

use crate::harness::*;

#[test]
fn addresses_are_renewed_at_a_third_of_their_lifetime() {
    let mut start = config(100);
    start.lifetime = 6 * SECOND;
    let mut solo = Solo::active(start);
    let log = solo.pass(20 * SECOND);
    let wanted: Vec<_> = (1..=10).map(|n| n * 2 * SECOND).collect();
    assert_eq!(times_of(&log, &Action::Renew), wanted);
}

#[test]
fn an_address_deleted_by_somebody_else_is_put_back_at_once() {
    let mut solo = Solo::active(config(100));
    assert_eq!(solo.removed(VIP), [bind(&[VIP])]);
    assert_eq!(solo.bound(), [BURST]);
    assert_eq!(solo.state(), State::Active);
}

#[test]
fn an_address_deleted_again_and_again_is_put_back_once_a_second() {
    let mut solo = Solo::active(config(100));
    let start = solo.now;
    let mut put_back = Vec::new();
    for _ in 0..50 {
        let log: Vec<_> = solo
            .pass(millis(100))
            .into_iter()
            .map(|(_, action)| action)
            .collect();
        for action in log.into_iter().chain(solo.removed(VIP)) {
            if action == bind(&[VIP]) {
                put_back.push(solo.now.saturating_duration_since(start).as_millis());
                solo.bound();
            }
        }
    }
    assert_eq!(
        put_back.len(),
        3 + 4,
        "three quick ones, then one a second: {put_back:?}"
    );
    assert_eq!(solo.state(), State::Active, "a rival does not make it yield");
}

#[test]
fn an_address_that_is_not_held_is_nobodys_business() {
    let mut solo = Solo::active(config(100));
    assert_eq!(solo.removed(VIP_2), []);
    let mut solo = Solo::backup(config(100));
    assert_eq!(solo.removed(VIP), []);
    assert_eq!(solo.bound(), []);
    assert_eq!(solo.failed(), []);
}

#[test]
fn a_failed_bind_is_tried_again_with_growing_patience() {
    let mut solo = Solo::active(config(100));
    solo.removed(VIP);
    for wait in [100, 200, 400, 800] {
        assert_eq!(solo.failed(), []);
        let log = solo.pass(millis(wait));
        assert_eq!(times_of(&log, &bind(&[VIP])), [millis(wait)]);
        assert_eq!(solo.state(), State::Active);
    }
    assert_eq!(solo.bound(), [BURST]);
}

#[test]
fn a_router_that_cannot_bind_leaves_the_election_and_comes_back_later() {
    let mut solo = Solo::active(config(100));
    solo.removed(VIP);
    for patience in [10, 20, 40, 80, 160, 300, 300] {
        for _ in 0..4 {
            solo.failed();
            solo.pass(millis(800));
        }
        let out = solo.failed();
        assert_eq!(out[..2], [send(0), unbind(&[VIP])]);
        assert_eq!(
            transitions(&out),
            [(State::Active, State::Fault, Reason::Faulted)]
        );
        assert!(solo.snapshot().faults.contains(Fault::BindFailed));
        assert_eq!(solo.wakes_in(), patience * SECOND);
        let out = solo.timeout();
        assert_eq!(
            transitions(&out),
            [(State::Fault, State::Backup, Reason::Recovered)]
        );
        assert_eq!(solo.wakes_in(), active_down(100));
        solo.timeout();
        assert_eq!(solo.state(), State::Active);
    }
}

#[test]
fn a_successful_bind_makes_earlier_failures_forgotten() {
    let mut solo = Solo::active(config(100));
    for _ in 0..20 {
        solo.removed(VIP);
        solo.failed();
        solo.pass(millis(100));
        assert_eq!(solo.bound(), [BURST]);
        solo.pass(10 * SECOND);
    }
    assert_eq!(solo.state(), State::Active);
}

#[test]
fn a_successful_bind_makes_earlier_absences_forgotten() {
    let mut solo = Solo::active(config(100));
    for _ in 0..3 {
        solo.removed(VIP);
        for _ in 0..4 {
            solo.failed();
            solo.pass(millis(800));
        }
        solo.failed();
        assert_eq!(solo.state(), State::Fault);
        assert_eq!(solo.wakes_in(), 10 * SECOND);
        while solo.state() != State::Active {
            solo.timeout();
        }
        solo.bound();
    }
}

#[test]
fn an_address_that_may_not_be_put_back_yet_is_not_announced() {
    let mut solo = Solo::active(config(100));
    for _ in 0..3 {
        assert_eq!(solo.removed(VIP), [bind(&[VIP])]);
        solo.bound();
    }
    assert_eq!(solo.removed(VIP), []);
    assert!(!solo.hear(LOWER, 50).contains(&BURST));
    let log = solo.pass(SECOND);
    assert_eq!(times_of(&log, &bind(&[VIP])), [SECOND]);
    assert_eq!(solo.bound(), [BURST]);
}

#[test]
fn a_late_answer_for_addresses_that_were_given_up_is_ignored() {
    let mut solo = Solo::active(config(100));
    solo.health(&[Fault::LinkDown], holdfast_vrrp::Standing::Base);
    assert_eq!(solo.bound(), []);
    assert_eq!(solo.failed(), []);
    assert!(!solo.snapshot().holding);
}
