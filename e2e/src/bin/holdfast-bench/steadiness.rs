//! What a daemon does when others take the processors or the kernel's network lock: false failovers, late
//! advertisements.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use holdfast_lab::{Node, Process, command};

use crate::{
    daemon::{BOTH, Daemon, Routers},
    scene::Scene,
    usage, wire,
};

/// The interval of everything here: the shortest there is.
pub const INTERVAL: Duration = Duration::from_millis(10);
/// The priority that keepalived's manual suggests for `vrrp_rt_priority`.
const REAL_TIME: &str = "50";
/// How many loops keep the processors busy.
pub const BUSY_LOOPS: usize = 16;
/// How long the loops may take to end.
const LOOPS_PATIENCE: Duration = Duration::from_secs(10);
/// How many interfaces are removed at one stroke; makes the kernel hold RTNL for about half a second.
const INTERFACES: usize = 2600;
/// How long a held lock's aftermath is watched.
const AFTERMATH: Duration = Duration::from_millis(300);

/// What was seen while the processors were busy.
#[derive(Clone, Copy, Debug)]
pub struct Busy {
    /// How often the other node took over from the Active one, which was well.
    pub false_failovers: usize,
    /// The longest time between two advertisements of the Active router.
    pub largest_gap: Duration,
    /// The longest silence a client saw.
    pub silence: Duration,
    /// The longest silence of the client's own address.
    pub control: Duration,
}

/// What was seen while somebody held RTNL.
#[derive(Clone, Copy, Debug)]
pub struct Locked {
    /// How often the other node took over from the Active one, which was well.
    pub false_failovers: usize,
    /// The longest time between two advertisements of the Active router.
    pub largest_gap: Duration,
}

/// One time that RTNL was held, and what it did to both daemons, in the order of [`BOTH`].
#[derive(Clone, Copy, Debug)]
pub struct Hold {
    /// Whether it was held by somebody on another processor than the daemons'.
    pub apart: bool,
    /// How long a change of an address in a third network had to wait.
    pub blocked: Duration,
    /// What the daemons made of it.
    pub seen: [Locked; 2],
}

/// A daemon beside busy loops.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Contender {
    /// keepalived as it is by default, with ordinary priority.
    Keepalived,
    /// keepalived with the real-time priority that its option `vrrp_rt_priority` would give it.
    KeepalivedRealTime,
    /// Holdfast as it is by default: it asks for real-time priority itself.
    Holdfast,
}

impl Contender {
    /// How the tables call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Keepalived => "keepalived",
            Self::KeepalivedRealTime => "keepalived with real-time priority",
            Self::Holdfast => "Holdfast",
        }
    }

    fn daemon(self) -> Daemon {
        match self {
            Self::Keepalived | Self::KeepalivedRealTime => Daemon::Keepalived,
            Self::Holdfast => Daemon::Holdfast,
        }
    }
}

/// Runs `contender` for `duration` while [`BUSY_LOOPS`] processes do nothing but run.
pub fn busy(contender: Contender, duration: Duration) -> Result<Busy> {
    let mut scene = Scene::set(contender.daemon(), Routers::one(INTERVAL))?;
    if contender == Contender::KeepalivedRealTime {
        for daemon in [&mut scene.on_a, &mut scene.on_b] {
            for process in usage::family(daemon.process().pid())? {
                command::run("chrt", &["--rr", "--pid", REAL_TIME, &process.to_string()])?;
            }
        }
    }
    let (start, mark) = (Instant::now(), scene.listener.mark());
    let mut loops = busy_loops(&scene.b, duration)?;
    thread::sleep(duration);
    let heard = scene.listener.since(mark);
    let report = scene.meter.report_since(scene.vip(), start);
    loops.wait(LOOPS_PATIENCE)?;
    Ok(Busy {
        false_failovers: wire::takeovers(&heard, scene.b.ipv4()),
        largest_gap: wire::largest_gap(&heard, scene.a.ipv4()),
        silence: report.longest_silence,
        control: report.control_silence,
    })
}

/// Starts the loops in a session of their own, as they would be on a machine where the daemon is a service: the kernel
/// shares the processors between sessions first. They end by themselves a second after `duration`.
fn busy_loops(node: &Node, duration: Duration) -> Result<Process> {
    let seconds = (duration + Duration::from_secs(1)).as_secs().to_string();
    let script = format!("for i in $(seq {BUSY_LOOPS}); do while :; do :; done & done; wait");
    let loops = [
        "--wait",
        "timeout",
        "--signal=KILL",
        &seconds,
        "sh",
        "-c",
        &script,
    ];
    Ok(node.spawn("setsid", &loops)?)
}

/// Has RTNL held `times` times while both daemons run side by side, so that each hold hits both; then as often with the
/// daemons and the holder on processors of their own, where there are several.
pub fn locked(times: usize) -> Result<Vec<Hold>> {
    let [first, second] = BOTH.map(|daemon| Scene::set(daemon, Routers::one(INTERVAL)));
    let mut scenes = [first?, second?];
    let (crowd, bystander) = (scenes[0].lab.node("crowd")?, scenes[0].lab.node("bystander")?);
    let mut holds = Vec::new();
    for _ in 0..times {
        holds.push(hold(&scenes, &crowd, &bystander, false)?);
    }
    if thread::available_parallelism()?.get() > 1 {
        for daemon in scenes
            .iter_mut()
            .flat_map(|scene| [&mut scene.on_a, &mut scene.on_b])
        {
            for process in usage::family(daemon.process().pid())? {
                let process = process.to_string();
                command::run("taskset", &["--all-tasks", "--cpu-list", "--pid", "0", &process])?;
            }
        }
        for _ in 0..times {
            holds.push(hold(&scenes, &crowd, &bystander, true)?);
        }
    }
    Ok(holds)
}

fn hold(scenes: &[Scene; 2], crowd: &Node, bystander: &Node, apart: bool) -> Result<Hold> {
    fill(crowd).context("make many interfaces")?;
    thread::sleep(AFTERMATH);
    let marks = scenes.each_ref().map(|scene| scene.listener.mark());
    let done = AtomicBool::new(false);
    let blocked = thread::scope(|scope| {
        let watching = scope.spawn(|| longest_change(bystander, &done));
        let removed = remove(crowd, apart);
        thread::sleep(AFTERMATH);
        done.store(true, Ordering::Relaxed);
        let blocked = watching.join();
        removed?;
        blocked.map_err(|_| anyhow::anyhow!("the thread that watches RTNL panicked"))?
    })?;
    let seen = |index: usize| {
        let scene: &Scene = &scenes[index];
        let heard = scene.listener.since(marks[index]);
        Locked {
            false_failovers: wire::takeovers(&heard, scene.b.ipv4()),
            largest_gap: wire::largest_gap(&heard, scene.a.ipv4()),
        }
    };
    Ok(Hold {
        apart,
        blocked,
        seen: [seen(0), seen(1)],
    })
}

/// Removes the interfaces of [`fill`], on any processor or on the second one.
fn remove(crowd: &Node, apart: bool) -> Result<()> {
    let remove = ["ip", "-n", crowd.netns().name(), "link", "del", "group", "10"];
    if apart {
        command::run("taskset", &[&["--cpu-list", "1"], &remove[..]].concat())?;
    } else {
        command::run(remove[0], &remove[1..])?;
    }
    Ok(())
}

/// Makes [`INTERFACES`] interfaces in one group, whose removal is one step under RTNL.
fn fill(crowd: &Node) -> Result<()> {
    let mut lines = String::new();
    for number in 0..INTERFACES {
        // Writing to a String cannot fail.
        let _ = writeln!(
            lines,
            "link add name v{number} group 10 type veth peer name w{number}"
        );
    }
    command::run_with_input("ip", &["-n", crowd.netns().name(), "-batch", "-"], &lines)?;
    Ok(())
}

/// The longest that a change of an address took, which needs RTNL, until `done`.
fn longest_change(node: &Node, done: &AtomicBool) -> Result<Duration> {
    let mut longest = Duration::ZERO;
    while !done.load(Ordering::Relaxed) {
        let start = Instant::now();
        node.ip(&["addr", "replace", "192.0.2.1/32", "dev", "lo"])?;
        longest = longest.max(start.elapsed());
    }
    Ok(longest)
}
