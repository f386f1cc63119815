//! An API server that behaves badly in every way it can, and what is heard of it all the same.

use core::time::Duration;
use std::collections::VecDeque;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use futures::StreamExt as _;
use holdfast_client::PACE;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::*;
use crate::api_server::Access;

/// How long anything may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the server does with the next list of this node's object, or of a Secret.
enum Answer {
    Status(u16),
    /// An empty list.
    Nothing,
    /// The object with this generation and one group for each name.
    Object(i64, &'static [&'static str]),
    Secret(&'static str),
}

#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<Answer>>,
    /// What open watches say next.
    events: Mutex<Vec<mpsc::UnboundedSender<String>>>,
    /// Watches are answered and have ended.
    ends_watches: AtomicBool,
    /// The queries that came.
    queries: Mutex<Vec<String>>,
}

struct Server {
    script: Arc<Script>,
    task: JoinHandle<()>,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn object(generation: i64, groups: &[&str]) -> Value {
    let groups: Vec<Value> = groups
        .iter()
        .map(|name| json!({ "name": name, "deleted": true }))
        .collect();
    json!({
        "apiVersion": "vip.holdfast.dev/v1alpha1",
        "kind": "VirtualIPNode",
        "metadata": { "name": "cp-1", "generation": generation, "resourceVersion": "7" },
        "spec": { "groups": groups },
    })
}

async fn answer(State(script): State<Arc<Script>>, request: Request) -> Response {
    let query = request.uri().to_string();
    script.queries.lock().unwrap().push(query.clone());
    if query.contains("watch=true") {
        let (sender, receiver) = mpsc::unbounded_channel();
        if !script.ends_watches.load(Ordering::Relaxed) {
            script.events.lock().unwrap().push(sender);
        }
        let lines = futures::stream::unfold(receiver, |mut receiver| async {
            let line = receiver.recv().await?;
            Some((Ok::<_, core::convert::Infallible>(line + "\n"), receiver))
        });
        return Response::new(Body::from_stream(lines.boxed()));
    }
    let next = script.answers.lock().unwrap().pop_front();
    let list = |items: Value| {
        let list = json!({ "apiVersion": "v1", "kind": "List", "metadata": { "resourceVersion": "7" }, "items": items });
        Response::new(Body::from(list.to_string()))
    };
    match next {
        Some(Answer::Status(code)) => {
            let status = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": "no" });
            Response::builder()
                .status(code)
                .body(Body::from(status.to_string()))
                .unwrap()
        }
        Some(Answer::Object(generation, groups)) => list(json!([object(generation, groups)])),
        Some(Answer::Secret(password)) => list(json!([{
            "metadata": { "name": "vrrp", "resourceVersion": "7" },
            "data": { "password": k8s_openapi::ByteString(password.as_bytes().to_vec()) },
        }])),
        Some(Answer::Nothing) | None => list(json!([])),
    }
}

impl Server {
    async fn start(answers: Vec<Answer>) -> Self {
        let script = Arc::new(Script {
            answers: Mutex::new(answers.into()),
            ..Script::default()
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let service = Router::new().fallback(answer).with_state(Arc::clone(&script));
        let task = tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
        Self { script, task, port }
    }

    /// Says something on every open watch, and closes them if it is the last word.
    fn say(&self, event: &Value) {
        for watch in self.script.events.lock().unwrap().iter() {
            let _ = watch.send(event.to_string());
        }
    }

    fn watches(&self) -> usize {
        self.script.events.lock().unwrap().len()
    }
}

struct Node {
    folder: tempfile::TempDir,
    server: ApiServer,
    source: ApiSource,
}

impl Node {
    fn new(port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        point(folder.path(), port);
        let server = ApiServer::new(Access {
            kubeconfig: Some(folder.path().join("kubeconfig")),
            server: None,
        });
        let client = server.client("holdfast-system");
        let source = ApiSource::start(&server, &client, "cp-1", "holdfast-system", |_| {});
        Self {
            folder,
            server,
            source,
        }
    }

    async fn until(&mut self, what: &str, check: impl Fn(&News) -> bool) -> News {
        let wait = async {
            loop {
                let news = self.source.news();
                if check(&news) {
                    return news;
                }
                self.source.changed().await;
            }
        };
        tokio::time::timeout(PATIENCE, wait)
            .await
            .unwrap_or_else(|_| panic!("waited for {what}"))
    }

    async fn hears(&mut self, generation: i64) -> Arc<Told> {
        let news = self
            .until(
                "the object",
                |news| matches!(&news.object, Heard::Told(told) if told.generation == generation),
            )
            .await;
        let Heard::Told(told) = news.object else {
            unreachable!()
        };
        told
    }
}

/// Writes a kubeconfig that leads to `port`.
fn point(folder: &std::path::Path, port: u16) {
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "x",
        "clusters": [{ "name": "c", "cluster": { "server": format!("http://127.0.0.1:{port}") } }],
        "users": [{ "name": "u", "user": {} }],
        "contexts": [{ "name": "x", "context": { "cluster": "c", "user": "u" } }],
    });
    fs::write(folder.join("kubeconfig"), kubeconfig.to_string()).unwrap();
}

async fn until(what: &str, check: impl Fn() -> bool) {
    for _ in 0..3000 {
        if check() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited for {what}");
}

#[tokio::test]
async fn a_server_that_throttles_and_fails_is_asked_until_it_answers() {
    let server = Server::start(vec![
        Answer::Status(429),
        Answer::Status(503),
        Answer::Object(3, &["web"]),
    ])
    .await;
    let mut node = Node::new(server.port);
    let told = node.hears(3).await;
    assert_eq!(told.groups.keys().collect::<Vec<_>>(), ["web"]);
    let queries = server.script.queries.lock().unwrap().clone();
    let list = &queries[0];
    assert!(
        list.contains("/virtualipnodes?") && list.contains("fieldSelector=metadata.name%3Dcp-1"),
        "{list}"
    );
}

#[tokio::test]
async fn a_watch_that_has_expired_begins_again_and_misses_nothing() {
    let server = Server::start(vec![Answer::Object(1, &[]), Answer::Object(4, &["web"])]).await;
    let mut node = Node::new(server.port);
    node.hears(1).await;
    until("a watch", || server.watches() == 1).await;
    server.say(&json!({ "type": "MODIFIED", "object": object(2, &[]) }));
    node.hears(2).await;
    server.say(&json!({ "type": "ERROR", "object": {
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 410, "reason": "Expired", "message": "too old",
    } }));
    node.hears(4).await;
}

#[tokio::test]
async fn a_server_that_ends_every_watch_at_once_is_not_asked_as_fast_as_it_answers() {
    let server = Server::start(vec![Answer::Object(1, &[])]).await;
    server.script.ends_watches.store(true, Ordering::Relaxed);
    let begun = Instant::now();
    let mut node = Node::new(server.port);
    node.hears(1).await;
    let watches = || {
        let queries = server.script.queries.lock().unwrap();
        queries
            .iter()
            .filter(|query| query.contains("watch=true"))
            .count()
    };
    until("three watches", || watches() >= 3).await;
    let taken = begun.elapsed();
    assert!(taken >= PACE * 2, "three watches within {taken:?}");
}

#[tokio::test]
async fn a_server_that_dies_and_comes_back_on_another_port_is_found_by_its_kubeconfig() {
    let first = Server::start(vec![Answer::Object(1, &[])]).await;
    let mut node = Node::new(first.port);
    node.hears(1).await;
    until("a watch", || first.watches() == 1).await;
    first.script.events.lock().unwrap().clear();
    drop(first);
    // Its data is an older copy, which a watch from where the last one ended would never tell.
    let second = Server::start(vec![Answer::Object(0, &["web"])]).await;
    point(node.folder.path(), second.port);
    assert!(node.hears(0).await.groups.contains_key("web"));
}

#[tokio::test]
async fn what_is_deleted_or_unknown_is_absent_and_what_is_forbidden_is_said() {
    let server = Server::start(vec![
        Answer::Object(1, &[]),
        Answer::Status(404),
        Answer::Status(403),
        Answer::Object(2, &[]),
    ])
    .await;
    let mut node = Node::new(server.port);
    node.hears(1).await;
    until("a watch", || server.watches() == 1).await;
    server.say(&json!({ "type": "DELETED", "object": object(1, &[]) }));
    node.until("its absence", |news| news.object == Heard::Absent)
        .await;
    server.say(&json!({ "type": "ERROR", "object": {
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 410, "reason": "Expired", "message": "too old",
    } }));
    let denied = node
        .until("the refusal", |news| matches!(news.object, Heard::Denied(_)))
        .await;
    let Heard::Denied(fault) = denied.object else {
        unreachable!()
    };
    assert_eq!(fault.reason, "APIAccessDenied");
    node.hears(2).await;
}

#[tokio::test]
async fn a_secret_is_followed_by_its_name_while_it_is_wanted() {
    let server = Server::start(vec![Answer::Nothing, Answer::Secret("opensesa")]).await;
    let mut node = Node::new(server.port);
    node.until("the object's absence", |news| news.object == Heard::Absent)
        .await;
    node.source.want(BTreeSet::from(["vrrp".to_owned()]));
    let news = node
        .until("the Secret", |news| news.secrets.contains_key("vrrp"))
        .await;
    let data = BTreeMap::from([("password".to_owned(), b"opensesa".to_vec())]);
    assert!(news.secrets["vrrp"] == SecretNews::Data(data));
    let queries = server.script.queries.lock().unwrap().clone();
    let asked = queries.iter().find(|query| query.contains("secrets")).unwrap();
    assert!(
        asked.starts_with("/api/v1/namespaces/holdfast-system/secrets?")
            && asked.contains("fieldSelector=metadata.name%3Dvrrp"),
        "{asked}"
    );
    node.source.want(BTreeSet::new());
    node.until("it to be forgotten", |news| news.secrets.is_empty())
        .await;
}

#[tokio::test]
async fn a_watch_through_an_address_that_becomes_this_nodes_own_is_given_up_and_not_dialed_again() {
    let server = Server::start(vec![Answer::Object(1, &[]), Answer::Object(2, &[])]).await;
    let mut node = Node::new(server.port);
    node.hears(1).await;
    until("a watch", || server.watches() == 1).await;
    node.server
        .protect(BTreeSet::from(["127.0.0.1".parse().unwrap()]));
    node.until("the refusal", |news| {
        news.refused_host.as_deref() == Some("127.0.0.1")
    })
    .await;
    until("the watch to be closed", || {
        server.script.events.lock().unwrap()[0].is_closed()
    })
    .await;
    let asked = server.script.queries.lock().unwrap().len();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        server.script.queries.lock().unwrap().len(),
        asked,
        "it was dialed again"
    );
    node.server.protect(BTreeSet::new());
    node.until("the end of the refusal", |news| news.refused_host.is_none())
        .await;
    node.hears(2).await;
}
