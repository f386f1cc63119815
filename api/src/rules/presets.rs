//! Checks of presets and their options.

use super::Finding;
use super::cel::Cel;
use super::places::probes;
use super::probes::each;
use crate::v1alpha1::{PresetOptions, ProbePreset, VirtualIPGroup};

/// Places in the schema.
const PROBE: &[&str] = &["spec.probes[]"];

pub(super) const OPTIONS: Cel =
    Cel::new(PROBE, "has(self.preset) || !has(self.presetOptions)").field(".presetOptions");

pub(super) fn options(group: &VirtualIPGroup) -> Vec<Finding> {
    each(group, "presetOptions", |probe| {
        (probe.preset.is_none() && probe.preset_options.is_some()).then(Finding::default)
    })
}

pub(super) const OPTION: Cel = Cel::new(
    PROBE,
    "!has(self.preset) || !has(self.presetOptions) \
     || (self.preset == 'HAProxy' || !has(self.presetOptions.socket)) \
     && (self.preset == 'KubeAPIServer' || !has(self.presetOptions.tls) && !has(self.presetOptions.etcd)) \
     && (self.preset == 'MySQL' || !has(self.presetOptions.credentials))",
)
.field(".presetOptions")
.value("self.preset")
.other(
    "(self.preset != 'HAProxy' && has(self.presetOptions.socket) ? 'socket' \
     : self.preset != 'KubeAPIServer' && has(self.presetOptions.tls) ? 'tls' \
     : self.preset != 'KubeAPIServer' && has(self.presetOptions.etcd) ? 'etcd' : 'credentials')",
);

pub(super) fn option(group: &VirtualIPGroup) -> Vec<Finding> {
    each(group, "presetOptions", |probe| {
        let (preset, options) = (probe.preset?, probe.preset_options.as_ref()?);
        let unknown = not_of(preset, options)?;
        Some(Finding::default().value(format!("{preset:?}")).other(unknown))
    })
}

/// The first option that `preset` does not have.
fn not_of(preset: ProbePreset, options: &PresetOptions) -> Option<&'static str> {
    let special = [
        ("socket", options.socket.is_some(), ProbePreset::HAProxy),
        ("tls", options.tls.is_some(), ProbePreset::KubeAPIServer),
        ("etcd", options.etcd.is_some(), ProbePreset::KubeAPIServer),
        ("credentials", options.credentials.is_some(), ProbePreset::MySQL),
    ];
    special
        .into_iter()
        .find(|(_, is_written, only)| *is_written && preset != *only)
        .map(|(name, ..)| name)
}

pub(super) const PORT: Cel = Cel::new(
    PROBE,
    "!has(self.preset) || self.preset != 'HAProxy' || has(self.presetOptions) \
     && has(self.presetOptions.port) != has(self.presetOptions.socket)",
)
.field(".presetOptions");

pub(super) fn port(group: &VirtualIPGroup) -> Vec<Finding> {
    each(group, "presetOptions", |probe| {
        let is_known = probe
            .preset_options
            .as_ref()
            .is_some_and(|options| options.port.is_some() != options.socket.is_some());
        (probe.preset == Some(ProbePreset::HAProxy) && !is_known).then(Finding::default)
    })
}

/// What a probe without credentials does not see.
pub(super) fn read_only(group: &VirtualIPGroup) -> Vec<Finding> {
    let blind = probes(group).filter(|(_, probe)| {
        let options = probe.preset_options.as_ref();
        probe.preset == Some(ProbePreset::MySQL)
            && options.is_none_or(|options| options.credentials.is_none())
    });
    blind
        .map(|(path, _)| Finding::at(format!("{path}.preset")))
        .collect()
}
