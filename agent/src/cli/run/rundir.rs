//! The run directory: the local socket and the state file. Nothing that fails here keeps addresses from being served.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use crate::report::Shared;
use crate::report::protocol::socket_path;
use crate::report::socket::StatusSocket;
use crate::state_file;

/// The run directory, which may be out of order.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// The run directory at `path`.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Makes sure that it exists, readable by its user alone if it is new.
    pub fn create(&self, shared: &Shared) {
        if let Err(error) = DirBuilder::new().recursive(true).mode(0o700).create(&self.path) {
            shared.add_limitation(&format!(
                "the run directory {} cannot be used ({error}): no status socket, and an agent that is killed does not \
                 resume where it was; name another --run-dir",
                self.path.display()
            ));
        }
    }

    /// Where the state file is.
    pub fn state_file(&self) -> PathBuf {
        self.path.join(state_file::NAME)
    }

    /// Serves the local socket of the agent's present role.
    pub fn serve(&self, shared: &Arc<Shared>) -> Option<StatusSocket> {
        let path = socket_path(&self.path, shared.role());
        match StatusSocket::serve(&path, Arc::clone(shared)) {
            Ok(socket) => return Some(socket),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => shared.add_limitation(&format!(
                "another agent answers at {}: this one has no status socket; give each network namespace a --run-dir of \
                 its own",
                path.display()
            )),
            Err(error) => {
                shared.add_limitation(&format!("no status socket at {}: {error}", path.display()));
            }
        }
        None
    }
}
