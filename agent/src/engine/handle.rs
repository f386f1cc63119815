//! How the rest of the agent holds the engine: starting it, handing it commands, seeing whether it lives.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::eventfd::{EfdFlags, EventFd};
use tokio::sync::mpsc;

use super::messages::{Command, Event, Predecessor};
use super::priority;
use super::runtime::{Parts, Runtime};
use crate::connections::Released;
use crate::{clock, netlink, socket};

/// Commands that may wait. The engine takes them within microseconds.
const COMMANDS: usize = 16;

/// Events that may wait for the rest of the agent; beyond that the latest of each group is kept.
const EVENTS: usize = 1024;

/// Requests that may wait for the netlink thread, which may be waiting for the kernel's lock.
const REQUESTS: usize = 4096;

/// How the engine is to run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What the last agent on this node left.
    pub predecessor: Predecessor,
    /// Whoever closes the connections of addresses that leave this node; without it they stay.
    pub released: Option<Released>,
}

/// Why the engine could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The kernel refused a raw socket.
    #[error(
        "opening a raw socket was refused: the agent needs CAP_NET_RAW and CAP_NET_ADMIN (run it as root, or grant both)"
    )]
    NoPrivilege,
    /// Something else.
    #[error("starting the engine: {0}")]
    Io(#[from] std::io::Error),
}

/// A running engine. Dropping it makes the engine hand over and end.
#[derive(Debug)]
pub struct Engine {
    /// Not `pub`: commands go through [`Engine::send`], which also wakes the thread.
    commands: mpsc::Sender<Command>,
    wake: Arc<EventFd>,
    heartbeat: Arc<AtomicU64>,
}

/// The engine has ended: it was told to, or its thread failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the engine has ended")]
pub struct Ended;

impl Engine {
    /// Starts the engine and its netlink thread. Returns the engine, its events, and what it could not get and does
    /// without (real-time priority, locked memory), each a sentence.
    pub fn start(options: Options) -> Result<(Self, mpsc::Receiver<Event>, Vec<String>), StartError> {
        socket::check_privilege().map_err(|error| match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => StartError::NoPrivilege,
            _ => StartError::Io(error),
        })?;
        let (commands, command_receiver) = mpsc::channel(COMMANDS);
        let (event_sender, events) = mpsc::channel(EVENTS);
        let (request_sender, requests) = mpsc::channel(REQUESTS);
        let (message_sender, messages) = netlink::channel()?;
        let wake = Arc::new(
            EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
                .map_err(std::io::Error::from)?,
        );
        let heartbeat = Arc::new(AtomicU64::new(clock::now().as_nanos()));
        let runtime = Runtime::new(Parts {
            commands: command_receiver,
            wake: wake.clone(),
            events: event_sender,
            netlink: request_sender,
            messages,
            heartbeat: heartbeat.clone(),
            predecessor: options.predecessor,
            released: options.released.clone(),
        })?;
        netlink::spawn(requests, message_sender, options.released)?;
        let (limits_sender, limits) = std::sync::mpsc::channel();
        std::thread::Builder::new()
            .name("holdfast-engine".into())
            .spawn(move || {
                // Asked for on the thread itself: real-time priority belongs to a thread, not to a process.
                let _ = limits_sender.send(priority::raise());
                runtime.run();
            })?;
        let limitations = limits.recv().unwrap_or_default();
        Ok((
            Self {
                commands,
                wake,
                heartbeat,
            },
            events,
            limitations,
        ))
    }

    /// Hands a command to the engine and wakes it.
    pub async fn send(&self, command: Command) -> Result<(), Ended> {
        self.commands.send(command).await.map_err(|_| Ended)?;
        // A full counter wakes just as well.
        let _ = self.wake.write(1);
        Ok(())
    }

    /// When the engine's thread last went round its loop: the heartbeat behind `/healthz`. It does so at least once a
    /// second.
    pub fn last_heartbeat(&self) -> holdfast_vrrp::Instant {
        holdfast_vrrp::Instant::from_nanos(self.heartbeat.load(Ordering::Relaxed))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // The closed channel ends the thread; this wakes it to see that.
        let (closed, _) = mpsc::channel(1);
        drop(core::mem::replace(&mut self.commands, closed));
        let _ = self.wake.write(1);
    }
}
