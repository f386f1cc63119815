//! A new configuration applied as a difference: nothing moves that was not asked to.

use holdfast_vrrp::{
    Action, Announce, Authentication, Change, Checksum, Config, Family, Fault, Input, Interval, Peer,
    Preemption, Reason, Standing, State, Transport, Version, VirtualRouterId,
};

use crate::harness::*;

type Edit = fn(&mut Config);

#[test]
fn the_difference_decides_what_an_edit_moves() {
    let edits: [(&str, Edit, Change); 16] = [
        (
            "virtual router ID",
            |c| c.virtual_router_id = VirtualRouterId::new(7).unwrap(),
            Change::Restart,
        ),
        ("version", |c| c.version = Version::V2, Change::Restart),
        ("family", |c| c.family = Family::V6, Change::Restart),
        ("addresses", |c| c.addresses.push(vip(VIP_2)), Change::Rebind),
        ("accept mode", |c| c.accept = false, Change::Rebind),
        ("lifetime", |c| c.lifetime = 9 * SECOND, Change::Rebind),
        ("priority", |c| c.priority = priority(9), Change::Readvertise),
        (
            "interval",
            |c| c.interval = interval(2 * SECOND),
            Change::Readvertise,
        ),
        ("source", |c| c.source = Some(HIGHER), Change::Readvertise),
        (
            "transport",
            |c| c.transport = Transport::Unicast(Vec::new()),
            Change::Readvertise,
        ),
        (
            "authentication",
            |c| c.authentication = Authentication::Password(*b"secret\0\0"),
            Change::Readvertise,
        ),
        (
            "checksum",
            |c| c.checksum = Checksum::WithoutPseudoHeader,
            Change::Readvertise,
        ),
        (
            "preemption",
            |c| c.preemption = Preemption::Never,
            Change::Nothing,
        ),
        ("startup delay", |c| c.startup_delay = SECOND, Change::Nothing),
        (
            "announcement",
            |c| c.announcement.refresh_interval = SECOND,
            Change::Nothing,
        ),
        ("permission", |c| c.may_become_active = false, Change::Nothing),
    ];
    let old = config(100);
    assert_eq!(old.diff(&old), Change::Nothing);
    for (what, edit, change) in edits {
        let mut new = old.clone();
        edit(&mut new);
        assert_eq!(old.diff(&new), change, "{what}");
    }
}

#[test]
fn no_edit_but_a_restart_moves_an_active_router() {
    let edits: [Edit; 12] = [
        |c| c.addresses.push(vip(VIP_2)),
        |c| c.accept = false,
        |c| c.lifetime = 9 * SECOND,
        |c| c.priority = priority(9),
        |c| c.interval = interval(2 * SECOND),
        |c| c.source = Some(HIGHER),
        |c| {
            c.transport = Transport::Unicast(vec![Peer {
                address: HIGHER,
                min_ttl: 255,
            }]);
        },
        |c| c.checksum = Checksum::WithoutPseudoHeader,
        |c| c.preemption = Preemption::Never,
        |c| c.startup_delay = SECOND,
        |c| c.announcement.refresh_interval = SECOND,
        |c| c.may_become_active = false,
    ];
    for edit in edits {
        let mut solo = Solo::active(config(100));
        let out = solo.configure(edit);
        assert_eq!(transitions(&out), []);
        assert!(
            !out.iter().any(|action| matches!(action, Action::Unbind(_))),
            "{out:?}"
        );
        assert!(!sent(&out).contains(&0));
        let mut new = config(100);
        edit(&mut new);
        assert_eq!(*solo.router.config(), new);
    }
}

#[test]
fn an_unchanged_configuration_does_nothing() {
    let mut solo = Solo::active(config(100));
    let due = solo.router.next_timeout();
    assert_eq!(solo.configure(|_| {}), []);
    assert_eq!(solo.router.next_timeout(), due);
}

#[test]
fn a_priority_edit_is_advertised_at_once() {
    let mut solo = Solo::active(config(100));
    solo.pass(millis(300));
    assert_eq!(
        solo.configure(|config| config.priority = priority(80)),
        [send(80)]
    );
    assert_eq!(solo.wakes_in(), SECOND);
}

#[test]
fn a_priority_edit_recomputes_a_backups_down_timer_without_restarting_it() {
    let mut solo = Solo::backup(config(100));
    solo.pass(SECOND);
    assert_eq!(solo.configure(|config| config.priority = priority(200)), []);
    assert_eq!(solo.wakes_in(), active_down(200) - SECOND);
}

#[test]
fn an_interval_edit_applies_to_an_active_router_at_once() {
    let mut solo = Solo::active(config(100));
    assert_eq!(
        solo.configure(|config| config.interval = interval(millis(100))),
        [send(100)]
    );
    assert_eq!(solo.wakes_in(), millis(100));
}

#[test]
fn an_interval_edit_does_not_make_a_backup_forget_the_learned_interval() {
    let mut solo = Solo::backup(config(100));
    solo.hear(HIGHER, 200);
    solo.configure(|config| config.interval = interval(millis(10)));
    assert_eq!(solo.wakes_in(), active_down(100));
    assert_eq!(solo.snapshot().interval, SECOND);
}

#[test]
fn an_interval_edit_applies_to_a_backup_that_has_learned_none() {
    let mut solo = Solo::backup(config(100));
    solo.configure(|config| config.interval = interval(millis(100)));
    assert_eq!(solo.wakes_in(), active_down(100) / 10);
}

#[test]
fn new_addresses_are_bound_and_old_ones_taken_away_while_others_are_left_alone() {
    let mut start = config(100);
    let third = "10.0.0.102".parse().unwrap();
    start.addresses = vec![vip(VIP), vip(VIP_2)];
    let mut solo = Solo::active(start);
    let out = solo.configure(|config| config.addresses = vec![vip(VIP_2), vip(third)]);
    assert_eq!(out, [unbind(&[VIP]), bind(&[third]), send(100)]);
    assert_eq!(solo.bound, [VIP_2, third].into());
    assert_eq!(solo.bound(), [BURST]);
}

#[test]
fn taking_an_address_away_binds_nothing() {
    let mut start = config(100);
    start.addresses = vec![vip(VIP), vip(VIP_2)];
    let mut solo = Solo::active(start);
    let out = solo.configure(|config| config.addresses.truncate(1));
    assert_eq!(out, [unbind(&[VIP_2]), send(100)]);
}

#[test]
fn addresses_edited_before_the_first_are_bound_are_all_asked_for_again() {
    let mut solo = Solo::backup(config(100));
    while solo.state() != State::Active {
        solo.timeout();
    }
    let out = solo.configure(|config| config.addresses.push(vip(VIP_2)));
    assert_eq!(out, [bind(&[VIP, VIP_2]), send(100)]);
    assert_eq!(solo.bound(), [BURST]);
}

#[test]
fn an_address_bound_in_another_way_is_taken_away_first() {
    let mut solo = Solo::active(config(100));
    let mut labelled = vip(VIP);
    labelled.label = Some("eth0:vip".into());
    let out = solo.configure(|config| config.addresses = vec![labelled.clone()]);
    assert_eq!(out, [unbind(&[VIP]), Action::Bind(vec![labelled]), send(100)]);
}

#[test]
fn a_backup_binds_nothing_when_its_addresses_are_edited() {
    let mut solo = Solo::backup(config(100));
    assert_eq!(solo.configure(|config| config.addresses = vec![vip(VIP_2)]), []);
}

#[test]
fn a_changed_lifetime_is_applied_at_once() {
    let mut solo = Solo::active(config(100));
    let out = solo.configure(|config| config.lifetime = 15 * SECOND);
    assert_eq!(out, [Action::Renew, send(100)]);
    let log = solo.pass(20 * SECOND);
    assert_eq!(
        times_of(&log, &Action::Renew),
        [5 * SECOND, 10 * SECOND, 15 * SECOND, 20 * SECOND]
    );
}

#[test]
fn a_changed_accept_mode_binds_the_addresses_again_in_place() {
    let mut solo = Solo::active(config(100));
    assert_eq!(
        solo.configure(|config| config.accept = false),
        [bind(&[VIP]), send(100)]
    );
}

#[test]
fn a_changed_refresh_interval_applies_at_once() {
    let mut solo = Solo::active(config(100));
    assert_eq!(
        solo.configure(|config| config.announcement.refresh_interval = 10 * SECOND),
        []
    );
    let log = solo.pass(20 * SECOND);
    assert_eq!(
        times_of(&log, &Action::Announce(Announce::Refresh)),
        [10 * SECOND, 20 * SECOND]
    );
}

#[test]
fn an_active_router_that_may_not_become_active_stays_active() {
    let mut solo = Solo::active(config(100));
    assert_eq!(solo.configure(|config| config.may_become_active = false), []);
    let log = solo.pass(60 * SECOND);
    assert_eq!(times_of(&log, &send(100)).len(), 60);
    assert_eq!(solo.state(), State::Active);
    assert!(solo.snapshot().holding);
}

#[test]
fn once_it_has_left_it_does_not_come_back_before_it_may() {
    let leave: [fn(&mut Solo); 4] = [
        |solo| {
            solo.hear(HIGHER, 200);
        },
        |solo| {
            solo.health(&[Fault::LinkDown], Standing::Base);
            solo.health(&[], Standing::Base);
        },
        |solo| {
            solo.health(&[], Standing::Floor);
            solo.health(&[], Standing::Base);
        },
        |solo| {
            solo.now = solo.now + 60 * SECOND;
            solo.input(Input::Timeout);
        },
    ];
    for leave in leave {
        let mut solo = Solo::active(config(100));
        solo.configure(|config| config.may_become_active = false);
        leave(&mut solo);
        assert_eq!(solo.state(), State::Backup);
        solo.pass(60 * SECOND);
        assert_eq!(solo.state(), State::Backup);
        solo.configure(|config| config.may_become_active = true);
        solo.pass(60 * SECOND);
        assert_eq!(solo.state(), State::Active);
    }
}

#[test]
fn another_virtual_router_that_may_not_become_active_does_not_go_on_as_active() {
    for own in [100, 255] {
        let mut solo = Solo::active(config(own));
        solo.configure(|config| {
            config.virtual_router_id = VirtualRouterId::new(7).unwrap();
            config.may_become_active = false;
        });
        solo.pass(60 * SECOND);
        assert_eq!(solo.state(), State::Backup);
        assert_eq!(solo.router.config().virtual_router_id.get(), 7);
        assert!(!solo.snapshot().holding);
    }
}

#[test]
fn another_virtual_router_hands_over_the_old_one_first() {
    let mut solo = Solo::active(config(100));
    let seven = VirtualRouterId::new(7).unwrap();
    let old = solo.router.config().clone();
    let out = solo.configure(|config| config.virtual_router_id = seven);
    assert_eq!(out[0], send(0));
    assert_eq!(
        transitions(&out),
        [(State::Active, State::Initialize, Reason::Reconfigured)]
    );
    assert_eq!(
        *solo.router.config(),
        old,
        "priority 0 is said in the old one's name"
    );
    let out = solo.claimed(VIP);
    assert_eq!(out[0], unbind(&[VIP]));
    assert_eq!(
        transitions(&out),
        [(State::Initialize, State::Backup, Reason::Started)]
    );
    assert_eq!(solo.router.config().virtual_router_id, seven);
    assert_eq!(solo.wakes_in(), active_down(100));
}

#[test]
fn an_edit_during_that_handover_replaces_what_follows_it() {
    let mut solo = Solo::active(config(100));
    solo.configure(|config| config.virtual_router_id = VirtualRouterId::new(7).unwrap());
    solo.configure(|config| config.virtual_router_id = VirtualRouterId::new(8).unwrap());
    solo.claimed(VIP);
    assert_eq!(solo.router.config().virtual_router_id.get(), 8);
}

#[test]
fn a_backup_becomes_another_virtual_router_at_once() {
    let mut solo = Solo::backup(config(100));
    solo.hear(HIGHER, 200);
    let out = solo.configure(|config| {
        config.version = Version::V2;
        config.interval = Interval::DEFAULT;
    });
    assert_eq!(
        transitions(&out),
        [
            (State::Backup, State::Initialize, Reason::Reconfigured),
            (State::Initialize, State::Backup, Reason::Started)
        ]
    );
    assert_eq!(solo.snapshot().active_peer, None);
}

#[test]
fn another_virtual_router_may_try_to_bind_at_once() {
    let mut solo = Solo::active(config(100));
    solo.removed(VIP);
    while solo.state() == State::Active {
        solo.failed();
        solo.pass(millis(800));
    }
    assert_eq!(solo.state(), State::Fault);
    solo.configure(|config| config.virtual_router_id = VirtualRouterId::new(7).unwrap());
    assert_eq!(solo.state(), State::Backup);
}

#[test]
fn an_edit_before_the_start_applies_to_the_start() {
    let mut solo = Solo::new(config(100));
    assert_eq!(
        solo.configure(|config| config.virtual_router_id = VirtualRouterId::new(7).unwrap()),
        []
    );
    solo.timeout();
    assert_eq!(solo.state(), State::Backup);
    assert_eq!(solo.router.config().virtual_router_id.get(), 7);
}

#[test]
fn preemption_switched_off_stops_a_running_delay() {
    let mut start = config(100);
    start.preemption = Preemption::Delayed(2 * SECOND);
    let mut solo = Solo::backup(start);
    solo.hear(HIGHER, 50);
    solo.configure(|config| config.preemption = Preemption::Never);
    assert_eq!(solo.pass(3 * SECOND), []);
}
