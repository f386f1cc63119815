//! Tests in a network namespace of their own: a thread that leaves the process's namespace, and commands that it runs.
//! The namespace goes with the thread and the sockets opened in it; there is nothing to clean up.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::panic::resume_unwind;
use std::process::Command;
use std::sync::mpsc;
use std::thread;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{geteuid, gettid};

/// Runs `body` in a new network namespace in which `lo` is up. An ordinary user gets it by a user namespace.
pub fn isolated(body: impl FnOnce() + Send + 'static) {
    if !geteuid().is_root() {
        return as_root_of_a_user_namespace();
    }
    let test = thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("root may make network namespaces");
        ip("link set lo up");
        body();
    });
    test.join().unwrap_or_else(|panic| resume_unwind(panic));
}

/// Runs `setup` in another new network namespace, into which `link` is moved from this one. What it opens keeps that
/// namespace alive.
pub fn beyond<T: Send + 'static>(link: &str, setup: impl FnOnce() -> T + Send + 'static) -> T {
    let (tell, told) = mpsc::channel();
    let (go, gone) = mpsc::channel();
    let other = thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        tell.send(gettid()).unwrap();
        gone.recv().unwrap();
        setup()
    });
    ip(&format!("link set {link} netns {}", told.recv().unwrap()));
    go.send(()).unwrap();
    other.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// What `ip` prints, run with `arguments` in this thread's namespace.
pub fn ip(arguments: &str) -> String {
    let output = Command::new("ip")
        .args(arguments.split_whitespace())
        .output()
        .expect("iproute2 is installed");
    assert!(
        output.status.success(),
        "ip {arguments}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Sets a sysctl of this thread's namespace (`/proc/thread-self`, because the process's is another).
pub fn sysctl(name: &str, value: &str) {
    let output = Command::new("sysctl")
        .args(["-qw", &format!("{name}={value}")])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Only a process with one thread may make a user namespace, so this test is run again by itself in one.
fn as_root_of_a_user_namespace() {
    let current = thread::current();
    let test = current.name().expect("the test harness names its threads");
    let allowed = Command::new("unshare")
        .args(["--user", "--map-root-user", "true"])
        .status();
    if !allowed.is_ok_and(|status| status.success()) {
        eprintln!("{test}: skipped, because it takes root or user namespaces, and this machine refuses both");
        return;
    }
    let status = Command::new("unshare")
        .args(["--user", "--map-root-user"])
        .arg(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .status()
        .unwrap();
    assert!(status.success(), "{test} failed in a user namespace");
}
