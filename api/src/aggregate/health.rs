//! Whether a member is fit to serve, and why if it is not: its probes, work on its node, that it came and went too often.

use holdfast_vrrp::{Fault as VrrpFault, Priority};

use super::Scene;
use super::members::{self, Seen};
use super::probes;
use super::words::{self, at};
use crate::reason::Reason;
use crate::v1alpha1::{
    FailureActionType, Fault, MemberState, NodeDutyType, Probe, ProbeStatus, ProbeVerdict,
};

/// The highest priority with which only a member stands that is behind every healthy one.
const FLOOR: i32 = Priority::FLOOR_MAX.get() as i32;

/// Faults that are said in the words of this module.
const PROBE_FAILED: &str = VrrpFault::ProbeFailed.reason();
const MAINTENANCE: &str = VrrpFault::Maintenance.reason();

/// Work on a member's node, and what is asked of the member meanwhile.
pub(super) struct Work {
    /// What is being done, and what ends it.
    pub reason: String,
    asked: NodeDutyType,
    /// Whether its agent says so of its own accord, in a sentence of its own.
    is_agents_word: bool,
}

impl<'a> Seen<'a> {
    /// The probes that fail, as the agent said last.
    pub fn failing(&self) -> impl Iterator<Item = &'a ProbeStatus> {
        self.probes(ProbeVerdict::Failing)
    }

    /// Why the member cannot serve as it should, if it cannot; what has only not started yet can.
    pub fn lack(&self, scene: &Scene<'_>, place: usize) -> Option<Reason> {
        if !self.is_live() {
            return Some(Reason::MemberUnreachable);
        }
        let state = members::state(scene, place);
        let nameless = state == MemberState::Fault && self.said.is_none_or(|said| said.faults.is_empty());
        if nameless || state == MemberState::Standby || self.other_faults().next().is_some() {
            Some(Reason::MemberFault)
        } else if self.work().is_some() {
            Some(Reason::MemberInMaintenance)
        } else if self.failing().next().is_some() || self.has(PROBE_FAILED) && !self.is_waiting() {
            Some(Reason::ProbeFailing)
        } else if self.said.is_some_and(|said| said.held_back_until.is_some()) {
            Some(Reason::MemberHeldBack)
        } else {
            None
        }
    }

    /// Whether somebody would be served if the addresses came to this member.
    pub fn is_able(&self, scene: &Scene<'_>, place: usize) -> bool {
        let lacks = self.lack(scene, place);
        let released = self
            .work()
            .is_some_and(|work| work.asked == NodeDutyType::Release);
        !matches!(lacks, Some(Reason::MemberUnreachable | Reason::MemberFault))
            && !released
            && !self.service_fails()
    }

    /// Whether its service fails, so that every healthy member goes before it.
    pub fn service_fails(&self) -> bool {
        let gives_way = |probe: &ProbeStatus| {
            let action = self.written(probe).map(|written| written.on_failure.type_);
            matches!(action, Some(FailureActionType::Hold | FailureActionType::Fault))
                && !self.is_in_quorum(probe)
        };
        self.failing().any(gives_way)
            || self.is_at_the_floor() && self.work().is_none() && !self.is_waiting()
            || self.has(PROBE_FAILED) && !self.is_waiting()
    }

    /// The faults that this module has no words of its own for.
    pub fn other_faults(&self) -> impl Iterator<Item = &'a Fault> {
        let faults = self.said.into_iter().flat_map(|said| &said.faults);
        faults.filter(|fault| !matches!(&*fault.reason, PROBE_FAILED | MAINTENANCE))
    }

    /// Work on its node that this group asks something of it for.
    pub fn work(&self) -> Option<Work> {
        self.told_work().or_else(|| {
            // The node shuts down: nobody but its agent knows.
            let fault = self.fault(MAINTENANCE).filter(|_| self.is_live())?;
            Some(Work {
                reason: fault.message.clone().unwrap_or_else(|| fault.reason.clone()),
                asked: NodeDutyType::Release,
                is_agents_word: true,
            })
        })
    }

    /// What is to be said of its health, if its agent is heard.
    pub fn health(&self) -> Vec<String> {
        let mut parts: Vec<String> = self
            .failing()
            .map(|probe| probes::failing(probe, self.written(probe), self.name()))
            .collect();
        if parts.is_empty() && !self.is_waiting() {
            // An agent that says it in its own words only.
            parts.extend(self.fault(PROBE_FAILED).map(words::fault));
        }
        parts.extend(self.consequence());
        let recovering = self.probes(ProbeVerdict::Recovering);
        parts.extend(recovering.map(|probe| {
            format!(
                "probe `{}` does not pass, and its recovery is being tried",
                probe.name
            )
        }));
        if self.is_at_the_floor() || self.has(PROBE_FAILED) {
            let unknown = self.probes(ProbeVerdict::NotYetKnown);
            parts.extend(unknown.map(|probe| format!("probe `{}` has not passed yet", probe.name)));
        }
        parts.extend(self.work().map(|work| work.words(self)));
        let until = self.said.and_then(|said| said.held_back_until.as_ref());
        parts.extend(until.map(|until| {
            format!(
                "it came and went too often and is held back: other healthy members go first until {}",
                at(until.0)
            )
        }));
        parts
    }

    /// What failing probes have done to it.
    fn consequence(&self) -> Option<String> {
        self.failing().next()?;
        let (base, effective) = (self.told.map(|told| told.priority), self.said?.effective_priority);
        Some(if self.has(PROBE_FAILED) {
            "until it passes, the node is out of the election".to_owned()
        } else if self.service_fails() {
            "until it passes, every healthy member goes before it".to_owned()
        } else if let (Some(base), Some(effective)) = (base, effective)
            && base != effective
        {
            format!("it has priority {effective} instead of {base} meanwhile")
        } else {
            "nothing follows from that".to_owned()
        })
    }

    fn told_work(&self) -> Option<Work> {
        let told = self.told.filter(|told| !told.deleted)?;
        if told.duty.type_ == NodeDutyType::Serve {
            return None;
        }
        Some(Work {
            reason: told
                .duty
                .reason
                .clone()
                .unwrap_or_else(|| "nobody says why".to_owned()),
            asked: told.duty.type_,
            is_agents_word: false,
        })
    }

    fn probes(&self, verdict: ProbeVerdict) -> impl Iterator<Item = &'a ProbeStatus> {
        let probes = self.said.into_iter().flat_map(|said| &said.probes);
        probes.filter(move |probe| probe.verdict == verdict)
    }

    /// A probe as the group has it.
    fn written(&self, probe: &ProbeStatus) -> Option<&'a Probe> {
        self.told?
            .probes
            .iter()
            .find(|written| written.name == probe.name)
    }

    /// Whether a probe acts through a quorum only.
    fn is_in_quorum(&self, probe: &ProbeStatus) -> bool {
        self.told
            .is_some_and(|told| Probe::is_in_quorum(&probe.name, &told.probes))
    }

    /// Whether it stands behind every healthy member, and not because its priority is so low.
    fn is_at_the_floor(&self) -> bool {
        let stands = self.said.and_then(|said| said.effective_priority);
        stands.is_some_and(|stands| (1..=FLOOR).contains(&stands))
            && self.told.is_none_or(|told| told.priority > FLOOR)
    }

    /// Whether its probes have only not been run often enough.
    fn is_waiting(&self) -> bool {
        self.failing().next().is_none() && self.probes(ProbeVerdict::NotYetKnown).next().is_some()
    }

    fn has(&self, fault: &str) -> bool {
        self.fault(fault).is_some()
    }

    fn fault(&self, reason: &str) -> Option<&'a Fault> {
        let mut faults = self.said?.faults.iter();
        faults.find(|fault| fault.reason == reason)
    }
}

impl Work {
    /// What is being done, and what the member does meanwhile.
    pub fn words(&self, member: &Seen<'_>) -> String {
        let then = match self.asked {
            _ if self.is_agents_word => return self.reason.clone(),
            _ if !member.is_live() => return format!("its node is being worked on ({})", self.reason),
            NodeDutyType::Release if member.claims() => "it is to hand over",
            NodeDutyType::Release => "it takes no part meanwhile",
            NodeDutyType::Demote | NodeDutyType::Serve => "it serves only if nobody else can",
        };
        format!("its node is being worked on ({}): {then}", self.reason)
    }
}
