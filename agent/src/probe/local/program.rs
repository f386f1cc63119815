//! A running program and everything it has started: watched until it ends, and ended with all of it when nobody watches it any
//! more.
//!
//! What a program starts is in its process group, unless it leaves that on purpose (`setsid`, as daemons do): then it is nobody's
//! concern here. Nothing limits how many processes a program starts, because the kernel counts them per user, not per program;
//! a limit for the agent's service or pod (`TasksMax`, `podPidsLimit`) holds for them too.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::thread;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;

use super::output::Output;
use super::turn::Turn;
use crate::sys::{self, Started};

/// What one read of a program's output takes at most.
const CHUNK: usize = 16 << 10;

/// A program that runs. Dropping it ends it with everything in its process group.
#[derive(Debug)]
pub struct Running {
    group: Pid,
    /// `None` once it was waited for: from then on its number may be another's.
    process: Option<(OwnedFd, Turn)>,
    printed: OwnedFd,
}

/// How a program ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// By itself or by a signal.
    Ended(WaitStatus),
    /// It was ended because it printed too much.
    Flooded,
}

impl Running {
    /// A program that was started, whose output comes from `printed`. Whoever comes next has to wait until it is gone.
    pub fn new(started: Started, printed: OwnedFd, turn: Turn) -> Self {
        Self {
            group: Pid::from_raw(started.process),
            process: Some((started.descriptor, turn)),
            printed,
        }
    }

    /// Waits until the program has ended, or has printed too much, and takes away what it has started. What it has left behind
    /// may still hold its output open, but nobody waits for that.
    pub async fn watch(mut self, output: &mut Output) -> io::Result<End> {
        let Some((process, _)) = &self.process else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let process: AsyncFd<OwnedFd> = sys::watch(process.as_fd().try_clone_to_owned()?)?;
        let printed = pipe::Receiver::from_owned_fd(self.printed.as_fd().try_clone_to_owned()?)?;
        let mut is_open = true;
        loop {
            tokio::select! {
                ended = process.readable() => {
                    ended?.retain_ready();
                    break;
                }
                ready = printed.readable(), if is_open => {
                    ready?;
                    match take(&printed, output)? {
                        Taken::Some | Taken::Nothing => {}
                        Taken::TooMuch => return Ok(End::Flooded),
                        Taken::End => is_open = false,
                    }
                }
            }
        }
        // Nobody writes any more after this, and so there is an end of what is left to read.
        self.kill();
        while is_open && matches!(take(&printed, output)?, Taken::Some) {}
        self.reap().map(End::Ended)
    }

    fn kill(&self) {
        // As long as nobody has waited for its leader, the group's number is nobody else's. A group that is empty is no error, and
        // one that must not be killed is found at the next run, which has to wait for it.
        if self.process.is_some() {
            let _ = killpg(self.group, Signal::SIGKILL);
        }
    }

    /// Waits for a process that has ended.
    fn reap(&mut self) -> io::Result<WaitStatus> {
        let Some((process, turn)) = self.process.take() else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let status = wait(&process);
        drop(turn);
        Ok(status?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
        let Some((process, turn)) = self.process.take() else {
            return;
        };
        // A process that was killed ends soon, but not at once, and one that waits for a disk not before the disk answers.
        let reaper = thread::Builder::new().name("holdfast-reaper".to_owned());
        let _ = reaper.spawn(move || {
            let _ = wait(&process);
            drop(turn);
        });
    }
}

fn wait(process: &OwnedFd) -> nix::Result<WaitStatus> {
    loop {
        match waitid(Id::PIDFd(process.as_fd()), WaitPidFlag::WEXITED) {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

enum Taken {
    /// There may be more at once.
    Some,
    /// There may be more later.
    Nothing,
    /// More than is allowed.
    TooMuch,
    /// Nobody can print any more.
    End,
}

fn take(printed: &pipe::Receiver, output: &mut Output) -> io::Result<Taken> {
    let mut chunk = [0; CHUNK];
    match printed.try_read(&mut chunk) {
        Ok(0) => Ok(Taken::End),
        Ok(length) if output.add(chunk.get(..length).unwrap_or_default()) => Ok(Taken::Some),
        Ok(_) => Ok(Taken::TooMuch),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Taken::Nothing),
        Err(error) => Err(error),
    }
}
