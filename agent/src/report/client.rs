//! The local socket's client, as `status` and `log-level` use it: blocking, bounded in time and size.

use core::time::Duration;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::protocol::{Request, Response};

/// How long the agent may take to take a request, and between two parts of its answer.
const TIMEOUT: Duration = Duration::from_secs(6);

/// The longest answer in bytes: more than a thousand groups with every notice.
const MAX_RESPONSE: u64 = 64 << 20;

/// Why the agent gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error(
        "no agent answers at {path}: it is not running, or was started with another --run-dir. \
         Start it with `holdfast-agent run --node NAME --config PATH`, or name its --run-dir",
        path = .0.display()
    )]
    NotRunning(PathBuf),
    /// The socket belongs to somebody else.
    #[error("{path} is open to root only: run this command as root", path = .0.display())]
    Refused(PathBuf),
    /// The agent did not answer in time.
    #[error("the agent at {path} took the request but did not answer within 6s; its log may say why", path = .0.display())]
    Slow(PathBuf),
    /// The agent says that it cannot.
    #[error("{0}")]
    Agent(String),
    /// The answer is of another version.
    #[error(
        "the agent at {path} answers in a way that this command ({version}) does not understand: {error}. \
         Use the command of the agent's own version",
        path = .path.display(), version = env!("CARGO_PKG_VERSION")
    )]
    Answer {
        /// The socket.
        path: PathBuf,
        /// What is wrong with the answer.
        error: serde_json::Error,
    },
    /// Anything else.
    #[error("talking to the agent at {path}: {error}", path = .path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// What went wrong.
        error: io::Error,
    },
}

/// Asks the agent that listens at `path`.
pub fn ask(path: &Path, request: &Request) -> Result<Response, ClientError> {
    let answer = exchange(path, request).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            ClientError::NotRunning(path.to_owned())
        }
        io::ErrorKind::PermissionDenied => ClientError::Refused(path.to_owned()),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ClientError::Slow(path.to_owned()),
        _ => ClientError::Io {
            path: path.to_owned(),
            error,
        },
    })?;
    match serde_json::from_slice(&answer) {
        Ok(Response::Error { message }) => Err(ClientError::Agent(message)),
        Ok(response) => Ok(response),
        Err(error) => Err(ClientError::Answer {
            path: path.to_owned(),
            error,
        }),
    }
}

fn exchange(path: &Path, request: &Request) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = Vec::new();
    stream.take(MAX_RESPONSE).read_to_end(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_does_not_run_is_told_with_the_socket_tried_and_what_to_do() {
        let error = ask(Path::new("/nowhere/agent.sock"), &Request::Status {}).unwrap_err();
        insta::assert_snapshot!(error, @"no agent answers at /nowhere/agent.sock: it is not running, or was started with another --run-dir. Start it with `holdfast-agent run --node NAME --config PATH`, or name its --run-dir");
    }
}
