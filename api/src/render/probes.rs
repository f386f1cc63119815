//! From probes as written to what is run and what is made of the results.

use core::num::NonZeroU8;

use holdfast_health::{Damping, Duty, Policy};
use holdfast_vrrp::Priority;

use super::model::{ModelError, Secrets};
use crate::model::probe::Probe;
use crate::v1alpha1::{NodeDutyType, NodeGroup};

/// A group's probes in their validated form.
pub(super) struct Probes {
    /// What is run.
    pub run: Vec<Probe>,
    /// What is made of it.
    pub policy: Policy,
}

/// The validated form of a group's probes, or the first reason why they cannot be run.
pub(super) fn probes(group: &NodeGroup, base: Priority, _secrets: Secrets<'_>) -> Result<Probes, ModelError> {
    let reason = || group.duty.reason.clone().unwrap_or_default();
    Ok(Probes {
        run: Vec::new(),
        policy: Policy {
            base,
            preferred: false,
            duty: match group.duty.type_ {
                NodeDutyType::Serve => Duty::Serve,
                NodeDutyType::Demote => Duty::Demote(reason()),
                NodeDutyType::Release => Duty::Release(reason()),
            },
            probes: Vec::new(),
            damping: Damping {
                changes: u8::try_from(group.flap_damping.changes)
                    .ok()
                    .and_then(NonZeroU8::new)
                    .map_or(0, NonZeroU8::get),
                window: group.flap_damping.window.get(),
                longest: group.flap_damping.longest.get(),
            },
        },
    })
}
