//! Standing by: another agent runs the groups in this network namespace, and this one is ready to, or asks for them.

use core::time::Duration;

use tokio::time::Instant;

use super::Agent;
use super::signals::Signal;
use crate::cli::exit::Failure;
use crate::engine::Predecessor;
use crate::lock::{
    self, Attempt, Card, Holder, Holding, Lock, StandbyWord, Standing, Told, obstacles, process,
};
use crate::source::Change;
use crate::status::WaitStatus;

/// How long before the agent that runs is asked again: something may have been on its way.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// How long something has to keep this agent from asking before it is logged: what the API says is heard in a moment.
const SETTLE: Duration = Duration::from_secs(3);

/// How standing by ended.
pub enum Outcome {
    /// The other agent ended or gave way, and this one has the lock.
    TakeOver(Box<TakeOver>),
    /// This agent was told to end.
    End,
}

/// What there is to take over.
pub struct TakeOver {
    /// The lock.
    pub lock: Lock,
    /// What the other agent handed over; `None` if it was killed.
    pub predecessor: Option<Predecessor>,
    /// It gave way to this one, which has all of its groups.
    pub adopted: bool,
}

/// Waits for `holder` to end. The configuration is kept current meanwhile, so that taking over is immediate.
pub async fn wait(agent: &mut Agent, holder: Holder) -> Result<Outcome, Failure> {
    agent.run_dir.create(&agent.shared);
    agent.watch();
    let socket = agent.run_dir.serve(&agent.shared);
    let mut watch = Watch::of(holder);
    loop {
        tracing::info!(
            "standing by: another agent{} runs the groups",
            process(watch.holder.pid)
        );
        let Some(predecessor) = watch.until_ended(agent).await else {
            return Ok(Outcome::End);
        };
        match lock::take(lock::NAME).await? {
            Attempt::Taken(lock) => {
                let adopted = predecessor.is_some() && watch.asked.is_some();
                let how = match (&predecessor, adopted) {
                    (Some(_), true) => "gave way to this one",
                    (Some(_), false) => "handed over to this one",
                    (None, _) => "ended without a word",
                };
                tracing::info!("the other agent {how}; taking over");
                if let Some(holding) = &watch.holding {
                    agent.leave.inherit(&holding.groups);
                }
                // In this order: when the other agent sees the connection end, it stands by, and is to find the path free.
                drop(socket);
                drop(watch);
                return Ok(Outcome::TakeOver(Box::new(TakeOver {
                    lock,
                    predecessor,
                    adopted,
                })));
            }
            // Another standby was faster, and what was handed over is its to use.
            Attempt::Held(next) => watch = Watch::of(next),
        }
    }
}

/// What is known of the agent that runs, and what it was told.
struct Watch {
    holder: Holder,
    /// None as long as it says nothing.
    holding: Option<Holding>,
    told: Option<Standing>,
    /// When it was last asked for the groups.
    asked: Option<Instant>,
    /// What keeps this agent from asking, since when, and whether that is in the log.
    kept: Option<(String, Instant, bool)>,
}

/// What to do about the agent that runs.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Plan {
    /// Nothing: there is nothing to be done about it.
    Wait(&'static str),
    /// Nothing, until people have done something about it.
    Mend(String),
    /// To ask it to yield.
    Ask,
}

/// What to do about an agent that runs and says `holding`, knowing `ours`.
fn plan(take_over: bool, holding: Option<&Holding>, ours: &[Card]) -> Plan {
    if !take_over {
        return Plan::Wait("it takes over when the agent that runs ends");
    }
    match holding {
        None => Plan::Wait(
            "the agent that runs does not say what it runs, as older versions do not, so it is not asked to yield; this one \
             takes over when it ends",
        ),
        Some(holding) if holding.take_over => Plan::Wait(
            "the agent that runs was started with --take-over too, and keeps the groups; this one takes over when it ends",
        ),
        Some(holding) => {
            let obstacles = obstacles(&holding.groups, ours);
            if obstacles.is_empty() {
                Plan::Ask
            } else {
                Plan::Mend(format!(
                    "it takes over as soon as it has every group of the agent that runs: {}",
                    obstacles.join("; ")
                ))
            }
        }
    }
}

impl Plan {
    fn message(&self) -> &str {
        match self {
            Self::Wait(message) => message,
            Self::Mend(message) => message,
            Self::Ask => "it asks the agent that runs to yield",
        }
    }
}

impl Watch {
    fn of(holder: Holder) -> Self {
        Self {
            holder,
            holding: None,
            told: None,
            asked: None,
            kept: None,
        }
    }

    /// What the holder handed over once it has ended; `None` if this agent is to end first.
    async fn until_ended(&mut self, agent: &mut Agent) -> Option<Option<Predecessor>> {
        loop {
            let look_again = self.act(agent).await;
            tokio::select! {
                biased;
                told = self.holder.next() => match told {
                    Told::Ended(predecessor) => return Some(predecessor),
                    Told::Holding(holding) => {
                        self.holding = Some(holding);
                        self.asked = None;
                    }
                },
                signal = agent.signals.next() => match signal {
                    Signal::Stop => return None,
                    Signal::Reload => agent.update(Change::Files),
                },
                change = agent.instructions.changed() => agent.update(change),
                () = tokio::time::sleep(look_again) => {}
            }
        }
    }

    /// Says what there is to say, to the agent that runs and to people. Answers when to look again.
    async fn act(&mut self, agent: &mut Agent) -> Duration {
        let merged = agent.instructions.merged();
        let groups = Card::all(&merged.spec, &merged.groups);
        let plan = plan(agent.take_over, self.holding.as_ref(), &groups);
        agent.shared.set_wait(WaitStatus {
            process: self.holder.pid,
            version: self.holding.as_ref().map(|holding| holding.version.clone()),
            message: plan.message().to_owned(),
        });
        let Some(holding) = &self.holding else {
            return SETTLE;
        };
        let standing = Standing {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            take_over: agent.take_over,
            groups,
            message: plan.message().to_owned(),
        };
        if self.told.as_ref() != Some(&standing) {
            self.holder.say(&StandbyWord::Standing(standing.clone())).await;
            self.told = Some(standing);
        }
        if plan != Plan::Ask {
            self.asked = None;
            return self.explain(&plan);
        }
        self.kept = None;
        if self.asked.is_none_or(|asked| asked.elapsed() >= ASK_AGAIN) {
            let revision = holding.revision;
            self.holder.say(&StandbyWord::Yield { revision }).await;
            self.asked = Some(Instant::now());
        }
        ASK_AGAIN
    }

    /// Logs what is to be mended, once, and not while it may be about to mend itself.
    fn explain(&mut self, plan: &Plan) -> Duration {
        let Plan::Mend(message) = plan else {
            self.kept = None;
            return SETTLE;
        };
        let now = Instant::now();
        match &mut self.kept {
            Some((kept, since, logged)) if kept == message => {
                if !*logged && since.elapsed() >= SETTLE {
                    *logged = true;
                    tracing::warn!("standing by: {message}");
                }
            }
            kept => *kept = Some((message.clone(), now, false)),
        }
        SETTLE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding(take_over: bool) -> Holding {
        Holding {
            take_over,
            ..Holding::default()
        }
    }

    #[test]
    fn only_an_agent_that_is_to_take_over_asks_and_only_one_that_is_not() {
        assert_eq!(plan(true, Some(&holding(false)), &[]), Plan::Ask);
        for (take_over, theirs, sentence) in [
            (false, Some(holding(false)), "when the agent that runs ends"),
            (false, None, "when the agent that runs ends"),
            (true, Some(holding(true)), "--take-over too"),
            (true, None, "does not say"),
        ] {
            let found = plan(take_over, theirs.as_ref(), &[]);
            assert!(matches!(found, Plan::Wait(_)), "{found:?}");
            assert!(found.message().contains(sentence), "{found:?}");
        }
    }
}
