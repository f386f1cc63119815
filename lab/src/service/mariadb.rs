//! MariaDB, with an empty set of databases of its own.

use std::{fs, path::PathBuf, time::Duration};

use crate::{
    command,
    error::{Doing as _, Result},
    lab::wait_until,
    node::Node,
    process::Process,
};

/// How long it may take to come up beside everything else that a test does.
const PATIENCE: Duration = Duration::from_secs(30);

/// MariaDB, running in a node. It ends when this is dropped.
#[derive(Debug)]
pub struct MariaDb {
    /// The daemon: its log, its signals.
    pub process: Process,
    node: Node,
    socket: PathBuf,
}

impl MariaDb {
    /// Starts MariaDB at 127.0.0.1:3306 after `statements` were carried out, and waits until it takes a login.
    ///
    /// # Errors
    /// [`Error::MissingTool`](crate::Error::MissingTool) when MariaDB is not installed.
    pub fn start(node: &Node, statements: &str) -> Result<Self> {
        let folder = node.folder().join(format!("mariadb-{}", node.next_number()));
        fs::create_dir(&folder).doing(|| format!("create {}", folder.display()))?;
        let path = |name: &str| folder.join(name).display().to_string();
        let datadir = format!("--datadir={}", path("data"));
        let install = [
            "--no-defaults",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--user=root",
            &datadir,
        ];
        command::checked(
            "mariadb-install-db",
            &install,
            Ok(node.exec("mariadb-install-db", &install)?),
        )?;
        fs::write(folder.join("init.sql"), statements).doing(|| format!("write {}", path("init.sql")))?;
        let process = node.spawn(
            "mariadbd",
            &[
                "--no-defaults",
                "--user=root",
                &datadir,
                "--bind-address=127.0.0.1",
                "--port=3306",
                "--innodb-buffer-pool-size=8M",
                "--innodb-log-file-size=4M",
                &format!("--socket={}", path("db.sock")),
                &format!("--pid-file={}", path("db.pid")),
                &format!("--init-file={}", path("init.sql")),
            ],
        )?;
        let server = Self {
            process,
            node: node.clone(),
            socket: folder.join("db.sock"),
        };
        wait_until("MariaDB takes a login", PATIENCE, || {
            Ok(server.sql("SELECT 1").is_ok())
        })?;
        Ok(server)
    }

    /// Carries out a statement as its root.
    ///
    /// # Errors
    /// [`Error::Command`](crate::Error::Command) with MariaDB's own words.
    pub fn sql(&self, statement: &str) -> Result<String> {
        let socket = format!("--socket={}", self.socket.display());
        let arguments = [
            "--no-defaults",
            &socket,
            "--user=root",
            "--batch",
            "--execute",
            statement,
        ];
        command::checked("mariadb", &arguments, Ok(self.node.exec("mariadb", &arguments)?))
    }
}
