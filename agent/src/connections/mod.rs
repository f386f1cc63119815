//! What becomes of connections when an address leaves this node: they are closed, so that their clients reconnect at once, to
//! whoever holds the address by now, instead of waiting for an answer that never comes.
//!
//! The engine tells which addresses have left, and waits for nothing; a thread of its own does the rest, in pieces (`worker`): it
//! asks the kernel for sockets (`sockets`) and tracked connections (`entries`) of these addresses, takes those that are of the
//! time before (`rule`), and has the kernel end them (`kernel`). Sockets that listen stay.
//!
//! Over IPv4 the kernel sends nothing from an address that it does not have, so those at the far end would hear nothing. The
//! netlink thread tells of such an address while it is leaving, and another thread has them reset (`reset`).

mod entries;
mod kernel;
mod message;
mod reset;
mod rule;
mod sockets;
mod worker;

use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::Builder;
use std::time::Instant;

use tokio::sync::oneshot;

/// Words that may wait for the thread. One is said of each group that lets go; what finds no room is not closed.
const WORDS: usize = 4096;

/// How long the end of the process is delayed for connections that are still being closed.
const END_PATIENCE: Duration = Duration::from_millis(200);

/// How long an address that is leaving waits for the resets of its connections.
const LEAVE_PATIENCE: Duration = Duration::from_millis(100);

/// The end of the engine, and of its netlink thread.
#[derive(Clone, Debug)]
pub struct Released {
    left: SyncSender<Vec<IpAddr>>,
    leaving: SyncSender<reset::Leaving>,
}

/// Comes when the clients of addresses that are leaving were told so.
#[derive(Debug)]
pub struct Told {
    answer: oneshot::Receiver<()>,
    deadline: tokio::time::Instant,
}

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

/// Starts the threads in the caller's network namespace. What they have to tell goes to `news`.
pub fn spawn(news: impl Fn(News) + Send + Sync + 'static) -> io::Result<(Released, End)> {
    let (left, have_left) = sync_channel(WORDS);
    let (leaving, are_leaving) = sync_channel(WORDS);
    let (ended, end) = oneshot::channel();
    let news = Arc::new(news);
    let theirs = Arc::clone(&news);
    Builder::new().name("holdfast-conn".into()).spawn(move || {
        worker::run(&have_left, &*news);
        // Nobody may be waiting for it.
        let _ = ended.send(());
    })?;
    Builder::new()
        .name("holdfast-reset".into())
        .spawn(move || reset::run(&are_leaving, &*theirs))?;
    Ok((Released { left, leaving }, End(end)))
}

impl Released {
    /// These addresses have left this node. Waits for nothing.
    pub fn tell(&self, addresses: Vec<IpAddr>) {
        if !addresses.is_empty() {
            // Without room, clients notice by themselves, later.
            let _ = self.left.try_send(addresses);
        }
    }

    /// These IPv4 addresses are leaving: nothing reaches them any more, but they can still be sent from. Whoever is connected to
    /// them from elsewhere is reset. Waits for nothing; the answer comes soon, or nobody gives one.
    pub fn leave(&self, addresses: Vec<IpAddr>) -> Told {
        let (told, answer) = oneshot::channel();
        let leaving = reset::Leaving {
            addresses,
            deadline: Instant::now() + LEAVE_PATIENCE,
            told,
        };
        let deadline = leaving.deadline.into();
        // Without room, clients elsewhere notice by themselves, later.
        let _ = self.leaving.try_send(leaving);
        Told { answer, deadline }
    }
}

impl Told {
    /// Waits until they were told, but not for long. To be waited for to its end once.
    pub async fn wait(&mut self) {
        let _ = tokio::time::timeout_at(self.deadline, &mut self.answer).await;
    }
}

impl End {
    /// Waits until the last connections are closed, but not for long.
    pub async fn wait(self) {
        let _ = tokio::time::timeout(END_PATIENCE, self.0).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn released(words: usize) -> (Released, std::sync::mpsc::Receiver<reset::Leaving>) {
        let (leaving, are_leaving) = sync_channel(words);
        let (left, _) = sync_channel(0);
        (Released { left, leaving }, are_leaving)
    }

    async fn waited_for(released: &Released) -> Duration {
        let start = Instant::now();
        released.leave(vec![IpAddr::from([10, 0, 0, 100])]).wait().await;
        start.elapsed()
    }

    #[tokio::test]
    async fn an_address_does_not_wait_for_resets_that_take_too_long() {
        let (released, _unheard) = released(1);
        let waited = waited_for(&released).await;
        assert!(
            LEAVE_PATIENCE <= waited && waited < 5 * LEAVE_PATIENCE,
            "{waited:?}"
        );
    }

    #[tokio::test]
    async fn an_address_does_not_wait_for_resets_that_nobody_sends() {
        let (released, unheard) = released(0);
        drop(unheard);
        let waited = waited_for(&released).await;
        assert!(waited < LEAVE_PATIENCE, "{waited:?}");
    }
}
