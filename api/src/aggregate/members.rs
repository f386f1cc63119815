//! The members of a group as they are seen now, each in an entry of `status.members`.

use jiff::Timestamp;

use super::words::{self, at, join};
use super::{LEASE, Scene, micro_time};
use crate::cluster::{AgentLife, NodeRecord, Share, Until};
use crate::reason::Reason;
use crate::render::selects_labels;
use crate::v1alpha1::{GroupSource, Member, MemberState, NodeGroup, NodeGroupStatus};

/// The longest list and the longest texts that the API server takes.
const MEMBERS: usize = 32;
pub(super) const REASON_CHARS: usize = 64;
const MESSAGE_CHARS: usize = 1024;
const WORK_CHARS: usize = 256;

/// What an agent says of a group whose configuration it cannot use.
const REFUSED: &str = Reason::ConfigurationRefused.as_str();

/// A member as it is seen now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'a> {
    pub record: &'a NodeRecord,
    /// What it is told of the group.
    pub told: Option<&'a NodeGroup>,
    /// What its agent said last of the group.
    pub said: Option<&'a NodeGroupStatus>,
    /// Whether its agent is heard.
    pub life: Life,
    /// Whether it is to let go of the group.
    pub is_leaving: bool,
}

/// Whether an agent is heard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Life {
    /// No agent has ever run there.
    Absent,
    /// Heard at this time, and good.
    Live(Timestamp),
    /// Not heard since this time.
    Silent(Timestamp),
}

/// The members that are told of the group or are about to be, in the order of their names.
pub(super) fn seen<'a>(now: Timestamp, share: &Share<'a>) -> Vec<Seen<'a>> {
    // A group that is refused or going is told to nobody new.
    let takes_members = share.verdict.accepted && share.group.metadata.deletion_timestamp.is_none();
    let mut all: Vec<Seen<'a>> = share
        .members
        .iter()
        .map(|record| Seen::of(now, share, record))
        .filter(|member| !member.has_let_go())
        .filter(|member| takes_members || member.told.is_some() || member.said.is_some())
        .collect();
    if all.len() > MEMBERS {
        all.sort_by_key(|member| (!member.claims(), member.is_leaving, member.said.is_none()));
        all.truncate(MEMBERS);
    }
    all.sort_by(|one, other| one.record.name.cmp(&other.record.name));
    all
}

impl<'a> Seen<'a> {
    fn of(now: Timestamp, share: &Share<'a>, record: &'a NodeRecord) -> Self {
        let name = share.group.metadata.name.as_deref().unwrap_or_default();
        let (told, said) = (record.stored(name), record.reported(name));
        let is_deselected = || {
            let node = record.node.as_ref();
            node.is_some_and(|node| !selects_labels(share.group, &node.labels))
        };
        let is_leaving = told.is_some_and(|told| told.deleted) || share.verdict.accepted && is_deselected();
        Self {
            record,
            told,
            said,
            life: Life::of(now, record),
            is_leaving,
        }
    }

    pub fn name(&self) -> &'a str {
        &self.record.name
    }

    /// Whether its agent is heard.
    pub fn is_live(&self) -> bool {
        matches!(self.life, Life::Live(_))
    }

    /// Whether its agent's last word is that it serves the addresses.
    pub fn claims(&self) -> bool {
        self.said.is_some_and(|said| said.state == MemberState::Active)
    }

    /// When its agent's last word was seen.
    pub fn report_seen(&self) -> Option<Timestamp> {
        self.record.object.as_ref().map(|object| object.status_seen)
    }

    /// Whether it is rid of the group, and its entry is only to be cleared away.
    fn has_let_go(&self) -> bool {
        let answered = |generation| {
            let object = self.record.object.as_ref();
            object.is_some_and(|object| object.status.observed_generation == Some(generation))
        };
        let generation = self.record.object.as_ref().map_or(0, |object| object.generation);
        self.said.is_none()
            && match self.told {
                Some(told) => told.deleted && answered(generation),
                None => self.is_leaving,
            }
    }

    /// Whether its agent says that it cannot use what it is told.
    pub fn refuses(&self) -> bool {
        let said = self.said.iter().flat_map(|said| &said.faults);
        said.into_iter().any(|fault| fault.reason == REFUSED)
    }

    /// What keeps this member from running the group's present generation, in words; `None` if it runs it.
    pub fn unapplied(&self, scene: &Scene<'_>) -> Option<String> {
        let generation = scene.generation();
        let uid = scene.share.group.metadata.uid.as_deref();
        let is_told = |told: &&NodeGroup| told.generation == generation && told.uid.as_deref() == uid;
        let Some(said) = self.said else {
            return Some(match self.told {
                Some(_) => "has not answered yet".to_owned(),
                None => "has not been told of the group yet".to_owned(),
            });
        };
        if self.refuses() {
            return Some(format!("cannot use generation {generation}"));
        }
        if said.applied_generation == Some(generation) && self.told.is_none_or(|told| is_told(&told)) {
            return None;
        }
        let runs = match (said.source, said.applied_generation) {
            (GroupSource::File, _) => "runs what a file on the node says".to_owned(),
            (_, Some(applied)) if applied != generation => format!("still runs generation {applied}"),
            (_, _) => format!("does not run generation {generation} yet"),
        };
        Some(match self.told.filter(is_told) {
            Some(_) => runs,
            None => format!("{runs}, and has not been told another one"),
        })
    }
}

impl Life {
    fn of(now: Timestamp, record: &NodeRecord) -> Self {
        match (record.agent, &record.object) {
            (AgentLife::Fresh(heard), _) => Self::Live(heard),
            (AgentLife::Expired(heard), _) => Self::Silent(heard),
            // An agent's first report comes before its first Lease.
            (AgentLife::Never, Some(object)) if object.status.observed_generation.is_some() => {
                if now.duration_since(object.status_seen) < LEASE {
                    Self::Live(object.status_seen)
                } else {
                    Self::Silent(object.status_seen)
                }
            }
            (AgentLife::Never, _) => Self::Absent,
        }
    }
}

/// The member's entry in the group's status.
pub(super) fn member(scene: &Scene<'_>, place: usize) -> Member {
    let seen = &scene.members[place];
    let said = seen.said;
    let state = state(scene, place);
    let since = match seen.life {
        Life::Silent(heard) => Some(micro_time(heard)),
        _ if state == MemberState::Unknown => None,
        _ => said.and_then(|said| said.since.clone()),
    };
    Member {
        node: seen.name().to_owned(),
        state,
        effective_priority: said.and_then(|said| said.effective_priority),
        priority_explained: said.and_then(|said| said.priority_explained.clone()),
        failing_probes: seen.failing().map(|probe| probe.name.clone()).collect(),
        held_back_until: said.and_then(|said| said.held_back_until.clone()),
        maintenance: seen.work().map(|work| words::cut(&work.reason, WORK_CHARS)),
        since,
        reason: reason(scene, place).map(|reason| words::cut(&reason, REASON_CHARS)),
        interface: said.and_then(|said| said.interface.clone()),
        message: message(scene, place).map(|message| words::cut(&message, MESSAGE_CHARS)),
    }
}

/// Whether the member said that it is Active, and another one says so since: it may be lost, or its next word be on its way.
fn is_superseded(scene: &Scene<'_>, place: usize) -> bool {
    let holders = &scene.holders;
    scene.members[place].claims() && holders.active != Some(place) && !holders.rivals.contains(&place)
}

/// What the member is doing.
pub(super) fn state(scene: &Scene<'_>, place: usize) -> MemberState {
    let seen = &scene.members[place];
    match (seen.life, seen.said) {
        (Life::Silent(_) | Life::Absent, _) => MemberState::Unknown,
        _ if is_superseded(scene, place) => MemberState::Unknown,
        (Life::Live(_), Some(said)) => said.state,
        (Life::Live(_), None) => MemberState::Initialize,
    }
}

fn reason(scene: &Scene<'_>, place: usize) -> Option<String> {
    let seen = &scene.members[place];
    let word = |reason: Reason| Some(reason.as_str().to_owned());
    let Some(said) = seen.said else {
        return word(match seen.life {
            Life::Live(_) => Reason::NotHeardYet,
            Life::Silent(_) | Life::Absent => Reason::MemberUnreachable,
        });
    };
    if !seen.is_live() || is_superseded(scene, place) {
        return word(match said.state {
            MemberState::Active => Reason::LastSeenActive,
            MemberState::Backup => Reason::LastSeenBackup,
            MemberState::Fault => Reason::LastSeenFault,
            MemberState::Standby => Reason::LastSeenStandby,
            MemberState::Initialize => Reason::LastSeenInitialize,
            MemberState::Unknown => Reason::MemberUnreachable,
        });
    }
    // `Faulted` is what the state says already.
    let fault = said.faults.first().filter(|_| said.state == MemberState::Fault);
    fault
        .map(|fault| fault.reason.clone())
        .or_else(|| said.reason.clone())
}

/// Everything about the member that its state does not say.
pub(super) fn message(scene: &Scene<'_>, place: usize) -> Option<String> {
    let seen = &scene.members[place];
    let mut parts = Vec::new();
    match seen.life {
        Life::Absent => parts.push("no agent has ever run on this node".to_owned()),
        Life::Silent(heard) => {
            parts.push(last_word(heard, seen.said));
            parts.extend(seen.work().map(|work| work.words(seen)));
        }
        Life::Live(_) => parts.extend(live(scene, place)),
    }
    if !seen.is_live() && seen.record.node.is_none() {
        parts.push("its Node object is gone".to_owned());
    }
    if seen.is_leaving || scene.is_going() {
        parts.push("has not let go of the group yet".to_owned());
    }
    parts.extend(waiting(scene, seen.name()));
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn last_word(heard: Timestamp, said: Option<&NodeGroupStatus>) -> String {
    let was = said.map_or_else(String::new, |said| match &said.since {
        Some(since) => format!(", {:?} since {}", said.state, at(since.0)),
        None => format!(", {:?}", said.state),
    });
    format!("its agent was last heard of at {}{was}", at(heard))
}

fn live(scene: &Scene<'_>, place: usize) -> Vec<String> {
    let seen = &scene.members[place];
    let mut parts = Vec::new();
    if let Some(said) = seen.said {
        if is_superseded(scene, place)
            && let Some(active) = scene.active()
        {
            let since = said.since.as_ref().map(|since| format!(" at {}", at(since.0)));
            let (since, active) = (since.unwrap_or_default(), active.name());
            parts.push(format!(
                "became Active{since}, and {active} after it; its next word is awaited"
            ));
        }
        parts.extend(seen.health());
        parts.extend(seen.other_faults().map(words::fault));
        parts.extend(said.conflicts.iter().map(words::fault));
        parts.extend(stranger(scene, said));
    }
    if scene.share.verdict.accepted && !scene.is_going() && !seen.is_leaving {
        parts.extend(seen.unapplied(scene));
    }
    let object = seen.record.object.iter();
    parts.extend(
        object
            .flat_map(|object| &object.status.problems)
            .map(words::fault),
    );
    parts
}

/// A router that the member takes for the Active one and that is no member.
fn stranger(scene: &Scene<'_>, said: &NodeGroupStatus) -> Option<String> {
    let peer = said
        .active_peer
        .as_ref()
        .filter(|_| said.state == MemberState::Backup)?;
    let is_member = scene.members.iter().any(|member| {
        let said = member.said.and_then(|said| said.source_address.as_ref());
        said == Some(peer)
    });
    (!is_member).then(|| format!("hears {peer}, which is no member, as the Active router"))
}

/// What the member waits for.
pub(super) fn waiting(scene: &Scene<'_>, node: &str) -> Option<String> {
    let wait = scene.waits.iter().find(|wait| wait.node == node)?;
    let others: Vec<&String> = wait
        .unacknowledged
        .iter()
        .filter(|other| *other != node)
        .collect();
    let mut parts = Vec::new();
    if others.len() < wait.unacknowledged.len() {
        parts.push("has not said yet from which address it takes part".to_owned());
    }
    if !others.is_empty() {
        let others = join(&others);
        parts.push(match wait.until {
            Until::Admitted => format!("may become Active when it is acknowledged by {others}"),
            Until::Changed => {
                format!("keeps its former version until the change is acknowledged by {others}")
            }
        });
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}
