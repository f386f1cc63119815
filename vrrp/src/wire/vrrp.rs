//! VRRP advertisements, versions 2 and 3.

use core::net::IpAddr;

use thiserror::Error;

use crate::config::Config;

/// Why bytes are not an advertisement.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
pub enum ParseError {
    /// Stub.
    #[error("is too short")]
    Truncated,
}

impl ParseError {
    /// The value of the `reason` label in metrics.
    pub const fn label(self) -> &'static str {
        "truncated"
    }
}

/// The version and the virtual router identifier at the start of a packet, without checking anything else; for
/// finding the virtual router that is to judge it.
pub fn peek(payload: &[u8]) -> Option<(u8, u8)> {
    Some((payload.first()? >> 4, *payload.get(1)?))
}

/// Appends the advertisement that `config` describes to `out`.
pub fn emit(_config: &Config, _priority: u8, _source: IpAddr, _destination: IpAddr, _out: &mut Vec<u8>) {}
