//! Health: priorities, the floor band, and Fault as a set of facts.

use holdfast_vrrp::{Fault, Reason, Standing, State};

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
    let dropped = holdfast_vrrp::Action::Dropped(holdfast_vrrp::DropReason::NotParticipating);
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
        assert!(
            !log.iter()
                .any(|(_, action)| matches!(action, holdfast_vrrp::Action::Unbind(_)))
        );
        assert_eq!(solo.bound(), [BURST]);
        assert!(!solo.snapshot().releasing);
        assert_eq!(solo.health(&[], Standing::Base), [send(base)]);
    }
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
