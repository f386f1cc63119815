//! A quorum: from the verdicts of several probes to one.

use holdfast_vrrp::Instant;

use crate::judgement::Verdict;

/// Several probes of which so many have to pass. It has no thresholds of its own.
#[derive(Clone, Debug)]
pub(crate) struct Quorum {
    /// The places of those named among the group's probes.
    pub of: Vec<usize>,
    /// How many of them have to pass.
    pub at_least: usize,
    verdict: Verdict,
    since: Option<Instant>,
}

impl Quorum {
    /// A quorum, which goes on from what it was `before` an edit.
    pub fn new(of: Vec<usize>, at_least: usize, before: Option<&Self>) -> Self {
        Self {
            of,
            at_least,
            verdict: before.map_or(Verdict::NotYetKnown, Self::verdict),
            since: before.and_then(Self::since),
        }
    }

    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Since when the verdict is this one; `None` while nothing is known.
    pub fn since(&self) -> Option<Instant> {
        self.since
    }

    /// Takes note of what the group's probes say now.
    pub fn update(&mut self, now: Instant, verdicts: &[Verdict]) {
        let members = self.of.iter().filter_map(|place| verdicts.get(*place)).copied();
        let verdict = verdict(members, self.at_least);
        if self.verdict != verdict {
            self.verdict = verdict;
            self.since = (verdict != Verdict::NotYetKnown).then_some(now);
        }
    }
}

/// Passing if enough pass whatever becomes of the others, Failing if not enough can, and between the two what it hangs on.
fn verdict(members: impl Iterator<Item = Verdict>, at_least: usize) -> Verdict {
    let (mut passing, mut recovering, mut unknown) = (0, 0, 0);
    for member in members {
        match member {
            Verdict::Passing => passing += 1,
            Verdict::Recovering => recovering += 1,
            Verdict::NotYetKnown => unknown += 1,
            Verdict::Failing => {}
        }
    }
    if passing >= at_least {
        Verdict::Passing
    } else if passing + recovering >= at_least {
        Verdict::Recovering
    } else if passing + recovering + unknown >= at_least {
        Verdict::NotYetKnown
    } else {
        Verdict::Failing
    }
}
