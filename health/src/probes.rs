//! The probes of a group: those that are run, the quorums over them, and which of them count as passing.

use holdfast_vrrp::Instant;

use crate::judgement::Verdict;
use crate::policy::{Kind, OnFailure, Probe};
use crate::quorum::Quorum;
use crate::tracker::{Tracker, Unknown};

/// The probes in the order written.
#[derive(Clone, Debug)]
pub(crate) struct Probes(Vec<Slot>);

/// One probe.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    /// Its name.
    pub name: String,
    /// What its failure does, if no quorum names it.
    pub on_failure: OnFailure,
    /// The quorum that names it: it counts there only.
    pub quorum: Option<String>,
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

/// Who asks whether a probe passes: what differs is what is not known yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum View {
    /// What is not known counts as failed, unless it was added by an edit.
    Strict,
    /// What is not known counts as passing.
    Lenient,
}

impl Probes {
    /// The probes of a group of which nothing is known.
    pub fn new(now: Instant, probes: Vec<Probe>) -> Self {
        Self(Vec::new()).with(now, probes, Unknown::Fails)
    }

    /// What becomes of these after an edit: those of the same name keep their verdicts, those that were edited begin to count
    /// anew, and those that are new are trusted until something is known of them.
    pub fn edited(&self, now: Instant, probes: Vec<Probe>) -> Self {
        self.with(now, probes, Unknown::Passes)
    }

    fn with(&self, now: Instant, probes: Vec<Probe>, unknown: Unknown) -> Self {
        let quorums: Vec<Option<String>> = probes.iter().map(|probe| quorum_of(probe, &probes)).collect();
        let sources: Vec<Source> = probes
            .iter()
            .map(|probe| self.source(now, probe, &probes, unknown))
            .collect();
        let slots = probes
            .into_iter()
            .zip(quorums)
            .zip(sources)
            .map(|((probe, quorum), source)| Slot {
                name: probe.name,
                on_failure: probe.on_failure,
                quorum,
                source,
            });
        let mut all = Self(slots.collect());
        all.update_quorums(now);
        all
    }

    fn source(&self, now: Instant, probe: &Probe, probes: &[Probe], unknown: Unknown) -> Source {
        let before = self.get(&probe.name).map(|slot| &slot.source);
        match (&probe.kind, before) {
            (Kind::Runs { thresholds, recovery }, Some(Source::Runs(tracker))) => {
                let mut tracker = tracker.clone();
                tracker.edit(now, *thresholds, *recovery);
                Source::Runs(tracker)
            }
            (Kind::Runs { thresholds, recovery }, _) => {
                Source::Runs(Tracker::new(*thresholds, *recovery, unknown))
            }
            (Kind::Quorum { of, at_least }, before) => {
                let runs = |probe: &Probe| matches!(probe.kind, Kind::Runs { .. });
                let named = |(_, probe): &(usize, &Probe)| runs(probe) && of.contains(&probe.name);
                let places = probes.iter().enumerate().filter(named).map(|(place, _)| place);
                let before = match before {
                    Some(Source::Quorum(quorum)) => Some(quorum),
                    _ => None,
                };
                Source::Quorum(Quorum::new(places.collect(), *at_least, before))
            }
        }
    }

    /// Takes note of what the verdicts mean for the quorums.
    pub fn update_quorums(&mut self, now: Instant) {
        let verdicts: Vec<Verdict> = self.0.iter().map(Slot::verdict).collect();
        for slot in &mut self.0 {
            if let Source::Quorum(quorum) = &mut slot.source {
                quorum.update(now, &verdicts);
            }
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.0.iter()
    }

    /// Those whose failure does something: those that a quorum names count there only.
    pub fn acting(&self) -> impl Iterator<Item = &Slot> {
        self.iter().filter(|slot| slot.quorum.is_none())
    }

    /// Those whose failure does this, and that do not pass.
    pub fn failing(&self, action: OnFailure) -> impl Iterator<Item = &Slot> {
        self.acting()
            .filter(move |slot| slot.on_failure == action && !self.passes(slot, View::Strict))
    }

    /// The probe of this name, if it is one that is run.
    pub fn tracker_mut(&mut self, name: &str) -> Option<&mut Tracker> {
        match &mut self.0.iter_mut().find(|slot| slot.name == name)?.source {
            Source::Runs(tracker) => Some(tracker),
            Source::Quorum(_) => None,
        }
    }

    /// Whether the probe counts as passing.
    pub fn passes(&self, slot: &Slot, view: View) -> bool {
        match &slot.source {
            Source::Runs(tracker) => passes(tracker, view),
            Source::Quorum(quorum) => self.passing(quorum, view) >= quorum.at_least,
        }
    }

    /// How many of those that a quorum names count as passing.
    pub fn passing(&self, quorum: &Quorum, view: View) -> usize {
        let slots = quorum.of.iter().filter_map(|place| self.0.get(*place));
        let passing = slots.filter(|slot| match &slot.source {
            Source::Runs(tracker) => passes(tracker, view),
            // A quorum names no quorum, so that nobody is sent round in circles.
            Source::Quorum(_) => false,
        });
        passing.count()
    }

    fn get(&self, name: &str) -> Option<&Slot> {
        self.0.iter().find(|slot| slot.name == name)
    }
}

impl Slot {
    pub fn verdict(&self) -> Verdict {
        match &self.source {
            Source::Runs(tracker) => tracker.verdict(),
            Source::Quorum(quorum) => quorum.verdict(),
        }
    }
}

fn passes(tracker: &Tracker, view: View) -> bool {
    match view {
        View::Strict => tracker.passes(),
        View::Lenient => tracker.may_pass(),
    }
}

/// The quorum that names `probe`.
fn quorum_of(probe: &Probe, probes: &[Probe]) -> Option<String> {
    let names = |other: &&Probe| match &other.kind {
        Kind::Quorum { of, .. } => of.contains(&probe.name),
        Kind::Runs { .. } => false,
    };
    match probe.kind {
        Kind::Runs { .. } => probes.iter().find(names).map(|quorum| quorum.name.clone()),
        Kind::Quorum { .. } => None,
    }
}
