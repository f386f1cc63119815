//! A process inside a node: its log, its signals, its end. It dies with its handle.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use std::os::unix::process::CommandExt as _;

use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};

use crate::{
    command,
    error::{Doing as _, Error, Result},
    netns::NetNs,
};

/// A running (or ended) process of a node, with everything it started itself.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pid: Pid,
    name: String,
    log: PathBuf,
    status: Option<ExitStatus>,
}

impl Process {
    /// Starts `program` inside `netns` in a process group of its own, with both outputs in the file `log`.
    pub(crate) fn spawn(netns: &NetNs, program: &Path, args: &[&str], log: PathBuf) -> Result<Self> {
        let name = program
            .file_name()
            .unwrap_or(program.as_os_str())
            .to_string_lossy()
            .into_owned();
        let output = File::create(&log).doing(|| format!("create {}", log.display()))?;
        let errors = output
            .try_clone()
            .doing(|| format!("open {} twice", log.display()))?;
        let mut prepared = command::prepare(program, args);
        prepared
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0);
        let child = netns.run(|| {
            prepared
                .spawn()
                .map_err(|error| command::not_started(&program.to_string_lossy(), args, error))
        })?;
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
        Ok(Self {
            child,
            pid,
            name,
            log,
            status: None,
        })
    }

    /// The process number, as seen inside the sandbox.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// The file with its standard output and standard error; it is gone when the sandbox ends.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// What it has said so far.
    ///
    /// # Errors
    /// [`Error::System`] when the log cannot be read.
    pub fn log(&self) -> Result<String> {
        let bytes = fs::read(&self.log).doing(|| format!("read {}", self.log.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Sends `signal` to the process alone.
    ///
    /// # Errors
    /// [`Error::System`] when it has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(self.pid, signal).doing(|| format!("send {signal} to {} ({})", self.name, self.pid))
    }

    /// Stops it and its children from running at all (SIGSTOP), as a hung machine would.
    ///
    /// # Errors
    /// [`Error::System`] when it has ended.
    pub fn freeze(&self) -> Result<()> {
        self.signal_group(Signal::SIGSTOP)
    }

    /// Lets it and its children run again (SIGCONT).
    ///
    /// # Errors
    /// [`Error::System`] when it has ended.
    pub fn thaw(&self) -> Result<()> {
        self.signal_group(Signal::SIGCONT)
    }

    /// Kills it and its children (SIGKILL): no last word, no clean-up.
    ///
    /// # Errors
    /// [`Error::System`] when it has ended already.
    pub fn kill(&mut self) -> Result<()> {
        self.signal_group(Signal::SIGKILL)?;
        let status = self.child.wait().doing(|| format!("wait for {}", self.name))?;
        self.status = Some(status);
        Ok(())
    }

    /// Asks it to end (SIGTERM) and waits until it has, at most for `patience`.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when it is still there then.
    pub fn stop(&mut self, patience: Duration) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        self.wait(patience)
    }

    /// Waits until it ends by itself, at most for `patience`.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when it is still there then.
    pub fn wait(&mut self, patience: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                return Err(Error::TimedOut {
                    what: format!("{} has ended", self.name),
                    after: patience,
                });
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// [`Error::System`] when the system will not say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        if self.status.is_none() {
            self.status = self
                .child
                .try_wait()
                .doing(|| format!("wait for {}", self.name))?;
        }
        Ok(self.status)
    }

    fn signal_group(&self, signal: Signal) -> Result<()> {
        killpg(self.pid, signal)
            .doing(|| format!("send {signal} to {} ({}) and its children", self.name, self.pid))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A child that outlived the group's leader is still in the group.
        self.signal_group(Signal::SIGKILL).ok();
        if self.status.is_none() {
            self.child.wait().ok();
        }
    }
}
