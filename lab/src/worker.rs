//! A thread that serves file descriptors until its handle is dropped. All of the meter's threads are such.

use std::{
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
    thread::{self, JoinHandle},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::eventfd::{EfdFlags, EventFd},
};

use crate::{
    error::{Doing as _, Result},
    sys,
};

/// The handle of the thread; dropping it ends the thread and waits for that.
#[derive(Debug)]
pub(crate) struct Worker {
    stop: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts a thread that calls `ready` with the index of a descriptor of `sources` whenever it can be read.
    pub(crate) fn serve<S: AsFd + Send + 'static>(
        name: &str,
        sources: Vec<S>,
        mut ready: impl FnMut(usize, &S) + Send + 'static,
    ) -> Result<Self> {
        Self::start(name, move |stop| {
            while let Some(index) = next_ready(stop, &sources) {
                ready(index, &sources[index]);
            }
        })
    }

    /// Starts a thread that runs `body`, which must return soon after the event descriptor can be read.
    pub(crate) fn start(name: &str, body: impl FnOnce(&EventFd) + Send + 'static) -> Result<Self> {
        let stop = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .doing(|| "open an eventfd".to_owned())?;
        let stop = Arc::new(stop);
        let theirs = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                sys::prefer_this_thread();
                body(&theirs);
            })
            .doing(|| format!("start the thread {name}"))?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop.write(1).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// The first descriptor that can be read; `None` when the thread is to end.
fn next_ready<S: AsFd>(stop: &EventFd, sources: &[S]) -> Option<usize> {
    let descriptors: Vec<BorrowedFd<'_>> = std::iter::once(stop.as_fd())
        .chain(sources.iter().map(AsFd::as_fd))
        .collect();
    let mut polled: Vec<PollFd<'_>> = descriptors
        .iter()
        .map(|fd| PollFd::new(*fd, PollFlags::POLLIN))
        .collect();
    loop {
        match poll(&mut polled, PollTimeout::NONE) {
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(_) => return None,
        }
        if polled[0].any() == Some(true) {
            return None;
        }
        if let Some(index) = polled.iter().skip(1).position(|fd| fd.any() == Some(true)) {
            return Some(index);
        }
    }
}
