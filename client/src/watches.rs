//! Paced watches: a layer for a client of the API server that lets no watch begin anew more than once a second.
//!
//! A watch that has ended well is begun again at once, as it should be: servers end each after some minutes. A proxy or a
//! server that ends each watch as soon as it has answered would so be asked a thousand times a second by every node, and
//! nobody would hear of an error to wait after.

#[cfg(test)]
mod tests;

use core::task::{Context, Poll};
use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::{BoxFuture, Either};
use http::{Method, Request, Uri};
use tokio::time::{Instant, sleep_until};
use tower::{Layer, Service};

use crate::chance;

/// How far apart two watches of the same begin at least.
pub const PACE: Duration = Duration::from_secs(1);

/// Who waits does so for up to so much longer: nodes that a proxy cut off at one moment do not stay in step.
pub const JITTER: Duration = Duration::from_millis(250);

/// The layer. A watch waits if the last one of the same, through this layer, began less than [`PACE`] ago; every other
/// request passes.
///
/// The service below is called at once and its answer is asked for when the time has come, so it is one that begins its work
/// only then. What is behind a [`kube::Client`](https://docs.rs/kube/latest/kube/struct.Client.html) does.
#[derive(Clone, Debug, Default)]
pub struct PacedWatches {
    begun: Arc<Begun>,
}

impl<S> Layer<S> for PacedWatches {
    type Service = Paced<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Paced {
            inner,
            begun: Arc::clone(&self.begun),
        }
    }
}

/// A service whose watches are paced.
#[derive(Clone, Debug)]
pub struct Paced<S> {
    inner: S,
    begun: Arc<Begun>,
}

impl<S, B> Service<Request<B>> for Paced<S>
where
    S: Service<Request<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, BoxFuture<'static, Result<S::Response, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let subject = Subject::watched_by(&request);
        let answer = self.inner.call(request);
        let Some(subject) = subject else {
            return Either::Left(answer);
        };
        let begun = Arc::clone(&self.begun);
        Either::Right(Box::pin(async move {
            // Somebody else who waited may have begun meanwhile.
            while let Err(time) = begun.begin(&subject, Instant::now()) {
                sleep_until(time).await;
            }
            answer.await
        }))
    }
}

/// What is watched: from which version on, and for how long, makes no other watch of it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Subject {
    path: String,
    selectors: Vec<String>,
}

impl Subject {
    /// What this request begins to watch, if it does.
    fn watched_by<B>(request: &Request<B>) -> Option<Self> {
        if request.method() != Method::GET {
            return None;
        }
        let uri = request.uri();
        parameters(uri)
            .any(|parameter| matches!(parameter, "watch=true" | "watch=1"))
            .then(|| Self {
                path: uri.path().to_owned(),
                selectors: parameters(uri)
                    .filter(|it| it.starts_with("fieldSelector=") || it.starts_with("labelSelector="))
                    .map(str::to_owned)
                    .collect(),
            })
    }
}

fn parameters(uri: &Uri) -> impl Iterator<Item = &str> {
    uri.query().unwrap_or_default().split('&')
}

/// When the watches of the last second began; older ones are forgotten.
#[derive(Debug, Default)]
struct Begun {
    times: Mutex<HashMap<Subject, Instant>>,
}

impl Begun {
    /// A watch begins, or may try again at the time of the error. Who goes away meanwhile has delayed nobody.
    fn begin(&self, subject: &Subject, now: Instant) -> Result<(), Instant> {
        // A panic leaves a time too many or too few, which costs a second at most.
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.retain(|_, begun| now.duration_since(*begun) < PACE);
        if let Some(begun) = times.get(subject) {
            return Err(*begun + PACE + JITTER.mul_f64(chance()));
        }
        times.insert(subject.clone(), now);
        Ok(())
    }
}
