//! A connection on which nobody can talk for ever, nor so fast that other probes do not get their turn.

use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// More is not read in one run. Whatever counts of an answer fits in it several times, however it is wrapped.
const MOST: usize = 512 << 10;

/// After so much it is others' turn. A protocol's machinery goes on for as long as there is something to read, and a run's
/// timeout is not looked at meanwhile: a server that says `100 Continue` without an end was seen to keep the thread for seconds.
const TURN: usize = 16 << 10;

/// A connection of one run.
#[derive(Debug)]
pub struct Fair<S> {
    stream: S,
    read: usize,
    turn: usize,
}

impl<S> Fair<S> {
    /// A connection of which nothing was read yet.
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            read: 0,
            turn: 0,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Fair<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read > MOST {
            return Poll::Ready(Err(io::Error::other(format!(
                "the answer does not end within {} KiB",
                MOST >> 10
            ))));
        }
        if self.turn >= TURN {
            self.turn = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = bytes.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, bytes))?;
        let length = bytes.filled().len() - before;
        self.read += length;
        self.turn += length;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Fair<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use core::future::Future as _;
    use core::pin::pin;

    use futures::task::noop_waker_ref;
    use tokio::io::{AsyncReadExt as _, repeat};

    use super::*;

    #[test]
    fn whoever_talks_without_pause_is_interrupted_and_in_the_end_not_heard_any_more() {
        let mut connection = Fair::new(repeat(b'x'));
        let mut context = Context::from_waker(noop_waker_ref());
        let (mut heard, mut interruptions) = (0, 0);
        let mut piece = [0; 4 << 10];
        let error = loop {
            match pin!(connection.read(&mut piece)).poll(&mut context) {
                Poll::Ready(Ok(length)) => heard += length,
                Poll::Ready(Err(error)) => break error,
                Poll::Pending => interruptions += 1,
            }
        };
        assert_eq!(error.to_string(), "the answer does not end within 512 KiB");
        assert!(heard > MOST && heard <= MOST + TURN, "{heard}");
        assert_eq!(interruptions, MOST / TURN);
    }
}
