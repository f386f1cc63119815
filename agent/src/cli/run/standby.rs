//! Standing by: another agent runs the groups in this network namespace, and this one is ready to.

use super::Agent;
use super::signals::Signal;
use crate::cli::exit::Failure;
use crate::engine::Predecessor;
use crate::lock::{self, Attempt, Holder, Lock};
use crate::source::Change;

/// How standing by ended.
pub enum Outcome {
    /// The other agent ended, and this one has the lock.
    TakeOver {
        /// The lock.
        lock: Lock,
        /// What the other agent handed over; `None` if it was killed.
        predecessor: Option<Predecessor>,
    },
    /// This agent was told to end.
    End,
}

/// Waits for `holder` to end. The configuration is kept current meanwhile, so that taking over is immediate.
pub async fn wait(agent: &mut Agent, mut holder: Holder) -> Result<Outcome, Failure> {
    agent.run_dir.create(&agent.shared);
    agent.watch();
    let _socket = agent.run_dir.serve(&agent.shared);
    loop {
        tracing::info!(
            "standing by: another agent (process {}) runs the groups",
            holder.pid
        );
        let Some(predecessor) = until_ended(agent, holder).await else {
            return Ok(Outcome::End);
        };
        match lock::take(lock::NAME).await? {
            Attempt::Taken(lock) => {
                let how = if predecessor.is_some() {
                    "handed over to this one"
                } else {
                    "ended without a word"
                };
                tracing::info!("the other agent {how}; taking over");
                return Ok(Outcome::TakeOver { lock, predecessor });
            }
            // Another standby was faster, and what was handed over is its to use.
            Attempt::Held(next) => holder = next,
        }
    }
}

/// What the holder handed over once it has ended; `None` if this agent is to end first.
async fn until_ended(agent: &mut Agent, holder: Holder) -> Option<Option<Predecessor>> {
    let mut ended = core::pin::pin!(holder.ended());
    loop {
        tokio::select! {
            biased;
            predecessor = &mut ended => return Some(predecessor),
            signal = agent.signals.next() => match signal {
                Signal::Stop => return None,
                Signal::Reload => agent.update(Change::Files),
            },
            change = agent.instructions.changed() => agent.update(change),
        }
    }
}
