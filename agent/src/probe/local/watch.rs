//! Notices that a file has changed by inotify: written, replaced, deleted, created, or reached by another way.
//!
//! Every folder on the way is watched for the name that leads on, never the file itself: that is replaced as often as it is
//! written. A folder that is not there yet is noticed by the one it will be in.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use tokio::io::unix::AsyncFd;

use super::walk::walk;
use crate::sys;

/// What is told of a folder. Not that something is being written, only that it was: a file that is written is empty first.
const EVENTS: AddWatchFlags = AddWatchFlags::IN_CREATE
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_MOVED_FROM)
    .union(AddWatchFlags::IN_MOVED_TO)
    .union(AddWatchFlags::IN_CLOSE_WRITE)
    .union(AddWatchFlags::IN_ATTRIB)
    .union(AddWatchFlags::IN_DELETE_SELF)
    .union(AddWatchFlags::IN_MOVE_SELF)
    .union(AddWatchFlags::IN_ONLYDIR);

/// Watches the way to one file.
#[derive(Debug)]
pub struct Watch {
    inotify: Inotify,
    ready: AsyncFd<OwnedFd>,
    names: Vec<(WatchDescriptor, OsString)>,
}

impl Watch {
    /// Starts to watch the way to `path` as it is now; looks at every folder on it. Fails if the kernel has no more watches to
    /// give. Needs a tokio runtime.
    pub fn start(path: &Path) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let way: BTreeSet<(PathBuf, OsString)> = walk(path)
            .filter_map(|(entry, _)| Some((entry.parent()?.to_owned(), entry.file_name()?.to_owned())))
            .collect();
        let mut names = Vec::new();
        for (folder, name) in way {
            match inotify.add_watch(&folder, EVENTS) {
                Ok(watch) => names.push((watch, name)),
                // It has just gone, or is none: the folder above tells when that changes.
                Err(Errno::ENOENT | Errno::ENOTDIR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let ready = sys::watch(inotify.as_fd().try_clone_to_owned()?)?;
        Ok(Self {
            inotify,
            ready,
            names,
        })
    }

    /// Waits for a change. Safe to cancel. One that has come is told once.
    pub async fn changed(&self) {
        loop {
            let Ok(mut ready) = self.ready.readable().await else {
                return;
            };
            // Cleared before it is read: what comes meanwhile sets it again.
            ready.clear_ready();
            if self.has_changed() {
                return;
            }
        }
    }

    /// Whether something has changed since the last call.
    pub fn has_changed(&self) -> bool {
        let mut changed = false;
        loop {
            match self.inotify.read_events() {
                Ok(events) => changed |= events.iter().any(|event| self.concerns(event)),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return changed,
                // Nothing else is documented; whatever it is, a fresh look is the answer.
                Err(_) => return true,
            }
        }
    }

    fn concerns(&self, event: &InotifyEvent) -> bool {
        let Some(name) = &event.name else {
            // About a folder itself, or about events that were lost.
            return true;
        };
        self.names
            .iter()
            .any(|(watch, wanted)| *watch == event.wd && OsStr::new(name) == wanted)
    }
}
