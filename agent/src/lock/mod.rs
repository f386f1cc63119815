//! One agent a network namespace: an abstract Unix socket is the lock, and the line to those who wait for it.
//!
//! The kernel keeps abstract socket names per network namespace and frees them when their owner ends, however it
//! ends. Whoever binds the name runs; everybody else connects to it and waits. An agent that ends on purpose sends
//! each of them its [`Predecessor`](crate::engine::Predecessor) in one line of JSON; one that is killed sends nothing, and the connection ends.
//! Either way they race for the name again, and the losers wait for the winner.
//!
//! Agents of the first version say nothing else, and take whatever else is said for the end. So who waits says that it listens by
//! the name under which it connects, is spoken to only then, and speaks itself only after that.

mod card;
mod held;
mod holder;
mod words;

use core::time::Duration;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener as StdListener};

pub use card::{Card, obstacles};
pub use held::{Asker, Heir, Knock, Lock, Waiting, process};
pub use holder::{Holder, Told};
pub use words::{Holding, StandbyWord, Standing};

use holder::Refused;

/// The lock's name, without the leading zero byte that makes it abstract.
pub const NAME: &str = "holdfast-agent";

/// How long another agent may take to receive what it is told, and to make use of what it is handed.
const PATIENCE: Duration = Duration::from_millis(500);

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

/// Takes the lock called `name`, or connects to whoever holds it. Needs a tokio runtime.
pub async fn take(name: &str) -> Result<Attempt, LockError> {
    let io_error = |error| LockError::Io {
        name: name.to_owned(),
        error,
    };
    let address = SocketAddr::from_abstract_name(name).map_err(io_error)?;
    loop {
        match StdListener::bind_addr(&address) {
            Ok(listener) => return Lock::new(listener, name).map(Attempt::Taken).map_err(io_error),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(io_error(error)),
        }
        match Holder::connect(name) {
            Ok(holder) => return Ok(Attempt::Held(holder)),
            // It ended between the two calls.
            Err(Refused::Connect(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                tokio::time::sleep(RETRY).await;
            }
            Err(Refused::Connect(error)) => return Err(io_error(error)),
            Err(Refused::Lock(error)) => return Err(error),
        }
    }
}

/// A name for this side of a connection to the lock called `name`, which says that it listens to version 1 of what is said.
/// Nobody else has it, in this PID namespace or another.
fn listening_name(name: &str) -> String {
    let random = RandomState::new().build_hasher().finish();
    format!("{}{}-{random:016x}", listening(name), std::process::id())
}

/// Whether the other side of a connection, by the name it has, listens.
fn listens(peer: &[u8], name: &str) -> bool {
    peer.starts_with(listening(name).as_bytes())
}

fn listening(name: &str) -> String {
    format!("{name}/standby/1/")
}

#[cfg(test)]
mod tests;
