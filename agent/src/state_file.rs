//! What this agent leaves to the next one on this node: which groups are Active, on disk after each transition.
//!
//! The file lives in the run directory and counts for one boot only. A lost, torn or foreign one costs a resumption
//! and nothing else, so no problem here is ever fatal.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use holdfast_vrrp::{Instant, Reason, State};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::durable;
use crate::engine::{Event, Predecessor, Takeover};

/// The file's name in the run directory.
pub const NAME: &str = "state.json";

/// The kernel's identifier of this boot; empty if it cannot be read, which makes every state file void.
pub fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

/// Reads what the last agent left. What cannot be used is ignored with one line in the log.
pub fn read(path: &Path, boot_id: &str) -> Predecessor {
    let nothing = || Predecessor {
        boot_id: boot_id.to_owned(),
        ..Predecessor::default()
    };
    let found: Predecessor = match fs::read(path).map(|bytes| serde_json::from_slice(&bytes)) {
        Ok(Ok(found)) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return nothing(),
        Ok(Err(error)) => {
            tracing::warn!(
                "ignoring the state file {}, which is damaged: {error}",
                path.display()
            );
            return nothing();
        }
        Err(error) => {
            tracing::warn!(
                "ignoring the state file {}, which cannot be read: {error}",
                path.display()
            );
            return nothing();
        }
    };
    if found.boot_id != boot_id || boot_id.is_empty() {
        tracing::info!(
            "ignoring the state file {}: it is from another boot",
            path.display()
        );
        return nothing();
    }
    Predecessor {
        handed_over: false,
        ..found
    }
}

/// Writes the file so that a reader, and the next boot, sees the old one or the new one.
pub fn write(path: &Path, state: &Predecessor) -> io::Result<()> {
    durable::write(path, &serde_json::to_vec(state)?)
}

/// Which groups are Active, kept up to date from the engine's events.
#[derive(Debug)]
pub struct Tracker {
    state: Predecessor,
}

impl Tracker {
    /// Starts from what the predecessor left, whose groups this agent may resume.
    pub fn new(predecessor: Predecessor) -> Self {
        Self {
            state: Predecessor {
                handed_over: false,
                ..predecessor
            },
        }
    }

    /// Takes note of `event`; answers whether the state changed.
    pub fn note(&mut self, event: &Event, now: Instant) -> bool {
        let Event::Transition {
            group,
            router,
            transition,
            ..
        } = event
        else {
            return false;
        };
        if transition.to != State::Active {
            return self.state.active.remove(group).is_some();
        }
        if transition.reason == Reason::Resumed && self.state.active.contains_key(group) {
            return false;
        }
        self.state.active.insert(
            group.clone(),
            Takeover {
                since_nanos: now.as_nanos(),
                router: *router,
            },
        );
        true
    }

    /// Forgets groups that are not configured any more; answers whether the state changed.
    pub fn keep(&mut self, exists: impl Fn(&str) -> bool) -> bool {
        let before = self.state.active.len();
        self.state.active.retain(|group, _| exists(group));
        self.state.active.len() != before
    }

    /// What would be left to the next agent now.
    pub fn state(&self) -> &Predecessor {
        &self.state
    }
}

/// Writes the file in the background: the latest state, however many there were since the last write.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    latest: watch::Sender<Predecessor>,
    task: JoinHandle<()>,
}

impl Writer {
    /// Starts writing to `path`; `initial` counts as written.
    pub fn start(path: PathBuf, initial: Predecessor) -> Self {
        let (latest, states) = watch::channel(initial);
        Self {
            latest,
            task: tokio::spawn(write_latest(path.clone(), states)),
            path,
        }
    }

    /// Hands over a new state; returns at once.
    pub fn put(&self, state: Predecessor) {
        self.latest.send_replace(state);
    }

    /// Waits until the last state is written.
    pub async fn finish(self) {
        let Self { latest, task, .. } = self;
        drop(latest);
        // It ends by itself when the sender is gone; a panic in it was logged by the runtime.
        let _ = task.await;
    }

    /// Removes the file: every group was given up, and nothing is left to the next agent.
    pub async fn remove(self) {
        let path = self.path.clone();
        self.finish().await;
        let target = path.clone();
        if let Err(error) = durable::apart(move || durable::remove(&target)).await {
            tracing::warn!(
                "removing the state file {}, which nobody needs any more: {error}; delete it if this node is to forget what it \
                 served",
                path.display()
            );
        }
    }
}

async fn write_latest(path: PathBuf, mut states: watch::Receiver<Predecessor>) {
    let mut failing = false;
    while states.changed().await.is_ok() {
        let state = states.borrow_and_update().clone();
        let target = path.clone();
        match durable::apart(move || write(&target, &state)).await {
            Ok(()) => failing = false,
            Err(error) if !failing => {
                failing = true;
                tracing::warn!(
                    "writing the state file {}: {error}; the addresses are served, but an agent that is killed now \
                     does not resume where it was",
                    path.display()
                );
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use holdfast_vrrp::{Priority, Transition};

    use super::*;
    use crate::engine::RouterIdentity;

    const BOOT: &str = "0c8b2f1e-this-boot";

    fn transition(group: &str, to: State, reason: Reason) -> Event {
        Event::Transition {
            group: group.to_owned(),
            router: RouterIdentity::example(),
            transition: Transition {
                from: State::Backup,
                to,
                reason,
                priority: Priority::DEFAULT,
                silence: None,
            },
            interface: None,
            message: String::new(),
        }
    }

    fn active(groups: &[(&str, u64)]) -> Predecessor {
        Predecessor {
            boot_id: BOOT.to_owned(),
            active: groups
                .iter()
                .map(|(name, since)| {
                    let takeover = Takeover {
                        since_nanos: *since,
                        router: RouterIdentity::example(),
                    };
                    ((*name).to_owned(), takeover)
                })
                .collect(),
            handed_over: false,
        }
    }

    #[test]
    fn what_was_written_is_read_in_the_same_boot_by_its_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        write(&path, &active(&[("a", 7)])).unwrap();
        assert_eq!(read(&path, BOOT), active(&[("a", 7)]));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_state_of_another_boot_is_void() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        write(
            &path,
            &Predecessor {
                boot_id: "another".to_owned(),
                ..active(&[("a", 7)])
            },
        )
        .unwrap();
        assert_eq!(read(&path, BOOT), active(&[]));
    }

    #[test]
    fn a_damaged_or_missing_file_is_no_state() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        assert_eq!(read(&path, BOOT), active(&[]));
        for damaged in ["", "{\"bootId\":\"0c8b", "[]", "\u{0}\u{0}"] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(read(&path, BOOT), active(&[]), "{damaged:?}");
        }
    }

    #[test]
    fn a_state_file_never_claims_a_deliberate_hand_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        write(
            &path,
            &Predecessor {
                handed_over: true,
                ..active(&[("a", 7)])
            },
        )
        .unwrap();
        assert!(!read(&path, BOOT).handed_over);
    }

    #[test]
    fn the_tracker_follows_transitions_and_keeps_the_time_of_a_resumed_group() {
        let mut tracker = Tracker::new(active(&[("resumed", 7), ("lost", 8)]));
        let now = Instant::from_nanos(100);
        assert!(!tracker.note(&transition("resumed", State::Active, Reason::Resumed), now));
        assert!(tracker.note(&transition("lost", State::Backup, Reason::Started), now));
        assert!(tracker.note(&transition("new", State::Active, Reason::ActiveSilent), now));
        assert_eq!(tracker.state(), &active(&[("new", 100), ("resumed", 7)]));
        assert!(tracker.keep(|group| group == "new"));
        assert!(!tracker.keep(|group| group == "new"));
        assert_eq!(tracker.state(), &active(&[("new", 100)]));
    }

    #[tokio::test]
    async fn the_last_of_many_states_is_the_one_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        let writer = Writer::start(path.clone(), active(&[]));
        for since in 0..100 {
            writer.put(active(&[("a", since)]));
        }
        writer.finish().await;
        assert_eq!(read(&path, BOOT), active(&[("a", 99)]));
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_written_stops_nothing() {
        let writer = Writer::start(PathBuf::from("/nowhere/at/all/state.json"), active(&[]));
        writer.put(active(&[("a", 1)]));
        writer.finish().await;
    }
}
