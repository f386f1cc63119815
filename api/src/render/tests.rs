use serde_json::{Value, json};

use super::*;

fn group(spec: &Value) -> VirtualIPGroup {
    let mut group = json!({
        "apiVersion": "vip.holdfast.dev/v1alpha1",
        "kind": "VirtualIPGroup",
        "metadata": { "name": "web" },
        "spec": { "addresses": [{ "address": "10.0.0.100/24" }], "virtualRouterID": 51 },
    });
    for (key, value) in spec.as_object().unwrap() {
        group["spec"][key] = value.clone();
    }
    serde_json::from_value(group).unwrap()
}

fn facts(name: &str, labels: &[(&str, &str)]) -> NodeFacts {
    NodeFacts {
        name: name.to_owned(),
        labels: labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
    }
}

fn on(name: &str, spec: &Value) -> NodeGroup {
    node_group(&group(spec), &facts(name, &[])).unwrap()
}

fn model(group: &NodeGroup) -> Result<crate::model::NodeGroup, ModelError> {
    model_group(group, &|_| Err("no secrets".to_owned()))
}

#[test]
fn a_selector_needs_all_its_labels_and_expressions() {
    let selector = json!({ "nodeSelector": {
        "matchLabels": { "role": "edge" },
        "matchExpressions": [
            { "key": "zone", "operator": "In", "values": ["a", "b"] },
            { "key": "retired", "operator": "DoesNotExist" },
        ],
    } });
    let selected = |labels: &[(&str, &str)]| selects(&group(&selector), &facts("n", labels));
    assert!(selected(&[("role", "edge"), ("zone", "b")]));
    assert!(!selected(&[("role", "edge")]));
    assert!(!selected(&[("role", "edge"), ("zone", "c")]));
    assert!(!selected(&[("role", "edge"), ("zone", "a"), ("retired", "")]));
    assert!(
        selects(&group(&json!({})), &facts("n", &[])),
        "no selector selects all"
    );
    assert!(
        selects(&group(&json!({ "nodeSelector": {} })), &facts("n", &[])),
        "an empty one too"
    );
}

#[test]
fn a_selector_that_cannot_be_read_selects_nobody() {
    let selector = json!({ "nodeSelector": { "matchExpressions": [{ "key": "a", "operator": "Is" }] } });
    assert!(!selects(&group(&selector), &facts("n", &[("a", "b")])));
}

#[test]
fn the_first_override_that_matches_is_the_only_one_that_counts() {
    let spec = json!({
        "priority": 50,
        "interface": "eth0",
        "nodeOverrides": [
            { "nodes": ["alpha", "beta"], "priority": 200 },
            { "nodes": ["beta"], "interface": "eth9" },
            { "selector": { "matchLabels": { "fast": "" } }, "priority": 150, "interface": "eth1" },
        ],
    });
    let seen = |group: &NodeGroup| (group.priority, group.interface.clone().unwrap());
    assert_eq!(seen(&on("alpha", &spec)), (200, "eth0".to_owned()));
    assert_eq!(seen(&on("beta", &spec)), (200, "eth0".to_owned()));
    assert_eq!(seen(&on("gamma", &spec)), (50, "eth0".to_owned()));
    let labeled = node_group(&group(&spec), &facts("gamma", &[("fast", "")])).unwrap();
    assert_eq!(seen(&labeled), (150, "eth1".to_owned()));
}

#[test]
fn a_node_is_never_its_own_peer() {
    let spec = json!({
        "nodeOverrides": [{ "nodes": ["known-as-gamma"], "sourceAddress": "10.0.0.3" }],
        "advertisement": { "peers": [
            { "name": "alpha", "addresses": ["10.0.0.1", "fd00::1"] },
            { "name": "beta", "addresses": ["10.0.0.2"], "minTTL": 254 },
            { "name": "gamma", "addresses": ["10.0.0.3"] },
        ] },
    });
    let names = |group: &NodeGroup| {
        group
            .peers
            .iter()
            .map(|peer| peer.name.clone())
            .collect::<Vec<_>>()
    };

    let alpha = on("alpha", &spec);
    assert_eq!(names(&alpha), ["beta", "gamma"]);
    assert_eq!(alpha.source_addresses, ["10.0.0.1", "fd00::1"]);
    assert_eq!(
        model(&alpha).unwrap().source_address,
        Some("10.0.0.1".parse().unwrap())
    );

    let other_name = on("known-as-gamma", &spec);
    assert_eq!(names(&other_name), ["alpha", "beta"]);
    assert_eq!(other_name.source_addresses, ["10.0.0.3"]);

    let stranger = on("delta", &spec);
    assert_eq!(names(&stranger), ["alpha", "beta", "gamma"]);
    assert_eq!(model(&stranger).unwrap().source_address, None);
}

#[test]
fn an_overridden_source_address_replaces_the_one_of_its_own_family_among_the_peers() {
    let spec = json!({
        "nodeOverrides": [{ "nodes": ["alpha"], "sourceAddress": "10.0.0.9" }],
        "advertisement": { "peers": [
            { "name": "alpha", "addresses": ["10.0.0.1", "fd00::1"] },
            { "name": "beta", "addresses": ["10.0.0.2"] },
        ] },
    });
    let alpha = on("alpha", &spec);
    assert_eq!(alpha.source_addresses, ["10.0.0.9", "fd00::1"]);
    assert_eq!(
        model(&alpha).unwrap().source_address,
        Some("10.0.0.9".parse().unwrap())
    );
}

#[test]
fn the_multicast_group_is_the_familys_unless_written() {
    let rendered = |address: &str, group: Option<&str>| {
        let spec = json!({
            "addresses": [{ "address": address }],
            "advertisement": { "mode": "Multicast", "multicastGroup": group },
        });
        on("alpha", &spec).advertisement.multicast_group.unwrap()
    };
    assert_eq!(rendered("10.0.0.1/24", None), "224.0.0.18");
    assert_eq!(rendered("fe80::1/64", None), "ff02::12");
    assert_eq!(rendered("10.0.0.1/24", Some("239.1.1.1")), "239.1.1.1");
    assert_eq!(
        on("alpha", &json!({})).advertisement.multicast_group,
        None,
        "unicast has none"
    );
}

#[test]
fn groups_come_in_the_order_of_their_names_whatever_order_they_were_written_in() {
    let mut first = group(&json!({}));
    first.metadata.name = Some("a".into());
    let second = group(&json!({}));
    let names = |groups: [&VirtualIPGroup; 2]| {
        node_spec(groups, &facts("n", &[]))
            .groups
            .into_iter()
            .map(|group| group.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(names([&second, &first]), ["a", "web"]);
    assert_eq!(names([&first, &second]), ["a", "web"]);
}

#[test]
fn a_group_the_operator_has_not_numbered_yet_is_not_rendered() {
    let mut group = group(&json!({}));
    group.spec.virtual_router_id = None;
    assert_eq!(node_spec([&group], &facts("n", &[])).groups, []);
}

type Spoil = fn(&mut NodeGroup);

#[test]
fn a_spec_from_elsewhere_is_refused_at_the_value_that_is_wrong() {
    let good = on("alpha", &json!({ "advertisement": { "mode": "Multicast" } }));
    assert!(model(&good).is_ok());
    let wrong: [(&str, Spoil); 10] = [
        ("spec.virtualRouterID", |group| group.virtual_router_id = 256),
        ("spec.priority", |group| group.priority = 0),
        ("spec.addresses", |group| {
            group.addresses[0].address = "10.0.0.100".into();
        }),
        ("spec.addresses", |group| group.addresses.clear()),
        ("spec.advertisement", |group| group.advertisement.version = 4),
        ("spec.advertisement", |group| {
            group.advertisement.multicast_group = None;
        }),
        ("spec.advertisement", |group| {
            group.advertisement.interval = "5ms".parse().unwrap();
        }),
        ("spec.preemption", |group| {
            group.preemption.type_ = crate::v1alpha1::PreemptionType::Delayed;
        }),
        ("spec.announcement", |group| group.announcement.count = 0),
        ("spec.authentication", |group| {
            group.authentication.type_ = crate::v1alpha1::AuthenticationType::HMAC;
        }),
    ];
    for (field, spoil) in wrong {
        let mut group = good.clone();
        spoil(&mut group);
        assert_eq!(model(&group).unwrap_err().field, field);
    }
}

#[test]
fn one_group_that_cannot_be_run_is_named_and_the_whole_spec_is_refused() {
    let good = on("alpha", &json!({ "advertisement": { "mode": "Multicast" } }));
    let bad = NodeGroup {
        name: "bad".into(),
        priority: 0,
        ..good.clone()
    };
    let spec = VirtualIPNodeSpec {
        groups: vec![good, bad],
        ..VirtualIPNodeSpec::default()
    };
    let errors = model_node(&spec, &|_| Err("no secrets".to_owned())).unwrap_err();
    assert_eq!(
        errors.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["group bad: spec.priority: 0 is not a number from 1 to 255"]
    );
}
