//! For tests: an API server in memory that keeps objects, versions and preconditions and notes every request, and a small
//! cluster to reconcile.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::http::{Method, Request, Response};
use holdfast_api::cluster::KubeNode;
use holdfast_api::v1alpha1::{FINALIZER, VirtualIPGroup, VirtualIPNode};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::context::Context;
use crate::deletion::Circumstances;
use crate::events;
use crate::index::Seen;
use crate::leader::Leadership;
use crate::metrics::Metrics;
use crate::world::{Kind, WatchState, World};
use crate::write::Writer;

pub const GROUPS: &str = "/apis/vip.holdfast.dev/v1alpha1/virtualipgroups";
pub const NODES: &str = "/apis/vip.holdfast.dev/v1alpha1/virtualipnodes";
pub const CRD: &str =
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/virtualipgroups.vip.holdfast.dev";

/// One request as it came.
#[derive(Clone, PartialEq, Debug)]
pub struct Asked {
    /// `PATCH /path?query`
    pub line: String,
    pub content_type: String,
    pub body: Value,
}

/// What the server does with the next request that writes, instead of what it should.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It answers with this code.
    Answer(u16),
    /// It writes, and its answer is lost.
    LoseAnswer,
    /// It never answers.
    Hang,
}

/// An API server in memory.
#[derive(Clone, Default)]
pub struct MockApi(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Value>,
    version: u64,
    asked: Vec<Asked>,
    faults: VecDeque<Fault>,
}

impl MockApi {
    pub fn client(&self) -> Client {
        let api = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let api = api.clone();
            async move { api.serve(request).await }
        });
        Client::new(service, "default")
    }

    /// Stores an object as if somebody else had, and answers it with its new version.
    pub fn put(&self, path: &str, mut object: Value) -> Value {
        let mut state = self.0.lock().unwrap();
        state.version += 1;
        object["metadata"]["resourceVersion"] = json!(state.version.to_string());
        state.objects.insert(path.to_owned(), object.clone());
        object
    }

    pub fn get(&self, path: &str) -> Option<Value> {
        self.0.lock().unwrap().objects.get(path).cloned()
    }

    /// The requests since the last call that write, and those that read if `reads`.
    pub fn asked(&self, reads: bool) -> Vec<Asked> {
        let all = core::mem::take(&mut self.0.lock().unwrap().asked);
        all.into_iter()
            .filter(|asked| reads || !asked.line.starts_with("GET"))
            .filter(|asked| !asked.line.contains("/events"))
            .collect()
    }

    /// The Events that were published.
    pub fn events(&self) -> Vec<Asked> {
        let all = core::mem::take(&mut self.0.lock().unwrap().asked);
        all.into_iter()
            .filter(|asked| asked.line.contains("/events"))
            .collect()
    }

    pub fn fail_next(&self, fault: Fault) {
        self.0.lock().unwrap().faults.push_back(fault);
    }

    async fn serve(&self, request: Request<Body>) -> Result<Response<Body>, tower::BoxError> {
        let (head, body) = request.into_parts();
        let body = body.collect_bytes().await?;
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let path = head.uri.path().to_owned();
        let content_type = head.headers.get("content-type");
        let content_type = content_type.map_or("", |value| value.to_str().unwrap_or_default());
        let fault = {
            let mut state = self.0.lock().unwrap();
            state.asked.push(Asked {
                line: format!("{} {}", head.method, head.uri.path_and_query().unwrap()),
                content_type: content_type.to_owned(),
                body: body.clone(),
            });
            if head.method == Method::GET {
                None
            } else {
                state.faults.pop_front()
            }
        };
        let (code, answer) = match fault {
            Some(Fault::Answer(code)) => (code, refusal(code, "as the test wants it")),
            Some(Fault::Hang) => return core::future::pending().await,
            Some(Fault::LoseAnswer) => {
                self.0.lock().unwrap().handle(&head.method, &path, body);
                return Err("connection reset".into());
            }
            None => self.0.lock().unwrap().handle(&head.method, &path, body),
        };
        let answer = Body::from(serde_json::to_vec(&answer)?);
        Ok(Response::builder().status(code).body(answer)?)
    }
}

impl State {
    fn handle(&mut self, method: &Method, path: &str, body: Value) -> (u16, Value) {
        let path = path.trim_end_matches("/status").to_owned();
        match *method {
            Method::GET => match self.objects.get(&path) {
                Some(object) => match object["answer"].as_u64() {
                    Some(code) => {
                        let code = code.try_into().unwrap();
                        (code, refusal(code, "as the test wants it"))
                    }
                    None => (200, object.clone()),
                },
                None if path == NODES || path == GROUPS => (200, self.list(&path)),
                None => (404, refusal(404, "not found")),
            },
            Method::POST => {
                let path = format!("{path}/{}", body["metadata"]["name"].as_str().unwrap());
                if self.objects.contains_key(&path) {
                    return (409, refusal(409, "already exists"));
                }
                (201, self.store(&path, body, true))
            }
            Method::PUT | Method::PATCH => {
                let Some(old) = self.objects.get(&path).cloned() else {
                    return (404, refusal(404, "not found"));
                };
                let based_on = &body["metadata"]["resourceVersion"];
                // A repeated Event is the one thing that is counted without looking.
                let counted = path.contains("/events/");
                assert!(
                    based_on.is_string() || counted,
                    "{path} was written without a version: {body}"
                );
                if !counted && *based_on != old["metadata"]["resourceVersion"] {
                    return (409, refusal(409, "the object has been modified"));
                }
                let new = if *method == Method::PUT {
                    body
                } else {
                    merged(old.clone(), body)
                };
                let told = new["spec"] != old["spec"];
                let finalizers = new["metadata"]["finalizers"].as_array();
                let free = finalizers.is_none_or(Vec::is_empty);
                if new["metadata"]["deletionTimestamp"].is_string() && free {
                    self.objects.remove(&path);
                    return (200, new);
                }
                (200, self.store(&path, new, told))
            }
            _ => (405, refusal(405, "not built")),
        }
    }

    fn store(&mut self, path: &str, mut object: Value, told: bool) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        if told {
            let generation = object["metadata"]["generation"].as_i64().unwrap_or_default();
            object["metadata"]["generation"] = json!(generation + 1);
        }
        self.objects.insert(path.to_owned(), object.clone());
        object
    }

    fn list(&self, folder: &str) -> Value {
        let objects = self.objects.iter();
        let items: Vec<&Value> = objects
            .filter(|(path, _)| path.starts_with(folder))
            .map(|(_, object)| object)
            .collect();
        json!({"metadata": {"resourceVersion": self.version.to_string()}, "items": items})
    }
}

fn refusal(code: u16, message: &str) -> Value {
    let reason = if code == 404 { "NotFound" } else { "" };
    json!({"kind": "Status", "status": "Failure", "message": message, "reason": reason, "code": code})
}

/// RFC 7386, which is enough of server-side apply for one writer.
fn merged(mut old: Value, new: Value) -> Value {
    match (&mut old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for (key, value) in new {
                if value.is_null() {
                    old.remove(&key);
                } else {
                    let before = old.remove(&key).unwrap_or_default();
                    old.insert(key, merged(before, value));
                }
            }
        }
        (old, new) => *old = new,
    }
    old
}

/// A cluster of three nodes, n-1 to n-3, with an operator that leads and has seen everything.
pub struct Cluster {
    pub api: MockApi,
    pub context: Context,
    _events: events::Publisher,
}

impl Cluster {
    pub fn new() -> Self {
        Self::with(Leadership::always(), None)
    }

    pub fn with(leadership: Leadership, api_host: Option<&str>) -> Self {
        let api = MockApi::default();
        api.put(
            CRD,
            json!({"metadata": {"name": "virtualipgroups.vip.holdfast.dev"}}),
        );
        let patience = Duration::from_mins(5);
        let world = Arc::new(World::new(Clock::start(), patience));
        let metrics = Arc::new(Metrics::new().unwrap());
        let leadership = Arc::new(leadership);
        let (speaker, publisher) = events::channel(api.client(), "op-1".to_owned(), &metrics);
        let context = Context {
            writer: Writer::new(
                &api.client(),
                leadership,
                Arc::clone(&world),
                Arc::clone(&metrics),
            ),
            circumstances: Circumstances::new(api.client(), api_host.map(str::to_owned), &[]),
            world,
            speaker,
            metrics,
            allocating: tokio::sync::Mutex::default(),
            patience,
        };
        let cluster = Self {
            api,
            context,
            _events: publisher,
        };
        cluster
            .context
            .world
            .change(|index, _| index.set_cluster("uid-of-the-cluster".to_owned()));
        for number in 1..=3 {
            cluster.node(&format!("n-{number}"), &format!("10.0.0.{}", 10 + number));
        }
        for kind in Kind::ALL {
            cluster.context.world.set_watch(kind, &WatchState::Up);
        }
        cluster
    }

    pub fn node(&self, name: &str, address: &str) {
        self.work_on(name, address, |_| {});
    }

    /// The node's Node object is this, changed like that.
    pub fn work_on(&self, name: &str, address: &str, change: impl FnOnce(&mut KubeNode)) {
        let mut facts = KubeNode {
            labels: [("role".to_owned(), "web".to_owned())].into(),
            internal_ips: vec![address.parse().unwrap()],
            ..KubeNode::default()
        };
        change(&mut facts);
        self.context.world.change(|index, now| {
            index.apply_node(name, facts, now);
        });
    }

    /// Somebody writes this group, and the watch brings it.
    pub fn group(&self, name: &str, change: impl FnOnce(&mut Value)) -> Value {
        let mut group = group(name);
        change(&mut group);
        let group = self.api.put(&format!("{GROUPS}/{name}"), group);
        self.watched_group(&group);
        group
    }

    pub fn watched_group(&self, group: &Value) {
        let group: VirtualIPGroup = serde_json::from_value(group.clone()).unwrap();
        self.context
            .world
            .change(|index, _| index.apply_group(group, Seen::Told));
    }

    /// The agent of a node says this of everything it is told, and acknowledges it.
    pub fn acknowledge(&self, node: &str, state: &str, address: &str) {
        let path = format!("{NODES}/{node}");
        let mut object = self.api.get(&path).unwrap();
        let groups = object["spec"]["groups"].as_array().cloned().unwrap_or_default();
        let groups: Vec<Value> = groups
            .iter()
            .filter(|group| group["deleted"] != true)
            .map(|group| {
                json!({
                    "name": group["name"], "appliedGeneration": group["generation"], "state": state,
                    "sourceAddress": address, "since": "2026-01-01T00:00:00.000000Z", "source": "API",
                })
            })
            .collect();
        object["status"] = json!({"observedGeneration": object["metadata"]["generation"], "groups": groups});
        let object = self.api.put(&path, object);
        self.watched_node(&object);
    }

    /// The agent of a node says this of its probe `web` and of its priority.
    pub fn says_of_probe(&self, node: &str, verdict: &str, found: &str, priority: i32) {
        let path = format!("{NODES}/{node}");
        let mut object = self.api.get(&path).unwrap();
        let said = &mut object["status"]["groups"][0];
        said["probes"] = json!([{"name": "web", "verdict": verdict, "message": found}]);
        said["effectivePriority"] = json!(priority);
        said["priorityExplained"] = json!(format!("{priority} because {found}"));
        let object = self.api.put(&path, object);
        self.watched_node(&object);
    }

    pub fn watched_node(&self, object: &Value) {
        let object: VirtualIPNode = serde_json::from_value(object.clone()).unwrap();
        self.context
            .world
            .change(|index, now| index.apply_stored(object, Seen::Told, now));
    }

    pub fn alive(&self, node: &str) {
        self.context.world.change(|index, now| {
            let renewed = k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime(now);
            index.apply_lease(node, Some(renewed), Seen::Told, now);
        });
    }

    /// Gives every group and node turns until nothing is written any more. Answers what was written.
    pub async fn settle(&self) -> Vec<Asked> {
        let mut written = Vec::new();
        for _ in 0..20 {
            for name in self.context.world.read(crate::index::Index::group_names) {
                crate::group::reconcile(&self.context, &name).await.unwrap();
            }
            for name in ["n-1", "n-2", "n-3"] {
                crate::node::reconcile(&self.context, name).await.unwrap();
            }
            let round = self.api.asked(false);
            if round.is_empty() {
                return written;
            }
            written.extend(round);
        }
        panic!("it never settles: {written:#?}");
    }

    /// What a node is told of a group.
    pub fn told(&self, node: &str, group: &str) -> Option<Value> {
        let object = self.api.get(&format!("{NODES}/{node}"))?;
        let groups = object["spec"]["groups"].as_array()?.clone();
        groups.into_iter().find(|entry| entry["name"] == group)
    }
}

/// A group for all nodes with the label role=web, complete but for the status.
pub fn group(name: &str) -> Value {
    json!({
        "apiVersion": "vip.holdfast.dev/v1alpha1",
        "kind": "VirtualIPGroup",
        "metadata": {
            "name": name, "uid": format!("uid-of-{name}"), "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z", "finalizers": [FINALIZER],
        },
        "spec": {
            "addresses": [{"address": "10.0.0.100/24"}],
            "interface": "eth0",
            "virtualRouterID": 51,
            "nodeSelector": {"matchLabels": {"role": "web"}},
        },
    })
}
