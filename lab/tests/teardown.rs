//! Whatever ends the lab, nothing is left of it.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader},
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// Every process of a lab inherits it, which is how the test finds them all.
const TOKEN: &str = "HOLDFAST_LAB_TEST_TOKEN";
const PATIENCE: Duration = Duration::from_secs(10);

struct Lab {
    outer: Child,
    /// Held open, so that the lab can go on printing.
    _output: BufReader<ChildStdout>,
    token: String,
}

impl Lab {
    /// Starts `holdfast-lab up` with two nodes and waits until it is up.
    fn up(name: &str) -> Self {
        let token = format!("{name}-{}", std::process::id());
        let mut outer = Command::new(env!("CARGO_BIN_EXE_holdfast-lab"))
            .args(["up", "a", "b"])
            .env(TOKEN, &token)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(outer.stdout.take().unwrap());
        let mut first_line = String::new();
        output.read_line(&mut first_line).unwrap();
        assert!(first_line.starts_with("A lab is up"), "{first_line:?}");
        Self {
            outer,
            _output: output,
            token,
        }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.outer.id()).unwrap()), signal).unwrap();
    }

    /// The processes of this lab, by number.
    fn processes(&self) -> BTreeSet<u32> {
        let mark = format!("{TOKEN}={}\0", self.token);
        numbers_in_proc()
            .filter(|number| {
                let environment = fs::read(format!("/proc/{number}/environ")).unwrap_or_default();
                String::from_utf8_lossy(&environment).contains(&mark)
            })
            .collect()
    }

    /// The network namespaces that these processes are in.
    fn namespaces(&self) -> BTreeSet<PathBuf> {
        self.processes().into_iter().filter_map(namespace_of).collect()
    }

    fn wait_until_gone(&self, namespaces: &BTreeSet<PathBuf>) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = self.processes();
            let still_used = numbers_in_proc()
                .filter_map(namespace_of)
                .any(|used| namespaces.contains(&used));
            if left.is_empty() && !still_used {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "processes {left:?} are left, or their namespaces"
            );
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.outer.kill().ok();
        self.outer.wait().ok();
    }
}

fn numbers_in_proc() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn namespace_of(process: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{process}/ns/net")).ok()
}

/// Named namespaces of the machine; a lab's are not among them.
fn named_namespaces() -> Vec<PathBuf> {
    fs::read_dir("/run/netns")
        .map(|all| all.filter_map(|one| Some(one.ok()?.path())).collect())
        .unwrap_or_default()
}

#[test]
fn a_killed_lab_leaves_no_process_and_no_namespace() {
    let before = named_namespaces();
    let mut lab = Lab::up("killed");
    let (processes, namespaces) = (lab.processes(), lab.namespaces());
    assert!(
        processes.len() >= 3,
        "outer, init and main are there: {processes:?}"
    );
    assert!(!namespaces.contains(&namespace_of(std::process::id()).unwrap()));
    assert_eq!(
        named_namespaces(),
        before,
        "the machine does not see the lab's names"
    );
    lab.signal(Signal::SIGKILL);
    lab.outer.wait().unwrap();
    lab.wait_until_gone(&namespaces);
}

#[test]
fn a_signal_ends_the_lab_with_the_exit_code_a_shell_expects() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let mut lab = Lab::up(signal.as_str());
        let namespaces = lab.namespaces();
        lab.signal(signal);
        assert_eq!(lab.outer.wait().unwrap().code(), Some(code));
        lab.wait_until_gone(&namespaces);
    }
}

#[test]
fn labs_with_the_same_names_run_side_by_side() {
    let (one, two) = (Lab::up("one"), Lab::up("two"));
    assert!(one.namespaces().is_disjoint(&two.namespaces()));
    let namespaces = one.namespaces();
    one.signal(Signal::SIGKILL);
    one.wait_until_gone(&namespaces);
    assert!(two.processes().len() >= 3, "the other lab goes on");
}

/// As root, this tries what `tests/lab.rs` tries anyway when an ordinary user runs it.
#[test]
fn an_ordinary_user_gets_a_lab_or_one_sentence_about_sudo() {
    let nobody = 65_534;
    let folder = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir()
        .unwrap();
    let binary = folder.path().join("holdfast-lab");
    fs::copy(env!("CARGO_BIN_EXE_holdfast-lab"), &binary).unwrap();
    let mut command = Command::new(&binary);
    command
        .args(["up", "a"])
        .current_dir("/")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if nix::unistd::Uid::effective().is_root() {
        command.uid(nobody).gid(nobody);
    }
    let mut outer = command.spawn().unwrap();
    let mut output = BufReader::new(outer.stdout.take().unwrap());
    let mut said = String::new();
    // A line when it is up, or the end.
    output.read_line(&mut said).unwrap();
    kill(Pid::from_raw(i32::try_from(outer.id()).unwrap()), Signal::SIGINT).unwrap();
    let complained = String::from_utf8(outer.wait_with_output().unwrap().stderr).unwrap();
    if said.starts_with("A lab is up") {
        assert_eq!(complained, "");
    } else {
        assert_eq!(complained.lines().count(), 1, "{complained}");
        assert!(
            complained.contains(&format!("run it as root: sudo {}", binary.display())),
            "{complained}"
        );
    }
}
