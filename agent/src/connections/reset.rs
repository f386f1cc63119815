//! The thread that resets the connections of addresses that are leaving, while resets can still be sent from them.
//!
//! It is not the one that closes what is left when an address has left: that may be busy with others for seconds, and here an
//! address waits.

use core::net::IpAddr;
use std::collections::BTreeSet;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use tokio::sync::oneshot;

use super::kernel;
use super::sockets::Protocol;
use super::worker::note_socket;
use super::{Closed, Counts, News, rule};

/// So many are reset before the time is looked at: a few milliseconds.
const PIECE: usize = 512;

/// Addresses that are leaving.
#[derive(Debug)]
pub struct Leaving {
    /// The addresses.
    pub addresses: Vec<IpAddr>,
    /// Until when they are there.
    pub deadline: Instant,
    /// Who waits for the end of it.
    pub told: oneshot::Sender<()>,
}

/// Works until nobody is left to say anything.
pub fn run(leaving: &Receiver<Leaving>, news: &impl Fn(News)) {
    while let Ok(first) = leaving.recv() {
        let deadline = first.deadline;
        let all: Vec<Leaving> = core::iter::once(first).chain(leaving.try_iter()).collect();
        let addresses = all.iter().flat_map(|leaving| leaving.addresses.clone());
        let closed = reset(&addresses.collect(), deadline);
        for leaving in all {
            // Whoever had no patience does not listen any more.
            let _ = leaving.told.send(());
        }
        if closed.counts != Counts::default() {
            news(News::Closed(closed));
        }
    }
}

/// Resets what is connected to these addresses from elsewhere. What it cannot do is tried again when they have left, and told
/// then.
fn reset(addresses: &BTreeSet<IpAddr>, deadline: Instant) -> Closed {
    let mut closed = Closed::default();
    while let Ok(found) = kernel::find_sockets(addresses, &[Protocol::Tcp], deadline) {
        let before = closed.counts;
        for piece in rule::abroad(&found.list, addresses).chunks(PIECE) {
            if Instant::now() >= deadline {
                return closed;
            }
            for (socket, result) in piece.iter().zip(kernel::destroy_sockets(piece)) {
                if result.is_ok() {
                    note_socket(socket, addresses, &mut closed);
                }
            }
        }
        if !found.more || closed.counts == before {
            break;
        }
    }
    closed
}
