//! The way to the API server: one client for the whole life of the agent, behind which connections, certificates and
//! addresses come and go. It never leads through a virtual address of this node, and nothing that serves waits for it.

mod access;
mod dial;
mod guard;
mod way;

pub use access::Access;

use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use holdfast_client::PacedWatches;
use http::{Request, Response, StatusCode};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::Client;
use kube::client::{Body, ConfigExt as _};
use tokio::sync::{Mutex, watch};
use tower::{BoxError, ServiceBuilder};

use access::{AccessError, Plan};
use dial::Dialer;
use guard::Guard;
use way::{News, Way};

/// How long the API server may take to begin an answer. A watch begins at once, whatever there is to tell.
const ANSWER: Duration = Duration::from_secs(15);

/// How long a connection that nobody uses is kept: longer than the Lease's renewals are apart.
const IDLE: Duration = Duration::from_secs(30);

/// The API server as this agent reaches it.
#[derive(Clone, Debug)]
pub struct ApiServer {
    link: Arc<Link>,
}

#[derive(Debug)]
struct Link {
    access: Access,
    guard: Arc<Guard>,
    connected: Mutex<Option<Connected>>,
    /// Counts clients, so that an old one's failure does not cost a new one.
    clients: AtomicU64,
    /// Which name the certificate has to have: the next client tries the other one.
    other_name: AtomicBool,
    /// Where requests go, for the log.
    server: std::sync::Mutex<String>,
    way: std::sync::Mutex<Way>,
    /// The addresses of the host that the kubeconfig names.
    endpoint: watch::Sender<BTreeSet<IpAddr>>,
}

/// A client, as long as it works.
#[derive(Clone)]
struct Connected {
    number: u64,
    /// How often connections had been given up when this one was made.
    severed: u64,
    client: Client,
    answered: Arc<AtomicBool>,
}

impl core::fmt::Debug for Connected {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Connected")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("no answer within {} s", ANSWER.as_secs())]
struct NoAnswer;

impl ApiServer {
    /// The API server of `access`, which is not asked anything yet.
    pub fn new(access: Access) -> Self {
        Self {
            link: Arc::new(Link {
                access,
                guard: Arc::new(Guard::default()),
                connected: Mutex::new(None),
                clients: AtomicU64::new(0),
                other_name: AtomicBool::new(false),
                server: std::sync::Mutex::default(),
                way: std::sync::Mutex::default(),
                endpoint: watch::Sender::new(BTreeSet::new()),
            }),
        }
    }

    /// A client for the life of the agent. Needs a tokio runtime.
    pub fn client(&self, namespace: &str) -> Client {
        let link = Arc::clone(&self.link);
        let send = move |request: Request<Body>| {
            let link = Arc::clone(&link);
            async move { link.send(request).await }
        };
        // In front of the connections: their number and their time limits are none of its business.
        let service = ServiceBuilder::new()
            .layer(PacedWatches::default())
            .service_fn(send);
        Client::new(service, namespace)
    }

    /// From now on these virtual addresses are never dialed, and connections to them are given up.
    pub fn protect(&self, addresses: BTreeSet<IpAddr>) {
        self.link.guard.protect(addresses);
    }

    /// Changes whenever what is being received is to be given up, because it comes through an address of this node.
    pub fn severed(&self) -> watch::Receiver<u64> {
        self.link.guard.severed()
    }

    /// Follows which host was not dialed because it is an address of this node.
    pub fn refused(&self) -> watch::Receiver<Option<String>> {
        self.link.guard.refused()
    }

    /// Follows the addresses of the host that the kubeconfig names.
    pub fn endpoint(&self) -> watch::Receiver<BTreeSet<IpAddr>> {
        self.link.endpoint.subscribe()
    }
}

impl Link {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, BoxError> {
        let answer = self.try_send(request).await;
        let failure = match &answer {
            Ok(response) if !way::is_failure(response.status()) => None,
            Ok(response) => Some(response.status().to_string()),
            Err(error) => Some(describe(error.as_ref())),
        };
        self.note(failure);
        answer
    }

    async fn try_send(&self, request: Request<Body>) -> Result<Response<Body>, BoxError> {
        let connected = self.connect().await?;
        let answer = match tokio::time::timeout(ANSWER, connected.client.send(request)).await {
            Ok(answer) => answer.map_err(|error| match error {
                kube::Error::Service(error) => error,
                error => error.into(),
            }),
            Err(_) => Err(NoAnswer.into()),
        };
        match &answer {
            Ok(response) => {
                connected.answered.store(true, Ordering::Relaxed);
                if response.status() == StatusCode::UNAUTHORIZED {
                    // The certificate or token may have been replaced.
                    self.forget(&connected).await;
                }
            }
            Err(_) => self.forget(&connected).await,
        }
        answer
    }

    /// Says in the log what has become of the way to the API server.
    fn note(&self, failure: Option<String>) {
        let now = tokio::time::Instant::now();
        let mut way = self.way.lock().unwrap_or_else(PoisonError::into_inner);
        let news = match failure {
            None => way.answered(now),
            Some(_) => way.failed(now),
        };
        drop(way);
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match (news, failure) {
            (Some(News::Lost), Some(failure)) => tracing::warn!(
                server,
                "the API server is not reached: {failure}; what runs keeps running, and it is tried for ever"
            ),
            (Some(News::Back(outage)), _) => tracing::info!(
                server,
                "the API server is reached again, after {}",
                crate::report::words::outage(outage)
            ),
            _ => {}
        }
    }

    async fn connect(&self) -> Result<Connected, AccessError> {
        let mut connected = self.connected.lock().await;
        let severed = *self.guard.severed().borrow();
        if let Some(connected) = connected.as_ref().filter(|present| present.severed == severed) {
            return Ok(connected.clone());
        }
        let plan = self.access.plan().await?;
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = plan.config.cluster_url.to_string();
        self.find_endpoint(plan.written_host.clone());
        let new = Connected {
            number: self.clients.fetch_add(1, Ordering::Relaxed),
            severed,
            client: self.client(plan)?,
            answered: Arc::default(),
        };
        *connected = Some(new.clone());
        Ok(new)
    }

    /// Has the next request read everything anew, unless one already did.
    async fn forget(&self, failed: &Connected) {
        let mut connected = self.connected.lock().await;
        if connected
            .as_ref()
            .is_some_and(|present| present.number == failed.number)
        {
            *connected = None;
            if !failed.answered.load(Ordering::Relaxed) {
                self.other_name.fetch_xor(true, Ordering::Relaxed);
            }
        }
    }

    fn client(&self, plan: Plan) -> Result<Client, kube::Error> {
        let Plan {
            mut config,
            written_host,
        } = plan;
        // The certificate of an API server that is reached by another way than the kubeconfig's has the name that the
        // kubeconfig has; whether it has 127.0.0.1 as well depends on who made it.
        let elsewhere = self.access.server.is_some() && config.tls_server_name.is_none();
        if elsewhere && !self.other_name.load(Ordering::Relaxed) {
            config.tls_server_name = written_host;
        }
        let https = config.rustls_https_connector_with_connector(Dialer::new(Arc::clone(&self.guard)))?;
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(https);
        let service = ServiceBuilder::new()
            .layer(config.base_uri_layer())
            .option_layer(config.auth_layer()?)
            .layer(config.extra_headers_layer()?)
            .map_err(BoxError::from)
            .service(http);
        Ok(Client::new(service, config.default_namespace))
    }

    /// Finds the addresses of the kubeconfig's host, which nothing waits for.
    fn find_endpoint(&self, host: Option<String>) {
        let Some(host) = host else { return };
        let endpoint = self.endpoint.clone();
        let publish = move |found: BTreeSet<IpAddr>| {
            endpoint.send_if_modified(|before| {
                let changed = *before != found;
                *before = found;
                changed
            })
        };
        if let Some(address) = dial::address(&host) {
            publish(BTreeSet::from([address.to_canonical()]));
            return;
        }
        tokio::spawn(async move {
            // A name that cannot be resolved now keeps the addresses it had.
            if let Ok(found) = tokio::net::lookup_host((host, 0)).await {
                publish(found.map(|address| address.ip().to_canonical()).collect());
            }
        });
    }
}

/// An error and what is behind it, each said once.
fn describe(error: &(dyn core::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    text
}
