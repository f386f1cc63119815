//! The scene of most tests: a client and two nodes, a router on each, and the meter between them.

use std::{
    net::IpAddr,
    process::ExitStatus,
    time::{Duration, Instant},
};

use holdfast_lab::{
    Agent, AgentOptions, Keepalived, Lab, Meter, Node, Process, Report, keepalived::VrrpInstance, wait_until,
};

use crate::{
    Group, Result, file_of,
    formula::{MARGIN_ALONE, MARGIN_BESIDE, NO_HOLE},
    real_time,
};

/// How long anything may take that is not measured.
pub const PATIENCE: Duration = Duration::from_secs(12);

/// Within what time Linux has looked at the change of a link, and looks at the next one at once: it looks once a second, so
/// that one passes until it sees the change, and another one before it looks again.
const LINK_CHANGES: Duration = Duration::from_secs(2);

/// A router of either kind.
#[derive(Debug)]
pub enum Router {
    /// Ours.
    Holdfast(Agent),
    /// Debian's.
    Keepalived(Keepalived),
}

impl Router {
    /// Starts an agent with these groups.
    ///
    /// # Errors
    /// When there is no agent binary, or it ends at once.
    pub fn holdfast(node: &Node, groups: &[Group]) -> Result<Self> {
        Ok(Self::Holdfast(agent(node, groups)?))
    }

    /// Starts keepalived with these instances, waits until it takes part in their elections, and has it run in real time.
    ///
    /// # Errors
    /// When it is not installed.
    pub fn keepalived(node: &Node, instances: &[VrrpInstance]) -> Result<Self> {
        let keepalived = Keepalived::start(node, instances)?;
        let what = format!("keepalived on {} takes part", node.name());
        wait_until(&what, PATIENCE, || {
            let begun = keepalived.process.log()?.matches("Entering BACKUP STATE").count();
            Ok(begun >= instances.len())
        })?;
        real_time::prefer(&keepalived.process)?;
        Ok(Self::Keepalived(keepalived))
    }

    /// The daemon.
    pub fn process(&mut self) -> &mut Process {
        match self {
            Self::Holdfast(agent) => &mut agent.process,
            Self::Keepalived(keepalived) => &mut keepalived.process,
        }
    }

    /// The agent, if it is ours.
    ///
    /// # Errors
    /// When it is not.
    pub fn agent(&self) -> Result<&Agent> {
        match self {
            Self::Holdfast(agent) => Ok(agent),
            Self::Keepalived(_) => Err("keepalived has no status".into()),
        }
    }
}

/// Starts an agent with these groups and waits until it answers for each of them: it answers before it knows its node.
///
/// # Errors
/// When there is no agent binary, or it ends at once.
pub fn agent(node: &Node, groups: &[Group]) -> Result<Agent> {
    let mut agent = Agent::start(node, &file_of(groups), &AgentOptions::default())?;
    agent.wait_until_answering(PATIENCE)?;
    let what = format!("the agent on {} runs its groups", node.name());
    wait_until(&what, PATIENCE, || {
        let runs = |status: serde_json::Value| status["groups"].as_array().map_or(0, Vec::len);
        Ok(agent.status().is_ok_and(|status| runs(status) == groups.len()))
    })?;
    Ok(agent)
}

/// Waits until `node` alone holds and answers at each of `vips`.
///
/// # Errors
/// After [`PATIENCE`].
pub fn settle_on(meter: &Meter, vips: &[IpAddr], node: &str) -> Result<()> {
    for vip in vips {
        meter.wait_for_holders(*vip, &[node], PATIENCE)?;
        meter.wait_for_answer(*vip, node, PATIENCE)?;
    }
    Ok(())
}

/// Watches for `duration` and fails if anybody but `node` held or answered at `vip` meanwhile.
///
/// # Errors
/// With what was seen.
pub fn stays_on(meter: &Meter, vip: IpAddr, node: &str, duration: Duration) -> Result<()> {
    let start = Instant::now();
    std::thread::sleep(duration);
    let report = meter.report_since(vip, start);
    let others = report.answered_by.iter().any(|span| *span.node != *node);
    let moved = report.held_twice + report.held_by_nobody > Duration::ZERO;
    if others || moved || report.answered_by.is_empty() {
        return Err(format!("{vip} did not stay on {node} for {duration:?}: {report:#?}").into());
    }
    Ok(())
}

/// Fails if a client of `vip` noticed anything since `start`: another holder, another who answered, or a silence.
///
/// # Panics
/// With what was seen.
pub fn unnoticed(meter: &Meter, vip: IpAddr, start: Instant) {
    let report = meter.report_since(vip, start);
    assert_eq!(
        (report.held_by_nobody, report.held_twice),
        (Duration::ZERO, Duration::ZERO),
        "{report:#?}"
    );
    assert_eq!(report.answered_by.len(), 1, "{report:#?}");
    assert!(
        report.longest_silence <= MARGIN_BESIDE + report.noise(),
        "{report:#?}"
    );
}

/// Fails if whoever asked got no answer for longer than [`NO_HOLE`], or any answer was later than a busy machine makes it.
///
/// # Panics
/// With what was seen.
pub fn seamless(report: &Report) {
    assert!(report.longest_hole <= NO_HOLE + report.noise(), "{report:#?}");
    assert!(
        report.longest_silence <= MARGIN_ALONE + report.noise(),
        "{report:#?}"
    );
}

/// Plugs a node's cable in again, after the kernel has had time to take note on both of its ends that it was pulled, and is
/// ready to take note that it is back: until then a cable may carry in one direction only.
///
/// # Errors
/// When the switch has no such port.
pub fn plug_again(node: &Node) -> Result<()> {
    after_link_changes();
    Ok(node.plug()?)
}

/// Waits until the kernel has taken note of a link's change, and is ready to take note of the next one.
pub fn after_link_changes() {
    std::thread::sleep(LINK_CHANGES);
}

/// A client and the nodes a and b, without routers yet.
#[derive(Debug)]
pub struct Scene {
    /// Asks.
    pub client: Node,
    /// The first node; preferred, where anybody is.
    pub a: Node,
    /// The second node, with the higher address.
    pub b: Node,
    /// Last, because it can go only when all that is in it is gone.
    pub lab: Lab,
}

impl Scene {
    /// Builds it.
    ///
    /// # Errors
    /// When the lab cannot be built.
    pub fn new() -> Result<Self> {
        let lab = Lab::new()?;
        Ok(Self {
            client: lab.client()?,
            a: lab.node("a")?,
            b: lab.node("b")?,
            lab,
        })
    }

    /// Starts to measure these addresses.
    ///
    /// # Errors
    /// When a socket cannot be made.
    pub fn meter(&self, vips: &[IpAddr]) -> Result<Meter> {
        Ok(Meter::start(
            &self.client,
            &[self.a.clone(), self.b.clone()],
            vips,
        )?)
    }
}

/// Two routers for the same addresses, the one on node a preferred, and the meter.
#[derive(Debug)]
pub struct Pair {
    /// Measures the addresses.
    pub meter: Meter,
    /// On node a.
    pub on_a: Router,
    /// On node b.
    pub on_b: Router,
    /// The addresses.
    pub vips: Vec<IpAddr>,
    /// Where it all happens.
    pub scene: Scene,
}

impl Pair {
    /// Starts both routers and waits until a alone holds and answers at every address.
    ///
    /// # Errors
    /// When a does not become Active.
    pub fn start(
        scene: Scene,
        vips: &[IpAddr],
        on_a: impl FnOnce(&Node) -> Result<Router>,
        on_b: impl FnOnce(&Node) -> Result<Router>,
    ) -> Result<Self> {
        let meter = scene.meter(vips)?;
        let pair = Self {
            meter,
            on_a: on_a(&scene.a)?,
            on_b: on_b(&scene.b)?,
            vips: vips.to_vec(),
            scene,
        };
        pair.settle_on("a")?;
        Ok(pair)
    }

    /// Starts the same group on both nodes; a has priority 200.
    ///
    /// # Errors
    /// When a does not become Active.
    pub fn of_holdfast(scene: Scene, vips: &[IpAddr], group: &Group) -> Result<Self> {
        let preferred = group.clone().priority(200);
        Self::start(
            scene,
            vips,
            |a| Router::holdfast(a, &[preferred]),
            |b| Router::holdfast(b, std::slice::from_ref(group)),
        )
    }

    /// Waits until `node` alone holds and answers at every address.
    ///
    /// # Errors
    /// After [`PATIENCE`].
    pub fn settle_on(&self, node: &str) -> Result<()> {
        settle_on(&self.meter, &self.vips, node)
    }

    /// Does something to the routers, waits until `node` alone serves, and returns what a client of each address saw.
    ///
    /// # Errors
    /// When the deed fails, or `node` does not take over.
    pub fn measure(&mut self, node: &str, deed: impl FnOnce(&mut Self) -> Result<()>) -> Result<Vec<Report>> {
        let start = Instant::now();
        deed(self)?;
        self.settle_on(node)?;
        // What comes late is part of it: a second holder, a client told wrong.
        std::thread::sleep(Duration::from_millis(150));
        let reports = self.vips.iter().map(|vip| self.meter.report_since(*vip, start));
        let reports = reports.collect();
        self.settle_on(node)?;
        Ok(reports)
    }

    /// Asks the router on a to end (SIGTERM) and waits until it has.
    ///
    /// # Errors
    /// When it does not.
    pub fn stop_a(&mut self) -> Result<ExitStatus> {
        Ok(self.on_a.process().stop(PATIENCE)?)
    }
}
