//! What the engine is told, and what it tells.

use std::collections::BTreeMap;

use holdfast_api::model::{NodeGroup, NodeSpec};
use holdfast_api::v1alpha1::Family;
use holdfast_health::Judgement;
use holdfast_vrrp::{Priority, Transition};
use tokio::sync::oneshot;

use crate::status::GroupStatus;

/// What the engine is told.
#[derive(Debug)]
pub enum Command {
    /// Do this from now on; what is unchanged is left alone.
    Apply(Box<NodeSpec>),
    /// What is made of a group's node from now on; `None`: nothing judges it any more. It comes before the group, so that the
    /// group never stands in the election with a health that nobody has judged.
    Judge {
        /// The group.
        group: String,
        /// What is made of the node.
        judged: Option<Judged>,
    },
    /// Say what every group is doing.
    Snapshot(oneshot::Sender<Vec<GroupStatus>>),
    /// Hand over every group without a hole and end. A second one ends at once.
    Stop,
    /// End at once without a word on the wire and with the addresses left bound: a standby agent on this node takes over.
    /// Answers which groups were Active.
    Yield(oneshot::Sender<Predecessor>),
}

/// What the probes and the group's policy make of this node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Judged {
    /// The node's health.
    pub judgement: Judgement,
    /// Whether the group is to be on this node by somebody's wish (`spec.placement`) at the present time, whether or not
    /// anything fails: whatever the group's preemption, this node then takes over at once when it is better.
    pub preferred: bool,
    /// What the judgement comes from, in one line for the log: the sentences of its faults if it has any, and otherwise the
    /// priority as a sum. Another text alone moves and logs nothing.
    pub why: String,
}

/// What happened, in order. If the channel is full the engine keeps the latest per group and sends that later.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// A group changed its state.
    Transition {
        /// The group.
        group: String,
        /// Which virtual router it is.
        router: RouterIdentity,
        /// From, to, reason, priority, silence.
        transition: Transition,
        /// The interface of its election, if there is one now.
        interface: Option<String>,
        /// In a sentence, for the log.
        message: String,
    },
    /// A group's priority in the election changed, and its state did not.
    PriorityChanged {
        /// The group.
        group: String,
        /// The priority before.
        from: Priority,
        /// The priority from now on.
        to: Priority,
        /// In a sentence, for the log: from, to, why.
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
    /// A group was withdrawn and has given up everything.
    Withdrawn {
        /// The group.
        group: String,
    },
    /// The engine has ended after [`Command::Stop`] or [`Command::Yield`].
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
    /// As which virtual router: it is no Active router of another one.
    pub router: RouterIdentity,
}

/// What others know a virtual router by. A group that changes it is another virtual router from then on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouterIdentity {
    /// The virtual router's identifier.
    #[serde(rename = "virtualRouterID")]
    pub virtual_router_id: u8,
    /// The protocol version: 2 or 3.
    pub version: u8,
    /// The family of the election.
    pub family: Family,
}

impl RouterIdentity {
    /// The identity of a group as it is configured.
    pub fn of(group: &NodeGroup) -> Self {
        Self {
            virtual_router_id: group.virtual_router_id.get(),
            version: group.advertisement.version.number(),
            family: match group.family {
                holdfast_vrrp::Family::V4 => Family::IPv4,
                holdfast_vrrp::Family::V6 => Family::IPv6,
            },
        }
    }

    /// One for tests, where nothing depends on which.
    #[cfg(test)]
    pub const fn example() -> Self {
        Self {
            virtual_router_id: 51,
            version: 3,
            family: Family::IPv4,
        }
    }
}
