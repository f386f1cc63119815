//! What members' agents warn of although it keeps them from nothing, as causes of `Degraded`.

use crate::aggregate::Scene;
use crate::aggregate::members::Seen;
use crate::aggregate::words::{self, sentence};
use crate::reason::Reason;
use crate::v1alpha1::Fault;

const CERTIFICATE: &str = Reason::CertificateDoesNotCoverVIP.as_str();

/// The members whose API server's certificate leaves an address of the group out, and what to do about it.
pub(super) fn certificates(scene: &Scene<'_>) -> Option<(Reason, String)> {
    let found = |warning: &Fault| {
        let is_it = warning.reason == CERTIFICATE;
        is_it.then(|| warning.message.clone().unwrap_or_else(|| warning.reason.clone()))
    };
    let reason = Reason::CertificateDoesNotCoverVIP;
    Some((reason, format!("{} {}", each(scene, found)?, reason.remedy())))
}

/// What else they warn of: a newer agent knows more.
pub(super) fn others(scene: &Scene<'_>) -> Option<String> {
    each(scene, |warning| {
        (warning.reason != CERTIFICATE).then(|| words::fault(warning))
    })
}

/// What the live members that stay warn of, as far as it is `wanted`, a sentence each.
fn each(scene: &Scene<'_>, wanted: impl Fn(&Fault) -> Option<String>) -> Option<String> {
    let live = scene
        .members
        .iter()
        .filter(|member| member.is_live() && !member.is_leaving);
    let sentences: Vec<String> = live
        .filter_map(|member: &Seen<'_>| {
            let said: Vec<String> = member.said?.warnings.iter().filter_map(&wanted).collect();
            (!said.is_empty()).then(|| sentence(&format!("{}: {}", member.name(), said.join("; "))))
        })
        .collect();
    (!sentences.is_empty()).then(|| sentences.join(" "))
}
