//! Routers of others that run before ordinary programs, as the agent's engine and the threads that measure do: how long a busy
//! machine lets them wait is not what is tested.

use std::fs;

use holdfast_lab::{Error, Process, command};

use crate::Result;

/// The lowest real-time priority: an agent goes first.
const PRIORITY: &str = "1";

/// Gives a daemon and everything that it has started real-time priority, as the manuals of routers advise for short intervals.
///
/// An ordinary user may not do that; then it runs as it is.
///
/// # Errors
/// [`Error::MissingTool`] without util-linux.
pub fn prefer(daemon: &Process) -> Result<()> {
    for process in group(daemon)? {
        let preferred = command::run("chrt", &["--all-tasks", "--rr", "--pid", PRIORITY, &process]);
        // Anything else is a refusal, or it has just ended.
        if let Err(error @ Error::MissingTool { .. }) = preferred {
            return Err(error.into());
        }
    }
    Ok(())
}

/// The numbers of the processes in the daemon's group.
fn group(daemon: &Process) -> Result<Vec<String>> {
    let leader = daemon.pid().to_string();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        // What is no process has no such file, and one that ends meanwhile has none any more.
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        // After the name: the state, the parent, the group.
        if fields.split_whitespace().nth(2) == Some(leader.as_str()) {
            found.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(found)
}
