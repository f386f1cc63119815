//! Who waits and who does not, on a virtual clock; and a server that ends every watch, asked by Kubernetes' own watcher.

use std::collections::BTreeSet;
use std::convert::Infallible;

use futures::StreamExt as _;
use http::Response;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::client::Body;
use kube::runtime::watcher;
use kube::{Api, Client};
use tower::ServiceExt as _;

use super::*;

const PODS: &str = "/api/v1/pods?&watch=true&resourceVersion=7";
const ROUND_TRIP: Duration = Duration::from_millis(1);

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// How long a request waits until the server sees it.
async fn wait(service: &Paced<Server>, method: Method, uri: &str) -> Duration {
    let request = Request::builder().method(method).uri(uri).body(()).unwrap();
    let start = Instant::now();
    let Ok(seen) = service.clone().oneshot(request).await;
    seen - start
}

async fn watch(service: &Paced<Server>, uri: &str) -> Duration {
    wait(service, Method::GET, uri).await
}

/// Answers when it was asked.
#[derive(Clone)]
struct Server;

impl Service<Request<()>> for Server {
    type Response = Instant;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Instant, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        Box::pin(async { Ok(Instant::now()) })
    }
}

fn paced() -> Paced<Server> {
    PacedWatches::default().layer(Server)
}

/// Whether it waited until a second after one that began `earlier`.
fn was_paced(waited: Duration, earlier: Duration) -> bool {
    let rest = PACE.saturating_sub(earlier);
    // A timer's resolution is a millisecond.
    (rest..=rest + JITTER + ms(2)).contains(&waited)
}

#[tokio::test(start_paused = true)]
async fn the_first_watch_goes_at_once_and_the_next_when_a_second_is_over() {
    let service = paced();
    assert_eq!(watch(&service, PODS).await, Duration::ZERO);
    tokio::time::advance(ms(300)).await;
    let second = watch(&service, PODS).await;
    assert!(was_paced(second, ms(300)), "{second:?}");
    let third = watch(&service, PODS).await;
    assert!(was_paced(third, Duration::ZERO), "{third:?}");
}

#[tokio::test(start_paused = true)]
async fn a_watch_whose_predecessor_lasted_goes_at_once() {
    let service = paced();
    for _ in 0..5 {
        assert_eq!(watch(&service, PODS).await, Duration::ZERO);
        tokio::time::advance(PACE).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_from_another_version_is_the_same_and_one_of_something_else_is_not() {
    let service = paced();
    watch(&service, PODS).await;
    for other in [
        "/api/v1/nodes?watch=true",
        "/api/v1/pods?watch=true&fieldSelector=metadata.name%3Done",
        "/api/v1/pods?watch=true&fieldSelector=metadata.name%3Dtwo",
        "/api/v1/pods?watch=true&labelSelector=app%3Done",
    ] {
        assert_eq!(watch(&service, other).await, Duration::ZERO, "{other}");
    }
    let same = watch(
        &service,
        "/api/v1/pods?watch=1&resourceVersion=8&timeoutSeconds=9",
    )
    .await;
    assert!(was_paced(same, Duration::ZERO), "{same:?}");
}

#[tokio::test(start_paused = true)]
async fn everything_that_begins_no_watch_passes() {
    let service = paced();
    watch(&service, PODS).await;
    for (method, uri) in [
        (Method::GET, "/api/v1/pods?&limit=250"),
        (Method::GET, "/api/v1/pods?watch=false"),
        (Method::GET, "/api/v1/pods?notwatch=true"),
        (Method::GET, "/api/v1/pods"),
        (Method::POST, PODS),
    ] {
        for _ in 0..3 {
            let waited = wait(&service, method.clone(), uri).await;
            assert_eq!(waited, Duration::ZERO, "{method} {uri}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn of_several_that_wait_one_goes_each_second() {
    let service = paced();
    watch(&service, PODS).await;
    let (one, two, three) = tokio::join!(
        watch(&service, PODS),
        watch(&service, PODS),
        watch(&service, PODS)
    );
    let mut order = [one, two, three];
    order.sort();
    let [one, two, three] = order;
    assert!(
        one >= PACE && two >= one + PACE && three >= two + PACE,
        "{order:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn one_that_waited_and_went_away_delays_nobody() {
    let service = paced();
    watch(&service, PODS).await;
    for _ in 0..5 {
        let gone = tokio::time::timeout(ms(100), watch(&service, PODS)).await;
        assert!(gone.is_err());
    }
    let waited = watch(&service, PODS).await;
    assert!(was_paced(waited, ms(500)), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn no_two_nodes_wait_alike() {
    let mut waits = BTreeSet::new();
    for _ in 0..20 {
        let service = paced();
        watch(&service, PODS).await;
        waits.insert(watch(&service, PODS).await);
    }
    assert!(waits.len() > 5, "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_older_than_a_second_is_forgotten() {
    let service = paced();
    for number in 0..100 {
        watch(&service, &format!("/api/v1/pods/{number}?watch=true")).await;
        tokio::time::advance(ms(100)).await;
    }
    assert!(service.begun.times.lock().unwrap().len() <= 10);
}

/// How many watches Kubernetes' own watcher begins in ten seconds at a server that ends each as soon as it has answered.
async fn watches_in_ten_seconds(layer: impl Fn(CuttingServer) -> Client) -> usize {
    let server = CuttingServer::default();
    let api: Api<ConfigMap> = Api::default_namespaced(layer(server.clone()));
    let watcher = watcher::watcher(api, watcher::Config::default());
    let events = watcher.for_each(async |event| drop(event.unwrap()));
    assert!(
        tokio::time::timeout(Duration::from_secs(10), events)
            .await
            .is_err()
    );
    *server.watches.lock().unwrap()
}

#[derive(Clone, Default)]
struct CuttingServer {
    watches: Arc<Mutex<usize>>,
}

impl Service<Request<Body>> for CuttingServer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let server = self.clone();
        Box::pin(async move {
            tokio::time::sleep(ROUND_TRIP).await;
            if Subject::watched_by(&request).is_some() {
                *server.watches.lock().unwrap() += 1;
                return Ok(Response::new(Body::empty()));
            }
            let list = serde_json::json!({ "metadata": { "resourceVersion": "7" }, "items": [] });
            Ok(Response::new(Body::from(list.to_string().into_bytes())))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_every_watch_is_asked_once_a_second_and_not_as_fast_as_it_answers() {
    let bare = watches_in_ten_seconds(|server| Client::new(server, "default")).await;
    assert!(
        bare > 1000,
        "Kubernetes' watcher waits by itself: the layer may go ({bare})"
    );
    let paced =
        watches_in_ten_seconds(|server| Client::new(PacedWatches::default().layer(server), "default")).await;
    assert!((8..=10).contains(&paced), "{paced}");
}
