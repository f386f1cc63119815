//! What is true of a group, from what its members say: `VirtualIPGroup.status`. Pure.
//!
//! The same input gives the same status, whose own status changes nothing: what is not new is not written. Time alone
//! changes nothing either, except at the moment that [`Aggregate::look_again`] names.

mod conditions;
mod health;
mod holders;
mod members;
mod probes;
mod words;

#[cfg(test)]
mod tests;

use core::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use crate::cluster::{self, Share, Wait, Withdrawal};
use crate::summary;
use crate::v1alpha1::{AGENT_LEASE_SECONDS, Member, MemberState, Transition, VirtualIPGroupStatus};

use conditions::conditions;
use holders::Holders;
use members::{Life, Seen};

/// A group's status, and when it should be looked at again.
#[derive(Clone, PartialEq, Debug)]
pub struct Aggregate {
    /// The status. Equal to the group's own when there is nothing to write.
    pub status: VirtualIPGroupStatus,
    /// After this time the passing of time alone may change it.
    pub look_again: Option<Duration>,
}

/// How long a Lease is good for.
const LEASE: SignedDuration = SignedDuration::from_secs(AGENT_LEASE_SECONDS as i64);

/// Whoever asks again does not ask more often than this.
const LEAST_WAIT: SignedDuration = SignedDuration::from_secs(1);

/// The status of a group now; its present status is what was said last, from which transitions are told.
pub fn aggregate(now: Timestamp, share: &Share<'_>, withdrawal: Option<&Withdrawal>) -> Aggregate {
    let waits = if share.verdict.accepted && !is_going(share, withdrawal) {
        cluster::waits(share.group, share.members)
    } else {
        Vec::new()
    };
    with_waits(now, share, withdrawal, waits)
}

/// Whether the group was deleted, and nothing holds it.
fn is_going(share: &Share<'_>, withdrawal: Option<&Withdrawal>) -> bool {
    share.group.metadata.deletion_timestamp.is_some() && !matches!(withdrawal, Some(Withdrawal::Protected(_)))
}

/// Everything that the conditions are read from.
struct Scene<'a> {
    now: Timestamp,
    share: &'a Share<'a>,
    withdrawal: Option<&'a Withdrawal>,
    /// The members that have not let go of the group, in the order of their names.
    members: Vec<Seen<'a>>,
    holders: Holders,
    /// Who may not become Active yet.
    waits: Vec<Wait>,
}

impl Scene<'_> {
    fn generation(&self) -> i64 {
        self.share.group.metadata.generation.unwrap_or(0)
    }

    fn is_going(&self) -> bool {
        is_going(self.share, self.withdrawal)
    }

    fn active(&self) -> Option<&Seen<'_>> {
        self.holders.active.map(|place| &self.members[place])
    }
}

fn with_waits(
    now: Timestamp,
    share: &Share<'_>,
    withdrawal: Option<&Withdrawal>,
    waits: Vec<Wait>,
) -> Aggregate {
    let members = members::seen(now, share);
    let holders = Holders::find(now, &members, share.group.status.as_ref());
    let scene = Scene {
        now,
        share,
        withdrawal,
        members,
        holders,
        waits,
    };
    Aggregate {
        status: status(&scene),
        look_again: look_again(&scene),
    }
}

fn status(scene: &Scene<'_>) -> VirtualIPGroupStatus {
    let members: Vec<Member> = (0..scene.members.len())
        .map(|place| members::member(scene, place))
        .collect();
    VirtualIPGroupStatus {
        summary: Some(summary::of_group(&scene.share.group.spec, &members)),
        observed_generation: scene.share.group.metadata.generation,
        conditions: conditions(scene),
        active_node: scene.active().map(|member| member.record.name.clone()),
        members,
        last_transition: last_transition(scene),
    }
}

/// How the addresses came to the Active node, as it says itself; before anybody is Active, how they came to the last one.
fn last_transition(scene: &Scene<'_>) -> Option<Transition> {
    let status = scene.share.group.status.as_ref();
    let before = status.and_then(|status| status.last_transition.clone());
    let Some((active, said)) = scene.active().and_then(|member| Some((member, member.said?))) else {
        return before;
    };
    let own = said
        .last_transition
        .as_ref()
        .filter(|own| own.to == MemberState::Active);
    let Some(time) = own.map(|own| &own.time).or(said.since.as_ref()) else {
        return before;
    };
    let to = Some(active.record.name.clone());
    if let Some(before) = before
        .as_ref()
        .filter(|before| before.to == to && before.time == *time)
    {
        return Some(before.clone());
    }
    let reason = own.map(|own| own.reason.clone()).or_else(|| said.reason.clone());
    Some(Transition {
        from: before.and_then(|before| before.to),
        to,
        reason: words::cut(&reason.unwrap_or_default(), members::REASON_CHARS),
        time: time.clone(),
        duration: own.and_then(|own| own.duration),
    })
}

/// When time alone may change something: a Lease runs out, two reports of Active are told apart, or nobody waits for a
/// member's farewell any longer.
fn look_again(scene: &Scene<'_>) -> Option<Duration> {
    let leases = scene.members.iter().filter_map(|member| match member.life {
        Life::Live(heard) => Some(heard.saturating_add(LEASE).unwrap_or(Timestamp::MAX)),
        Life::Silent(_) | Life::Absent => None,
    });
    let told = match scene.withdrawal {
        Some(Withdrawal::Waiting { look_again, .. }) => *look_again,
        _ => None,
    };
    leases
        .chain(scene.holders.look_again)
        .map(|then| then.duration_since(scene.now).max(LEAST_WAIT).unsigned_abs())
        .chain(told)
        .min()
}

/// A time as the API server keeps it in a `MicroTime`, to whole seconds: what was only seen is not known more precisely.
fn seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn micro_time(time: Timestamp) -> MicroTime {
    MicroTime(seconds(time))
}
