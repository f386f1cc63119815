//! What of its node an agent can see and is allowed to run.

use std::path::PathBuf;

/// What of its node an agent can see and is allowed to run.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Access {
    /// Whether the agent runs as a pod, which by itself sees neither files nor processes of its node.
    pub pod: bool,
    /// Whether the pod shares the node's process identifiers.
    pub host_pid: bool,
    /// The files and folders of the node that the pod has at the same paths.
    pub host_paths: Vec<PathBuf>,
    /// The programs, or folders of them, that groups from the API may run.
    pub exec_allow: Vec<PathBuf>,
    /// Whether programs are run though others could change them.
    pub exec_insecure: bool,
}
