//! Giving the groups to another agent on this node: because that one asks for them, or because this one ends.

use core::time::Duration;

use holdfast_api::v1alpha1::GroupSource;
use holdfast_vrrp::State;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::running::{End, Ended, Running};
use crate::cli::exit::Failure;
use crate::engine::{Command, Predecessor};
use crate::lock::{Card, Heir, Waiting};
use crate::report::words;
use crate::status::{GroupStatus, StandbyStatus};

/// How long the engine may take to end without a word.
const YIELD: Duration = Duration::from_secs(2);

/// How long an end may be delayed for groups that are on their way to another node, or to a decision.
const SETTLE: Duration = Duration::from_secs(4);

/// How long the state file may delay a hand-over: as a rule there is nothing left to write.
const LAST_WRITE: Duration = Duration::from_millis(20);

impl Running<'_> {
    /// Tells those who wait what this agent runs.
    pub(super) fn tell_standbys(&mut self) {
        let cards = Card::all(&self.spec, &self.agent.instructions.merged().groups);
        self.lock.tell(cards, self.agent.take_over);
    }

    /// Takes note of who waits.
    pub(super) fn note_crowd(&mut self) {
        let waiting = self.lock.waiting();
        let said = waiting.iter().filter_map(|waiting| waiting.standing.as_ref());
        let cards = said.flat_map(|standing| &standing.groups);
        let on_file = cards.filter(|card| card.source == GroupSource::File);
        let on_file = on_file.map(|card| card.name.clone()).collect();
        self.agent
            .shared
            .set_standbys(waiting.into_iter().map(status).collect());
        let news = self
            .membership
            .as_mut()
            .is_some_and(|membership| membership.note_on_file(on_file));
        if news && !self.stopping {
            self.acknowledge();
        }
    }

    /// Has the engine end for an agent that asks for the groups. `None`: not now; it asks again.
    pub(super) async fn give_way(&mut self) -> Option<Predecessor> {
        let keeps = self.stopping || Instant::now() < self.agent.keeps_until;
        if keeps || !self.is_settled().await {
            return None;
        }
        tracing::info!(
            "an agent that stands by on this node has all groups of this one and asks for them: giving way"
        );
        self.leave_behind().await
    }

    /// Begins the end with an agent that stands by: other nodes get what that one does not have.
    pub(super) async fn leave_to(&mut self, heir: &Heir) -> Result<(), Failure> {
        self.bequeathing = Some(Instant::now());
        if heir.unknown.is_empty() {
            return Ok(());
        }
        tracing::info!(
            "ending: other nodes get {}, which the agent that stands by does not have as {} here; it gets the others",
            heir.unknown.join(", "),
            if heir.unknown.len() == 1 {
                "it is"
            } else {
                "they are"
            }
        );
        let mut spec = self.spec.clone();
        spec.groups.retain(|name, _| !heir.unknown.contains(name));
        self.adopt(spec).await?;
        self.tell_standbys();
        Ok(())
    }

    /// Leaves what there is to the agent that stands by, if that was begun and nothing is on its way any more.
    pub(super) async fn bequeath(&mut self) -> Option<End> {
        let since = self.bequeathing?;
        if !self.is_settled().await && since.elapsed() < SETTLE {
            return None;
        }
        self.bequeathing = None;
        if let Some(heir) = self.lock.heir().filter(|heir| heir.unknown.is_empty())
            && let Some(predecessor) = self.leave_behind().await
        {
            return Some(End::Yielded(predecessor, heir.asker));
        }
        // It has gone, or has forgotten something meanwhile.
        let _ = self.engine.send(Command::Stop).await;
        None
    }

    /// Whether exactly the groups run that are to, none is being handed to another node, and none is still looking whether it
    /// may go on where an agent before this one was.
    async fn is_settled(&self) -> bool {
        let Ok(groups) = self.agent.shared.snapshot().await else {
            return false;
        };
        let wanted = self.spec.groups.values().filter(|group| !group.deleted);
        let wanted = wanted.map(|group| &group.name);
        let calm = |group: &GroupStatus| !group.releasing && group.state != State::Initialize.name();
        groups.iter().map(|group| &group.name).eq(wanted) && groups.iter().all(calm)
    }

    /// Has the engine end without a word. `None` if it does not answer; other nodes get the groups then.
    async fn leave_behind(&self) -> Option<Predecessor> {
        let (answer, predecessor) = oneshot::channel();
        self.engine.send(Command::Yield(answer)).await.ok()?;
        tokio::time::timeout(YIELD, predecessor).await.ok()?.ok()
    }

    /// Does what is left to be done when the engine has ended.
    pub(super) async fn finish(self, end: End) -> Result<Ended, Failure> {
        match end {
            End::Stopped => {
                if let Some(membership) = self.membership {
                    membership.leave(&self.agent.instructions, self.hurried).await;
                }
                self.writer.remove().await;
                Ok(Ended::Told)
            }
            End::Yielded(predecessor, heir) => {
                // What is still being written must not overwrite what the next agent writes; a disk that hangs waits alone.
                let _ = tokio::time::timeout(LAST_WRITE, self.writer.finish()).await;
                let received = self.lock.hand_over(&predecessor, Some(heir)).await;
                tracing::info!(
                    "handed {} over to an agent that stood by",
                    words::count(predecessor.active.len(), "group")
                );
                if received == 0 {
                    tracing::warn!("nobody was there to receive them; the state file tells the next agent");
                }
                Ok(Ended::Told)
            }
            End::Asked(predecessor, asker) => {
                let _ = tokio::time::timeout(LAST_WRITE, self.writer.finish()).await;
                self.agent.shared.stand_by();
                self.lock.yield_to(&predecessor, asker).await;
                if let Some(membership) = self.membership {
                    self.agent.cluster = Some(membership.rest(&self.agent.instructions).await);
                }
                Ok(Ended::Yielded(predecessor))
            }
        }
    }
}

fn status(waiting: Waiting) -> StandbyStatus {
    let Some(standing) = waiting.standing else {
        return StandbyStatus {
            process: waiting.pid,
            version: None,
            take_over: false,
            message: "takes over when this one ends".to_owned(),
        };
    };
    StandbyStatus {
        process: waiting.pid,
        version: Some(standing.version),
        take_over: standing.take_over,
        message: standing.message,
    }
}
