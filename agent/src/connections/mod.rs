//! What becomes of connections when an address leaves this node: they are closed, so that their clients reconnect at once, to
//! whoever holds the address by now, instead of waiting for an answer that never comes.
//!
//! The engine tells which addresses have left, and waits for nothing; a thread of its own does the rest, in pieces: it asks the
//! kernel for sockets (`sockets`) and tracked connections (`entries`) of these addresses, takes those that are of the time
//! before (`rule`), and has the kernel end them (`kernel`). Sockets that listen stay.

mod entries;
mod kernel;
mod message;
mod rule;
mod sockets;
mod worker;

use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeSet;
use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::Builder;

use tokio::sync::oneshot;

/// Words that may wait for the thread. One is said of each group that lets go; what finds no room is not closed.
const WORDS: usize = 4096;

/// How long the end of the process is delayed for connections that are still being closed.
const END_PATIENCE: Duration = Duration::from_millis(200);

/// The engine's end.
#[derive(Clone, Debug)]
pub struct Released(SyncSender<Vec<IpAddr>>);

/// The end of the thread, which comes when every [`Released`] is dropped and the last connections are closed.
#[derive(Debug)]
pub struct End(oneshot::Receiver<()>);

/// What the thread tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum News {
    /// Connections were closed, or could not be in time.
    Closed(Closed),
    /// Something that the kernel cannot do, and what that means, in a sentence.
    Limitation(String),
}

/// What was closed.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Closed {
    /// The addresses that had left.
    pub addresses: BTreeSet<IpAddr>,
    /// How many of each.
    pub counts: Counts,
    /// The time was up before all of them were closed.
    pub unfinished: bool,
}

/// How many connections were closed, by kind.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    /// TCP sockets.
    pub tcp: u64,
    /// Connected UDP sockets.
    pub udp: u64,
    /// Tracked connections (conntrack).
    pub tracked: u64,
}

impl core::ops::AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.tcp += more.tcp;
        self.udp += more.udp;
        self.tracked += more.tracked;
    }
}

/// Starts the thread in the caller's network namespace. What it has to tell goes to `news`.
pub fn spawn(news: impl Fn(News) + Send + 'static) -> io::Result<(Released, End)> {
    let (sender, released) = sync_channel(WORDS);
    let (ended, end) = oneshot::channel();
    Builder::new().name("holdfast-conn".into()).spawn(move || {
        worker::run(&released, &news);
        // Nobody may be waiting for it.
        let _ = ended.send(());
    })?;
    Ok((Released(sender), End(end)))
}

impl Released {
    /// These addresses have left this node. Waits for nothing.
    pub fn tell(&self, addresses: Vec<IpAddr>) {
        if !addresses.is_empty() {
            // Without room, clients notice by themselves, later.
            let _ = self.0.try_send(addresses);
        }
    }
}

impl End {
    /// Waits until the last connections are closed, but not for long.
    pub async fn wait(self) {
        let _ = tokio::time::timeout(END_PATIENCE, self.0).await;
    }
}
