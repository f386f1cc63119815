use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::render::{NodeFacts, node_group};

/// A group without a mistake, changed by `change`: a value replaces, a mapping is merged, null removes.
fn group(change: &Value) -> VirtualIPGroup {
    let (mut group, _) = table();
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

/// The group without a mistake, and the cases, of `tests/invalid.yaml`.
fn table() -> (Value, Vec<Value>) {
    let documents = crate::yaml::read(include_str!("../../tests/invalid.yaml")).expect("YAML");
    let [group, cases] = documents.try_into().expect("a group and its cases");
    (group.value, cases.value.as_array().expect("a list").clone())
}

/// For each rule about one group: what breaks it, and the whole of what is said then.
fn broken() -> Vec<(String, Value, String)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let (_, cases) = table();
    cases
        .iter()
        .filter(|case| !case["rule"].is_null())
        .map(|case| {
            let said = format!("{}: {}", text(&case["field"]), text(&case["says"]));
            (text(&case["rule"]), case["change"].clone(), said)
        })
        .collect()
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
        (
            "sync-group-equal",
            spec(&json!({
                "addresses": [{ "address": "10.0.0.101/24" }],
                "virtualRouterID": 52,
                "syncGroup": "edge",
                "priority": 150,
            })),
            "spec.priority: this is not the same as in group `web`, and the two move together as sync group `edge`: write the same in both",
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
        assert_eq!(findings(&group(&change)), [(&*id, sentence)], "{change}");
    }
}

#[test]
fn each_rule_about_two_groups_names_the_other_one_and_speaks_once() {
    let first = group(&spec(&json!({ "syncGroup": "edge" })));
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
    let alone = broken();
    let mut tested: BTreeSet<&str> = alone.iter().map(|(id, _, _)| &**id).collect();
    tested.extend(colliding().into_iter().map(|(id, _, _)| id));
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

#[test]
fn a_probe_of_the_groups_own_address_is_found_however_it_is_written() {
    let both = json!([{ "address": "10.0.0.100/24" }, { "address": "fd00::64/64" }]);
    for host in ["10.0.0.100", "[fd00::64]", "FD00:0:0::64", "::ffff:10.0.0.100"] {
        for handler in ["httpGet", "tcpSocket", "grpc"] {
            let probe = json!({ "name": "web", handler: { "host": host, "port": 80 } });
            let change = spec(&json!({ "addresses": both, "probes": [probe] }));
            let found = findings(&group(&change));
            let rules: Vec<&str> = found.iter().map(|(rule, _)| *rule).collect();
            assert_eq!(rules, ["probe-virtual"], "{host} {handler}");
        }
    }
    let own = json!({ "name": "web", "httpGet": { "host": "10.0.0.10", "port": 80 } });
    assert_eq!(findings(&group(&spec(&json!({ "probes": [own] })))), []);
}

#[test]
fn what_a_preset_stands_for_breaks_no_rule() {
    let options = |preset: &str| match preset {
        "HAProxy" => json!({ "port": 8080 }),
        "MySQL" => json!({ "credentials": { "user": "holdfast", "passwordFile": "/etc/holdfast/mysql" } }),
        _ => json!({}),
    };
    for preset in [
        "KubeAPIServer",
        "HAProxy",
        "Nginx",
        "MySQL",
        "Redis",
        "PostgreSQL",
    ] {
        let probe = json!({ "name": "web", "preset": preset, "presetOptions": options(preset) });
        let mut group = group(&spec(&json!({ "probes": [probe] })));
        assert_eq!(findings(&group), [], "{preset}");
        group.spec.probes = crate::presets::expand(&group.spec.probes[0]);
        assert_eq!(findings(&group), [], "{preset} as ordinary probes");
    }
}

#[test]
fn groups_of_one_sync_group_are_told_each_field_in_which_they_differ() {
    let first = group(&spec(&json!({ "syncGroup": "edge", "interface": "eth0" })));
    let change = json!({
        "addresses": [{ "address": "10.0.0.101/24" }],
        "virtualRouterID": 52,
        "syncGroup": "edge",
        "interface": "eth1",
        "preemption": { "type": "Never" },
        "placement": { "preferredNode": "alpha" },
        "advertisement": { "interval": "2s" },
    });
    let mut second = group(&spec(&change));
    second.metadata.name = Some("other".into());
    let differing = |second: &VirtualIPGroup| {
        let nodes = [node(&first).unwrap(), node(second).unwrap()];
        let found = check_node(&[&nodes[0], &nodes[1]], 1, true);
        found
            .into_iter()
            .map(|(_, finding, _)| finding.path)
            .collect::<Vec<_>>()
    };
    let fields = [
        "spec.interface",
        "spec.preemption",
        "spec.placement",
        "spec.advertisement.interval",
    ];
    assert_eq!(differing(&second), fields);
    second.spec.sync_group = Some("another".into());
    assert_eq!(differing(&second), [""; 0]);
}
