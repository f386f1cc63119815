//! HAProxy, with whatever sections a test gives it, and a stats socket.

use std::path::{Path, PathBuf};

use super::write;
use crate::{error::Result, node::Node, process::Process};

/// HAProxy, running in a node. It ends when this is dropped.
#[derive(Debug)]
pub struct HaProxy {
    /// The daemon: its log, its signals.
    pub process: Process,
    socket: PathBuf,
}

impl HaProxy {
    /// Starts HAProxy with these sections (`frontend`, `backend`, …) after its defaults: mode http, short timeouts.
    ///
    /// # Errors
    /// [`Error::MissingTool`](crate::Error::MissingTool) when HAProxy is not installed.
    pub fn start(node: &Node, sections: &str) -> Result<Self> {
        let base = node.folder().join(format!("haproxy-{}", node.next_number()));
        let (configuration, socket) = (base.with_extension("cfg"), base.with_extension("sock"));
        let text = format!(
            "global\n  stats socket {} mode 600 level admin\n\
             defaults\n  mode http\n  timeout connect 2s\n  timeout client 30s\n  timeout server 30s\n\
             {sections}\n",
            socket.display()
        );
        write(&configuration, &text)?;
        let file = configuration.display().to_string();
        let process = node.spawn("haproxy", &["-db", "-f", &file])?;
        Ok(Self { process, socket })
    }

    /// Its stats socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}
