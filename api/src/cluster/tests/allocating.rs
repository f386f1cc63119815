//! Identifiers are the same in every release, and whoever had one gets it again.

use serde_json::json;

use super::fixtures::{Cluster, group};
use crate::cluster::{remembered_virtual_router_id, virtual_router_id};

const CLUSTER: &str = "3f0c4e0e-52f5-4a8e-9b3a-0d6f1f1e7c11";

#[test]
fn the_first_place_is_the_same_for_ever() {
    // Written down once: another number here is another virtual router for everybody who upgrades.
    let vectors = [
        (CLUSTER, "control-plane", 82),
        (CLUSTER, "web", 49),
        (CLUSTER, "ingress", 7),
        ("00000000-0000-0000-0000-000000000000", "web", 17),
        ("", "", 19),
    ];
    for (cluster, group, identifier) in vectors {
        assert_eq!(
            virtual_router_id(cluster, group, &|_| false),
            Some(identifier),
            "{cluster} {group}"
        );
    }
}

#[test]
fn the_next_free_one_is_taken_and_255_is_followed_by_1() {
    let first = virtual_router_id(CLUSTER, "web", &|_| false).unwrap();
    let mut taken = vec![first];
    for _ in 1..255 {
        let next = virtual_router_id(CLUSTER, "web", &|id| taken.contains(&id)).unwrap();
        let last = taken[taken.len() - 1];
        assert_eq!(next, if last == 255 { 1 } else { last + 1 });
        taken.push(next);
    }
    assert_eq!(virtual_router_id(CLUSTER, "web", &|id| taken.contains(&id)), None);
    assert!(!taken.contains(&0));
}

#[test]
fn names_and_clusters_are_spread() {
    let of = |cluster: &str, name: usize| {
        virtual_router_id(cluster, &format!("group-{name}"), &|_| false).unwrap()
    };
    let used: std::collections::BTreeSet<u8> = (0..1000).map(|name| of(CLUSTER, name)).collect();
    assert!(used.len() > 240, "{}", used.len());
    let same = (0..1000)
        .filter(|name| of(CLUSTER, *name) == of("another", *name))
        .count();
    assert!(same < 20, "{same}");
}

#[test]
fn a_group_that_nodes_still_run_gets_the_identifier_that_they_run_it_with() {
    let mut cluster = Cluster::settled(group(&json!({ "virtualRouterID": 77 })), &["a", "b"]);
    assert_eq!(remembered_virtual_router_id("web", cluster.members()), Some(77));
    assert_eq!(remembered_virtual_router_id("other", cluster.members()), None);
    cluster.deselect("a");
    cluster.write(&["a"]);
    assert_eq!(
        remembered_virtual_router_id("web", [&cluster.nodes[0]]),
        None,
        "a tombstone runs nothing"
    );
}
