//! The one place in which the agent's parts meet: what the reporters read and the main loop writes.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::oneshot;

use super::log::LogControl;
use crate::clock;
use crate::engine::{Command, Engine};
use crate::status::{AgentStatus, GroupStatus, Role};

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
    // Set once, when this agent stops being the standby of another.
    engine: OnceLock<Arc<Engine>>,
    told: Mutex<Told>,
}

/// What the main loop has told the reporters.
#[derive(Debug, Default)]
struct Told {
    limitations: Vec<String>,
    problems: Vec<String>,
    applied: bool,
    transitions: BTreeMap<TransitionKey, u64>,
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
            engine: OnceLock::new(),
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

    /// From now on this agent runs the groups with `engine`.
    pub fn run_with(&self, engine: Arc<Engine>) {
        // A second engine in one process does not happen; the first would stay.
        let _ = self.engine.set(engine);
    }

    /// Whether this agent runs the groups or waits for another to end.
    pub fn role(&self) -> Role {
        if self.engine.get().is_some() {
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

    /// Sets what is wrong with the configuration last offered; empty if it is in force.
    pub fn set_problems(&self, problems: Vec<String>) {
        self.told().problems = problems;
    }

    /// A configuration is in force.
    pub fn set_applied(&self) {
        self.told().applied = true;
    }

    /// Counts a transition.
    pub fn count_transition(&self, key: TransitionKey) {
        *self.told().transitions.entry(key).or_default() += 1;
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
        self.engine
            .get()
            .map(|engine| clock::now().saturating_duration_since(engine.last_heartbeat()))
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
        let groups = self.snapshot().await?;
        let told = self.told();
        Ok(AgentStatus {
            node: self.node.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            role: self.role(),
            limitations: told.limitations.clone(),
            configuration_problems: told.problems.clone(),
            groups,
        })
    }

    async fn snapshot(&self) -> Result<Vec<GroupStatus>, SnapshotError> {
        let Some(engine) = self.engine.get() else {
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
        tokio::time::timeout(SNAPSHOT_TIMEOUT, ask)
            .await
            .unwrap_or(Err(SnapshotError::Stuck))
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        // Every write above leaves the value whole, so a poisoned lock holds nothing broken.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
