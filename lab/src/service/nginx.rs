//! nginx, with whatever `server` blocks a test gives it.

use std::path::PathBuf;

use nix::sys::signal::Signal;

use super::write;
use crate::{
    error::{Doing as _, Result},
    node::Node,
    process::Process,
};

/// nginx, running in a node. It ends when this is dropped.
#[derive(Debug)]
pub struct Nginx {
    /// The master: its log, its signals, its workers with it.
    pub process: Process,
    configuration: PathBuf,
    folder: PathBuf,
}

impl Nginx {
    /// Starts nginx with these `server` blocks, in the foreground.
    ///
    /// # Errors
    /// [`Error::MissingTool`](crate::Error::MissingTool) when nginx is not installed.
    pub fn start(node: &Node, servers: &str) -> Result<Self> {
        let folder = node.folder().join(format!("nginx-{}", node.next_number()));
        std::fs::create_dir(&folder).doing(|| format!("create {}", folder.display()))?;
        let configuration = folder.join("nginx.conf");
        let nginx = |process| Self {
            process,
            configuration: configuration.clone(),
            folder: folder.clone(),
        };
        write(&configuration, &text(&folder.display().to_string(), servers))?;
        let (prefix, file) = (folder.display().to_string(), configuration.display().to_string());
        let process = node.spawn("nginx", &["-p", &prefix, "-c", &file, "-e", "stderr"])?;
        Ok(nginx(process))
    }

    /// Gives it other `server` blocks, which it takes over without a break.
    ///
    /// # Errors
    /// [`Error::System`](crate::Error::System) when it has ended.
    pub fn reload(&self, servers: &str) -> Result<()> {
        write(
            &self.configuration,
            &text(&self.folder.display().to_string(), servers),
        )?;
        self.process.signal(Signal::SIGHUP)
    }
}

/// One worker, which shows hangs best; everything it writes is in `folder`.
fn text(folder: &str, servers: &str) -> String {
    format!(
        "daemon off;\nuser root;\nworker_processes 1;\npid {folder}/nginx.pid;\nerror_log stderr;\n\
         events {{ worker_connections 256; }}\n\
         http {{\n  access_log off;\n  client_body_temp_path {folder}/body;\n  proxy_temp_path {folder}/proxy;\n  \
         fastcgi_temp_path {folder}/fastcgi;\n  uwsgi_temp_path {folder}/uwsgi;\n  scgi_temp_path {folder}/scgi;\n\
         {servers}\n}}\n"
    )
}
