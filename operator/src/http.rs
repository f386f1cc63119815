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
