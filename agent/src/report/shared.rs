//! The one place in which the agent's parts meet: what the reporters read and the main loop writes.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use holdfast_api::v1alpha1::VirtualIPNodeStatus;
use holdfast_logging::LogControl;
use tokio::sync::oneshot;

use crate::clock;
use crate::connections::Counts;
use crate::engine::{Command, Engine};
use crate::probe::Prober;
use crate::status::{
    AgentStatus, ApiStatus, Applied, GroupStatus, HealthStatus, Refusal, Role, StandbyStatus, WaitStatus,
};

/// How long the engine may take to answer before a report says that it does not.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(2);

/// The age of the engine's heartbeat above which it counts as stuck. It beats at least once a second.
const HEARTBEAT_LIMIT: Duration = Duration::from_secs(3);

/// A kind of transition, as counted for metrics: group, state entered, reason.
pub type TransitionKey = (String, &'static str, &'static str);

/// What every reporter reads.
#[derive(Debug)]
pub struct Shared {
    node: String,
    log: LogControl,
    /// None while this agent is the standby of another.
    running: Mutex<Option<Running>>,
    told: Mutex<Told>,
}

/// What runs the groups.
#[derive(Clone, Debug)]
struct Running {
    engine: Arc<Engine>,
    prober: Arc<Prober>,
}

/// What the main loop has told the reporters.
#[derive(Debug, Default)]
struct Told {
    limitations: Vec<String>,
    /// What keeps the agent from hearing that its node shuts down.
    deaf: Option<String>,
    problems: Vec<String>,
    applied: bool,
    spec: Option<Applied>,
    api: Option<ApiStatus>,
    /// The status that the API server has, and when that was learned.
    stored: Option<(VirtualIPNodeStatus, tokio::time::Instant)>,
    transitions: BTreeMap<TransitionKey, u64>,
    /// Connections of addresses that left this node.
    closed: Counts,
    /// The agents that wait for this one.
    standbys: Vec<StandbyStatus>,
    /// The agent that this one waits for.
    waits_for: Option<WaitStatus>,
}

/// Why there is no snapshot of the groups.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The engine's thread has ended.
    #[error("the engine has ended; the agent is stopping")]
    Ended,
    /// The engine's thread did not answer in time.
    #[error(
        "the engine did not answer within 2s: it is stuck, and the addresses it holds expire; restart the agent"
    )]
    Stuck,
}

impl Shared {
    /// For the node of this name. Without an engine, the agent is a standby.
    pub fn new(node: &str, log: LogControl) -> Self {
        Self {
            node: node.to_owned(),
            log,
            running: Mutex::default(),
            told: Mutex::default(),
        }
    }

    /// The node's name.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Where the log level is changed.
    pub fn log(&self) -> &LogControl {
        &self.log
    }

    /// From now on this agent runs the groups with `engine`, and their probes with `prober`.
    pub fn run_with(&self, engine: Arc<Engine>, prober: Arc<Prober>) {
        self.told().waits_for = None;
        *self.lock_running() = Some(Running { engine, prober });
    }

    /// For whom this agent waits, and why.
    pub fn wait(&self) -> Option<WaitStatus> {
        self.told().waits_for.clone()
    }

    /// From now on this agent is the standby of another: nothing is in force here.
    pub fn stand_by(&self) {
        *self.lock_running() = None;
        let mut told = self.told();
        told.applied = false;
        told.spec = None;
        told.standbys.clear();
    }

    /// Sets who waits for this agent to end.
    pub fn set_standbys(&self, standbys: Vec<StandbyStatus>) {
        self.told().standbys = standbys;
    }

    /// Sets for whom this agent waits, and why.
    pub fn set_wait(&self, wait: WaitStatus) {
        self.told().waits_for = Some(wait);
    }

    /// Whether this agent runs the groups or waits for another to end.
    pub fn role(&self) -> Role {
        if self.running().is_some() {
            Role::Running
        } else {
            Role::Standby
        }
    }

    /// Adds something that the process does without. Said once each.
    pub fn add_limitation(&self, limitation: &str) {
        let mut told = self.told();
        if !told.limitations.iter().any(|known| known == limitation) {
            tracing::warn!("{limitation}");
            told.limitations.push(limitation.to_owned());
        }
    }

    /// Sets what keeps the agent from hearing that its node shuts down; `None`: nothing does any more.
    pub fn set_shutdown_limitation(&self, limitation: Option<String>) {
        let mut told = self.told();
        match (&told.deaf, &limitation) {
            (None, Some(sentence)) => tracing::warn!("{sentence}"),
            (Some(_), None) => tracing::info!("logind tells again when the node shuts down"),
            _ => {}
        }
        told.deaf = limitation;
    }

    /// Sets what is wrong with the configuration last offered; empty if it is in force.
    pub fn set_problems(&self, problems: Vec<String>) {
        self.told().problems = problems;
    }

    /// A configuration is in force.
    pub fn set_applied(&self) {
        self.told().applied = true;
    }

    /// Sets what the agent was told and has put into force, as it acknowledges it to the API server.
    pub fn set_applied_spec(&self, spec: Applied) {
        self.told().spec = Some(spec);
    }

    /// What was last set so.
    pub fn applied_spec(&self) -> Option<Applied> {
        self.told().spec.clone()
    }

    /// Sets which status of this node the API server has, as the watch has seen it last; the default for a new object.
    pub fn set_stored_status(&self, status: VirtualIPNodeStatus) {
        self.told().stored = Some((status, tokio::time::Instant::now()));
    }

    /// Whether something else than `written` was seen in the API server after that was written at `at`.
    pub fn is_overwritten(&self, written: &VirtualIPNodeStatus, at: tokio::time::Instant) -> bool {
        let told = self.told();
        let stored = told.stored.as_ref();
        stored.is_some_and(|(stored, seen)| *seen > at && stored != written)
    }

    /// Changes what is known of the API server; from the first time on the agent is a client of it.
    pub fn note_api(&self, note: impl FnOnce(&mut ApiStatus)) {
        note(self.told().api.get_or_insert_default());
    }

    /// Counts a transition.
    pub fn count_transition(&self, key: TransitionKey) {
        *self.told().transitions.entry(key).or_default() += 1;
    }

    /// Counts connections that were closed because their address left this node.
    pub fn count_closed(&self, counts: Counts) {
        self.told().closed += counts;
    }

    /// How many connections were closed so.
    pub fn closed(&self) -> Counts {
        self.told().closed
    }

    /// Forgets the counts of groups that are gone, so that their number stays bounded.
    pub fn keep_transitions_of(&self, exists: impl Fn(&str) -> bool) {
        self.told().transitions.retain(|(group, ..), _| exists(group));
    }

    /// How often each kind of transition happened.
    pub fn transitions(&self) -> BTreeMap<TransitionKey, u64> {
        self.told().transitions.clone()
    }

    /// How long ago the engine went round its loop. `None` while this agent is a standby.
    pub fn heartbeat_age(&self) -> Option<Duration> {
        self.running()
            .map(|running| clock::now().saturating_duration_since(running.engine.last_heartbeat()))
    }

    /// Whether the engine's heartbeat is fresh; a standby has none and is healthy.
    pub fn healthy(&self) -> bool {
        self.heartbeat_age().is_none_or(|age| age < HEARTBEAT_LIMIT)
    }

    /// Whether the agent does what it is there for: a configuration is in force, or it stands by.
    pub fn ready(&self) -> bool {
        match self.role() {
            Role::Standby => true,
            Role::Running => self.healthy() && self.told().applied,
        }
    }

    /// The whole agent's status.
    pub async fn status(&self) -> Result<AgentStatus, SnapshotError> {
        let mut groups = self.snapshot().await?;
        let told = self.told();
        let api = told
            .api
            .clone()
            .map(|api| with_spec(api, told.spec.as_ref(), &mut groups));
        Ok(AgentStatus {
            node: self.node.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            role: self.role(),
            limitations: told.limitations.iter().chain(&told.deaf).cloned().collect(),
            configuration_problems: told.problems.clone(),
            api,
            standbys: told.standbys.clone(),
            waits_for: told.waits_for.clone(),
            groups,
        })
    }

    /// The groups that the engine runs. None of a standby.
    pub async fn snapshot(&self) -> Result<Vec<GroupStatus>, SnapshotError> {
        let Some(Running { engine, prober }) = self.running() else {
            return Ok(Vec::new());
        };
        let (answer, groups) = oneshot::channel();
        let ask = async {
            engine
                .send(Command::Snapshot(answer))
                .await
                .map_err(|_| SnapshotError::Ended)?;
            groups.await.map_err(|_| SnapshotError::Ended)
        };
        let groups = tokio::time::timeout(SNAPSHOT_TIMEOUT, ask).await;
        let mut groups = groups.unwrap_or(Err(SnapshotError::Stuck))?;
        // Without a word of the probes the groups are worth showing all the same.
        with_health(prober.reports().await.unwrap_or_default(), &mut groups);
        Ok(groups)
    }

    fn running(&self) -> Option<Running> {
        self.lock_running().clone()
    }

    fn lock_running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        // Every write above leaves the value whole, so a poisoned lock holds nothing broken.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds to the groups what their probes say: the engine knows what came of it, and they know why.
fn with_health(mut reports: BTreeMap<String, HealthStatus>, groups: &mut [GroupStatus]) {
    for group in groups {
        let Some(health) = reports.remove(&group.name) else {
            continue;
        };
        group.held_back_until = health.held_back_until;
        group.probes = health.probes;
        group.warnings = health.warnings;
        for known in health.faults {
            let shown = group.faults.iter_mut().find(|shown| shown.reason == known.reason);
            if let Some(shown) = shown {
                shown.message = known.message;
                // What the engine has to say of the priority is the same sentence.
                group.priority_explained.clone_from(&health.priority_explained);
            }
        }
    }
}

/// Adds what the agent was told to what is known of the API server, and to the groups from where each came.
fn with_spec(api: ApiStatus, spec: Option<&Applied>, groups: &mut [GroupStatus]) -> ApiStatus {
    let Some(spec) = spec else { return api };
    for group in groups {
        let told = spec.groups.get(&group.name);
        group.origin = told.map(|told| told.source);
        group.in_file = told.is_some_and(|told| told.in_file);
    }
    let refusals = spec.groups.iter().filter_map(|(group, told)| {
        let message = told.refused.clone()?;
        Some(Refusal {
            group: group.clone(),
            message,
        })
    });
    ApiStatus {
        observed_generation: spec.observed_generation,
        problems: spec.problems.clone(),
        refusals: refusals.collect(),
        ..api
    }
}
