//! The Active state (RFC 9568 §6.4.3): advertising, answering, yielding.

use std::time::Duration;

use holdfast_vrrp::{Action, Announce, Fault, Input, Notice, Reason, Shutdown, Standing, State};

use crate::harness::*;

#[test]
fn active_advertises_every_interval() {
    let mut solo = Solo::active(config(100));
    let log = solo.pass(10 * SECOND);
    let wanted: Vec<_> = (1..=10).map(|second| second * SECOND).collect();
    assert_eq!(times_of(&log, &send(100)), wanted);
}

#[test]
fn a_late_wake_up_does_not_shift_the_advertisements_after_it() {
    let mut solo = Solo::active(config(100));
    let due = solo.now + SECOND;
    solo.now = due + millis(300);
    assert_eq!(sent(&solo.input(Input::Timeout)), [100]);
    assert_eq!(solo.wakes_in(), millis(700));
}

#[test]
fn missed_advertisements_are_not_sent_in_a_burst() {
    let mut start = config(100);
    start.interval = interval(millis(10));
    let mut solo = Solo::active(start);
    solo.now = solo.now + millis(95);
    assert_eq!(sent(&solo.input(Input::Timeout)), [100]);
    assert_eq!(solo.wakes_in(), millis(5));
}

#[test]
fn active_yields_to_a_higher_priority() {
    let mut solo = Solo::active(config(100));
    let out = solo.hear(LOWER, 101);
    assert_eq!(
        transitions(&out),
        [(State::Active, State::Backup, Reason::HigherPriority)]
    );
    assert_eq!(sent(&out), [100], "so that the winner knows of it");
    assert_eq!(solo.snapshot().active_peer, Some(LOWER));
    let log = solo.pass(active_down(100) - millis(1));
    assert_eq!(
        times_of(&log, &send(100)),
        [SECOND],
        "its last word once more; Adver_Timer is cancelled"
    );
    assert_eq!(
        transitions(&solo.timeout()),
        [(State::Backup, State::Active, Reason::ActiveSilent)]
    );
}

#[test]
fn active_yields_to_the_same_priority_and_a_higher_address() {
    let mut solo = Solo::active(config(100));
    let out = solo.hear(HIGHER, 100);
    assert_eq!(
        transitions(&out),
        [(State::Active, State::Backup, Reason::HigherAddress)]
    );
}

#[test]
fn active_adopts_the_interval_of_the_router_it_yields_to() {
    let mut solo = Solo::active(config(100));
    let mut theirs = config(200);
    theirs.interval = interval(5 * SECOND);
    solo.hear_from(&theirs, LOWER, 200);
    assert_eq!(solo.snapshot().interval, 5 * SECOND);
    let log = solo.pass(15 * SECOND + skew(100) * 5 - millis(1));
    assert_eq!(first_transition(&log), None);
    let log = solo.pass(millis(1));
    assert!(first_transition(&log).is_some());
}

#[test]
fn active_answers_a_losing_advertisement_at_once() {
    for (from, theirs) in [(HIGHER, 99), (LOWER, 100), (LOWER, 1)] {
        let mut solo = Solo::active(config(100));
        solo.pass(millis(3400));
        let out = solo.hear(from, theirs);
        let notice = Notice::OtherActive {
            router: from,
            priority: theirs,
        };
        assert_eq!(out, [Action::Notice(notice), send(100), BURST]);
        assert_eq!(solo.state(), State::Active);
        assert_eq!(solo.wakes_in(), SECOND);
    }
}

#[test]
fn a_flood_of_losing_advertisements_does_not_cause_a_flood_of_answers_and_announcements() {
    let mut solo = Solo::active(config(100));
    let mut out = Vec::new();
    for _ in 0..10_000 {
        out.extend(solo.hear(LOWER, 50));
        solo.now = solo.now + std::time::Duration::from_micros(100);
    }
    let answers = sent(&out).len();
    assert!((100..=110).contains(&answers), "{answers} answers in a second");
    let bursts = out.iter().filter(|action| **action == BURST).count();
    assert_eq!(bursts, 1);
}

#[test]
fn active_answers_priority_zero_at_once() {
    let mut solo = Solo::active(config(100));
    solo.pass(millis(400));
    assert_eq!(solo.hear(HIGHER, 0), [send(100)]);
    assert_eq!(solo.wakes_in(), SECOND, "Adver_Timer starts again");
    assert_eq!(solo.state(), State::Active);
}

#[test]
fn of_two_owners_the_lower_address_yields_and_both_say_so() {
    let mut solo = Solo::active(config(255));
    let out = solo.hear(HIGHER, 255);
    assert_eq!(out[0], Action::Notice(Notice::OtherOwner(HIGHER)));
    assert_eq!(
        transitions(&out),
        [(State::Active, State::Backup, Reason::HigherAddress)]
    );

    let mut solo = Solo::active(config(255));
    let out = solo.hear(LOWER, 255);
    assert_eq!(out[0], Action::Notice(Notice::OtherOwner(LOWER)));
    assert_eq!(sent(&out), [255]);
    assert_eq!(solo.state(), State::Active);
}

#[test]
fn an_address_claimed_by_another_station_is_announced_again_once_a_second_at_most() {
    let mut solo = Solo::active(config(100));
    let claimed = Action::Notice(Notice::AddressClaimed(VIP));
    assert_eq!(solo.claimed(VIP), [claimed.clone(), BURST]);
    assert_eq!(solo.claimed(VIP), std::slice::from_ref(&claimed));
    solo.pass(millis(999));
    assert_eq!(solo.claimed(VIP), std::slice::from_ref(&claimed));
    // What was held back is said now, and counts.
    assert_eq!(times_of(&solo.pass(millis(1)), &BURST).len(), 1);
    assert_eq!(solo.claimed(VIP), [claimed]);
    assert_eq!(solo.claimed(VIP_2), [], "not one of ours");
}

#[test]
fn a_router_that_has_just_preempted_does_not_take_the_losers_last_word_for_a_split() {
    let preempted = || {
        let mut solo = Solo::backup(config(200));
        while solo.state() != State::Active {
            solo.hear(LOWER, 100);
            solo.timeout();
        }
        solo.bound();
        solo
    };
    let notices = |out: &[Action]| {
        let is_notice = |action: &&Action| matches!(action, Action::Notice(_));
        out.iter().filter(is_notice).count()
    };
    // Whoever yields says it at once, and once more an interval later: the one that was Active, or an equal that became it, too.
    for (after, router, wanted) in [
        (Duration::ZERO, LOWER, 0),
        (Duration::ZERO, HIGHER, 0),
        (millis(2900), LOWER, 0),
        (millis(2900), HIGHER, 0),
        (3 * SECOND, LOWER, 1),
        (3 * SECOND, HIGHER, 1),
    ] {
        let mut solo = preempted();
        solo.pass(after);
        let out = solo.hear(router, 100);
        assert_eq!(sent(&out), [200]);
        assert_eq!(notices(&out), wanted, "{router} after {after:?}: {out:?}");
    }
}

#[test]
fn a_router_that_yields_says_so_once_more_after_an_interval_of_the_winner() {
    let mut solo = Solo::active(config(100));
    let mut theirs = config(200);
    theirs.interval = interval(millis(500));
    assert_eq!(sent(&solo.hear_from(&theirs, LOWER, 200)), [100]);
    let mut log = Vec::new();
    for half_second in 0..10 {
        let later = |(at, action)| (at + half_second * millis(500), action);
        log.extend(solo.pass(millis(500)).into_iter().map(later));
        solo.hear_from(&theirs, LOWER, 200);
    }
    assert_eq!(times_of(&log, &send(100)), [millis(500)]);
    assert_eq!(solo.state(), State::Backup);
}

#[test]
fn a_router_that_yielded_says_nothing_more_once_something_else_has_happened() {
    let happenings: [Case; 9] = [
        ("the winner resigned", |solo| {
            solo.hear(LOWER, 0);
        }),
        ("the winner is the worse one by now", |solo| {
            solo.hear(LOWER, 99);
        }),
        (
            "the winner fell to its priority, and its own address is the higher one",
            |solo| {
                solo.hear(LOWER, 100);
            },
        ),
        ("it is the better one by now", |solo| {
            solo.health(&[], Standing::Weighted(priority(201)));
        }),
        ("another one is Active", |solo| {
            solo.hear(HIGHER, 220);
        }),
        ("it is in Fault", |solo| {
            solo.health(&[Fault::ProbeFailed], Standing::Base);
        }),
        ("it was in Fault", |solo| {
            solo.health(&[Fault::ProbeFailed], Standing::Base);
            solo.health(&[], Standing::Base);
            solo.hear(LOWER, 200);
        }),
        ("it stops", |solo| {
            solo.shut_down(Shutdown::Planned);
        }),
        ("it has become Active and yielded to another one", |solo| {
            solo.configure(|config| config.may_become_active = true);
            solo.pass(millis(100));
            solo.hear(LOWER, 5);
            assert_eq!(solo.state(), State::Active);
            solo.hear(HIGHER, 200);
            solo.pass(millis(500));
            solo.hear(LOWER, 200);
        }),
    ];
    for (what, happens) in happenings {
        let mut solo = Solo::active(config(100));
        solo.hear(LOWER, 200);
        // Or it would be Active by then in some of them.
        solo.configure(|config| config.may_become_active = false);
        happens(&mut solo);
        let log = solo.pass(millis(1100));
        assert_eq!(sent(log.iter().map(|(_, action)| action)), [], "{what}");
    }
}

#[test]
fn a_router_that_yielded_and_is_stopped_says_nothing_more_while_it_waits_for_the_winner() {
    let mut start = config(100);
    start.interval = interval(millis(100));
    let mut solo = Solo::active(start);
    solo.hear(LOWER, 200);
    solo.shut_down(Shutdown::Planned);
    let log = solo.pass(SECOND);
    assert_eq!(
        times_of(&log, &unbind(&[VIP])),
        [millis(200)],
        "that is longer than an interval"
    );
    assert_eq!(sent(log.iter().map(|(_, action)| action)), []);
}

#[test]
fn the_last_word_in_a_dispute_over_an_address_is_the_active_routers() {
    let mut solo = Solo::active(config(200));
    assert!(solo.hear(LOWER, 100).contains(&BURST));
    // The loser announces once more before it hears that it lost.
    solo.pass(millis(100));
    assert!(!solo.claimed(VIP).contains(&BURST));
    assert_eq!(times_of(&solo.pass(2 * SECOND), &BURST).len(), 1);
}

#[test]
fn nothing_is_announced_before_the_addresses_are_bound() {
    let mut solo = Solo::backup(config(100));
    while solo.state() != State::Active {
        solo.timeout();
    }
    assert_eq!(solo.claimed(VIP), [Action::Notice(Notice::AddressClaimed(VIP))]);
    let out = solo.hear(LOWER, 50);
    assert!(!out.contains(&BURST), "{out:?}");
    let log = solo.pass(60 * SECOND);
    assert!(
        !log.iter()
            .any(|(_, action)| matches!(action, Action::Announce(_)))
    );
    assert_eq!(solo.bound(), [BURST]);
}

#[test]
fn addresses_are_announced_again_after_five_seconds_and_then_every_minute() {
    let mut solo = Solo::active(config(100));
    let log = solo.pass(200 * SECOND);
    assert_eq!(times_of(&log, &BURST), [5 * SECOND]);
    let refreshes = times_of(&log, &Action::Announce(Announce::Refresh));
    assert_eq!(refreshes, [60 * SECOND, 120 * SECOND, 180 * SECOND]);
}

#[test]
fn a_second_burst_and_the_refresh_can_be_switched_off() {
    let mut start = config(100);
    start.announcement.repeat_after = std::time::Duration::ZERO;
    start.announcement.refresh_interval = std::time::Duration::ZERO;
    let mut solo = Solo::active(start);
    let log = solo.pass(200 * SECOND);
    assert!(
        !log.iter()
            .any(|(_, action)| matches!(action, Action::Announce(_)))
    );
}

#[test]
fn a_router_whose_advertisements_list_other_addresses_is_named_once() {
    let mut solo = Solo::backup(config(100));
    let mut theirs = config(200);
    theirs.addresses = vec![vip(VIP_2)];
    assert_eq!(
        solo.hear_from(&theirs, HIGHER, 200),
        [Action::Notice(Notice::AddressesDiffer(HIGHER))]
    );
    assert_eq!(solo.hear_from(&theirs, HIGHER, 200), []);
    assert_eq!(
        solo.snapshot().active_peer,
        Some(HIGHER),
        "and followed all the same"
    );
    assert_eq!(solo.hear(HIGHER, 200), []);
    assert_eq!(
        solo.hear_from(&theirs, HIGHER, 200),
        [Action::Notice(Notice::AddressesDiffer(HIGHER))]
    );
}

#[test]
fn the_order_in_which_addresses_are_listed_does_not_matter() {
    let mut start = config(100);
    start.addresses = vec![vip(VIP), vip(VIP_2)];
    let mut solo = Solo::backup(start.clone());
    start.addresses.reverse();
    assert_eq!(solo.hear_from(&start, HIGHER, 200), []);
}

#[test]
fn an_active_router_that_has_not_run_for_too_long_lets_go_before_it_says_anything() {
    for late in [millis(15_001), 600 * SECOND] {
        let mut solo = Solo::active(config(100));
        solo.now = solo.now + SECOND + late;
        let out = solo.input(Input::Timeout);
        assert_eq!(out[0], unbind(&[VIP]));
        assert_eq!(
            transitions(&out),
            [(State::Active, State::Backup, Reason::TimeGap)]
        );
        assert_eq!(out.len(), 2, "{out:?}");
        assert_eq!(solo.wakes_in(), active_down(100));
        assert!(!solo.snapshot().holding);
    }
}

#[test]
fn a_gap_is_noticed_before_a_packet_is_answered() {
    let mut solo = Solo::active(config(100));
    solo.now = solo.now + 60 * SECOND;
    let out = solo.hear(LOWER, 50);
    assert_eq!(out[0], unbind(&[VIP]));
    assert_eq!(sent(&out), []);
    assert_eq!(solo.state(), State::Backup);
}

#[test]
fn a_delay_of_half_the_lifetime_is_not_a_gap() {
    let mut solo = Solo::active(config(100));
    solo.now = solo.now + SECOND + 15 * SECOND;
    assert_eq!(sent(&solo.input(Input::Timeout)), [100]);
    assert_eq!(solo.state(), State::Active);
}
