//! What the engine says about its groups: status for those who ask, sentences for the log.

use core::net::IpAddr;
use core::time::Duration;

use holdfast_vrrp::{Fault, Instant, Reason, State, Transition};
use jiff::{SignedDuration, Timestamp};

use super::account::Account;
use super::group::Group;
use crate::report::words;
use crate::status::{FaultStatus, GroupStatus, TransitionStatus};

/// The calendar's time of an instant of the engine's clock, by what both clocks show now. To be asked once for each
/// instant and kept: asked again it would wander with the clocks, and with every setting of the wall clock.
pub fn wall(now: Instant, then: Instant) -> Timestamp {
    let wall_now = Timestamp::now();
    let ago = SignedDuration::try_from(now.saturating_duration_since(then)).unwrap_or(SignedDuration::ZERO);
    wall_now.checked_sub(ago).unwrap_or(wall_now)
}

/// A group's status.
pub fn group_status(group: &Group, account: &Account<'_>, now: Instant) -> GroupStatus {
    let spec = &group.spec;
    let snapshot = group.router.snapshot();
    let transition = snapshot.last_transition.map(|(_, transition)| transition);
    GroupStatus {
        name: spec.name.clone(),
        virtual_router_id: spec.virtual_router_id.get(),
        version: spec.advertisement.version.to_string(),
        family: spec.family.to_string(),
        interface: group
            .resolved
            .interface
            .as_ref()
            .map(|link| link.name.clone())
            .or_else(|| spec.interface.clone()),
        source_address: group.resolved.source,
        addresses: spec
            .addresses
            .iter()
            .map(|a| format!("{}/{}", a.address, a.prefix_length))
            .collect(),
        state: snapshot.state.to_string(),
        since: Some(group.since),
        reason: transition
            .map_or("Starting", |last| last.reason.name())
            .to_owned(),
        faults: snapshot
            .faults
            .iter()
            .filter_map(|fault| fault_status(account, fault))
            .collect(),
        effective_priority: snapshot.priority.get(),
        priority_explained: account.standing(),
        probes: Vec::new(),
        warnings: Vec::new(),
        held_back_until: None,
        active_peer: snapshot.active_peer,
        active_peer_name: snapshot
            .active_peer
            .and_then(|peer| group.peer_name(peer))
            .map(str::to_owned),
        interval: words::interval(snapshot.interval),
        releasing: snapshot.releasing,
        last_transition: transition.map(|transition| transition_status(group.since, &transition)),
        last_move: group.last_move.map(|(time, last)| transition_status(time, &last)),
        generation: spec.generation,
        origin: None,
        in_file: false,
        conflicts: conflicts(group, now),
        counters: group.counters,
        drops: group
            .drops
            .iter()
            .map(|(reason, count)| ((*reason).to_owned(), *count))
            .collect(),
        notices: group.notices.status(now),
    }
}

/// How long evidence of another holder counts, in intervals of the group and at least.
const EVIDENCE_INTERVALS: u32 = 3;
const EVIDENCE_LASTS: Duration = Duration::from_secs(15);

/// What says, since this node became Active and not too long ago, that somebody else has an address of the group.
fn conflicts(group: &Group, now: Instant) -> Vec<FaultStatus> {
    let snapshot = group.router.snapshot();
    if snapshot.state != State::Active {
        return Vec::new();
    }
    let lasts = EVIDENCE_LASTS.max(snapshot.interval * EVIDENCE_INTERVALS);
    let lasts = u64::try_from(lasts.as_nanos()).unwrap_or(u64::MAX);
    let recent = Instant::from_nanos(now.as_nanos().saturating_sub(lasts));
    group.notices.evidence(recent.max(snapshot.since))
}

fn fault_status(account: &Account<'_>, fault: Fault) -> Option<FaultStatus> {
    Some(FaultStatus {
        reason: fault.reason().to_owned(),
        message: account.fault(fault)?,
    })
}

fn transition_status(time: Timestamp, transition: &Transition) -> TransitionStatus {
    TransitionStatus {
        from: transition.from.to_string(),
        to: transition.to.to_string(),
        reason: transition.reason.to_string(),
        time,
        duration: transition
            .silence
            .and_then(|silence| SignedDuration::try_from(silence).ok()),
    }
}

/// A transition in a sentence. `peer` is the Active router that was heard last, by name if it has one.
pub fn describe(transition: &Transition, peer: Option<&str>, account: &Account<'_>) -> String {
    let peer = peer.unwrap_or("the Active router");
    let silence = transition
        .silence
        .map_or_else(String::new, |silence| format!(" for {}", short(silence)));
    match transition.reason {
        Reason::Started => "takes part in the election".to_owned(),
        Reason::AddressOwner => "owns the addresses".to_owned(),
        Reason::ActiveSilent if transition.silence.is_some() => format!("{peer} has been silent{silence}"),
        Reason::ActiveSilent => "no Active router was heard".to_owned(),
        Reason::ActiveResigned => format!("{peer} said that it leaves"),
        Reason::Preempted => format!("has a higher priority than {peer}"),
        Reason::ActiveUnfit => format!("{peer} is unfit (its priority is in the floor band)"),
        Reason::HigherPriority => format!("{peer} has a higher priority"),
        Reason::HigherAddress => format!("{peer} has the same priority and a higher address"),
        Reason::ServiceFailing => format!(
            "its service fails, any healthy member goes first: {}",
            account.standing()
        ),
        Reason::Demoted => format!(
            "its node is being worked on, any other member goes first: {}",
            account.standing()
        ),
        Reason::ToldToHandOver => format!(
            "{} of its sync group has left",
            account
                .leaver()
                .map_or_else(|| "another group".to_owned(), |leaver| format!("group {leaver}"))
        ),
        Reason::Faulted => {
            let faults = account.faults();
            if faults.is_empty() {
                "cannot take part".to_owned()
            } else {
                faults.join("; ")
            }
        }
        Reason::Recovered => "can take part again".to_owned(),
        Reason::Shutdown => "was told to stop".to_owned(),
        Reason::Reconfigured => "was reconfigured".to_owned(),
        Reason::TimeGap => {
            "this process had not run for too long to know whether it still holds the addresses".to_owned()
        }
        Reason::Resumed => "goes on where the agent before it on this node ended".to_owned(),
    }
}

/// A peer as people know it: `cp-2 (10.0.0.12)`, or the address alone.
pub fn peer(group: &Group, address: IpAddr) -> String {
    group
        .peer_name(address)
        .map_or_else(|| address.to_string(), |name| format!("{name} ({address})"))
}

fn short(duration: Duration) -> String {
    if duration >= Duration::from_secs(1) {
        format!("{:.2}s", duration.as_secs_f64())
    } else {
        format!("{:.1}ms", duration.as_secs_f64() * 1e3)
    }
}
