//! Who is accepted beside whom, and with which words who is not.

use core::net::IpAddr;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::fixtures::{at, group, node};
use crate::cluster::{NodeRecord, Reporter, Rival, StoredNode, Verdict, judge, outranks};
use crate::reason::Reason;
use crate::render::{NodeFacts, node_group};
use crate::v1alpha1::{VirtualIPGroup, VirtualIPNodeSpec};

/// A group that has nothing in common with `web` but its nodes.
fn other(spec: &Value) -> VirtualIPGroup {
    let mut other = group(&json!({ "addresses": [{ "address": "10.0.0.200/24" }], "virtualRouterID": 52 }));
    let own = group(spec);
    for key in spec.as_object().unwrap().keys() {
        match key.as_str() {
            "addresses" => other.spec.addresses.clone_from(&own.spec.addresses),
            "virtualRouterID" => other.spec.virtual_router_id = own.spec.virtual_router_id,
            "interface" => other.spec.interface.clone_from(&own.spec.interface),
            _ => unreachable!("{key}"),
        }
    }
    other.metadata.name = Some("other".into());
    other
}

fn nodes(names: &[&str]) -> Vec<NodeRecord> {
    names.iter().map(|name| node(name)).collect()
}

fn beside(group: &VirtualIPGroup, rivals: &[(&VirtualIPGroup, &[NodeRecord])]) -> Verdict {
    let own = nodes(&["a", "b"]);
    let theirs: Vec<Vec<&NodeRecord>> = rivals
        .iter()
        .map(|(_, members)| members.iter().collect())
        .collect();
    let rivals: Vec<Rival<'_>> = rivals
        .iter()
        .zip(&theirs)
        .map(|((group, _), members)| Rival { group, members })
        .collect();
    judge(group, &own.iter().collect::<Vec<_>>(), &rivals, &|_| Vec::new())
}

fn alone(spec: &Value, names: &[&str]) -> Verdict {
    let members = nodes(names);
    judge(&group(spec), &members.iter().collect::<Vec<_>>(), &[], &|_| {
        Vec::new()
    })
}

fn refused(verdict: &Verdict) -> (Reason, &str) {
    assert!(!verdict.accepted, "{verdict:?}");
    (verdict.reason, &verdict.message)
}

fn accepted_at(group: &mut VirtualIPGroup, generation: i64, status: &str) {
    group.status = serde_json::from_value(json!({ "conditions": [{
        "type": "Accepted", "status": status, "observedGeneration": generation, "reason": "Accepted",
        "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
    }] }))
    .unwrap();
}

#[test]
fn a_group_that_is_alone_and_valid_is_accepted() {
    let verdict = alone(&json!({}), &["a", "b"]);
    assert_eq!(
        verdict,
        Verdict {
            accepted: true,
            reason: Reason::Accepted,
            message: "the group is valid and selects 2 nodes".into(),
            warnings: Vec::new(),
            amiss: Vec::new(),
        }
    );
    assert_eq!(
        alone(&json!({}), &["a"]).message,
        "the group is valid and selects 1 node"
    );
}

#[test]
fn what_breaks_a_rule_is_refused_with_the_rules_sentence() {
    let verdict = alone(
        &json!({ "addresses": [{ "address": "10.0.0.100" }], "preemption": { "type": "Delayed" } }),
        &["a"],
    );
    assert_eq!(
        refused(&verdict),
        (
            Reason::Invalid,
            "spec.addresses[0].address: `10.0.0.100` is not an address with its prefix length: write it like 10.0.0.100/24 \
             or fd00::100/64; spec.preemption.delay: this is missing: `type: Delayed` needs to know for how long, for \
             example `delay: 30s`"
        )
    );
}

#[test]
fn what_an_older_schema_let_through_is_refused() {
    let verdict = alone(&json!({ "priority": 300 }), &["a"]);
    let (reason, message) = refused(&verdict);
    assert_eq!(reason, Reason::Invalid);
    assert!(message.starts_with("spec.priority: 300 "), "{message}");
}

#[test]
fn what_is_wrong_on_one_of_the_nodes_is_refused() {
    let spec = json!({ "addresses": [{ "address": "fe80::1/64" }], "nodeOverrides": [{ "nodes": ["a"], "interface": "eth0" }] });
    assert!(alone(&spec, &["a"]).accepted);
    let (reason, _) = refused(&alone(&spec, &["a", "b"])).to_owned();
    assert_eq!(reason, Reason::Invalid);
}

#[test]
fn only_so_many_mistakes_are_named_at_once() {
    let addresses: Vec<Value> = (0..9)
        .map(|index| json!({ "address": format!("wrong-{index}") }))
        .collect();
    let verdict = alone(&json!({ "addresses": addresses }), &["a"]);
    let (_, message) = refused(&verdict);
    assert!(
        message.contains("wrong-4") && !message.contains("wrong-5"),
        "{message}"
    );
    assert!(message.ends_with("; and 4 more"), "{message}");
}

#[test]
fn an_address_belongs_to_one_group_whatever_nodes_it_is_on() {
    let theirs = other(&json!({ "addresses": [{ "address": "10.0.0.100/16" }] }));
    for members in [nodes(&["a"]), nodes(&["x"]), nodes(&[])] {
        let verdict = beside(&group(&json!({})), &[(&theirs, &members)]);
        assert_eq!(
            refused(&verdict),
            (
                Reason::AddressConflict,
                "spec.addresses[0].address: 10.0.0.100 is also an address of group `other`: remove it from one of them"
            )
        );
    }
}

#[test]
fn an_identifier_belongs_to_one_group_on_a_node_and_interface_in_a_family() {
    let cases = [
        (json!({ "virtualRouterID": 51 }), vec!["b", "x"], false),
        (json!({ "virtualRouterID": 52 }), vec!["b", "x"], true),
        (json!({ "virtualRouterID": 51 }), vec!["x"], true),
        (
            json!({ "virtualRouterID": 51, "interface": "eth9" }),
            vec!["b"],
            true,
        ),
        (
            json!({ "virtualRouterID": 51, "addresses": [{ "address": "fe80::1/64" }], "interface": "eth0" }),
            vec!["b"],
            true,
        ),
    ];
    for (spec, members, accepted) in cases {
        let verdict = beside(&group(&json!({})), &[(&other(&spec), &nodes(&members))]);
        assert_eq!(verdict.accepted, accepted, "{spec} on {members:?}: {verdict:?}");
        if !accepted {
            assert_eq!(
                refused(&verdict),
                (
                    Reason::VirtualRouterIDConflict,
                    "spec.virtualRouterID: 51 is also the virtual router of group `other` on the same interface and in the \
                     same family: write another number in one of them (node b)"
                )
            );
        }
    }
}

#[test]
fn a_listed_peer_that_is_another_groups_address_is_refused() {
    let peers = json!([
        { "name": "a", "addresses": ["10.0.0.11"] },
        { "name": "b", "addresses": ["10.0.0.200"] },
    ]);
    let ours = group(&json!({ "advertisement": { "peers": peers } }));
    let verdict = beside(&ours, &[(&other(&json!({})), &nodes(&["a"]))]);
    let (reason, message) = refused(&verdict);
    assert_eq!(reason, Reason::Invalid);
    assert!(
        message.contains("10.0.0.200 is a virtual address of group `other`"),
        "{message}"
    );
}

#[test]
fn a_group_for_which_no_identifier_was_free_is_refused() {
    let verdict = alone(&json!({ "virtualRouterID": null }), &["a"]);
    assert_eq!(refused(&verdict).0, Reason::NoFreeVirtualRouterID);
}

/// Node `b` says that 10.0.0.100 is its own, and has this address beside it.
fn b_reports_it(own: Option<&str>) -> impl Fn(IpAddr) -> Vec<Reporter> {
    let own: Option<IpAddr> = own.map(|own| own.parse().unwrap());
    move |address| {
        let reporter = Reporter {
            node: "b".to_owned(),
            sole: own.is_none(),
            own,
        };
        let is_it = address.to_string() == "10.0.0.100";
        is_it.then_some(reporter).into_iter().collect()
    }
}

#[test]
fn the_only_address_of_a_node_is_refused_unless_that_node_owns_it() {
    let sole = b_reports_it(None);
    let members = nodes(&["a", "b"]);
    let members: Vec<&NodeRecord> = members.iter().collect();
    let mut ours = group(&json!({}));
    let verdict = judge(&ours, &members, &[], &sole);
    let (reason, message) = refused(&verdict);
    assert_eq!(reason, Reason::AddressOfNode);
    assert!(
        message.starts_with("spec.addresses[0].address: 10.0.0.100 is the only address that Node b tells"),
        "{message}"
    );
    assert_eq!(verdict.amiss, [], "what is refused is not run");

    let owner = group(&json!({ "nodeOverrides": [{ "nodes": ["b"], "priority": 255 }] }));
    let verdict = judge(&owner, &members, &[], &sole);
    assert!(verdict.accepted && verdict.amiss.is_empty(), "{verdict:?}");
    let wrong_owner = group(&json!({ "nodeOverrides": [{ "nodes": ["a"], "priority": 255 }] }));
    assert!(!judge(&wrong_owner, &members, &[], &sole).accepted);

    accepted_at(&mut ours, 1, "True");
    let verdict = judge(&ours, &members, &[], &sole);
    assert!(
        verdict.accepted,
        "its kubelet took the virtual address for its own"
    );
    let [amiss] = &verdict.amiss[..] else {
        panic!("{verdict:?}")
    };
    assert_eq!(amiss.reason, Reason::NodeReportsVIP);
    assert_eq!(
        amiss.message,
        "Node b reports 10.0.0.100 as its own address, which is a virtual address of this group: start the kubelet on b with \
         --node-ip=ADDRESS, the node's own address (KUBELET_EXTRA_ARGS, or kubeadm's nodeRegistration.kubeletExtraArgs), and \
         restart it"
    );
    assert_eq!(verdict.warnings, []);
}

#[test]
fn an_edit_of_a_group_that_runs_is_not_refused_for_what_a_kubelet_took_for_its_own() {
    let sole = b_reports_it(None);
    let mut members = nodes(&["a", "b"]);
    let mut ours = group(&json!({}));
    let facts = NodeFacts {
        name: "a".into(),
        labels: [("edge".to_owned(), String::new())].into(),
    };
    let spec = VirtualIPNodeSpec {
        groups: vec![node_group(&ours, &facts).unwrap()],
        ..VirtualIPNodeSpec::default()
    };
    members[0].object = Some(StoredNode {
        spec,
        ..StoredNode::default()
    });
    accepted_at(&mut ours, 1, "True");
    ours.metadata.generation = Some(2);
    let judged = |group: &VirtualIPGroup| judge(group, &members.iter().collect::<Vec<_>>(), &[], &sole);
    let verdict = judged(&ours);
    assert!(verdict.accepted, "{}", verdict.message);
    assert_eq!(verdict.amiss[0].reason, Reason::NodeReportsVIP);

    let address = |address: &str| serde_json::from_value(json!({ "address": address })).unwrap();
    ours.spec.addresses = vec![address("10.0.0.101/24")];
    assert!(judged(&ours).accepted);
    members[0].object.as_mut().unwrap().spec.groups[0].addresses = ours.spec.addresses.clone();
    ours.spec.addresses.push(address("10.0.0.100/24"));
    let verdict = judge(&ours, &members.iter().collect::<Vec<_>>(), &[], &sole);
    let (reason, message) = refused(&verdict);
    assert_eq!(reason, Reason::AddressOfNode, "this one is new to the group");
    assert!(message.ends_with("start the kubelet with --node-ip"), "{message}");
}

#[test]
fn a_node_that_reports_a_virtual_address_beside_its_own_is_told_of_with_its_own() {
    let members = nodes(&["a", "b"]);
    let members: Vec<&NodeRecord> = members.iter().collect();
    let ours = group(&json!({}));
    let verdict = judge(&ours, &members, &[], &b_reports_it(Some("10.0.0.12")));
    assert!(verdict.accepted, "{verdict:?}");
    assert_eq!(verdict.amiss[0].reason, Reason::NodeReportsVIP);
    let message = &verdict.amiss[0].message;
    assert!(message.contains("--node-ip=10.0.0.12 ("), "{message}");
    assert_eq!(judge(&ours, &members, &[], &|_| Vec::new()).amiss, []);
}

#[test]
fn between_1_and_32_nodes_are_selected() {
    let names: Vec<String> = (0..33).map(|index| format!("n{index}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let verdict = alone(&json!({}), &[]);
    assert_eq!(refused(&verdict).0, Reason::NoNodeMatches);
    assert!(alone(&json!({}), &names[..32]).accepted);
    let verdict = alone(&json!({}), &names);
    let (reason, message) = refused(&verdict);
    assert_eq!(reason, Reason::TooManyNodes);
    assert!(
        message.contains("33 nodes") && message.contains("at most 32"),
        "{message}"
    );
}

#[test]
fn members_that_are_leaving_and_nodes_that_are_gone_are_not_counted_as_selected() {
    let mut members = nodes(&["a", "b"]);
    members[0].node.as_mut().unwrap().labels.clear();
    members[1].node = None;
    let verdict = judge(
        &group(&json!({})),
        &members.iter().collect::<Vec<_>>(),
        &[],
        &|_| Vec::new(),
    );
    assert_eq!(refused(&verdict).0, Reason::NoNodeMatches);
}

#[test]
fn where_peers_are_listed_every_selected_node_is_at_the_address_it_uses() {
    let listed = |peers: Value, change: Value| {
        alone(
            &json!({ "advertisement": { "peers": peers }, "nodeOverrides": change }),
            &["a", "b"],
        )
    };
    let a = json!({ "name": "a", "addresses": ["10.0.0.11"] });
    let b = json!({ "name": "b", "addresses": ["10.0.0.12"] });
    let foreign = json!({ "name": "router", "addresses": ["10.0.0.1"] });
    assert!(listed(json!([a, b, foreign]), json!([])).accepted);

    let verdict = listed(json!([a, foreign]), json!([]));
    assert_eq!(
        refused(&verdict),
        (
            Reason::PeersMissing,
            "spec.advertisement.peers: node b is selected and not listed, so that the others would not hear it: add it \
             with its address, or remove all peers to have them found"
        )
    );

    let verdict = listed(
        json!([a, b]),
        json!([{ "nodes": ["b"], "sourceAddress": "10.0.0.77" }]),
    );
    assert_eq!(
        refused(&verdict),
        (
            Reason::PeersMissing,
            "spec.advertisement.peers: node b is listed with 10.0.0.12 and has sourceAddress 10.0.0.77 in nodeOverrides: \
             write the same address in both"
        )
    );
    assert!(
        listed(
            json!([a, b]),
            json!([{ "nodes": ["b"], "sourceAddress": "10.0.0.12" }])
        )
        .accepted
    );
}

#[test]
fn the_first_of_several_reasons_is_told() {
    let theirs = other(&json!({ "addresses": [{ "address": "10.0.0.100/24" }], "virtualRouterID": 51 }));
    let rivals: &[(&VirtualIPGroup, &[NodeRecord])] = &[(&theirs, &nodes(&["a"]))];
    let mut ours = group(&json!({ "priority": 300 }));
    assert_eq!(beside(&ours, rivals).reason, Reason::Invalid);
    ours.spec.priority = 100;
    assert_eq!(beside(&ours, rivals).reason, Reason::AddressConflict);
}

#[test]
fn a_rule_that_only_warns_keeps_nothing_from_running() {
    let verdict = alone(
        &json!({ "priority": 255, "preemption": { "type": "Never" } }),
        &["a"],
    );
    assert!(verdict.accepted);
    assert_eq!(verdict.warnings.len(), 1);
    assert_eq!(verdict.warnings[0].reason, Reason::Unusual);
}

#[test]
fn weights_that_cannot_put_one_member_behind_another_are_warned_about() {
    let with = |weights: &[i32], best: i32| {
        let probes: Vec<Value> = weights
            .iter()
            .enumerate()
            .map(|(index, weight)| json!({ "name": format!("p{index}"), "preset": "KubeAPIServer", "onFailure": { "type": "Weight", "weight": weight } }))
            .collect();
        let spec = json!({ "probes": probes, "nodeOverrides": [{ "nodes": ["a"], "priority": best }] });
        alone(&spec, &["a", "b"]).warnings
    };
    assert_eq!(with(&[-51], 150), []);
    assert_eq!(with(&[51], 150), [], "a positive weight is lost by failing");
    assert_eq!(with(&[-30, -30], 150), [], "together they can");
    assert_eq!(with(&[-1], 100), [], "equals");
    assert_eq!(with(&[], 150), []);
    for weights in [&[-50][..], &[-20, 30], &[0]] {
        let warnings = with(weights, 150);
        assert_eq!(warnings.len(), 1, "{weights:?}");
        assert_eq!(warnings[0].reason, Reason::WeightWithoutEffect);
    }
    assert_eq!(
        with(&[-20], 150)[0].message,
        "spec.probes: `p0` can lower a priority by 20, and the closest two members are 50 apart, so that nobody hands \
         over for it: write a weight beyond 50, or `onFailure: {type: Hold}`"
    );
}

#[test]
fn of_two_that_exclude_each_other_the_accepted_the_running_the_older_and_the_first_by_name_comes_first() {
    let make = |name: &str, created: Option<i64>| {
        let mut group = group(&json!({}));
        group.metadata.name = Some(name.into());
        group.metadata.creation_timestamp = created.map(|seconds| Time(at(seconds)));
        group
    };
    let first = |a: &VirtualIPGroup, b: &VirtualIPGroup| {
        assert_ne!(outranks(a, b), outranks(b, a), "exactly one comes first");
        outranks(a, b)
    };
    assert!(first(&make("z", Some(1)), &make("a", Some(2))), "older");
    assert!(first(&make("a", Some(1)), &make("b", Some(1))), "by name");
    assert!(first(&make("z", Some(1)), &make("a", None)), "one that exists");

    let mut young = make("z", Some(2));
    accepted_at(&mut young, 1, "True");
    assert!(first(&young, &make("a", Some(1))), "accepted already");
    accepted_at(&mut young, 1, "False");
    assert!(!first(&young, &make("a", Some(1))), "refused");
    accepted_at(&mut young, 1, "True");
    young.metadata.generation = Some(2);
    assert!(first(&young, &make("a", Some(1))), "it runs, and was edited");
    let mut old = make("a", Some(1));
    accepted_at(&mut old, 1, "True");
    old.metadata.generation = Some(1);
    assert!(
        first(&old, &young),
        "an edit takes nothing from a group that is fine"
    );
    assert!(!outranks(&young, &young));
}

fn weighed(probes: &Value, best: i32) -> Vec<Reason> {
    let spec = json!({ "probes": probes, "nodeOverrides": [{ "nodes": ["a"], "priority": best }] });
    let warnings = alone(&spec, &["a", "b"]).warnings;
    let reasons = warnings.into_iter().map(|warning| warning.reason);
    // The table of rules has warnings of its own about weights.
    reasons.filter(|reason| *reason != Reason::Unusual).collect()
}

#[test]
fn a_weight_counts_with_what_becomes_of_it_in_the_sum() {
    let weight = |name: &str, weight: i32| json!({ "name": name, "process": { "name": "x" }, "onFailure": { "type": "Weight", "weight": weight } });
    let hold = |name: &str| json!({ "name": name, "process": { "name": "x" } });
    let quorum = |weight: i32| json!({ "name": "q", "quorum": { "probes": ["p", "r"], "atLeast": 1 }, "onFailure": { "type": "Weight", "weight": weight } });
    let file = json!({ "name": "f", "file": { "path": "/run/priority", "value": "Priority" } });
    let nothing = vec![Reason::WeightWithoutEffect];
    assert_eq!(weighed(&json!([weight("p", 90)]), 200), nothing);
    assert_eq!(weighed(&json!([weight("p", 101)]), 200), []);
    // Both are at 254 while the probe passes, and only the lower one can fall below that.
    assert_eq!(weighed(&json!([weight("p", 253)]), 254), []);
    // An owner stands above everybody else until something is taken away.
    assert_eq!(weighed(&json!([weight("p", -100)]), 255), nothing);
    assert_eq!(weighed(&json!([weight("p", -156)]), 255), []);
    // With a positive weight it is no owner any more, and while the probe fails it is one again.
    let owner = json!({
        "probes": [weight("p", 5)],
        "nodeOverrides": [{ "nodes": ["a"], "priority": 255 }, { "nodes": ["b"], "priority": 254 }],
    });
    let mut warnings = alone(&owner, &["a", "b"]).warnings.into_iter();
    assert!(warnings.any(|warning| warning.reason == Reason::WeightWithoutEffect));
    assert_eq!(weighed(&json!([hold("p"), hold("r"), quorum(-50)]), 200), nothing);
    assert_eq!(weighed(&json!([hold("p"), hold("r"), quorum(-101)]), 200), []);
    assert_eq!(
        weighed(&json!([weight("p", -200), hold("r"), quorum(-50)]), 200)
            .into_iter()
            .filter(|reason| *reason == Reason::WeightWithoutEffect)
            .count(),
        1,
        "one that a quorum names does not count by itself"
    );
    assert_eq!(
        weighed(&json!([weight("p", -1), file]), 200),
        [],
        "what the file says nobody knows"
    );
}

#[test]
fn a_preferred_node_has_to_be_a_member_when_that_is_written() {
    let wish = json!({ "placement": { "preferredNode": "x" } });
    let verdict = alone(&wish, &["b", "a"]);
    assert_eq!(
        refused(&verdict),
        (
            Reason::PlacementNotAMember,
            "spec.placement.preferredNode: no member of the group is called `x`: write one of a, b, or remove `placement`"
        )
    );
    assert!(alone(&wish, &["a", "x"]).accepted);
    // It was one once.
    let mut group = group(&wish);
    accepted_at(&mut group, 1, "True");
    let members = nodes(&["a", "b"]);
    let members: Vec<&NodeRecord> = members.iter().collect();
    let later = judge(&group, &members, &[], &|_| Vec::new());
    assert!(later.accepted);
    assert_eq!(later.warnings[0].reason, Reason::PlacementNotAMember);
    group.metadata.generation = Some(2);
    assert!(
        !judge(&group, &members, &[], &|_| Vec::new()).accepted,
        "an edit has to be right"
    );
}

#[test]
fn a_wish_that_another_member_outdoes_is_warned_about() {
    let warnings = |own: i32, other: i32| -> Vec<String> {
        let spec = json!({
            "placement": { "preferredNode": "a" },
            "nodeOverrides": [{ "nodes": ["a"], "priority": own }, { "nodes": ["b"], "priority": other }],
        });
        let warnings = alone(&spec, &["a", "b"]).warnings;
        let of_wish = warnings
            .into_iter()
            .filter(|it| it.reason == Reason::PlacementWithoutEffect);
        of_wish.map(|warning| warning.message).collect()
    };
    assert_eq!((warnings(100, 253).len(), warnings(255, 254).len()), (0, 0));
    assert_eq!(warnings(100, 254).len(), 1);
    assert_eq!(
        warnings(100, 255),
        [
            "spec.placement.preferredNode: a stands in the election with 254 as long as nothing is wrong with it, and b has \
             priority 255: give b one below 254, or it may keep the addresses"
        ]
    );
}

fn moving(name: &str, address: &str, spec: &Value) -> VirtualIPGroup {
    let mut spec = spec.clone();
    spec["syncGroup"] = json!("edge");
    spec["addresses"] = json!([{ "address": address }]);
    let mut group = group(&spec);
    group.metadata.name = Some(name.into());
    group
}

#[test]
fn groups_that_move_together_agree_on_everything_that_decides_where_they_go() {
    let first = moving("first", "10.0.0.200/24", &json!({ "virtualRouterID": 52 }));
    let members = nodes(&["a", "b"]);
    let verdict = |spec: &Value| beside(&moving("second", "10.0.0.201/24", spec), &[(&first, &members)]);
    assert!(verdict(&json!({})).accepted);
    assert!(verdict(&json!({ "startupDelay": "3s", "maintenance": { "onCordon": "Demote" } })).accepted);
    for (field, spec) in [
        ("spec.nodeSelector", json!({ "nodeSelector": {} })),
        (
            "spec.nodeOverrides",
            json!({ "nodeOverrides": [{ "nodes": ["a"], "priority": 7 }] }),
        ),
        ("spec.interface", json!({ "interface": "eth1" })),
        ("spec.priority", json!({ "priority": 7 })),
        ("spec.preemption", json!({ "preemption": { "type": "Never" } })),
        ("spec.placement", json!({ "placement": { "preferredNode": "a" } })),
        (
            "spec.advertisement.interval",
            json!({ "advertisement": { "interval": "2s" } }),
        ),
        (
            "spec.advertisement.version",
            json!({ "advertisement": { "version": 2 } }),
        ),
    ] {
        let verdict = verdict(&spec);
        let (reason, message) = refused(&verdict);
        assert_eq!(reason, Reason::SyncGroupMismatch, "{spec}");
        assert!(message.starts_with(&format!("{field}: ")), "{message}");
    }
    assert_eq!(
        refused(&verdict(
            &json!({ "priority": 7, "preemption": { "type": "Never" } })
        ))
        .1,
        "spec.priority: this is 7, and 100 in group `first`, which is in sync group `edge` too: write the same in both, or \
         take one of them out of the sync group"
    );
    let on = json!({ "interface": "eth0", "virtualRouterID": 52 });
    let four = moving("first", "10.0.0.200/24", &on);
    let six = beside(&moving("second", "fe80::1/64", &on), &[(&four, &members)]);
    let (_, message) = refused(&six);
    assert!(
        message.starts_with("spec.advertisement.family: this is IPv6, and IPv4 in "),
        "{message}"
    );
}

#[test]
fn a_group_of_another_sync_group_or_one_that_goes_need_not_agree() {
    let members = nodes(&["a", "b"]);
    let mut other = moving(
        "first",
        "10.0.0.200/24",
        &json!({ "virtualRouterID": 52, "priority": 7 }),
    );
    let own = moving("second", "10.0.0.201/24", &json!({}));
    assert!(!beside(&own, &[(&other, &members)]).accepted);
    other.metadata.deletion_timestamp = Some(Time(at(0)));
    assert!(beside(&own, &[(&other, &members)]).accepted);
    other.metadata.deletion_timestamp = None;
    other.spec.sync_group = Some("elsewhere".into());
    assert!(beside(&own, &[(&other, &members)]).accepted);
    other.spec.sync_group = None;
    assert!(beside(&own, &[(&other, &members)]).accepted);
}
