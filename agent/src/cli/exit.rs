//! Why the agent ended, as an exit code and a sentence.

use std::process::ExitCode;

use crate::engine::StartError;
use crate::lock::LockError;

/// The exit codes, as `--help` shows them.
pub const HELP: &str = "\
Exit codes:
  0  ended as asked
  1  failed; the last line says why
  2  the command line is not understood
  3  not privileged: needs CAP_NET_ADMIN and CAP_NET_RAW
  4  the configuration has nothing valid to run (at start; a running agent keeps what it runs)
  5  another agent runs in this network namespace, and --no-wait was given";

/// Why a command failed. Each kind has an exit code, so that a supervisor can tell them apart.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The process may not do what an agent does.
    #[error(
        "{0}. Run the agent as root, or grant both: `setcap cap_net_admin,cap_net_raw+ep $(command -v holdfast-agent)`, \
         or in a systemd unit `AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW`"
    )]
    NoPrivilege(String),
    /// The first configuration has nothing that could run.
    #[error("{0}")]
    NothingToRun(String),
    /// Another agent holds the lock.
    #[error(
        "another agent (process {pid}) already runs in this network namespace; end it first, or leave out --no-wait \
         to take over when it ends"
    )]
    AlreadyRunning {
        /// Its process.
        pid: i32,
    },
    /// The flags were read, and make no sense together.
    #[error("{0}")]
    Usage(String),
    /// Anything else.
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

impl Failure {
    /// The code with which the process ends.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Other(_) => 1,
            Self::Usage(_) => 2,
            Self::NoPrivilege(_) => 3,
            Self::NothingToRun(_) => 4,
            Self::AlreadyRunning { .. } => 5,
        })
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::NoPrivilege => {
                Self::NoPrivilege("the kernel refused a raw socket, which takes CAP_NET_RAW".to_owned())
            }
            error @ StartError::Io(_) => Self::Other(error.into()),
        }
    }
}

impl From<LockError> for Failure {
    fn from(error: LockError) -> Self {
        Self::Other(error.into())
    }
}
