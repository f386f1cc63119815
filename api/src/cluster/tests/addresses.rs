//! At which addresses the members of a unicast group hear each other.

use serde_json::json;

use super::fixtures::{Cluster, address, group};
use crate::cluster::KubeNode;
use crate::v1alpha1::{Mode, VirtualIPGroup};

fn unicast() -> VirtualIPGroup {
    group(&json!({}))
}

#[test]
fn a_peers_address_is_what_is_written_else_reported_else_told_before_else_the_nodes() {
    let mut cluster = Cluster::new(unicast(), &["a", "b"]);
    let address_of_b = |cluster: &Cluster| {
        let peers = cluster.told("a").unwrap().peers;
        peers
            .into_iter()
            .find(|peer| peer.name == "b")
            .map(|peer| peer.addresses)
    };
    cluster.write(&["a"]);
    cluster.acknowledge("a");
    assert_eq!(address_of_b(&cluster), Some(vec![address("b")]), "the Node's");

    for (wrong, why) in [
        ("192.168.7.7", "in no subnet of the group"),
        ("10.0.0.100", "virtual"),
        ("fd00::1", "IPv6"),
    ] {
        cluster.node("b").node.as_mut().unwrap().internal_ips = vec![wrong.parse().unwrap()];
        assert_eq!(address_of_b(&cluster), None, "{why}");
    }

    cluster.settle();
    cluster.node("b").node.as_mut().unwrap().internal_ips.clear();
    cluster.report("b").source_address = Some("10.0.0.42".into());
    assert_eq!(address_of_b(&cluster), Some(vec!["10.0.0.42".into()]), "reported");
    cluster.report("b").source_address = None;
    assert_eq!(
        address_of_b(&cluster),
        Some(vec![address("b")]),
        "what a was told before"
    );
    cluster.report("b").source_address = Some("10.0.0.100".into());
    assert_eq!(
        address_of_b(&cluster),
        Some(vec![address("b")]),
        "a virtual address is nobody's own"
    );

    let change = json!([{ "nodes": ["b"], "sourceAddress": "10.0.0.43" }]);
    cluster.group.spec.node_overrides = serde_json::from_value(change).unwrap();
    cluster.settle();
    assert_eq!(address_of_b(&cluster), Some(vec!["10.0.0.43".into()]), "written");
}

#[test]
fn the_owner_of_an_address_may_take_part_from_it() {
    let mut group = unicast();
    group.spec.node_overrides = serde_json::from_value(json!([{ "nodes": ["b"], "priority": 255 }])).unwrap();
    let mut cluster = Cluster::settled(group, &["a", "b"]);
    cluster.report("b").source_address = Some("10.0.0.100".into());
    assert_eq!(cluster.told("a").unwrap().peers[0].addresses, ["10.0.0.100"]);
}

#[test]
fn in_ipv6_no_nodes_address_is_taken_for_the_one_it_takes_part_from() {
    let group = group(
        &json!({ "addresses": [{ "address": "fe80::100/64" }, { "address": "fd00::100/64" }], "interface": "eth0" }),
    );
    let mut cluster = Cluster::new(group, &["a", "b"]);
    cluster.node("b").node.as_mut().unwrap().internal_ips = vec!["fd00::7".parse().unwrap()];
    cluster.write(&["a", "b"]);
    cluster.acknowledge("a");
    assert_eq!(cluster.peers("a"), [""; 0]);
    cluster.acknowledge("b");
    cluster.write(&["b"]);
    cluster.acknowledge("b");
    cluster.report("b").source_address = Some("fe80::7".into());
    assert_eq!(cluster.told("a").unwrap().peers[0].addresses, ["fe80::7"]);
}

#[test]
fn written_peers_are_used_as_written_and_foreign_routers_are_among_them() {
    let peers = json!([
        { "name": "router", "addresses": ["10.0.0.1"], "minTTL": 254 },
        { "name": "b", "addresses": ["10.0.0.12"] },
        { "name": "a", "addresses": ["10.0.0.11"] },
    ]);
    let cluster = Cluster::settled(
        group(&json!({ "advertisement": { "peers": peers } })),
        &["a", "b"],
    );
    let told = cluster.told("a").unwrap();
    assert_eq!(
        serde_json::to_value(&told.peers).unwrap(),
        json!([
            { "name": "router", "addresses": ["10.0.0.1"], "minTTL": 254 },
            { "name": "b", "addresses": ["10.0.0.12"], "minTTL": 255 },
        ])
    );
    assert_eq!(told.source_addresses, ["10.0.0.11"]);
    assert!(told.may_become_active);
}

#[test]
fn a_virtual_address_that_a_kubelet_took_for_its_own_is_no_members_address() {
    let mut cluster = Cluster::new(unicast(), &["a", "b"]);
    cluster.node("b").node.as_mut().unwrap().internal_ips =
        vec!["10.0.0.100".parse().unwrap(), "10.0.0.55".parse().unwrap()];
    cluster.write(&["a"]);
    cluster.acknowledge("a");
    assert_eq!(cluster.told("a").unwrap().peers[0].addresses, ["10.0.0.55"]);
}

#[test]
fn a_member_whose_address_nobody_knows_may_not_serve_in_a_unicast_group() {
    let mut cluster = Cluster::settled(unicast(), &["a", "b"]);
    for name in ["a", "b"] {
        cluster.node(name).object.as_mut().unwrap().spec.groups[0].may_become_active = false;
    }
    cluster.report("b").source_address = None;
    cluster.node("b").node = Some(KubeNode {
        internal_ips: Vec::new(),
        ..cluster.nodes[0].node.clone().unwrap()
    });
    assert!(cluster.may("a"));
    assert!(!cluster.may("b"));
    cluster.group.spec.advertisement.mode = Mode::Multicast;
    assert!(cluster.may("b"), "there nobody needs to know it");
}
