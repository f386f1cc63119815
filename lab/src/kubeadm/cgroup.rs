//! A node's folder in every cgroup hierarchy: made before its kubelet starts, and gone when its sandbox is.
//!
//! Cgroups are the one thing that a namespace does not take with it. So the sandbox's outermost process, which outlives
//! all others, removes those of its own and of sandboxes that were killed whole.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crate::error::{Doing as _, Error, Result};

const ROOT: &str = "/sys/fs/cgroup";
/// What all names of ours begin with; the sandbox's follows.
const PREFIX: &str = "holdfast-lab-";
/// No sandbox lives as long.
const STALE: Duration = Duration::from_hours(2);
/// A killed container's cgroup empties a moment after its last process has ended.
const ATTEMPTS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// A node's cgroup. Its folders go when it is dropped; whatever ran in them must have ended.
#[derive(Debug)]
pub(super) struct Cgroup {
    name: String,
}

impl Cgroup {
    /// Makes the folders for `node` of the sandbox called `sandbox`.
    pub(super) fn create(sandbox: &str, node: &str) -> Result<Self> {
        let cgroup = Self {
            name: format!("{PREFIX}{sandbox}-{node}"),
        };
        let hierarchies = hierarchies();
        if hierarchies.is_empty() {
            return Err(Error::Invalid(format!(
                "a real cluster needs cgroups, and there are none at {ROOT}: mount them, as systemd does"
            )));
        }
        for hierarchy in hierarchies {
            let folder = hierarchy.join(&cgroup.name);
            create_all(&folder).doing(|| format!("create {}", folder.display()))?;
            inherit(&hierarchy, &folder)?;
        }
        Ok(cgroup)
    }

    /// What the kubelet is told as `--cgroup-root`.
    pub(super) fn path(&self) -> String {
        format!("/{}", self.name)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for hierarchy in hierarchies() {
            remove(&hierarchy.join(&self.name));
        }
    }
}

/// Removes the cgroups of the sandbox called `own`, and those that have been left behind since [`STALE`].
pub(crate) fn sweep(own: &str) {
    for hierarchy in hierarchies() {
        for folder in folders(&hierarchy) {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            let Some(sandbox) = sandbox_of(&name) else {
                continue;
            };
            // Another sandbox may be in namespaces of its own, so only its age tells whether it still runs.
            let made = fs::metadata(&folder).and_then(|metadata| metadata.modified());
            let stale = made.is_ok_and(|made| made.elapsed().is_ok_and(|age| age > STALE));
            if sandbox == own || stale {
                remove(&folder);
            }
        }
    }
}

/// The sandbox that a cgroup belongs to, by its name.
fn sandbox_of(name: &str) -> Option<&str> {
    name.strip_prefix(PREFIX)?
        .split_once('-')
        .map(|(sandbox, _)| sandbox)
}

/// Version 1 has a folder for each controller, version 2 is one hierarchy; both can be there at once.
fn hierarchies() -> Vec<PathBuf> {
    let root = PathBuf::from(ROOT);
    if root.join("cgroup.controllers").exists() {
        return vec![root];
    }
    folders(&root)
        .into_iter()
        .filter(|folder| folder.join("cgroup.procs").exists())
        .collect()
}

/// Folders that are no links (version 1 has links for controllers that share a hierarchy).
fn folders(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

fn create_all(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

/// Gives a new cgroup what it does not get by itself: in version 1 a cpuset's processors and memory, in version 2 the
/// controllers.
fn inherit(hierarchy: &Path, folder: &Path) -> Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if hierarchy.join(file).exists() {
            copy(&hierarchy.join(file), &folder.join(file))?;
        }
    }
    let controllers = hierarchy.join("cgroup.controllers");
    let Ok(controllers) = fs::read_to_string(controllers) else {
        return Ok(());
    };
    for controller in controllers.split_whitespace() {
        for level in [hierarchy, folder] {
            let file = level.join("cgroup.subtree_control");
            fs::write(&file, format!("+{controller}"))
                .doing(|| format!("write +{controller} to {}", file.display()))?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let value = fs::read_to_string(from).doing(|| format!("read {}", from.display()))?;
    fs::write(to, value.trim()).doing(|| format!("write {}", to.display()))
}

/// Removes a cgroup with all below it, as soon as they are empty.
fn remove(folder: &Path) {
    for below in folders(folder) {
        remove(&below);
    }
    for _ in 0..ATTEMPTS {
        match fs::remove_dir(folder) {
            Err(error) if error.raw_os_error() == Some(nix::libc::EBUSY) => thread::sleep(PAUSE),
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_names_its_sandbox_and_what_is_not_ours_names_none() {
        assert_eq!(sandbox_of("holdfast-lab-18c0ffee-cp-1"), Some("18c0ffee"));
        for other in ["kubepods", "holdfast-lab-", "lab-18c0ffee-cp-1"] {
            assert_eq!(sandbox_of(other), None, "{other}");
        }
    }
}
