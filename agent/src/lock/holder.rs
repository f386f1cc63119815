//! The agent that holds the lock, as seen by one that waits for it.

use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream as StdStream;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, bind, connect, socket};
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::words::{FromHolder, Holding, Lines, StandbyWord, line};
use super::{LockError, PATIENCE, listening_name};
use crate::engine::Predecessor;
use crate::report::socket::trusted;

/// The agent that holds the lock. As long as this is kept it knows that somebody waits, and after its last word that the lock
/// has not been taken yet.
#[derive(Debug)]
pub struct Holder {
    /// Its process, as the kernel says; 0 if it is in another PID namespace.
    pub pid: i32,
    lines: Lines<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    /// It has said something: it listens too. One of the first version does neither.
    speaks: bool,
    /// A word to it was torn: nothing that follows could be read.
    mute: bool,
}

/// What the holder says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    /// What it runs now.
    Holding(Holding),
    /// It has ended, or gives way; with what it handed over, unless it was killed.
    Ended(Option<Predecessor>),
}

impl Holder {
    /// Connects to whoever listens at the lock called `name`.
    pub(super) fn connect(name: &str) -> Result<Self, Refused> {
        let stream = connected(name).map_err(Refused::Connect)?;
        let io_error = |error| {
            Refused::Lock(LockError::Io {
                name: name.to_owned(),
                error,
            })
        };
        stream.set_nonblocking(true).map_err(io_error)?;
        let stream = UnixStream::from_std(stream).map_err(io_error)?;
        let peer = stream.peer_cred().map_err(io_error)?;
        let pid = peer.pid().unwrap_or(0);
        if !trusted(peer.uid()) {
            return Err(Refused::Lock(LockError::Foreign {
                name: name.to_owned(),
                pid,
                user: peer.uid(),
            }));
        }
        let (reader, writer) = stream.into_split();
        Ok(Self {
            pid,
            lines: Lines::new(reader),
            writer,
            speaks: false,
            mute: false,
        })
    }

    /// Waits for what it says next. Not to be called again after [`Told::Ended`]. Safe to cancel.
    pub async fn next(&mut self) -> Told {
        loop {
            // An error here is the end of the holder, told differently.
            let Ok(Some(line)) = self.lines.next().await else {
                return Told::Ended(None);
            };
            match FromHolder::read(&line) {
                Some(FromHolder::Holding(holding)) => {
                    self.speaks = true;
                    return Told::Holding(holding);
                }
                Some(FromHolder::Predecessor(predecessor)) => {
                    return Told::Ended(Some(Predecessor {
                        handed_over: true,
                        ..predecessor
                    }));
                }
                None => tracing::debug!("the agent that runs said something unknown"),
            }
        }
    }

    /// Tells it something, if it listens. One that does not take it within a moment is told nothing any more.
    pub async fn say(&mut self, word: &StandbyWord) {
        if !self.speaks || self.mute {
            return;
        }
        let line = line(word);
        let written = tokio::time::timeout(PATIENCE, self.writer.write_all(&line)).await;
        self.mute = !matches!(written, Ok(Ok(())));
    }
}

/// Why there is no connection.
pub(super) enum Refused {
    /// The kernel's answer to the connection.
    Connect(io::Error),
    /// It is there, and no good.
    Lock(LockError),
}

/// A connection under a name that says that this side listens.
fn connected(name: &str) -> io::Result<StdStream> {
    let socket = socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    let own = UnixAddr::new_abstract(listening_name(name).as_bytes())?;
    bind(socket.as_raw_fd(), &own)?;
    connect(socket.as_raw_fd(), &UnixAddr::new_abstract(name.as_bytes())?)?;
    Ok(StdStream::from(socket))
}
