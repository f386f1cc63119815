//! A node's probes as its agent runs them: how its services do, and what the node's health is by that.

use core::time::Duration;

use holdfast_health::{GroupHealth, Kind, Outcome, Policy, Run};
use holdfast_vrrp::{Health, Instant, Priority};

use crate::rng::Rng;

/// What is probed on a node, and how often.
#[derive(Clone, Debug)]
pub struct Probing {
    /// What is made of the results. Those that are run come first, a quorum over them last.
    pub policy: Policy,
    /// How often each probe is run, give or take a tenth.
    pub period: Duration,
}

/// How one service does, as its probe finds it.
#[derive(Clone, Copy, Debug)]
pub enum Service {
    Passes,
    Fails,
    /// It passes for so many runs, then it fails for as many.
    Flaps(u32),
    /// So many of a thousand runs pass.
    Chance(u32),
}

/// The probes of one node, and what is known by them.
#[derive(Debug)]
pub struct Prober {
    probing: Probing,
    health: GroupHealth,
    services: Vec<Service>,
    /// How often each probe has been run.
    runs: Vec<u32>,
    /// Whether the agent goes on where the one before it ended, and has been serving since.
    resumed: bool,
    /// When it is going to be asked for the node's health because of time alone.
    wake: Option<Instant>,
}

impl Probing {
    /// How many probes are run.
    pub fn count(&self) -> usize {
        let runs = |kind: &Kind| matches!(kind, Kind::Runs { .. });
        self.policy
            .probes
            .iter()
            .filter(|probe| runs(&probe.kind))
            .count()
    }

    /// How long it takes at most until services that change no more are known for what they are.
    pub fn convergence(&self) -> Duration {
        let kinds = self.policy.probes.iter().map(|probe| &probe.kind);
        let runs = kinds.map(|kind| match kind {
            Kind::Runs { thresholds, .. } => thresholds.failure.max(thresholds.success).get(),
            Kind::Quorum { .. } => 0,
        });
        self.period * 11 / 10 * (1 + u32::from(runs.max().unwrap_or(0)))
    }
}

impl Prober {
    pub fn new(now: Instant, probing: Probing) -> Self {
        Self {
            health: GroupHealth::new(now, probing.policy.clone()),
            services: vec![Service::Passes; probing.count()],
            runs: vec![0; probing.count()],
            resumed: false,
            wake: None,
            probing,
        }
    }

    /// An agent starts, which knows nothing of what the one before it knew.
    pub fn start(&mut self, now: Instant, resumed: bool) {
        self.health = GroupHealth::new(now, self.probing.policy.clone());
        self.resumed = resumed;
    }

    /// The router has left what its predecessor did: from now on it has to know that it is fit.
    pub fn is_on_its_own(&mut self) {
        self.resumed = false;
    }

    /// The service behind a probe does so from now on.
    pub fn becomes(&mut self, probe: usize, service: Service) {
        self.services[probe] = service;
    }

    /// Runs one probe.
    pub fn run(&mut self, now: Instant, probe: usize, chance: &mut Rng) {
        let run = self.runs[probe];
        self.runs[probe] += 1;
        let passes = match self.services[probe] {
            Service::Passes => true,
            Service::Fails => false,
            Service::Flaps(runs) => (run / runs).is_multiple_of(2),
            Service::Chance(permille) => chance.chance(permille),
        };
        let outcome = if passes {
            Outcome::Passed
        } else {
            chance.pick(&[Outcome::Failed, Outcome::TimedOut, Outcome::CouldNotRun])
        };
        let name = &self.probing.policy.probes[probe].name;
        self.health.take(now, name, Run::new(outcome, ""));
    }

    /// The node's configured priority is another one.
    pub fn rebase(&mut self, now: Instant, base: Priority) {
        self.probing.policy.base = base;
        self.health.configure(now, self.probing.policy.clone());
    }

    /// The node's health by its probes.
    pub fn health(&mut self, now: Instant) -> Health {
        self.health.handle_timeout(now);
        let judgement = self.health.judgement();
        if self.resumed {
            judgement.lenient
        } else {
            judgement.strict
        }
    }

    /// When time alone changes the node's health, unless that has been said before.
    pub fn next_wake(&mut self) -> Option<Instant> {
        let due = self.health.next_timeout();
        let before = core::mem::replace(&mut self.wake, due);
        due.filter(|_| due != before)
    }

    pub fn probing(&self) -> &Probing {
        &self.probing
    }
}
