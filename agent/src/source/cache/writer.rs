//! Writes the cache in the background: the latest state, however many there were since the last write, and again until it
//! is on disk. A disk that hangs or is full keeps nobody waiting.

use core::time::Duration;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Cache, Stored};
use crate::durable;

/// How long to wait before a failed write is tried again.
const AGAIN: Duration = Duration::from_secs(10);

/// A cache that is written in the background.
#[derive(Debug)]
pub struct Writer {
    latest: watch::Sender<Option<Arc<Stored>>>,
    progress: watch::Receiver<Progress>,
    task: JoinHandle<()>,
    cache: Cache,
}

/// How far the cache has come.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Progress {
    /// What the next start would find; `None`: nothing.
    pub on_disk: Option<Arc<Stored>>,
    /// Why the last write failed, in a sentence; `None` if it did not.
    pub problem: Option<String>,
}

impl Writer {
    /// Starts to write to `cache`, which holds `on_disk`.
    pub fn start(cache: Cache, on_disk: Option<Stored>) -> Self {
        let on_disk = on_disk.map(Arc::new);
        let (latest, wanted) = watch::channel(on_disk.clone());
        let (sender, progress) = watch::channel(Progress {
            on_disk,
            problem: None,
        });
        Self {
            latest,
            progress,
            task: tokio::spawn(write_latest(cache.clone(), wanted, sender)),
            cache,
        }
    }

    /// Hands over what is to be kept from now on; returns at once.
    pub fn put(&self, stored: Stored) {
        self.latest.send_if_modified(|latest| {
            let changed = latest.as_deref() != Some(&stored);
            *latest = Some(Arc::new(stored));
            changed
        });
    }

    /// Whether the next start finds nothing that contradicts what was handed over last.
    pub fn is_settled(&self) -> bool {
        let progress = self.progress.borrow();
        progress.on_disk.is_none() || progress.on_disk == *self.latest.borrow()
    }

    /// Why the last write failed, in a sentence.
    pub fn problem(&self) -> Option<String> {
        self.progress.borrow().problem.clone()
    }

    /// Waits for progress. Safe to cancel.
    pub async fn changed(&mut self) {
        if self.progress.changed().await.is_err() {
            core::future::pending::<()>().await;
        }
    }

    /// Waits until what was handed over last is written, or has failed to be.
    pub async fn finish(self) {
        let Self { latest, task, .. } = self;
        drop(latest);
        // A panic in it was logged by the runtime.
        let _ = task.await;
    }

    /// Waits like [`Writer::finish`], and removes what was written: the next start would not miss it.
    pub async fn remove(self) {
        let cache = self.cache.clone();
        self.finish().await;
        let folder = cache.folder().display().to_string();
        if let Err(error) = durable::apart(move || cache.remove()).await {
            tracing::warn!(
                "removing the cache in {folder}, which nobody needs any more: {error}; delete the files there if nobody runs \
                 there again"
            );
        }
    }
}

async fn write_latest(
    cache: Cache,
    mut wanted: watch::Receiver<Option<Arc<Stored>>>,
    progress: watch::Sender<Progress>,
) {
    loop {
        let failed = progress.borrow().problem.is_some();
        let changed = if failed {
            tokio::time::timeout(AGAIN, wanted.changed()).await
        } else {
            Ok(wanted.changed().await)
        };
        if matches!(changed, Ok(Err(_))) {
            return;
        }
        let Some(stored) = wanted.borrow_and_update().clone() else {
            continue;
        };
        let before = progress.borrow().on_disk.clone();
        let outcome = {
            let (cache, stored) = (cache.clone(), Arc::clone(&stored));
            durable::apart(move || cache.write(&stored, before.as_deref())).await
        };
        match outcome {
            Ok(()) => {
                if failed {
                    tracing::info!("the cache in {} is written again", cache.folder().display());
                }
                progress.send_replace(Progress {
                    on_disk: Some(stored),
                    problem: None,
                });
            }
            Err(error) => {
                let problem = format!(
                    "the cache in {} cannot be written ({error}): everything runs, but an agent that starts without the API \
                     server would run what it holds, so changes are not acknowledged until it is written; make room there, or \
                     name another --cache-dir",
                    cache.folder().display()
                );
                if !failed {
                    tracing::warn!("{problem}");
                }
                progress.send_modify(|progress| progress.problem = Some(problem));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn stored(generation: i64) -> Stored {
        Stored {
            generation: Some(generation),
            ..Stored::default()
        }
    }

    async fn until(writer: &mut Writer, check: impl Fn(&Writer) -> bool) {
        while !check(writer) {
            tokio::time::timeout(Duration::from_secs(30), writer.changed())
                .await
                .unwrap();
        }
    }

    #[tokio::test]
    async fn what_is_handed_over_is_settled_once_it_is_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().to_owned(), "cp-1");
        let mut writer = Writer::start(cache.clone(), None);
        assert!(writer.is_settled(), "there is nothing that could come back");
        writer.put(stored(1));
        writer.changed().await;
        assert_eq!(cache.read(), Some(stored(1)));
        writer.put(stored(2));
        assert!(!writer.is_settled(), "a start would find the first");
        until(&mut writer, Writer::is_settled).await;
        assert_eq!(cache.read(), Some(stored(2)));
        writer.put(stored(3));
        writer.finish().await;
        assert_eq!(cache.read(), Some(stored(3)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_fails_is_tried_again_until_it_works() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().to_owned(), "cp-1");
        cache.write(&stored(1), None).unwrap();
        let obstacle = folder.path().join("node.json.new");
        fs::create_dir(&obstacle).unwrap();
        let mut writer = Writer::start(cache.clone(), cache.read());
        writer.put(stored(2));
        until(&mut writer, |writer| writer.problem().is_some()).await;
        assert!(!writer.is_settled());
        assert_eq!(cache.read(), Some(stored(1)));
        fs::remove_dir(&obstacle).unwrap();
        until(&mut writer, Writer::is_settled).await;
        assert_eq!(writer.problem(), None);
        assert_eq!(cache.read(), Some(stored(2)));
    }
}
