//! What the operator says in Events: addresses that moved, groups refused or accepted again, a split brain, deletions that
//! nobody confirmed. What is said is decided by comparing two statuses; it is published by a task that holds nobody up,
//! and repeated words are counted, not repeated.

use core::time::Duration;
use std::collections::HashMap;
use std::sync::Arc;

use holdfast_api::cluster::Verdict;
use holdfast_api::v1alpha1::{Transition, VirtualIPGroup, VirtualIPGroupStatus};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource as _};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::error::because;
use crate::metrics::Metrics;

/// Events that may wait to be published; further ones are dropped and counted.
const WAITING: usize = 256;
/// Subjects of which it is remembered what was said last.
const REMEMBERED: usize = 1024;
/// How long that is remembered: the API server keeps a series of Events about as long.
const MEMORY: Duration = Duration::from_mins(6);
/// How long a note may be, in bytes.
const NOTE: usize = 1000;

/// What an Event is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Topic {
    /// The addresses moved.
    Moved,
    /// Whether the group is accepted.
    Acceptance,
    /// Something its author should know.
    Advice,
    /// More than one node is active.
    Split,
    /// Its deletion.
    Deletion,
}

impl Topic {
    fn action(self) -> &'static str {
        match self {
            Self::Moved => "Serve",
            Self::Acceptance | Self::Advice => "Validate",
            Self::Split => "Watch",
            Self::Deletion => "Withdraw",
        }
    }
}

/// One thing to say of a group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Saying {
    /// What it is about.
    pub topic: Topic,
    /// Whether somebody should do something.
    pub warning: bool,
    /// In one word.
    pub reason: String,
    /// In a sentence.
    pub note: String,
}

/// What there is to say when a group's status changes from `old` to `new`.
pub fn news(
    group: &VirtualIPGroup,
    old: &VirtualIPGroupStatus,
    new: &VirtualIPGroupStatus,
    verdict: &Verdict,
) -> Vec<Saying> {
    let mut sayings = Vec::new();
    let changed = |type_: &str| {
        let (was, is) = (condition(old, type_), condition(new, type_)?);
        let same = was.is_some_and(|was| was.status == is.status && was.reason == is.reason);
        (!same).then_some((was, is))
    };
    if let Some((was, is)) = changed("Accepted") {
        let refused = is.status == "False";
        if refused || was.is_some() {
            sayings.push(saying(Topic::Acceptance, refused, is));
        }
    }
    if let Some(transition) = &new.last_transition
        && old.last_transition.as_ref() != Some(transition)
    {
        sayings.push(moved(transition));
    }
    if let Some((was, is)) = changed("SplitBrain") {
        let splits = is.status == "True";
        if splits || was.is_some_and(|was| was.status == "True") {
            sayings.push(Saying {
                reason: if splits { "SplitBrain" } else { "SplitBrainEnded" }.to_owned(),
                ..saying(Topic::Split, splits, is)
            });
        }
    }
    if group.metadata.deletion_timestamp.is_some()
        && let Some((_, is)) = changed("Stalled")
        && is.status == "True"
    {
        sayings.push(saying(Topic::Deletion, true, is));
    }
    // What is merely unwise is said once for each version of the group.
    if old.observed_generation != new.observed_generation && verdict.accepted {
        sayings.extend(verdict.warnings.iter().map(|warning| Saying {
            topic: Topic::Advice,
            warning: true,
            reason: warning.reason.as_str().to_owned(),
            note: warning.message.clone(),
        }));
    }
    sayings
}

/// What there is to say when a group's deletion is over.
pub fn withdrawn(unconfirmed: &[String]) -> Saying {
    if unconfirmed.is_empty() {
        return Saying {
            topic: Topic::Deletion,
            warning: false,
            reason: "Withdrawn".to_owned(),
            note: "every member has let go of the addresses".to_owned(),
        };
    }
    Saying {
        topic: Topic::Deletion,
        warning: true,
        reason: "WithdrawnUnconfirmed".to_owned(),
        note: format!(
            "these nodes did not confirm that they let go of the addresses, and nobody waits for them any longer: {}. \
             Their agents let go when they reach the API server again; until then make sure that they are down",
            unconfirmed.join(", ")
        ),
    }
}

fn moved(transition: &Transition) -> Saying {
    let took = transition
        .duration
        .as_ref()
        .map(|duration| format!(", after {duration} without an active node"))
        .unwrap_or_default();
    let reason = &transition.reason;
    let note = match (&transition.from, &transition.to) {
        (Some(from), Some(to)) if from == to => {
            format!("{to} serves the addresses again ({reason}{took})")
        }
        (Some(from), Some(to)) => format!("the addresses moved from {from} to {to} ({reason}{took})"),
        (None, Some(to)) => format!("{to} serves the addresses ({reason}{took})"),
        (Some(from), None) => format!("{from} does not serve the addresses any more ({reason})"),
        (None, None) => format!("nobody serves the addresses ({reason})"),
    };
    Saying {
        topic: Topic::Moved,
        warning: transition.to.is_none(),
        reason: "Moved".to_owned(),
        note,
    }
}

fn saying(topic: Topic, warning: bool, condition: &Condition) -> Saying {
    Saying {
        topic,
        warning,
        reason: condition.reason.clone(),
        note: condition.message.clone(),
    }
}

fn condition<'a>(status: &'a VirtualIPGroupStatus, type_: &str) -> Option<&'a Condition> {
    status
        .conditions
        .iter()
        .find(|condition| condition.type_ == type_)
}

/// Takes what is to be said, and never waits.
#[derive(Clone, Debug)]
pub struct Speaker {
    sayings: mpsc::Sender<(ObjectReference, Saying)>,
    metrics: Arc<Metrics>,
}

/// Publishes what a [`Speaker`] has taken.
pub struct Publisher {
    client: Client,
    reporter: Reporter,
    sayings: mpsc::Receiver<(ObjectReference, Saying)>,
    metrics: Arc<Metrics>,
}

/// A speaker and its publisher.
pub fn channel(client: Client, identity: String, metrics: &Arc<Metrics>) -> (Speaker, Publisher) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let publisher = Publisher {
        client,
        reporter: Reporter {
            controller: "vip.holdfast.dev/operator".to_owned(),
            instance: Some(identity),
        },
        sayings: receiver,
        metrics: Arc::clone(metrics),
    };
    let speaker = Speaker {
        sayings: sender,
        metrics: Arc::clone(metrics),
    };
    (speaker, publisher)
}

impl Speaker {
    /// Says something of a group.
    pub fn say(&self, group: &VirtualIPGroup, saying: Saying) {
        let mut regarding = group.object_ref(&());
        // A version would make every repetition another subject.
        regarding.resource_version = None;
        if saying.warning {
            tracing::warn!(reason = saying.reason, "{}: {}", name(&regarding), saying.note);
        } else {
            tracing::info!(reason = saying.reason, "{}: {}", name(&regarding), saying.note);
        }
        if self.sayings.try_send((regarding, saying)).is_err() {
            self.metrics.event_dropped();
        }
    }
}

impl Publisher {
    /// Publishes until every speaker is gone. An Event that cannot be published is dropped: the status says it too.
    pub async fn run(mut self) {
        // kube's recorder counts repetitions, but takes whatever has the same reason for one. So each note has its own.
        let mut said: HashMap<(Option<String>, String), (String, Recorder, Instant)> = HashMap::new();
        while let Some((regarding, saying)) = self.sayings.recv().await {
            said.retain(|_, (_, _, when)| when.elapsed() < MEMORY);
            if said.len() >= REMEMBERED {
                said.clear();
            }
            let key = (regarding.uid.clone(), saying.reason.clone());
            let (_, recorder, when) = match said.get_mut(&key) {
                Some(last) if last.0 == saying.note => last,
                _ => {
                    let recorder = Recorder::new(self.client.clone(), self.reporter.clone());
                    said.insert(key.clone(), (saying.note.clone(), recorder, Instant::now()));
                    match said.get_mut(&key) {
                        Some(last) => last,
                        None => continue,
                    }
                }
            };
            *when = Instant::now();
            let type_ = if saying.warning {
                EventType::Warning
            } else {
                EventType::Normal
            };
            let event = Event {
                type_,
                reason: saying.reason,
                note: Some(short(saying.note)),
                action: saying.topic.action().to_owned(),
                secondary: None,
            };
            if let Err(error) = recorder.publish(&event, &regarding).await {
                self.metrics.event_dropped();
                tracing::debug!("publishing an Event of {}: {}", name(&regarding), because(&error));
            }
        }
    }
}

fn name(regarding: &ObjectReference) -> &str {
    regarding.name.as_deref().unwrap_or_default()
}

fn short(mut note: String) -> String {
    if note.len() > NOTE {
        note.truncate(note.floor_char_boundary(NOTE));
        note.push('…');
    }
    note
}
