//! One probe that is run: from its results to its verdict, with healing tried in between if that is asked for.

use core::num::NonZeroU8;

use holdfast_vrrp::Instant;

use crate::judgement::{Healing, Verdict};
use crate::policy::{Recovery, Thresholds};
use crate::run::{Outcome, Run};

/// One probe that is run.
#[derive(Clone, Debug)]
pub(crate) struct Tracker {
    thresholds: Thresholds,
    recovery: Option<Recovery>,
    verdict: Verdict,
    /// Since when the verdict is this one.
    since: Option<Instant>,
    /// What counts while nothing is known.
    unknown: Unknown,
    /// Whether it has ever been found passing or failing. A probe that has not is healed like any other, but that makes nobody
    /// trust it more than before.
    known: bool,
    /// How many runs in a row ended on the side of the last one, as far as they are counted.
    streak: u8,
    /// The last runs, as long as they all ended in the same way.
    row: Option<Row>,
    /// The row that status speaks of.
    shown: Option<Row>,
    /// The last run.
    latest: Option<Run>,
    /// What the last run that passed adds to the priority.
    adds: Option<i16>,
    /// The last series of attempts at healing.
    healing: Option<Healing>,
}

/// What counts while nothing is known of a probe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unknown {
    /// It counts as failed: who has not shown that it can serve does not take over.
    Fails,
    /// It counts as passing: an edit alone moves no address.
    Passes,
}

/// Runs in a row that all ended in the same way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Row {
    /// How each of them ended.
    pub outcome: Outcome,
    /// What the first of them found.
    pub message: String,
    length: u8,
}

/// Healing is to be tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Attempt {
    /// The how-manieth of its series, from 1.
    pub number: NonZeroU8,
    /// How many there are to be.
    pub of: NonZeroU8,
}

impl Tracker {
    pub fn new(thresholds: Thresholds, recovery: Option<Recovery>, unknown: Unknown) -> Self {
        Self {
            thresholds,
            recovery,
            verdict: Verdict::NotYetKnown,
            since: None,
            unknown,
            known: false,
            streak: 0,
            row: None,
            shown: None,
            latest: None,
            adds: None,
            healing: None,
        }
    }

    /// Takes note of a run. `Some`: healing is to be tried now.
    pub fn take(&mut self, now: Instant, run: Run) -> Option<Attempt> {
        let run = run.cut();
        let passed = run.outcome.is_pass();
        let same_side = self
            .latest
            .as_ref()
            .is_some_and(|last| last.outcome.is_pass() == passed);
        self.streak = if same_side {
            self.streak.saturating_add(1)
        } else {
            1
        };
        if passed {
            self.adds = run.adds;
        }
        self.note_row(&run);
        self.latest = Some(run);

        if self.is_being_healed() {
            // A service that is being restarted comes and goes: what counts is how it is afterwards.
            self.streak = 0;
            return None;
        }
        match self.verdict {
            Verdict::Recovering if passed => self.end_healing(now),
            Verdict::NotYetKnown | Verdict::Failing
                if passed && self.streak >= self.thresholds.success.get() =>
            {
                self.decide_known(now, Verdict::Passing);
            }
            Verdict::NotYetKnown | Verdict::Passing | Verdict::Recovering
                if !passed && self.streak >= self.thresholds.failure.get() =>
            {
                return self.heal_or_fail(now);
            }
            _ => {}
        }
        None
    }

    /// Takes note of how an attempt at healing ended. The next runs decide whether it helped.
    pub fn healed(&mut self, now: Instant, run: Run) {
        if let Some(healing) = &mut self.healing
            && healing.running
        {
            healing.running = false;
            healing.ended = Some(now);
            healing.result = Some(run.cut());
            self.streak = 0;
        }
    }

    /// From now on so many runs count, and this is how healing is tried.
    pub fn edit(&mut self, now: Instant, thresholds: Thresholds, recovery: Option<Recovery>) {
        if (self.thresholds, self.recovery) != (thresholds, recovery) {
            (self.thresholds, self.recovery) = (thresholds, recovery);
            self.count_anew(now);
        }
    }

    /// The probe was edited: its verdict stays, and it begins to count anew. An attempt at healing that runs is no longer
    /// waited for, as whoever ran it may have stopped it with the old probe.
    pub fn count_anew(&mut self, now: Instant) {
        self.streak = 0;
        if let Some(healing) = &mut self.healing
            && healing.running
        {
            healing.running = false;
            healing.ended = Some(now);
        }
    }

    /// How many runs in a row that did not pass make it fail.
    pub fn failure_threshold(&self) -> NonZeroU8 {
        self.thresholds.failure
    }

    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    pub fn since(&self) -> Option<Instant> {
        self.since
    }

    pub fn is_known(&self) -> bool {
        self.known
    }

    /// Whether it counts as passing.
    pub fn passes(&self) -> bool {
        match self.verdict {
            Verdict::Passing => true,
            Verdict::Failing => false,
            Verdict::NotYetKnown | Verdict::Recovering => self.known || self.unknown == Unknown::Passes,
        }
    }

    /// Whether it counts as passing if one goes by what is known only.
    pub fn may_pass(&self) -> bool {
        self.verdict != Verdict::Failing
    }

    pub fn adds(&self) -> i16 {
        self.adds.unwrap_or(0)
    }

    pub fn shown(&self) -> Option<&Row> {
        self.shown.as_ref()
    }

    pub fn latest(&self) -> Option<&Run> {
        self.latest.as_ref()
    }

    pub fn healing(&self) -> Option<&Healing> {
        self.healing.as_ref()
    }

    /// How many runs speak against the verdict, or for what it will be; and how many it takes.
    pub fn streak(&self) -> (u8, u8) {
        let last_passed = self.latest.as_ref().is_some_and(|last| last.outcome.is_pass());
        let (counts, of) = match self.verdict {
            Verdict::Passing | Verdict::Recovering => (!last_passed, self.thresholds.failure),
            Verdict::Failing => (last_passed, self.thresholds.success),
            Verdict::NotYetKnown if last_passed => (true, self.thresholds.success),
            Verdict::NotYetKnown => (true, self.thresholds.failure),
        };
        (if counts { self.streak.min(of.get()) } else { 0 }, of.get())
    }

    fn is_being_healed(&self) -> bool {
        self.verdict == Verdict::Recovering && self.healing.as_ref().is_some_and(|healing| healing.running)
    }

    /// What is shown changes with the verdict, and when as many runs in a row as make a verdict ended in another way than
    /// what is shown: not with each run of a probe that fails now this way, now that.
    fn note_row(&mut self, run: &Run) {
        let settles = match run.outcome {
            Outcome::Passed => self.thresholds.success,
            _ => self.thresholds.failure,
        };
        let row = match self.row.take() {
            Some(row) if row.outcome == run.outcome => Row {
                length: row.length.saturating_add(1),
                ..row
            },
            _ => Row {
                outcome: run.outcome,
                message: run.message.clone(),
                length: 1,
            },
        };
        let is_news = self
            .shown
            .as_ref()
            .is_none_or(|shown| shown.outcome != row.outcome && row.length >= settles.get());
        if is_news {
            self.shown = Some(row.clone());
        }
        self.row = Some(row);
    }

    fn heal_or_fail(&mut self, now: Instant) -> Option<Attempt> {
        let attempt = self.next_attempt(now);
        if let Some(attempt) = attempt {
            self.healing = Some(Healing {
                attempt: attempt.number,
                of: attempt.of,
                running: true,
                ended: None,
                result: None,
            });
            self.streak = 0;
            self.decide(now, Verdict::Recovering);
        } else {
            self.decide_known(now, Verdict::Failing);
        }
        attempt
    }

    /// Which attempt at healing comes next; `None` if it has been tried often enough, or a short time ago.
    fn next_attempt(&self, now: Instant) -> Option<Attempt> {
        let Recovery { attempts, cooldown } = self.recovery?;
        let number = match &self.healing {
            Some(healing) if self.verdict == Verdict::Recovering => healing.attempt.checked_add(1)?,
            Some(healing) if healing.ended.is_some_and(|ended| now < ended + cooldown) => return None,
            _ => NonZeroU8::MIN,
        };
        (number <= attempts).then_some(Attempt { number, of: attempts })
    }

    /// One run that passes is enough to go back to what the probe was before healing began.
    fn end_healing(&mut self, now: Instant) {
        if self.known || self.streak >= self.thresholds.success.get() {
            self.decide_known(now, Verdict::Passing);
        } else {
            self.decide(now, Verdict::NotYetKnown);
            self.since = None;
        }
    }

    fn decide_known(&mut self, now: Instant, verdict: Verdict) {
        self.known = true;
        self.decide(now, verdict);
    }

    fn decide(&mut self, now: Instant, verdict: Verdict) {
        if self.verdict != verdict {
            self.verdict = verdict;
            self.since = Some(now);
            self.shown.clone_from(&self.row);
        }
    }
}
