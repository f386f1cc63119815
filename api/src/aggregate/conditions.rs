//! The conditions of a group: `Accepted` and `Ready` are true when all is well, the others when it is not, as kstatus has it.

mod degraded;
mod progress;
mod warned;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::members::{self, Life, Seen};
use super::words::{self, at, join, sentence};
use super::{Scene, seconds};
use crate::reason::{Place, Reason};
use crate::v1alpha1::MemberState;
use degraded::degraded;
use progress::{deleting, reconciling, stalled};

/// More than this nobody reads; the API server takes 32768.
const MESSAGE_CHARS: usize = 8192;

/// Whether something is so, and why.
struct Finding {
    is_true: bool,
    reason: Reason,
    message: String,
}

impl Finding {
    fn yes(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            is_true: true,
            reason,
            message: message.into(),
        }
    }

    fn no(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            is_true: false,
            reason,
            message: message.into(),
        }
    }

    /// True for the first of these causes, and for the others too; false if there is none.
    fn causes(causes: &[(Reason, String)], otherwise: &str) -> Self {
        let Some((reason, _)) = causes.first() else {
            return Self::no(Reason::AsExpected, otherwise);
        };
        let messages: Vec<&str> = causes.iter().map(|(_, message)| &**message).collect();
        Self::yes(*reason, messages.join(" "))
    }
}

/// All conditions, in the order of [`Place::CONDITIONS`].
pub(super) fn conditions(scene: &Scene<'_>) -> Vec<Condition> {
    let before = scene
        .share
        .group
        .status
        .iter()
        .flat_map(|status| &status.conditions);
    let conditions = Place::CONDITIONS.map(|place| {
        let finding = match place {
            Place::Accepted => accepted(scene),
            Place::Ready => ready(scene),
            Place::Degraded => degraded(scene),
            Place::SplitBrain => split_brain(scene),
            Place::Reconciling => reconciling(scene),
            _ => stalled(scene),
        };
        let status = if finding.is_true { "True" } else { "False" };
        let unchanged = before
            .clone()
            .find(|before| before.type_ == place.as_str() && before.status == status);
        Condition {
            type_: place.as_str().to_owned(),
            status: status.to_owned(),
            reason: finding.reason.as_str().to_owned(),
            message: words::cut(&finding.message, MESSAGE_CHARS),
            observed_generation: scene.share.group.metadata.generation,
            last_transition_time: unchanged.map_or_else(
                || Time(seconds(scene.now)),
                |before| before.last_transition_time.clone(),
            ),
        }
    });
    conditions.into()
}

fn accepted(scene: &Scene<'_>) -> Finding {
    let verdict = scene.share.verdict;
    let mut message = sentence(&verdict.message);
    for warning in &verdict.warnings {
        message += " ";
        message += &sentence(&warning.message);
    }
    Finding {
        is_true: verdict.accepted,
        reason: verdict.reason,
        message,
    }
}

fn ready(scene: &Scene<'_>) -> Finding {
    let split = split_brain(scene);
    if scene.is_going() {
        return Finding::no(Reason::Deleting, deleting(scene));
    }
    if split.is_true {
        return Finding::no(Reason::SplitBrain, split.message);
    }
    if !scene.share.verdict.accepted {
        return Finding::no(Reason::NotAccepted, refused(scene));
    }
    let Some(active) = scene.active() else {
        let message = format!("No member serves the addresses. {}", each(scene, |_| true));
        return Finding::no(Reason::NoActiveNode, message.trim_end());
    };
    if let Life::Silent(heard) = active.life {
        return Finding::no(Reason::ActiveNodeUnreachable, lost(scene, active, &at(heard)));
    }
    if let Some(message) = unapplied(scene) {
        return Finding::no(Reason::NotApplied, message);
    }
    let live = scene.members.iter().filter(|member| member.is_live()).count();
    let (node, generation) = (active.name(), scene.generation());
    let mut message = match live {
        1 => format!("{node} serves the addresses and runs generation {generation}."),
        live => format!("{node} serves the addresses; all {live} live members run generation {generation}."),
    };
    if active.service_fails() {
        message += " But the service behind them fails: see Degraded.";
    }
    Finding::yes(Reason::Serving, message)
}

fn refused(scene: &Scene<'_>) -> String {
    let why = sentence(&scene.share.verdict.message);
    let message = format!("Generation {} is refused: {why}", scene.generation());
    if scene.members.is_empty() {
        return message;
    }
    let served = scene.active().map_or_else(
        || "no node serves the addresses".to_owned(),
        |active| format!("{} serves the addresses", active.name()),
    );
    format!("{message} What ran before keeps running: {served}.")
}

/// The Active node is not heard; what its peers hear of it says whether the addresses are served.
fn lost(scene: &Scene<'_>, active: &Seen<'_>, heard: &str) -> String {
    let node = active.name();
    let address = active.said.and_then(|said| said.source_address.as_ref());
    let hearers: Vec<&str> = scene
        .members
        .iter()
        .filter(|member| member.is_live())
        .filter(|member| {
            member.said.is_some_and(|said| {
                said.state == MemberState::Backup
                    && said.active_peer.is_some()
                    && said.active_peer.as_ref() == address
            })
        })
        .map(Seen::name)
        .collect();
    let message = format!("{node} was Active when its agent was last heard of at {heard}.");
    if hearers.is_empty() {
        let others = each(scene, |member| member.name() != node);
        format!("{message} No other member says that it took over. {others}")
            .trim_end()
            .to_owned()
    } else {
        let hearers = join(&hearers);
        format!(
            "{message} It is still heard on the wire by {hearers}, so the addresses are served: look why its agent does not \
             reach the API server."
        )
    }
}

/// Which live members do not run this generation, and why not.
fn unapplied(scene: &Scene<'_>) -> Option<String> {
    let lacking: Vec<String> = scene
        .members
        .iter()
        .filter(|member| member.is_live() && !member.is_leaving)
        .filter_map(|member| Some(format!("{}: {}.", member.name(), member.unapplied(scene)?)))
        .collect();
    (!lacking.is_empty()).then(|| {
        let generation = scene.generation();
        format!(
            "Generation {generation} does not run on all live members yet. {}",
            lacking.join(" ")
        )
    })
}

fn split_brain(scene: &Scene<'_>) -> Finding {
    let rivals: Vec<&str> = scene
        .holders
        .rivals
        .iter()
        .map(|place| scene.members[*place].name())
        .collect();
    let mut causes = Vec::new();
    if !rivals.is_empty() {
        let message = format!(
            "{} are Active at the same time: they do not hear each other.",
            join(&rivals)
        );
        causes.push((Reason::SeveralActive, message));
    }
    for member in scene
        .members
        .iter()
        .filter(|member| member.is_live() && member.claims())
    {
        let conflicts = member.said.iter().flat_map(|said| &said.conflicts);
        let conflicts: Vec<String> = conflicts.map(words::fault).collect();
        if !conflicts.is_empty() {
            let message = format!(
                "{} is Active and sees on the wire: {}",
                member.name(),
                conflicts.join("; ")
            );
            causes.push((Reason::ConflictOnTheWire, sentence(&message)));
        }
    }
    Finding::causes(&causes, "Nothing says that two nodes have the addresses.")
}

/// What is to be said of each of these members, a sentence each.
fn each(scene: &Scene<'_>, which: impl Fn(&Seen<'_>) -> bool) -> String {
    let places = (0..scene.members.len()).filter(|place| which(&scene.members[*place]));
    let sentences = places.map(|place| {
        let name = scene.members[place].name();
        let state = match members::state(scene, place) {
            MemberState::Unknown => None,
            state => Some(format!("{state:?}")),
        };
        let said = state.into_iter().chain(members::message(scene, place));
        sentence(&format!("{name}: {}", said.collect::<Vec<_>>().join(", ")))
    });
    sentences.collect::<Vec<_>>().join(" ")
}
