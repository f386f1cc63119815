//! Checks of what proves who answers and who asks: certificates, keys, credentials.

use super::Finding;
use super::cel::Cel;
use super::places::{credentials, probes, secrets, tls};
use crate::v1alpha1::{Credentials, ProbeTLS, VirtualIPGroup};

/// Places in the schema.
const TLS: &[&str] = &[
    "spec.probes[].httpGet.tls",
    "spec.probes[].grpc.tls",
    "spec.probes[].presetOptions.tls",
];
const CREDENTIALS: &[&str] = &[
    "spec.probes[].mysql.credentials",
    "spec.probes[].presetOptions.credentials",
];

pub(super) const AUTHORITY: Cel = Cel::new(
    TLS,
    "[has(self.caFile), has(self.caSecretRef), has(self.insecureSkipVerify) && self.insecureSkipVerify]\
     .filter(written, written).size() < 2",
);

pub(super) fn authority(group: &VirtualIPGroup) -> Vec<Finding> {
    of_tls(group, |tls| {
        let written = [
            tls.ca_file.is_some(),
            tls.ca_secret_ref.is_some(),
            tls.insecure_skip_verify,
        ];
        written.into_iter().filter(|is_written| *is_written).count() > 1
    })
}

pub(super) const CLIENT: Cel = Cel::new(
    TLS,
    "has(self.certificateFile) == has(self.keyFile) && !(has(self.keyFile) && has(self.certificateSecret))",
);

pub(super) fn client(group: &VirtualIPGroup) -> Vec<Finding> {
    of_tls(group, |tls| {
        let (certificate, key) = (tls.certificate_file.is_some(), tls.key_file.is_some());
        certificate != key || key && tls.certificate_secret.is_some()
    })
}

pub(super) fn insecure(group: &VirtualIPGroup) -> Vec<Finding> {
    let mut found = of_tls(group, |tls| {
        tls.insecure_skip_verify && tls.ca_file.is_none() && tls.ca_secret_ref.is_none()
    });
    for finding in &mut found {
        finding.path.push_str(".insecureSkipVerify");
    }
    found
}

pub(super) const PASSWORD: Cel = Cel::new(
    CREDENTIALS,
    "!has(self.passwordFile) || !has(self.passwordSecretRef)",
);

pub(super) fn password(group: &VirtualIPGroup) -> Vec<Finding> {
    let is_doubled =
        |written: &Credentials| written.password_file.is_some() && written.password_secret_ref.is_some();
    let mut found = Vec::new();
    for (path, probe) in probes(group) {
        let doubled = credentials(probe)
            .into_iter()
            .filter(|(_, written)| is_doubled(written));
        found.extend(doubled.map(|(place, _)| Finding::at(format!("{path}.{place}"))));
    }
    found
}

pub(super) fn in_secrets(group: &VirtualIPGroup) -> Vec<Finding> {
    let mut found = Vec::new();
    for (path, probe) in probes(group) {
        let named = secrets(probe).into_iter();
        found.extend(named.map(|(place, instead)| Finding::at(format!("{path}.{place}")).value(instead)));
    }
    found
}

fn of_tls(group: &VirtualIPGroup, is_found: impl Fn(&ProbeTLS) -> bool) -> Vec<Finding> {
    let mut found = Vec::new();
    for (path, probe) in probes(group) {
        let those = tls(probe).into_iter().filter(|(_, written)| is_found(written));
        found.extend(those.map(|(place, _)| Finding::at(format!("{path}.{place}"))));
    }
    found
}
