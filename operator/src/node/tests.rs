//! What is written for a node, request by request.

use serde_json::json;

use super::*;
use crate::error::Category;
use crate::leader::Leadership;
use crate::queue::Turn;
use crate::testing::{Cluster, Fault, NODES};

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
