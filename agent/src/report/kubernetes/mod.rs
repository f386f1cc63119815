//! Reports to the API server: this node's `VirtualIPNode.status`, and a Lease that says that it is still true.
//!
//! `status` says what is true (`probes` the part of it that may be too long), `schedule` when it is said, `call` and `lease` say it, `task` does so for ever.
//! Nothing that serves waits for any of it.

pub(super) mod call;
mod lease;
mod probes;
mod schedule;
mod status;
mod task;
#[cfg(test)]
mod tests;

use core::time::Duration;
use std::sync::Arc;

use kube::Client;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::Shared;
use task::{Task, Truth};

/// A running reporter. Dropping it ends it without a word, as is right when an agent that stood by takes over.
#[derive(Debug)]
pub struct Reporter {
    wake: Arc<Notify>,
    finish: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

/// Reports what `shared` knows, from the first [`Shared::set_applied_spec`] on. The Lease lives in `namespace`. Needs a
/// tokio runtime.
pub fn spawn(client: Client, namespace: String, shared: Arc<Shared>) -> Reporter {
    spawn_with(Arc::clone(&shared), client, namespace, shared)
}

fn spawn_with(truth: impl Truth, client: Client, namespace: String, shared: Arc<Shared>) -> Reporter {
    shared.note_api(|_| {});
    let wake = Arc::new(Notify::new());
    let (finish, finished) = oneshot::channel();
    let task = Task::new(truth, client, namespace, shared, Arc::clone(&wake));
    Reporter {
        wake,
        finish: Some(finish),
        task: tokio::spawn(task.run(finished)),
    }
}

impl Reporter {
    /// Something happened that is to be reported at once: a transition, or a configuration put into force.
    pub fn transition(&self) {
        self.wake.notify_one();
    }

    /// Says the last word of a planned stop, after the groups have been handed over: this node holds nothing any more.
    /// Takes no longer than `within`, said or not.
    pub async fn finish(mut self, within: Duration) {
        if let Some(finish) = self.finish.take() {
            let _ = finish.send(());
        }
        if tokio::time::timeout(within, &mut self.task).await.is_err() {
            tracing::info!("ending without a last report to the API server, which does not answer");
        }
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.task.abort();
    }
}
