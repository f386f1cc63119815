//! Follows one object of the API for ever, whatever happens to the API server meanwhile.

use core::fmt::Debug;
use core::time::Duration;

use futures::StreamExt as _;
use holdfast_client::{Backoff, chance};
use kube::runtime::watcher;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::api_server::ApiServer;

/// The waits between attempts: doubled from the first to the last, each between half and all of itself. A server that
/// answers with an error is about to recover, as a rule; one that does not answer may be gone for long.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LAST_WAIT_ANSWERED: Duration = Duration::from_secs(4);
const LAST_WAIT: Duration = Duration::from_secs(8);

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
    let (mut severed, mut waits) = (server.severed(), Waits::default());
    loop {
        severed.mark_unchanged();
        let watched = watcher::watch_object(api.clone(), name);
        let listen = async {
            let mut watched = core::pin::pin!(watched);
            while let Some(outcome) = watched.next().await {
                match outcome {
                    Ok(object) => {
                        see(object.map_or(Seen::Absent, |object| Seen::There(Box::new(object))));
                    }
                    Err(error) => {
                        let recovers = see_error(&error, &mut see);
                        tokio::time::sleep(waits.next(recovers)).await;
                        // Everything is asked for again. A server that was away may have been given an older copy of its
                        // data, and would say nothing to somebody who asks for what is newer than what it has.
                        return;
                    }
                }
            }
        };
        tokio::select! {
            () = listen => {}
            // What comes in comes through an address of this node: begin anew, another way.
            _ = severed.changed() => {}
        }
    }
}

/// Of the errors, those count that are an answer: the way to the API server is looked after elsewhere, and a watch that has
/// expired begins again by itself. Answers whether it was one that will soon be another.
fn see_error<K>(error: &watcher::Error, see: &mut impl FnMut(Seen<K>)) -> bool {
    let status = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => status,
        error => {
            tracing::debug!("watching: {:#}", describe(error));
            return false;
        }
    };
    match status.code {
        // Its kind is not there, so neither is it.
        404 => see(Seen::Absent),
        401 | 403 => see(Seen::Denied(status.message.clone())),
        code => {
            tracing::debug!("watching: {code} {}", status.message);
            return true;
        }
    }
    false
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

/// How long to wait after each failure, for ever. A fleet that lost its API server at one moment must not come back at one.
#[derive(Debug)]
struct Waits {
    backoff: Backoff,
    answered: bool,
    last: Option<Instant>,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            backoff: Backoff::new(FIRST_WAIT, LAST_WAIT),
            answered: false,
            last: None,
        }
    }
}

impl Waits {
    /// The next wait, after a failure that was an answer or none.
    fn next(&mut self, answered: bool) -> Duration {
        let now = Instant::now();
        let calm = self.last.is_some_and(|last| now.duration_since(last) >= CALM);
        let recovers = answered && !self.answered;
        if calm || recovers {
            self.backoff.succeeded();
        }
        self.last = Some(now);
        self.answered = answered;
        self.backoff
            .up_to(if answered { LAST_WAIT_ANSWERED } else { LAST_WAIT });
        self.backoff.failed(chance())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_grow_to_a_limit_and_begin_again_after_a_calm() {
        for (answered, limit) in [(false, LAST_WAIT), (true, LAST_WAIT_ANSWERED)] {
            let mut waits = Waits::default();
            let all: Vec<Duration> = (0..50).map(|_| waits.next(answered)).collect();
            assert!(all[0] <= FIRST_WAIT && all[0] >= FIRST_WAIT / 2);
            assert!(all[10..].iter().all(|wait| *wait >= limit / 2 && *wait <= limit));
            let distinct: BTreeSet<_> = all[10..].iter().collect();
            assert!(distinct.len() > 5, "no two agents wait alike: {distinct:?}");
            tokio::time::advance(CALM).await;
            assert!(waits.next(answered) <= FIRST_WAIT);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_begins_to_answer_is_asked_again_soon() {
        let mut waits = Waits::default();
        for _ in 0..50 {
            waits.next(false);
        }
        assert!(waits.next(true) <= FIRST_WAIT);
    }
}
