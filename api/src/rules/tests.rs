use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::render::{NodeFacts, node_group};

/// A group without a mistake, changed by `change`: a value replaces, a mapping is merged, null removes.
fn group(change: &Value) -> VirtualIPGroup {
    let mut group = json!({
        "apiVersion": "vip.holdfast.dev/v1alpha1",
        "kind": "VirtualIPGroup",
        "metadata": { "name": "web" },
        "spec": {
            "addresses": [{ "address": "10.0.0.100/24" }],
            "virtualRouterID": 51,
            "advertisement": { "mode": "Multicast" },
        },
    });
    merge(&mut group, change);
    serde_json::from_value(group).expect("a group of the right shape")
}

fn spec(change: &Value) -> Value {
    json!({ "spec": change })
}

fn unicast(peers: &Value) -> Value {
    spec(&json!({ "advertisement": { "mode": "Unicast", "peers": peers } }))
}

fn addresses(addresses: &[&str]) -> Value {
    spec(&json!({ "addresses": addresses.iter().map(|a| json!({ "address": a })).collect::<Vec<_>>() }))
}

fn merge(into: &mut Value, change: &Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) => {
            for (key, value) in change {
                if value.is_null() {
                    into.remove(key);
                } else {
                    merge(into.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (into, change) => *into = change.clone(),
    }
}

fn node(group: &VirtualIPGroup) -> Option<NodeGroup> {
    node_group(
        group,
        &NodeFacts {
            name: "alpha".into(),
            ..NodeFacts::default()
        },
    )
}

/// What the rules say about `group` in a file, on its own and on node alpha: rule and sentence with its path.
fn findings(group: &VirtualIPGroup) -> Vec<(&'static str, String)> {
    let mut found = check_group(group, true);
    if let Some(node) = node(group).filter(|_| found.is_empty()) {
        found.extend(
            check_node(&[&node], 0, true)
                .into_iter()
                .map(|(rule, finding, _)| (rule, finding)),
        );
    }
    found
        .iter()
        .map(|(rule, finding)| (rule.id, format!("{}: {}", finding.path, rule.sentence(finding))))
        .collect()
}

/// For each rule about one group: what breaks it, and the whole of what is said then.
fn broken() -> Vec<(&'static str, Value, &'static str)> {
    let two = json!([{ "name": "alpha", "addresses": ["10.0.0.1"] }, { "name": "beta", "addresses": ["10.0.0.2"] }]);
    let peers = |change: Value| {
        let mut peers = two.clone();
        peers.as_array_mut().expect("a list").push(change);
        unicast(&peers)
    };
    vec![
        (
            "name",
            json!({ "metadata": { "name": "Web_1" } }),
            "metadata.name: `Web_1` cannot name a group: write at most 63 lower-case letters, digits and `-`, a letter or digit first and last",
        ),
        (
            "address",
            addresses(&["10.0.0.100/24", "10.0.0.101"]),
            "spec.addresses[1].address: `10.0.0.101` is not an address with its prefix length: write it like 10.0.0.100/24 or fd00::100/64",
        ),
        (
            "address-unicast",
            addresses(&["10.0.0.100/24", "224.0.0.5/24"]),
            "spec.addresses[1].address: 224.0.0.5 is a multicast address, which cannot belong to a node: write a unicast address",
        ),
        (
            "address-loopback",
            addresses(&["127.0.0.2/8"]),
            "spec.addresses[0].address: 127.0.0.2 is a loopback address, which nobody else can reach: write an address of the subnet that clients use",
        ),
        (
            "address-unspecified",
            addresses(&["0.0.0.0/0"]),
            "spec.addresses[0].address: 0.0.0.0 means no address at all: write an address of the subnet that clients use",
        ),
        (
            "address-mapped",
            addresses(&["10.0.0.100/24", "::ffff:10.0.0.1/120"]),
            "spec.addresses[1].address: ::ffff:10.0.0.1 is an IPv4 address written as IPv6: write 10.0.0.1",
        ),
        (
            "address-network",
            addresses(&["10.0.0.128/25"]),
            "spec.addresses[0].address: 10.0.0.128 is the address of the network 10.0.0.128/25 itself: write an address inside it, or correct the prefix length",
        ),
        (
            "address-network",
            addresses(&["10.0.0.100/24", "fd00::/64"]),
            "spec.addresses[1].address: fd00:: is the address of the network fd00::/64 itself: write an address inside it, or correct the prefix length",
        ),
        (
            "address-broadcast",
            addresses(&["10.0.0.255/24"]),
            "spec.addresses[0].address: 10.0.0.255 is the broadcast address of 10.0.0.0/24: write an address inside it, or correct the prefix length",
        ),
        (
            "address-once",
            addresses(&["10.0.0.100/24", "10.0.0.101/24", "10.0.0.100/32"]),
            "spec.addresses[2].address: 10.0.0.100 is also spec.addresses[0].address: remove one of the two",
        ),
        (
            "label",
            spec(&json!({ "addresses": [{ "address": "10.0.0.100/24", "label": "eth0:größer-äöü" }] })),
            "spec.addresses[0].label: `eth0:größer-äöü` has 20 bytes, the kernel takes at most 15: shorten it",
        ),
        (
            "label-ipv4",
            spec(
                &json!({ "addresses": [{ "address": "10.0.0.100/24" }, { "address": "fd00::1/64", "label": "eth0:6" }] }),
            ),
            "spec.addresses[1].label: labels exist for IPv4 addresses only, and fd00::1 is IPv6: remove the label",
        ),
        (
            "interface",
            spec(&json!({ "interface": "eth 0" })),
            "spec.interface: `eth 0` cannot name an interface: write at most 15 bytes without spaces and slashes, as `ip link` shows it",
        ),
        (
            "interface",
            spec(&json!({ "nodeOverrides": [{ "nodes": ["beta"], "interface": ".." }] })),
            "spec.nodeOverrides[0].interface: `..` cannot name an interface: write at most 15 bytes without spaces and slashes, as `ip link` shows it",
        ),
        (
            "interface-link-local",
            addresses(&["fe80::1/64", "10.0.0.100/24"]),
            "spec.interface: this is missing: a link-local address is at home on every interface, so write the one it is meant for",
        ),
        (
            "vrid",
            spec(&json!({ "virtualRouterID": null })),
            "spec.virtualRouterID: this is missing: in a file, write a number from 1 to 255 that no other virtual router on the link uses",
        ),
        (
            "selector",
            spec(&json!({ "nodeSelector": { "matchExpressions": [{ "key": "role", "operator": "Is" }] } })),
            "spec.nodeSelector: this cannot be used: `Is` on `role` does not exist: write In, NotIn, Exists or DoesNotExist",
        ),
        (
            "selector",
            spec(&json!({ "nodeOverrides": [
                { "selector": { "matchExpressions": [{ "key": "role", "operator": "In" }] }, "priority": 1 } ] })),
            "spec.nodeOverrides[0].selector: this cannot be used: `In` on `role` needs `values`",
        ),
        (
            "override-nodes",
            spec(&json!({ "nodeOverrides": [{ "priority": 200 }] })),
            "spec.nodeOverrides[0]: this says neither: write exactly one of `nodes` and `selector`",
        ),
        (
            "override-nodes",
            spec(&json!({ "nodeOverrides": [{ "nodes": ["a"], "selector": {}, "priority": 200 }] })),
            "spec.nodeOverrides[0]: this says both: write exactly one of `nodes` and `selector`",
        ),
        (
            "override-changes",
            spec(&json!({ "nodeOverrides": [{ "nodes": ["alpha"] }] })),
            "spec.nodeOverrides[0]: this changes nothing on its nodes: write `priority`, `interface` or `sourceAddress`, or remove the entry",
        ),
        (
            "source-address",
            spec(&json!({ "nodeOverrides": [{ "nodes": ["alpha"], "sourceAddress": "fe80::1" }] })),
            "spec.nodeOverrides[0].sourceAddress: `fe80::1` is not an address that a node can send IPv4 advertisements from: write the node's own IPv4 address, without a prefix length",
        ),
        (
            "source-not-virtual",
            spec(&json!({ "nodeOverrides": [{ "nodes": ["alpha"], "sourceAddress": "10.0.0.100" }] })),
            "spec.nodeOverrides[0].sourceAddress: 10.0.0.100 is one of this group's virtual addresses: write an address that the node keeps",
        ),
        (
            "version-2-ipv4",
            spec(&json!({ "addresses": [{ "address": "fe80::1/64" }], "advertisement": { "version": 2 } })),
            "spec.advertisement.version: VRRPv2 speaks IPv4 only and this election is IPv6: write `version: 3`, or `family: IPv4` if there is an IPv4 address",
        ),
        (
            "interval-3",
            spec(&json!({ "advertisement": { "interval": "15ms" } })),
            "spec.advertisement.interval: VRRPv3 cannot say 15ms: write a multiple of 10ms from 10ms to 40950ms",
        ),
        (
            "interval-2",
            spec(&json!({ "advertisement": { "version": 2, "interval": "1s500ms" } })),
            "spec.advertisement.interval: VRRPv2 cannot say 1s500ms: write whole seconds from 1s to 255s, or `version: 3`",
        ),
        (
            "family-address",
            spec(&json!({ "advertisement": { "family": "IPv6" } })),
            "spec.advertisement.family: none of the addresses is IPv6: add one, or write the family of those there are",
        ),
        (
            "multicast-group",
            spec(&json!({ "advertisement": { "multicastGroup": "ff02::12" } })),
            "spec.advertisement.multicastGroup: `ff02::12` is not an IPv4 multicast address: remove the field for the usual one, or write one",
        ),
        (
            "multicast-group-mode",
            spec(
                &json!({ "advertisement": { "mode": "Unicast", "peers": two, "multicastGroup": "224.0.0.18" } }),
            ),
            "spec.advertisement.multicastGroup: with `mode: Unicast` nothing is sent to a multicast group: remove the field, or write `mode: Multicast`",
        ),
        (
            "peers-mode",
            spec(&json!({ "advertisement": { "peers": two } })),
            "spec.advertisement.peers: with `mode: Multicast` members find each other without peers: remove them, or write `mode: Unicast`",
        ),
        (
            "peers",
            unicast(&json!([])),
            "spec.advertisement.peers: these are missing: in a file, `mode: Unicast` needs the other members' names and addresses; or write `mode: Multicast`",
        ),
        (
            "peers-others",
            unicast(&json!([{ "name": "alpha", "addresses": ["10.0.0.1"] }])),
            "spec.advertisement.peers: only this node itself is listed: add the other members",
        ),
        (
            "peer-name-once",
            peers(json!({ "name": "beta", "addresses": ["10.0.0.3"] })),
            "spec.advertisement.peers[2].name: `beta` is listed twice: put the addresses into one entry",
        ),
        (
            "peer-address",
            peers(json!({ "name": "gamma", "addresses": ["10.0.0.3/24"] })),
            "spec.advertisement.peers[2].addresses[0]: `10.0.0.3/24` is not an address that a member can have: write the node's own address, without a prefix length",
        ),
        (
            "peer-family",
            peers(json!({ "name": "gamma", "addresses": ["fe80::3"] })),
            "spec.advertisement.peers[2].addresses: none of them is IPv4, in which this election is held: add the member's IPv4 address",
        ),
        (
            "peer-one-each",
            peers(json!({ "name": "gamma", "addresses": ["10.0.0.3", "10.0.0.4"] })),
            "spec.advertisement.peers[2].addresses: two of them are IPv4, and a member advertises from one: keep that one",
        ),
        (
            "peer-address-once",
            peers(json!({ "name": "gamma", "addresses": ["10.0.0.2"] })),
            "spec.advertisement.peers[2].addresses[0]: 10.0.0.2 is also an address of `beta`: each member has its own",
        ),
        (
            "peer-not-virtual",
            peers(json!({ "name": "gamma", "addresses": ["10.0.0.100"] })),
            "spec.advertisement.peers[2].addresses[0]: 10.0.0.100 is one of this group's virtual addresses: write an address that the node keeps",
        ),
        (
            "preemption-delay",
            spec(&json!({ "preemption": { "type": "Delayed" } })),
            "spec.preemption.delay: this is missing: `type: Delayed` needs to know for how long, for example `delay: 30s`",
        ),
        (
            "preemption-no-delay",
            spec(&json!({ "preemption": { "type": "Never", "delay": "30s" } })),
            "spec.preemption.delay: `type: Never` does not wait: remove the delay, or write `type: Delayed`",
        ),
        (
            "owner-preempts",
            spec(
                &json!({ "preemption": { "type": "Never" }, "nodeOverrides": [{ "nodes": ["x"], "priority": 255 }] }),
            ),
            "spec.preemption.type: the owner of the addresses (priority 255) always takes over at once: `Never` holds for the other members only",
        ),
        (
            "authentication-built",
            spec(&json!({ "authentication": { "type": "AH" } })),
            "spec.authentication.type: AH is not supported yet: use Password with `version: 2`, or None",
        ),
        (
            "password-version",
            spec(&json!({ "authentication": { "type": "Password", "file": "/p" } })),
            "spec.authentication.type: VRRPv3 has no passwords (RFC 9568 §9): write `type: None`, or `version: 2` under advertisement",
        ),
        (
            "password-source",
            spec(&json!({ "authentication": { "type": "Password" }, "advertisement": { "version": 2 } })),
            "spec.authentication: Password needs exactly one place to read it from: write `file` for a node on its own, `secretRef` in a cluster",
        ),
        (
            "password-file",
            spec(&json!({
                "authentication": { "type": "Password", "secretRef": { "name": "a", "key": "b" } },
                "advertisement": { "version": 2 },
            })),
            "spec.authentication.secretRef: a node on its own has no Secrets: write `file: /path/of/the/password` instead",
        ),
        (
            "password-path",
            spec(&json!({
                "authentication": { "type": "Password", "file": "password" }, "advertisement": { "version": 2 } })),
            "spec.authentication.file: `password` depends on where the agent was started: write the whole path, beginning with `/`",
        ),
        (
            "password-unused",
            spec(&json!({ "authentication": { "file": "/p" } })),
            "spec.authentication: `type: None` uses no password: write `type: Password`, or remove `file`",
        ),
        (
            "probes-built",
            spec(&json!({ "probes": [{ "name": "apiserver", "preset": "KubeAPIServer" }] })),
            "spec.probes: probes are not built yet: remove them, or this node would promise to watch a service that it does not watch",
        ),
        (
            "ipv6-link-local",
            addresses(&["fd00::1/64"]),
            "spec.addresses: an IPv6 election advertises a link-local address first (RFC 9568 §5.2.9), and routers drop what does not: add one of your choice, such as fe80::100/64",
        ),
    ]
}

/// For each rule about two groups: what the second one has that collides with the first, and what is said about it.
fn colliding() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        (
            "vrid-neighbor",
            spec(&json!({ "addresses": [{ "address": "10.0.0.101/24" }] })),
            "spec.virtualRouterID: 51 is also the virtual router of group `web` on the same interface and in the same family: write another number in one of them",
        ),
        (
            "address-neighbor",
            spec(&json!({ "virtualRouterID": 52 })),
            "spec.addresses[0].address: 10.0.0.100 is also an address of group `web`: remove it from one of them",
        ),
        (
            "peer-neighbor",
            spec(&json!({
                "addresses": [{ "address": "10.0.0.101/24" }],
                "virtualRouterID": 52,
                "advertisement": { "mode": "Unicast", "peers": [{ "name": "beta", "addresses": ["10.0.0.100"] }] },
            })),
            "spec.advertisement.peers: 10.0.0.100 is a virtual address of group `web`: write an address that the node keeps",
        ),
    ]
}

#[test]
fn a_group_that_breaks_no_rule_is_left_in_peace() {
    assert_eq!(findings(&group(&json!({}))), []);
    let peers = json!([{ "name": "alpha", "addresses": ["10.0.0.1"] }, { "name": "beta", "addresses": ["10.0.0.2"] }]);
    assert_eq!(findings(&group(&unicast(&peers))), []);
}

#[test]
fn each_rule_says_its_sentence_and_no_other_rule_repeats_it() {
    for (id, change, sentence) in broken() {
        assert_eq!(findings(&group(&change)), [(id, sentence.to_owned())], "{change}");
    }
}

#[test]
fn each_rule_about_two_groups_names_the_other_one_and_speaks_once() {
    let first = group(&json!({}));
    for (id, change, sentence) in colliding() {
        let mut second = group(&change);
        second.metadata.name = Some("other".into());
        let nodes = [node(&first).unwrap(), node(&second).unwrap()];
        let nodes: Vec<&NodeGroup> = nodes.iter().collect();
        let said: Vec<_> = check_node(&nodes, 1, true)
            .iter()
            .map(|(rule, finding, other)| {
                (
                    rule.id,
                    format!("{}: {}", finding.path, rule.sentence(finding)),
                    *other,
                )
            })
            .collect();
        assert_eq!(said, [(id, sentence.to_owned(), Some(0))]);
        assert!(check_node(&nodes, 0, true).is_empty());
    }
}

#[test]
fn a_peer_that_is_an_address_of_a_later_group_is_found_too() {
    let first = node(&group(&unicast(
        &json!([{ "name": "beta", "addresses": ["10.0.0.101"] }]),
    )))
    .unwrap();
    let mut second = node(&group(&addresses(&["10.0.0.101/24"]))).unwrap();
    second.name = "other".into();
    second.virtual_router_id = 52;
    let said = check_node(&[&first, &second], 0, true);
    assert_eq!(
        said.iter()
            .map(|(rule, _, other)| (rule.id, *other))
            .collect::<Vec<_>>(),
        [("peer-neighbor", Some(1))]
    );
}

#[test]
fn every_rule_of_the_table_has_its_own_name_and_a_case_here() {
    let ids: Vec<&str> = TABLE.iter().map(|rule| rule.id).collect();
    let unique: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(unique.len(), ids.len());
    let cases = broken().into_iter().chain(colliding()).map(|(id, _, _)| id);
    let tested: BTreeSet<&str> = cases.collect();
    assert_eq!(tested, unique);
}

#[test]
fn what_only_a_file_needs_is_not_asked_of_the_api() {
    for change in [
        spec(&json!({ "virtualRouterID": null })),
        unicast(&json!([])),
        spec(&json!({
            "authentication": { "type": "Password", "secretRef": { "name": "a", "key": "b" } },
            "advertisement": { "version": 2 },
        })),
    ] {
        assert!(check_group(&group(&change), false).is_empty(), "{change}");
    }
}

#[test]
fn point_to_point_and_host_prefixes_have_no_network_and_no_broadcast_address() {
    for address in ["10.0.0.0/31", "10.0.0.1/31", "10.0.0.0/32", "10.0.0.255/32"] {
        assert_eq!(findings(&group(&addresses(&[address]))), [], "{address}");
    }
    assert_eq!(
        findings(&group(&addresses(&[
            "10.0.0.100/24",
            "fd00::/127",
            "fd00::4/128"
        ]))),
        []
    );
}

#[test]
fn addresses_of_the_other_family_ride_along_in_version_2() {
    let change = spec(&json!({
        "addresses": [{ "address": "fd00::1/64" }, { "address": "10.0.0.100/24" }],
        "advertisement": { "version": 2, "family": "IPv4" },
    }));
    assert_eq!(findings(&group(&change)), []);
}
