//! HTTP for probes and scrapers: `/healthz`, `/readyz`, `/metrics`, with as many clients and as long as is good for us.

use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

use super::{Shared, metrics, words};
use crate::status::Role;

/// Connections at a time; further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 16;

/// How long a connection may live: longer than any scrape interval's timeout, shorter than patience.
const CONNECTION_LIFETIME: Duration = Duration::from_secs(30);

/// How long to wait for an address that is in use: by the agent whose standby this is, most likely.
const RETRY: Duration = Duration::from_secs(1);

/// Serves at `address` until the task is aborted. While somebody else uses the address (an agent whose standby this
/// one is) it waits and says so once.
pub async fn serve(address: SocketAddr, shared: Arc<Shared>) {
    let mut told = false;
    let listener = loop {
        match TcpListener::bind(address).await {
            Ok(listener) => break listener,
            Err(error) => {
                if !std::mem::replace(&mut told, true) {
                    say_unavailable(address, &error, shared.role());
                }
                tokio::time::sleep(RETRY).await;
            }
        }
    };
    tracing::debug!("serving metrics and probes at {address}");
    let listener = Bounded {
        listener,
        connections: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
    };
    if let Err(error) = axum::serve(listener, router(shared)).await {
        tracing::error!("serving metrics and probes at {address}: {error}");
    }
}

fn say_unavailable(address: SocketAddr, error: &io::Error, role: Role) {
    if role == Role::Standby && error.kind() == io::ErrorKind::AddrInUse {
        tracing::info!("{address} is served by another agent as long as that one runs");
    } else {
        tracing::warn!(
            "cannot serve metrics and probes at {address}: {error}; trying again every second \
             (--metrics-address chooses another address)"
        );
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(scrape))
        .with_state(shared)
}

async fn healthz(State(shared): State<Arc<Shared>>) -> Response {
    match shared.heartbeat_age() {
        Some(age) if !shared.healthy() => {
            let sentence = format!(
                "the engine is stuck: it last went round its loop {} ago\n",
                words::duration(age)
            );
            (StatusCode::SERVICE_UNAVAILABLE, sentence).into_response()
        }
        _ => "ok\n".into_response(),
    }
}

async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    if shared.ready() {
        let why = shared.wait().map(|wait| format!(": {}", wait.message));
        format!("ok ({:?}){}\n", shared.role(), why.unwrap_or_default()).into_response()
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "no configuration is in force yet, or the engine is stuck\n",
        )
            .into_response()
    }
}

async fn scrape(State(shared): State<Arc<Shared>>) -> Response {
    let status = match shared.status().await {
        Ok(status) => status,
        Err(error) => return (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
    };
    let extra = metrics::Extra {
        now: jiff::Timestamp::now(),
        heartbeat_age: shared.heartbeat_age(),
        transitions: shared.transitions(),
        closed: shared.closed(),
    };
    match metrics::render(&status, &extra) {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::content_type())], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// A listener that admits so many connections at a time, each for so long.
struct Bounded {
    listener: TcpListener,
    connections: Arc<Semaphore>,
}

impl axum::serve::Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let permit = loop {
            // The semaphore is never closed.
            if let Ok(permit) = Arc::clone(&self.connections).acquire_owned().await {
                break permit;
            }
        };
        let (stream, peer) = axum::serve::Listener::accept(&mut self.listener).await;
        let deadline = Box::pin(tokio::time::sleep(CONNECTION_LIFETIME));
        (
            Connection {
                stream,
                deadline,
                _permit: permit,
            },
            peer,
        )
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that ends at its deadline, whatever the client does or does not send.
struct Connection {
    stream: TcpStream,
    deadline: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    fn expired(&mut self, context: &mut Context<'_>) -> bool {
        self.deadline.as_mut().poll(context).is_ready()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.expired(context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.expired(context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_logging::LogControl;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn request(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// The address of a server, and the connections that it can still take.
    async fn started() -> (SocketAddr, Arc<Semaphore>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let listener = Bounded {
            listener,
            connections: Arc::clone(&connections),
        };
        let shared = Arc::new(Shared::new("cp-1", LogControl::default()));
        tokio::spawn(async move { axum::serve(listener, router(shared)).await });
        (address, connections)
    }

    #[tokio::test]
    async fn a_standby_is_healthy_ready_and_measured() {
        let (address, _) = started().await;
        for path in ["/healthz", "/readyz", "/metrics"] {
            let answer = request(address, path).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        }
        assert!(
            request(address, "/metrics")
                .await
                .contains("holdfast_agent_standby 1")
        );
        assert!(request(address, "/other").await.starts_with("HTTP/1.1 404"));
    }

    #[tokio::test]
    async fn a_standby_that_is_ready_says_why_it_stands_by() {
        let shared = Shared::new("cp-1", LogControl::default());
        shared.set_wait(crate::status::WaitStatus {
            process: 7,
            version: None,
            message: "group web: …".to_owned(),
        });
        let response = readyz(State(Arc::new(shared))).await;
        assert_eq!(response.status(), StatusCode::OK);
        let body = axum::body::to_bytes(response.into_body(), 1024).await.unwrap();
        assert_eq!(body, "ok (Standby): group web: …\n");
    }

    #[tokio::test]
    async fn connections_that_say_nothing_end_and_let_others_in() {
        let (address, connections) = started().await;
        let mut silent = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        while connections.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        // The clock is virtual while it jumps over their lifetime.
        tokio::time::pause();
        tokio::time::advance(CONNECTION_LIFETIME + Duration::from_secs(1)).await;
        tokio::time::resume();
        assert!(request(address, "/healthz").await.starts_with("HTTP/1.1 200"));
    }
}
