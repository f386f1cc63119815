//! One group on one node as the records have it, and what is certain from that about what runs there.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::{AgentLife, NodeRecord};
use crate::reason::Reason;
use crate::v1alpha1::{MemberState, NodeGroup, NodeGroupStatus};

/// What an agent says of a group whose new configuration it cannot use.
const CONFIGURATION_REFUSED: &str = Reason::ConfigurationRefused.as_str();

/// One group on one node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seat<'a> {
    pub record: &'a NodeRecord,
    /// What the node is told of the group.
    pub stored: Option<&'a NodeGroup>,
    /// What its agent said last of the group.
    pub reported: Option<&'a NodeGroupStatus>,
}

impl<'a> Seat<'a> {
    pub fn of(record: &'a NodeRecord, group: &str) -> Self {
        Self {
            record,
            stored: record.stored(group),
            reported: record.reported(group),
        }
    }

    /// Its stored entry, if that is no tombstone.
    pub fn entry(&self) -> Option<&'a NodeGroup> {
        self.stored.filter(|entry| !entry.deleted)
    }

    /// Whether its stored entry is a tombstone.
    pub fn is_dismissed(&self) -> bool {
        self.stored.is_some_and(|entry| entry.deleted)
    }

    /// Whether it is told that it may become Active.
    pub fn is_admitted(&self) -> bool {
        self.entry().is_some_and(|entry| entry.may_become_active)
    }

    /// Whether its agent was last heard to serve the addresses.
    pub fn is_active(&self) -> bool {
        self.reported
            .is_some_and(|report| report.state == MemberState::Active)
    }

    /// Whether its agent is heard.
    pub fn is_live(&self) -> bool {
        matches!(self.record.agent, AgentLife::Fresh(_))
    }

    /// Whether no agent has ever run there.
    pub fn is_unmanned(&self) -> bool {
        self.record.agent == AgentLife::Never && !self.has_spoken()
    }

    /// Whether its agent has let go of the group, if it ever had it.
    pub fn has_let_go(&self) -> bool {
        self.reported.is_none() && (self.stored.is_none() || self.is_dismissed() && self.has_answered())
    }

    /// Whether nothing but its stored entry can run there: that is acknowledged, or was refused with nothing running.
    pub fn is_certain(&self) -> bool {
        let (Some(entry), Some(report)) = (self.entry(), self.reported) else {
            return false;
        };
        let refused = report
            .faults
            .iter()
            .any(|fault| fault.reason == CONFIGURATION_REFUSED);
        self.has_answered()
            && match report.applied_generation {
                Some(generation) => generation == entry.generation && !refused,
                None => refused,
            }
    }

    /// Whether it is certain that it neither is Active nor becomes so before it is told something else.
    pub fn is_quiet(&self) -> bool {
        if self.is_admitted() || self.is_active() {
            return false;
        }
        if self.is_dismissed() {
            return self.has_let_go() || self.is_unmanned();
        }
        match self.reported {
            Some(_) => self.is_certain(),
            // Leave to become Active is taken back only from somebody who has reported the group, and a tombstone stays
            // until it is acknowledged. So whoever has never reported it has never had leave.
            None => !self.is_unseen(),
        }
    }

    /// Whether its agent is there and has not said yet what it runs, which may be what a file or an object that is gone told
    /// it: nothing is put over that unseen.
    pub fn is_unseen(&self) -> bool {
        self.is_live() && !self.has_spoken()
    }

    /// For comparing reports of Active: the latest is the one that counts.
    fn active_since(&self) -> (Option<&'a MicroTime>, Option<Timestamp>) {
        let since = self.reported.and_then(|report| report.since.as_ref());
        (
            since,
            self.record.object.as_ref().map(|object| object.status_seen),
        )
    }

    fn has_spoken(&self) -> bool {
        let object = self.record.object.as_ref();
        object.is_some_and(|object| object.status.observed_generation.is_some())
    }

    fn has_answered(&self) -> bool {
        let object = self.record.object.as_ref();
        object.is_some_and(|object| object.status.observed_generation == Some(object.generation))
    }
}

/// The place of the one that was last heard to have become Active.
pub(super) fn active(seats: &[Seat<'_>]) -> Option<usize> {
    let all = seats.iter().enumerate().filter(|(_, seat)| seat.is_active());
    all.max_by_key(|(_, seat)| seat.active_since())
        .map(|(index, _)| index)
}
