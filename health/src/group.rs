//! One group's health on one node: results and time in, a judgement and its explanation out.

use holdfast_vrrp::{Health, Instant};

use crate::assess::Assessment;
use crate::judgement::{Judgement, Recover, Report};
use crate::policy::{Kind, Policy};
use crate::probes::{Probes, View};
use crate::run::Run;

/// One group's health on one node.
///
/// Nothing here reads a clock: every input comes with the time, and [`Self::next_timeout`] says when time alone changes
/// something. No input makes it panic; a probe's name that it does not know, as after an edit, is passed over.
#[derive(Clone, Debug)]
pub struct GroupHealth {
    policy: Policy,
    probes: Probes,
}

impl GroupHealth {
    /// The health of a group that is new to this agent: a probe counts as failed until it has passed as often in a row as its
    /// policy asks.
    pub fn new(now: Instant, policy: Policy) -> Self {
        Self {
            probes: Probes::new(now, &policy),
            policy,
        }
    }

    /// What is to be made of results has changed. Probes of the same name keep their verdict, and begin to count anew if their
    /// thresholds or their healing were edited; new ones count as passing until something is known of them.
    pub fn configure(&mut self, now: Instant, policy: Policy) {
        self.probes = self.probes.edited(now, &self.policy, &policy);
        self.policy = policy;
    }

    /// A probe looks for something else under the same name, which this crate does not see: it keeps its verdict and begins to
    /// count anew. An attempt at healing that runs is given up.
    pub fn count_anew(&mut self, now: Instant, probe: &str) {
        if let Some(tracker) = self.place(probe).and_then(|place| self.probes.tracker_mut(place)) {
            tracker.count_anew(now);
        }
    }

    /// Takes note of what one run of `probe` found. `Some`: healing is to be tried now, and [`Self::recovered`] to be told how
    /// that ended. Runs that end before decide nothing.
    pub fn take(&mut self, now: Instant, probe: &str, run: Run) -> Option<Recover> {
        let place = self.place(probe)?;
        let Kind::Runs { thresholds, recovery } = self.policy.probes.get(place)?.kind else {
            return None;
        };
        let attempt = self
            .probes
            .tracker_mut(place)?
            .take(now, run, thresholds, recovery);
        self.probes.update_quorums(now);
        Some(Recover {
            probe: probe.to_owned(),
            attempt: attempt?,
            of: recovery?.attempts,
        })
    }

    /// Takes note of how an attempt at healing ended. That is shown; whether it helped, the probe's next runs say.
    pub fn recovered(&mut self, now: Instant, probe: &str, run: Run) {
        if let Some(tracker) = self.place(probe).and_then(|place| self.probes.tracker_mut(place)) {
            tracker.healed(now, run);
        }
    }

    /// The node's health as its probes have it now.
    pub fn judgement(&self) -> Judgement {
        Judgement {
            strict: self.health(View::Strict),
            lenient: self.health(View::Lenient),
        }
    }

    /// The judgement with everything that explains it.
    pub fn report(&self) -> Report {
        let strict = Assessment::new(&self.policy, &self.probes, View::Strict);
        crate::explain::report(&self.policy, &self.probes, &strict, self.judgement())
    }

    /// When time alone changes the judgement, if it does: [`Self::handle_timeout`] is to be called then.
    pub fn next_timeout(&self) -> Option<Instant> {
        None
    }

    /// The time that [`Self::next_timeout`] named has come.
    pub fn handle_timeout(&mut self, _now: Instant) {}

    fn health(&self, view: View) -> Health {
        Assessment::new(&self.policy, &self.probes, view).health(self.policy.base, None)
    }

    fn place(&self, probe: &str) -> Option<usize> {
        self.policy.probes.iter().position(|other| other.name == probe)
    }
}
