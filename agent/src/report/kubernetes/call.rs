//! One request to the API server: answered, or failed for one of a few reasons and with a sentence about it.

use core::time::Duration;

use http::{Request, Response, StatusCode, header};
use kube::Client;
use kube::client::Body;
use serde::Deserialize;

/// How long one request may take. What is said later than that is no news.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The longest `Retry-After` that is believed.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(2);

/// Why a request failed, in one word: a metric's label.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// No connection, or it broke.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// 401: who this agent is was not believed.
    Unauthorized,
    /// 403: it may not do that.
    Forbidden,
    /// 404: there is no such object.
    NotFound,
    /// 409: somebody else wrote in between.
    Conflict,
    /// 429: too many requests.
    Throttled,
    /// Another 4xx: the object was not accepted.
    Rejected,
    /// 5xx, or an answer that makes no sense.
    ServerError,
}

impl Reason {
    /// Every reason.
    #[cfg(test)]
    pub const ALL: [Self; 9] = [
        Self::Unreachable,
        Self::Timeout,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::Conflict,
        Self::Throttled,
        Self::Rejected,
        Self::ServerError,
    ];

    /// The word.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Throttled => "throttled",
            Self::Rejected => "rejected",
            Self::ServerError => "server_error",
        }
    }

    const fn of(status: StatusCode) -> Self {
        match status {
            StatusCode::UNAUTHORIZED => Self::Unauthorized,
            StatusCode::FORBIDDEN => Self::Forbidden,
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::CONFLICT => Self::Conflict,
            StatusCode::TOO_MANY_REQUESTS => Self::Throttled,
            status if status.as_u16() / 100 == 4 => Self::Rejected,
            _ => Self::ServerError,
        }
    }
}

/// A request that failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// Why, in one word.
    pub reason: Reason,
    /// Why, in a sentence.
    pub message: String,
    /// How long the API server wants to be left alone.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// A failure that says nothing about when to try again.
    pub fn new(reason: Reason, message: String) -> Self {
        Self {
            reason,
            message,
            retry_after: None,
        }
    }
}

/// Sends a request and answers the body of a successful answer.
pub async fn call(client: &Client, request: Request<Vec<u8>>) -> Result<Vec<u8>, Failure> {
    let exchange = async {
        let response = client
            .send(request.map(Body::from))
            .await
            .map_err(|error| broken(&error))?;
        let (status, retry_after) = (response.status(), retry_after(&response));
        let body = response
            .into_body()
            .collect_bytes()
            .await
            .map_err(|error| broken(&error))?;
        if status.is_success() {
            return Ok(body.to_vec());
        }
        Err(Failure {
            reason: Reason::of(status),
            message: format!("the API server answers {status}: {}", explanation(&body)),
            retry_after,
        })
    };
    tokio::time::timeout(TIMEOUT, exchange).await.unwrap_or_else(|_| {
        let message = format!("the API server did not answer within {} s", TIMEOUT.as_secs());
        Err(Failure::new(Reason::Timeout, message))
    })
}

/// Reads the object in a successful answer.
pub fn parse<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| {
        let message = format!("the API server's answer makes no sense: {error}");
        Failure::new(Reason::ServerError, message)
    })
}

fn broken(error: &kube::Error) -> Failure {
    let mut message = match error {
        // Its own words only say that there is a source.
        kube::Error::Service(source) => source.to_string(),
        other => other.to_string(),
    };
    let mut source = match error {
        kube::Error::Service(source) => source.source(),
        other => core::error::Error::source(other).and_then(core::error::Error::source),
    };
    while let Some(deeper) = source {
        let text = deeper.to_string();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        source = deeper.source();
    }
    Failure::new(
        Reason::Unreachable,
        format!("the API server is not reached: {message}"),
    )
}

fn retry_after<T>(response: &Response<T>) -> Option<Duration> {
    let seconds = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    // Kubernetes always writes seconds.
    let wait = Duration::from_secs(seconds.trim().parse().ok()?);
    Some(wait.min(MAX_RETRY_AFTER))
}

/// What the API server says about a refusal.
fn explanation(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Status {
        message: String,
    }
    let text = match serde_json::from_slice::<Status>(body) {
        Ok(status) => status.message,
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    text.trim().chars().take(512).collect()
}
