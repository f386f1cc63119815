//! What is written for a node, request by request.

use holdfast_api::cluster::Taint;
use serde_json::json;

use super::*;
use crate::error::Category;
use crate::leader::Leadership;
use crate::queue::Turn;
use crate::testing::{Cluster, Fault, GROUPS, NODES};

#[tokio::test]
async fn a_node_is_told_for_the_first_time_by_creating_its_object() {
    let cluster = Cluster::new();
    cluster.group("web", |_| {});
    reconcile(&cluster.context, "n-1").await.unwrap();
    let written = cluster.api.asked(true);
    let [asked] = written.as_slice() else {
        panic!("{written:#?}")
    };
    assert_eq!(
        asked.line,
        format!("POST {NODES}?&fieldManager=holdfast-operator")
    );
    assert_eq!(asked.body["metadata"], json!({"name": "n-1"}));
    assert_eq!(asked.body["spec"]["clusterUID"], "uid-of-the-cluster");
    assert_eq!(asked.body["spec"]["groups"][0]["name"], "web");
    assert_eq!(asked.body["spec"]["groups"][0]["peers"][0]["name"], "n-2");
}

#[tokio::test]
async fn an_update_names_its_version_and_what_is_gone() {
    let cluster = Cluster::new();
    cluster.group("web", |_| {});
    cluster.settle().await;
    let before = cluster.api.get(&format!("{NODES}/n-1")).unwrap();
    cluster.group("web", |group| {
        group["metadata"]["generation"] = json!(2);
        group["spec"]["priority"] = json!(7);
    });
    reconcile(&cluster.context, "n-1").await.unwrap();
    let written = cluster.api.asked(true);
    let [asked] = written.as_slice() else {
        panic!("{written:#?}")
    };
    assert_eq!(
        asked.line,
        format!("PATCH {NODES}/n-1?&fieldManager=holdfast-operator")
    );
    assert_eq!(asked.content_type, "application/merge-patch+json");
    assert_eq!(
        asked.body["metadata"],
        json!({"resourceVersion": before["metadata"]["resourceVersion"]})
    );
    assert_eq!(asked.body["spec"]["groups"][0]["priority"], 7);
    let spec = asked.body["spec"].as_object().unwrap();
    assert!(
        spec.contains_key("requiredFeatures") && spec["requiredFeatures"].is_null(),
        "what is left out is said to be absent"
    );
}

#[tokio::test]
async fn what_has_not_changed_is_not_written_and_a_node_without_a_group_gets_no_object() {
    let cluster = Cluster::new();
    reconcile(&cluster.context, "n-1").await.unwrap();
    assert_eq!(cluster.api.asked(true), []);
    cluster.group("web", |_| {});
    cluster.settle().await;
    reconcile(&cluster.context, "n-1").await.unwrap();
    reconcile(&cluster.context, "n-nobody-knows").await.unwrap();
    assert_eq!(cluster.api.asked(true), []);
}

#[tokio::test]
async fn a_replica_that_does_not_lead_writes_nothing() {
    let cluster = Cluster::with(Leadership::default(), None);
    cluster.group("web", |_| {});
    let error = reconcile(&cluster.context, "n-1").await.unwrap_err();
    assert_eq!(error.category(), Category::NotLeading);
    let error = crate::group::reconcile(&cluster.context, "web")
        .await
        .unwrap_err();
    assert_eq!(error.category(), Category::NotLeading);
    assert_eq!(cluster.api.asked(true), []);
}

#[tokio::test]
async fn what_somebody_else_has_written_meanwhile_is_not_overwritten() {
    let cluster = Cluster::new();
    cluster.group("web", |_| {});
    cluster.settle().await;
    let path = format!("{NODES}/n-1");
    // The watch has not brought this yet.
    let theirs = cluster.api.put(&path, cluster.api.get(&path).unwrap());
    cluster.group("web", |group| {
        group["metadata"]["generation"] = json!(2);
        group["spec"]["priority"] = json!(7);
    });
    let error = reconcile(&cluster.context, "n-1").await.unwrap_err();
    assert_eq!(error.category(), Category::Conflict);
    assert_eq!(cluster.api.get(&path), Some(theirs.clone()));
    cluster.watched_node(&theirs);
    reconcile(&cluster.context, "n-1").await.unwrap();
    assert_eq!(cluster.told("n-1", "web").unwrap()["priority"], 7);
}

#[tokio::test(start_paused = true)]
async fn members_of_a_group_are_told_one_after_the_other() {
    let cluster = Cluster::new();
    cluster.group("web", |_| {});
    cluster.api.fail_next(Fault::Hang);
    let first = reconcile(&cluster.context, "n-1");
    let second = async {
        tokio::task::yield_now().await;
        let error = reconcile(&cluster.context, "n-2").await.unwrap_err();
        assert_eq!(error.turn(), Turn::Later, "{error}");
    };
    let (first, ()) = tokio::join!(first, second);
    assert_eq!(first.unwrap_err().category(), Category::Unreachable);
    assert_eq!(cluster.api.asked(true).len(), 1, "only the one that hangs");
}

#[tokio::test]
async fn after_a_lost_answer_nobody_is_told_anything_before_it_is_known_what_was_written() {
    let cluster = Cluster::new();
    cluster.group("web", |_| {});
    cluster.api.fail_next(Fault::LoseAnswer);
    reconcile(&cluster.context, "n-1").await.unwrap_err();
    assert!(
        cluster.told("n-1", "web").is_some(),
        "it was written all the same"
    );
    cluster.api.asked(true);

    let error = reconcile(&cluster.context, "n-2").await.unwrap_err();
    assert_eq!(error.turn(), Turn::Later, "{error}");
    assert_eq!(cluster.api.asked(true), []);

    reconcile(&cluster.context, "n-1").await.unwrap();
    let lines: Vec<String> = cluster.api.asked(true).into_iter().map(|it| it.line).collect();
    assert_eq!(
        lines,
        [format!("GET {NODES}/n-1")],
        "reading is enough: it stands there"
    );
    assert_eq!(reconcile(&cluster.context, "n-2").await.unwrap(), None);
}

#[tokio::test]
async fn a_cordoned_node_alone_is_told_so_and_nobody_where_nothing_follows_from_that() {
    for policy in [json!({}), json!({"onCordon": "Demote"})] {
        let cluster = Cluster::new();
        cluster.group("web", |group| group["spec"]["maintenance"] = policy.clone());
        cluster.settle().await;
        cluster.work_on("n-2", "10.0.0.12", |node| node.cordoned = true);
        let written = cluster.settle().await;
        if policy == json!({}) {
            assert_eq!(written, []);
            continue;
        }
        let lines: Vec<&str> = written.iter().map(|it| it.line.as_str()).collect();
        assert_eq!(
            lines,
            [
                format!("PATCH {NODES}/n-2?&fieldManager=holdfast-operator"),
                format!("PATCH {GROUPS}/web/status?&force=true&fieldManager=holdfast-operator")
            ]
        );
        let duty = &cluster.told("n-2", "web").unwrap()["duty"];
        assert_eq!(
            *duty,
            json!({"type": "Demote", "reason": "cordoned: kubectl uncordon n-2 ends it"})
        );
        cluster.node("n-2", "10.0.0.12");
        cluster.settle().await;
        assert_eq!(
            cluster.told("n-2", "web").unwrap()["duty"],
            json!({"type": "Serve"})
        );
    }
}

#[tokio::test]
async fn the_annotation_and_a_taint_that_is_named_release_a_node() {
    let cluster = Cluster::new();
    cluster.group("web", |group| {
        group["spec"]["maintenance"] = json!({"onTaint": [{"key": "work", "action": "Release"}]});
    });
    cluster.settle().await;
    let duty = |node: &str| cluster.told(node, "web").unwrap()["duty"]["type"].clone();
    cluster.work_on("n-1", "10.0.0.11", |node| node.in_maintenance = true);
    let taint = |key: &str| Taint {
        key: key.to_owned(),
        value: String::new(),
        effect: "NoExecute".to_owned(),
    };
    cluster.work_on("n-2", "10.0.0.12", |node| node.taints = [taint("work")].into());
    cluster.work_on("n-3", "10.0.0.13", |node| node.taints = [taint("other")].into());
    cluster.settle().await;
    assert_eq!(
        [duty("n-1"), duty("n-2"), duty("n-3")],
        ["Release", "Release", "Serve"]
    );
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_wish_is_told_when_its_time_has_come_and_not_before() {
    let cluster = Cluster::new();
    let until = cluster.context.world.now() + jiff::SignedDuration::from_secs(90);
    cluster.group("web", |group| {
        group["spec"]["placement"] = json!({"preferredNode": "n-2", "until": until.to_string()});
    });
    cluster.settle().await;
    let wish = || cluster.told("n-2", "web").unwrap().get("preferred").cloned();
    assert!(wish().is_some() && cluster.told("n-1", "web").unwrap().get("preferred").is_none());
    let again = reconcile(&cluster.context, "n-2").await.unwrap().unwrap();
    assert!(again.as_secs() <= 90 && again.as_secs() >= 89, "{again:?}");
    assert_eq!(
        reconcile(&cluster.context, "n-1").await.unwrap(),
        None,
        "nothing is periodic"
    );
    tokio::time::sleep(again / 2).await;
    assert_eq!(cluster.settle().await, []);
    tokio::time::sleep(again).await;
    assert_eq!(reconcile(&cluster.context, "n-2").await.unwrap(), None);
    assert_eq!(wish(), None);
}
