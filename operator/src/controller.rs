//! Drives one reconciler: takes what became worth looking at, runs a bounded number of turns at a time while this replica
//! leads and sees everything, and has whoever fails wait.

use core::time::Duration;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::context::Context;
use crate::error::{Category, Error};
use crate::leader::Leadership;
use crate::queue::{Queue, Turn};
use crate::world::Controller;
use crate::{group, node};

/// How long news are collected before a turn: a transition is reported by two nodes, an edit touches many. A group's turn
/// is what people wait for; a node's is followed by a write for each.
const fn debounce(controller: Controller) -> Duration {
    match controller {
        Controller::Group => Duration::from_millis(20),
        Controller::Node => Duration::from_millis(75),
    }
}

/// Turns at a time: enough to keep an API server busy, few enough to leave it to others too.
const TURNS: usize = 16;

/// Drives one reconciler until it is told to stop; turns under way are finished.
pub async fn run(
    controller: Controller,
    context: Arc<Context>,
    leadership: Arc<Leadership>,
    mut stop: watch::Receiver<bool>,
) {
    let mut queue = Queue::new(debounce(controller));
    let mut turns: JoinSet<(String, Turn)> = JoinSet::new();
    while !*stop.borrow() {
        let now = Instant::now();
        while turns.len() < TURNS
            && leadership.holds()
            && context.world.is_watching()
            && let Some(key) = queue.pop(now)
        {
            let context = Arc::clone(&context);
            turns.spawn(async move {
                let turn = turn(controller, &context, &key).await;
                (key, turn)
            });
        }
        let watches_changed = context.world.watches_changed();
        let may_start = turns.len() < TURNS && leadership.holds() && context.world.is_watching();
        let due = queue.next_due().filter(|_| may_start);
        let due = due.unwrap_or_else(|| now + Duration::from_secs(1));
        tokio::select! {
            keys = context.world.next_keys(controller) => {
                let now = Instant::now();
                for key in keys {
                    queue.ask(&key, now);
                }
            }
            Some(ended) = turns.join_next() => match ended {
                Ok((key, turn)) => queue.ended(&key, turn, Instant::now()),
                Err(panic) => std::panic::resume_unwind(panic.into_panic()),
            },
            () = watches_changed => {}
            () = tokio::time::sleep_until(due) => {}
            _ = stop.changed() => {}
        }
    }
    while turns.join_next().await.is_some() {}
}

async fn turn(controller: Controller, context: &Context, key: &str) -> Turn {
    let _measured = context.metrics.reconciling(controller);
    let result = match controller {
        Controller::Group => group::reconcile(context, key).await,
        Controller::Node => node::reconcile(context, key).await,
    };
    match result {
        Ok(again) => Turn::Done(again),
        Err(error) => {
            context.metrics.failed(controller, &error);
            say(controller, key, &error);
            error.turn()
        }
    }
}

fn say(controller: Controller, key: &str, error: &Error) {
    let category = error.category().as_str();
    match error.category() {
        // Everyday: somebody else wrote first, and the watch brings what.
        Category::Conflict | Category::NotLeading => {
            tracing::debug!(
                category,
                "{} {key}: {error}; it is looked at again",
                controller.as_str()
            );
        }
        _ => tracing::warn!(category, "{} {key}: {error}; trying again", controller.as_str()),
    }
}
