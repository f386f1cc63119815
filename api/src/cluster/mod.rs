//! What a cluster as a whole makes of its groups: which of them are accepted, who is a member, and what each node is told,
//! in which order. Pure: the operator brings what it has watched, and writes what comes out.

mod accept;
mod allocate;
mod duty;
mod hearing;
mod members;
mod peers;
mod placement;
mod plan;
mod reported;
mod seat;
mod spec;
mod sync;
#[cfg(test)]
mod tests;
mod weight;
mod withdraw;

pub use accept::{Rival, Verdict, Warning, judge, outranks};
pub use allocate::{remembered_virtual_router_id, virtual_router_id};
pub use duty::duty;
pub use members::{Share, is_member};
pub use placement::wish_ends_in;
pub use plan::{Until, Wait, waits};
pub use reported::Reporter;
pub use spec::node_spec;
pub use withdraw::{Withdrawal, withdrawal};

use core::fmt;
use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::v1alpha1::{NodeGroup, NodeGroupStatus, VirtualIPNodeSpec, VirtualIPNodeStatus};

/// Everything the operator knows of one node.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct NodeRecord {
    /// The node's name, which is also the name of its `VirtualIPNode`.
    pub name: String,
    /// What its Node object says; `None`: there is none (any more), which is no instruction.
    pub node: Option<KubeNode>,
    /// Its `VirtualIPNode` as stored; `None`: there is none yet.
    pub object: Option<StoredNode>,
    /// Whether its agent is alive.
    pub agent: AgentLife,
}

impl KubeNode {
    /// All its addresses.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.internal_ips.iter().chain(&self.external_ips).copied()
    }
}

impl NodeRecord {
    /// What the node is told of a group, as stored: perhaps a tombstone.
    pub fn stored(&self, group: &str) -> Option<&NodeGroup> {
        let groups = self.object.as_ref()?.spec.groups.iter();
        groups.into_iter().find(|entry| entry.name == group)
    }

    /// What the node's agent said last of a group.
    pub fn reported(&self, group: &str) -> Option<&NodeGroupStatus> {
        let groups = self.object.as_ref()?.status.groups.iter();
        groups.into_iter().find(|report| report.name == group)
    }
}

/// What matters of a Node object.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KubeNode {
    /// Its labels, which selectors match.
    pub labels: BTreeMap<String, String>,
    /// Its addresses of type InternalIP, virtual ones that a kubelet mistook for its own among them.
    pub internal_ips: Vec<IpAddr>,
    /// Its addresses of type ExternalIP, likewise.
    pub external_ips: Vec<IpAddr>,
    /// Whether it is cordoned: no new pods.
    pub cordoned: bool,
    /// Its taints.
    pub taints: BTreeSet<Taint>,
    /// Whether it has the annotation [`crate::v1alpha1::MAINTENANCE`].
    pub in_maintenance: bool,
}

/// A taint of a Node, without when it came.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value; often empty.
    pub value: String,
    /// Its effect: `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

impl fmt::Display for Taint {
    /// As kubectl writes it: `key=value:NoExecute`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let equals = if self.value.is_empty() { "" } else { "=" };
        write!(f, "{}{equals}{}:{}", self.key, self.value, self.effect)
    }
}

/// A `VirtualIPNode` as the API server has it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct StoredNode {
    /// The generation of `spec`.
    pub generation: i64,
    /// What the node is told.
    pub spec: VirtualIPNodeSpec,
    /// What its agent said last.
    pub status: VirtualIPNodeStatus,
    /// When the operator saw `status` change last, on the operator's own clock.
    pub status_seen: Timestamp,
}

/// Whether a node's agent is alive, by its Lease and on the operator's own clock: what a node's clock says does not count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum AgentLife {
    /// It has no Lease: no agent has run there.
    #[default]
    Never,
    /// Its Lease was last seen renewed at this time, and is good.
    Fresh(Timestamp),
    /// Its Lease was last seen renewed at this time, and has run out.
    Expired(Timestamp),
}
