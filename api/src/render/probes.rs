//! From probes as written to what is run and what is made of the results.

use core::net::IpAddr;
use core::num::NonZeroU8;
use core::time::Duration;
use std::collections::BTreeSet;

use holdfast_health::{self as health, Damping, Duty, Kind, OnFailure, Policy, Recovery, Thresholds};
use holdfast_vrrp::{Family, Priority};
use ipnet::IpNet;

use super::checks;
use super::secrets::Secrets;
use crate::model::probe::{Probe, Recover, Timing};
use crate::presets;
use crate::v1alpha1::{
    self, FailureAction, FailureActionType, FlapDamping, NodeDuty, NodeDutyType, NodeGroup, ProbePreset,
};

/// The fastest that a probe may run.
pub(crate) const SHORTEST_PERIOD: Duration = Duration::from_millis(100);
/// What a weight may be at most, up or down: as in keepalived.
const LARGEST_WEIGHT: i32 = 253;

/// A group's probes in their validated form.
pub(super) struct Probes {
    /// What is run.
    pub run: Vec<Probe>,
    /// What is made of it.
    pub policy: Policy,
}

/// The validated form of a group's probes, or the first reason why they cannot be run.
pub(super) fn probes(
    group: &NodeGroup,
    base: Priority,
    damping: Damping,
    secrets: Secrets<'_>,
) -> Result<Probes, String> {
    let (mut run, mut judged) = (Vec::new(), Vec::new());
    // One that cannot be read is refused where the addresses are.
    let written = group.addresses.iter();
    let addresses: Vec<IpAddr> = written
        .filter_map(|address| Some(address.address.parse::<IpNet>().ok()?.addr()))
        .collect();
    for written in &group.probes {
        let named = |sentence: String| format!("probe `{}`: {sentence}", written.name);
        run.extend(runnable(written, &addresses, secrets).map_err(named)?);
        judged.push(judged_by(written).map_err(named)?);
    }
    Ok(Probes {
        run,
        policy: Policy {
            base,
            preferred: false,
            duty: duty(&group.duty),
            probes: judged,
            damping,
        },
    })
}

/// What is run for `written`; `None` for a quorum, which lives on the runs of others.
fn runnable(
    written: &v1alpha1::Probe,
    addresses: &[IpAddr],
    secrets: Secrets<'_>,
) -> Result<Option<Probe>, String> {
    if written.quorum.is_some() {
        return Ok(None);
    }
    let recover = written.recover.as_ref().map(|recover| {
        Ok::<_, String>(Recover {
            exec: checks::program(&recover.exec, None)?,
            timeout: recover.timeout.get(),
        })
    });
    Ok(Some(Probe {
        name: written.name.clone(),
        checks: presets::expand(written)
            .iter()
            .map(|ordinary| checks::check(written, ordinary, addresses, secrets))
            .collect::<Result<_, _>>()?,
        timing: timing(written)?,
        recover: recover.transpose()?,
        may_bind: may_bind(written, addresses),
    }))
}

/// The families in which what `written` watches may bind the group's addresses itself, as a proxy in front of others does. One
/// that is asked elsewhere than on this node does not.
fn may_bind(written: &v1alpha1::Probe, addresses: &[IpAddr]) -> Vec<Family> {
    let is_elsewhere = written
        .preset_options
        .as_ref()
        .is_some_and(|options| options.host.is_some());
    if is_elsewhere || !written.preset.is_some_and(ProbePreset::is_proxy) {
        return Vec::new();
    }
    let families: BTreeSet<Family> = addresses.iter().copied().map(Family::of).collect();
    families.into_iter().collect()
}

fn timing(written: &v1alpha1::Probe) -> Result<Timing, String> {
    let timing = Timing {
        period: written.period.get(),
        timeout: written.timeout.get(),
        initial_delay: written.initial_delay.get(),
        jitter: written.jitter.get(),
    };
    if timing.period < SHORTEST_PERIOD {
        Err(format!(
            "period {} is too short: write 100ms or more",
            written.period
        ))
    } else if timing.timeout.is_zero() {
        Err("timeout 0s leaves no time for an answer: write 100ms or more".to_owned())
    } else if timing.jitter >= timing.period {
        Err(format!(
            "jitter {} is not less than the period {}",
            written.jitter, written.period
        ))
    } else {
        Ok(timing)
    }
}

fn judged_by(written: &v1alpha1::Probe) -> Result<health::Probe, String> {
    let kind = match &written.quorum {
        Some(quorum) => Kind::Quorum {
            of: quorum.probes.clone(),
            at_least: usize::try_from(quorum.at_least)
                .ok()
                .filter(|least| (1..=quorum.probes.len()).contains(least))
                .ok_or_else(|| {
                    format!(
                        "atLeast {} is not a number from 1 to {}, of which the quorum is",
                        quorum.at_least,
                        quorum.probes.len()
                    )
                })?,
        },
        None => Kind::Runs {
            thresholds: Thresholds {
                failure: count(written.failure_threshold, "failureThreshold")?,
                success: count(written.success_threshold, "successThreshold")?,
            },
            recovery: written
                .recover
                .as_ref()
                .map(|recover| {
                    Ok::<_, String>(Recovery {
                        attempts: count(recover.attempts, "recover: attempts")?,
                        cooldown: recover.cooldown.get(),
                    })
                })
                .transpose()?,
        },
    };
    Ok(health::Probe {
        name: written.name.clone(),
        kind,
        on_failure: on_failure(written.on_failure)?,
    })
}

fn on_failure(written: FailureAction) -> Result<OnFailure, String> {
    match (written.type_, written.weight) {
        (FailureActionType::None, _) => Ok(OnFailure::None),
        (FailureActionType::Hold, _) => Ok(OnFailure::Hold),
        (FailureActionType::Fault, _) => Ok(OnFailure::Fault),
        (FailureActionType::Weight, Some(weight)) => i16::try_from(weight)
            .ok()
            .filter(|_| weight != 0 && weight.abs() <= LARGEST_WEIGHT)
            .map(OnFailure::Weight)
            .ok_or_else(|| format!("weight {weight} is not a number from -253 to 253 other than 0")),
        (FailureActionType::Weight, None) => Err("onFailure: the weight is missing".to_owned()),
    }
}

fn duty(written: &NodeDuty) -> Duty {
    let reason = || written.reason.clone().unwrap_or_default();
    match written.type_ {
        NodeDutyType::Serve => Duty::Serve,
        NodeDutyType::Demote => Duty::Demote(reason()),
        NodeDutyType::Release => Duty::Release(reason()),
    }
}

/// How a node that comes and goes is held back.
pub(super) fn damping(written: FlapDamping) -> Result<Damping, String> {
    let changes = u8::try_from(written.changes)
        .map_err(|_| format!("changes {} is not a number from 0 to 100", written.changes))?;
    Ok(Damping {
        changes,
        window: written.window.get(),
        longest: written.longest.get(),
    })
}

fn count(number: i32, what: &str) -> Result<NonZeroU8, String> {
    u8::try_from(number)
        .ok()
        .and_then(NonZeroU8::new)
        .ok_or_else(|| format!("{what} {number} is not a number from 1 to 255"))
}

#[cfg(test)]
mod tests;
