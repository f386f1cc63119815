//! Hears from logind that the node shuts down, and has it wait until other nodes serve what this one did.
//!
//! A process in a container is told late: containers are ended when the network may be gone already.

mod logind;

use core::time::Duration;
use std::path::Path;
use std::sync::Arc;

use futures::StreamExt as _;
use tokio::time::Instant;
use zbus::OwnedFd;

use crate::probe::Prober;
use crate::report::Shared;
use logind::ManagerProxy;

/// For how long other nodes are waited for: logind waits for 5 s as a rule (`InhibitDelayMaxSec`).
const PATIENCE: Duration = Duration::from_secs(4);

/// How often it is looked whether other nodes serve.
const LOOK: Duration = Duration::from_millis(20);

/// When a bus is looked for again that was not there, or was lost.
const RETRY: Duration = Duration::from_secs(10);

/// Where a bus is that nobody has said anything about.
const SOCKET: &str = "/run/dbus/system_bus_socket";

/// The variable that says where the bus is, if it is elsewhere.
const ADDRESS: &str = "DBUS_SYSTEM_BUS_ADDRESS";

/// Why groups are given up, as people read it.
const REASON: &str = "the node shuts down";

/// Where to find the bus.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bus {
    address: String,
    /// The socket, if it is known to be one: without it there is no bus to try.
    socket: Option<&'static Path>,
}

/// The node as far as it is concerned by its end.
pub trait Node: Send + Sync + 'static {
    /// Gives every group up, or takes that back.
    fn give_up(&self, given_up: bool) -> impl Future<Output = ()> + Send;

    /// Whether the node serves a group.
    fn serves(&self) -> impl Future<Output = bool> + Send;

    /// What the agent does without, as a sentence, for as long as it does.
    fn lack(&self, sentence: Option<String>);
}

/// The running agent.
#[derive(Debug)]
pub struct Agent {
    shared: Arc<Shared>,
    prober: Arc<Prober>,
}

impl Agent {
    /// Of these parts.
    pub fn new(shared: Arc<Shared>, prober: Arc<Prober>) -> Self {
        Self { shared, prober }
    }
}

impl Node for Agent {
    async fn give_up(&self, given_up: bool) {
        if let Err(stuck) = self.prober.release_all(given_up.then(|| REASON.to_owned())).await {
            tracing::error!("{stuck}");
        }
    }

    async fn serves(&self) -> bool {
        let groups = self.shared.snapshot().await.unwrap_or_default();
        groups
            .iter()
            .any(|group| group.state == "Active" || group.releasing)
    }

    fn lack(&self, sentence: Option<String>) {
        self.shared.set_shutdown_limitation(sentence);
    }
}

impl Bus {
    /// The system's bus.
    pub fn of_system() -> Self {
        match std::env::var(ADDRESS) {
            Ok(address) if !address.is_empty() => Self::at(address),
            _ => Self {
                address: format!("unix:path={SOCKET}"),
                socket: Some(Path::new(SOCKET)),
            },
        }
    }

    /// The bus at this address.
    pub fn at(address: String) -> Self {
        Self {
            address,
            socket: None,
        }
    }
}

/// Has `node` hand over whenever it is about to shut down. Never ends; dropped, it holds up nothing any more.
pub async fn follow(bus: Bus, node: impl Node) -> core::convert::Infallible {
    let mut follower = Follower {
        bus,
        node,
        given_up: false,
    };
    let mut told = false;
    loop {
        if follower.bus.socket.is_some_and(|socket| !socket.exists()) {
            if !core::mem::replace(&mut told, true) {
                tracing::info!(
                    "there is no {SOCKET}, so this agent does not hear that its node shuts down: mount it (`agent.dbusSocket` \
                     of the chart), or install the unit holdfast-leave.service of docs/agent.md"
                );
            }
        } else if let Err(error) = follower.listen().await {
            follower.node.lack(Some(format!(
                "logind does not tell that the node shuts down ({error}): install the unit holdfast-leave.service of \
                 docs/agent.md if that lasts"
            )));
        }
        tokio::time::sleep(RETRY).await;
    }
}

struct Follower<N> {
    bus: Bus,
    node: N,
    /// Whether the groups have been given up.
    given_up: bool,
}

impl<N: Node> Follower<N> {
    /// Listens for as long as there is a bus. An error says why there is none.
    async fn listen(&mut self) -> zbus::Result<()> {
        let connection = logind::connect(&self.bus.address).await?;
        let manager = ManagerProxy::new(&connection).await?;
        // In this order: whatever happens from now on is heard, and what has happened is asked for.
        let mut signals = manager.receive_prepare_for_shutdown().await?;
        let mut lock = Some(logind::inhibit(&manager).await?);
        self.node.lack(None);
        tracing::debug!("logind waits for this agent before the node shuts down");
        let begun = manager.preparing_for_shutdown().await.unwrap_or(false);
        if begun && self.given_up {
            lock = None;
        }
        self.turn(begun, &mut lock, &manager).await?;
        while let Some(signal) = signals.next().await {
            let begins = *signal.args()?.start();
            self.turn(begins, &mut lock, &manager).await?;
        }
        Err(zbus::Error::Failure("the bus has gone away".to_owned()))
    }

    /// The node begins to shut down, or does not after all.
    async fn turn(
        &mut self,
        begins: bool,
        lock: &mut Option<OwnedFd>,
        manager: &ManagerProxy<'_>,
    ) -> zbus::Result<()> {
        if core::mem::replace(&mut self.given_up, begins) == begins {
            return Ok(());
        }
        if !begins {
            tracing::info!("the node does not shut down after all: taking part again");
            self.node.give_up(false).await;
            if lock.is_none() {
                *lock = Some(logind::inhibit(manager).await?);
            }
            return Ok(());
        }
        tracing::info!("the node shuts down: handing over to other nodes first");
        let begun = Instant::now();
        self.node.give_up(true).await;
        while self.node.serves().await {
            if begun.elapsed() >= PATIENCE {
                tracing::warn!(
                    "no other node took over within {}s; the node shuts down all the same",
                    PATIENCE.as_secs()
                );
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        *lock = None;
        tracing::debug!("the node may shut down, after {:?}", begun.elapsed());
        Ok(())
    }
}

#[cfg(test)]
mod tests;
