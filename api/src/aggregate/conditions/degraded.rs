//! What is amiss although the addresses may be served: `Degraded`.

use super::{Finding, each, warned};
use crate::aggregate::Scene;
use crate::aggregate::words::{self, sentence};
use crate::reason::Reason;

pub(super) fn degraded(scene: &Scene<'_>) -> Finding {
    if scene.is_going() {
        return Finding::no(Reason::AsExpected, "The group is going.");
    }
    // Who leaves is not missed.
    let staying: Vec<usize> = (0..scene.members.len())
        .filter(|place| !scene.members[*place].is_leaving)
        .collect();
    let lacking: Vec<(Reason, usize)> = staying
        .iter()
        .filter_map(|place| Some((scene.members[*place].lack(scene, *place)?, *place)))
        .collect();
    let name = |place: usize| scene.members[place].name();
    let mut causes = Vec::new();
    if let Some((worst, _)) = lacking.iter().min_by_key(|(reason, _)| *reason) {
        let each = each(scene, |member| {
            lacking.iter().any(|(_, place)| name(*place) == member.name())
        });
        causes.push(lacks(scene, &staying, *worst, &each));
    }
    // First what takes the group from its clients, then what leads others astray.
    causes.extend(warned::certificates(scene));
    let amiss = scene.share.verdict.amiss.iter();
    causes.extend(amiss.map(|amiss| (amiss.reason, sentence(&amiss.message))));
    if lacking.is_empty() {
        // What each member lacks comes with its agent's problems.
        let problems = warned::others(scene).into_iter().chain(problems(scene));
        causes.extend(problems.map(|message| (Reason::AgentProblem, message)));
    }
    if !causes.is_empty() {
        return Finding::causes(&causes, "");
    }
    match staying.as_slice() {
        [] => Finding::no(Reason::NoMembers, "No node takes part in the group."),
        [only] => {
            let message = format!(
                "{} is the only member: nobody takes over if it fails.",
                name(*only)
            );
            Finding::no(Reason::SingleMember, message)
        }
        all => Finding::no(
            Reason::AsExpected,
            format!("All {} members can serve.", all.len()),
        ),
    }
}

/// Somebody lacks something, at worst this; `each` says of each what.
fn lacks(scene: &Scene<'_>, staying: &[usize], worst: Reason, each: &str) -> (Reason, String) {
    if let Some(active) = scene.active()
        && active.is_live()
        && active.service_fails()
    {
        let message = format!(
            "{} serves the addresses although its service fails, because no other member is better off. {each}",
            active.name()
        );
        return (Reason::ServedByFailingMember, message);
    }
    let able: Vec<usize> = staying
        .iter()
        .copied()
        .filter(|place| scene.members[*place].is_able(scene, *place))
        .collect();
    if able.len() < 2 && staying.len() > 1 {
        let who = able.first().map_or_else(
            || "No member".to_owned(),
            |able| format!("Only {}", scene.members[*able].name()),
        );
        let message = format!("{who} of {} members can serve. {each}", staying.len());
        return (Reason::NoRedundancy, message);
    }
    (worst, each.to_owned())
}

/// What the members' agents say of their nodes as a whole.
fn problems(scene: &Scene<'_>) -> Option<String> {
    let each: Vec<String> = scene
        .members
        .iter()
        .filter(|member| member.is_live())
        .filter_map(|member| {
            let problems = &member.record.object.as_ref()?.status.problems;
            let problems: Vec<String> = problems.iter().map(words::fault).collect();
            (!problems.is_empty()).then(|| sentence(&format!("{}: {}", member.name(), problems.join("; "))))
        })
        .collect();
    (!each.is_empty()).then(|| each.join(" "))
}
