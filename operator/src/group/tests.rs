//! What is written for a group, request by request.

use holdfast_api::v1alpha1::FINALIZER;
use serde_json::{Value, json};

use super::*;
use crate::error::Category;
use crate::leader::Leadership;
use crate::testing::{CRD, Cluster, Fault, GROUPS};

fn condition(group: &Value, type_: &str) -> Value {
    let conditions = group["status"]["conditions"].as_array().unwrap();
    let condition = conditions.iter().find(|condition| condition["type"] == type_);
    condition.unwrap().clone()
}

fn stored(cluster: &Cluster) -> Option<Value> {
    cluster.api.get(&format!("{GROUPS}/web"))
}

/// Somebody asks for the group to be deleted.
fn delete(cluster: &Cluster, annotations: Value) {
    let mut group = stored(cluster).unwrap();
    group["metadata"]["deletionTimestamp"] = json!("2026-02-01T00:00:00Z");
    group["metadata"]["annotations"] = annotations;
    let group = cluster.api.put(&format!("{GROUPS}/web"), group);
    cluster.watched_group(&group);
}

/// A group that three live agents run: n-1 is Active.
async fn running(cluster: &Cluster) {
    cluster.group("web", |_| {});
    for _ in 0..3 {
        cluster.settle().await;
        for (node, state, address) in [
            ("n-1", "Active", "10.0.0.11"),
            ("n-2", "Backup", "10.0.0.12"),
            ("n-3", "Backup", "10.0.0.13"),
        ] {
            cluster.alive(node);
            cluster.acknowledge(node, state, address);
        }
    }
    cluster.settle().await;
}

#[tokio::test]
async fn a_new_group_gets_its_identifier_then_its_finalizer_then_its_status_in_one_turn() {
    let cluster = Cluster::new();
    let group = cluster.group("web", |group| {
        group["metadata"]["finalizers"] = json!(["example.org/other"]);
        group["spec"].as_object_mut().unwrap().remove("virtualRouterID");
    });
    reconcile(&cluster.context, "web").await.unwrap();
    let written = cluster.api.asked(true);
    let [identifier, finalizer, status] = written.as_slice() else {
        panic!("{written:#?}")
    };
    assert_eq!(
        identifier.line,
        format!("PATCH {GROUPS}/web?&fieldManager=holdfast-allocator")
    );
    assert_eq!(identifier.content_type, "application/apply-patch+yaml");
    assert_eq!(
        identifier.body["metadata"],
        json!({"name": "web", "resourceVersion": group["metadata"]["resourceVersion"]})
    );
    let spec = identifier.body["spec"].as_object().unwrap();
    assert_eq!(spec.keys().collect::<Vec<_>>(), ["virtualRouterID"]);

    assert_eq!(
        finalizer.line,
        format!("PATCH {GROUPS}/web?&fieldManager=holdfast-operator")
    );
    assert_eq!(finalizer.content_type, "application/merge-patch+json");
    assert_eq!(
        finalizer.body["metadata"]["finalizers"],
        json!(["example.org/other", FINALIZER]),
        "those of others stay"
    );

    assert_eq!(
        status.line,
        format!("PATCH {GROUPS}/web/status?&force=true&fieldManager=holdfast-operator")
    );
    assert_eq!(status.content_type, "application/apply-patch+yaml");
    assert_eq!(status.body["metadata"]["name"], "web");
    assert!(status.body["metadata"]["resourceVersion"].is_string());
    assert!(status.body.get("spec").is_none());
    assert_eq!(condition(&status.body, "Accepted")["status"], "True");
    assert_eq!(condition(&status.body, "Accepted")["observedGeneration"], 2);
}

#[tokio::test]
async fn nodes_are_told_of_a_group_only_when_it_has_its_finalizer() {
    let cluster = Cluster::new();
    cluster.group("web", |group| group["metadata"]["finalizers"] = json!([]));
    crate::node::reconcile(&cluster.context, "n-1").await.unwrap();
    assert_eq!(cluster.api.asked(true), []);
    reconcile(&cluster.context, "web").await.unwrap();
    cluster.api.asked(true);
    crate::node::reconcile(&cluster.context, "n-1").await.unwrap();
    assert_eq!(cluster.api.asked(true).len(), 1);
}

#[tokio::test]
async fn a_status_that_says_the_same_is_not_written() {
    let cluster = Cluster::new();
    cluster.group("web", |_| {});
    reconcile(&cluster.context, "web").await.unwrap();
    assert_eq!(cluster.api.asked(true).len(), 1);
    reconcile(&cluster.context, "web").await.unwrap();
    assert_eq!(cluster.api.asked(true), []);
}

#[tokio::test]
async fn a_refused_group_gets_a_status_and_nothing_else() {
    let cluster = Cluster::new();
    cluster.group("web", |group| {
        group["metadata"]["finalizers"] = json!([]);
        group["spec"].as_object_mut().unwrap().remove("virtualRouterID");
        group["spec"]["nodeSelector"] = json!({"matchLabels": {"role": "nobody"}});
    });
    reconcile(&cluster.context, "web").await.unwrap();
    let written = cluster.api.asked(true);
    let [status] = written.as_slice() else {
        panic!("{written:#?}")
    };
    assert_eq!(condition(&status.body, "Accepted")["reason"], "NoNodeMatches");
    assert_eq!(condition(&status.body, "Stalled")["status"], "True");
}

#[tokio::test]
async fn two_groups_without_an_identifier_never_get_the_same() {
    let cluster = Cluster::new();
    for (name, address) in [("web", "10.0.0.100/24"), ("db", "10.0.0.101/24")] {
        cluster.group(name, |group| {
            group["spec"].as_object_mut().unwrap().remove("virtualRouterID");
            group["spec"]["addresses"] = json!([{"address": address}]);
        });
    }
    let (web, db) = tokio::join!(
        reconcile(&cluster.context, "web"),
        reconcile(&cluster.context, "db")
    );
    web.unwrap();
    db.unwrap();
    let identifier =
        |name: &str| cluster.api.get(&format!("{GROUPS}/{name}")).unwrap()["spec"]["virtualRouterID"].clone();
    assert!(identifier("web").is_i64() && identifier("web") != identifier("db"));
}

#[tokio::test]
async fn of_two_groups_with_one_address_the_older_one_runs_undisturbed() {
    let cluster = Cluster::new();
    cluster.group("web", |_| {});
    cluster.settle().await;
    cluster.group("later", |group| {
        group["metadata"]["creationTimestamp"] = json!("2026-01-02T00:00:00Z");
        group["spec"]["virtualRouterID"] = json!(52);
    });
    let written = cluster.settle().await;
    let [status] = written.as_slice() else {
        panic!("{written:#?}")
    };
    assert!(status.line.contains("/later/status"));
    assert_eq!(condition(&status.body, "Accepted")["reason"], "AddressConflict");
    assert!(cluster.told("n-1", "later").is_none());
}

#[tokio::test]
async fn a_change_of_one_node_costs_one_status_and_at_most_one_write_for_each_node() {
    let cluster = Cluster::new();
    running(&cluster).await;
    cluster.acknowledge("n-2", "Fault", "10.0.0.12");
    let written = cluster.settle().await;
    assert_eq!(written.len(), 1, "{written:#?}");
    assert!(written[0].line.contains("/web/status"));

    // Another address of its own: the others have it among their peers.
    cluster.acknowledge("n-2", "Backup", "10.0.0.22");
    let written = cluster.settle().await;
    let of = |path: &str| written.iter().filter(|it| it.line.contains(path)).count();
    assert!(
        of("/n-1?") <= 1 && of("/n-2?") <= 1 && of("/n-3?") <= 1,
        "{written:#?}"
    );
}

#[tokio::test]
async fn what_a_probe_says_costs_one_status_and_saying_it_again_costs_nothing() {
    let cluster = Cluster::new();
    running(&cluster).await;
    let only_status = |written: &[crate::testing::Asked]| {
        assert_eq!(written.len(), 1, "{written:#?}");
        assert!(written[0].line.contains("/web/status"), "{written:#?}");
        written[0].body.clone()
    };
    cluster.says_of_probe("n-2", "Passing", "all is well", 100);
    only_status(&cluster.settle().await);
    cluster.says_of_probe("n-2", "Failing", "connection refused", 6);
    let body = only_status(&cluster.settle().await);
    assert_eq!(body["status"]["members"][1]["failingProbes"], json!(["web"]));
    assert_eq!(
        body["status"]["members"][1]["priorityExplained"],
        "6 because connection refused"
    );
    assert_eq!(condition(&body, "Degraded")["reason"], "ProbeFailing");
    assert_eq!(condition(&body, "Ready")["status"], "True");
    for _ in 0..3 {
        cluster.says_of_probe("n-2", "Failing", "connection refused", 6);
        assert_eq!(cluster.settle().await, []);
    }
    cluster.says_of_probe("n-2", "Passing", "all is well", 100);
    let body = only_status(&cluster.settle().await);
    assert_eq!(condition(&body, "Degraded")["status"], "False");
}

#[tokio::test]
async fn groups_that_move_together_are_edited_one_after_the_other() {
    let cluster = Cluster::new();
    let write = |name: &str, address: &str, identifier: i32, priority: i32| {
        let status = cluster
            .api
            .get(&format!("{GROUPS}/{name}"))
            .map(|old| old["status"].clone());
        cluster.group(name, |group| {
            group["status"] = status.unwrap_or_default();
            group["metadata"]["generation"] = json!(priority);
            group["spec"]["virtualRouterID"] = json!(identifier);
            group["spec"]["addresses"] = json!([{"address": address}]);
            group["spec"]["syncGroup"] = json!("edge");
            group["spec"]["priority"] = json!(priority);
        });
    };
    let web = |priority: i32| write("web", "10.0.0.100/24", 51, priority);
    let db = |priority: i32| write("db", "10.0.0.101/24", 52, priority);
    let reasons = || {
        ["web", "db"].map(|name| {
            let group = cluster.api.get(&format!("{GROUPS}/{name}")).unwrap();
            condition(&group, "Accepted")["reason"].clone()
        })
    };
    let told = || ["web", "db"].map(|name| cluster.told("n-1", name).unwrap()["priority"].clone());
    for [first, second] in [[true, false], [false, true]] {
        web(100);
        db(100);
        cluster.settle().await;
        assert_eq!(
            (reasons(), told()),
            (
                ["Accepted", "Accepted"].map(Value::from),
                [100, 100].map(Value::from)
            )
        );
        let edit = |which: bool| if which { web(200) } else { db(200) };
        edit(first);
        cluster.settle().await;
        assert!(reasons().contains(&json!("SyncGroupMismatch")), "{:?}", reasons());
        assert_eq!(told(), [100, 100].map(Value::from), "what ran keeps running");
        edit(second);
        cluster.settle().await;
        assert_eq!(
            (reasons(), told()),
            (
                ["Accepted", "Accepted"].map(Value::from),
                [200, 200].map(Value::from)
            )
        );
    }
}

#[tokio::test]
async fn a_deleted_group_goes_when_everybody_has_let_go_and_the_active_one_goes_last() {
    let cluster = Cluster::new();
    running(&cluster).await;
    delete(&cluster, json!({}));
    cluster.settle().await;
    let tombstone = |node: &str| {
        cluster
            .told(node, "web")
            .is_some_and(|entry| entry["deleted"] == true)
    };
    assert!(!tombstone("n-1") && tombstone("n-2") && tombstone("n-3"));
    assert_eq!(
        condition(&stored(&cluster).unwrap(), "Ready")["reason"],
        "Deleting"
    );

    cluster.acknowledge("n-2", "Backup", "");
    cluster.acknowledge("n-3", "Backup", "");
    cluster.settle().await;
    assert!(tombstone("n-1"));
    assert!(stored(&cluster).is_some());

    cluster.acknowledge("n-1", "Backup", "");
    cluster.settle().await;
    assert_eq!(stored(&cluster), None);
    assert!(
        cluster.told("n-1", "web").is_none(),
        "the tombstone has done its work"
    );
}

#[tokio::test]
async fn the_group_that_carries_the_api_endpoint_stays_until_that_is_allowed() {
    let cluster = Cluster::with(Leadership::always(), Some("10.0.0.100"));
    running(&cluster).await;
    delete(&cluster, json!({}));
    cluster.settle().await;
    for node in ["n-1", "n-2", "n-3"] {
        assert_eq!(cluster.told(node, "web").unwrap()["deleted"], false);
    }
    let stalled = condition(&stored(&cluster).unwrap(), "Stalled");
    assert_eq!(
        (&stalled["status"], &stalled["reason"]),
        (&json!("True"), &json!("DeletionProtected"))
    );

    delete(&cluster, json!({"vip.holdfast.dev/allow-delete": "true"}));
    cluster.settle().await;
    assert_eq!(cluster.told("n-2", "web").unwrap()["deleted"], true);
}

#[tokio::test]
async fn when_the_kind_is_deleted_its_groups_go_and_nodes_keep_what_they_run() {
    let cluster = Cluster::new();
    running(&cluster).await;
    cluster.api.put(
        CRD,
        json!({"metadata": {"name": "x", "deletionTimestamp": "2026-02-01T00:00:00Z"}}),
    );
    delete(&cluster, json!({}));
    let written = cluster.settle().await;
    let lines: Vec<&str> = written.iter().map(|it| it.line.as_str()).collect();
    assert_eq!(
        lines,
        [format!("PATCH {GROUPS}/web?&fieldManager=holdfast-operator")]
    );
    assert_eq!(stored(&cluster), None);
    cluster.context.world.change(|index, _| index.delete_group("web"));
    assert_eq!(cluster.settle().await, []);
    assert_eq!(cluster.told("n-1", "web").unwrap()["deleted"], false);
    assert_eq!(cluster.context.world.read(crate::index::Index::orphans), 3);
}

#[tokio::test]
async fn as_long_as_it_is_not_known_whether_the_kind_is_going_nobody_is_told_to_let_go() {
    let cluster = Cluster::new();
    running(&cluster).await;
    for (answer, category) in [(403, Category::Forbidden), (503, Category::Server)] {
        cluster.api.put(CRD, json!({"metadata": {}, "answer": answer}));
        delete(&cluster, json!({}));
        let error = reconcile(&cluster.context, "web").await.unwrap_err();
        assert_eq!(error.category(), category);
        crate::node::reconcile(&cluster.context, "n-2").await.unwrap();
        assert_eq!(cluster.api.asked(false), []);
    }
}

#[tokio::test]
async fn a_group_is_not_let_go_while_a_node_is_being_told_of_it() {
    let cluster = Cluster::new();
    cluster.group("web", |_| {});
    cluster.api.fail_next(Fault::LoseAnswer);
    crate::node::reconcile(&cluster.context, "n-1").await.unwrap_err();
    delete(&cluster, json!({}));
    let error = reconcile(&cluster.context, "web").await.unwrap_err();
    assert!(error.to_string().contains("n-1"), "{error}");
    assert!(stored(&cluster).is_some());
    // When it is known that the node was told, it is told to let go first.
    for _ in 0..3 {
        crate::node::reconcile(&cluster.context, "n-1").await.unwrap();
        reconcile(&cluster.context, "web").await.unwrap();
    }
    assert_eq!(cluster.told("n-1", "web").unwrap()["deleted"], true);
}

#[tokio::test]
async fn what_the_api_server_answers_decides_how_long_everybody_waits() {
    use crate::queue::Turn;
    for (code, category, turn) in [
        (409, Category::Conflict, Turn::Failed),
        (403, Category::Forbidden, Turn::Failed),
        (422, Category::Invalid, Turn::Failed),
        (404, Category::NotFound, Turn::Failed),
        (429, Category::Throttled, Turn::Unserved),
        (500, Category::Server, Turn::Unserved),
        (503, Category::Server, Turn::Unserved),
    ] {
        let cluster = Cluster::new();
        cluster.group("web", |_| {});
        cluster.api.fail_next(Fault::Answer(code));
        let error = reconcile(&cluster.context, "web").await.unwrap_err();
        assert_eq!((error.category(), error.turn()), (category, turn), "{code}");
        assert!(
            error
                .to_string()
                .contains("writing the status of VirtualIPGroup `web`"),
            "{error}"
        );
    }
}
