//! What waits to be sent on one socket, and how sending it went. The memory is kept, so that the steady state
//! allocates nothing.

use core::net::IpAddr;
use core::ops::Range;
use std::io;
use std::os::fd::BorrowedFd;

use crate::sys::{Datagram, Sender};

/// Datagrams that wait to be sent together.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    queued: Vec<Queued>,
    sender: Sender,
}

/// One datagram: where its bytes are, and from which address to which it goes.
type Queued = (Range<usize>, Option<(IpAddr, IpAddr)>);

/// Whole Ethernet frames that wait to be sent together.
#[derive(Debug, Default)]
pub struct FrameOutbox(Outbox);

/// How sending went.
#[derive(Debug, Default)]
pub struct SendReport {
    /// How many went.
    pub sent: usize,
    /// Those that did not, by their place in the outbox, and why.
    pub failed: Vec<(usize, io::Error)>,
}

impl Outbox {
    /// Queues what `write` appends to the buffer it is given, from `source` to `destination`.
    pub fn push(&mut self, source: IpAddr, destination: IpAddr, write: impl FnOnce(&mut Vec<u8>)) {
        self.push_on(Some((source, destination)), write);
    }

    fn push_on(&mut self, path: Option<(IpAddr, IpAddr)>, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        self.queued.push((start..self.bytes.len(), path));
    }

    /// Sends everything and empties the outbox. One that is refused does not stop the others.
    pub(super) fn send(&mut self, socket: BorrowedFd<'_>) -> SendReport {
        let mut report = SendReport::default();
        let mut next = 0;
        while next < self.queued.len() {
            let datagrams = self.queued[next..].iter().map(|(range, path)| Datagram {
                bytes: &self.bytes[range.clone()],
                path: *path,
            });
            match self.sender.send(socket, datagrams) {
                Ok(sent) => {
                    report.sent += sent;
                    // The kernel never takes none without an error; should it, this still ends.
                    next += sent.max(1);
                }
                Err(error) => {
                    report.failed.push((next, error));
                    next += 1;
                }
            }
        }
        self.bytes.clear();
        self.queued.clear();
        report
    }
}

impl FrameOutbox {
    /// Queues the frame that `write` appends to the buffer it is given.
    pub fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.0.push_on(None, write);
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.0.queued.is_empty()
    }

    pub(super) fn send(&mut self, socket: BorrowedFd<'_>) -> SendReport {
        self.0.send(socket)
    }
}
