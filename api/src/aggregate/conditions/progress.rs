//! What is under way (`Reconciling`), and what does not go on before somebody helps (`Stalled`).

use super::{Finding, each, unapplied};
use crate::aggregate::Scene;
use crate::aggregate::members::{self, Seen};
use crate::aggregate::words::{join, sentence};
use crate::cluster::{Until, Withdrawal};
use crate::reason::Reason;

/// What an agent says that does not know what its spec requires.
const UNKNOWN_FEATURE: &str = Reason::UnknownFeature.as_str();

pub(super) fn reconciling(scene: &Scene<'_>) -> Finding {
    let otherwise = "Nothing is under way.";
    if scene.is_going() {
        return Finding::yes(Reason::Deleting, deleting(scene));
    }
    if !scene.share.verdict.accepted {
        return Finding::no(Reason::AsExpected, otherwise);
    }
    let mut causes = Vec::new();
    if !scene.waits.is_empty() {
        causes.push((Reason::WaitingForMembers, waiting(scene)));
    }
    if let Some(message) = unapplied(scene) {
        causes.push((Reason::NotApplied, message));
    }
    let leaving: Vec<&str> = scene
        .members
        .iter()
        .filter(|member| member.is_leaving)
        .map(Seen::name)
        .collect();
    if !leaving.is_empty() {
        let message = format!("Waiting until the group is let go by {}.", join(&leaving));
        causes.push((Reason::MemberLeaving, message));
    }
    Finding::causes(&causes, otherwise)
}

/// Who waits for whom.
fn waiting(scene: &Scene<'_>) -> String {
    let changed = scene.waits.iter().find(|wait| wait.until == Until::Changed);
    // They all wait for the same.
    if let Some(wait) = changed.filter(|wait| !wait.unacknowledged.is_empty()) {
        let others = join(&wait.unacknowledged);
        return format!(
            "The change makes members deaf to those that do not have it yet; they keep the former version until the change \
             is acknowledged by {others}."
        );
    }
    let each = scene.waits.iter().map(|wait| {
        let what =
            members::waiting(scene, &wait.node).unwrap_or_else(|| "is about to be told more".to_owned());
        format!("{}: {what}.", wait.node)
    });
    each.collect::<Vec<_>>().join(" ")
}

pub(super) fn stalled(scene: &Scene<'_>) -> Finding {
    let verdict = scene.share.verdict;
    let mut causes = Vec::new();
    if let Some(Withdrawal::Protected(why)) = scene.withdrawal {
        causes.push((
            Reason::DeletionProtected,
            sentence(&format!(
                "The group is not withdrawn although it was deleted: {why}"
            )),
        ));
    }
    if !verdict.accepted {
        causes.push((verdict.reason, sentence(&verdict.message)));
    } else if !scene.is_going() {
        causes.extend(refusing(scene));
        causes.extend(outdated(scene));
        let waited_for = |member: &Seen<'_>| {
            scene
                .waits
                .iter()
                .any(|wait| wait.unacknowledged.iter().any(|other| other == member.name()))
        };
        causes.extend(unreachable(scene, Reason::WaitingForMembers, waited_for));
        causes.extend(unreachable(scene, Reason::MemberLeaving, |member| {
            member.is_leaving
        }));
    }
    Finding::causes(&causes, "Nothing waits for somebody's help.")
}

fn refusing(scene: &Scene<'_>) -> Option<(Reason, String)> {
    let refuses = |member: &Seen<'_>| member.is_live() && member.refuses();
    let any = scene.members.iter().any(refuses);
    any.then(|| (Reason::ConfigurationRefused, each(scene, refuses)))
}

fn outdated(scene: &Scene<'_>) -> Option<(Reason, String)> {
    let is_outdated = |member: &Seen<'_>| {
        let problems = member
            .record
            .object
            .iter()
            .flat_map(|object| &object.status.problems);
        member.is_live()
            && problems
                .into_iter()
                .any(|problem| problem.reason == UNKNOWN_FEATURE)
    };
    let any = scene.members.iter().any(is_outdated);
    any.then(|| (Reason::UnknownFeature, each(scene, is_outdated)))
}

/// Members that are waited for and not heard: nothing goes on before somebody has looked after them.
fn unreachable(
    scene: &Scene<'_>,
    reason: Reason,
    is_waited_for: impl Fn(&Seen<'_>) -> bool,
) -> Option<(Reason, String)> {
    let lost = |member: &Seen<'_>| !member.is_live() && is_waited_for(member);
    let names: Vec<&str> = scene
        .members
        .iter()
        .filter(|member| lost(member))
        .map(Seen::name)
        .collect();
    (!names.is_empty()).then(|| {
        let message = format!(
            "Nothing is heard of {}, which may still run what it was told before: bring it back, or delete its Node object if \
             it is gone for good. {}",
            join(&names),
            each(scene, lost)
        );
        (reason, message)
    })
}

pub(super) fn deleting(scene: &Scene<'_>) -> String {
    match scene.withdrawal {
        Some(Withdrawal::Waiting { nodes, .. }) => {
            let lost =
                |member: &Seen<'_>| !member.is_live() && nodes.iter().any(|node| node == member.name());
            let message = format!(
                "Waiting until the addresses are let go by {}. {}",
                join(nodes),
                each(scene, lost)
            );
            message.trim_end().to_owned()
        }
        Some(Withdrawal::Done { unconfirmed }) if !unconfirmed.is_empty() => {
            format!("The group goes without a confirmation by {}.", join(unconfirmed))
        }
        _ => "All members have let go of the addresses.".to_owned(),
    }
}
