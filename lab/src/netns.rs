//! One network namespace: made, entered for a moment, and gone when dropped.

use std::{
    fs::{self, File},
    path::PathBuf,
    thread,
};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, setns, unshare},
};

use crate::error::{Doing as _, Error, Result};

/// A network namespace with a name that `ip -n` and `ip netns` know.
#[derive(Debug)]
pub struct NetNs {
    name: String,
    path: PathBuf,
    handle: File,
}

impl NetNs {
    /// Makes a namespace and gives it a name under `/run/netns`.
    ///
    /// # Errors
    /// [`Error::System`] when the name is taken or the process may not make namespaces.
    pub fn create(name: &str) -> Result<Self> {
        let path = PathBuf::from("/run/netns").join(name);
        File::create_new(&path).doing(|| format!("create {}", path.display()))?;
        // The namespace belongs to the thread that makes it; the mount keeps it when the thread is gone.
        let mounted = on_a_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET).doing(|| format!("make the network namespace {name}"))?;
            mount(
                Some("/proc/thread-self/ns/net"),
                &path,
                None::<&str>,
                MsFlags::MS_BIND,
                None::<&str>,
            )
            .doing(|| format!("mount the network namespace on {}", path.display()))
        });
        if let Err(error) = mounted {
            fs::remove_file(&path).ok();
            return Err(error);
        }
        let handle = File::open(&path).doing(|| format!("open {}", path.display()))?;
        Ok(Self {
            name: name.to_owned(),
            path,
            handle,
        })
    }

    /// The name for `ip -n NAME`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `action` inside the namespace, on a thread of its own. Sockets opened and processes started there
    /// stay in the namespace; the caller does not enter it.
    ///
    /// # Errors
    /// The action's, or [`Error::System`] when the namespace cannot be entered.
    pub fn run<T: Send>(&self, action: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        on_a_thread(|| {
            setns(&self.handle, CloneFlags::CLONE_NEWNET)
                .doing(|| format!("enter the network namespace {}", self.name))?;
            action()
        })
    }

    /// Sets a value below `/proc/sys/net` for this namespace, as in `ipv6/conf/all/accept_dad`.
    ///
    /// # Errors
    /// [`Error::System`] when there is no such value or it refuses this one.
    pub fn set_sysctl(&self, key: &str, value: &str) -> Result<()> {
        self.run(|| write_sysctl(key, value))
    }
}

impl Drop for NetNs {
    fn drop(&mut self) {
        umount2(&self.path, MntFlags::MNT_DETACH).ok();
        fs::remove_file(&self.path).ok();
    }
}

/// Sets a value below `/proc/sys/net` for the namespace of the calling thread.
pub(crate) fn write_sysctl(key: &str, value: &str) -> Result<()> {
    fs::write(format!("/proc/sys/net/{key}"), value).doing(|| format!("set /proc/sys/net/{key} to {value}"))
}

fn on_a_thread<T: Send>(action: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        scope.spawn(action).join().unwrap_or_else(|_| {
            Err(Error::Invalid(
                "a thread in a network namespace panicked".to_owned(),
            ))
        })
    })
}
