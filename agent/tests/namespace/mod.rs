//! A network namespace with one link, and agents in it. Nothing of it is left when it is dropped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take before the test fails: far more than it does.
const PATIENCE: Duration = Duration::from_secs(10);

/// The namespace, kept alive by a process that sleeps in it, and a folder for what its agents need.
pub struct Namespace {
    keeper: Child,
    folder: TempDir,
}

/// A running agent; killed when dropped.
pub struct Agent {
    child: Child,
    log: PathBuf,
}

impl Namespace {
    /// A namespace with a link `eth0` that has the address 192.0.2.11/24.
    pub fn new() -> Self {
        let mut command = Command::new("unshare");
        if !geteuid().is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        let keeper = command
            .args(["--net", "sleep", "300"])
            .spawn()
            .expect("util-linux has `unshare`");
        let namespace = Self {
            keeper,
            folder: tempfile::tempdir().unwrap(),
        };
        let ours = fs::read_link("/proc/self/ns/net").unwrap();
        wait_for("a network namespace (it takes root, or user namespaces)", || {
            let theirs = fs::read_link(format!("/proc/{}/ns/net", namespace.keeper.id())).ok()?;
            let sleeps = fs::read_to_string(format!("/proc/{}/comm", namespace.keeper.id())).ok()?;
            (theirs != ours && sleeps.trim() == "sleep").then_some(())
        });
        for line in [
            "link set lo up",
            "link add eth0 type veth peer name far0",
            "link set far0 up",
            "link set eth0 up",
            "address add 192.0.2.11/24 dev eth0",
        ] {
            let output = namespace.command("ip").args(line.split(' ')).output().unwrap();
            assert!(
                output.status.success(),
                "ip {line}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        namespace
    }

    /// A command that runs in the namespace; its process is the command's own.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.keeper.id().to_string(), "--net"]);
        if !geteuid().is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.arg(program);
        command
    }

    /// Writes a configuration file.
    pub fn configure(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path("config")).unwrap();
        // In one step, as careful people do: the agent must never see half a file.
        fs::write(self.path("config/.new"), text).unwrap();
        fs::rename(self.path("config/.new"), self.path("config").join(name)).unwrap();
    }

    /// A path in the namespace's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `holdfast-agent run` with the namespace's configuration and run directory.
    pub fn run(&self, log: &str, more: &[&str]) -> Agent {
        let log = self.path(log);
        let child = self
            .agent("run", more)
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Agent { child, log }
    }

    /// `holdfast-agent run` that is expected to end by itself.
    pub fn run_to_end(&self, more: &[&str]) -> Output {
        self.agent("run", more).output().unwrap()
    }

    fn agent(&self, command: &str, more: &[&str]) -> Command {
        let mut agent = self.command(env!("CARGO_BIN_EXE_holdfast-agent"));
        agent
            .args([command, "--node", "cp-1"])
            .arg("--config")
            .arg(self.path("config"));
        agent.arg("--run-dir").arg(self.path("run")).args(more);
        agent.stdin(Stdio::null());
        agent
    }

    /// The status as JSON; `None` if no agent answers.
    pub fn status(&self) -> Option<Value> {
        let mut command = self.command(env!("CARGO_BIN_EXE_holdfast-agent"));
        let output = command
            .args(["status", "-o", "json", "--run-dir"])
            .arg(self.path("run"))
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).ok()
    }

    /// Whether `address` is on `eth0`.
    pub fn holds(&self, address: &str) -> bool {
        let output = self
            .command("ip")
            .args(["-o", "address", "show", "dev", "eth0"])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).contains(&format!(" {address}/"))
    }

    /// Waits until `check` is true of the status.
    pub fn wait_for_status(&self, what: &str, check: impl Fn(&Value) -> bool) -> Value {
        wait_for(what, || self.status().filter(|status| check(status)))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

impl Agent {
    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Waits for the end; answers the exit code, `None` after a signal.
    pub fn ended(&mut self) -> Option<i32> {
        wait_for("the agent's end", || self.child.try_wait().unwrap()).code()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until a line of the log contains `words`.
    pub fn wait_for_log(&self, words: &str) {
        wait_for(words, || self.log().contains(words).then_some(()));
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}:\n{}", Path::new(&self.log).display(), self.log());
        }
    }
}

/// Waits until `probe` finds something.
pub fn wait_for<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(
            start.elapsed() < PATIENCE,
            "waited {PATIENCE:?} in vain for {what}"
        );
        sleep(Duration::from_millis(50));
    }
}
