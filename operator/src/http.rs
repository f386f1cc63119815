//! HTTP for probes and scrapers: `/healthz`, `/readyz`, `/metrics`.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::leader::Leadership;
use crate::metrics::Metrics;
use crate::world::World;

/// What is answered from.
#[derive(Clone, Debug)]
pub struct Answers {
    /// What is known.
    pub world: Arc<World>,
    /// What is measured.
    pub metrics: Arc<Metrics>,
    /// Whether this replica leads.
    pub leadership: Arc<Leadership>,
}

/// Serves until the task is aborted.
pub async fn serve(listener: TcpListener, answers: Answers) {
    if let Err(error) = axum::serve(listener, router(answers)).await {
        tracing::error!("serving metrics and probes: {error}");
    }
}

fn router(answers: Answers) -> Router {
    Router::new()
        // An answer at all is what it asks for: everything runs on the thread that answers.
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(scrape))
        .with_state(answers)
}

async fn readyz(State(answers): State<Answers>) -> Response {
    let missing = answers.world.not_watching();
    if missing.is_empty() {
        let role = if answers.leadership.holds() {
            "leading"
        } else {
            "standing by"
        };
        return format!("ok ({role})\n").into_response();
    }
    let lines = missing
        .iter()
        .map(|(kind, why)| format!("not watching {}: {why}\n", kind.as_str()));
    (StatusCode::SERVICE_UNAVAILABLE, lines.collect::<String>()).into_response()
}

async fn scrape(State(answers): State<Answers>) -> Response {
    match answers.metrics.render(&answers.world, answers.leadership.holds()) {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::clock::Clock;
    use crate::world::{Kind, WatchState};

    async fn ask(address: std::net::SocketAddr, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: operator\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn an_operator_is_ready_when_every_watch_delivers_and_says_which_does_not() {
        let answers = Answers {
            world: Arc::new(World::new(Clock::start(), core::time::Duration::from_mins(5))),
            metrics: Arc::new(Metrics::new().unwrap()),
            leadership: Arc::default(),
        };
        let world = Arc::clone(&answers.world);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, answers));

        assert!(ask(address, "/healthz").await.starts_with("HTTP/1.1 200"));
        assert!(ask(address, "/readyz").await.starts_with("HTTP/1.1 503"));
        for kind in Kind::ALL {
            world.set_watch(kind, &WatchState::Up);
        }
        let ready = ask(address, "/readyz").await;
        assert!(
            ready.starts_with("HTTP/1.1 200") && ready.contains("standing by"),
            "{ready}"
        );
        world.set_watch(Kind::Stored, &WatchState::Down("no such kind".to_owned()));
        let missing = ask(address, "/readyz").await;
        assert!(
            missing.contains("not watching VirtualIPNode: no such kind"),
            "{missing}"
        );
        assert!(
            ask(address, "/metrics")
                .await
                .contains("holdfast_operator_leader 0")
        );
    }
}
