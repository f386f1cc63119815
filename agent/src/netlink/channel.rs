//! The way from the netlink thread to the engine: bounded, and with a descriptor that the engine's `epoll` can wait on.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use nix::sys::eventfd::{EfdFlags, EventFd};

use super::Message;

/// Messages that may wait for the engine, which takes them within microseconds. A full channel makes the netlink thread
/// wait, and the kernel's own queue behind it; what that drops is noticed and told again.
const CAPACITY: usize = 4096;

/// The netlink thread's end.
#[derive(Debug)]
pub struct MessageSender {
    messages: SyncSender<Message>,
    wake: Arc<EventFd>,
}

/// The engine's end.
#[derive(Debug)]
pub struct MessageReceiver {
    messages: Receiver<Message>,
    wake: Arc<EventFd>,
}

/// The engine has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Closed;

/// A new channel.
pub fn channel() -> io::Result<(MessageSender, MessageReceiver)> {
    let wake = Arc::new(EventFd::from_flags(
        EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK,
    )?);
    let (sender, receiver) = sync_channel(CAPACITY);
    Ok((
        MessageSender {
            messages: sender,
            wake: wake.clone(),
        },
        MessageReceiver {
            messages: receiver,
            wake,
        },
    ))
}

impl MessageSender {
    /// Sends a message, waiting for room if there is none.
    pub(super) fn send(&self, message: Message) -> Result<(), Closed> {
        self.messages.send(message).map_err(|_| Closed)?;
        // A full counter wakes just as well.
        let _ = self.wake.write(1);
        Ok(())
    }
}

impl MessageReceiver {
    /// The next message, if there is one.
    pub fn try_recv(&self) -> Option<Message> {
        self.messages.try_recv().ok()
    }

    /// Silences the descriptor until something comes. To be called before the messages are read: one that comes in
    /// between rings again.
    pub fn rearm(&self) {
        let _ = self.wake.read();
    }
}

impl AsFd for MessageReceiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;

    fn rings(receiver: &MessageReceiver) -> bool {
        poll(
            &mut [PollFd::new(receiver.as_fd(), PollFlags::POLLIN)],
            PollTimeout::ZERO,
        )
        .unwrap()
            == 1
    }

    #[test]
    fn the_descriptor_rings_for_what_comes_after_it_was_rearmed() {
        let (sender, receiver) = channel().unwrap();
        assert!(!rings(&receiver));
        sender.send(Message::Resync).unwrap();
        assert!(rings(&receiver));
        receiver.rearm();
        assert!(!rings(&receiver));
        assert_eq!(receiver.try_recv(), Some(Message::Resync));
        sender.send(Message::Synced).unwrap();
        assert!(rings(&receiver));
        assert_eq!(receiver.try_recv(), Some(Message::Synced));
        assert_eq!(receiver.try_recv(), None);
    }

    #[test]
    fn a_sender_learns_that_the_engine_has_ended() {
        let (sender, receiver) = channel().unwrap();
        drop(receiver);
        assert_eq!(sender.send(Message::Synced), Err(Closed));
    }
}
