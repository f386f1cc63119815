//! What the engine does and what the agent was told become `VirtualIPNode.status`. Pure; equal means equal once written:
//! times have the API's microseconds, durations its milliseconds, texts its lengths.

use std::collections::BTreeMap;

use holdfast_api::duration::GatewayDuration;
use holdfast_api::reason::Reason;
use holdfast_api::summary;
use holdfast_api::v1alpha1::{
    Fault, GroupSource, MemberState, NodeGroupStatus, NodeTransition, VirtualIPNodeStatus,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::probes;
use crate::status::{Applied, AppliedGroup, FaultStatus, GroupStatus, TransitionStatus};

/// The reason of the fault of a group whose last configuration could not be put into force.
pub const REFUSED: &str = Reason::ConfigurationRefused.as_str();

/// The longest message and the longest lists that the API server takes.
const MESSAGE_CHARS: usize = 1024;
const GROUPS: usize = 1024;
const FAULTS: usize = 32;
const CONFLICTS: usize = 16;
const PROBLEMS: usize = 16;
const PROBES: usize = 16;
const WARNINGS: usize = 16;

/// What a group is before its virtual router runs, and after it has stopped.
const STARTING: &str = "Starting";
const SHUTDOWN: &str = "Shutdown";

/// The status of a node whose engine runs `groups` after it was told `applied`. What `previous` said of a group that has
/// stopped is kept as far as it is still true.
pub fn node_status(
    groups: &[GroupStatus],
    applied: &Applied,
    previous: Option<&VirtualIPNodeStatus>,
    now: Timestamp,
) -> VirtualIPNodeStatus {
    let mut reported: BTreeMap<&str, NodeGroupStatus> = BTreeMap::new();
    for group in groups {
        reported.insert(&group.name, running(group, applied.groups.get(&group.name)));
    }
    for (name, told) in &applied.groups {
        let before = previous.and_then(|status| status.groups.iter().find(|group| group.name == *name));
        reported
            .entry(name)
            .or_insert_with(|| not_running(name, told, before, now));
    }
    let mut groups: Vec<NodeGroupStatus> = reported.into_values().take(GROUPS).collect();
    probes::fit(&mut groups);
    VirtualIPNodeStatus {
        observed_generation: applied.observed_generation,
        agent_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        problems: faults(&applied.problems, PROBLEMS),
        summary: Some(summary::of_node(&groups)),
        groups,
    }
}

/// What remains to be said when every group has been handed over and the agent ends: the configuration stays as applied,
/// and the node holds nothing.
pub fn last_word(previous: &VirtualIPNodeStatus, now: Timestamp) -> VirtualIPNodeStatus {
    let groups: Vec<NodeGroupStatus> = previous.groups.iter().map(|group| stopped(group, now)).collect();
    VirtualIPNodeStatus {
        summary: Some(summary::of_node(&groups)),
        groups,
        ..previous.clone()
    }
}

/// Whether `new` tells of a transition or acknowledges something, so that somebody may be waiting for it.
pub fn is_urgent(old: Option<&VirtualIPNodeStatus>, new: &VirtualIPNodeStatus) -> bool {
    let Some(old) = old else { return true };
    old.observed_generation != new.observed_generation
        || old.groups.len() != new.groups.len()
        || old.groups.iter().zip(&new.groups).any(|(old, new)| {
            let reasons = |group: &NodeGroupStatus| -> Vec<String> {
                let all = group.faults.iter().chain(&group.conflicts).chain(&group.warnings);
                all.map(|fault| fault.reason.clone()).collect()
            };
            // A peer's address is what the other members wait for.
            (&old.name, old.applied_generation, old.state, &old.since)
                != (&new.name, new.applied_generation, new.state, &new.since)
                || old.source_address != new.source_address
                || probes::is_urgent(old, new)
                || reasons(old) != reasons(new)
        })
}

/// A group that the engine runs.
fn running(group: &GroupStatus, told: Option<&AppliedGroup>) -> NodeGroupStatus {
    let source = told.map_or(GroupSource::API, |told| told.source);
    let mut all = faults(&group.faults, FAULTS - 1);
    all.extend(told.and_then(refusal));
    NodeGroupStatus {
        // What runs, which after a change of identity is not yet what was told last.
        applied_generation: (source != GroupSource::File && group.generation > 0).then_some(group.generation),
        source,
        in_file: told.is_some_and(|told| told.in_file),
        carries_api_endpoint: told.is_some_and(|told| told.carries_api_endpoint),
        state: state(&group.state),
        reason: Some(group.reason.clone()),
        faults: all,
        warnings: faults(&group.warnings, WARNINGS),
        effective_priority: Some(group.effective_priority.into()),
        priority_explained: Some(group.priority_explained.chars().take(MESSAGE_CHARS).collect()),
        probes: group.probes.iter().take(PROBES).map(probes::status).collect(),
        held_back_until: group.held_back_until.map(micros),
        since: group.since.map(micros),
        interface: group.interface.clone(),
        active_peer: group.active_peer.map(|peer| peer.to_string()),
        source_address: group.source_address.map(|address| address.to_string()),
        conflicts: conflicts(&group.conflicts),
        last_transition: group.last_move.as_ref().map(transition),
        ..blank(&group.name)
    }
}

/// A group that the agent was told of and the engine does not run: not yet, not any more, or not at all.
fn not_running(
    name: &str,
    told: &AppliedGroup,
    before: Option<&NodeGroupStatus>,
    now: Timestamp,
) -> NodeGroupStatus {
    let refused = refusal(told);
    let generation = told.generation.filter(|_| told.source != GroupSource::File);
    let ran = before.filter(|before| refused.is_none() && before.applied_generation == generation);
    let group = match ran {
        // It is being withdrawn, or the agent is about to end: what it would run next time is what it ran.
        Some(before) if before.reason.as_deref() != Some(STARTING) => stopped(before, now),
        _ => NodeGroupStatus {
            state: if refused.is_some() {
                MemberState::Fault
            } else {
                MemberState::Initialize
            },
            reason: Some(if refused.is_some() { REFUSED } else { STARTING }.to_owned()),
            faults: refused.into_iter().collect(),
            ..blank(name)
        },
    };
    NodeGroupStatus {
        source: told.source,
        in_file: told.in_file,
        carries_api_endpoint: told.carries_api_endpoint,
        ..group
    }
}

/// A group whose virtual router has stopped as planned.
fn stopped(before: &NodeGroupStatus, now: Timestamp) -> NodeGroupStatus {
    // Nobody runs its probes any more.
    let before = &NodeGroupStatus {
        priority_explained: None,
        probes: Vec::new(),
        warnings: Vec::new(),
        held_back_until: None,
        ..before.clone()
    };
    if before.state == MemberState::Initialize {
        return before.clone();
    }
    let moved = (before.state == MemberState::Active).then(|| NodeTransition {
        from: MemberState::Active,
        to: MemberState::Initialize,
        reason: SHUTDOWN.to_owned(),
        time: micros(now),
        duration: None,
    });
    NodeGroupStatus {
        state: MemberState::Initialize,
        reason: Some(SHUTDOWN.to_owned()),
        since: Some(micros(now)),
        active_peer: None,
        faults: before
            .faults
            .iter()
            .filter(|fault| fault.reason == REFUSED)
            .cloned()
            .collect(),
        conflicts: Vec::new(),
        last_transition: moved.or_else(|| before.last_transition.clone()),
        ..before.clone()
    }
}

fn blank(name: &str) -> NodeGroupStatus {
    NodeGroupStatus {
        name: name.to_owned(),
        applied_generation: None,
        source: GroupSource::API,
        in_file: false,
        carries_api_endpoint: false,
        state: MemberState::Initialize,
        reason: None,
        faults: Vec::new(),
        warnings: Vec::new(),
        effective_priority: None,
        priority_explained: None,
        probes: Vec::new(),
        held_back_until: None,
        since: None,
        interface: None,
        active_peer: None,
        source_address: None,
        conflicts: Vec::new(),
        last_transition: None,
    }
}

fn refusal(told: &AppliedGroup) -> Option<Fault> {
    let message = told.refused.as_deref()?;
    Some(fault(REFUSED.to_owned(), message))
}

fn faults(found: &[FaultStatus], most: usize) -> Vec<Fault> {
    let each = found
        .iter()
        .map(|found| fault(found.reason.clone(), &found.message));
    each.take(most).collect()
}

/// Evidence under the words that conditions use: `other_active` becomes `OtherActive`.
fn conflicts(found: &[FaultStatus]) -> Vec<Fault> {
    let each = found
        .iter()
        .map(|found| fault(camel_case(&found.reason), &found.message));
    each.take(CONFLICTS).collect()
}

fn camel_case(snake: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    snake.split('_').map(word).collect()
}

fn fault(reason: String, message: &str) -> Fault {
    Fault {
        reason,
        message: Some(message.chars().take(MESSAGE_CHARS).collect()),
    }
}

fn transition(last: &TransitionStatus) -> NodeTransition {
    NodeTransition {
        from: state(&last.from),
        to: state(&last.to),
        reason: last.reason.clone(),
        time: micros(last.time),
        duration: last.duration.map(millis),
    }
}

fn state(name: &str) -> MemberState {
    match name {
        "Active" => MemberState::Active,
        "Backup" => MemberState::Backup,
        "Fault" => MemberState::Fault,
        _ => MemberState::Initialize,
    }
}

/// A time as the API keeps it.
pub fn micros(time: Timestamp) -> MicroTime {
    MicroTime(Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time))
}

fn millis(duration: SignedDuration) -> GatewayDuration {
    GatewayDuration::from_millis(u32::try_from(duration.as_millis().max(0)).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests;
