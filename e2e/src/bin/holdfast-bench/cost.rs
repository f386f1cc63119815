//! What an Active daemon costs: time on a processor for each advertisement it sends, and memory.

use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use holdfast_lab::{Lab, wait_until};

use crate::{
    daemon::{Daemon, Routers},
    usage::{self, Memory},
};

/// How long the routers may take to become Active.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long the announcements of the takeover go on; both daemons repeat them after 5 seconds.
const ANNOUNCEMENTS: Duration = Duration::from_millis(6500);

/// What was measured in one window of time.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// How long it was.
    pub window: Duration,
    /// How long the daemon was on a processor in it.
    pub cpu: Duration,
    /// How many advertisements it sent in it.
    pub advertisements: u64,
    /// Its memory at the end.
    pub memory: Memory,
    /// Whether it gave a thread real-time priority.
    pub real_time: bool,
}

impl Cost {
    /// Microseconds on a processor for each advertisement.
    pub fn per_advertisement(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a count of seconds' worth of packets")]
        let advertisements = self.advertisements.max(1) as f64;
        self.cpu.as_secs_f64() * 1e6 / advertisements
    }

    /// Milliseconds on a processor for each second.
    pub fn per_second(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e3 / self.window.as_secs_f64()
    }
}

/// Runs `daemon` as the Active router, alone on its network, and measures `window` once it has settled.
///
/// Alone, because what the kernel does to deliver a packet between namespaces is billed to its sender.
pub fn run(daemon: Daemon, routers: Routers, window: Duration) -> Result<Cost> {
    let lab = Lab::new()?;
    let node = lab.node("a")?;
    let mut running = daemon.start(&node, &routers, 200)?;
    let wanted: BTreeSet<_> = routers.addresses().into_iter().collect();
    let what = format!("{} serves {} addresses", daemon.name(), wanted.len());
    wait_until(&what, PATIENCE, || {
        thread::sleep(Duration::from_millis(50));
        let held = node.addresses()?.into_iter().map(|held| held.address);
        Ok(wanted.is_subset(&held.collect()))
    })?;
    thread::sleep(ANNOUNCEMENTS);
    let processes = usage::family(running.process().pid())?;
    let start = Instant::now();
    let sent = usage::multicast_packets_sent(&node)?;
    let cpu = usage::cpu_time(&processes)?;
    thread::sleep(window);
    let cost = Cost {
        cpu: usage::cpu_time(&processes)?.saturating_sub(cpu),
        advertisements: usage::multicast_packets_sent(&node)?.saturating_sub(sent),
        window: start.elapsed(),
        memory: usage::memory(&processes)?,
        real_time: usage::is_real_time(&processes)?,
    };
    let ended = running.process().ended()?;
    ended.map_or(Ok(cost), |status| {
        Err(anyhow::anyhow!("it ended ({status})")).with_context(|| what)
    })
}
