//! Checks of quorums: what they name, and that a probe acts in one way only.

use super::Finding;
use super::cel::Cel;
use super::places::probes;
use super::probes::adds;
use crate::v1alpha1::{FailureActionType, Probe, QuorumAction, VirtualIPGroup};

/// Places in the schema.
const PROBES: &[&str] = &["spec.probes"];

pub(super) const LEAST: Cel = Cel::new(&["spec.probes[].quorum"], "self.atLeast <= self.probes.size()")
    .field(".atLeast")
    .value("string(self.atLeast)");

pub(super) fn least(group: &VirtualIPGroup) -> Vec<Finding> {
    let all = quorums(group).filter(|(_, _, quorum)| {
        usize::try_from(quorum.at_least).is_ok_and(|least| least > quorum.probes.len())
    });
    all.map(|(path, ..)| Finding::at(format!("{path}.quorum.atLeast")))
        .collect()
}

pub(super) const KNOWN: Cel = Cel::new(
    PROBES,
    "self.all(q, !has(q.quorum) || q.quorum.probes.all(n, self.exists(p, p.name == n && !has(p.quorum))))",
)
.index(
    "self.transformList(i, q, has(q.quorum) \
     && !q.quorum.probes.all(n, self.exists(p, p.name == n && !has(p.quorum))), i)[0]",
)
.value("self[$index].name");

pub(super) fn known(group: &VirtualIPGroup) -> Vec<Finding> {
    let is_known = |name: &String| {
        let mut all = group.spec.probes.iter();
        all.any(|probe| probe.name == *name && probe.quorum.is_none())
    };
    let wrong = quorums(group).filter(|(_, _, quorum)| !quorum.probes.iter().all(is_known));
    wrong.map(about).collect()
}

pub(super) const ONCE: Cel = Cel::new(
    PROBES,
    "self.all(p, self.map(q, has(q.quorum) ? q.quorum.probes.filter(n, n == p.name).size() : 0).sum() < 2)",
)
.index(
    "self.transformList(i, p, self.map(q, has(q.quorum) ? q.quorum.probes.filter(n, n == p.name).size() : 0)\
     .sum() > 1, i)[0]",
)
.value("self[$index].name");

pub(super) fn once(group: &VirtualIPGroup) -> Vec<Finding> {
    let named = |probe: &Probe| {
        let all = quorums(group).flat_map(|(_, _, quorum)| &quorum.probes);
        all.filter(|name| **name == probe.name).count()
    };
    probes(group)
        .filter(|(_, probe)| named(probe) > 1)
        .map(|(path, probe)| Finding::at(path).value(&probe.name))
        .collect()
}

pub(super) const EFFECT: Cel = Cel::new(
    PROBES,
    "self.all(p, !$acts(p) || !self.exists(q, has(q.quorum) && p.name in q.quorum.probes))",
)
.index(
    "self.transformList(i, p, $acts(p) && self.exists(q, has(q.quorum) && p.name in q.quorum.probes), i)[0]",
)
.value("self[$index].name");

pub(super) fn effect(group: &VirtualIPGroup) -> Vec<Finding> {
    let is_named = |probe: &Probe| Probe::is_in_quorum(&probe.name, &group.spec.probes);
    let acts = |probe: &Probe| {
        let of_its_own = [FailureActionType::Fault, FailureActionType::Weight];
        of_its_own.contains(&probe.on_failure.type_) || adds(probe)
    };
    probes(group)
        .filter(|(_, probe)| acts(probe) && is_named(probe))
        .map(|(path, probe)| Finding::at(path).value(&probe.name))
        .collect()
}

fn about((path, name, _): (String, &str, &QuorumAction)) -> Finding {
    Finding::at(format!("{path}.quorum.probes")).value(name)
}

/// The quorums, each with its path and its probe's name.
fn quorums(group: &VirtualIPGroup) -> impl Iterator<Item = (String, &str, &QuorumAction)> {
    probes(group).filter_map(|(path, probe)| Some((path, &*probe.name, probe.quorum.as_ref()?)))
}
