//! One piece of work that may hang, on a thread of its own: a DNS that never answers, a file on a server that is gone.
//!
//! There is one such thread at most, however often somebody stops to wait for it.

use std::io;

use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

/// Where such work is waited for.
#[derive(Debug)]
pub struct Aside<T> {
    pending: Option<oneshot::Receiver<T>>,
}

impl<T> Default for Aside<T> {
    fn default() -> Self {
        Self { pending: None }
    }
}

impl<T: Send + 'static> Aside<T> {
    /// Does `work`, or goes on waiting for the work that hangs since an earlier call. Safe to cancel.
    pub async fn run(&mut self, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
        let hangs = self
            .pending
            .as_mut()
            .is_some_and(|pending| matches!(pending.try_recv(), Err(TryRecvError::Empty)));
        if !hangs {
            // What came after nobody waited for it any more is old.
            self.pending = Some(begin(work)?);
        }
        let Some(pending) = &mut self.pending else {
            return Err(io::Error::other("nothing was begun"));
        };
        let outcome = pending.await;
        self.pending = None;
        outcome.map_err(|_| io::Error::other("the thread has ended without an answer"))
    }
}

fn begin<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<oneshot::Receiver<T>> {
    let (sender, receiver) = oneshot::channel();
    // Not one of the runtime's own threads: these are limited, and the program's end would wait for them.
    std::thread::Builder::new()
        .name("probe-aside".to_owned())
        .spawn(move || drop(sender.send(work())))?;
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;

    use super::*;

    const SOON: Duration = Duration::from_millis(20);
    const PATIENCE: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn work_that_hangs_is_begun_once_and_its_answer_is_waited_for_again() {
        let begun = Arc::new(AtomicU32::new(0));
        let (release, held) = mpsc::channel::<()>();
        let held = Arc::new(std::sync::Mutex::new(held));
        let mut aside = Aside::default();
        let work = || {
            let (begun, held) = (Arc::clone(&begun), Arc::clone(&held));
            move || {
                held.lock().unwrap().recv().unwrap();
                begun.fetch_add(1, Ordering::SeqCst) + 1
            }
        };
        for _ in 0..3 {
            assert!(tokio::time::timeout(SOON, aside.run(work())).await.is_err());
        }
        for answer in 1..=2 {
            // Released while it is waited for: what came before would not count.
            let released = async { release.send(()).unwrap() };
            let waiting = tokio::time::timeout(PATIENCE, aside.run(work()));
            let (found, ()) = tokio::join!(waiting, released);
            assert_eq!(found.unwrap().unwrap(), answer);
        }
    }

    #[tokio::test]
    async fn an_answer_that_came_when_nobody_waited_is_not_taken_for_a_new_one() {
        let (release, held) = mpsc::channel::<()>();
        let mut aside = Aside::default();
        let old = move || {
            held.recv().unwrap();
            "old"
        };
        assert!(tokio::time::timeout(SOON, aside.run(old)).await.is_err());
        release.send(()).unwrap();
        while aside.pending.as_ref().unwrap().is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(aside.run(|| "new").await.unwrap(), "new");
    }

    #[tokio::test]
    async fn work_that_panics_is_an_error() {
        let mut aside: Aside<()> = Aside::default();
        assert!(aside.run(|| panic!("as the test wants")).await.is_err());
        assert!(aside.run(|| ()).await.is_ok());
    }
}
