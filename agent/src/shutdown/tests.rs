//! A real bus and a logind made here: the real one answers for a whole machine, which a test has not got.

use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tempfile::TempDir;
use zbus::object_server::SignalEmitter;

use super::*;

/// A bus of its own, which ends with the test.
struct Daemon {
    folder: TempDir,
    child: Child,
}

impl Daemon {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let configuration = format!(
            "<!DOCTYPE busconfig PUBLIC '-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN' \
             'http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd'><busconfig><type>custom</type>\
             <listen>unix:path={}/bus</listen><policy context='default'><allow send_destination='*'/>\
             <allow receive_sender='*'/><allow own='*'/><allow user='*'/></policy></busconfig>",
            folder.path().display()
        );
        fs::write(folder.path().join("bus.conf"), configuration).unwrap();
        let child = Self::run(&folder);
        Self { folder, child }
    }

    fn run(folder: &TempDir) -> Child {
        let _ = fs::remove_file(folder.path().join("bus"));
        let mut child = Command::new("dbus-daemon")
            .arg(format!("--config-file={}/bus.conf", folder.path().display()))
            .args(["--nofork", "--nopidfile", "--nosyslog", "--print-address"])
            .stdout(Stdio::piped())
            // It may not have as many open files as it would like to, and says so.
            .stderr(Stdio::null())
            .spawn()
            .expect("dbus-daemon of Debian's package dbus-daemon is needed");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(line.starts_with("unix:"), "{line}");
        child
    }

    fn address(&self) -> String {
        format!("unix:path={}/bus", self.folder.path().display())
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn restart(&mut self) {
        self.kill();
        self.child = Self::run(&self.folder);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A logind that does what a test says.
#[derive(Clone, Default)]
struct Logind {
    /// For each lock what it was asked for, and an end that is closed when the lock is given up.
    locks: Arc<Mutex<Vec<(String, io::PipeReader)>>>,
    preparing: Arc<AtomicBool>,
}

#[zbus::interface(name = "org.freedesktop.login1.Manager")]
impl Logind {
    #[allow(clippy::needless_pass_by_value, clippy::unused_async)] // The macro asks like this.
    fn inhibit(&self, what: &str, who: &str, why: &str, mode: &str) -> OwnedFd {
        let (reader, writer) = io::pipe().unwrap();
        let asked = format!("{what} {who} ({why}) {mode}");
        self.locks.lock().unwrap().push((asked, reader));
        std::os::fd::OwnedFd::from(writer).into()
    }

    #[zbus(signal)]
    async fn prepare_for_shutdown(emitter: &SignalEmitter<'_>, start: bool) -> zbus::Result<()>;

    #[zbus(property(emits_changed_signal = "false"))]
    fn preparing_for_shutdown(&self) -> bool {
        self.preparing.load(Ordering::Relaxed)
    }
}

impl Logind {
    async fn serve(&self, daemon: &Daemon) -> zbus::Connection {
        zbus::connection::Builder::address(daemon.address().as_str())
            .name("org.freedesktop.login1")
            .serve_at("/org/freedesktop/login1", self.clone())
            .build()
            .await
            .unwrap()
    }

    /// How many locks were asked for, and how many of them are still held.
    fn locks(&self) -> (usize, usize) {
        let locks = self.locks.lock().unwrap();
        let is_held = |reader: &io::PipeReader| {
            let mut polled = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
            poll(&mut polled, PollTimeout::ZERO).unwrap() == 0
        };
        (
            locks.len(),
            locks.iter().filter(|(_, reader)| is_held(reader)).count(),
        )
    }
}

/// A node that serves until it is told not to.
#[derive(Clone, Default)]
struct Fake {
    serves: Arc<AtomicBool>,
    told: Arc<Mutex<Vec<bool>>>,
    lacks: Arc<Mutex<Option<String>>>,
}

impl Node for Fake {
    async fn give_up(&self, given_up: bool) {
        self.told.lock().unwrap().push(given_up);
    }

    async fn serves(&self) -> bool {
        self.serves.load(Ordering::Relaxed)
    }

    fn lack(&self, sentence: Option<String>) {
        *self.lacks.lock().unwrap() = sentence;
    }
}

struct World {
    daemon: Daemon,
    logind: Logind,
    connection: zbus::Connection,
    node: Fake,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl World {
    async fn new() -> Self {
        let daemon = Daemon::start();
        let logind = Logind::default();
        let connection = logind.serve(&daemon).await;
        let node = Fake::default();
        let (bus, follower) = (Bus::at(daemon.address()), node.clone());
        let task = tokio::spawn(async move { match follow(bus, follower).await {} });
        let world = Self {
            daemon,
            logind,
            connection,
            node,
            task,
        };
        world.wait("a lock", |world| world.logind.locks() == (1, 1)).await;
        world
    }

    async fn say(&self, start: bool) {
        self.logind.preparing.store(start, Ordering::Relaxed);
        let emitter = SignalEmitter::new(&self.connection, "/org/freedesktop/login1").unwrap();
        Logind::prepare_for_shutdown(&emitter, start).await.unwrap();
    }

    fn told(&self) -> Vec<bool> {
        self.node.told.lock().unwrap().clone()
    }

    async fn wait(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !is_so(self) {
            assert!(begun.elapsed() < Duration::from_secs(20), "waited for {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn a_shutdown_waits_until_other_nodes_serve() {
    let world = World::new().await;
    let asked = world.logind.locks.lock().unwrap()[0].0.clone();
    assert_eq!(
        asked,
        "shutdown holdfast-agent (hands virtual addresses over to other nodes first) delay"
    );
    world.node.serves.store(true, Ordering::Relaxed);
    let begun = Instant::now();
    world.say(true).await;
    world
        .wait("the groups to be given up", |world| world.told() == [true])
        .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.logind.locks(), (1, 1), "nobody has taken over yet");
    world.node.serves.store(false, Ordering::Relaxed);
    world
        .wait("the lock to be given up", |world| world.logind.locks() == (1, 0))
        .await;
    assert!(begun.elapsed() < PATIENCE, "it was given up because of that");
}

#[tokio::test]
async fn a_shutdown_does_not_wait_longer_than_logind_does() {
    let world = World::new().await;
    world.node.serves.store(true, Ordering::Relaxed);
    let begun = Instant::now();
    world.say(true).await;
    world
        .wait("the lock to be given up", |world| world.logind.locks() == (1, 0))
        .await;
    let waited = begun.elapsed();
    assert!(waited >= PATIENCE, "{waited:?}");
    assert!(waited < Duration::from_millis(4_900), "{waited:?}");
}

#[tokio::test]
async fn a_shutdown_that_is_called_off_is_taken_back_and_the_next_one_waited_for() {
    let world = World::new().await;
    world.say(true).await;
    world
        .wait("the lock to be given up", |world| world.logind.locks() == (1, 0))
        .await;
    world.say(false).await;
    world
        .wait("another lock", |world| world.logind.locks() == (2, 1))
        .await;
    assert_eq!(world.told(), [true, false]);
    world.say(true).await;
    world
        .wait("it to be given up", |world| world.logind.locks() == (2, 0))
        .await;
    assert_eq!(world.told(), [true, false, true]);
}

#[tokio::test]
async fn a_bus_that_was_lost_is_found_again_and_what_it_said_meanwhile_is_heard() {
    let mut world = World::new().await;
    world.say(true).await;
    world
        .wait("the lock to be given up", |world| world.logind.locks() == (1, 0))
        .await;
    world.daemon.restart();
    world
        .wait("the loss to be known", |world| {
            world.node.lacks.lock().unwrap().is_some()
        })
        .await;
    let lack = world.node.lacks.lock().unwrap().clone().unwrap();
    assert!(lack.contains("holdfast-leave.service"), "{lack}");
    assert_eq!(world.told(), [true], "a lost bus calls nothing off");
    world.logind.preparing.store(false, Ordering::Relaxed);
    world.connection = world.logind.serve(&world.daemon).await;
    world
        .wait("another lock", |world| world.logind.locks().1 == 1)
        .await;
    world
        .wait("it to be taken back", |world| world.told() == [true, false])
        .await;
    assert_eq!(*world.node.lacks.lock().unwrap(), None);
}

#[tokio::test]
async fn an_agent_that_ends_holds_up_no_shutdown() {
    let world = World::new().await;
    world.task.abort();
    world
        .wait("the lock to be given up", |world| world.logind.locks() == (1, 0))
        .await;
}
