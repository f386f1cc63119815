//! What a missing object means: nothing. A node stops a group on its tombstone only.

use serde_json::json;

use super::fixtures::{Cluster, group};
use crate::cluster::{AgentLife, StoredNode};
use crate::v1alpha1::{GroupSource, MemberState, Mode, NodeGroup};

const ALL: [&str; 3] = ["a", "b", "c"];

/// Three settled members, of which `a` serves.
fn running() -> Cluster {
    let mut cluster = Cluster::settled(group(&json!({})), &ALL);
    cluster.becomes("a", MemberState::Active, 1);
    cluster
}

fn stored(cluster: &Cluster, name: &str) -> Vec<NodeGroup> {
    let node = cluster.nodes.iter().find(|node| node.name == name).unwrap();
    node.object.as_ref().unwrap().spec.groups.clone()
}

fn dismissed(cluster: &Cluster) -> [bool; 3] {
    ALL.map(|name| cluster.told(name).unwrap().deleted)
}

#[test]
fn a_group_that_is_nowhere_is_kept_as_every_node_has_it() {
    let mut cluster = running();
    // Force-deleted, or the API server was restored to a time before it.
    let lost = core::mem::replace(&mut cluster.group, group(&json!({})));
    cluster.group.metadata.name = Some("other".into());
    cluster
        .nodes
        .iter_mut()
        .for_each(|node| node.node.as_mut().unwrap().labels.clear());
    for name in ALL {
        assert_eq!(cluster.spec(name).groups, stored(&cluster, name));
    }
    // To get rid of it: apply it again and delete it.
    cluster.group = lost;
    cluster.delete();
    assert_eq!(dismissed(&cluster), [false, true, true]);
}

#[test]
fn an_acknowledged_tombstone_of_a_group_that_is_nowhere_is_dropped_and_no_other() {
    let mut cluster = running();
    cluster.delete();
    cluster.write(&["b", "c"]);
    cluster.acknowledge("b");
    cluster.group = group(&json!({}));
    cluster.group.metadata.name = Some("other".into());
    cluster
        .nodes
        .iter_mut()
        .for_each(|node| node.node.as_mut().unwrap().labels.clear());
    assert_eq!(cluster.spec("b").groups, []);
    assert_eq!(cluster.spec("c").groups, stored(&cluster, "c"));
}

#[test]
fn a_generation_that_is_refused_changes_nothing_anywhere() {
    let mut cluster = running();
    cluster.accepted = false;
    cluster.edit(|group| group.spec.advertisement.mode = Mode::Multicast);
    cluster.deselect("b");
    let mut newcomer = super::fixtures::node("d");
    newcomer.agent = AgentLife::Never;
    cluster.nodes.push(newcomer);
    assert_eq!(cluster.write(&ALL), 0);
    assert_eq!(cluster.spec("d").groups, []);
}

#[test]
fn a_deselected_node_is_dismissed_at_once_and_heard_until_it_has_let_go() {
    let mut cluster = running();
    cluster.deselect("a");
    assert_eq!(dismissed(&cluster), [true, false, false]);
    cluster.write(&ALL);
    assert_eq!(cluster.peers("b"), ["a", "c"]);
    cluster.acknowledge("a");
    assert_eq!(cluster.peers("b"), ["c"]);
    assert_eq!(cluster.told("a"), None);
    assert!(cluster.may("b") && cluster.may("c"));
}

#[test]
fn a_deselected_node_is_heard_until_it_has_let_go_although_the_users_list_has_lost_it() {
    let listed = |names: &[&str]| -> Vec<crate::v1alpha1::Peer> {
        let peer = |name: &&str| json!({ "name": name, "addresses": [super::fixtures::address(name)] });
        serde_json::from_value(names.iter().map(peer).collect()).unwrap()
    };
    let mut group = group(&json!({}));
    group.spec.advertisement.peers = listed(&ALL);
    let mut cluster = Cluster::settled(group, &ALL);
    cluster.deselect("c");
    cluster.edit(|group| group.spec.advertisement.peers = listed(&["a", "b"]));
    assert_eq!(cluster.peers("a"), ["b", "c"]);
    cluster.write(&ALL);
    assert_eq!(cluster.peers("a"), ["b", "c"]);
    cluster.acknowledge("c");
    assert_eq!(cluster.peers("a"), ["b"]);
}

#[test]
fn a_tombstone_comes_first_for_one_that_is_selected_again() {
    let mut cluster = running();
    cluster.deselect("b");
    cluster.write(&ALL);
    cluster.select("b");
    assert!(cluster.told("b").unwrap().deleted);
    cluster.acknowledge("b");
    let told = cluster.told("b").unwrap();
    assert_eq!((told.deleted, told.may_become_active), (false, false));
    cluster.settle();
    assert!(cluster.may("b"));
}

#[test]
fn a_group_that_is_applied_again_waits_for_the_tombstone_of_the_former() {
    let mut cluster = running();
    cluster.delete();
    cluster.write(&ALL);
    cluster.group = group(&json!({}));
    cluster.group.metadata.uid = Some("another".into());
    assert_eq!(dismissed(&cluster), [false, true, true]);
    cluster.acknowledge("b");
    assert!(!cluster.may("b"), "c may serve the former");
}

#[test]
fn what_only_a_file_says_on_a_node_that_is_not_selected_is_left_to_it() {
    let mut cluster = running();
    cluster.deselect("b");
    cluster.node("b").object.as_mut().unwrap().spec.groups.clear();
    assert!(
        cluster.told("b").unwrap().deleted,
        "told once, and by nobody any more"
    );
    cluster.report("b").source = GroupSource::File;
    assert_eq!(cluster.told("b"), None);
}

#[test]
fn an_agent_that_has_not_said_what_it_runs_is_told_nothing_over_it() {
    let mut cluster = running();
    for name in ALL {
        // The CustomResourceDefinition was deleted, and the group is applied again.
        cluster.node(name).object = None;
        assert_eq!(cluster.told(name), None);
    }
    cluster.write(&["a"]);
    assert_eq!(cluster.told("a"), None, "an empty object is no answer");
    cluster.acknowledge("a");
    assert!(cluster.told("a").is_some());
}

#[test]
fn of_a_deleted_group_the_one_that_serves_goes_last() {
    let mut cluster = running();
    cluster.delete();
    assert_eq!(dismissed(&cluster), [false, true, true]);
    cluster.write(&ALL);
    cluster.acknowledge("b");
    assert!(!cluster.told("a").unwrap().deleted, "c would take over");
    cluster.acknowledge("c");
    assert!(cluster.told("a").unwrap().deleted);
}

#[test]
fn the_one_that_serves_waits_for_no_lost_node_on_its_way_out() {
    let mut cluster = running();
    cluster.delete();
    cluster.write(&ALL);
    cluster.acknowledge("b");
    cluster.lost("c");
    assert!(cluster.told("a").unwrap().deleted);
    assert!(
        cluster.told("c").unwrap().deleted,
        "it hears of it when it comes back"
    );
}

#[test]
fn a_tombstone_is_the_entry_that_was_stored_and_says_deleted() {
    let mut cluster = running();
    let before = stored(&cluster, "b").remove(0);
    cluster.delete();
    assert_eq!(
        cluster.told("b"),
        Some(NodeGroup {
            deleted: true,
            ..before
        })
    );
}

#[test]
fn a_node_that_runs_a_deleted_group_without_being_told_so_is_told_to_stop() {
    let mut cluster = running();
    cluster.delete();
    cluster.node("b").object.as_mut().unwrap().spec.groups.clear();
    assert!(cluster.told("b").unwrap().deleted);
}

#[test]
fn a_group_whose_deletion_is_refused_stays_as_it_is() {
    let mut cluster = running();
    cluster.delete();
    cluster.protected = true;
    assert_eq!(cluster.write(&ALL), 0);
}

#[test]
fn a_group_that_was_refused_is_deleted_all_the_same() {
    let mut cluster = running();
    cluster.accepted = false;
    cluster.delete();
    assert_eq!(dismissed(&cluster), [false, true, true]);
}

#[test]
fn a_spec_says_which_clusters_it_is_and_comes_in_the_order_of_names() {
    let mut cluster = running();
    let other = NodeGroup {
        name: "about".into(),
        ..stored(&cluster, "a").remove(0)
    };
    cluster.node("a").object.as_mut().unwrap().spec.groups.push(other);
    let spec = cluster.spec("a");
    assert_eq!(spec.cluster_uid.as_deref(), Some("uid"));
    assert_eq!(
        spec.groups.iter().map(|entry| &*entry.name).collect::<Vec<_>>(),
        ["about", "web"]
    );
}

#[test]
fn a_node_that_shares_in_nothing_is_told_nothing() {
    let mut cluster = Cluster::new(group(&json!({})), &["a"]);
    cluster.deselect("a");
    cluster.node("a").object = Some(StoredNode::default());
    assert_eq!(cluster.spec("a").groups, []);
}
