//! Who is a member and hears of whom, and how one more comes in.

use serde_json::json;

use super::fixtures::{Cluster, address, group};
use crate::cluster::{AgentLife, Until, Wait};
use crate::v1alpha1::{GroupSource, MemberState, VirtualIPGroup};

fn unicast() -> VirtualIPGroup {
    group(&json!({}))
}

fn multicast() -> VirtualIPGroup {
    group(&json!({ "advertisement": { "mode": "Multicast" } }))
}

/// Three settled members, of which `a` serves, and `d`, which is selected now and runs an agent that runs nothing.
fn with_newcomer(group: VirtualIPGroup) -> Cluster {
    let mut cluster = Cluster::settled(group, &["a", "b", "c"]);
    cluster.becomes("a", MemberState::Active, 1);
    let mut other = Cluster::new(cluster.group.clone(), &["d"]);
    other.deselect("d");
    other.write(&["d"]);
    other.acknowledge("d");
    other.select("d");
    cluster.nodes.append(&mut other.nodes);
    cluster
}

#[test]
fn a_member_is_who_is_selected_or_was_told_or_runs_the_group() {
    let mut cluster = Cluster::settled(unicast(), &["a", "b"]);
    cluster.node("b").object = None;
    assert!(cluster.has_member("b"), "selected");
    cluster.deselect("a");
    cluster.deselect("b");
    assert!(!cluster.has_member("b"));
    assert!(cluster.has_member("a"), "told and running");
    cluster.write(&["a"]);
    assert!(cluster.has_member("a"), "a tombstone is something to be told");
    cluster.node("a").object.as_mut().unwrap().spec.groups.clear();
    assert!(cluster.has_member("a"), "running");
    cluster.acknowledge("a");
    assert!(!cluster.has_member("a"));
    cluster.delete();
    cluster.select("b");
    assert!(
        !cluster.has_member("b"),
        "nobody joins a group that is being deleted"
    );
}

#[test]
fn a_node_object_that_is_gone_takes_nobody_out_of_a_group() {
    let mut cluster = Cluster::settled(unicast(), &["a", "b"]);
    let before = [cluster.spec("a"), cluster.spec("b")];
    cluster.node("b").node = None;
    assert_eq!([cluster.spec("a"), cluster.spec("b")], before);
}

#[test]
fn the_members_of_a_new_group_may_serve_when_all_live_ones_have_acknowledged() {
    let mut cluster = Cluster::new(unicast(), &["a", "b", "c"]);
    for name in ["a", "b", "c"] {
        assert_eq!(cluster.told(name), None, "what {name} runs has not been seen");
    }
    cluster.write(&["a", "b", "c"]);
    for name in ["a", "b", "c"] {
        cluster.acknowledge(name);
        assert!(!cluster.may(name));
    }
    cluster.write(&["a", "b", "c"]);
    for name in ["a", "b"] {
        assert_eq!(cluster.write(&[name]), 0);
        cluster.acknowledge(name);
    }
    // The agent of the third is silent, and nothing it was told allows it to serve.
    assert!(cluster.may("a") && cluster.may("b"));
    assert!(
        !cluster.may("c"),
        "from where it takes part is a guess until it says so"
    );
    cluster.write(&["a", "b", "c"]);
    cluster.acknowledge("a");
    assert!(cluster.may("a") && cluster.may("b"));
    cluster.acknowledge("c");
    assert!(!cluster.may("c"), "b could serve and has not acknowledged");
    cluster.acknowledge("b");
    assert!(cluster.may("c"));
}

#[test]
fn a_lost_node_that_never_had_leave_keeps_nobody_waiting() {
    for group in [unicast(), multicast()] {
        let mut cluster = Cluster::new(group, &["a", "b", "c"]);
        cluster.lost("c");
        for _ in 0..3 {
            cluster.write(&["a", "b", "c"]);
            cluster.acknowledge("a");
            cluster.acknowledge("b");
        }
        assert!(cluster.may("a") && cluster.may("b"));
        assert!(!cluster.may("c"));
    }
}

#[test]
fn a_node_without_an_agent_is_told_at_once_and_may_not_serve_before_one_runs() {
    let mut cluster = Cluster::settled(multicast(), &["a", "b"]);
    cluster.nodes.push(super::fixtures::node("c"));
    cluster.node("c").agent = AgentLife::Never;
    cluster.write(&["a", "b", "c"]);
    assert_eq!(
        cluster.told("c").map(|entry| entry.may_become_active),
        Some(false)
    );
    assert_eq!(cluster.waits(), [], "nobody is there to wait for anything");
    cluster.node("c").agent = AgentLife::Fresh(super::fixtures::at(1));
    cluster.acknowledge("c");
    assert!(cluster.may("c"));
}

#[test]
fn a_newcomer_may_serve_when_everybody_who_could_has_it_among_the_peers_and_has_said_so() {
    let mut cluster = with_newcomer(unicast());
    assert!(!cluster.may("d"));
    assert_eq!(cluster.peers("a"), ["b", "c", "d"], "known from its Node");
    cluster.write(&["a", "b", "c", "d"]);
    for name in ["a", "b", "c", "d"] {
        let missing: Vec<&str> = ["a", "b", "c", "d"]
            .into_iter()
            .filter(|missing| *missing >= name)
            .collect();
        assert_eq!(
            cluster.waits(),
            [Wait {
                node: "d".into(),
                until: Until::Admitted,
                unacknowledged: missing.into_iter().map(Into::into).collect(),
            }]
        );
        assert!(!cluster.may("d"), "{name} has not said anything");
        cluster.acknowledge(name);
    }
    assert!(cluster.may("d"));
    assert_eq!(cluster.waits(), []);
}

#[test]
fn a_newcomer_costs_each_other_member_of_a_unicast_group_one_write_and_of_a_multicast_group_none() {
    for (group, writes) in [(unicast(), 1), (multicast(), 0)] {
        let mut cluster = with_newcomer(group);
        let mut others = 0;
        for _ in 0..4 {
            others += cluster.write(&["a", "b", "c"]);
            cluster.write(&["d"]);
            for name in ["a", "b", "c", "d"] {
                cluster.acknowledge(name);
            }
        }
        assert_eq!(others, 3 * writes);
        assert!(cluster.may("d"));
    }
}

#[test]
fn who_may_serve_already_is_never_told_otherwise_because_somebody_joins() {
    let mut cluster = with_newcomer(unicast());
    cluster.lost("b");
    for _ in 0..3 {
        cluster.write(&["a", "b", "c", "d"]);
        for name in ["a", "c", "d"] {
            cluster.acknowledge(name);
            assert_eq!(cluster.may(name), name != "d", "{name}");
        }
        assert!(cluster.may("b"));
    }
    let wait = cluster.waits().remove(0);
    assert_eq!(
        (&*wait.node, &wait.unacknowledged[..]),
        ("d", &["b".to_owned()][..])
    );
}

#[test]
fn a_node_that_is_gone_is_waited_for_no_longer() {
    let mut cluster = with_newcomer(unicast());
    cluster.write(&["a", "b", "c", "d"]);
    for name in ["a", "c", "d"] {
        cluster.acknowledge(name);
    }
    assert!(!cluster.may("d"));
    cluster.nodes.retain(|node| node.name != "b");
    assert!(cluster.may("d"));
    assert_eq!(cluster.peers("a"), ["c", "d"]);
}

#[test]
fn a_member_that_refused_what_it_was_told_blocks_newcomers_and_nobody_else() {
    let mut cluster = with_newcomer(unicast());
    cluster.write(&["a", "b", "c", "d"]);
    for name in ["a", "b", "c", "d"] {
        cluster.acknowledge(name);
    }
    assert!(cluster.may("d"));
    cluster.refuses("b");
    assert!(!cluster.may("d"));
    assert!(cluster.may("a") && cluster.may("b") && cluster.may("c"));
}

#[test]
fn a_newcomer_that_refuses_and_runs_nothing_blocks_nobody() {
    let mut cluster = Cluster::new(multicast(), &["a", "b"]);
    for _ in 0..3 {
        cluster.write(&["a", "b"]);
        cluster.acknowledge("a");
        cluster.acknowledge("b");
        if cluster.told("b").is_some_and(|entry| !entry.may_become_active) {
            cluster.write(&["b"]);
        }
    }
    cluster.node("b").object.as_mut().unwrap().spec.groups[0].may_become_active = false;
    cluster.node("a").object.as_mut().unwrap().spec.groups[0].may_become_active = false;
    cluster.refuses("b");
    assert!(!cluster.may("a"), "b may run a former version");
    cluster.report("b").applied_generation = None;
    assert!(cluster.may("a"));
}

#[test]
fn a_member_that_runs_the_group_from_a_file_is_told_without_leave_unless_it_serves() {
    let mut cluster = Cluster::settled(multicast(), &["a", "b"]);
    for name in ["a", "b"] {
        cluster.report(name).source = GroupSource::File;
        cluster.node(name).object.as_mut().unwrap().spec.groups.clear();
    }
    cluster.becomes("a", MemberState::Active, 1);
    assert_eq!(
        cluster.told("a"),
        None,
        "first the others, so that it stays what it is to them"
    );
    assert!(!cluster.may("b"));
    cluster.write(&["a", "b"]);
    cluster.acknowledge("b");
    assert!(cluster.may("a"));
    assert!(!cluster.may("b"));
    cluster.write(&["a", "b"]);
    cluster.acknowledge("a");
    assert!(cluster.may("b"));
}

#[test]
fn what_changes_nothing_for_a_group_writes_nothing() {
    let mut cluster = Cluster::settled(unicast(), &["a", "b", "c"]);
    cluster.becomes("b", MemberState::Active, 5);
    cluster.lost("c");
    cluster.report("c").effective_priority = Some(7);
    let labels = &mut cluster.node("a").node.as_mut().unwrap().labels;
    labels.insert("unrelated".into(), "yes".into());
    cluster.node("a").agent = AgentLife::Fresh(super::fixtures::at(99));
    assert_eq!(cluster.write(&["a", "b", "c"]), 0);
}

#[test]
fn a_newcomer_waits_for_those_who_have_acknowledged_everything_but_not_it() {
    let mut cluster = with_newcomer(unicast());
    cluster.write(&["d"]);
    cluster.acknowledge("d");
    assert!(!cluster.may("d"));
    assert_eq!(cluster.waits()[0].unacknowledged, ["a", "b", "c"]);
}

#[test]
fn an_agent_that_has_not_said_what_it_runs_keeps_newcomers_waiting() {
    let mut cluster = with_newcomer(multicast());
    assert!(cluster.may("d"));
    cluster.nodes.push(super::fixtures::node("e"));
    assert!(!cluster.may("d"), "it may run what an object said that is gone");
    cluster.write(&["e"]);
    cluster.acknowledge("e");
    assert!(cluster.may("d"));
}

#[test]
fn two_newcomers_that_would_be_deaf_to_each_other_are_not_admitted_together() {
    let mut cluster = Cluster::new(unicast(), &["a", "b"]);
    cluster.write(&["a", "b"]);
    for name in ["a", "b"] {
        cluster.acknowledge(name);
        cluster.write(&[name]);
        cluster.acknowledge(name);
    }
    assert!(cluster.may("a") && cluster.may("b"));
    // Both say that they have the same address, so that neither can be the other's peer.
    cluster.report("b").source_address = Some(address("a"));
    assert!(!cluster.may("a") && !cluster.may("b"));
}

#[test]
fn a_newcomer_waits_for_one_that_leaves_with_what_the_group_was_before() {
    let mut cluster = with_newcomer(multicast());
    let leaving = ["a", "b", "c"];
    for name in leaving {
        cluster.deselect(name);
    }
    cluster.edit(|group| group.spec.interface = Some("eth1".to_owned()));
    cluster.write(&["d"]);
    assert!(!cluster.may("d"), "the others serve on the other interface");
    cluster.write(&leaving);
    for name in leaving {
        cluster.acknowledge(name);
    }
    cluster.settle();
    assert!(cluster.may("d"));
}
