//! Why a group is kept out of the election, or stands in it where it does, in sentences.

use holdfast_vrrp::{Fault, Faults};

use super::fitness::{self, Doubt};
use super::group::Group;
use super::messages::Judged;

/// A group with everybody who has a say in its health.
#[derive(Clone, Copy, Debug)]
pub struct Account<'a> {
    group: &'a Group,
    judged: Option<&'a Judged>,
    /// The group of its sync group that cannot take part.
    faulty: Option<&'a Group>,
    /// The group of its sync group that stands lowest, and what is made of that.
    lowest: Option<(&'a Group, Option<&'a Judged>)>,
}

impl<'a> Account<'a> {
    /// The account of `group`. `group_in` and `judged` know the other groups, by slot and by name.
    pub fn of(
        group: &'a Group,
        group_in: impl Fn(usize) -> Option<&'a Group>,
        judged: impl Fn(&str) -> Option<&'a Judged>,
    ) -> Self {
        let lowest = group.fellows.lowest.and_then(|(slot, _)| group_in(slot));
        Self {
            group,
            judged: judged(&group.spec.name),
            faulty: group.fellows.fault.and_then(|(slot, _)| group_in(slot)),
            lowest: lowest.map(|fellow| (fellow, judged(&fellow.spec.name))),
        }
    }

    /// What was found of a fault; `None` for one that another fault explains (no source address on an interface that does not
    /// exist). Of what probes and people say there is more in the probes' own report.
    pub fn fault(&self, fault: Fault) -> Option<String> {
        match fault {
            Fault::BindFailed => self.group.bind_error.clone(),
            Fault::ProbeFailed => Some("a probe with onFailure Fault fails".to_owned()),
            Fault::Maintenance => Some("the node is being worked on".to_owned()),
            Fault::SyncGroup => Some(self.sync_fault()),
            _ => {
                let mut found = self.group.resolved.faults.iter();
                found
                    .find(|(found, _)| *found == fault)
                    .map(|(_, sentence)| sentence.clone())
            }
        }
    }

    /// All that keeps the group out of the election, for the log.
    pub fn faults(&self) -> Vec<String> {
        let present = self.group.router.snapshot().faults;
        let judged = present.contains(Fault::ProbeFailed) || present.contains(Fault::Maintenance);
        let why = self.judged.filter(|_| judged).map(|judged| judged.why.clone());
        let untold = present.iter().filter(|fault| {
            let told = matches!(fault, Fault::ProbeFailed | Fault::Maintenance) && why.is_some();
            !told
        });
        // All of a kind: several addresses may lack their interfaces.
        let several = |fault: Fault| {
            let found = self.group.resolved.faults.iter();
            let found: Vec<String> = found
                .filter(|(found, _)| *found == fault)
                .map(|(_, sentence)| sentence.clone())
                .collect();
            if found.is_empty() {
                self.fault(fault).into_iter().collect()
            } else {
                found
            }
        };
        let mut sentences: Vec<String> = untold.flat_map(several).collect();
        sentences.extend(why.clone());
        sentences
    }

    /// Why the group stands where it does, whoever decides that.
    pub fn standing(&self) -> String {
        self.lowered()
            .unwrap_or_else(|| own_standing(self.group, self.judged))
    }

    /// Why the group stands lower than it would by itself; `None` if it does not.
    pub fn lowered(&self) -> Option<String> {
        let group = self.group;
        let own = fitness::own(Faults::NONE, group.judgement, group.doubt);
        if fitness::with_fellows(own, group.spec.priority, &group.fellows).standing == own.standing {
            return None;
        }
        let sync_group = group.spec.sync_group.as_deref().unwrap_or_default();
        Some(match self.lowest {
            Some((fellow, judged)) => format!(
                "as group {} of sync group {sync_group}: {}",
                fellow.spec.name,
                own_standing(fellow, judged)
            ),
            None => format!("as another group of sync group {sync_group}"),
        })
    }

    /// The group that has left and takes this one along.
    pub fn leaver(&self) -> Option<&'a str> {
        self.group.leaver.as_deref()
    }

    fn sync_fault(&self) -> String {
        let sync_group = self.group.spec.sync_group.as_deref().unwrap_or_default();
        let name = self.faulty.map(|fellow| fellow.spec.name.as_str());
        let (Some(name), Some((_, faults))) = (name, self.group.fellows.fault) else {
            return format!("another group of sync group {sync_group} cannot take part");
        };
        let reasons: Vec<&str> = faults.iter().map(Fault::reason).collect();
        format!(
            "group {name} of sync group {sync_group} cannot take part: {}",
            reasons.join(", ")
        )
    }
}

/// Why a group would stand where it would by itself.
fn own_standing(group: &Group, judged: Option<&Judged>) -> String {
    match judged {
        // The sentence is about what counts once the probes are known.
        Some(judged) if group.doubt == Doubt::Resumed && !fitness::is_known(judged.judgement) => {
            "as far as its probes are known yet".to_owned()
        }
        Some(judged) => judged.why.clone(),
        None => format!("{} base", group.spec.priority),
    }
}
