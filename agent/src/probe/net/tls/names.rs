//! Whether a server's certificate names the addresses at which clients ask for it.
//!
//! The probe asks by a name that every API server of a cluster has. Who asks at a virtual address looks for that address in the
//! same certificate, and refuses the server without it.

use core::net::IpAddr;

use holdfast_api::reason::Reason;
use rustls::CertificateError;
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;

use super::super::failure::{named, quote};
use crate::status::FaultStatus;

/// What is to be said if `certificate` leaves out one of these addresses. Of one that cannot be read nothing is: it was believed
/// before this is asked.
pub fn left_out(certificate: &CertificateDer<'_>, addresses: &[IpAddr]) -> Option<FaultStatus> {
    if addresses.is_empty() {
        return None;
    }
    let certificate = ParsedCertificate::try_from(certificate).ok()?;
    let (mut missing, mut names) = (Vec::new(), Vec::new());
    for address in addresses {
        let asked = verify_server_name(&certificate, &ServerName::from(*address));
        if let Err(rustls::Error::InvalidCertificate(problem)) = asked {
            missing.push(address.to_string());
            if let CertificateError::NotValidForNameContext { presented, .. } = problem {
                names = presented;
            }
        }
    }
    if missing.is_empty() {
        return None;
    }
    let message = format!(
        "the certificate of the API server on this node is for {} and not for {}, so that clients which ask there refuse it",
        quote(named(&names).as_bytes()),
        quote(missing.join(", ").as_bytes()),
    );
    Some(FaultStatus {
        reason: Reason::CertificateDoesNotCoverVIP.as_str().to_owned(),
        message,
    })
}
