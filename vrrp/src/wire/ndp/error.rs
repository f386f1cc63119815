//! Why bytes are not a neighbor discovery packet that may be believed.

use core::net::Ipv6Addr;

use thiserror::Error;

/// Why bytes are not a neighbor solicitation or advertisement that may be believed (RFC 4861 §7.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
pub enum ParseError {
    /// The packet, or the frame around it, ends before it is complete.
    #[error("is cut short: {length} bytes of {needed}")]
    Truncated {
        /// The bytes that are there.
        length: usize,
        /// The bytes that are needed.
        needed: usize,
    },
    /// The frame carries something other than IPv6.
    #[error("has EtherType {0:#06x}, not IPv6's 0x86dd")]
    EtherType(u16),
    /// The IP header does not say version 6.
    #[error("has IP version {0}, not 6")]
    IpVersion(u8),
    /// The IPv6 packet carries something other than ICMPv6, or extension headers before it.
    #[error("has next header {0}, not ICMPv6 (58)")]
    NextHeader(u8),
    /// The hop limit says that it was forwarded.
    #[error("arrived with hop limit {0}, not 255: it crossed a router, or is forged")]
    HopLimit(u8),
    /// Another ICMPv6 type.
    #[error("has ICMPv6 type {0}, neither solicitation (135) nor advertisement (136)")]
    UnknownType(u8),
    /// The code is not 0.
    #[error("has ICMPv6 code {0}, not 0")]
    Code(u8),
    /// The checksum does not fit the packet and its pseudo-header.
    #[error("has a wrong checksum ({found:#06x})")]
    Checksum {
        /// What the checksum field holds.
        found: u16,
    },
    /// The target is a group's address.
    #[error("has multicast target {0}")]
    MulticastTarget(Ipv6Addr),
    /// An option says that it is zero bytes long, so that there is no next one.
    #[error("has an option of length 0")]
    ZeroLengthOption,
    /// An option says that it is longer than what is left of the packet.
    #[error("has an option of {needed} bytes, of which {length} are there")]
    TruncatedOption {
        /// The bytes that are there.
        length: usize,
        /// The bytes that the option calls for.
        needed: usize,
    },
    /// An advertisement to a group says that it was solicited.
    #[error("is a solicited advertisement sent to a group")]
    SolicitedToGroup,
    /// A solicitation from the unspecified address went to something other than a solicited-node group.
    #[error("is a probe sent to {0}, not to a solicited-node group")]
    ProbeDestination(Ipv6Addr),
    /// A solicitation from the unspecified address carries a source link-layer address.
    #[error("is a probe with a source link-layer address")]
    ProbeWithLinkLayerAddress,
}

impl ParseError {
    /// The value of the `reason` label in metrics: one of fourteen.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Truncated { .. } => "truncated",
            Self::EtherType(_) => "ethertype",
            Self::IpVersion(_) => "ip_version",
            Self::NextHeader(_) => "next_header",
            Self::HopLimit(_) => "hop_limit",
            Self::UnknownType(_) => "unknown_type",
            Self::Code(_) => "code",
            Self::Checksum { .. } => "checksum",
            Self::MulticastTarget(_) => "multicast_target",
            Self::ZeroLengthOption => "zero_length_option",
            Self::TruncatedOption { .. } => "truncated_option",
            Self::SolicitedToGroup => "solicited_to_group",
            Self::ProbeDestination(_) => "probe_destination",
            Self::ProbeWithLinkLayerAddress => "probe_with_link_layer_address",
        }
    }
}
