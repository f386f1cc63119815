//! What the operator says in Events: addresses that moved, groups refused or accepted again, a split brain, deletions that
//! nobody confirmed, and what befalls members (`health`). What is said is decided by comparing two statuses; it is published by a task that holds nobody up,
//! and repeated words are counted, not repeated.

mod health;

use core::time::Duration;
use std::collections::HashMap;
use std::sync::Arc;

use holdfast_api::cluster::Verdict;
use holdfast_api::reason::Reason;
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

/// The reasons of `Degraded` that are said as they are; what befalls single members is said of each.
const SAID_AS_EVENTS: [Reason; 3] = [
    Reason::ServedByFailingMember,
    Reason::CertificateDoesNotCoverVIP,
    Reason::NodeReportsVIP,
];

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
    /// What befalls its members.
    Health,
    /// Its deletion.
    Deletion,
}

impl Topic {
    fn action(self) -> &'static str {
        match self {
            Self::Moved => "Serve",
            Self::Acceptance | Self::Advice => "Validate",
            Self::Split | Self::Health => "Watch",
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
            let reason = if splits {
                Reason::SplitBrain
            } else {
                Reason::SplitBrainEnded
            };
            sayings.push(Saying {
                reason: reason.as_str().to_owned(),
                ..saying(Topic::Split, splits, is)
            });
        }
    }
    if let Some((_, is)) = changed("Degraded")
        && SAID_AS_EVENTS.iter().any(|reason| reason.as_str() == is.reason)
    {
        sayings.push(saying(Topic::Health, true, is));
    }
    sayings.extend(health::news(old, new));
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
            reason: Reason::Withdrawn.as_str().to_owned(),
            note: "every member has let go of the addresses".to_owned(),
        };
    }
    Saying {
        topic: Topic::Deletion,
        warning: true,
        reason: Reason::WithdrawnUnconfirmed.as_str().to_owned(),
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
        reason: Reason::Moved.as_str().to_owned(),
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing;

    fn status(conditions: &[(&str, &str, &str)], transition: &Value) -> VirtualIPGroupStatus {
        let conditions: Vec<Value> = conditions
            .iter()
            .map(|(type_, status, reason)| {
                json!({"type": type_, "status": status, "reason": reason, "message": format!("about {reason}"),
                       "lastTransitionTime": "2026-01-01T00:00:00Z"})
            })
            .collect();
        serde_json::from_value(
            json!({"observedGeneration": 1, "conditions": conditions, "lastTransition": transition}),
        )
        .unwrap()
    }

    fn transition(from: &Value, to: &Value, second: u8) -> Value {
        json!({"from": from, "to": to, "reason": "Timeout", "duration": "301ms",
               "time": format!("2026-01-01T00:00:{second:02}.000000Z")})
    }

    fn said(old: &VirtualIPGroupStatus, new: &VirtualIPGroupStatus) -> Vec<(bool, String, String)> {
        let group = serde_json::from_value(testing::group("web")).unwrap();
        let verdict = Verdict {
            accepted: true,
            reason: Reason::Accepted,
            message: String::new(),
            warnings: Vec::new(),
            amiss: Vec::new(),
        };
        news(&group, old, new, &verdict)
            .into_iter()
            .map(|saying| (saying.warning, saying.reason, saying.note))
            .collect()
    }

    #[test]
    fn what_changes_is_said_once_and_what_stays_is_not() {
        let none = VirtualIPGroupStatus::default();
        let fine = status(
            &[
                ("Accepted", "True", "Accepted"),
                ("SplitBrain", "False", "AsExpected"),
            ],
            &Value::Null,
        );
        let refused = status(&[("Accepted", "False", "AddressConflict")], &Value::Null);
        let split = status(
            &[
                ("Accepted", "True", "Accepted"),
                ("SplitBrain", "True", "WireEvidence"),
            ],
            &Value::Null,
        );
        let degraded = |reason| {
            status(
                &[
                    ("Accepted", "True", "Accepted"),
                    ("SplitBrain", "False", "AsExpected"),
                    ("Degraded", "True", reason),
                ],
                &Value::Null,
            )
        };
        let reasons = |old, new| -> Vec<(bool, String)> {
            said(old, new)
                .into_iter()
                .map(|(warning, reason, _)| (warning, reason))
                .collect()
        };
        let one = |warning, reason: &str| vec![(warning, reason.to_owned())];
        for (what, old, new, expected) in [
            ("a new group that is fine", &none, &fine, vec![]),
            ("nothing", &fine, &fine, vec![]),
            (
                "a new group that is refused",
                &none,
                &refused,
                one(true, "AddressConflict"),
            ),
            ("still refused", &refused, &refused, vec![]),
            ("accepted again", &refused, &fine, one(false, "Accepted")),
            ("a split", &fine, &split, one(true, "SplitBrain")),
            ("still split", &split, &split, vec![]),
            ("a split that ended", &split, &fine, one(false, "SplitBrainEnded")),
            (
                "nobody is healthy",
                &fine,
                &degraded("ServedByFailingMember"),
                one(true, "ServedByFailingMember"),
            ),
            (
                "still nobody",
                &degraded("ServedByFailingMember"),
                &degraded("ServedByFailingMember"),
                vec![],
            ),
            (
                "clients refuse it",
                &fine,
                &degraded("CertificateDoesNotCoverVIP"),
                one(true, "CertificateDoesNotCoverVIP"),
            ),
            (
                "a Node takes it for its own too",
                &degraded("CertificateDoesNotCoverVIP"),
                &degraded("NodeReportsVIP"),
                one(true, "NodeReportsVIP"),
            ),
            (
                "less than there should be",
                &fine,
                &degraded("NoRedundancy"),
                vec![],
            ),
        ] {
            assert_eq!(reasons(old, new), expected, "{what}");
        }
    }

    #[test]
    fn a_transition_is_told_with_both_ends_its_reason_and_how_long_it_took() {
        let cases = [
            (
                json!("a"),
                json!("b"),
                "the addresses moved from a to b (Timeout, after 301ms without an active node)",
            ),
            (
                Value::Null,
                json!("b"),
                "b serves the addresses (Timeout, after 301ms without an active node)",
            ),
            (
                json!("b"),
                json!("b"),
                "b serves the addresses again (Timeout, after 301ms without an active node)",
            ),
            (
                json!("a"),
                Value::Null,
                "a does not serve the addresses any more (Timeout)",
            ),
        ];
        for (from, to, note) in cases {
            let old = status(&[], &transition(&Value::Null, &json!("a"), 1));
            let new = status(&[], &transition(&from, &to, 2));
            let notes: Vec<String> = said(&old, &new).into_iter().map(|saying| saying.2).collect();
            assert_eq!(notes, [note]);
            assert_eq!(said(&new, &new), []);
        }
    }

    #[test]
    fn a_deletion_that_nobody_confirmed_is_a_warning_with_their_names() {
        assert!(!withdrawn(&[]).warning);
        let saying = withdrawn(&["n-1".to_owned(), "n-2".to_owned()]);
        assert!(saying.warning && saying.note.contains("n-1, n-2"));
    }

    #[test]
    fn a_long_note_is_cut_between_characters() {
        assert_eq!(short("short".to_owned()), "short");
        let cut = short("ä".repeat(900));
        assert!(cut.len() <= NOTE + 3 && cut.ends_with('…'));
    }

    #[tokio::test]
    async fn the_same_words_are_counted_and_other_words_are_another_event() {
        let api = testing::MockApi::default();
        let metrics = Arc::new(Metrics::new().unwrap());
        let (speaker, publisher) = channel(api.client(), "op-1".to_owned(), &metrics);
        let group: VirtualIPGroup = serde_json::from_value(testing::group("web")).unwrap();
        for note in ["one", "one", "two"] {
            let saying = Saying {
                note: note.to_owned(),
                ..withdrawn(&[])
            };
            speaker.say(&group, saying);
        }
        drop(speaker);
        publisher.run().await;
        let said = api.events();
        let folder = "/apis/events.k8s.io/v1/namespaces/default/events";
        assert!(said[0].line.starts_with(&format!("POST {folder}?")), "{said:#?}");
        assert!(said[1].line.starts_with(&format!("PATCH {folder}/")), "{said:#?}");
        assert_eq!(said[1].body["series"]["count"], 2);
        assert!(said[2].line.starts_with("POST "), "{said:#?}");
        assert_eq!(said[2].body["regarding"]["name"], "web");
    }
}
