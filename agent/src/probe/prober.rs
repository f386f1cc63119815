//! How the rest of the agent holds the thread that probes run on: starting it, saying what to run, asking what is found.

use core::time::Duration;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use holdfast_api::model::NodeSpec;
use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::clocks::Clocks;
use super::runner::Make;
use super::scenes::Scenes;
use super::worker::{Audience, Order, Worker};
use crate::status::HealthStatus;

/// Orders that may wait.
const ORDERS: usize = 16;

/// How long the thread may take to answer. It does nothing that takes long; one that does not answer is broken, and nothing
/// that serves may wait for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long the thread may take to end, which includes ending programs.
const LAST_MOMENTS: Duration = Duration::from_secs(1);

/// How long programs that are just being started are waited for in the end, so that they end too. The disk of one may hang.
const LAST_STARTS: Duration = Duration::from_millis(500);

/// Threads for names that a slow resolver holds up, and for files that a slow disk does; and their stack in bytes, of which
/// what is not touched costs no memory.
const BLOCKING_THREADS: usize = 64;
const BLOCKING_STACK: usize = 512 << 10;

/// A running thread.
#[derive(Debug)]
pub struct Prober {
    orders: mpsc::Sender<Order>,
    scenes: Scenes,
    news: Arc<Notify>,
    /// Closed when the thread has ended.
    ended: watch::Receiver<()>,
}

/// The thread has ended, or does not answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the thread that runs probes does not answer, which is a bug: restart the agent")]
pub struct Stuck;

impl Prober {
    /// Starts the thread for a node of this name. `audience` is told of judgements, `make` makes what looks.
    pub fn start(node: &str, audience: impl Audience, make: Make) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS)
            .thread_stack_size(BLOCKING_STACK)
            .thread_name("holdfast-probe-io")
            .build()?;
        let (orders, received) = mpsc::channel(ORDERS);
        let (ending, ended) = watch::channel(());
        let (scenes, news) = (Scenes::new(node), Arc::new(Notify::new()));
        let prober = Self {
            orders,
            scenes: scenes.clone(),
            news: Arc::clone(&news),
            ended,
        };
        std::thread::Builder::new()
            .name("holdfast-probes".into())
            .spawn(move || {
                runtime.block_on(async {
                    Worker::new(audience, Clocks::system(), make, scenes, news)
                        .run(received)
                        .await;
                });
                // What probes run ends with them; a disk or a resolver that hangs must not keep the process.
                runtime.shutdown_timeout(LAST_STARTS);
                drop(ending);
            })?;
        Ok(prober)
    }

    /// Runs the probes of these groups and of no others. When this returns the engine was told how each group that is new or
    /// changed stands, so that it finds that with the group. Waits for no probe.
    pub async fn configure(&self, spec: &NodeSpec) -> Result<(), Stuck> {
        self.ask(|done| Order::Configure(Box::new(spec.clone()), done))
            .await
    }

    /// Gives up every group, for this reason, or not any more. When this returns the engine was told.
    pub async fn release_all(&self, reason: Option<String>) -> Result<(), Stuck> {
        self.ask(|done| Order::Release(reason, done)).await
    }

    /// How every group stands.
    pub async fn reports(&self) -> Result<BTreeMap<String, HealthStatus>, Stuck> {
        self.ask(Order::Report).await
    }

    /// A group is in this state now, with this priority, on this interface: what is run may want to know.
    pub fn note_state(&self, group: &str, state: &'static str, priority: u8, interface: Option<String>) {
        self.scenes.note_state(group, state, priority, interface);
    }

    /// A group has this priority now.
    pub fn note_priority(&self, group: &str, priority: u8) {
        self.scenes.note_priority(group, priority);
    }

    /// Waits for something that somebody may be waiting to hear: a verdict that has changed. Safe to cancel.
    pub async fn changed(&self) {
        self.news.notified().await;
    }

    /// Ends every probe, and waits until what they run has ended too.
    pub async fn stop(&self) {
        let mut ended = self.ended.clone();
        let ending = async {
            let _ = self.orders.send(Order::Stop).await;
            while ended.changed().await.is_ok() {}
        };
        if tokio::time::timeout(LAST_MOMENTS, ending).await.is_err() {
            tracing::warn!("ending without the thread that runs probes, which does not end");
        }
    }

    async fn ask<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Result<T, Stuck> {
        let (answer, answered) = oneshot::channel();
        let asked = async {
            self.orders.send(order(answer)).await.map_err(|_| Stuck)?;
            answered.await.map_err(|_| Stuck)
        };
        tokio::time::timeout(PATIENCE, asked).await.unwrap_or(Err(Stuck))
    }
}
