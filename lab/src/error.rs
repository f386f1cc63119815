//! What can go wrong in a lab, each with what was being done, to what, and what to do about it.

use std::{io, time::Duration};

use nix::errno::Errno;

/// The result of anything the lab does.
pub type Result<T> = std::result::Result<T, Error>;

/// Why the lab could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused something; `doing` names the action and its object.
    #[error("{doing}: {source}")]
    System {
        /// The action and its object, as in "open /run/netns/a".
        doing: String,
        /// The system's answer.
        source: io::Error,
    },
    /// A command ran and failed.
    #[error("`{command}` failed ({status}): {stderr}")]
    Command {
        /// The command line, as it could be typed.
        command: String,
        /// How it ended: the exit code or the signal.
        status: String,
        /// What it said on standard error.
        stderr: String,
    },
    /// A tool the lab needs is not installed.
    #[error("the lab needs the command `{tool}`; install it with: {install}")]
    MissingTool {
        /// The command that was not found.
        tool: String,
        /// The command that installs it on Debian and Ubuntu.
        install: String,
    },
    /// The machine does not let this user make namespaces.
    #[error("{reason}; {advice}")]
    NamespacesRefused {
        /// Which step was refused, and how.
        reason: String,
        /// The command to run instead.
        advice: String,
    },
    /// Something that was waited for did not happen.
    #[error("waited {after:?} in vain until {what}")]
    TimedOut {
        /// What was waited for.
        what: String,
        /// For how long.
        after: Duration,
    },
    /// A name, address or binary that the lab cannot work with.
    #[error("{0}")]
    Invalid(String),
}

/// Adds to a system error what was being done.
pub(crate) trait Doing<T> {
    /// `what` is the action and its object, as in "open /run/netns/a".
    fn doing(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::System {
            doing: what(),
            source,
        })
    }
}

impl<T> Doing<T> for nix::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|errno: Errno| Error::System {
            doing: what(),
            source: errno.into(),
        })
    }
}
