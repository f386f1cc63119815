//! Notices that a configuration on disk has changed: written in place, renamed over, a link swapped, deleted, created.
//!
//! Folders are watched, never files: a file that is replaced takes its watch with it.

use core::time::Duration;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::files;

/// How long it must be quiet before a change counts as complete: an editor writes in several steps.
const QUIET: Duration = Duration::from_millis(200);

/// How long a change is waited for to become complete.
const PATIENCE: Duration = Duration::from_secs(2);

/// Watches whatever it was last told to.
#[derive(Debug)]
pub struct Watch {
    watcher: RecommendedWatcher,
    watched: BTreeSet<PathBuf>,
    interest: Arc<Mutex<Interest>>,
    changed: Arc<Notify>,
    pending: Option<Pending>,
}

/// A change that may not be complete yet.
#[derive(Clone, Copy, Debug)]
struct Pending {
    first: Instant,
    last: Instant,
}

/// Which changes matter; all paths are absolute.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Interest {
    /// The configuration folder, if it is one.
    pub folder: Option<PathBuf>,
    /// Files, in whatever folder: the configuration, if it is one file, and what it refers to.
    pub files: BTreeSet<PathBuf>,
}

impl Watch {
    /// Starts to watch. An error means that the kernel has no more watches to give.
    pub fn start(interest: Interest) -> notify::Result<Self> {
        let changed = Arc::new(Notify::new());
        let shared = Arc::new(Mutex::new(Interest::default()));
        let watcher = {
            let (changed, interest) = (Arc::clone(&changed), Arc::clone(&shared));
            notify::recommended_watcher(move |event: notify::Result<Event>| {
                let interest = interest.lock().unwrap_or_else(PoisonError::into_inner);
                // After an error events may be missing, so look.
                if event.is_ok_and(|event| !interest.concerns(&event)) {
                    return;
                }
                changed.notify_one();
            })?
        };
        let mut watch = Self {
            watcher,
            watched: BTreeSet::new(),
            interest: shared,
            changed,
            pending: None,
        };
        watch.set(interest)?;
        Ok(watch)
    }

    /// From now on watch this. Folders that do not exist are left out: the folder around them tells when they appear.
    pub fn set(&mut self, interest: Interest) -> notify::Result<()> {
        let folders = interest.folders();
        // The kernel forgets a folder that was deleted, and a link may point elsewhere now: watch all of them anew.
        for folder in std::mem::take(&mut self.watched) {
            let _ = self.watcher.unwatch(&folder);
        }
        *self.interest.lock().unwrap_or_else(PoisonError::into_inner) = interest;
        for folder in folders.into_iter().filter(|folder| folder.is_dir()) {
            self.watcher.watch(&folder, RecursiveMode::NonRecursive)?;
            self.watched.insert(folder);
        }
        Ok(())
    }

    /// Waits for a change to be complete. Safe to cancel.
    pub async fn changed(&mut self) {
        loop {
            let complete = self.pending.map(Pending::complete);
            tokio::select! {
                () = self.changed.notified() => {
                    let now = Instant::now();
                    let first = self.pending.map_or(now, |pending| pending.first);
                    self.pending = Some(Pending { first, last: now });
                }
                () = sleep_until(complete.unwrap_or_else(Instant::now)), if complete.is_some() => {
                    self.pending = None;
                    return;
                }
            }
        }
    }
}

impl Pending {
    /// When it counts as complete; a folder that never becomes quiet is read anyway.
    fn complete(self) -> Instant {
        (self.last + QUIET).min(self.first + PATIENCE)
    }
}

impl Interest {
    /// Whether `event` may have changed what is read.
    fn concerns(&self, event: &Event) -> bool {
        match event.kind {
            // Reading the configuration must not look like a change of it.
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => {}
            EventKind::Access(_) => return false,
            _ => {}
        }
        event.need_rescan() || event.paths.iter().any(|path| self.concerns_path(path))
    }

    fn concerns_path(&self, path: &Path) -> bool {
        let Some(name) = path.file_name() else {
            return false;
        };
        let in_folder = self.folder.is_some() && path.parent() == self.folder.as_deref();
        // A mounted ConfigMap or Secret is changed by swapping the link `..data`, whatever files it leads to.
        let swapped = name == OsStr::new("..data");
        swapped
            || (in_folder && files::counts(name))
            || self.folder.as_deref() == Some(path)
            || self.files.contains(path)
    }

    /// The folders in which something of interest can appear or change.
    fn folders(&self) -> BTreeSet<PathBuf> {
        let mut folders = BTreeSet::new();
        for path in self.folder.iter().chain(&self.files) {
            folders.extend(path.parent().map(Path::to_owned));
        }
        folders.extend(self.folder.clone());
        folders
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    const LONG: Duration = Duration::from_secs(10);

    fn of_folder(folder: &Path) -> Interest {
        Interest {
            folder: Some(folder.to_owned()),
            files: BTreeSet::new(),
        }
    }

    fn of_file(file: &Path) -> Interest {
        Interest {
            folder: None,
            files: BTreeSet::from([file.to_owned()]),
        }
    }

    async fn notices(watch: &mut Watch) -> bool {
        tokio::time::timeout(LONG, watch.changed()).await.is_ok()
    }

    #[tokio::test]
    async fn a_file_written_renamed_over_and_deleted_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        fs::write(&file, "a: 1").unwrap();
        for interest in [of_folder(folder.path()), of_file(&file)] {
            fs::write(&file, "a: 1").unwrap();
            let mut watch = Watch::start(interest).unwrap();
            fs::write(&file, "a: 2").unwrap();
            assert!(notices(&mut watch).await);
            fs::write(folder.path().join("new.tmp"), "a: 3").unwrap();
            fs::rename(folder.path().join("new.tmp"), &file).unwrap();
            assert!(notices(&mut watch).await);
            fs::remove_file(&file).unwrap();
            assert!(notices(&mut watch).await);
        }
    }

    #[tokio::test]
    async fn a_swapped_config_map_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        for (data, text) in [("..1", "a: 1"), ("..2", "a: 2")] {
            fs::create_dir(folder.path().join(data)).unwrap();
            fs::write(folder.path().join(data).join("a.yaml"), text).unwrap();
        }
        symlink("..1", folder.path().join("..data")).unwrap();
        symlink("..data/a.yaml", folder.path().join("a.yaml")).unwrap();
        for interest in [of_folder(folder.path()), of_file(&folder.path().join("a.yaml"))] {
            let mut watch = Watch::start(interest).unwrap();
            symlink("..2", folder.path().join("..data_tmp")).unwrap();
            fs::rename(folder.path().join("..data_tmp"), folder.path().join("..data")).unwrap();
            assert!(notices(&mut watch).await);
        }
    }

    #[tokio::test]
    async fn a_folder_that_is_replaced_is_noticed_and_watched_again() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("holdfast");
        fs::create_dir(&folder).unwrap();
        let mut watch = Watch::start(of_folder(&folder)).unwrap();
        fs::remove_dir(&folder).unwrap();
        assert!(notices(&mut watch).await);
        watch.set(of_folder(&folder)).unwrap();
        fs::create_dir(&folder).unwrap();
        assert!(notices(&mut watch).await);
        watch.set(of_folder(&folder)).unwrap();
        fs::write(folder.join("a.yaml"), "a: 1").unwrap();
        assert!(notices(&mut watch).await);
    }

    #[tokio::test]
    async fn reading_is_no_change_and_neither_are_other_files() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        fs::write(&file, "a: 1").unwrap();
        let mut watch = Watch::start(of_folder(folder.path())).unwrap();
        files::read(folder.path()).unwrap();
        fs::write(folder.path().join("notes.txt"), "x").unwrap();
        fs::write(folder.path().join(".a.yaml.swp"), "x").unwrap();
        assert!(tokio::time::timeout(3 * QUIET, watch.changed()).await.is_err());
    }

    #[tokio::test]
    async fn a_change_is_not_lost_when_waiting_for_it_is_cancelled() {
        let folder = tempfile::tempdir().unwrap();
        let mut watch = Watch::start(of_folder(folder.path())).unwrap();
        fs::write(folder.path().join("a.yaml"), "a: 1").unwrap();
        // Cancelled before it has heard of it, and after that until it is complete.
        let cancelled = async { while tokio::time::timeout(QUIET / 10, watch.changed()).await.is_err() {} };
        assert!(tokio::time::timeout(LONG, cancelled).await.is_ok());
    }
}
