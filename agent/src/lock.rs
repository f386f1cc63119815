//! One agent a network namespace: an abstract Unix socket is the lock, and the line to those who wait for it.
//!
//! The kernel keeps abstract socket names per network namespace and frees them when their owner ends, however it
//! ends. Whoever binds the name runs; everybody else connects to it and waits. An agent that ends on purpose sends
//! each of them its [`Predecessor`] in one line of JSON; one that is killed sends nothing, and the connection ends.
//! Either way they race for the name again, and the losers wait for the winner.

use core::time::Duration;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener as StdListener, UnixStream as StdStream};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::Instant;

use crate::engine::Predecessor;
use crate::report::socket::trusted;

/// The lock's name, without the leading zero byte that makes it abstract.
pub const NAME: &str = "holdfast-agent";

/// Agents that may wait at a time; two are already unusual.
const MAX_STANDBYS: usize = 8;

/// The longest predecessor in bytes: more than a thousand groups.
const MAX_PREDECESSOR: u64 = 1 << 20;

/// How long one standby may take to receive what it is handed, before the agent ends without it.
const HAND_OVER: Duration = Duration::from_millis(500);

/// How long nothing is said of strangers at the lock after one was named: anybody on the node can knock, without end.
const STRANGER_SILENCE: Duration = Duration::from_mins(5);

/// The pause before trying again when the holder is just ending.
const RETRY: Duration = Duration::from_millis(2);

/// Why the lock can be neither taken nor waited for.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Something that is not an agent of ours holds the name.
    #[error(
        "the lock of this network namespace (the abstract socket @{name}) is held by process {pid} of user {user}, \
         which this agent does not trust; end that process"
    )]
    Foreign {
        /// The lock's name.
        name: String,
        /// The holder's process.
        pid: i32,
        /// The holder's user.
        user: u32,
    },
    /// The kernel refused.
    #[error("taking the lock of this network namespace (the abstract socket @{name}): {error}")]
    Io {
        /// The lock's name.
        name: String,
        /// What it said.
        error: io::Error,
    },
}

/// What became of an attempt to take the lock.
#[derive(Debug)]
pub enum Attempt {
    /// This process holds it now.
    Taken(Lock),
    /// Another agent holds it.
    Held(Holder),
}

/// The lock, held by this process.
#[derive(Debug)]
pub struct Lock {
    listener: UnixListener,
    standbys: Vec<UnixStream>,
    stranger_named: Option<Instant>,
}

/// The agent that holds the lock, as seen by one that waits.
#[derive(Debug)]
pub struct Holder {
    /// Its process, as the kernel says; 0 if it is in another PID namespace.
    pub pid: i32,
    stream: UnixStream,
}

/// Takes the lock called `name`, or connects to whoever holds it. Needs a tokio runtime.
pub async fn take(name: &str) -> Result<Attempt, LockError> {
    let io_error = |error| LockError::Io {
        name: name.to_owned(),
        error,
    };
    let address = SocketAddr::from_abstract_name(name).map_err(io_error)?;
    loop {
        match StdListener::bind_addr(&address) {
            Ok(listener) => return Lock::new(listener).map(Attempt::Taken).map_err(io_error),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(io_error(error)),
        }
        match StdStream::connect_addr(&address) {
            Ok(stream) => return Holder::new(stream, name).map(Attempt::Held),
            // It ended between the two calls.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => tokio::time::sleep(RETRY).await,
            Err(error) => return Err(io_error(error)),
        }
    }
}

impl Lock {
    fn new(listener: StdListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener: UnixListener::from_std(listener)?,
            standbys: Vec::new(),
            stranger_named: None,
        })
    }

    /// Admits agents that want to wait; never returns. Safe to cancel.
    pub async fn admit(&mut self) -> core::convert::Infallible {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => self.admit_one(stream),
                Err(error) => {
                    tracing::warn!("a standby agent could not be admitted: {error}");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    fn admit_one(&mut self, stream: UnixStream) {
        let Ok(peer) = stream.peer_cred() else { return };
        let pid = peer.pid().unwrap_or(0);
        if !trusted(peer.uid()) {
            self.name_stranger(pid, peer.uid());
            return;
        }
        self.forget_ended();
        if self.standbys.len() < MAX_STANDBYS {
            tracing::info!(
                "another agent (process {pid}) was started in this network namespace and found this one"
            );
            self.standbys.push(stream);
        }
    }

    /// Says that a process was turned away; whether it was said.
    fn name_stranger(&mut self, pid: i32, user: u32) -> bool {
        let quiet = self
            .stranger_named
            .is_some_and(|named| named.elapsed() < STRANGER_SILENCE);
        if !quiet {
            tracing::warn!("process {pid} of user {user} wants to stand by; it is not trusted");
            self.stranger_named = Some(Instant::now());
        }
        !quiet
    }

    /// Whether another agent waits for this one to end.
    pub fn has_standby(&mut self) -> bool {
        self.forget_ended();
        !self.standbys.is_empty()
    }

    /// Frees the lock and hands `predecessor` to every agent that waits; the one that takes the lock uses it.
    /// Returns how many received it.
    pub async fn hand_over(self, predecessor: &Predecessor) -> usize {
        let Self {
            listener, standbys, ..
        } = self;
        // First, so that whoever reads the line finds the name free.
        drop(listener);
        let Ok(mut line) = serde_json::to_vec(predecessor) else {
            return 0;
        };
        line.push(b'\n');
        let mut received = 0;
        for mut standby in standbys {
            let sent = tokio::time::timeout(HAND_OVER, standby.write_all(&line)).await;
            received += usize::from(matches!(sent, Ok(Ok(()))));
        }
        received
    }

    fn forget_ended(&mut self) {
        // A standby says nothing: anything but "nothing to read yet" means that it is gone, or no standby. The kernel is
        // asked directly, because the runtime may not have looked since.
        self.standbys.retain(|stream| {
            let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
            recv(stream.as_raw_fd(), &mut [0], flags) == Err(Errno::EAGAIN)
        });
    }
}

impl Holder {
    fn new(stream: StdStream, name: &str) -> Result<Self, LockError> {
        let io_error = |error| LockError::Io {
            name: name.to_owned(),
            error,
        };
        stream.set_nonblocking(true).map_err(io_error)?;
        let stream = UnixStream::from_std(stream).map_err(io_error)?;
        let peer = stream.peer_cred().map_err(io_error)?;
        let pid = peer.pid().unwrap_or(0);
        if trusted(peer.uid()) {
            Ok(Self { pid, stream })
        } else {
            Err(LockError::Foreign {
                name: name.to_owned(),
                pid,
                user: peer.uid(),
            })
        }
    }

    /// Waits until the holder ends. Answers what it handed over; `None` if it was killed.
    pub async fn ended(self) -> Option<Predecessor> {
        let mut line = Vec::new();
        let mut reader = BufReader::new(self.stream.take(MAX_PREDECESSOR));
        // An error here is the end of the holder, told differently.
        reader.read_until(b'\n', &mut line).await.ok()?;
        let predecessor: Predecessor = serde_json::from_slice(&line).ok()?;
        Some(Predecessor {
            handed_over: true,
            ..predecessor
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::engine::{RouterIdentity, Takeover};

    fn name(test: &str) -> String {
        format!("holdfast-test-{}-{test}", std::process::id())
    }

    async fn taken(name: &str) -> Lock {
        match take(name).await.unwrap() {
            Attempt::Taken(lock) => lock,
            Attempt::Held(holder) => panic!("held by {holder:?}"),
        }
    }

    async fn held(name: &str) -> Holder {
        match take(name).await.unwrap() {
            Attempt::Held(holder) => holder,
            Attempt::Taken(_) => panic!("the lock was free"),
        }
    }

    async fn admitted(lock: &mut Lock) {
        let _ = tokio::time::timeout(Duration::from_millis(20), lock.admit()).await;
    }

    fn predecessor() -> Predecessor {
        let takeover = Takeover {
            since_nanos: 7,
            router: RouterIdentity::example(),
        };
        Predecessor {
            boot_id: "this-boot".to_owned(),
            active: BTreeMap::from([("control-plane".to_owned(), takeover)]),
            handed_over: false,
        }
    }

    #[tokio::test]
    async fn the_second_agent_finds_the_first() {
        let name = name("second");
        let mut lock = taken(&name).await;
        assert!(!lock.has_standby());
        let holder = held(&name).await;
        assert_eq!(holder.pid, i32::try_from(std::process::id()).unwrap());
        admitted(&mut lock).await;
        assert!(lock.has_standby());
        drop(holder);
        assert!(!lock.has_standby());
    }

    #[tokio::test]
    async fn a_crowd_of_strangers_is_named_once_in_a_while() {
        let mut lock = taken(&name("strangers")).await;
        tokio::time::pause();
        let said: Vec<bool> = (0..100).map(|pid| lock.name_stranger(pid, 1234)).collect();
        assert!(said[0] && !said[1..].contains(&true));
        tokio::time::advance(STRANGER_SILENCE).await;
        assert!(lock.name_stranger(7, 1234));
    }

    #[tokio::test]
    async fn a_standby_is_handed_the_groups_and_finds_the_lock_free() {
        let name = name("hand-over");
        let mut lock = taken(&name).await;
        let holder = held(&name).await;
        admitted(&mut lock).await;
        assert_eq!(lock.hand_over(&predecessor()).await, 1);
        let given = holder.ended().await.unwrap();
        assert_eq!(
            given,
            Predecessor {
                handed_over: true,
                ..predecessor()
            }
        );
        taken(&name).await;
    }

    #[tokio::test]
    async fn a_holder_that_is_killed_hands_nothing_over() {
        let name = name("killed");
        let mut lock = taken(&name).await;
        let holder = held(&name).await;
        admitted(&mut lock).await;
        drop(lock);
        assert_eq!(holder.ended().await, None);
        taken(&name).await;
    }

    #[tokio::test]
    async fn of_two_standbys_one_takes_the_lock_and_the_other_waits_for_it() {
        let name = name("two");
        let mut lock = taken(&name).await;
        let (first, second) = (held(&name).await, held(&name).await);
        admitted(&mut lock).await;
        assert_eq!(lock.hand_over(&predecessor()).await, 2);
        assert!(first.ended().await.is_some() && second.ended().await.is_some());
        let winner = taken(&name).await;
        let loser = held(&name).await;
        drop(winner);
        assert_eq!(loser.ended().await, None);
    }

    #[tokio::test]
    async fn a_line_that_is_no_predecessor_counts_as_none() {
        let name = name("garbage");
        let mut lock = taken(&name).await;
        let holder = held(&name).await;
        admitted(&mut lock).await;
        lock.standbys[0].write_all(b"{\"active\": 7}\n").await.unwrap();
        assert_eq!(holder.ended().await, None);
    }
}
