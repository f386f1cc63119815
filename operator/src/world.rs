//! What the watches, the reconcilers and HTTP share: the index behind a lock that nobody holds across an await, the
//! queues' inboxes, and how each watch is doing.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::index::{Index, NodePlan};

/// The kinds of objects that are watched.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// `VirtualIPGroup`
    Group,
    /// `VirtualIPNode`
    Stored,
    /// `Node`
    Node,
    /// `Lease`, in Holdfast's namespace.
    Lease,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Group, Self::Stored, Self::Node, Self::Lease];

    /// Its name, as people know it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Group => "VirtualIPGroup",
            Self::Stored => "VirtualIPNode",
            Self::Node => "Node",
            Self::Lease => "Lease",
        }
    }
}

/// A watch that has not brought back our own renewal for so long brings nothing at all: its connection is dead without
/// saying so, or etcd was restored to a past whose future the watch waits for.
const SILENCE: Duration = Duration::from_secs(12);

/// How a watch is doing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WatchState {
    /// The first list is not complete.
    Starting,
    /// It delivers.
    Up,
    /// It does not, for this reason.
    Down(String),
}

/// The two kinds of keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Controller {
    /// Groups.
    Group,
    /// Nodes.
    Node,
}

impl Controller {
    /// As a metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Node => "node",
        }
    }
}

/// What everybody shares. See the module.
#[derive(Debug)]
pub struct World {
    clock: Clock,
    index: Mutex<Index>,
    watches: Mutex<Watches>,
    groups: Inbox,
    nodes: Inbox,
    /// Wakes who waits for the watches.
    watches_changed: Notify,
    /// Asks every watch to begin anew with a list.
    pub relist: watch::Sender<()>,
    /// The first of our renewals of the operators' Lease that the Lease watch has not brought back.
    unheard: Mutex<Option<Instant>>,
    /// Nodes that are being told something new of these groups, and those of which it is not known whether they were.
    telling: Mutex<BTreeMap<String, BTreeSet<String>>>,
}

#[derive(Debug, Default)]
struct Watches {
    states: BTreeMap<Kind, WatchState>,
    listed: BTreeSet<Kind>,
}

/// Keys that became worth looking at; each is in it once, so it is as large as the cluster at most.
#[derive(Debug, Default)]
struct Inbox {
    keys: Mutex<BTreeSet<String>>,
    filled: Notify,
}

impl World {
    /// A world of which nothing is known.
    pub fn new(clock: Clock, patience: Duration) -> Self {
        Self {
            clock,
            index: Mutex::new(Index::new(clock.started(), patience)),
            watches: Mutex::default(),
            groups: Inbox::default(),
            nodes: Inbox::default(),
            watches_changed: Notify::new(),
            relist: watch::Sender::new(()),
            unheard: Mutex::default(),
            telling: Mutex::default(),
        }
    }

    /// The operator's own time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Reads the index.
    pub fn read<T>(&self, read: impl FnOnce(&Index) -> T) -> T {
        read(&lock(&self.index))
    }

    /// Brings news to the index, and what they touch into the inboxes. Before every watch has listed once, half a
    /// cluster would be judged: nothing is, then.
    pub fn change<T>(&self, change: impl FnOnce(&mut Index, Timestamp) -> T) -> T {
        let now = self.now();
        let mut index = lock(&self.index);
        let result = change(&mut index, now);
        if self.is_listed() {
            let dirty = index.settle();
            drop(index);
            self.groups.add(dirty.groups);
            self.nodes.add(dirty.nodes);
        }
        result
    }

    /// Everything that has to be looked at by a controller since it last asked; waits for something.
    pub async fn next_keys(&self, controller: Controller) -> BTreeSet<String> {
        let inbox = match controller {
            Controller::Group => &self.groups,
            Controller::Node => &self.nodes,
        };
        loop {
            let filled = inbox.filled.notified();
            let keys = core::mem::take(&mut *lock(&inbox.keys));
            if !keys.is_empty() {
                return keys;
            }
            filled.await;
        }
    }

    /// How a watch is doing now.
    pub fn set_watch(&self, kind: Kind, state: &WatchState) {
        let up = *state == WatchState::Up;
        let before = {
            let mut watches = lock(&self.watches);
            if up {
                watches.listed.insert(kind);
            }
            watches.states.insert(kind, state.clone())
        };
        if before.as_ref() == Some(state) {
            return;
        }
        match state {
            WatchState::Starting => {}
            WatchState::Up if matches!(before, Some(WatchState::Down(_))) => {
                tracing::info!("watching {} again", kind.as_str());
            }
            WatchState::Up => tracing::debug!("watching {}", kind.as_str()),
            // The words differ from attempt to attempt; that it does not work is said once.
            WatchState::Down(why) if matches!(before, Some(WatchState::Down(_))) => {
                tracing::debug!("watching {}: {why}", kind.as_str());
            }
            WatchState::Down(why) => tracing::warn!(
                "watching {}: {why}; what is known of it stays, and it is tried again",
                kind.as_str()
            ),
        }
        self.change(|index, now| {
            if kind == Kind::Lease {
                index.watching_leases(up, now);
            }
        });
        self.watches_changed.notify_waiters();
    }

    /// Whether every watch has listed at least once: only then is it known who is there.
    pub fn is_listed(&self) -> bool {
        lock(&self.watches).listed.len() == Kind::ALL.len()
    }

    /// Waits for [`World::is_listed`].
    pub async fn wait_until_listed(&self) {
        loop {
            let listed = self.watches_changed.notified();
            if self.is_listed() {
                return;
            }
            listed.await;
        }
    }

    /// Whether every watch delivers. While one does not, what is known of one kind may be of another time than what is
    /// known of the others, and nobody is told anything on that ground.
    pub fn is_watching(&self) -> bool {
        let watches = lock(&self.watches);
        let up = watches.states.values().filter(|state| **state == WatchState::Up);
        up.count() == Kind::ALL.len()
    }

    /// Waits until a watch begins to deliver, or ceases to.
    pub fn watches_changed(&self) -> Notified<'_> {
        self.watches_changed.notified()
    }

    /// The watches that do not deliver, with the reason.
    pub fn not_watching(&self) -> Vec<(Kind, String)> {
        let watches = lock(&self.watches);
        Kind::ALL
            .into_iter()
            .filter_map(|kind| match watches.states.get(&kind) {
                Some(WatchState::Up) => None,
                Some(WatchState::Down(why)) => Some((kind, why.clone())),
                Some(WatchState::Starting) | None => {
                    Some((kind, "the first list is not complete".to_owned()))
                }
            })
            .collect()
    }

    /// This replica has renewed the operators' Lease, which the watch of Leases ought to bring back.
    pub fn pulse_sent(&self, now: Instant) {
        let mut unheard = lock(&self.unheard);
        let since = *unheard.get_or_insert(now);
        if now.duration_since(since) >= SILENCE {
            *unheard = None;
            drop(unheard);
            tracing::warn!("the watches have gone silent; listing everything again");
            self.relist.send_replace(());
        }
    }

    /// The watch of Leases has brought the operators' own.
    pub fn pulse_heard(&self) {
        *lock(&self.unheard) = None;
    }

    /// Plans what a node is to be told and notes that it is being told so, in one step. Two members of a group are never
    /// told something new of it at the same time: each is told what is right beside what the others have been told.
    pub fn start_telling(&self, node: &str) -> Start {
        let index = lock(&self.index);
        let mut telling = lock(&self.telling);
        let Some(plan) = index.plan(node, self.now()) else {
            return Start::Nothing(None);
        };
        if !plan.is_news() {
            return Start::Nothing(plan.look_again);
        }
        let changed = plan.changed();
        let mut others = telling.iter().filter(|(other, _)| *other != node);
        if let Some((fellow, _)) = others.find(|(_, groups)| !groups.is_disjoint(&changed)) {
            return Start::Later(fellow.clone());
        }
        telling.entry(node.to_owned()).or_default().extend(changed);
        Start::Tell(plan)
    }

    /// The node has been told, or it is certain that it has not.
    pub fn stop_telling(&self, node: &str) {
        lock(&self.telling).remove(node);
    }

    /// Whether it is not known what a node has been told: a write is under way, or has ended without an answer.
    pub fn is_telling(&self, node: &str) -> bool {
        lock(&self.telling).contains_key(node)
    }

    /// A node that is being told of this group at this moment.
    pub fn who_is_told_of(&self, group: &str) -> Option<String> {
        let telling = lock(&self.telling);
        let mut told = telling.iter().filter(|(_, groups)| groups.contains(group));
        told.next().map(|(node, _)| node.clone())
    }
}

/// See [`World::start_telling`].
#[derive(Clone, PartialEq, Debug)]
pub enum Start {
    /// The node has been told everything; after this time there may be something new.
    Nothing(Option<Duration>),
    /// This other member of one of the groups is being told of it.
    Later(String),
    /// Tell it this.
    Tell(NodePlan),
}

impl Inbox {
    fn add(&self, keys: BTreeSet<String>) {
        if !keys.is_empty() {
            lock(&self.keys).extend(keys);
            self.filled.notify_one();
        }
    }
}

/// A panic while the lock was held ends the process; there is nobody to protect from what it left.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn watches_that_do_not_bring_back_our_own_renewals_begin_anew() {
        let world = World::new(Clock::start(), Duration::from_mins(5));
        let mut relist = world.relist.subscribe();
        let renew = async |heard: bool| {
            world.pulse_sent(Instant::now());
            if heard {
                world.pulse_heard();
            }
            tokio::time::sleep(Duration::from_secs(2)).await;
        };
        for _ in 0..20 {
            renew(true).await;
        }
        for _ in 0..6 {
            renew(false).await;
        }
        assert!(!relist.has_changed().unwrap(), "it may be late");
        renew(false).await;
        assert!(relist.has_changed().unwrap());
        relist.mark_unchanged();
        // The new list takes its time too.
        for _ in 0..6 {
            renew(false).await;
        }
        assert!(!relist.has_changed().unwrap());
    }
}
