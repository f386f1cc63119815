//! The local socket's server: root only, and no client can make it wait, grow or fail.

use core::time::Duration;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use holdfast_logging::Level;
use nix::unistd::geteuid;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

use super::protocol::{MAX_REQUEST, Request, Response};
use super::{LOG_MODULE, Shared};

/// Conversations at a time; further clients wait in the kernel's queue.
const MAX_CLIENTS: usize = 8;

/// How long one conversation may take, the engine's answer included.
const CONVERSATION: Duration = Duration::from_secs(5);

/// The local socket. Dropping it stops the server and removes the file.
#[derive(Debug)]
pub struct StatusSocket {
    path: PathBuf,
    inode: u64,
    server: tokio::task::JoinHandle<()>,
}

impl StatusSocket {
    /// Serves `shared` at `path`, readable and writable by the agent's user only. A file left behind by an agent that
    /// was killed is replaced; one that answers is refused with [`io::ErrorKind::AddrInUse`].
    pub fn serve(path: &Path, shared: Arc<Shared>) -> io::Result<Self> {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        // Until this line the peer's credentials alone protect it; they are checked for every client anyway.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        let inode = std::fs::symlink_metadata(path)?.ino();
        let server = tokio::spawn(accept(listener, shared));
        Ok(Self {
            path: path.to_owned(),
            inode,
            server,
        })
    }
}

impl Drop for StatusSocket {
    fn drop(&mut self) {
        self.server.abort();
        // Another agent may already serve there.
        if std::fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

async fn accept(listener: UnixListener, shared: Arc<Shared>) {
    let clients = Arc::new(Semaphore::new(MAX_CLIENTS));
    loop {
        let Ok(permit) = Arc::clone(&clients).acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, most likely: waiting is all that helps.
                tracing::debug!("accepting a client of the local socket: {error}");
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let _permit = permit;
            match tokio::time::timeout(CONVERSATION, converse(stream, &shared)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!("a client of the local socket: {error}"),
                Err(_) => tracing::debug!("a client of the local socket was too slow"),
            }
        });
    }
}

async fn converse(mut stream: UnixStream, shared: &Shared) -> io::Result<()> {
    let user = stream.peer_cred()?.uid();
    let response = if trusted(user) {
        let (reader, _) = stream.split();
        let mut line = String::new();
        BufReader::new(reader.take(MAX_REQUEST))
            .read_line(&mut line)
            .await?;
        answer(&line, shared).await
    } else {
        Response::Error {
            message: format!("user {user} may not talk to the agent; run this as root"),
        }
    };
    let mut line = serde_json::to_vec(&response)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    stream.shutdown().await
}

async fn answer(line: &str, shared: &Shared) -> Response {
    let request = match serde_json::from_str(line) {
        Ok(request) => request,
        Err(error) => {
            return Response::Error {
                message: format!("not a request this agent knows: {error}"),
            };
        }
    };
    match request {
        Request::Status {} => match shared.status().await {
            Ok(status) => Response::Status(Box::new(status)),
            Err(error) => Response::Error {
                message: error.to_string(),
            },
        },
        Request::SetLogLevel { level } => {
            match Level::parse(&level, LOG_MODULE).and_then(|parsed| shared.log().set(&parsed)) {
                Ok(()) => {
                    tracing::info!("the log level is now {level}");
                    Response::LogLevel { level }
                }
                Err(message) => Response::Error { message },
            }
        }
    }
}

/// Whether a local process of this user may talk to the agent: root, and whoever the agent itself runs as.
pub fn trusted(user: u32) -> bool {
    user == 0 || user == geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use holdfast_logging::LogControl;

    use super::*;
    use crate::report::client;
    use crate::status::Role;

    fn shared() -> Arc<Shared> {
        Arc::new(Shared::new("cp-1", LogControl::default()))
    }

    fn on_a_runtime<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(future)
    }

    async fn ask(path: &Path, request: Request) -> Result<Response, client::ClientError> {
        let path = path.to_owned();
        tokio::task::spawn_blocking(move || client::ask(&path, &request))
            .await
            .unwrap()
    }

    #[test]
    fn a_client_gets_the_status_of_a_standby() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.sock");
        let answer = on_a_runtime(async {
            let _server = StatusSocket::serve(&path, shared()).unwrap();
            ask(&path, Request::Status {}).await.unwrap()
        });
        let Response::Status(status) = answer else {
            panic!("{answer:?}")
        };
        assert_eq!((status.node.as_str(), status.role), ("cp-1", Role::Standby));
    }

    #[test]
    fn the_socket_belongs_to_its_user_alone_and_goes_with_the_server() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.sock");
        on_a_runtime(async {
            let server = StatusSocket::serve(&path, shared()).unwrap();
            assert_eq!(
                std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600
            );
            drop(server);
        });
        assert!(!path.exists());
    }

    #[test]
    fn a_file_left_by_a_killed_agent_is_replaced_and_a_living_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        on_a_runtime(async {
            let first = StatusSocket::serve(&path, shared()).unwrap();
            let second = StatusSocket::serve(&path, shared()).unwrap_err();
            assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
            drop(first);
        });
    }

    #[test]
    fn a_request_without_end_is_cut_and_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.sock");
        let answer = on_a_runtime(async {
            let _server = StatusSocket::serve(&path, shared()).unwrap();
            let mut stream = UnixStream::connect(&path).await.unwrap();
            // The server reads no more than its limit of this, so writing the rest may fail.
            let _ = stream.write_all(&vec![b'x'; 1 << 20]).await;
            let mut answer = Vec::new();
            // Unread bytes make the kernel end the connection with a reset after the answer.
            let _ = stream.read_to_end(&mut answer).await;
            String::from_utf8(answer).unwrap()
        });
        assert!(answer.contains("not a request this agent knows"), "{answer}");
    }

    #[test]
    fn silent_clients_do_not_keep_others_out_for_longer_than_a_conversation() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.sock");
        on_a_runtime(async {
            tokio::time::pause();
            let _server = StatusSocket::serve(&path, shared()).unwrap();
            let mut silent = Vec::new();
            for _ in 0..MAX_CLIENTS {
                silent.push(UnixStream::connect(&path).await.unwrap());
            }
            let mut client = UnixStream::connect(&path).await.unwrap();
            client.write_all(b"{\"status\":{}}\n").await.unwrap();
            let mut answer = String::new();
            // The clock is virtual: it jumps over the conversations' time limit as soon as everybody waits.
            client.read_to_string(&mut answer).await.unwrap();
            assert!(answer.contains("cp-1"), "{answer}");
        });
    }
}
