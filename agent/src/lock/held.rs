//! The lock, held by this process: who waits for it, what they are told, and how it is given to one of them.

use core::time::Duration;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixListener as StdListener;
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf, SocketAddr};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::card::{Card, obstacle};
use super::words::{HolderWord, Holding, Lines, StandbyWord, Standing, line};
use super::{PATIENCE, listens};
use crate::engine::Predecessor;
use crate::report::socket::trusted;

/// Agents that may wait at a time; two are already unusual.
const MAX_STANDBYS: usize = 8;

/// Words of those who wait that may wait to be heard.
const WORDS: usize = 16;

/// How long somebody who waits is not listened to after each of its words: nobody needs to say more, and nobody can keep this
/// process busy.
pub(super) const BREATH: Duration = Duration::from_millis(10);

/// How long nothing is said of strangers at the lock after one was named: anybody on the node can knock, without end.
pub(super) const STRANGER_SILENCE: Duration = Duration::from_mins(5);

/// The lock, held by this process.
#[derive(Debug)]
pub struct Lock {
    listener: UnixListener,
    name: String,
    standbys: Vec<Standby>,
    admitted: u64,
    holding: Holding,
    present: watch::Sender<Arc<[u8]>>,
    heard: mpsc::Receiver<(u64, Heard)>,
    /// For the tasks that listen.
    ears: mpsc::Sender<(u64, Heard)>,
    stranger_named: Option<Instant>,
}

/// One agent that waits for the lock.
#[derive(Debug)]
struct Standby {
    id: u64,
    pid: i32,
    /// What it has said of itself; `None` as long as it has not, which one of the first version never does.
    standing: Option<Standing>,
    writer: Arc<Mutex<OwnedWriteHalf>>,
    /// For asking the kernel what the runtime may not have seen yet.
    socket: OwnedFd,
    listener: JoinHandle<()>,
}

/// What a standby did.
#[derive(Debug)]
enum Heard {
    Word(StandbyWord),
    /// It has ended, or is no standby.
    Gone,
}

/// What happened at the lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Knock {
    /// Somebody waits, waits no more, or said something new of itself.
    Crowd,
    /// A standby asks for the groups, knowing everything that this agent runs.
    Yield(Asker),
}

/// The standby that asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asker(u64);

/// An agent that waits, for the status.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waiting {
    /// Its process; 0 if it is in another PID namespace.
    pub pid: i32,
    /// What it has said of itself; one of the first version says nothing.
    pub standing: Option<Standing>,
}

/// The standby that goes on with most of the groups.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Heir {
    /// The standby.
    pub asker: Asker,
    /// The groups that it does not know, or knows as another virtual router.
    pub unknown: Vec<String>,
}

impl Drop for Standby {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl Lock {
    pub(super) fn new(listener: StdListener, name: &str) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let (ears, heard) = mpsc::channel(WORDS);
        let holding = Holding {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..Holding::default()
        };
        Ok(Self {
            listener: UnixListener::from_std(listener)?,
            name: name.to_owned(),
            standbys: Vec::new(),
            admitted: 0,
            present: watch::Sender::new(holding_line(&holding)),
            holding,
            heard,
            ears,
            stranger_named: None,
        })
    }

    /// Tells those who wait, now and later, what this agent runs.
    pub fn tell(&mut self, groups: Vec<Card>, take_over: bool) {
        if (&self.holding.groups, self.holding.take_over) == (&groups, take_over) {
            return;
        }
        self.holding = Holding {
            revision: self.holding.revision + 1,
            groups,
            take_over,
            ..core::mem::take(&mut self.holding)
        };
        self.present.send_replace(holding_line(&self.holding));
    }

    /// Admits agents that want to wait, and waits for what they do. Safe to cancel.
    pub async fn next(&mut self) -> Knock {
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        if self.admit(stream) {
                            return Knock::Crowd;
                        }
                    }
                    Err(error) => {
                        tracing::warn!("a standby agent could not be admitted: {error}");
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                },
                // This process has a sender itself, so the channel does not end.
                Some((id, heard)) = self.heard.recv() => if let Some(knock) = self.take_in(id, heard) {
                    return knock;
                },
            }
        }
    }

    fn take_in(&mut self, id: u64, heard: Heard) -> Option<Knock> {
        let place = self.standbys.iter().position(|standby| standby.id == id)?;
        match heard {
            Heard::Gone => {
                self.standbys.remove(place);
            }
            Heard::Word(StandbyWord::Standing(standing)) => {
                let known = self.standbys[place].standing.replace(standing);
                if known == self.standbys[place].standing {
                    return None;
                }
            }
            // Of two that are to take over from others, the first one keeps: they would take turns for ever.
            Heard::Word(StandbyWord::Yield { revision }) => {
                let current = revision == self.holding.revision && !self.holding.take_over;
                return current.then_some(Knock::Yield(Asker(id)));
            }
        }
        Some(Knock::Crowd)
    }

    fn admit(&mut self, stream: UnixStream) -> bool {
        let Ok(peer) = stream.peer_cred() else {
            return false;
        };
        let pid = peer.pid().unwrap_or(0);
        if !trusted(peer.uid()) {
            self.name_stranger(pid, peer.uid());
            return false;
        }
        self.forget_ended();
        let Ok(socket) = stream.as_fd().try_clone_to_owned() else {
            return false;
        };
        if self.standbys.len() >= MAX_STANDBYS {
            return false;
        }
        tracing::info!(
            "another agent{} was started in this network namespace and found this one",
            process(pid)
        );
        let own_name = stream.peer_addr();
        let own_name = own_name.as_ref().ok().and_then(SocketAddr::as_abstract_name);
        let listens = own_name.is_some_and(|own_name| listens(own_name, &self.name));
        self.admitted += 1;
        let (reader, writer) = stream.into_split();
        let writer = Arc::new(Mutex::new(writer));
        let conversation = Conversation {
            id: self.admitted,
            reader,
            writer: Arc::clone(&writer),
            ears: self.ears.clone(),
        };
        let listener = if listens {
            tokio::spawn(conversation.converse(self.present.subscribe()))
        } else {
            tokio::spawn(conversation.wait_for_end())
        };
        self.standbys.push(Standby {
            id: self.admitted,
            pid,
            standing: None,
            writer,
            socket,
            listener,
        });
        true
    }

    /// Says that a process was turned away; whether it was said.
    pub(super) fn name_stranger(&mut self, pid: i32, user: u32) -> bool {
        let quiet = self
            .stranger_named
            .is_some_and(|named| named.elapsed() < STRANGER_SILENCE);
        if !quiet {
            tracing::warn!("process {pid} of user {user} wants to stand by; it is not trusted");
            self.stranger_named = Some(Instant::now());
        }
        !quiet
    }

    /// Those who wait for this agent to end.
    pub fn waiting(&self) -> Vec<Waiting> {
        let each = self.standbys.iter().map(|standby| Waiting {
            pid: standby.pid,
            standing: standby.standing.clone(),
        });
        each.collect()
    }

    /// The one who waits that knows most of the groups this agent runs; of several, the one that was started to take over.
    /// Whoever does not say what it knows is believed to know all, as agents of the first version are to have the same
    /// configuration.
    pub fn heir(&mut self) -> Option<Heir> {
        self.forget_ended();
        let heirs = self.standbys.iter().map(|standby| {
            let known = standby.standing.as_ref();
            let unknown = self.holding.groups.iter().filter(|theirs| {
                known.is_some_and(|known| {
                    let ours = known.groups.iter().find(|ours| ours.name == theirs.name);
                    obstacle(theirs, ours).is_some()
                })
            });
            let heir = Heir {
                asker: Asker(standby.id),
                unknown: unknown.map(|group| group.name.clone()).collect(),
            };
            let last = !known.is_some_and(|known| known.take_over);
            (heir.unknown.len(), last, standby.id, heir)
        });
        heirs
            .min_by_key(|(unknown, last, id, _)| (*unknown, *last, *id))
            .map(|(.., heir)| heir)
    }

    /// Frees the lock and hands `predecessor` to `first`, and when that one has taken the lock, or is gone, to all the others
    /// who wait: whoever takes the lock uses it. Returns how many received it.
    pub async fn hand_over(self, predecessor: &Predecessor, first: Option<Asker>) -> usize {
        let line = line(predecessor);
        let (chosen, others) = self.release(first);
        let mut received = 0;
        for standby in chosen {
            received += usize::from(standby.give(&line).await);
        }
        for standby in others {
            received += usize::from(standby.receive(&line).await);
        }
        received
    }

    /// Frees the lock and hands `predecessor` to the one that asked for it. Returns once that one has taken the lock, is gone,
    /// or has let the time go by: then the lock is free, and the groups are still this agent's to resume.
    pub async fn yield_to(self, predecessor: &Predecessor, asker: Asker) {
        let (chosen, others) = self.release(Some(asker));
        for standby in chosen {
            standby.give(&line(predecessor)).await;
        }
        // They look for whoever has the lock now, and wait for that one.
        drop(others);
    }

    /// Frees the lock, so that whoever is told finds it free, and tells the one in question from the rest.
    fn release(self, first: Option<Asker>) -> (Vec<Standby>, Vec<Standby>) {
        // With it goes the channel that those who wait are heard by: what they say does not matter any more.
        let Self {
            listener, standbys, ..
        } = self;
        drop(listener);
        standbys
            .into_iter()
            .partition(|standby| first == Some(Asker(standby.id)))
    }

    /// Forgets those who are gone. The kernel is asked directly, because the runtime may not have looked since.
    fn forget_ended(&mut self) {
        self.standbys.retain(|standby| {
            let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
            match recv(standby.socket.as_raw_fd(), &mut [0], flags) {
                Ok(read) => read > 0,
                Err(error) => error == Errno::EAGAIN,
            }
        });
    }
}

impl Standby {
    /// Hands `line` over; whether it was taken.
    async fn receive(&self, line: &[u8]) -> bool {
        let write = async { self.writer.lock().await.write_all(line).await };
        matches!(timeout(PATIENCE, write).await, Ok(Ok(())))
    }

    /// Hands `line` over and waits until the standby has made use of it: it closes its connection then. Whether it was taken.
    async fn give(mut self, line: &[u8]) -> bool {
        let received = self.receive(line).await;
        if received {
            let _ = timeout(PATIENCE, &mut self.listener).await;
        }
        received
    }
}

/// What goes on with one standby, on a task of its own.
struct Conversation {
    id: u64,
    reader: OwnedReadHalf,
    writer: Arc<Mutex<OwnedWriteHalf>>,
    ears: mpsc::Sender<(u64, Heard)>,
}

impl Conversation {
    /// Listens to a standby and tells it what this agent runs.
    async fn converse(self, mut present: watch::Receiver<Arc<[u8]>>) {
        let Self {
            id,
            reader,
            writer,
            ears,
        } = self;
        let tell = async {
            present.mark_changed();
            while present.changed().await.is_ok() {
                let line = Arc::clone(&present.borrow_and_update());
                let write = async { writer.lock().await.write_all(&line).await };
                if !matches!(timeout(PATIENCE, write).await, Ok(Ok(()))) {
                    // It does not listen, and what it got is torn.
                    return;
                }
            }
            // The lock is about to be given away, and the end of the standby is still to be noticed.
            core::future::pending::<()>().await;
        };
        let hear = async {
            let mut lines = Lines::new(reader);
            while let Ok(Some(line)) = lines.next().await {
                match serde_json::from_slice(&line) {
                    // Nobody hears it while the lock is given away.
                    Ok(word) => drop(ears.send((id, Heard::Word(word))).await),
                    Err(error) => tracing::debug!("an agent that stands by said something unknown: {error}"),
                }
                tokio::time::sleep(BREATH).await;
            }
        };
        tokio::select! {
            () = tell => {}
            () = hear => {}
        }
        let _ = ears.send((id, Heard::Gone)).await;
    }

    /// Waits for the end of a standby of the first version, which says nothing: one that says something is no standby.
    async fn wait_for_end(self) {
        // Ready is what the runtime believes; the kernel knows.
        while self.reader.readable().await.is_ok() {
            let looked = self.reader.try_read(&mut [0]);
            if !matches!(looked, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
                break;
            }
        }
        let _ = self.ears.send((self.id, Heard::Gone)).await;
    }
}

fn holding_line(holding: &Holding) -> Arc<[u8]> {
    line(&HolderWord::Holding(holding.clone())).into()
}

/// ` (process 4242)`; nothing for one in another PID namespace.
pub fn process(pid: i32) -> String {
    if pid == 0 {
        String::new()
    } else {
        format!(" (process {pid})")
    }
}
