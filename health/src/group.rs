//! One group's health on one node: results and time in, a judgement and its explanation out.

use holdfast_vrrp::{Health, Instant};

use crate::assess::Assessment;
use crate::damping::{Cause, Damper};
use crate::explain;
use crate::judgement::{Judgement, Recover, Report};
use crate::policy::Policy;
use crate::probes::{Probes, View};
use crate::run::Run;

/// One group's health on one node.
///
/// Nothing here reads a clock: every input comes with the time, and [`Self::next_timeout`] says when time alone changes
/// something. No input makes it panic; a probe's name that it does not know, as after an edit, is passed over.
#[derive(Clone, Debug)]
pub struct GroupHealth {
    /// All of it but the probes, which are in `probes`.
    policy: Policy,
    probes: Probes,
    damper: Damper,
}

impl GroupHealth {
    /// The health of a group that is new to this agent: a probe counts as failed until it has passed as often in a row as its
    /// policy asks.
    pub fn new(now: Instant, mut policy: Policy) -> Self {
        let probes = Probes::new(now, core::mem::take(&mut policy.probes));
        let fitness = Assessment::new(&policy, &probes, View::Strict).fitness();
        Self {
            damper: Damper::new(now, policy.damping, fitness),
            probes,
            policy,
        }
    }

    /// What is to be made of results has changed. Probes of the same name keep their verdict, and begin to count anew if their
    /// thresholds or their healing were edited; new ones count as passing until something is known of them.
    ///
    /// An edit is no change of the node's fitness that damping would count, but that the node is being worked on is one.
    /// Damping that was edited itself begins anew: a node that is held back is let go.
    pub fn configure(&mut self, now: Instant, mut policy: Policy) {
        self.probes = self.probes.edited(now, core::mem::take(&mut policy.probes));
        let before = core::mem::replace(&mut self.policy, policy);
        if self.policy.damping != before.damping {
            let fitness = Assessment::new(&self.policy, &self.probes, View::Strict).fitness();
            self.damper = Damper::new(now, self.policy.damping, fitness);
        }
        let cause = if self.policy.duty == before.duty {
            Cause::News
        } else {
            Cause::Flap
        };
        self.judge(now, cause);
    }

    /// A probe looks for something else under the same name, which this crate does not see: it keeps its verdict and begins to
    /// count anew. An attempt at healing that runs is given up.
    pub fn count_anew(&mut self, now: Instant, probe: &str) {
        if let Some(tracker) = self.probes.tracker_mut(probe) {
            tracker.count_anew(now);
        }
    }

    /// Takes note of what one run of `probe` found. `Some`: healing is to be tried now, and [`Self::recovered`] to be told how
    /// that ended. Runs that end before then decide nothing.
    pub fn take(&mut self, now: Instant, probe: &str, run: Run) -> Option<Recover> {
        let tracker = self.probes.tracker_mut(probe)?;
        let cause = if tracker.is_known() {
            Cause::Flap
        } else {
            Cause::News
        };
        let attempt = tracker.take(now, run);
        self.probes.update_quorums(now);
        self.judge(now, cause);
        attempt.map(|attempt| Recover {
            probe: probe.to_owned(),
            attempt: attempt.number,
            of: attempt.of,
        })
    }

    /// Takes note of how an attempt at healing ended. That is shown; whether it helped, the probe's next runs say.
    pub fn recovered(&mut self, now: Instant, probe: &str, run: Run) {
        if let Some(tracker) = self.probes.tracker_mut(probe) {
            tracker.healed(now, run);
        }
    }

    /// The node's health as its probes have it now.
    pub fn judgement(&self) -> Judgement {
        self.judgement_from(&self.assess(View::Strict))
    }

    /// The judgement with everything that explains it.
    pub fn report(&self) -> Report {
        let strict = self.assess(View::Strict);
        let held_back = self.damper.held_back();
        explain::report(
            &self.policy,
            &self.probes,
            &strict,
            self.judgement_from(&strict),
            held_back,
        )
    }

    /// When time alone changes the judgement, if it does: [`Self::handle_timeout`] is to be called then.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.damper.next_timeout()
    }

    /// The time that [`Self::next_timeout`] named has come. Calling this too early or too often does no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.damper.handle_timeout(now);
    }

    fn judge(&mut self, now: Instant, cause: Cause) {
        let fitness = self.assess(View::Strict).fitness();
        self.damper.judge(now, fitness, cause);
    }

    fn assess(&self, view: View) -> Assessment<'_> {
        Assessment::new(&self.policy, &self.probes, view)
    }

    fn judgement_from(&self, strict: &Assessment<'_>) -> Judgement {
        Judgement {
            strict: self.health(strict),
            lenient: self.health(&self.assess(View::Lenient)),
        }
    }

    fn health(&self, assessment: &Assessment<'_>) -> Health {
        assessment.health(self.policy.base, self.damper.reserve())
    }
}
