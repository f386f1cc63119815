//! What time does to a status, and what nodes' clocks do not.

use super::*;

#[test]
fn a_condition_keeps_its_time_until_its_status_changes() {
    let mut stage = Stage::serving();
    let times = |seen: &Aggregate| {
        seen.status
            .conditions
            .iter()
            .map(|c| c.last_transition_time.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(times(&stage.settle()), [at(105); 6]);
    stage.now = at(120);
    stage.says("cp-1", MemberState::Backup, 119);
    assert_eq!(
        times(&stage.settle()),
        [at(105), at(120), at(105), at(105), at(105), at(105)]
    );
    // Another reason and another message are no other status.
    stage.now = at(130);
    stage.refuse(Reason::AddressConflict, "10.0.0.100 is taken");
    let seen = stage.settle();
    assert_eq!(condition(&seen, Place::Ready), "Ready=False NotAccepted");
    assert_eq!(times(&seen)[..2], [at(130), at(120)]);
}

#[test]
fn fractions_of_a_second_are_not_kept_where_the_api_server_does_not_keep_them() {
    let mut stage = Stage::serving();
    let odd = |seconds| Timestamp::new(at(seconds).as_second(), 123_456_789).unwrap();
    stage.now = odd(105);
    stage.record("cp-3").agent = AgentLife::Expired(odd(60));
    let seen = stage.settle();
    assert_eq!(seen.status.conditions[0].last_transition_time.0, at(105));
    assert_eq!(seen.status.members[2].since, Some(micro(60)));
}

#[test]
fn time_alone_changes_nothing() {
    let mut stage = Stage::serving();
    let seen = stage.settle();
    let until = stage.now.checked_add(seen.look_again.unwrap()).unwrap();
    assert_eq!(until, at(140), "when the Leases run out");
    for second in 106..140 {
        stage.now = at(second);
        assert_eq!(stage.look().status, seen.status);
        for node in ["cp-1", "cp-2", "cp-3"] {
            stage.heard(node, second);
        }
        assert_eq!(stage.look().status, seen.status, "renewals change nothing either");
    }
}

#[test]
fn it_is_looked_again_when_the_first_lease_runs_out() {
    let mut stage = Stage::serving();
    stage.heard("cp-2", 80);
    assert_eq!(stage.settle().look_again.unwrap().as_secs(), 15);
    // While Leases are not watched none runs out; nobody asks all the time.
    stage.now = at(1000);
    assert_eq!(stage.settle().look_again.unwrap().as_secs(), 1);
    for node in ["cp-1", "cp-2", "cp-3"] {
        stage.lost(node);
    }
    assert_eq!(stage.settle().look_again, None);
}

#[test]
fn a_deletion_is_looked_at_when_its_wait_ends() {
    let mut stage = Stage::serving();
    stage.delete(Withdrawal::Waiting {
        nodes: vec!["cp-1".into()],
        look_again: Some(core::time::Duration::from_secs(7)),
    });
    assert_eq!(stage.settle().look_again.unwrap().as_secs(), 7);
}

#[test]
fn an_agent_that_reported_before_its_first_lease_is_heard_for_as_long_as_a_lease() {
    let mut stage = Stage::serving();
    stage.record("cp-3").agent = AgentLife::Never;
    stage.object("cp-3").status_seen = at(100);
    let seen = stage.settle();
    assert_eq!(members(&seen)[2], "cp-3: Backup HigherPriority");
    stage.now = at(140);
    assert_eq!(members(&stage.settle())[2], "cp-3: Unknown LastSeenBackup");
}

#[test]
fn the_later_report_counts_in_whichever_order_they_arrive() {
    let mut stage = Stage::serving();
    stage.says("cp-2", MemberState::Active, 90);
    // The older one comes last.
    stage.object("cp-1").status_seen = at(104);
    assert_eq!(stage.settle().status.active_node.as_deref(), Some("cp-2"));
}

#[test]
fn of_two_reports_at_the_same_time_the_one_seen_last_counts() {
    let mut stage = Stage::serving();
    stage.says("cp-2", MemberState::Active, 10);
    stage.object("cp-2").status_seen = at(9);
    assert_eq!(stage.settle().status.active_node.as_deref(), Some("cp-1"));
    stage.object("cp-2").status_seen = at(11);
    assert_eq!(stage.settle().status.active_node.as_deref(), Some("cp-2"));
}

#[test]
fn a_lost_node_whose_clock_is_ahead_does_not_stay_active() {
    let mut stage = Stage::serving();
    stage.report("cp-1").since = Some(micro(5_000));
    stage.says("cp-2", MemberState::Active, 101);
    stage.lost("cp-1");
    assert_eq!(stage.settle().status.active_node.as_deref(), Some("cp-2"));
}

#[test]
fn a_transition_is_told_with_its_reason_and_how_long_it_took() {
    let mut stage = Stage::serving();
    let first = stage.settle().status.last_transition.unwrap();
    assert_eq!((first.from.as_deref(), first.to.as_deref()), (None, Some("cp-1")));
    // Nobody is Active: that is no transition to anybody.
    stage.says("cp-1", MemberState::Fault, 106);
    assert_eq!(stage.settle().status.last_transition, Some(first));
    stage.says("cp-2", MemberState::Active, 107);
    let second = stage.settle().status.last_transition.unwrap();
    assert_eq!(
        (second.from.as_deref(), second.to.as_deref()),
        (Some("cp-1"), Some("cp-2"))
    );
    assert_eq!((&*second.reason, second.time), ("ActiveSilent", micro(107)));
    assert_eq!(second.duration, Some(GatewayDuration::from_millis(3_004)));
}
