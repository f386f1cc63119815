//! A sandbox around the whole process: namespaces that nothing outlives, not even `kill -9` of the lab.
//!
//! [`enter`] makes three processes out of one:
//!
//! ```text
//! outer   what the user started; makes the namespaces, passes signals on, returns the exit code
//! └ init  process 1 of a new PID namespace; killed by the kernel when `outer` dies, and everything with it
//!   └ main  the program, for which `enter` returns
//! ```
//!
//! Network and mount namespaces belong to these processes, so they go when the processes go; `/run` is a tmpfs
//! of the sandbox, so names in `/run/netns` and log files go too. An ordinary user gets a user namespace around it.

use std::{
    env, fs,
    os::{fd::AsFd as _, unix::process::CommandExt as _},
    path::Path,
    process::{self, Command},
    time::{Duration, Instant, UNIX_EPOCH},
};

use nix::{
    errno::Errno,
    mount::{MsFlags, mount},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sched::{CloneFlags, unshare},
    sys::{
        prctl,
        signal::{SigSet, Signal, kill},
        signalfd::SignalFd,
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{Gid, Pid, Uid},
};

use crate::{
    error::{Doing as _, Error, Result},
    kubeadm,
};

/// The variable that tells a process of the sandbox which of the three it is.
pub(crate) const STAGE: &str = "HOLDFAST_LAB_STAGE";
/// The outer process as `init` sees it before it mounts its own /proc.
const OUTER_PID: &str = "HOLDFAST_LAB_OUTER_PID";
/// What the sandbox is called where names outlive it.
const ID: &str = "HOLDFAST_LAB_ID";
/// The number of `init` as processes outside of the sandbox see it.
const INIT_PID: &str = "HOLDFAST_LAB_INIT_PID";
/// How long `main` may take to obey a signal before the sandbox is torn down around it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the lab keeps its files; a tmpfs that exists only inside the sandbox.
pub(crate) const FOLDER: &str = "/run/holdfast-lab";

/// Continues this program inside a sandbox: call it first thing in `main`, before any thread exists.
///
/// Returns only in the sandbox. The process that called it becomes the supervisor, and exits with the
/// program's own exit code (128 + signal if a signal ended it).
///
/// # Errors
/// [`Error::NamespacesRefused`] with the command to run instead, when the machine does not let this user make
/// namespaces.
pub fn enter() -> Result<()> {
    match env::var(STAGE).as_deref() {
        // Signal masks are inherited, by this process and by all that the lab starts.
        Ok("main") => supervised_signals()
            .thread_unblock()
            .doing(|| "unblock signals".to_owned()),
        Ok("init") => exit(init()),
        Ok(kubeadm::MACHINE_STAGE) => exit(kubeadm::machine_init()),
        _ => exit(outer()),
    }
}

/// Whether this process runs inside a sandbox.
pub fn is_inside() -> bool {
    env::var(STAGE).as_deref() == Ok("main")
}

/// Whether an ordinary user runs this, who is root only inside of a sandbox and has no other user there.
pub fn is_rootless() -> bool {
    let only_one_id = fs::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| map.split_whitespace().nth(2).is_some_and(|count| count == "1"));
    only_one_id || !Uid::effective().is_root()
}

/// A name for this sandbox that no other has.
pub(crate) fn id() -> String {
    env::var(ID).unwrap_or_default()
}

/// The command that enters this sandbox from a shell outside of it.
pub fn enter_command() -> String {
    let init = env::var(INIT_PID).unwrap_or_default();
    let user = if is_rootless() {
        " --user --preserve-credentials"
    } else {
        ""
    };
    format!("nsenter --target {init}{user} --mount --net --pid")
}

/// `outer` and `init` end here: with the code of the program they watched, or with the reason they could not.
fn exit(code: Result<i32>) -> Result<()> {
    process::exit(code?)
}

fn outer() -> Result<i32> {
    make_namespaces()?;
    let mut child = Command::new("/proc/self/exe");
    // No other sandbox has it, whatever namespaces that one is in; process numbers repeat.
    let id = format!("{:x}", UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos());
    child
        .env(STAGE, "init")
        .env(OUTER_PID, process::id().to_string())
        .env(ID, &id);
    let code = supervise(child);
    // All that ran in the sandbox has ended, however it did.
    kubeadm::sweep_cgroups(&id);
    code
}

fn init() -> Result<i32> {
    prctl::set_pdeathsig(Signal::SIGKILL).doing(|| "ask to be killed with the parent process".to_owned())?;
    // The parent may have died before that took effect. The old /proc still shows it under its own number.
    let outer = env::var(OUTER_PID).unwrap_or_default();
    if !Path::new("/proc").join(&outer).exists() {
        return Ok(1);
    }
    let own = fs::read_link("/proc/self").doing(|| "read /proc/self".to_owned())?;
    mount(
        Some("proc"),
        "/proc",
        Some("proc"),
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
        None::<&str>,
    )
    .map_err(|errno| refused("mount /proc for the sandbox", errno))?;
    let mut child = Command::new("/proc/self/exe");
    child.env(STAGE, "main").env_remove(OUTER_PID).env(INIT_PID, own);
    supervise(child)
}

fn make_namespaces() -> Result<()> {
    let (uid, gid) = (Uid::effective(), Gid::effective());
    let mut flags = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWIPC;
    if !uid.is_root() {
        flags |= CloneFlags::CLONE_NEWUSER;
    }
    unshare(flags).map_err(|errno| refused("make namespaces", errno))?;
    if !uid.is_root() {
        for (file, content) in [
            ("setgroups", "deny".to_owned()),
            ("uid_map", format!("0 {uid} 1")),
            ("gid_map", format!("0 {gid} 1")),
        ] {
            fs::write(format!("/proc/self/{file}"), content).map_err(|error| {
                refused(
                    "become root of a user namespace",
                    Errno::from_raw(error.raw_os_error().unwrap_or(0)),
                )
            })?;
        }
    }
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        None::<&str>,
    )
    .map_err(|errno| refused("make mounts private", errno))?;
    mount(
        Some("tmpfs"),
        "/run",
        Some("tmpfs"),
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
        Some("mode=0755"),
    )
    .map_err(|errno| refused("mount a tmpfs on /run", errno))?;
    for folder in ["/run/netns", "/run/lock", FOLDER] {
        fs::create_dir(folder).doing(|| format!("create {folder}"))?;
    }
    Ok(())
}

/// What `outer` and `init` take note of: the end of a child, and everything that asks a program to end.
fn supervised_signals() -> SigSet {
    SigSet::from_iter([
        Signal::SIGCHLD,
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
    ])
}

/// Runs `child` to its end: passes signals on, collects orphans, and returns the child's exit code.
fn supervise(mut child: Command) -> Result<i32> {
    let signals = supervised_signals();
    signals.thread_block().doing(|| "block signals".to_owned())?;
    let signal_fd = SignalFd::new(&signals).doing(|| "open a signalfd".to_owned())?;
    if let Some(name) = env::args_os().next() {
        child.arg0(name);
    }
    let child = child
        .args(env::args_os().skip(1))
        .spawn()
        .doing(|| "start the lab in its sandbox".to_owned())?;
    let child = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
    let mut give_up: Option<Instant> = None;
    loop {
        let timeout = give_up.map_or(PollTimeout::NONE, |at| {
            PollTimeout::try_from(at.saturating_duration_since(Instant::now())).unwrap_or(PollTimeout::ZERO)
        });
        let ready = poll(&mut [PollFd::new(signal_fd.as_fd(), PollFlags::POLLIN)], timeout)
            .doing(|| "wait for signals".to_owned())?;
        if ready == 0 {
            // Killing process 1 of the namespace kills all in it.
            kill(child, Signal::SIGKILL).ok();
            give_up = None;
            continue;
        }
        let Some(info) = signal_fd.read_signal().doing(|| "read a signal".to_owned())? else {
            continue;
        };
        let signal = i32::try_from(info.ssi_signo)
            .ok()
            .and_then(|number| Signal::try_from(number).ok());
        match signal {
            Some(Signal::SIGCHLD) => {
                if let Some(code) = reap(child)? {
                    return Ok(code);
                }
            }
            Some(signal) => {
                kill(child, signal).ok();
                give_up.get_or_insert_with(|| Instant::now() + PATIENCE);
            }
            None => {}
        }
    }
}

/// Collects every child that has ended; the exit code if the one that counts is among them.
fn reap(child: Pid) -> Result<Option<i32>> {
    let mut code = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, status)) if pid == child => code = Some(status),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => code = Some(128 + signal as i32),
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(code),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno).doing(|| "collect ended processes".to_owned()),
        }
    }
}

fn refused(step: &str, errno: Errno) -> Error {
    let advice = if is_rootless() {
        let command: Vec<String> = env::args().collect();
        format!("run it as root: sudo {}", command.join(" "))
    } else {
        "root lacks CAP_SYS_ADMIN or CAP_NET_ADMIN here: use a privileged container, or none".to_owned()
    };
    Error::NamespacesRefused {
        reason: format!("this machine refuses to {step} ({})", errno.desc()),
        advice,
    }
}
