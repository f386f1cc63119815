//! Startup (RFC 9568 §6.4.1), the start-up delay, and the resumption of a predecessor's addresses.

use holdfast_vrrp::{Fault, Input, Reason, Standing, State};

use crate::harness::*;

#[test]
fn a_router_that_is_not_the_owner_starts_as_backup_with_a_full_down_timer() {
    let mut solo = Solo::new(config(100));
    assert_eq!(solo.state(), State::Initialize);
    let out = solo.timeout();
    assert_eq!(
        transitions(&out),
        [(State::Initialize, State::Backup, Reason::Started)]
    );
    assert_eq!(out.len(), 1, "a Backup says nothing: {out:?}");
    assert_eq!(solo.wakes_in(), active_down(100));
}

#[test]
fn the_owner_starts_as_active() {
    let mut solo = Solo::new(config(255));
    let out = solo.timeout();
    assert_eq!(out[..2], [send(255), bind(&[VIP])]);
    assert_eq!(
        transitions(&out),
        [(State::Initialize, State::Active, Reason::AddressOwner)]
    );
    assert_eq!(out.len(), 3, "{out:?}");
}

#[test]
fn an_owner_that_may_not_become_active_starts_as_backup() {
    let mut solo = Solo::new(config(255));
    solo.configure(|config| config.may_become_active = false);
    solo.timeout();
    assert_eq!(solo.state(), State::Backup);
}

#[test]
fn nothing_happens_before_the_startup_delay_has_passed() {
    let mut start = config(255);
    start.startup_delay = 10 * SECOND;
    let mut solo = Solo::new(start);
    assert_eq!(solo.wakes_in(), 10 * SECOND);
    solo.now = solo.now + 9 * SECOND;
    assert_eq!(solo.input(Input::Timeout), []);
    assert_eq!(solo.state(), State::Initialize);
    solo.timeout();
    assert_eq!(solo.state(), State::Active);
}

#[test]
fn a_router_with_a_fault_starts_in_fault() {
    let mut solo = Solo::new(config(255));
    assert_eq!(solo.health(&[Fault::LinkDown], Standing::Base), []);
    assert_eq!(solo.state(), State::Initialize);
    let out = solo.timeout();
    assert_eq!(
        transitions(&out),
        [(State::Initialize, State::Fault, Reason::Faulted)]
    );
    assert_eq!(solo.router.next_timeout(), None);
}

#[test]
fn a_router_without_source_address_starts_in_fault() {
    let mut start = config(100);
    start.source = None;
    let mut solo = Solo::new(start);
    solo.timeout();
    assert_eq!(solo.state(), State::Fault);
    assert!(solo.snapshot().faults.contains(Fault::NoSourceAddress));
}

#[test]
fn addresses_handed_over_by_a_predecessor_are_served_at_once() {
    let mut solo = Solo::resumed(config(100), 3 * SECOND, true);
    let since = solo.now - 500 * SECOND;
    assert!(solo.snapshot().holding);
    let out = solo.timeout();
    assert_eq!(out[..2], [send(100), bind(&[VIP])]);
    assert_eq!(
        transitions(&out),
        [(State::Initialize, State::Active, Reason::Resumed)]
    );
    assert_eq!(solo.snapshot().since, since, "it has been Active all the time");
    assert_eq!(solo.bound(), [BURST]);
}

#[test]
fn a_predecessors_addresses_are_served_after_one_silent_interval() {
    let mut solo = Solo::resumed(config(100), 3 * SECOND, false);
    assert_eq!(solo.wakes_in(), SECOND);
    let log = solo.pass(SECOND - millis(1));
    assert_eq!(
        log,
        [],
        "what a predecessor left is neither renewed nor advertised before it is sure"
    );
    let out = solo.timeout();
    assert_eq!(
        transitions(&out),
        [(State::Initialize, State::Active, Reason::Resumed)]
    );
}

#[test]
fn a_predecessors_addresses_go_when_another_router_is_heard() {
    let mut solo = Solo::resumed(config(100), 3 * SECOND, false);
    let out = solo.hear(LOWER, 50);
    assert_eq!(out[0], unbind(&[VIP]));
    assert_eq!(
        transitions(&out),
        [(State::Initialize, State::Backup, Reason::Started)]
    );
    assert_eq!(solo.wakes_in(), active_down(100));
}

#[test]
fn a_predecessors_addresses_go_when_another_station_claims_them() {
    let mut solo = Solo::resumed(config(100), 3 * SECOND, false);
    let out = solo.claimed(VIP);
    assert_eq!(out[0], unbind(&[VIP]));
    assert_eq!(solo.state(), State::Backup);
}

#[test]
fn a_predecessors_addresses_stay_when_another_router_resigns() {
    let mut solo = Solo::resumed(config(100), 3 * SECOND, false);
    assert_eq!(solo.hear(HIGHER, 0), []);
    assert!(solo.snapshot().holding);
}

#[test]
fn addresses_that_expire_while_listening_are_not_resumed() {
    let mut solo = Solo::resumed(config(100), millis(300), false);
    assert_eq!(solo.wakes_in(), millis(300));
    let out = solo.timeout();
    assert_eq!(out[0], unbind(&[VIP]));
    assert_eq!(
        transitions(&out),
        [(State::Initialize, State::Backup, Reason::Started)]
    );
}

#[test]
fn an_adopted_address_that_disappears_is_not_brought_back() {
    let mut solo = Solo::resumed(config(100), 3 * SECOND, false);
    assert_eq!(solo.removed(VIP), []);
}

#[test]
fn a_router_that_may_not_become_active_resumes_where_its_predecessor_was() {
    for handed_over in [true, false] {
        let mut start = config(100);
        start.may_become_active = false;
        let mut solo = Solo::resumed(start, 3 * SECOND, handed_over);
        assert_eq!(
            transitions(&solo.timeout()),
            [(State::Initialize, State::Active, Reason::Resumed)]
        );
    }
}

#[test]
fn a_router_that_may_not_become_active_does_not_when_its_resumption_fails() {
    for own in [100, 255] {
        let mut start = config(own);
        start.may_become_active = false;
        let mut solo = Solo::resumed(start, 3 * SECOND, false);
        let out = solo.hear(LOWER, 50);
        assert_eq!(out[0], unbind(&[VIP]));
        solo.pass(60 * SECOND);
        assert_eq!(solo.state(), State::Backup);
    }
}

#[test]
fn a_fault_ends_the_resumption() {
    let mut solo = Solo::resumed(config(100), 3 * SECOND, false);
    let out = solo.health(&[Fault::LinkDown], Standing::Base);
    assert_eq!(out[0], unbind(&[VIP]));
    assert_eq!(solo.state(), State::Fault);
}

#[test]
fn an_answer_that_waited_during_a_gap_is_not_taken_for_the_next_one() {
    let mut solo = Solo::resumed(config(255), 30 * SECOND, false);
    solo.now = solo.now + 60 * SECOND;
    let out = solo.bound();
    assert_eq!(out[..3], [unbind(&[VIP]), send(255), bind(&[VIP])]);
    assert!(!out.contains(&BURST), "{out:?}");
    assert_eq!(solo.bound(), [BURST]);
}

#[test]
fn a_process_that_slept_through_the_listening_does_not_resume() {
    let mut solo = Solo::resumed(config(100), 30 * SECOND, false);
    solo.now = solo.now + 17 * SECOND;
    let out = solo.input(Input::Timeout);
    assert_eq!(out[0], unbind(&[VIP]));
    assert_eq!(solo.state(), State::Backup);
}
