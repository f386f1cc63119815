//! The Backup state (RFC 9568 §6.4.2, RFC 3768 §6.4.2): whom it follows and when it takes over.

use std::net::IpAddr;

use holdfast_vrrp::{Action, Config, Fault, Interval, Notice, Preemption, Reason, Standing, State, Version};

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
fn a_backup_lets_listed_peers_with_higher_addresses_go_first_within_one_step_of_the_skew() {
    let step = SECOND / 256;
    let among = |peers: &[IpAddr]| {
        let mut start = config(100);
        start.transport = unicast(peers);
        Solo::backup(start)
    };
    let mut solo = among(&[LOWER, HIGHER]);
    assert_eq!(
        solo.wakes_in(),
        active_down(100) + step / 3,
        "one of three is before it"
    );
    solo.hear(HIGHER, 200);
    assert_eq!(solo.wakes_in(), active_down(100), "the Active router is no rival");
    solo.hear(LOWER, 200);
    assert_eq!(
        solo.wakes_in(),
        active_down(100) + step / 2,
        "one of two is before it"
    );
    solo.hear(LOWER, 0);
    assert_eq!(solo.wakes_in(), skew(100) + step / 2);
    let many: Vec<IpAddr> = (10..41).map(|host| IpAddr::from([10, 0, 0, host])).collect();
    let last = among(&many);
    assert!(last.wakes_in() > active_down(100) && last.wakes_in() < active_down(99));
}

#[test]
fn a_backup_that_waits_for_its_turn_follows_an_equal_that_had_it_first() {
    let mut start = config(100);
    start.transport = unicast(&[LOWER, HIGHER]);
    let mut solo = Solo::backup(start);
    solo.hear(LOWER, 100);
    solo.pass(active_down(100) + millis(1));
    assert_eq!(solo.hear(HIGHER, 100), []);
    assert_eq!(solo.state(), State::Backup);
    assert_eq!(solo.wakes_in(), active_down(100));
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
    solo.hear(LOWER, 0);
    solo.hear(HIGHER, 50);
    assert_eq!(solo.pass(3 * SECOND - millis(1)), []);
    assert_eq!(
        transitions(&solo.timeout()),
        [(State::Backup, State::Active, Reason::Preempted)]
    );
}

#[test]
fn delayed_preemption_starts_again_when_the_router_was_in_doubt_itself_or_away() {
    let falters: [Case; 6] = [
        ("failing", |solo| {
            solo.health(&[], Standing::Floor);
        }),
        ("demoted", |solo| {
            solo.health(&[], Standing::Demoted);
        }),
        ("not better than the other", |solo| {
            solo.health(&[], Standing::Weighted(priority(50)));
        }),
        ("without link", |solo| {
            solo.health(&[Fault::LinkDown], Standing::Base);
        }),
        ("not allowed", |solo| {
            solo.configure(|config| config.may_become_active = false);
        }),
        ("frozen", |solo| solo.now = solo.now + 60 * SECOND),
    ];
    for (what, falter) in falters {
        let mut start = config(100);
        start.preemption = Preemption::Delayed(3 * SECOND);
        let mut solo = Solo::backup(start);
        solo.hear(HIGHER, 50);
        solo.pass(2 * SECOND);
        falter(&mut solo);
        solo.now = solo.now + millis(10);
        solo.configure(|config| config.may_become_active = true);
        solo.health(&[], Standing::Base);
        solo.hear(HIGHER, 50);
        assert_eq!(solo.pass(3 * SECOND - millis(1)), [], "{what}");
        assert_eq!(
            transitions(&solo.timeout()),
            [(State::Backup, State::Active, Reason::Preempted)],
            "{what}"
        );
    }
}

#[test]
fn delayed_preemption_does_not_begin_with_the_last_word_of_a_worse_router_that_has_yielded() {
    let mut start = config(100);
    start.preemption = Preemption::Delayed(millis(500));
    let mut solo = Solo::backup(start);
    for _ in 0..5 {
        solo.hear(HIGHER, 200);
        solo.hear(LOWER, 50);
        assert_eq!(solo.snapshot().active_peer, Some(HIGHER));
        assert_eq!(solo.pass(millis(999)), []);
    }
    solo.hear(HIGHER, 0);
    solo.hear(LOWER, 50);
    assert_eq!(solo.wakes_in(), millis(500), "once the better one has resigned");
}

#[test]
fn delayed_preemption_goes_on_while_the_router_is_less_well_but_still_better() {
    let mut start = config(100);
    start.preemption = Preemption::Delayed(3 * SECOND);
    let mut solo = Solo::backup(start);
    solo.hear(HIGHER, 50);
    solo.pass(2 * SECOND);
    solo.health(&[], Standing::Weighted(priority(51)));
    assert_eq!(solo.wakes_in(), SECOND);
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

/// A Backup of priority 180 under Never, or under a delay that is not over within any of these tests.
fn patient() -> [Solo; 2] {
    [Preemption::Never, Preemption::Delayed(600 * SECOND)].map(|preemption| {
        Solo::backup(Config {
            preemption,
            ..config(180)
        })
    })
}

/// Asserts that it takes over when it hears `theirs`, after Skew_Time.
fn replaces(solo: &mut Solo, theirs: u8) {
    assert_eq!(solo.hear(HIGHER, theirs), []);
    assert_eq!(solo.wakes_in(), skew(180));
    let out = solo.timeout();
    assert_eq!(out[..2], [send(180), bind(&[VIP])]);
    assert_eq!(
        transitions(&out),
        [(State::Backup, State::Active, Reason::Preempted)]
    );
}

/// Asserts that it follows the router that says `theirs`.
fn follows(solo: &mut Solo, theirs: u8, what: &str) {
    assert_eq!(solo.hear(HIGHER, theirs), [], "{what}");
    assert!(solo.wakes_in() > SECOND, "{what}");
}

#[test]
fn a_backup_that_would_wait_takes_over_after_skew_time_from_a_priority_that_fell_below_its_own() {
    for mut solo in patient() {
        solo.hear(HIGHER, 200);
        solo.pass(SECOND);
        follows(&mut solo, 180, "not below");
        replaces(&mut solo, 179);
    }
}

#[test]
fn a_backup_that_waits_for_a_worse_router_takes_over_when_that_one_gets_worse_still() {
    for mut solo in patient() {
        for _ in 0..20 {
            assert_eq!(solo.hear(HIGHER, 150), []);
            assert_eq!(solo.pass(SECOND), []);
        }
        replaces(&mut solo, 149);
    }
}

#[test]
fn a_priority_that_fell_and_rose_again_moves_nothing() {
    for mut solo in patient() {
        solo.hear(HIGHER, 150);
        solo.health(&[], Standing::Floor);
        assert_eq!(
            solo.hear(HIGHER, 140),
            [],
            "a failing router takes over from nobody"
        );
        solo.health(&[], Standing::Base);
        follows(&mut solo, 150, "as before");
        follows(&mut solo, 170, "better");
        replaces(&mut solo, 150);
    }
}

#[test]
fn a_priority_that_rises_again_within_skew_time_moves_nothing() {
    for (mut solo, wakes_in) in patient().into_iter().zip([active_down(180), 600 * SECOND]) {
        solo.hear(HIGHER, 150);
        solo.hear(HIGHER, 140);
        assert_eq!(solo.wakes_in(), skew(180));
        solo.hear(HIGHER, 140);
        assert_eq!(solo.wakes_in(), skew(180), "counted from the first");
        follows(&mut solo, 150, "as before");
        assert_eq!(solo.wakes_in(), wakes_in.min(active_down(180)));
        solo.pass(SECOND);
        solo.hear(HIGHER, 140);
        assert_eq!(solo.wakes_in(), skew(180), "counted anew");
    }
}

#[test]
fn a_router_that_fails_before_skew_time_is_over_does_not_take_over_from_one_that_got_worse() {
    for mut solo in patient() {
        solo.hear(HIGHER, 200);
        solo.hear(HIGHER, 150);
        solo.pass(skew(180) / 2);
        solo.health(&[], Standing::Weighted(priority(150)));
        follows(&mut solo, 150, "equal");
    }
}

#[test]
fn a_router_that_is_less_well_but_still_better_takes_over_from_one_that_got_worse_all_the_same() {
    for mut solo in patient() {
        solo.hear(HIGHER, 200);
        solo.hear(HIGHER, 150);
        solo.pass(skew(180) / 2);
        solo.health(&[], Standing::Weighted(priority(151)));
        assert_eq!(solo.wakes_in(), skew(180) / 2);
    }
}

#[test]
fn a_delay_that_is_nearly_over_is_not_prolonged_by_a_priority_that_falls() {
    let mut start = config(180);
    start.preemption = Preemption::Delayed(SECOND);
    let mut solo = Solo::backup(start);
    solo.hear(HIGHER, 150);
    solo.pass(millis(900));
    solo.hear(HIGHER, 140);
    assert_eq!(solo.wakes_in(), millis(100));
}

#[test]
fn a_priority_that_fell_while_the_router_failed_counts_once_it_is_well() {
    for failing in [Standing::Floor, Standing::Demoted] {
        for mut solo in patient() {
            solo.hear(HIGHER, 200);
            solo.health(&[], failing);
            for _ in 0..5 {
                assert_eq!(solo.hear(HIGHER, 150), []);
                assert_eq!(solo.pass(SECOND), []);
            }
            assert_eq!(solo.health(&[], Standing::Base), []);
            replaces(&mut solo, 150);
        }
    }
}

#[test]
fn a_router_that_may_not_become_active_does_not_because_a_priority_fell() {
    for mut solo in patient() {
        solo.configure(|config| config.may_become_active = false);
        solo.hear(HIGHER, 200);
        follows(&mut solo, 150, "not allowed");
    }
}

#[test]
fn what_was_heard_before_the_active_router_was_watched_is_not_compared_with() {
    let away: [Case; 4] = [
        ("it resigned", |solo| {
            solo.hear(HIGHER, 0);
        }),
        ("another one was Active", |solo| {
            solo.hear(LOWER, 190);
        }),
        ("this one did not listen", |solo| {
            solo.health(&[Fault::LinkDown], Standing::Base);
            solo.health(&[], Standing::Base);
        }),
        ("this one was frozen", |solo| solo.now = solo.now + 60 * SECOND),
    ];
    for (what, away) in away {
        for mut solo in patient() {
            solo.hear(HIGHER, 200);
            away(&mut solo);
            follows(&mut solo, 150, what);
            solo.pass(2 * SECOND);
            follows(&mut solo, 150, what);
        }
    }
}

#[test]
fn a_priority_that_fell_while_the_process_did_not_run_is_believed_when_it_is_heard_again() {
    for mut solo in patient() {
        solo.hear(HIGHER, 200);
        solo.now = solo.now + 60 * SECOND;
        for waited in [200, 150] {
            assert_eq!(solo.hear(HIGHER, waited), []);
        }
        solo.pass(SECOND);
        replaces(&mut solo, 150);
    }
}

#[test]
fn immediate_preemption_waits_as_the_rfc_does_also_when_a_priority_fell() {
    let mut solo = Solo::backup(config(180));
    solo.hear(HIGHER, 200);
    solo.pass(SECOND);
    assert_eq!(solo.hear(HIGHER, 150), []);
    assert_eq!(solo.wakes_in(), active_down(180) - SECOND);
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
