//! A Holdfast agent running in a node, told what to do by a file, by a cluster, or by both.

use std::{
    env, fs,
    net::SocketAddr,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    command,
    error::{Doing as _, Error, Result},
    lab::wait_until,
    node::Node,
    process::Process,
};

/// The variable that names the agent's binary.
pub const BINARY_VARIABLE: &str = "HOLDFAST_AGENT";
/// Where the agent answers for metrics and health, inside of its node.
pub const METRICS_ADDRESS: &str = "127.0.0.1:9414";
/// The agent's local socket, in its run folder.
const SOCKET: &str = "agent.sock";

/// How to start an agent, where it differs from one with a single file and nothing else.
#[derive(Clone, Default, Debug)]
pub struct AgentOptions {
    /// More arguments after `run` and the usual ones.
    pub arguments: Vec<String>,
    /// The binary, where it is not the one that [`agent_binary`] finds.
    pub binary: Option<PathBuf>,
    /// The name of its file in the node's folder, where several agents of a node have one each.
    pub file: Option<String>,
}

/// A Holdfast agent, running in a node. It ends, without a last word, when this is dropped.
#[derive(Debug)]
pub struct Agent {
    /// The daemon: its log, its signals.
    pub process: Process,
    node: Node,
    binary: PathBuf,
    configuration: PathBuf,
    run_folder: PathBuf,
}

impl Agent {
    /// Starts an agent in `node` with `yaml` (documents of kind `VirtualIPGroup`) as its file.
    ///
    /// A second agent in the same node gets the same run folder, as after a restart, and the same file unless `options` name one.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no agent binary.
    pub fn start(node: &Node, yaml: &str, options: &AgentOptions) -> Result<Self> {
        Self::launch(node, None, Some(yaml), options)
    }

    /// Starts an agent in `node` that asks the cluster as `kubeconfig` says what to do, and has a file too if `yaml` is
    /// given.
    ///
    /// A second agent in the same node gets the same cache and the same run folder, as after a restart.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no agent binary.
    pub fn start_in_cluster(
        node: &Node,
        kubeconfig: &Path,
        yaml: Option<&str>,
        options: &AgentOptions,
    ) -> Result<Self> {
        Self::launch(node, Some(kubeconfig), yaml, options)
    }

    fn launch(
        node: &Node,
        kubeconfig: Option<&Path>,
        yaml: Option<&str>,
        options: &AgentOptions,
    ) -> Result<Self> {
        let binary = options.binary.clone().map_or_else(agent_binary, Ok)?;
        let file = options.file.as_deref().unwrap_or("holdfast.yaml");
        let configuration = node.folder().join(file);
        let run_folder = node.folder().join("run");
        fs::create_dir_all(&run_folder).doing(|| format!("create {}", run_folder.display()))?;
        let (file, run_dir) = (
            configuration.display().to_string(),
            run_folder.display().to_string(),
        );
        let cache_dir = cache_folder(node).display().to_string();
        let mut arguments = vec![
            "run",
            "--node",
            node.name(),
            "--run-dir",
            &run_dir,
            "--metrics-address",
            METRICS_ADDRESS,
        ];
        if let Some(yaml) = yaml {
            write_whole(&configuration, yaml)?;
            arguments.extend(["--config", &file]);
        }
        let kubeconfig = kubeconfig.map(|path| path.display().to_string());
        if let Some(kubeconfig) = &kubeconfig {
            arguments.extend([
                "--kubernetes",
                "--kubeconfig",
                kubeconfig,
                "--cache-dir",
                &cache_dir,
            ]);
        }
        arguments.extend(options.arguments.iter().map(String::as_str));
        let process = node.spawn(&binary, &arguments)?;
        Ok(Self {
            process,
            node: node.clone(),
            binary,
            configuration,
            run_folder,
        })
    }

    /// Replaces the agent's file at one stroke; the agent notices by itself.
    ///
    /// # Errors
    /// [`Error::System`] when it cannot be written.
    pub fn write_configuration(&self, yaml: &str) -> Result<()> {
        write_whole(&self.configuration, yaml)
    }

    /// What `holdfast-agent status -o json` says.
    ///
    /// # Errors
    /// [`Error::Command`] with the agent's own message when it does not answer.
    pub fn status(&self) -> Result<serde_json::Value> {
        let run_dir = self.run_folder.display().to_string();
        let program = self.binary.display().to_string();
        let arguments = ["status", "--run-dir", &run_dir, "-o", "json"];
        let output = self.node.exec(&program, &arguments)?;
        let text = command::checked(&program, &arguments, Ok(output))?;
        serde_json::from_str(&text)
            .map_err(|error| Error::Invalid(format!("`{program} status` printed no JSON: {error}: {text}")))
    }

    /// Waits until the agent answers on its local socket.
    ///
    /// # Errors
    /// [`Error::TimedOut`] after `patience`; [`Error::Invalid`] with its log when it ended instead.
    pub fn wait_until_answering(&mut self, patience: Duration) -> Result<Duration> {
        let what = format!("the agent on {} answers", self.node.name());
        let (process, socket) = (&mut self.process, self.run_folder.join(SOCKET));
        wait_until(&what, patience, || {
            if let Some(status) = process.ended()? {
                let log = process.log()?;
                return Err(Error::Invalid(format!(
                    "the agent ended ({status}) and said:\n{log}"
                )));
            }
            Ok(UnixStream::connect(&socket).is_ok())
        })
    }

    /// The node it runs in.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The folder in which it keeps what the cluster said last.
    pub fn cache_folder(&self) -> PathBuf {
        cache_folder(&self.node)
    }

    /// The folder it was given as `--run-dir`.
    pub fn run_folder(&self) -> &Path {
        &self.run_folder
    }

    /// The address of its metrics and health endpoints; reachable only inside of its node.
    pub fn metrics_address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 9414))
    }
}

/// The agent's binary: what `HOLDFAST_AGENT` names, or `holdfast-agent` beside this program or in the folder above
/// (where cargo puts it for tests).
///
/// # Errors
/// [`Error::Invalid`] that says how to build it.
pub fn agent_binary() -> Result<PathBuf> {
    binary("holdfast-agent", BINARY_VARIABLE)
}

/// The binary called `name`: what the environment's `variable` names, or the one beside this program or in the folder
/// above.
pub(crate) fn binary(name: &str, variable: &str) -> Result<PathBuf> {
    if let Some(named) = env::var_os(variable) {
        let named = PathBuf::from(named);
        return if named.is_file() {
            Ok(named)
        } else {
            Err(Error::Invalid(format!(
                "{variable} names {}, which is no file",
                named.display()
            )))
        };
    }
    let own = env::current_exe().doing(|| "find this program's own path".to_owned())?;
    let mut beside = own.ancestors().skip(1).take(2).map(|folder| folder.join(name));
    beside.find(|path| path.is_file()).ok_or_else(|| {
        Error::Invalid(format!(
            "there is no {name} beside {}; build it (cargo build -p {name}) or name it with {variable}",
            own.display()
        ))
    })
}

/// Where agents of `node` keep what the cluster said last.
fn cache_folder(node: &Node) -> PathBuf {
    node.folder().join("cache")
}

/// Writes beside and renames, so that nobody reads half a file.
fn write_whole(path: &Path, content: &str) -> Result<()> {
    let beside = path.with_extension("new");
    fs::write(&beside, content).doing(|| format!("write {}", beside.display()))?;
    fs::rename(&beside, path).doing(|| format!("rename {} to {}", beside.display(), path.display()))
}
