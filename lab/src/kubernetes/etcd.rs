//! etcd on the control plane's loopback: frozen and thawed, and set back to what it knew before.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    time::Duration,
};

use super::assets::ETCD;
use crate::{
    error::{Doing as _, Error, Result},
    lab::wait_until,
    node::Node,
    process::Process,
};

/// Where the API server finds it; nobody else is on that loopback.
pub(super) const ENDPOINT: &str = "http://127.0.0.1:2379";
const PEER_ENDPOINT: &str = "http://127.0.0.1:2380";
const PATIENCE: Duration = Duration::from_secs(20);

/// A running etcd.
#[derive(Debug)]
pub(super) struct Etcd {
    process: Process,
    folder: PathBuf,
}

impl Etcd {
    /// Starts etcd with what `folder` holds, or empty if there is no such folder.
    pub(super) fn start(node: &Node, folder: &Path) -> Result<Self> {
        let initial_cluster = format!("default={PEER_ENDPOINT}");
        let data = folder.display().to_string();
        let arguments = [
            ("--data-dir", &*data),
            ("--listen-client-urls", ENDPOINT),
            ("--advertise-client-urls", ENDPOINT),
            ("--listen-peer-urls", PEER_ENDPOINT),
            ("--initial-advertise-peer-urls", PEER_ENDPOINT),
            ("--initial-cluster", &initial_cluster),
            // A cluster of one elects itself, and need not wait for a second to do so.
            ("--heartbeat-interval", "10"),
            ("--election-timeout", "100"),
            ("--log-level", "warn"),
        ];
        let mut words: Vec<&str> = arguments
            .iter()
            .flat_map(|(name, value)| [*name, *value])
            .collect();
        // Nothing outlives the sandbox, so nothing need reach a disk.
        words.push("--unsafe-no-fsync");
        let mut etcd = Self {
            process: node.spawn(ETCD.find()?, &words)?,
            folder: folder.to_owned(),
        };
        wait_until("etcd listens", PATIENCE, || {
            still_running(&mut etcd.process, "etcd")?;
            Ok(is_listening(node, 2379))
        })?;
        Ok(etcd)
    }

    /// The daemon.
    pub(super) fn process(&self) -> &Process {
        &self.process
    }

    /// Copies what it knows now to `folder`, which must not exist.
    ///
    /// What a frozen etcd has written so far is what a killed one would leave behind, and that is all it needs.
    pub(super) fn snapshot(&self, folder: &Path) -> Result<()> {
        self.process.freeze()?;
        let copied = copy_folder(&self.folder, folder)
            .doing(|| format!("copy {} to {}", self.folder.display(), folder.display()));
        self.process.thaw()?;
        copied
    }

    /// Kills it, puts a snapshot in the place of its data, and starts it again.
    pub(super) fn restore(mut self, node: &Node, snapshot: &Path) -> Result<Self> {
        self.process.kill()?;
        fs::remove_dir_all(&self.folder).doing(|| format!("delete {}", self.folder.display()))?;
        copy_folder(snapshot, &self.folder)
            .doing(|| format!("copy {} to {}", snapshot.display(), self.folder.display()))?;
        Self::start(node, &self.folder)
    }
}

/// Whether somebody listens on this port of the node's loopback.
pub(super) fn is_listening(node: &Node, port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let connected = || Ok(TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok());
    node.netns().run(connected).unwrap_or(false)
}

/// Fails with the log of a daemon that has ended while it was waited for.
pub(super) fn still_running(process: &mut Process, name: &str) -> Result<()> {
    match process.ended()? {
        None => Ok(()),
        Some(status) => Err(Error::Invalid(format!(
            "{name} ended ({status}) and said:\n{}",
            process.log()?
        ))),
    }
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    // etcd insists that nobody else may read it.
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
