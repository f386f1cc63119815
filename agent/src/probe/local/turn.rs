//! Work that the kernel or a disk may hold up: on a thread of its own, and never twice at once for one probe, so that a server
//! of files that is gone costs one thread a probe and not one a run.

use core::time::Duration;
use std::sync::Arc;

use holdfast_health::{Outcome, Run};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// How long an earlier run may take to be cleared away: a program that was killed is gone in a few milliseconds.
const PATIENCE: Duration = Duration::from_millis(250);

/// Whose turn it is to work for a probe.
#[derive(Clone, Debug)]
pub struct Turns(Arc<Semaphore>);

/// One turn; the next comes when this is dropped.
#[derive(Debug)]
pub struct Turn(#[expect(dead_code, reason = "only its end matters")] OwnedSemaphorePermit);

impl Default for Turns {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Turns {
    /// Waits for the turn. If that takes long, `held_up` says what an earlier run is still doing.
    pub async fn next(&self, held_up: &str) -> Result<Turn, Run> {
        match timeout(PATIENCE, Arc::clone(&self.0).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Turn(permit)),
            _ => Err(Run::new(Outcome::CouldNotRun, held_up)),
        }
    }

    /// Does `work` where it may wait. Whoever stops waiting for it leaves it to itself.
    pub async fn work<T: Send + 'static>(
        &self,
        held_up: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Run> {
        let turn = self.next(held_up).await?;
        aside(move || {
            let done = work();
            drop(turn);
            done
        })
        .await
    }
}

/// Does `work` on a thread of its own.
pub async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Run> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Run::new(Outcome::CouldNotRun, "its thread has ended before it was done"))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn work_that_hangs_is_not_begun_again_until_it_is_done() {
        let turns = Turns::default();
        let (release, held) = mpsc::channel::<()>();
        let hanging = turns.work("the disk hangs", move || held.recv());
        assert!(timeout(Duration::from_millis(20), hanging).await.is_err());
        let refused = turns.work("the disk hangs", || ()).await.unwrap_err();
        assert_eq!(
            (refused.outcome, refused.message.as_str()),
            (Outcome::CouldNotRun, "the disk hangs")
        );
        release.send(()).unwrap();
        let done = timeout(Duration::from_secs(10), turns.0.acquire()).await;
        drop(done.expect("the turn ends with the work").unwrap());
        assert_eq!(turns.work("the disk hangs", || 7).await.unwrap(), 7);
    }
}
