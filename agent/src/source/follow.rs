//! Follows one object of the API for ever, whatever happens to the API server meanwhile.

use core::fmt::Debug;
use core::time::Duration;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use futures::StreamExt as _;
use kube::runtime::utils::Backoff;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use crate::api_server::ApiServer;

/// The waits between attempts: doubled from the first to the last, each between half and all of itself.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LAST_WAIT: Duration = Duration::from_secs(10);

/// An attempt that went well for so long makes the next failure a first one.
const CALM: Duration = Duration::from_secs(30);

/// What was seen of an object.
pub enum Seen<K> {
    /// It is there, and like this.
    There(Box<K>),
    /// It is not there.
    Absent,
    /// The API server answered that it does not give it; a sentence.
    Denied(String),
}

/// Calls `see` whenever something is seen of the object `name`.
pub async fn follow<K>(server: &ApiServer, api: Api<K>, name: &str, mut see: impl FnMut(Seen<K>))
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut severed = server.severed();
    loop {
        severed.mark_unchanged();
        let watched = watcher::watch_object(api.clone(), name).backoff(Waits::default());
        let mut watched = core::pin::pin!(watched);
        loop {
            let outcome = tokio::select! {
                outcome = watched.next() => outcome,
                // What comes in comes through an address of this node: begin anew, another way.
                _ = severed.changed() => break,
            };
            match outcome {
                Some(Ok(Some(object))) => see(Seen::There(Box::new(object))),
                Some(Ok(None)) => see(Seen::Absent),
                Some(Err(error)) => see_error(&error, &mut see),
                None => break,
            }
        }
    }
}

/// Of the errors, those count that are an answer: the way to the API server is looked after elsewhere, and a watch that has
/// expired begins again by itself.
fn see_error<K>(error: &watcher::Error, see: &mut impl FnMut(Seen<K>)) {
    let status = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => status,
        error => {
            tracing::debug!("watching: {:#}", describe(error));
            return;
        }
    };
    match status.code {
        // Its kind is not there, so neither is it.
        404 => see(Seen::Absent),
        401 | 403 => see(Seen::Denied(status.message.clone())),
        code => tracing::debug!("watching: {code} {}", status.message),
    }
}

fn describe(error: &watcher::Error) -> String {
    let mut text = error.to_string();
    let mut source = core::error::Error::source(error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// How long to wait after each failure, for ever.
#[derive(Debug)]
struct Waits {
    next: Duration,
    last: Option<tokio::time::Instant>,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            next: FIRST_WAIT,
            last: None,
        }
    }
}

impl Iterator for Waits {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let now = tokio::time::Instant::now();
        if self.last.is_some_and(|last| now.duration_since(last) >= CALM) {
            self.next = FIRST_WAIT;
        }
        self.last = Some(now);
        let wait = self.next;
        self.next = (2 * wait).min(LAST_WAIT);
        // A fleet that lost its API server at one moment must not come back at one.
        let random = RandomState::new().build_hasher().finish();
        let part = u32::try_from(random % 1000).unwrap_or_default();
        Some(wait / 2 + wait / 2 * part / 1000)
    }
}

impl Backoff for Waits {
    fn reset(&mut self) {
        self.next = FIRST_WAIT;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_grow_to_a_limit_and_begin_again_after_a_calm() {
        let mut waits = Waits::default();
        let mut all = Vec::new();
        for _ in 0..50 {
            all.push(waits.next().unwrap());
        }
        assert!(all[0] <= FIRST_WAIT && all[0] >= FIRST_WAIT / 2);
        assert!(
            all[10..]
                .iter()
                .all(|wait| *wait >= LAST_WAIT / 2 && *wait <= LAST_WAIT)
        );
        let distinct: std::collections::BTreeSet<_> = all[10..].iter().collect();
        assert!(distinct.len() > 5, "no two agents wait alike: {distinct:?}");
        tokio::time::advance(CALM).await;
        assert!(waits.next().unwrap() <= FIRST_WAIT);
    }
}
