//! What befalls members: probes that fail and pass again, work on their nodes, and that they are held back. Said when it
//! begins and when it ends, in words that stay the same from time to time, so that repetitions are counted.

use holdfast_api::reason::Reason;
use holdfast_api::v1alpha1::{Member, VirtualIPGroupStatus};

use super::{Saying, Topic};

/// What there is to say of the members that are in both statuses, or new.
pub(super) fn news(old: &VirtualIPGroupStatus, new: &VirtualIPGroupStatus) -> Vec<Saying> {
    let before = |member: &Member| old.members.iter().find(|old| old.node == member.node);
    new.members
        .iter()
        .flat_map(|member| of_member(before(member), member))
        .collect()
}

fn of_member(old: Option<&Member>, new: &Member) -> Vec<Saying> {
    let mut sayings = Vec::new();
    let (node, failed) = (&new.node, old.map_or(&[][..], |old| &old.failing_probes));
    let stands = new.priority_explained.as_ref();
    let stands = stands.map_or_else(String::new, |sum| format!(" (priority: {sum})"));
    let begins = new.failing_probes.iter().filter(|probe| !failed.contains(probe));
    sayings.extend(begins.map(|probe| {
        let words = format!("probe `{probe}` fails on {node}{stands}");
        saying(Reason::ProbeFailing, true, words)
    }));
    let ends = failed.iter().filter(|probe| !new.failing_probes.contains(probe));
    sayings.extend(ends.map(|probe| {
        let words = format!("probe `{probe}` passes again on {node}{stands}");
        saying(Reason::ProbePassing, false, words)
    }));
    if new.held_back_until.is_some() && old.is_none_or(|old| old.held_back_until.is_none()) {
        let words = format!(
            "{node} came and went too often and is held back: other healthy members go first until it has stayed well for a \
             while{stands}"
        );
        sayings.push(saying(Reason::MemberHeldBack, true, words));
    }
    match (old.and_then(|old| old.maintenance.as_ref()), &new.maintenance) {
        (before, Some(now)) if before != Some(now) => {
            let words = format!("{node} is being worked on ({now})");
            sayings.push(saying(Reason::MemberInMaintenance, false, words));
        }
        (Some(_), None) => {
            let words = format!("{node} is not being worked on any more");
            sayings.push(saying(Reason::MaintenanceEnded, false, words));
        }
        _ => {}
    }
    sayings
}

fn saying(reason: Reason, warning: bool, note: String) -> Saying {
    Saying {
        topic: Topic::Health,
        warning,
        reason: reason.as_str().to_owned(),
        note,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn status(members: &[(&str, Value)]) -> VirtualIPGroupStatus {
        let members: Vec<Value> = members
            .iter()
            .map(|(node, more)| {
                let mut member = json!({"node": node, "state": "Backup", "priorityExplained": "100 base"});
                member
                    .as_object_mut()
                    .unwrap()
                    .extend(more.as_object().unwrap().clone());
                member
            })
            .collect();
        serde_json::from_value(json!({ "members": members })).unwrap()
    }

    fn said(old: &VirtualIPGroupStatus, new: &VirtualIPGroupStatus) -> Vec<String> {
        let sayings = news(old, new).into_iter();
        sayings
            .map(|saying| {
                let mark = if saying.warning { "!" } else { "" };
                format!("{mark}{}: {}", saying.reason, saying.note)
            })
            .collect()
    }

    #[test]
    fn what_befalls_a_member_is_said_when_it_begins_and_when_it_ends_and_not_meanwhile() {
        let fine = status(&[("a", json!({})), ("b", json!({}))]);
        let sum = "floor 6 of 100 base: web fails (connection refused, 3 of 3)";
        let failing = |also: &[&str]| {
            let probes: Vec<&str> = ["web"].into_iter().chain(also.iter().copied()).collect();
            status(&[
                ("a", json!({"failingProbes": probes, "priorityExplained": sum})),
                ("b", json!({})),
            ])
        };
        let held = |until: &str| status(&[("a", json!({})), ("b", json!({"heldBackUntil": until}))]);
        let work = |reason: &str| status(&[("a", json!({"maintenance": reason})), ("b", json!({}))]);
        let (one, two) = (failing(&[]), failing(&["db"]));
        let (first, second) = (
            held("2026-01-01T00:00:00.000000Z"),
            held("2026-01-01T00:05:00.000000Z"),
        );
        let held_back = "!MemberHeldBack: b came and went too often and is held back: other healthy members go first until it \
                         has stayed well for a while (priority: 100 base)";
        for (old, new, expected) in [
            (&fine, &fine, vec![]),
            (
                &fine,
                &one,
                vec![format!("!ProbeFailing: probe `web` fails on a (priority: {sum})")],
            ),
            (&one, &one, vec![]),
            (
                &one,
                &two,
                vec![format!("!ProbeFailing: probe `db` fails on a (priority: {sum})")],
            ),
            (
                &two,
                &fine,
                vec![
                    "ProbePassing: probe `web` passes again on a (priority: 100 base)".to_owned(),
                    "ProbePassing: probe `db` passes again on a (priority: 100 base)".to_owned(),
                ],
            ),
            (&fine, &first, vec![held_back.to_owned()]),
            (&first, &second, vec![]),
            (&second, &fine, vec![]),
            (
                &fine,
                &work("cordoned"),
                vec!["MemberInMaintenance: a is being worked on (cordoned)".to_owned()],
            ),
            (&work("cordoned"), &work("cordoned"), vec![]),
            (
                &work("cordoned"),
                &work("tainted"),
                vec!["MemberInMaintenance: a is being worked on (tainted)".to_owned()],
            ),
            (
                &work("cordoned"),
                &fine,
                vec!["MaintenanceEnded: a is not being worked on any more".to_owned()],
            ),
        ] {
            assert_eq!(said(old, new), expected);
        }
    }

    #[test]
    fn a_member_that_comes_failing_is_told_of_and_one_that_goes_is_not() {
        let failing = status(&[("a", json!({"failingProbes": ["web"], "maintenance": "cordoned"}))]);
        assert_eq!(said(&status(&[]), &failing).len(), 2);
        assert_eq!(said(&failing, &status(&[])), [] as [String; 0]);
    }
}
