//! Why bytes are not an advertisement that this router understands.

use core::net::Ipv6Addr;

use thiserror::Error;

use crate::types::Version;

/// Why bytes are not an advertisement that this router understands.
///
/// Each is a sentence without its subject, the sender: "10.0.0.2 speaks VRRPv2, this router VRRPv3; …".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
pub enum ParseError {
    /// The packet ends before it is complete (RFC 9568 §7.1).
    #[error(
        "sends a packet cut short: {length} bytes of {needed}; look for a small MTU or a filter that mangles packets"
    )]
    Truncated {
        /// The bytes that are there.
        length: usize,
        /// The bytes that the packet's own header calls for.
        needed: usize,
    },
    /// The version is neither 2 nor 3.
    #[error("speaks VRRP version {0}, which does not exist (2 and 3 do)")]
    UnknownVersion(u8),
    /// The sender speaks the other version, and the two do not understand each other (RFC 9568 §7.1).
    #[error(
        "speaks {theirs}, this router {ours}; set advertisement.version to {} or keepalived's vrrp_version to {}",
        theirs.number(),
        ours.number()
    )]
    VersionMismatch {
        /// The sender's version.
        theirs: Version,
        /// This router's version.
        ours: Version,
    },
    /// VRRPv2 came over IPv6, for which it is not defined (RFC 3768 §1).
    #[error("speaks VRRPv2 over IPv6; only VRRPv3 has IPv6, set version 3 on both sides")]
    Version2OverIpv6,
    /// The source and the destination given with the packet are of different families: the caller's mistake.
    #[error("has a source and a destination address of different families")]
    MixedFamilies,
    /// The type is not 1, ADVERTISEMENT (RFC 9568 §5.2.2).
    #[error("sends VRRP type {0}; only type 1, the advertisement, exists")]
    UnknownType(u8),
    /// The virtual router identifier is 0 (RFC 9568 §5.2.3).
    #[error("uses virtual router ID 0; 1 to 255 are allowed")]
    ZeroVirtualRouterId,
    /// The packet lists no address (RFC 9568 §5.2.5 and erratum 8299).
    #[error("lists no virtual address; give the virtual router at least one there")]
    NoAddresses,
    /// The interval is 0, which would make every backup fire at once (erratum 8301).
    #[error("advertises an interval of zero; set its advertisement interval")]
    ZeroInterval,
    /// The checksum fits neither the packet nor, where one is allowed, the packet and its pseudo-header.
    #[error("sends a wrong checksum ({found:#06x}); a device on the way changes packets or addresses")]
    Checksum {
        /// What the checksum field holds.
        found: u16,
    },
    /// The first IPv6 address is not link-local (RFC 9568 §5.2.9 and erratum 8300).
    #[error("lists {0} first; over IPv6 the first virtual address is a link-local one (fe80::/10)")]
    FirstAddressNotLinkLocal(Ipv6Addr),
}

impl ParseError {
    /// The value of the `reason` label in metrics: one of eleven.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Truncated { .. } => "truncated",
            Self::UnknownVersion(_) => "unknown_version",
            Self::VersionMismatch { .. } => "version_mismatch",
            Self::Version2OverIpv6 => "version_2_over_ipv6",
            Self::MixedFamilies => "mixed_families",
            Self::UnknownType(_) => "unknown_type",
            Self::ZeroVirtualRouterId => "zero_virtual_router_id",
            Self::NoAddresses => "no_addresses",
            Self::ZeroInterval => "zero_interval",
            Self::Checksum { .. } => "checksum",
            Self::FirstAddressNotLinkLocal(_) => "first_address_not_link_local",
        }
    }
}
