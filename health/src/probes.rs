//! The probes of a group: those that are run, the quorums over them, and which of them count as passing.

use holdfast_vrrp::Instant;

use crate::judgement::Verdict;
use crate::policy::{Kind, Policy, Probe};
use crate::quorum::Quorum;
use crate::tracker::{Tracker, Unknown};

/// Who is asked whether a probe passes: what differs is what is not known yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum View {
    /// What is not known counts as failed, unless it was added by an edit.
    Strict,
    /// What is not known counts as passing.
    Lenient,
}

/// The probes in the order of the policy that they were made for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Probes {
    slots: Vec<Slot>,
}

/// One probe.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    /// The place of the quorum that names it.
    pub quorum: Option<usize>,
    /// Where its verdict comes from.
    pub source: Source,
}

/// Where a verdict comes from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// From runs.
    Runs(Tracker),
    /// From other probes.
    Quorum(Quorum),
}

impl Probes {
    /// The probes of a group of which nothing is known.
    pub fn new(now: Instant, policy: &Policy) -> Self {
        let sources = policy.probes.iter().map(|probe| match &probe.kind {
            Kind::Runs { .. } => Source::Runs(Tracker::new(Unknown::Fails)),
            Kind::Quorum { of, at_least } => Source::Quorum(quorum(&policy.probes, of, *at_least)),
        });
        Self::from_sources(now, policy, sources.collect())
    }

    /// What becomes of these after an edit from `before` to `after`: those of the same name keep their verdicts, those that
    /// were edited begin to count anew, and those that are new are trusted until something is known of them.
    pub fn edited(&self, now: Instant, before: &Policy, after: &Policy) -> Self {
        let kept = |probe: &Probe| {
            let was = self.slots.iter().zip(&before.probes);
            was.into_iter().find(|(_, before)| before.name == probe.name)
        };
        let sources = after.probes.iter().map(|probe| match (&probe.kind, kept(probe)) {
            (Kind::Runs { .. }, Some((slot, before))) if let Source::Runs(tracker) = &slot.source => {
                let mut tracker = tracker.clone();
                if probe.kind != before.kind {
                    tracker.count_anew(now);
                }
                Source::Runs(tracker)
            }
            (Kind::Runs { .. }, _) => Source::Runs(Tracker::new(Unknown::Passes)),
            (Kind::Quorum { of, at_least }, kept) => {
                let mut quorum = quorum(&after.probes, of, *at_least);
                if let Some((slot, _)) = kept
                    && let Source::Quorum(before) = &slot.source
                {
                    quorum.verdict = before.verdict;
                    quorum.since = before.since;
                }
                Source::Quorum(quorum)
            }
        });
        Self::from_sources(now, after, sources.collect())
    }

    fn from_sources(now: Instant, policy: &Policy, sources: Vec<Source>) -> Self {
        let named_by = |probe: &Probe| {
            policy.probes.iter().position(|other| match &other.kind {
                Kind::Quorum { of, .. } => of.contains(&probe.name),
                Kind::Runs { .. } => false,
            })
        };
        let slots = policy.probes.iter().zip(sources).map(|(probe, source)| Slot {
            quorum: named_by(probe),
            source,
        });
        let mut probes = Self {
            slots: slots.collect(),
        };
        probes.update_quorums(now);
        probes
    }

    /// Takes note of what the verdicts mean for the quorums.
    pub fn update_quorums(&mut self, now: Instant) {
        let verdicts: Vec<Verdict> = self.slots.iter().map(Slot::verdict).collect();
        for slot in &mut self.slots {
            if let Source::Quorum(quorum) = &mut slot.source {
                quorum.update(now, &verdicts);
            }
        }
    }

    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    pub fn tracker_mut(&mut self, place: usize) -> Option<&mut Tracker> {
        match &mut self.slots.get_mut(place)?.source {
            Source::Runs(tracker) => Some(tracker),
            Source::Quorum(_) => None,
        }
    }

    /// Whether the probe at this place counts as passing.
    pub fn passes(&self, place: usize, view: View) -> bool {
        match self.slots.get(place).map(|slot| &slot.source) {
            Some(Source::Quorum(quorum)) => self.passing(quorum, view) >= quorum.at_least,
            Some(Source::Runs(_)) => self.is_passing_run(place, view),
            None => false,
        }
    }

    /// How many of those that a quorum names count as passing.
    pub fn passing(&self, quorum: &Quorum, view: View) -> usize {
        quorum
            .of
            .iter()
            .filter(|place| self.is_passing_run(**place, view))
            .count()
    }

    /// A quorum never passes here: one that named another, or itself, must not send us round in circles.
    fn is_passing_run(&self, place: usize, view: View) -> bool {
        match (self.slots.get(place).map(|slot| &slot.source), view) {
            (Some(Source::Runs(tracker)), View::Strict) => tracker.passes(),
            (Some(Source::Runs(tracker)), View::Lenient) => tracker.may_pass(),
            _ => false,
        }
    }
}

impl Slot {
    pub fn verdict(&self) -> Verdict {
        match &self.source {
            Source::Runs(tracker) => tracker.verdict(),
            Source::Quorum(quorum) => quorum.verdict,
        }
    }
}

fn quorum(probes: &[Probe], of: &[String], at_least: usize) -> Quorum {
    let is_named = |probe: &Probe| matches!(probe.kind, Kind::Runs { .. }) && of.contains(&probe.name);
    Quorum {
        of: (0..)
            .zip(probes)
            .filter(|(_, probe)| is_named(probe))
            .map(|(place, _)| place)
            .collect(),
        at_least,
        verdict: Verdict::NotYetKnown,
        since: None,
    }
}
