//! Health: priorities, the floor band, and Fault as a set of facts.

use core::time::Duration;

use holdfast_vrrp::{Action, Announce, Fault, Reason, Standing, State};

use crate::harness::*;

const HARD: [Fault; 5] = [
    Fault::InterfaceMissing,
    Fault::LinkDown,
    Fault::NoSourceAddress,
    Fault::BindFailed,
    Fault::IdentifierInUse,
];

const ABLE_TO_SERVE: [Fault; 3] = [Fault::ProbeFailed, Fault::Maintenance, Fault::SyncGroup];

#[test]
fn a_lost_link_source_or_binding_makes_an_active_router_leave_at_once() {
    for fault in HARD {
        let mut solo = Solo::active(config(100));
        let out = solo.health(&[fault], Standing::Base);
        assert_eq!(out[..2], [send(0), unbind(&[VIP])]);
        assert_eq!(
            transitions(&out),
            [(State::Active, State::Fault, Reason::Faulted)]
        );
        assert_eq!(solo.router.next_timeout(), None);
    }
}

#[test]
fn priority_zero_is_not_sent_when_there_is_no_source_address() {
    let mut solo = Solo::active(config(100));
    let out = solo.configure(|config| config.source = None);
    assert_eq!(out[0], unbind(&[VIP]));
    assert_eq!(sent(&out), []);
    assert_eq!(solo.state(), State::Fault);
    assert!(solo.snapshot().faults.contains(Fault::NoSourceAddress));
    let out = solo.configure(|config| config.source = Some(OWN));
    assert_eq!(
        transitions(&out),
        [(State::Fault, State::Backup, Reason::Recovered)]
    );
}

#[test]
fn recovery_enters_backup_with_a_full_down_timer() {
    let mut solo = Solo::backup(config(100));
    solo.pass(3 * SECOND);
    let out = solo.health(&[Fault::LinkDown, Fault::ProbeFailed], Standing::Base);
    assert_eq!(
        transitions(&out),
        [(State::Backup, State::Fault, Reason::Faulted)]
    );
    assert_eq!(
        solo.health(&[Fault::ProbeFailed], Standing::Base),
        [],
        "one fact is left"
    );
    let out = solo.health(&[], Standing::Base);
    assert_eq!(
        transitions(&out),
        [(State::Fault, State::Backup, Reason::Recovered)]
    );
    assert_eq!(solo.wakes_in(), active_down(100));
}

#[test]
fn the_owner_also_recovers_into_backup() {
    let mut solo = Solo::active(config(255));
    solo.health(&[Fault::LinkDown], Standing::Base);
    solo.health(&[], Standing::Base);
    assert_eq!(solo.state(), State::Backup);
    assert_eq!(solo.wakes_in(), active_down(255));
}

#[test]
fn a_router_in_fault_drops_what_it_hears() {
    let mut solo = Solo::backup(config(100));
    solo.health(&[Fault::ProbeFailed], Standing::Base);
    let dropped = Action::Dropped(holdfast_vrrp::DropReason::NotParticipating);
    assert_eq!(solo.hear(LOWER, 0), [dropped]);
    assert_eq!(solo.router.next_timeout(), None);
}

#[test]
fn a_changed_priority_is_advertised_at_once_and_moves_nothing_by_itself() {
    let mut solo = Solo::active(config(100));
    solo.pass(millis(300));
    assert_eq!(solo.health(&[], Standing::Weighted(priority(70))), [send(70)]);
    assert_eq!(solo.wakes_in(), SECOND);
    assert_eq!(solo.health(&[], Standing::Weighted(priority(70))), []);
    assert_eq!(solo.health(&[], Standing::Base), [send(100)]);
    assert_eq!(solo.state(), State::Active);
}

#[test]
fn a_changed_priority_recomputes_the_down_timer_without_restarting_it() {
    let mut solo = Solo::backup(config(100));
    solo.hear(HIGHER, 200);
    solo.pass(SECOND);
    assert_eq!(solo.health(&[], Standing::Weighted(priority(200))), []);
    assert_eq!(solo.wakes_in(), active_down(200) - SECOND);
    solo.hear(HIGHER, 0);
    solo.pass(millis(100));
    solo.health(&[], Standing::Base);
    assert_eq!(
        solo.wakes_in(),
        skew(100) - millis(100),
        "also while Skew_Time runs"
    );
}

#[test]
fn a_recomputed_down_timer_does_not_lie_in_the_past() {
    let mut solo = Solo::backup(config(1));
    solo.pass(active_down(1) - millis(1));
    solo.health(&[], Standing::Weighted(priority(254)));
    assert_eq!(solo.router.next_timeout(), Some(solo.now));
    assert_eq!(sent(&solo.timeout()), [254]);
}

#[test]
fn a_member_that_sinks_to_the_floor_band_hands_over_and_stays_in_the_election() {
    for (standing, reason) in [
        (Standing::Floor, Reason::ServiceFailing),
        (Standing::Demoted, Reason::Demoted),
    ] {
        let mut solo = Solo::active(config(100));
        let out = solo.health(&[], standing);
        assert_eq!(out[0], send(0));
        assert_eq!(transitions(&out), [(State::Active, State::Backup, reason)]);
        let floor = priority(100).floored();
        let snapshot = solo.snapshot();
        assert_eq!(
            (snapshot.priority, snapshot.releasing, snapshot.holding),
            (floor, true, true)
        );
    }
}

#[test]
fn the_best_member_of_the_floor_band_serves_on_without_a_hole_when_nobody_else_does() {
    let standings = [Standing::Floor, Standing::Demoted];
    for (base, standing) in [16, 17, 100, 255].into_iter().zip(standings.into_iter().cycle()) {
        let mut solo = Solo::active(config(base));
        solo.health(&[], standing);
        let floor = priority(base).floored().get();
        let log = solo.pass(5 * SECOND);
        let (at, transition) = first_transition(&log).unwrap();
        // Sooner than it would miss another: two intervals less, and later than any healthy one's Skew_Time.
        assert_eq!(
            (at, transition.to),
            (active_down(floor) - 2 * SECOND, State::Active)
        );
        assert!(!log.iter().any(|(_, action)| matches!(action, Action::Unbind(_))));
        assert!(!solo.snapshot().releasing);
        assert_eq!(solo.health(&[], Standing::Base), [send(base)]);
    }
}

/// What an unfit router says to its neighbors in five minutes after it has taken up again what it had offered.
fn announcements(solo: &mut Solo) -> Vec<(Duration, Action)> {
    let mut log = solo.pass(300 * SECOND);
    assert_eq!(solo.state(), State::Active);
    log.retain(|(_, action)| matches!(action, Action::Announce(_)));
    log
}

#[test]
fn one_that_takes_up_again_what_nobody_took_neither_binds_nor_announces_it_and_renews_it_in_time() {
    for standing in [Standing::Floor, Standing::Demoted] {
        let mut solo = Solo::active(config(100));
        solo.health(&[], standing);
        let log = solo.pass(2 * SECOND);
        assert_eq!(first_transition(&log).unwrap().1.to, State::Active);
        let bound_or_told = |action: &Action| matches!(action, Action::Bind(_) | Action::Announce(_));
        assert!(!log.iter().any(|(_, action)| bound_or_told(action)), "{log:?}");
        let renewed = times_of(&solo.pass(60 * SECOND), &Action::Renew);
        assert_eq!(renewed.len(), 6, "every 10 of 30 seconds: {renewed:?}");
        assert_eq!(announcements(&mut solo), [], "no reminder while it is unfit");

        solo.health(&[], Standing::Base);
        let reminders = times_of(&solo.pass(120 * SECOND), &Action::Announce(Announce::Refresh));
        assert_eq!(reminders, [60 * SECOND, 120 * SECOND], "once it is fit");
    }
}

#[test]
fn one_that_takes_up_again_announces_what_was_somewhere_else_meanwhile_or_changed() {
    let offered = || {
        let mut solo = Solo::active(config(100));
        solo.health(&[], Standing::Floor);
        solo
    };
    let again = |mut solo: Solo, what: &str| {
        let log = solo.pass(6 * SECOND);
        assert_eq!(first_transition(&log).unwrap().1.to, State::Active, "{what}");
        assert_eq!(solo.bound(), [BURST], "{what}");
    };
    let mut solo = offered();
    solo.hear(LOWER, 50);
    again(solo, "a successor that was heard and fell silent");
    let mut solo = offered();
    solo.claimed(VIP);
    again(solo, "one whose announcement was heard");
    let mut solo = offered();
    solo.removed(VIP);
    again(solo, "an address that somebody took away");
    let mut solo = offered();
    solo.configure(|config| config.addresses.push(vip(VIP_2)));
    again(solo, "an address that is new");
    let mut solo = offered();
    solo.health(&[], Standing::Base);
    again(solo, "one that is fit again, whose word is the last");
}

#[test]
fn one_that_takes_up_again_answers_who_disputes_it() {
    let mut solo = Solo::active(config(100));
    solo.health(&[], Standing::Floor);
    solo.pass(10 * SECOND);
    assert!(solo.claimed(VIP).contains(&BURST));
}

#[test]
fn one_that_serves_in_the_floor_band_shows_nothing_of_another_reason_to_be_there() {
    let mut solo = Solo::active(config(100));
    solo.health(&[], Standing::Demoted);
    solo.pass(5 * SECOND);
    solo.bound();
    assert_eq!(solo.state(), State::Active);
    let wake = solo.router.next_timeout();
    for standing in [Standing::Floor, Standing::Demoted, Standing::Floor] {
        assert_eq!(solo.health(&[], standing), []);
        assert_eq!(solo.router.next_timeout(), wake);
    }
}

#[test]
fn a_backup_whose_service_fails_stays_backup_behind_all_healthy_ones() {
    let mut solo = Solo::backup(config(200));
    solo.hear(HIGHER, 100);
    assert_eq!(solo.health(&[], Standing::Floor), []);
    for _ in 0..10 {
        assert_eq!(solo.pass(SECOND), []);
        assert_eq!(solo.hear(HIGHER, 16), []);
    }
    assert_eq!(solo.state(), State::Backup);
}

#[test]
fn a_fault_that_leaves_the_node_able_to_serve_hands_over_and_leaves_the_election() {
    for fault in ABLE_TO_SERVE {
        let mut solo = Solo::active(config(100));
        let out = solo.health(&[fault], Standing::Base);
        assert_eq!(out[0], send(0));
        assert_eq!(
            transitions(&out),
            [(State::Active, State::Fault, Reason::Faulted)]
        );
        assert!(solo.snapshot().holding, "it serves until the successor does");
        let log = solo.pass(5 * SECOND);
        assert_eq!(times_of(&log, &unbind(&[VIP])), [4 * SECOND]);
        assert_eq!(solo.state(), State::Fault);
        assert_eq!(solo.router.next_timeout(), None);
    }
}

#[test]
fn another_such_fault_while_handing_over_does_not_end_the_handover() {
    let mut solo = Solo::active(config(100));
    solo.health(&[Fault::ProbeFailed], Standing::Base);
    solo.pass(SECOND / 2);
    assert_eq!(solo.health(&ABLE_TO_SERVE, Standing::Demoted), []);
    assert!(solo.snapshot().holding);
    assert_eq!(solo.wakes_in(), SECOND / 2, "nor does it begin anew");
}

#[test]
fn such_a_fault_together_with_a_lost_link_leaves_at_once() {
    for fault in ABLE_TO_SERVE {
        let mut solo = Solo::active(config(100));
        let out = solo.health(&[fault, Fault::LinkDown], Standing::Base);
        assert_eq!(out[..2], [send(0), unbind(&[VIP])]);
        assert_eq!(solo.state(), State::Fault);
    }
}

#[test]
fn a_link_lost_while_handing_over_ends_the_handover() {
    for fault in ABLE_TO_SERVE {
        let mut solo = Solo::active(config(100));
        solo.health(&[fault], Standing::Base);
        assert_eq!(
            solo.health(&[fault, Fault::LinkDown], Standing::Base),
            [unbind(&[VIP])]
        );
    }

    let mut solo = Solo::active(config(100));
    solo.hear(HIGHER, 200);
    let out = solo.health(&[Fault::LinkDown], Standing::Base);
    assert_eq!(out[0], unbind(&[VIP]));
    assert_eq!(solo.state(), State::Fault);
}

#[test]
fn a_service_that_recovers_while_handing_over_does_not_take_the_addresses_back_by_force() {
    let mut solo = Solo::active(config(100));
    solo.health(&[], Standing::Floor);
    solo.health(&[], Standing::Base);
    assert_eq!(solo.state(), State::Backup);
    assert!(solo.snapshot().releasing);
    assert_eq!(solo.wakes_in(), SECOND, "priority 0 once more if nobody answers");
}
