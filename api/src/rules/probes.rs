//! Checks of a probe as a whole: its name, that it has one handler, when it runs and what its failure does.

use core::time::Duration;

use super::cel::Cel;
use super::places::probes;
use super::{Finding, is_label};
use crate::duration::GatewayDuration;
use crate::render::SHORTEST_PERIOD;
use crate::v1alpha1::{FailureActionType, FileValue, Probe, VirtualIPGroup, defaults};

/// Places in the schema.
const PROBES: &[&str] = &["spec.probes"];
const PROBE: &[&str] = &["spec.probes[]"];
const ON_FAILURE: &[&str] = &["spec.probes[].onFailure"];
/// The largest priority that is not an owner's.
const HIGHEST: i32 = defaults::OWNER_PRIORITY - 1;

pub(super) const NAME: Cel = Cel::new(
    &["spec.probes[].name"],
    "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
)
.value("self");

pub(super) fn name(group: &VirtualIPGroup) -> Vec<Finding> {
    each(group, "name", |probe| {
        (!is_label(&probe.name)).then(|| Finding::default().value(&probe.name))
    })
}

/// The schema says it too, but not what to do.
pub(super) const ONCE: Cel = Cel::new(
    PROBES,
    "!self.exists(i, p, self.exists(j, q, j < i && q.name == p.name))",
)
.index("self.transformList(i, p, self.exists(j, q, j < i && q.name == p.name), i)[0]")
.value("self[$index].name");

pub(super) fn once(group: &VirtualIPGroup) -> Vec<Finding> {
    let all = &group.spec.probes;
    let repeated = probes(group)
        .enumerate()
        .filter(|(nth, (_, probe))| all[..*nth].iter().any(|earlier| earlier.name == probe.name));
    repeated
        .map(|(_, (path, probe))| Finding::at(format!("{path}.name")).value(&probe.name))
        .collect()
}

pub(super) const HANDLER: Cel = Cel::new(PROBE, "$handlers.size() == 1")
    .value("($handlers.size() == 0 ? 'nothing to look at' : 'more than one thing to look at')");

pub(super) fn handler(group: &VirtualIPGroup) -> Vec<Finding> {
    each(group, "", |probe| match handlers(probe) {
        0 => Some(Finding::default().value("nothing to look at")),
        1 => None,
        _ => Some(Finding::default().value("more than one thing to look at")),
    })
}

/// How many things `probe` looks at.
fn handlers(probe: &Probe) -> usize {
    let written = [
        probe.preset.is_some(),
        probe.http_get.is_some(),
        probe.tcp_socket.is_some(),
        probe.grpc.is_some(),
        probe.exec.is_some(),
        probe.process.is_some(),
        probe.file.is_some(),
        probe.interface.is_some(),
        probe.route.is_some(),
        probe.peer.is_some(),
        probe.mysql.is_some(),
        probe.quorum.is_some(),
    ];
    written.into_iter().filter(|is_written| *is_written).count()
}

pub(super) const PERIOD: Cel = Cel::new(
    &["spec.probes[].period"],
    "!self.matches('$duration') || duration(self) >= duration('100ms')",
);

pub(super) fn period(group: &VirtualIPGroup) -> Vec<Finding> {
    each(group, "period", |probe| {
        (probe.period.get() < SHORTEST_PERIOD).then(Finding::default)
    })
}

pub(super) const TIMEOUT: Cel = Cel::new(
    &["spec.probes[].timeout", "spec.probes[].recover.timeout"],
    "!self.matches('$duration') || duration(self) > duration('0s')",
);

pub(super) fn timeout(group: &VirtualIPGroup) -> Vec<Finding> {
    let healing = each(group, "recover.timeout", |probe| {
        let timeout = probe.recover.as_ref()?.timeout;
        (timeout == GatewayDuration::ZERO).then(Finding::default)
    });
    let mut found = each(group, "timeout", |probe| {
        (probe.timeout == GatewayDuration::ZERO).then(Finding::default)
    });
    found.extend(healing);
    found
}

pub(super) const JITTER: Cel = Cel::new(
    PROBE,
    "!self.jitter.matches('$duration') || !self.period.matches('$duration') \
     || duration(self.period) < duration('100ms') || duration(self.jitter) < duration(self.period)",
)
.field(".jitter");

pub(super) fn jitter(group: &VirtualIPGroup) -> Vec<Finding> {
    each(group, "jitter", |probe| {
        let readable = probe.period.get() >= SHORTEST_PERIOD;
        (readable && probe.jitter >= probe.period).then(Finding::default)
    })
}

/// Runs do not overlap, and the next one begins at a multiple of the period.
pub(super) fn slow(group: &VirtualIPGroup) -> Vec<Finding> {
    each(group, "timeout", |probe| {
        let (period, timeout) = (probe.period.get(), probe.timeout.get());
        let runs = u32::try_from(probe.failure_threshold)
            .ok()
            .filter(|runs| *runs > 0)?;
        let is_sound = period >= SHORTEST_PERIOD && probe.quorum.is_none();
        let quick = period.checked_mul(runs)?;
        if !is_sound || timeout <= quick {
            return None;
        }
        let periods = u32::try_from(timeout.as_millis().div_ceil(period.as_millis())).ok()?;
        let slow = period.checked_mul(periods)?.checked_mul(runs - 1)? + timeout;
        let shown = |time: Duration| {
            Some(GatewayDuration::from_millis(
                u32::try_from(time.as_millis()).ok()?,
            ))
        };
        Some(Finding::default().value(shown(slow)?).other(shown(quick)?))
    })
}

pub(super) const WEIGHT: Cel =
    Cel::new(ON_FAILURE, "self.type != 'Weight' || has(self.weight)").field(".weight");

pub(super) fn weight(group: &VirtualIPGroup) -> Vec<Finding> {
    each(group, "onFailure.weight", |probe| {
        let is_missing = weighs(probe) && probe.on_failure.weight.is_none();
        is_missing.then(Finding::default)
    })
}

pub(super) const WEIGHT_UNUSED: Cel = Cel::new(ON_FAILURE, "self.type == 'Weight' || !has(self.weight)")
    .field(".weight")
    .value("self.type");

pub(super) fn weight_unused(group: &VirtualIPGroup) -> Vec<Finding> {
    each(group, "onFailure.weight", |probe| {
        let is_unused = !weighs(probe) && probe.on_failure.weight.is_some();
        is_unused.then(|| Finding::default().value(format!("{:?}", probe.on_failure.type_)))
    })
}

pub(super) const WEIGHT_ZERO: Cel = Cel::new(
    ON_FAILURE,
    "self.type != 'Weight' || !has(self.weight) || self.weight != 0",
)
.field(".weight");

pub(super) fn weight_zero(group: &VirtualIPGroup) -> Vec<Finding> {
    each(group, "onFailure.weight", |probe| {
        (weighs(probe) && probe.on_failure.weight == Some(0)).then(Finding::default)
    })
}

pub(super) const FILE_WEIGHT: Cel = Cel::new(
    PROBE,
    "!has(self.file) || self.file.value != 'Priority' || self.onFailure.type != 'Weight'",
)
.field(".onFailure");

pub(super) fn file_weight(group: &VirtualIPGroup) -> Vec<Finding> {
    each(group, "onFailure", |probe| {
        (weighs(probe) && adds(probe)).then(Finding::default)
    })
}

/// Members that come to the same sum while everything is well, though they were told apart; what a file adds is not known here.
pub(super) fn weights_too_high(group: &VirtualIPGroup) -> Vec<Finding> {
    let weights = group.spec.probes.iter().filter(|probe| weighs(probe));
    let gained: i32 = weights
        .filter_map(|probe| probe.on_failure.weight.filter(|weight| *weight > 0))
        .sum();
    let mut reaching: Vec<i32> = priorities(group)
        .filter(|priority| *priority <= HIGHEST && priority.saturating_add(gained) >= HIGHEST)
        .collect();
    reaching.sort_unstable();
    reaching.dedup();
    match reaching[..] {
        [first, second, ..] if gained > 0 => {
            vec![Finding::at("spec.probes").value(first).other(second)]
        }
        _ => Vec::new(),
    }
}

pub(super) fn weights_of_owner(group: &VirtualIPGroup) -> Vec<Finding> {
    let owner = priorities(group).any(|priority| priority == defaults::OWNER_PRIORITY);
    let changes = group.spec.probes.iter().any(|probe| weighs(probe) || adds(probe));
    let finding = (owner && changes).then(|| Finding::at("spec.probes"));
    finding.into_iter().collect()
}

pub(super) const RECOVER: Cel = Cel::new(PROBE, "!has(self.quorum) || !has(self.recover)").field(".recover");

pub(super) fn recover(group: &VirtualIPGroup) -> Vec<Finding> {
    each(group, "recover", |probe| {
        (probe.quorum.is_some() && probe.recover.is_some()).then(Finding::default)
    })
}

/// Whether `probe`'s failure changes the priority.
fn weighs(probe: &Probe) -> bool {
    probe.on_failure.type_ == FailureActionType::Weight
}

/// Whether `probe` adds the number in a file to the priority.
pub(super) fn adds(probe: &Probe) -> bool {
    let file = probe.file.as_ref();
    file.is_some_and(|file| file.value == FileValue::Priority)
}

fn priorities(group: &VirtualIPGroup) -> impl Iterator<Item = i32> {
    let spec = &group.spec;
    let overrides = spec.node_overrides.iter();
    core::iter::once(spec.priority).chain(overrides.filter_map(|change| change.priority))
}

/// What `check` finds at `field` of each probe.
pub(super) fn each(
    group: &VirtualIPGroup,
    field: &str,
    check: impl Fn(&Probe) -> Option<Finding>,
) -> Vec<Finding> {
    let dot = if field.is_empty() { "" } else { "." };
    let found = probes(group).filter_map(|(path, probe)| {
        let path = format!("{path}{dot}{field}");
        check(probe).map(|finding| Finding { path, ..finding })
    });
    found.collect()
}
