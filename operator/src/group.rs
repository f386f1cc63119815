//! The group reconciler: from a group as written to one that nodes can be told of, and to its status.

#[cfg(test)]
mod tests;

use core::time::Duration;
use std::sync::Arc;

use holdfast_api::aggregate::{Aggregate, aggregate};
use holdfast_api::cluster::{NodeRecord, Share, Withdrawal, withdrawal};
use holdfast_api::v1alpha1::{FINALIZER, VirtualIPGroup};
use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::context::Context;
use crate::error::Error;
use crate::events;
use crate::index::GroupView;

/// One turn of one group. Answers when the passing of time alone may change something.
pub async fn reconcile(context: &Context, name: &str) -> Result<Option<Duration>, Error> {
    // Dereference: the index has the group, its verdict and its members.
    let Some(mut view) = context.world.read(|index| index.group(name)) else {
        context.metrics.forget_group(name);
        return Ok(None);
    };
    if view.group.metadata.deletion_timestamp.is_some() {
        return withdraw(context, &view).await;
    }

    // Complete it: the answer to each write is in the index when it returns.
    if view.verdict.accepted && view.group.spec.virtual_router_id.is_none() {
        allocate(context, &view.group).await?;
        view = match completed(context, name) {
            Some(view) => view,
            None => return Ok(Some(Duration::ZERO)),
        };
    }
    if view.verdict.accepted && !holds(&view.group) {
        context.writer.hold(&view.group, true).await?;
        view = match completed(context, name) {
            Some(view) => view,
            None => return Ok(Some(Duration::ZERO)),
        };
    }

    // Say what is true of it.
    report(context, &view, None).await
}

/// One turn of a group in deletion: whether it may go, who is to let go, and who has.
async fn withdraw(context: &Context, view: &GroupView) -> Result<Option<Duration>, Error> {
    let group = &*view.group;
    let (name, uid) = (group.name_any(), group.uid().unwrap_or_default());
    if !holds(group) {
        // Others wait for something; the addresses have been withdrawn.
        return Ok(None);
    }

    // When the kind itself is being deleted, nobody has asked for this group to go: nodes keep what they run.
    if context.circumstances.kind_is_going().await? {
        tracing::warn!(
            "VirtualIPGroup {name} goes because its CustomResourceDefinition is being deleted; nodes keep running it"
        );
        return context.writer.hold(group, false).await.map(|()| None);
    }

    let endpoint = context.circumstances.endpoint_at(group).await;
    let members = records(&view.members);
    let now = context.world.now();
    let withdrawal = withdrawal(now, group, &members, endpoint.as_deref(), context.patience);
    let protected = matches!(withdrawal, Withdrawal::Protected(_));
    context
        .world
        .change(|index, _| index.set_withdrawing(&name, &uid, !protected));
    match withdrawal {
        Withdrawal::Done { unconfirmed } => {
            // A node that is being told of the group right now would keep it for ever.
            if let Some(node) = context.world.who_is_told_of(&name) {
                return Err(Error::Underway(node));
            }
            context.writer.hold(group, false).await?;
            context.metrics.forget_group(&name);
            context.speaker.say(group, events::withdrawn(&unconfirmed));
            Ok(None)
        }
        waiting => {
            let again = match &waiting {
                Withdrawal::Waiting { look_again, .. } => *look_again,
                _ => None,
            };
            let look_again = report(context, view, Some(&waiting)).await?;
            Ok(sooner(again, look_again))
        }
    }
}

/// Aggregates what members say and writes it if it differs from what stands there.
async fn report(
    context: &Context,
    view: &GroupView,
    withdrawal: Option<&Withdrawal>,
) -> Result<Option<Duration>, Error> {
    let group = &*view.group;
    let Aggregate { status, look_again } = status_of(context.world.now(), view, withdrawal);
    let old = group.status.clone().unwrap_or_default();
    if status == old {
        return Ok(look_again);
    }
    context.writer.status(group, &status).await?;
    for saying in events::news(group, &old, &status, &view.verdict) {
        match saying.topic {
            events::Topic::Moved => context.metrics.moved(&group.name_any()),
            events::Topic::Split => context.metrics.split(),
            _ => {}
        }
        context.speaker.say(group, saying);
    }
    Ok(look_again)
}

fn status_of(now: Timestamp, view: &GroupView, withdrawal: Option<&Withdrawal>) -> Aggregate {
    let members = records(&view.members);
    let share = Share {
        group: &view.group,
        verdict: &view.verdict,
        members: &members,
        protected: matches!(withdrawal, Some(Withdrawal::Protected(_))),
    };
    aggregate(now, &share, withdrawal)
}

/// The group after a write; `None` if it has been deleted meanwhile, which is another turn.
fn completed(context: &Context, name: &str) -> Option<GroupView> {
    let view = context.world.read(|index| index.group(name))?;
    let deleted = view.group.metadata.deletion_timestamp.is_some();
    (!deleted).then_some(view)
}

async fn allocate(context: &Context, group: &VirtualIPGroup) -> Result<(), Error> {
    let _one_at_a_time = context.allocating.lock().await;
    let free = context
        .world
        .read(|index| index.free_identifier(&group.name_any()));
    match free {
        Some(identifier) => context.writer.allocate(group, identifier).await,
        // Somebody took the last one: the next verdict says so.
        None => Ok(()),
    }
}

fn holds(group: &VirtualIPGroup) -> bool {
    group.finalizers().iter().any(|it| it == FINALIZER)
}

fn records(members: &[Arc<NodeRecord>]) -> Vec<&NodeRecord> {
    members.iter().map(|member| &**member).collect()
}

fn sooner(a: Option<Duration>, b: Option<Duration>) -> Option<Duration> {
    a.into_iter().chain(b).min()
}
