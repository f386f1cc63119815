//! Nodes that are being worked on, and nodes that are preferred for a while: what they are told, and when.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::changing::{identifiers, renumber};
use super::fixtures::{Cluster, at, group, node};
use crate::cluster::{KubeNode, Taint, duty, wish_ends_in};
use crate::v1alpha1::{Maintenance, MemberState, NodeDuty, NodeDutyType};

const ALL: [&str; 3] = ["a", "b", "c"];

fn maintained(policy: &Value) -> Cluster {
    Cluster::settled(group(&json!({ "maintenance": policy })), &ALL)
}

fn preferring(node: &str, until: Option<Timestamp>) -> Value {
    let until = until.map(|until| until.to_string());
    json!({ "placement": { "preferredNode": node, "until": until } })
}

fn work_on<'a>(cluster: &'a mut Cluster, name: &str) -> &'a mut KubeNode {
    cluster.node(name).node.as_mut().unwrap()
}

fn asked(cluster: &Cluster, name: &str) -> (NodeDutyType, String) {
    let duty = cluster.told(name).unwrap().duty;
    (duty.type_, duty.reason.unwrap_or_default())
}

fn out_of_service(value: &str, effect: &str) -> Taint {
    Taint {
        key: "node.kubernetes.io/out-of-service".to_owned(),
        value: value.to_owned(),
        effect: effect.to_owned(),
    }
}

type Change<'a> = &'a dyn Fn(&mut KubeNode);

#[test]
fn what_a_node_is_asked_follows_from_its_object_and_the_groups_policy() {
    use NodeDutyType::{Demote, Release, Serve};
    let cordon = |node: &mut KubeNode| node.cordoned = true;
    let annotate = |node: &mut KubeNode| node.in_maintenance = true;
    let taint = |node: &mut KubeNode| node.taints = [out_of_service("", "NoExecute")].into();
    let both = |node: &mut KubeNode| {
        cordon(node);
        taint(node);
    };
    let all = |node: &mut KubeNode| {
        both(node);
        annotate(node);
    };
    let key = "node.kubernetes.io/out-of-service";
    let on_taint = |action: &str| json!({ "onTaint": [{ "key": key, "action": action }] });
    let with_cordon =
        |action: &str| json!({ "onCordon": "Demote", "onTaint": [{ "key": key, "action": action }] });
    let cases: [(Change<'_>, Value, NodeDutyType, &str); 12] = [
        (&|_| {}, json!({ "onCordon": "Release" }), Serve, ""),
        (&cordon, json!({}), Serve, ""),
        (&cordon, json!({ "onCordon": "Ignore" }), Serve, ""),
        (
            &cordon,
            json!({ "onCordon": "Demote" }),
            Demote,
            "cordoned: kubectl uncordon b ends it",
        ),
        (
            &cordon,
            json!({ "onCordon": "Release" }),
            Release,
            "cordoned: kubectl uncordon b ends it",
        ),
        (&taint, json!({}), Serve, ""),
        (
            &taint,
            on_taint("Demote"),
            Demote,
            "taint node.kubernetes.io/out-of-service:NoExecute",
        ),
        (
            &taint,
            on_taint("Release"),
            Release,
            "taint node.kubernetes.io/out-of-service:NoExecute",
        ),
        (
            &annotate,
            json!({}),
            Release,
            "annotation vip.holdfast.dev/maintenance=true",
        ),
        (
            &both,
            with_cordon("Release"),
            Release,
            "taint node.kubernetes.io/out-of-service:NoExecute",
        ),
        (
            &both,
            with_cordon("Demote"),
            Demote,
            "cordoned: kubectl uncordon b ends it; taint node.kubernetes.io/out-of-service:NoExecute",
        ),
        (
            &all,
            with_cordon("Demote"),
            Release,
            "annotation vip.holdfast.dev/maintenance=true",
        ),
    ];
    for (change, policy, type_, reason) in cases {
        let mut cluster = maintained(&policy);
        change(work_on(&mut cluster, "b"));
        assert_eq!(asked(&cluster, "b"), (type_, reason.to_owned()), "{policy}");
        for other in ["a", "c"] {
            assert_eq!(asked(&cluster, other), (Serve, String::new()), "{policy}");
        }
        assert_eq!(cluster.write(&ALL), usize::from(type_ != Serve), "{policy}");
    }
}

#[test]
fn a_taint_is_meant_by_its_key_and_by_value_and_effect_where_they_are_written() {
    let policy =
        |policy: Value| -> Maintenance { serde_json::from_value(json!({ "onTaint": policy })).unwrap() };
    let key = "node.kubernetes.io/out-of-service";
    let node = KubeNode {
        taints: [out_of_service("nodeshutdown", "NoExecute")].into(),
        ..KubeNode::default()
    };
    for (written, type_) in [
        (
            json!([{ "key": "other", "action": "Release" }]),
            NodeDutyType::Serve,
        ),
        (
            json!([{ "key": key, "value": "x", "action": "Release" }]),
            NodeDutyType::Serve,
        ),
        (
            json!([{ "key": key, "effect": "NoSchedule", "action": "Release" }]),
            NodeDutyType::Serve,
        ),
        (
            json!([{ "key": key, "value": "nodeshutdown", "effect": "NoExecute", "action": "Demote" }]),
            NodeDutyType::Demote,
        ),
        (
            json!([{ "key": key, "action": "Release" }, { "key": key, "action": "Demote" }]),
            NodeDutyType::Release,
        ),
    ] {
        assert_eq!(
            duty(&policy(written.clone()), "n", &node).type_,
            type_,
            "{written}"
        );
    }
    let told = duty(&policy(json!([{ "key": key, "action": "Demote" }])), "n", &node);
    assert_eq!(
        told.reason.as_deref(),
        Some("taint node.kubernetes.io/out-of-service=nodeshutdown:NoExecute")
    );
}

#[test]
fn a_reason_fits_into_an_entry() {
    let key = "k".repeat(300);
    let node = KubeNode {
        taints: [Taint {
            key: key.clone(),
            ..Taint::default()
        }]
        .into(),
        ..KubeNode::default()
    };
    let maintenance =
        serde_json::from_value(json!({ "onTaint": [{ "key": key, "action": "Demote" }] })).unwrap();
    assert_eq!(
        duty(&maintenance, "n", &node).reason.unwrap().chars().count(),
        256
    );
}

#[test]
fn work_on_a_node_and_a_wish_reach_also_those_that_keep_a_former_version() {
    for locked in [false, true] {
        let mut cluster = maintained(&json!({ "onCordon": "Demote" }));
        cluster.becomes("a", MemberState::Active, 1);
        if !locked {
            cluster.lost("c");
        }
        cluster.edit(renumber);
        cluster.edit(|group| {
            group.spec.priority = 7;
            group.spec.placement = serde_json::from_value(json!({ "preferredNode": "b" })).unwrap();
        });
        work_on(&mut cluster, "b").cordoned = true;
        let told = cluster.told("b").unwrap();
        assert_eq!(
            (identifiers(&cluster), told.priority),
            ([51; 3], 100),
            "they hold"
        );
        assert_eq!(told.duty.type_, NodeDutyType::Demote);
        assert!(told.preferred.is_some());
        assert_eq!(told.may_become_active, !locked);
    }
}

#[test]
fn a_node_whose_object_is_gone_stays_in_the_duty_that_it_was_told() {
    let mut cluster = maintained(&json!({ "onCordon": "Release" }));
    work_on(&mut cluster, "b").cordoned = true;
    cluster.settle();
    cluster.node("b").node = None;
    assert_eq!(cluster.write(&ALL), 0);
    assert_eq!(asked(&cluster, "b").0, NodeDutyType::Release);
    cluster.edit(|group| group.spec.priority = 7);
    assert_eq!(
        asked(&cluster, "b").0,
        NodeDutyType::Release,
        "an edit says nothing of the work"
    );
    cluster.nodes[1].node = node("b").node;
    assert_eq!(
        asked(&cluster, "b").0,
        NodeDutyType::Serve,
        "it is back, and not cordoned"
    );
}

#[test]
fn while_an_edit_is_refused_nothing_but_the_work_on_nodes_goes_on() {
    let mut cluster = maintained(&json!({}));
    cluster.edit(|group| group.spec.priority = 7);
    cluster.accepted = false;
    assert_eq!(cluster.write(&ALL), 0);
    work_on(&mut cluster, "b").in_maintenance = true;
    assert_eq!(cluster.write(&ALL), 1);
    assert_eq!(asked(&cluster, "b").0, NodeDutyType::Release);
    assert_eq!(cluster.told("b").unwrap().priority, 100);
    work_on(&mut cluster, "b").in_maintenance = false;
    assert_eq!(asked(&cluster, "b").0, NodeDutyType::Serve);
}

#[test]
fn a_tombstone_is_one_whatever_is_asked_of_the_node() {
    let mut cluster = maintained(&json!({ "onCordon": "Release" }));
    work_on(&mut cluster, "b").cordoned = true;
    cluster.settle();
    cluster.deselect("b");
    assert!(cluster.told("b").unwrap().deleted);
    work_on(&mut cluster, "b").cordoned = false;
    assert!(cluster.told("b").unwrap().deleted);
}

#[test]
fn a_preferred_node_alone_is_told_so_until_the_time_has_passed() {
    let mut cluster = Cluster::settled(group(&preferring("b", Some(at(60)))), &ALL);
    let preferred = |cluster: &Cluster| ALL.map(|name| cluster.told(name).unwrap().preferred.is_some());
    assert_eq!(preferred(&cluster), [false, true, false]);
    let ends = |cluster: &Cluster, name: &str| {
        wish_ends_in(cluster.now, &cluster.spec(name)).map(|wait| wait.as_secs())
    };
    assert_eq!((ends(&cluster, "a"), ends(&cluster, "b")), (None, Some(60)));
    cluster.now = at(59);
    assert_eq!((ends(&cluster, "b"), cluster.write(&ALL)), (Some(1), 0));
    cluster.now = at(60);
    assert_eq!((preferred(&cluster), ends(&cluster, "b")), ([false; 3], None));
    assert_eq!(cluster.write(&ALL), 1, "nobody else is told anything");

    let precise = at(60) + jiff::SignedDuration::from_millis(700);
    let precise = Cluster::settled(group(&preferring("b", Some(precise))), &ALL);
    let told = precise.told("b").unwrap().preferred.unwrap();
    assert_eq!(told.until.unwrap().0, at(60), "as the API keeps it");

    let lasting = Cluster::settled(group(&preferring("b", None)), &ALL);
    assert_eq!(
        (preferred(&lasting), ends(&lasting, "b")),
        ([false, true, false], None)
    );
}

#[test]
fn what_is_asked_of_a_node_makes_nobody_deaf_to_it() {
    let mut cluster = maintained(&json!({ "onCordon": "Release" }));
    cluster.becomes("a", MemberState::Active, 1);
    work_on(&mut cluster, "a").cordoned = true;
    assert_eq!(ALL.map(|name| cluster.may(name)), [true; 3]);
    cluster.write(&ALL);
    assert_eq!(
        ALL.map(|name| cluster.may(name)),
        [true; 3],
        "also before it has answered"
    );
    assert_eq!(cluster.waits(), []);
    assert_eq!(cluster.told("b").unwrap().duty, NodeDuty::default());
}
