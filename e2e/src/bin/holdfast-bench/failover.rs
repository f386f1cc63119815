//! What a client sees of a failover: a lost node, a planned stop, the preferred node's return, a killed and a frozen
//! daemon.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use holdfast_lab::Report;

use crate::{
    daemon::{Daemon, Routers},
    scene::Scene,
};

/// How long beyond the takeover two holders of one address are watched before they count as two for good.
pub const WATCHED: Duration = Duration::from_secs(4);
/// How long a daemon may take to end when asked to.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// What one run measured.
#[derive(Clone, Copy, Debug)]
pub struct Failover {
    /// Cable pulled: from that to the first answer of the other node.
    pub lost_node: Duration,
    /// Cable plugged in again: the longest silence until the preferred node serves.
    pub return_by_cable: Duration,
    /// SIGTERM: the longest silence.
    pub planned_stop: Duration,
    /// The longest silence of the client's own address during the planned stop: the machine's share in it.
    pub planned_stop_control: Duration,
    /// The stopped daemon started again: the longest silence until the preferred node serves.
    pub return_by_start: Duration,
    /// SIGKILL.
    pub killed: Death,
    /// SIGSTOP.
    pub frozen: Death,
    /// The longest silence of the client's own address meanwhile: what the machine adds to all the others.
    pub control: Duration,
}

/// A daemon that no longer runs while its node's kernel does.
#[derive(Clone, Copy, Debug)]
pub struct Death {
    /// From the death to the first answer of the other node.
    pub takeover: Duration,
    /// For how long both nodes held the address.
    pub two_holders: Duration,
    /// Whether they still did when nobody watched any more.
    pub for_good: bool,
}

/// Plays all events once.
pub fn run(daemon: Daemon, routers: Routers) -> Result<Failover> {
    let mut scene = Scene::set(daemon, routers)?;
    let name = scene.name();
    let start = Instant::now();
    let lost_node = lost_node(&scene).with_context(|| format!("{name}: lost node"))?;
    let return_by_cable = silence(&mut scene, "a", |scene| Ok(scene.a.plug()?))?.longest_silence;
    let stop = planned_stop(&mut scene).with_context(|| format!("{name}: planned stop"))?;
    let return_by_start = silence(&mut scene, "a", Scene::restart_a)?.longest_silence;
    let killed = death(&mut scene, |scene| Ok(scene.on_a.process().kill()?))
        .with_context(|| format!("{name}: SIGKILL"))?;
    scene.restart_a()?;
    scene.settle_on("a")?;
    let frozen = death(&mut scene, |scene| Ok(scene.on_a.process().freeze()?))
        .with_context(|| format!("{name}: freeze"))?;
    let control = scene.meter.report_since(scene.vip(), start).control_silence;
    Ok(Failover {
        lost_node,
        return_by_cable,
        planned_stop: stop.longest_silence,
        planned_stop_control: stop.control_silence,
        return_by_start,
        killed,
        frozen,
        control,
    })
}

fn lost_node(scene: &Scene) -> Result<Duration> {
    scene.wait_for_worst_moment()?;
    let start = Instant::now();
    scene.a.unplug()?;
    scene.meter.wait_for_answer(scene.vip(), "b", scene.patience())?;
    let takeover = scene.meter.report_since(scene.vip(), start).takeover;
    scene.settle_on("b")?;
    takeover.context("b answered, but the report knows of no takeover")
}

fn planned_stop(scene: &mut Scene) -> Result<Report> {
    scene.wait_for_worst_moment()?;
    silence(scene, "b", |scene| {
        scene.on_a.process().stop(STOP_PATIENCE)?;
        Ok(())
    })
}

/// What the client saw from `deed` until `node` alone serves.
fn silence(scene: &mut Scene, node: &str, deed: impl FnOnce(&mut Scene) -> Result<()>) -> Result<Report> {
    let start = Instant::now();
    deed(scene)?;
    scene.settle_on(node)?;
    Ok(scene.meter.report_since(scene.vip(), start))
}

fn death(scene: &mut Scene, deed: impl FnOnce(&mut Scene) -> Result<()>) -> Result<Death> {
    scene.wait_for_worst_moment()?;
    let start = Instant::now();
    deed(scene)?;
    scene.meter.wait_for_answer(scene.vip(), "b", scene.patience())?;
    let end = start + scene.active_down() + WATCHED;
    thread::sleep(end.saturating_duration_since(Instant::now()));
    let for_good = scene.meter.holders(scene.vip()).len() > 1;
    let report = scene.meter.report_since(scene.vip(), start);
    Ok(Death {
        takeover: report
            .takeover
            .context("b answered, but the report knows of no takeover")?,
        two_holders: report.held_twice,
        for_good,
    })
}
