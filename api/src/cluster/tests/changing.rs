//! A change of what the others listen for: everybody holds, all but one are locked, everybody goes.

use serde_json::json;

use super::fixtures::{Cluster, group, node};
use crate::cluster::{AgentLife, Until, Wait};
use crate::duration::GatewayDuration;
use crate::v1alpha1::{
    AuthenticationType, Checksum, MemberState, Mode, NodeOverride, VirtualIPGroup, VirtualIPGroupSpec,
};

const ALL: [&str; 3] = ["a", "b", "c"];

/// Three settled members, of which `a` serves.
pub fn running(mode: &str) -> Cluster {
    let group = group(&json!({ "advertisement": { "mode": mode } }));
    let mut cluster = Cluster::settled(group, &ALL);
    cluster.becomes("a", MemberState::Active, 1);
    cluster
}

pub fn identifiers(cluster: &Cluster) -> [i32; 3] {
    ALL.map(|name| cluster.told(name).unwrap().virtual_router_id)
}

pub fn leave(cluster: &Cluster) -> [bool; 3] {
    ALL.map(|name| cluster.may(name))
}

pub fn renumber(group: &mut VirtualIPGroup) {
    group.spec.virtual_router_id = Some(99);
}

pub fn step(cluster: &mut Cluster) {
    cluster.write(&ALL);
    for name in ALL {
        cluster.acknowledge(name);
    }
}

#[test]
fn a_new_identifier_is_told_when_all_but_the_active_one_have_said_that_they_will_not_take_over() {
    let mut cluster = running("Multicast");
    cluster.edit(renumber);

    // Lock.
    assert_eq!(
        (identifiers(&cluster), leave(&cluster)),
        ([51; 3], [true, false, false])
    );
    cluster.write(&ALL);
    cluster.acknowledge("b");
    assert_eq!(
        (identifiers(&cluster), leave(&cluster)),
        ([51; 3], [true, false, false])
    );
    let waiting = |node: &str| Wait {
        node: node.into(),
        until: Until::Changed,
        unacknowledged: vec!["c".into()],
    };
    assert_eq!(cluster.waits(), ALL.map(waiting));

    // Go.
    cluster.acknowledge("c");
    assert_eq!(
        (identifiers(&cluster), leave(&cluster)),
        ([99; 3], [true, false, false])
    );
    cluster.write(&ALL);
    cluster.acknowledge("b");
    assert_eq!(
        leave(&cluster),
        [true, false, false],
        "the one that serves may still do so with the old one"
    );

    // The others are admitted.
    cluster.acknowledge("a");
    assert_eq!(
        leave(&cluster),
        [true, false, true],
        "c has not said that the old one is over"
    );
    cluster.acknowledge("c");
    assert_eq!(leave(&cluster), [true; 3]);
    step(&mut cluster);
    assert_eq!(cluster.write(&ALL), 0);
}

type Change = fn(&mut VirtualIPGroupSpec);

#[test]
fn everything_that_makes_members_deaf_to_each_other_goes_this_way_and_nothing_else_does() {
    let changes: [(&str, Change, bool); 12] = [
        ("identifier", |spec| spec.virtual_router_id = Some(99), true),
        ("mode", |spec| spec.advertisement.mode = Mode::Multicast, true),
        ("version", |spec| spec.advertisement.version = 2, true),
        ("interface", |spec| spec.interface = Some("eth1".into()), true),
        (
            "authentication",
            |spec| spec.authentication.type_ = AuthenticationType::Password,
            true,
        ),
        ("source address", |spec| spec.node_overrides = source_of_b(), true),
        (
            "interval",
            |spec| spec.advertisement.interval = GatewayDuration::from_secs(2),
            false,
        ),
        ("priority", |spec| spec.priority = 7, false),
        (
            "addresses",
            |spec| spec.addresses[0].label = Some("eth0:1".into()),
            false,
        ),
        (
            "startup delay",
            |spec| spec.startup_delay = GatewayDuration::from_secs(9),
            false,
        ),
        ("announcement", |spec| spec.announcement.count = 1, false),
        (
            "checksum",
            |spec| spec.advertisement.checksum = Checksum::WithoutPseudoHeader,
            false,
        ),
    ];
    for (what, change, is_identity) in changes {
        let mut cluster = running("Unicast");
        cluster.edit(|group| change(&mut group.spec));
        assert_eq!(leave(&cluster), [true, !is_identity, !is_identity], "{what}");
        let generations = ALL.map(|name| cluster.told(name).unwrap().generation);
        assert_eq!(generations, [if is_identity { 1 } else { 2 }; 3], "{what}");
    }
}

fn source_of_b() -> Vec<NodeOverride> {
    serde_json::from_value(json!([{ "nodes": ["b"], "sourceAddress": "10.0.0.77" }])).unwrap()
}

#[test]
fn version_2_is_strict_about_intervals_and_so_is_a_change_of_them() {
    let group = group(&json!({ "advertisement": { "mode": "Multicast", "version": 2 } }));
    let mut cluster = Cluster::settled(group, &ALL);
    cluster.becomes("a", MemberState::Active, 1);
    cluster.edit(|group| group.spec.advertisement.interval = GatewayDuration::from_secs(2));
    assert_eq!(leave(&cluster), [true, false, false]);
}

#[test]
fn a_change_of_mode_leaves_the_active_one_in_the_old_until_the_others_cannot_take_over() {
    let mut cluster = running("Unicast");
    cluster.edit(|group| group.spec.advertisement.mode = Mode::Multicast);
    let modes = |cluster: &Cluster| ALL.map(|name| cluster.told(name).unwrap().advertisement.mode);
    assert_eq!(
        (modes(&cluster), leave(&cluster)),
        ([Mode::Unicast; 3], [true, false, false])
    );
    step(&mut cluster);
    assert_eq!(
        (modes(&cluster), leave(&cluster)),
        ([Mode::Multicast; 3], [true, false, false])
    );
    step(&mut cluster);
    assert_eq!(
        (modes(&cluster), leave(&cluster)),
        ([Mode::Multicast; 3], [true; 3])
    );
}

#[test]
fn while_one_that_could_serve_is_out_of_reach_everybody_keeps_what_runs() {
    for name in ALL {
        let mut cluster = running("Multicast");
        cluster.lost(name);
        cluster.edit(renumber);
        assert_eq!(
            (identifiers(&cluster), leave(&cluster)),
            ([51; 3], [true; 3]),
            "{name} is lost"
        );
        assert_eq!(cluster.write(&ALL), 0);
        let waits = cluster.waits();
        assert!(
            waits
                .iter()
                .all(|wait| wait.until == Until::Changed && wait.unacknowledged == [name])
        );
        // Its Node is deleted, and nobody has heard of it for long.
        cluster.nodes.retain(|node| node.name != name);
        let rest: Vec<&str> = ALL.into_iter().filter(|other| *other != name).collect();
        for _ in 0..3 {
            cluster.write(&rest);
            for name in &rest {
                cluster.acknowledge(name);
            }
        }
        assert!(
            rest.iter()
                .all(|name| cluster.told(name).unwrap().virtual_router_id == 99),
            "{name} is gone"
        );
    }
}

#[test]
fn one_that_took_over_before_it_heard_of_the_lock_is_the_one_that_stays() {
    let mut cluster = running("Multicast");
    cluster.edit(renumber);
    cluster.write(&ALL);
    for name in ALL {
        cluster.acknowledge(name);
    }
    cluster.becomes("b", MemberState::Active, 9);
    assert_eq!(
        (identifiers(&cluster), leave(&cluster)),
        ([51; 3], [false, true, false]),
        "a has not said that it serves no longer"
    );
    step(&mut cluster);
    cluster.becomes("a", MemberState::Backup, 10);
    assert_eq!(
        (identifiers(&cluster), leave(&cluster)),
        ([99; 3], [false, true, false])
    );
}

#[test]
fn a_member_that_refused_the_change_keeps_all_others_from_the_next_one() {
    let mut cluster = running("Multicast");
    cluster.edit(|group| group.spec.priority = 7);
    step(&mut cluster);
    cluster.refuses("c");
    cluster.edit(renumber);
    assert_eq!((identifiers(&cluster), leave(&cluster)), ([51; 3], [true; 3]));
}

#[test]
fn a_single_member_changes_at_once_if_it_serves_and_after_a_lock_if_not() {
    let one = || {
        Cluster::settled(
            group(&json!({ "advertisement": { "mode": "Multicast" } })),
            &["a"],
        )
    };
    let mut active = one();
    active.becomes("a", MemberState::Active, 1);
    active.edit(renumber);
    let told = active.told("a").unwrap();
    assert_eq!((told.virtual_router_id, told.may_become_active), (99, true));

    let mut backup = one();
    backup.edit(renumber);
    let told = backup.told("a").unwrap();
    assert_eq!((told.virtual_router_id, told.may_become_active), (51, false));
    backup.settle();
    let told = backup.told("a").unwrap();
    assert_eq!((told.virtual_router_id, told.may_become_active), (99, true));
}

#[test]
fn a_member_without_its_node_object_is_told_no_other_identity() {
    let mut cluster = running("Multicast");
    cluster.node("b").node = None;
    cluster.edit(|group| group.spec.priority = 7);
    let told = cluster.told("b").unwrap();
    assert_eq!(
        (told.generation, told.priority),
        (2, 100),
        "which priority it is to have nobody knows"
    );
    cluster.settle();
    cluster.edit(renumber);
    assert_eq!((identifiers(&cluster), leave(&cluster)), ([51; 3], [true; 3]));
    assert_eq!(cluster.waits()[0].unacknowledged, ["b"]);
}

#[test]
fn a_newcomer_waits_until_the_change_is_over() {
    let mut cluster = running("Multicast");
    cluster.lost("c");
    cluster.edit(renumber);
    let mut newcomer = node("d");
    newcomer.agent = AgentLife::Fresh(super::fixtures::at(0));
    cluster.nodes.push(newcomer);
    cluster.write(&["d"]);
    cluster.acknowledge("d");
    cluster.write(&["d"]);
    cluster.acknowledge("d");
    let told = cluster.told("d").unwrap();
    assert_eq!((told.virtual_router_id, told.may_become_active), (99, false));
}

#[test]
fn nobody_is_admitted_to_the_new_interface_while_one_may_serve_on_the_old() {
    let mut cluster = running("Multicast");
    cluster.edit(|group| group.spec.interface = Some("eth1".into()));
    step(&mut cluster);
    let interfaces = ALL.map(|name| cluster.told(name).unwrap().interface);
    assert_eq!(
        interfaces,
        [const { Some("eth1") }; 3].map(|name| name.map(str::to_owned))
    );
    assert_eq!(leave(&cluster), [true, false, false]);
    step(&mut cluster);
    assert_eq!(leave(&cluster), [true; 3]);
}

#[test]
fn an_address_that_was_reported_of_another_place_is_not_relied_on() {
    let mut cluster = running("Unicast");
    cluster.edit(|group| group.spec.node_overrides = source_of_b());
    cluster.settle();
    cluster.becomes("a", MemberState::Backup, 2);
    cluster.edit(|group| group.spec.node_overrides.clear());
    step(&mut cluster);
    assert_eq!(
        leave(&cluster),
        [true, false, true],
        "b serves from an address that nobody knows yet"
    );
    step(&mut cluster);
    let peer = |cluster: &Cluster| cluster.told("a").unwrap().peers[0].clone();
    assert_eq!(
        (&*peer(&cluster).name, peer(&cluster).addresses),
        ("b", vec![super::fixtures::address("b")])
    );
    cluster.settle();
    assert_eq!(leave(&cluster), [true; 3]);
}
