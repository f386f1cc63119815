//! Checks of what is asked of nodes beside the election: damping, maintenance, sync groups.

use super::cel::Cel;
use super::{Finding, is_label};
use crate::duration::GatewayDuration;
use crate::v1alpha1::{Maintenance, NodeGroup, TaintPolicy, VirtualIPGroup};

const DAMPING: &[&str] = &["spec.flapDamping"];
/// The effects that a taint can have.
const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
/// The longest name in a qualified name, and the longest value of a taint.
const NAME_LENGTH: usize = 63;

pub(super) const WINDOW: Cel = Cel::new(
    DAMPING,
    "self.changes == 0 || !self.window.matches('$duration') || duration(self.window) > duration('0s')",
)
.field(".window");

pub(super) fn window(group: &VirtualIPGroup) -> Vec<Finding> {
    let damping = group.spec.flap_damping;
    when(
        damping.changes > 0 && damping.window == GatewayDuration::ZERO,
        Finding::at("spec.flapDamping.window"),
    )
}

pub(super) const LONGEST: Cel = Cel::new(
    DAMPING,
    "self.changes == 0 || !self.window.matches('$duration') || !self.longest.matches('$duration') \
     || duration(self.longest) >= duration(self.window)",
)
.field(".longest");

pub(super) fn longest(group: &VirtualIPGroup) -> Vec<Finding> {
    let damping = group.spec.flap_damping;
    when(
        damping.changes > 0 && damping.longest < damping.window,
        Finding::at("spec.flapDamping.longest"),
    )
}

pub(super) const SYNC_GROUP: Cel = Cel::new(
    &["spec.syncGroup"],
    "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
)
.value("self");

pub(super) fn sync_group(group: &VirtualIPGroup) -> Vec<Finding> {
    let name = group.spec.sync_group.as_ref().filter(|name| !is_label(name));
    name.map(|name| Finding::at("spec.syncGroup").value(name))
        .into_iter()
        .collect()
}

pub(super) const TAINT_KEY: Cel = Cel::new(
    &["spec.maintenance.onTaint[].key"],
    "self.matches('^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$')",
)
.value("self");

pub(super) fn taint_key(group: &VirtualIPGroup) -> Vec<Finding> {
    taints(group, "key", |taint| {
        (!is_qualified_name(&taint.key)).then(|| Finding::default().value(&taint.key))
    })
}

pub(super) const TAINT_VALUE: Cel = Cel::new(
    &["spec.maintenance.onTaint[].value"],
    "self.matches('^([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?$')",
)
.value("self");

pub(super) fn taint_value(group: &VirtualIPGroup) -> Vec<Finding> {
    taints(group, "value", |taint| {
        let value = taint.value.as_ref()?;
        (!value.is_empty() && !is_name(value)).then(|| Finding::default().value(value))
    })
}

pub(super) const TAINT_EFFECT: Cel = Cel::new(
    &["spec.maintenance.onTaint[].effect"],
    "self in ['NoSchedule', 'PreferNoSchedule', 'NoExecute']",
)
.value("self");

pub(super) fn taint_effect(group: &VirtualIPGroup) -> Vec<Finding> {
    taints(group, "effect", |taint| {
        let effect = taint.effect.as_ref()?;
        (!EFFECTS.contains(&effect.as_str())).then(|| Finding::default().value(effect))
    })
}

pub(super) fn maintenance(group: &VirtualIPGroup) -> Vec<Finding> {
    let is_sound = [taint_key, taint_value, taint_effect]
        .iter()
        .all(|check| check(group).is_empty());
    when(
        is_sound && group.spec.maintenance != Maintenance::default(),
        Finding::at("spec.maintenance"),
    )
}

/// What two groups that move together have to have in common, as far as this node's share of them tells.
pub(super) fn in_step(group: &NodeGroup, other: &NodeGroup) -> Vec<Finding> {
    if group.sync_group.is_none() || group.sync_group != other.sync_group {
        return Vec::new();
    }
    let (ours, theirs) = (&group.advertisement, &other.advertisement);
    let compared = [
        ("interface", group.interface == other.interface),
        ("priority", group.priority == other.priority),
        ("preemption", group.preemption == other.preemption),
        ("placement", group.preferred == other.preferred),
        ("advertisement.version", ours.version == theirs.version),
        ("advertisement.interval", ours.interval == theirs.interval),
        ("advertisement.family", ours.family == theirs.family),
    ];
    let differing = compared.into_iter().filter(|(_, is_equal)| !is_equal);
    let finding = |(field, _)| {
        Finding::at(format!("spec.{field}"))
            .value(group.sync_group.as_deref().unwrap_or_default())
            .other(format!("`{}`", other.name))
    };
    differing.map(finding).collect()
}

fn taints(
    group: &VirtualIPGroup,
    field: &str,
    check: impl Fn(&TaintPolicy) -> Option<Finding>,
) -> Vec<Finding> {
    let all = group.spec.maintenance.on_taint.iter().enumerate();
    let found = all.filter_map(|(index, taint)| {
        let path = format!("spec.maintenance.onTaint[{index}].{field}");
        check(taint).map(|finding| Finding { path, ..finding })
    });
    found.collect()
}

/// Whether `key` is a name of Kubernetes, perhaps with the domain of whoever gives it.
fn is_qualified_name(key: &str) -> bool {
    let is_domain = |domain: &str| {
        let of_domain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        let ends = [domain.chars().next(), domain.chars().next_back()];
        domain.chars().all(of_domain)
            && ends
                .iter()
                .all(|end| end.is_some_and(|c| c.is_ascii_alphanumeric()))
    };
    match key.split_once('/') {
        Some((domain, name)) => is_domain(domain) && is_name(name),
        None => is_name(key),
    }
}

fn is_name(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let ends = [text.chars().next(), text.chars().next_back()];
    text.len() <= NAME_LENGTH
        && text.chars().all(inner)
        && ends
            .iter()
            .all(|end| end.is_some_and(|c| c.is_ascii_alphanumeric()))
}

fn when(broken: bool, finding: Finding) -> Vec<Finding> {
    if broken { vec![finding] } else { Vec::new() }
}
