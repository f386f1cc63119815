//! Whether agents are alive. A Lease is good for so long after the operator itself saw it renewed, on the operator's own
//! clock; what a node's clock says does not count, and time during which the operator saw nothing does not either.

use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::Arc;

use holdfast_api::cluster::AgentLife;
use holdfast_api::v1alpha1::AGENT_LEASE_SECONDS;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::{Index, Seen};

/// How long a Lease is good for.
#[allow(clippy::cast_sign_loss, reason = "the constant is positive")]
const LEASE: Duration = Duration::from_secs(AGENT_LEASE_SECONDS as u64);

/// What is known of one node's agent.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Life {
    /// The Lease's own time of renewal, of which only a change counts.
    renewed: Option<MicroTime>,
    /// When a renewal was last seen. `None`: there has never been a Lease.
    heard: Option<Timestamp>,
    /// Whether the Lease is there now.
    leased: bool,
    /// Since when there has been no Node object; `None` while there is one.
    no_node_since: Option<Timestamp>,
    /// No longer a member of anything: no Node, and silent for longer than anybody waits.
    pub(super) gone: bool,
    /// The deadline under which the index has it.
    scheduled: Option<Timestamp>,
}

impl Default for Life {
    fn default() -> Self {
        Self::new(Timestamp::UNIX_EPOCH)
    }
}

impl Life {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            renewed: None,
            heard: None,
            leased: false,
            no_node_since: Some(now),
            gone: false,
            scheduled: None,
        }
    }

    pub(super) fn has_lease(&self) -> bool {
        self.leased
    }

    pub(super) fn node_seen(&mut self) {
        self.no_node_since = None;
    }

    pub(super) fn node_missing(&mut self, now: Timestamp) {
        self.no_node_since = Some(now);
    }

    /// When its Lease runs out, if there has been one.
    fn expiry(&self, watching: &Watching) -> Option<Timestamp> {
        let heard = self.heard?;
        Some(
            heard
                .max(watching.since.unwrap_or(heard))
                .saturating_add(LEASE)
                .unwrap_or(Timestamp::MAX),
        )
    }

    /// When it is gone, if nothing changes.
    fn gone_at(&self, watching: &Watching, patience: Duration) -> Option<Timestamp> {
        let missing = self.no_node_since?;
        let silent = self.expiry(watching).unwrap_or(missing);
        Some(silent.saturating_add(patience).unwrap_or(Timestamp::MAX))
    }
}

/// Whether Leases are being watched, and the deadlines of all nodes.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Watching {
    /// Since when the watch has been delivering; a Lease that was not renewed before that proves nothing.
    since: Option<Timestamp>,
    /// Whether it delivers now.
    up: bool,
    deadlines: BTreeSet<(Timestamp, String)>,
}

impl Index {
    /// The Lease of a node's agent, as the API server has it now.
    pub fn apply_lease(&mut self, node: &str, renewed: Option<MicroTime>, seen: Seen, now: Timestamp) {
        let started = self.started;
        let life = &mut self.entry(node, now).life;
        life.leased = true;
        if life.heard.is_some() && life.renewed == renewed {
            return;
        }
        // A Lease that is listed for the first time may have been renewed at any time before.
        let unknown = life.heard.is_none() && seen == Seen::Listed;
        let heard = if unknown { started } else { now };
        life.renewed = renewed;
        life.heard = Some(heard);
        self.set_life(node, AgentLife::Fresh(heard), false);
        self.schedule_life(node);
    }

    /// The Lease of a node's agent is no more; the agent writes a new one if it lives.
    pub fn delete_lease(&mut self, node: &str) {
        if let Some(entry) = self.nodes.get_mut(node) {
            entry.life.leased = false;
            self.forget_if_unknown(node);
        }
    }

    /// The names of all nodes whose agent has a Lease.
    pub fn leased_names(&self) -> BTreeSet<String> {
        self.names_where(|entry| entry.life.leased)
    }

    /// Whether Leases are seen. While they are not, nobody's Lease runs out, and afterwards everybody has a whole one.
    pub fn watching_leases(&mut self, up: bool, now: Timestamp) {
        if up && !self.leases.up {
            self.leases.since = Some(now);
        }
        self.leases.up = up;
    }

    /// Lets time pass: Leases run out, and nodes are gone.
    pub fn advance(&mut self, now: Timestamp) {
        while self.leases.up
            && let Some((deadline, _)) = self.leases.deadlines.first()
            && *deadline <= now
            && let Some((_, node)) = self.leases.deadlines.pop_first()
        {
            if let Some(entry) = self.nodes.get_mut(&node) {
                entry.life.scheduled = None;
                let expired = entry
                    .life
                    .expiry(&self.leases)
                    .is_some_and(|expiry| expiry <= now);
                let gone = entry
                    .life
                    .gone_at(&self.leases, self.patience)
                    .is_some_and(|gone_at| gone_at <= now);
                let life = match entry.life.heard {
                    Some(heard) if expired => AgentLife::Expired(heard),
                    _ => entry.record.agent,
                };
                self.set_life(&node, life, gone);
                self.schedule_life(&node);
            }
        }
    }

    /// Puts a node's next deadline where [`Index::advance`] finds it. One that is there already and too early is looked
    /// at, found too early, and put back: a renewal costs nothing.
    pub(super) fn schedule_life(&mut self, node: &str) {
        let Some(entry) = self.nodes.get_mut(node) else {
            return;
        };
        let life = &mut entry.life;
        let next = match entry.record.agent {
            AgentLife::Fresh(_) => life.expiry(&self.leases),
            _ if life.gone => None,
            AgentLife::Never | AgentLife::Expired(_) => life.gone_at(&self.leases, self.patience),
        };
        if let Some(next) = next
            && life.scheduled.is_none_or(|scheduled| next < scheduled)
        {
            if let Some(old) = life.scheduled.replace(next) {
                self.leases.deadlines.remove(&(old, node.to_owned()));
            }
            self.leases.deadlines.insert((next, node.to_owned()));
        }
    }

    pub(super) fn unschedule_life(&mut self, node: &str) {
        if let Some(entry) = self.nodes.get_mut(node)
            && let Some(old) = entry.life.scheduled.take()
        {
            self.leases.deadlines.remove(&(old, node.to_owned()));
        }
    }

    /// A node that was gone is back: it has a Node object again.
    pub(super) fn not_gone(&mut self, node: &str) {
        if let Some(entry) = self.nodes.get(node) {
            self.set_life(node, entry.record.agent, false);
        }
    }

    fn set_life(&mut self, node: &str, agent: AgentLife, gone: bool) {
        let Some(entry) = self.nodes.get_mut(node) else {
            return;
        };
        let changed = core::mem::discriminant(&entry.record.agent) != core::mem::discriminant(&agent)
            || entry.life.gone != gone;
        if entry.record.agent != agent {
            Arc::make_mut(&mut entry.record).agent = agent;
        }
        entry.life.gone = gone;
        if changed {
            self.dirty.nodes.insert(node.to_owned());
            for group in self.memberships.get(node).cloned().unwrap_or_default() {
                self.unjudge_with_neighbors(&group);
                self.touch_members(&group);
                self.dirty.groups.insert(group);
            }
        }
    }
}
