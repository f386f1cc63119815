//! The reporter against an API server that does what a test wants, on a clock that jumps.

use std::sync::{Mutex, PoisonError};

use holdfast_api::v1alpha1::{MemberState, VirtualIPNodeStatus};
use holdfast_logging::LogControl;
use http::{Method, Request, Response, StatusCode};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::status::{last_word, node_status};
use super::*;
use crate::report::example;
use crate::status::Applied;

/// What the API server does with a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mood {
    Works,
    /// Answers this, with `Retry-After` if there is one.
    Refuses(u16, Option<u64>),
    /// Never answers.
    Hangs,
}

/// One request: when, what, and its body.
#[derive(Clone, Debug)]
struct Asked {
    at: Duration,
    what: &'static str,
    body: Value,
}

#[derive(Debug)]
struct Server {
    start: Instant,
    status: Mood,
    lease: Mood,
    stored: Option<Value>,
    version: u32,
    asked: Vec<Asked>,
}

/// An API server, the truth about a node, and the reporter between the two.
struct World {
    server: Arc<Mutex<Server>>,
    truth: Arc<Mutex<Option<VirtualIPNodeStatus>>>,
    shared: Arc<Shared>,
    reporter: Option<Reporter>,
}

impl Truth for Arc<Mutex<Option<VirtualIPNodeStatus>>> {
    async fn status(&self, _: Option<&VirtualIPNodeStatus>) -> Option<VirtualIPNodeStatus> {
        self.lock().unwrap().clone()
    }
}

impl Server {
    fn answer(&mut self, method: &Method, path: &str, body: &[u8]) -> Option<Response<Body>> {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let (what, mood) = match (method, path) {
            (&Method::PATCH, "/apis/vip.holdfast.dev/v1alpha1/virtualipnodes/cp-1/status") => {
                ("report", self.status)
            }
            (&Method::GET, "/apis/coordination.k8s.io/v1/namespaces/vips/leases/holdfast-agent.cp-1") => {
                ("look", self.lease)
            }
            (&Method::POST, "/apis/coordination.k8s.io/v1/namespaces/vips/leases") => ("create", self.lease),
            (&Method::PUT, "/apis/coordination.k8s.io/v1/namespaces/vips/leases/holdfast-agent.cp-1") => {
                ("renew", self.lease)
            }
            other => panic!("{other:?}"),
        };
        self.asked.push(Asked {
            at: self.start.elapsed(),
            what,
            body: body.clone(),
        });
        match mood {
            Mood::Hangs => None,
            Mood::Refuses(code, retry_after) => Some(refusal(code, retry_after)),
            Mood::Works if what == "report" => Some(Response::new(Body::from(b"{}".to_vec()))),
            Mood::Works => Some(self.keep_lease(what, body)),
        }
    }

    fn keep_lease(&mut self, what: &str, mut body: Value) -> Response<Body> {
        let present = self
            .stored
            .as_ref()
            .map(|lease| lease["metadata"]["resourceVersion"].clone());
        match (what, present) {
            ("look", None) => return refusal(404, None),
            ("look", Some(_)) => {}
            ("renew", present) if present.as_ref() != Some(&body["metadata"]["resourceVersion"]) => {
                return refusal(409, None);
            }
            _ => {
                self.version += 1;
                body["metadata"]["resourceVersion"] = json!(self.version.to_string());
                self.stored = Some(body);
            }
        }
        Response::new(Body::from(serde_json::to_vec(&self.stored).unwrap()))
    }
}

fn refusal(code: u16, retry_after: Option<u64>) -> Response<Body> {
    let mut response = Response::builder().status(StatusCode::from_u16(code).unwrap());
    if let Some(seconds) = retry_after {
        response = response.header("Retry-After", seconds);
    }
    let body = json!({ "kind": "Status", "message": "because of the test" });
    response
        .body(Body::from(serde_json::to_vec(&body).unwrap()))
        .unwrap()
}

impl World {
    fn new() -> Self {
        let server = Arc::new(Mutex::new(Server {
            start: Instant::now(),
            status: Mood::Works,
            lease: Mood::Works,
            stored: None,
            version: 0,
            asked: Vec::new(),
        }));
        let answering = Arc::clone(&server);
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = Arc::clone(&answering);
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect_bytes().await.unwrap();
                let answer = server
                    .lock()
                    .unwrap()
                    .answer(&parts.method, parts.uri.path(), &body);
                match answer {
                    Some(answer) => Ok::<_, core::convert::Infallible>(answer),
                    None => core::future::pending().await,
                }
            }
        });
        let truth = Arc::new(Mutex::new(Some(backup())));
        let shared = Arc::new(Shared::new("cp-1", LogControl::default()));
        let client = Client::new(service, "default");
        let reporter = spawn_with(Arc::clone(&truth), client, "vips".to_owned(), Arc::clone(&shared));
        Self {
            server,
            truth,
            shared,
            reporter: Some(reporter),
        }
    }

    fn server(&self) -> std::sync::MutexGuard<'_, Server> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_now(&self, status: VirtualIPNodeStatus) {
        *self.truth.lock().unwrap() = Some(status);
    }

    /// It happens, and the reporter is told.
    fn happens(&self, status: VirtualIPNodeStatus) {
        self.is_now(status);
        self.reporter.as_ref().unwrap().transition();
    }

    /// What was asked since the last time.
    fn asked(&self) -> Vec<Asked> {
        core::mem::take(&mut self.server().asked)
    }

    fn asked_for(&self) -> Vec<&'static str> {
        self.asked().iter().map(|asked| asked.what).collect()
    }

    fn counted(&self, reason: &str) -> u64 {
        let mut count = 0;
        self.shared
            .note_api(|api| count = api.counters.failures.get(reason).copied().unwrap_or(0));
        count
    }
}

fn state(state: MemberState) -> VirtualIPNodeStatus {
    let mut status = node_status(
        &example::agent().groups,
        &Applied::default(),
        None,
        example::now(),
    );
    status.groups[0].state = state;
    status
}

fn active() -> VirtualIPNodeStatus {
    state(MemberState::Active)
}

fn backup() -> VirtualIPNodeStatus {
    state(MemberState::Backup)
}

fn said(asked: &Asked) -> VirtualIPNodeStatus {
    serde_json::from_value(asked.body["status"].clone()).unwrap()
}

const MOMENT: Duration = Duration::from_millis(10);

async fn secs(secs: u64) {
    sleep(Duration::from_secs(secs)).await;
}

#[tokio::test(start_paused = true)]
async fn a_status_is_written_once_and_its_lease_every_ten_seconds() {
    let world = World::new();
    sleep(MOMENT).await;
    let first = world.asked();
    let what: Vec<&str> = first.iter().map(|asked| asked.what).collect();
    assert_eq!(what, ["report", "look", "create"]);
    assert_eq!(said(&first[0]), backup());
    assert_eq!(first[0].body["metadata"], json!({ "name": "cp-1" }));
    let lease = &first[2].body;
    assert_eq!(lease["spec"]["leaseDurationSeconds"], 40);
    let holder = lease["spec"]["holderIdentity"].as_str().unwrap();
    assert!(holder.starts_with("cp-1_") && holder.len() > 20, "{holder}");
    secs(60).await;
    let later = world.asked();
    let when: Vec<(u64, &str)> = later
        .iter()
        .map(|asked| (asked.at.as_secs(), asked.what))
        .collect();
    assert_eq!(when, [10, 20, 30, 40, 50, 60].map(|second| (second, "renew")));
}

#[tokio::test(start_paused = true)]
async fn a_transition_is_written_at_once_and_something_small_within_a_second() {
    let world = World::new();
    sleep(Duration::from_millis(5300)).await;
    world.asked();
    world.happens(active());
    sleep(MOMENT).await;
    let asked = world.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(said(&asked[0]), active());
    assert!(asked[0].at <= Duration::from_millis(5310), "{:?}", asked[0].at);
    let mut small = active();
    small.groups[0].effective_priority = Some(7);
    world.is_now(small);
    sleep(Duration::from_millis(1100)).await;
    assert_eq!(world.asked_for(), ["report"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_true_for_a_moment_only_and_could_not_be_told_is_not_told() {
    let world = World::new();
    let mut small = backup();
    small.groups[0].effective_priority = Some(7);
    sleep(Duration::from_millis(1050)).await;
    world.is_now(small.clone());
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.asked().len(), 4, "told");
    world.happens(backup());
    sleep(MOMENT).await;
    world.happens(small);
    secs(5).await;
    assert_eq!(world.asked_for(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_only_the_latest_state_is_told_and_then_the_lease_renewed() {
    let world = World::new();
    secs(1).await;
    world.asked();
    world.server().status = Mood::Refuses(503, None);
    for _ in 0..50 {
        world.happens(active());
        secs(1).await;
        world.happens(backup());
        secs(1).await;
    }
    world.happens(active());
    secs(20).await;
    let during = world.asked();
    assert!(
        during.iter().all(|asked| asked.what == "report"),
        "a Lease was renewed while a transition was untold"
    );
    assert!(world.counted("server_error") > 50);
    world.server().status = Mood::Works;
    secs(11).await;
    let after = world.asked();
    let what: Vec<&str> = after.iter().map(|asked| asked.what).collect();
    assert_eq!(what[..2], ["report", "renew"]);
    assert!(!what[2..].contains(&"report"));
    assert_eq!(said(&after[0]), active());
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_honoured() {
    let world = World::new();
    secs(1).await;
    world.asked();
    world.server().status = Mood::Refuses(429, Some(30));
    world.happens(active());
    sleep(MOMENT).await;
    assert_eq!(world.asked_for(), ["report"]);
    world.happens(backup());
    secs(15).await;
    world.happens(active());
    secs(14).await;
    assert_eq!(world.asked_for(), [""; 0]);
    world.server().status = Mood::Works;
    secs(2).await;
    assert_eq!(world.asked_for(), ["report", "renew"]);
    assert_eq!(world.counted("throttled"), 1);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_not_there_yet_is_waited_for_quietly() {
    let world = World::new();
    world.server().status = Mood::Refuses(404, None);
    secs(95).await;
    let asked = world.asked_for();
    let count = |what| asked.iter().filter(|asked| **asked == what).count();
    assert!((10..=22).contains(&count("report")), "{asked:?}");
    assert_eq!(count("renew"), 9, "the agent lives");
    assert_eq!(world.counted("not_found"), 0);
    world.shared.note_api(|api| {
        assert!(api.reached);
        assert_eq!(api.unreported_since, None);
    });
    world.server().status = Mood::Works;
    world.happens(active());
    sleep(MOMENT).await;
    assert_eq!(
        world.asked_for()[0],
        "report",
        "told of it, the agent reports at once"
    );
}

#[tokio::test(start_paused = true)]
async fn a_transition_does_not_wait_for_a_renewal_under_way() {
    let world = World::new();
    secs(1).await;
    world.server().lease = Mood::Hangs;
    secs(10).await;
    world.asked();
    world.server().lease = Mood::Works;
    world.happens(active());
    sleep(MOMENT).await;
    assert_eq!(
        world.asked_for(),
        ["report", "look", "renew"],
        "whether the renewal that was broken off arrived is found out"
    );
}

#[tokio::test(start_paused = true)]
async fn what_may_have_arrived_is_corrected_when_it_is_no_longer_true() {
    let world = World::new();
    secs(1).await;
    world.asked();
    world.server().status = Mood::Hangs;
    world.happens(active());
    secs(1).await;
    world.is_now(backup());
    world.server().status = Mood::Works;
    secs(10).await;
    let reports: Vec<VirtualIPNodeStatus> = world
        .asked()
        .iter()
        .filter(|asked| asked.what == "report")
        .map(said)
        .collect();
    assert_eq!(reports, [active(), backup()]);
    assert_eq!(world.counted("timeout"), 1);
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_wrote_over_the_status_is_put_right() {
    let world = World::new();
    secs(6).await;
    world.asked();
    world.shared.set_stored_status(VirtualIPNodeStatus::default());
    secs(2).await;
    assert_eq!(world.asked_for(), ["report"]);
    secs(60).await;
    assert!(!world.asked_for().contains(&"report"), "once");
    world.shared.set_stored_status(backup());
    secs(30).await;
    assert!(!world.asked_for().contains(&"report"), "nothing is wrong");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_somebody_else_wrote_is_read_again() {
    let world = World::new();
    secs(1).await;
    world.asked();
    if let Some(lease) = &mut world.server().stored {
        lease["metadata"]["resourceVersion"] = json!("99");
        lease["spec"]["holderIdentity"] = json!("another");
    }
    secs(11).await;
    assert_eq!(world.asked_for(), ["renew", "look", "renew"]);
    let server = world.server();
    let spec = &server.stored.as_ref().unwrap()["spec"];
    assert_eq!(spec["leaseTransitions"], 1);
    assert_ne!(spec["holderIdentity"], "another");
}

#[tokio::test(start_paused = true)]
async fn who_does_not_know_what_is_true_says_nothing_and_renews_nothing() {
    let world = World::new();
    secs(1).await;
    world.asked();
    *world.truth.lock().unwrap() = None;
    secs(60).await;
    assert_eq!(world.asked_for(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn the_last_word_is_that_nothing_is_held() {
    let mut world = World::new();
    world.is_now(active());
    secs(2).await;
    world.asked();
    let reporter = world.reporter.take().unwrap();
    reporter.finish(Duration::from_secs(1)).await;
    let asked = world.asked();
    assert_eq!(asked.len(), 1);
    let expected = last_word(&active(), example::now());
    let states = |status: &VirtualIPNodeStatus| -> Vec<MemberState> {
        status.groups.iter().map(|group| group.state).collect()
    };
    assert_eq!(states(&said(&asked[0])), states(&expected));
    secs(60).await;
    assert_eq!(world.asked_for(), [""; 0], "and it was the last");
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_hangs_does_not_hold_up_the_end() {
    let mut world = World::new();
    secs(1).await;
    world.server().status = Mood::Hangs;
    world.happens(active());
    sleep(MOMENT).await;
    let before = Instant::now();
    let reporter = world.reporter.take().unwrap();
    reporter.finish(Duration::from_secs(1)).await;
    assert_eq!(before.elapsed(), Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_reporter_that_is_dropped_ends_without_a_word() {
    let mut world = World::new();
    secs(1).await;
    world.asked();
    drop(world.reporter.take());
    secs(60).await;
    assert_eq!(world.asked_for(), [""; 0]);
}
