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
        Err(error) if error.turn() == Turn::Later => Turn::Later,
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{Cluster, Fault, NODES};
    use crate::world::{Kind, WatchState};

    /// Lets both controllers work for some time, and answers how many requests they made.
    async fn run_for(
        cluster: Cluster,
        time: Duration,
        meanwhile: impl AsyncFnOnce(&Context),
    ) -> (usize, bool) {
        let context = Arc::new(cluster.context);
        let leadership = Arc::new(Leadership::always());
        let stop = watch::Sender::new(false);
        let drive = |which| {
            let stop = stop.subscribe();
            tokio::spawn(run(which, Arc::clone(&context), Arc::clone(&leadership), stop))
        };
        let (groups, nodes) = (drive(Controller::Group), drive(Controller::Node));
        tokio::time::sleep(time).await;
        let before = cluster.api.asked(false).len();
        meanwhile(&context).await;
        tokio::time::sleep(time).await;
        stop.send_replace(true);
        groups.await.unwrap();
        nodes.await.unwrap();
        let told = cluster.api.get(&format!("{NODES}/n-1")).is_some();
        (before, told)
    }

    #[tokio::test(start_paused = true)]
    async fn a_group_is_rendered_to_its_nodes_and_then_nothing_is_written_any_more() {
        let cluster = Cluster::new();
        cluster.group("web", |group| group["metadata"]["finalizers"] = json!([]));
        let api = cluster.api.clone();
        let minute = Duration::from_mins(1);
        let (written, told) = run_for(cluster, minute, async |_| {}).await;
        assert_eq!(written, 1 + 1 + 3, "finalizer, status, three nodes");
        assert!(told);
        assert_eq!(api.asked(false), []);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_written_while_a_watch_is_down_and_everything_when_it_is_up_again() {
        let cluster = Cluster::new();
        let down = WatchState::Down("gone".to_owned());
        cluster.context.world.set_watch(Kind::Group, &down);
        cluster.group("web", |_| {});
        let (written, told) = run_for(cluster, Duration::from_secs(5), async |context| {
            context.world.set_watch(Kind::Group, &WatchState::Up);
        })
        .await;
        assert_eq!(written, 0);
        assert!(told);
    }

    #[tokio::test(start_paused = true)]
    async fn an_api_server_that_serves_nobody_is_asked_seldom() {
        for code in [429, 503] {
            let cluster = Cluster::new();
            cluster.group("web", |_| {});
            for _ in 0..10_000 {
                cluster.api.fail_next(Fault::Answer(code));
            }
            let (asked, _) = run_for(cluster, Duration::from_mins(1), async |_| {}).await;
            assert!(
                (10..=60).contains(&asked),
                "{asked} requests in a minute of {code}"
            );
        }
    }
}
