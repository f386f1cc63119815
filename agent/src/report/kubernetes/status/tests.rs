use super::*;
use crate::report::example;

fn told(generation: i64) -> AppliedGroup {
    AppliedGroup {
        generation: Some(generation),
        source: GroupSource::API,
        in_file: false,
        carries_api_endpoint: false,
        refused: None,
    }
}

/// The node of the example: `control-plane` Active, `web` Backup, `storage` in Fault.
fn applied() -> Applied {
    Applied {
        observed_generation: Some(7),
        groups: BTreeMap::from([
            (
                "control-plane".to_owned(),
                AppliedGroup {
                    in_file: true,
                    carries_api_endpoint: true,
                    ..told(3)
                },
            ),
            (
                "storage".to_owned(),
                AppliedGroup {
                    source: GroupSource::File,
                    ..told(0)
                },
            ),
            (
                "web".to_owned(),
                AppliedGroup {
                    refused: Some("spec.addresses[1]: 10.0.0.300/24 is not an address".to_owned()),
                    source: GroupSource::Cache,
                    ..told(4)
                },
            ),
        ]),
        problems: vec![FaultStatus {
            reason: "APIServerBehindOwnVIP".to_owned(),
            message: "set --api-server".to_owned(),
        }],
    }
}

fn groups() -> Vec<GroupStatus> {
    let mut groups = example::probed().groups;
    groups[0].generation = 3;
    groups[1].generation = 4;
    groups
}

fn built() -> VirtualIPNodeStatus {
    node_status(&groups(), &applied(), None, example::now())
}

fn group<'a>(status: &'a VirtualIPNodeStatus, name: &str) -> &'a NodeGroupStatus {
    status.groups.iter().find(|group| group.name == name).unwrap()
}

#[test]
fn a_node_says_what_it_does_where_it_got_it_from_and_what_is_wrong() {
    insta::assert_json_snapshot!(built());
}

#[test]
fn what_is_written_is_read_back_equal() {
    let mut groups = groups();
    let odd = Timestamp::new(1_773_457_100, 123_456_789).unwrap();
    groups[0].since = Some(odd);
    groups[0].last_move.as_mut().unwrap().time = odd;
    groups[0].last_move.as_mut().unwrap().duration = Some(SignedDuration::from_nanos(300_123_456));
    groups[0].faults = vec![FaultStatus {
        reason: "LinkDown".to_owned(),
        message: "é".repeat(3000),
    }];
    let status = node_status(&groups, &applied(), None, odd);
    let written = serde_json::to_string(&status).unwrap();
    assert_eq!(
        serde_json::from_str::<VirtualIPNodeStatus>(&written).unwrap(),
        status
    );
    let fault = group(&status, "control-plane").faults[0].message.clone();
    assert_eq!(fault.unwrap().chars().count(), MESSAGE_CHARS);
}

#[test]
fn counters_and_passing_time_change_nothing() {
    let mut groups = groups();
    groups[0].counters.advertisements_sent += 1000;
    groups[1].notices[0].count += 1;
    groups[1].notices[0].last_seen = example::now();
    let later = example::now() + SignedDuration::from_secs(99);
    assert_eq!(node_status(&groups, &applied(), Some(&built()), later), built());
}

#[test]
fn a_group_acknowledges_the_generation_that_runs_and_not_the_one_that_was_told() {
    let mut applied = applied();
    applied.groups.get_mut("control-plane").unwrap().generation = Some(5);
    let status = node_status(&groups(), &applied, None, example::now());
    assert_eq!(group(&status, "control-plane").applied_generation, Some(3));
}

#[test]
fn a_group_that_the_engine_has_not_begun_to_run_acknowledges_nothing() {
    let status = node_status(&[], &applied(), None, example::now());
    let starting = group(&status, "control-plane");
    assert_eq!(starting.applied_generation, None);
    assert_eq!(starting.state, MemberState::Initialize);
    assert_eq!(starting.reason.as_deref(), Some("Starting"));
}

#[test]
fn a_group_that_was_refused_and_never_ran_is_in_fault() {
    let mut applied = applied();
    applied.groups.get_mut("web").unwrap().generation = None;
    let status = node_status(&groups()[..1], &applied, None, example::now());
    let refused = group(&status, "web");
    assert_eq!(
        (
            refused.state,
            refused.applied_generation,
            refused.reason.as_deref()
        ),
        (MemberState::Fault, None, Some(REFUSED))
    );
    assert_eq!(refused.faults[0].reason, REFUSED);
}

#[test]
fn a_group_that_runs_is_never_left_out_since_that_would_say_it_is_gone() {
    let status = node_status(&groups(), &Applied::default(), None, example::now());
    assert_eq!(status.groups.len(), 3);
}

#[test]
fn a_group_that_stops_holds_nothing_and_keeps_its_acknowledgement() {
    let later = example::now() + SignedDuration::from_secs(1);
    let status = node_status(&groups()[1..], &applied(), Some(&built()), later);
    let stopped = group(&status, "control-plane");
    assert_eq!(stopped.state, MemberState::Initialize);
    assert_eq!(stopped.applied_generation, Some(3));
    assert_eq!(stopped.since, Some(micros(later)));
    let last = stopped.last_transition.as_ref().unwrap();
    assert_eq!(
        (last.from, last.reason.as_str()),
        (MemberState::Active, "Shutdown")
    );
    let much_later = later + SignedDuration::from_secs(60);
    assert_eq!(
        node_status(&groups()[1..], &applied(), Some(&status), much_later),
        status,
        "said once"
    );
}

#[test]
fn the_last_word_says_of_every_group_that_it_is_not_held() {
    let last = last_word(&built(), example::now());
    assert_eq!(last.observed_generation, Some(7));
    assert!(
        last.groups
            .iter()
            .all(|group| group.state == MemberState::Initialize)
    );
    assert_eq!(group(&last, "control-plane").applied_generation, Some(3));
    assert_eq!(
        group(&last, "web").faults[0].reason,
        REFUSED,
        "what is in force stays"
    );
    assert_eq!(group(&last, "storage").faults, []);
}

#[test]
fn transitions_acknowledgements_and_conflicts_are_urgent_and_the_rest_is_not() {
    type Edit = fn(&mut VirtualIPNodeStatus);
    let edits: [(Edit, bool); 12] = [
        (|status| status.observed_generation = Some(8), true),
        (|status| status.groups[0].applied_generation = Some(4), true),
        (|status| status.groups[0].state = MemberState::Backup, true),
        (
            |status| status.groups[0].since = Some(micros(example::now())),
            true,
        ),
        (|status| status.groups[0].source_address = None, true),
        (|status| status.groups[1].faults.clear(), true),
        (
            |status| {
                status.groups[0]
                    .conflicts
                    .push(fault("OtherActive".to_owned(), "x"));
            },
            true,
        ),
        (
            |status| {
                status.groups.pop();
            },
            true,
        ),
        (|status| status.groups[0].effective_priority = Some(1), false),
        (
            |status| status.groups[0].active_peer = Some("10.0.0.9".to_owned()),
            false,
        ),
        (|status| status.groups[1].faults[0].message = None, false),
        (|status| status.problems.clear(), false),
    ];
    for (index, (edit, urgent)) in edits.into_iter().enumerate() {
        let mut status = built();
        edit(&mut status);
        assert_ne!(status, built(), "{index}");
        assert_eq!(is_urgent(Some(&built()), &status), urgent, "{index}");
    }
    assert!(is_urgent(None, &built()));
}

#[test]
fn evidence_has_the_words_of_conditions() {
    assert_eq!(camel_case("other_active"), "OtherActive");
    let mut groups = groups();
    groups[0].conflicts = vec![FaultStatus {
        reason: "address_claimed".to_owned(),
        message: "another station claims 10.0.0.100".to_owned(),
    }];
    let status = node_status(&groups, &applied(), None, example::now());
    assert_eq!(
        group(&status, "control-plane").conflicts[0].reason,
        "AddressClaimed"
    );
}

#[test]
fn what_somebody_should_see_to_is_told_at_once_and_ends_with_the_group() {
    let with = built();
    let mut quiet = groups();
    quiet[0].warnings.clear();
    let without = node_status(&quiet, &applied(), None, example::now());
    assert!(is_urgent(Some(&without), &with));
    assert!(is_urgent(Some(&with), &without));
    let ended = last_word(&with, example::now());
    assert!(ended.groups.iter().all(|group| group.warnings.is_empty()));
}
