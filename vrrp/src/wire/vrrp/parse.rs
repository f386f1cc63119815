//! From bytes to an advertisement: every check of RFC 9568 §7.1 that needs nothing but the packet.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{HEADER_LEN, IP_PROTOCOL, ParseError, TYPE_ADVERTISEMENT, buffer_len};
use crate::types::{Family, Interval, Version, VirtualRouterId};
use crate::wire::checksum::Sum;

/// A well-formed advertisement, borrowed from the bytes it came in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet<'a> {
    /// The version spoken: the one that [`parse`] was told to expect.
    pub version: Version,
    /// Which virtual router it speaks for.
    pub virtual_router_id: VirtualRouterId,
    /// The sender's priority; 0 says that it leaves (RFC 9568 §5.2.4).
    pub priority: u8,
    /// The interval at which the sender advertises.
    pub interval: Interval,
    /// What the packet carries as proof of membership; VRRPv3 has nothing.
    pub authentication: Authentication,
    /// The virtual addresses that the sender advertises, at least one.
    pub addresses: Addresses<'a>,
}

/// What an advertisement carries as proof of membership (RFC 2338 §5.3.6).
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// Type 0: nothing.
    None,
    /// Type 1: a password, zero-padded.
    Password([u8; 8]),
    /// A type that this implementation does not speak.
    Other(u8),
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Password(_) => f.write_str("Password(***)"),
            Self::Other(kind) => write!(f, "Other({kind})"),
        }
    }
}

/// The addresses of an advertisement, in the order in which they are listed.
#[derive(Clone, PartialEq, Eq)]
pub struct Addresses<'a> {
    family: Family,
    bytes: &'a [u8],
}

impl Iterator for Addresses<'_> {
    type Item = IpAddr;

    fn next(&mut self) -> Option<IpAddr> {
        match self.family {
            Family::V4 => {
                let (octets, rest) = self.bytes.split_first_chunk::<4>()?;
                self.bytes = rest;
                Some(Ipv4Addr::from(*octets).into())
            }
            Family::V6 => {
                let (octets, rest) = self.bytes.split_first_chunk::<16>()?;
                self.bytes = rest;
                Some(Ipv6Addr::from(*octets).into())
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = match self.family {
            Family::V4 => self.bytes.len() / 4,
            Family::V6 => self.bytes.len() / 16,
        };
        (left, Some(left))
    }
}

impl ExactSizeIterator for Addresses<'_> {}

impl fmt::Debug for Addresses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// The advertisement in `payload`, an IP payload that came from `source` to `destination`, for a router that speaks
/// `expected`.
///
/// Bytes after the packet (Ethernet padding) are ignored, as reserved bits are. The checksum is VRRPv2's over the
/// packet, VRRPv3's over IPv6 with a pseudo-header, VRRPv3's over IPv4 either of the two: implementations differ.
///
/// The TTL, the peers, whether the virtual router is known and whether interval and password are its own are not
/// judged here but by [`crate::VirtualRouter`], which knows its configuration.
///
/// # Errors
///
/// A [`ParseError`] that names the first rule which the packet breaks. The version comes first: nothing else in a packet
/// of the other version means what it seems to.
pub fn parse(
    payload: &[u8],
    expected: Version,
    source: IpAddr,
    destination: IpAddr,
) -> Result<Packet<'_>, ParseError> {
    let family = Family::of(source);
    if Family::of(destination) != family {
        return Err(ParseError::MixedFamilies);
    }
    let too_short = ParseError::Truncated {
        length: payload.len(),
        needed: HEADER_LEN,
    };
    let Some((
        &[
            version_and_type,
            virtual_router_id,
            priority,
            count,
            high,
            low,
            sum_high,
            sum_low,
        ],
        body,
    )) = payload.split_first_chunk::<HEADER_LEN>()
    else {
        return Err(too_short);
    };

    let version = match version_and_type >> 4 {
        2 => Version::V2,
        3 => Version::V3,
        other => return Err(ParseError::UnknownVersion(other)),
    };
    if version != expected {
        return Err(ParseError::VersionMismatch {
            theirs: version,
            ours: expected,
        });
    }
    if version == Version::V2 && family == Family::V6 {
        return Err(ParseError::Version2OverIpv6);
    }
    let kind = version_and_type & 0x0f;
    if kind != TYPE_ADVERTISEMENT {
        return Err(ParseError::UnknownType(kind));
    }

    let needed = buffer_len(version, family, usize::from(count));
    let truncated = ParseError::Truncated {
        length: payload.len(),
        needed,
    };
    let packet = payload.get(..needed).ok_or(truncated)?;
    if !is_intact(packet, version, source, destination) {
        return Err(ParseError::Checksum {
            found: u16::from_be_bytes([sum_high, sum_low]),
        });
    }

    let virtual_router_id = VirtualRouterId::new(virtual_router_id).ok_or(ParseError::ZeroVirtualRouterId)?;
    let interval = match version {
        Version::V2 => Interval::from_secs(low),
        // The upper four bits are reserved.
        Version::V3 => Interval::from_centis(u16::from_be_bytes([high & 0x0f, low])),
    }
    .ok_or(ParseError::ZeroInterval)?;

    let address_len = buffer_len(Version::V3, family, usize::from(count)) - HEADER_LEN;
    let (addresses, rest) = body.split_at_checked(address_len).ok_or(truncated)?;
    let addresses = Addresses {
        family,
        bytes: addresses,
    };
    match addresses.clone().next() {
        None => return Err(ParseError::NoAddresses),
        Some(IpAddr::V6(first)) if !first.is_unicast_link_local() => {
            return Err(ParseError::FirstAddressNotLinkLocal(first));
        }
        Some(_) => {}
    }

    let authentication = match (version, high) {
        (Version::V3, _) | (Version::V2, 0) => Authentication::None,
        (Version::V2, 1) => Authentication::Password(*rest.first_chunk().ok_or(truncated)?),
        (Version::V2, other) => Authentication::Other(other),
    };
    Ok(Packet {
        version,
        virtual_router_id,
        priority,
        interval,
        authentication,
        addresses,
    })
}

fn is_intact(packet: &[u8], version: Version, source: IpAddr, destination: IpAddr) -> bool {
    let alone = || Sum::default().bytes(packet).is_intact();
    let with_pseudo_header = || {
        Sum::pseudo_header(source, destination, IP_PROTOCOL, packet.len())
            .bytes(packet)
            .is_intact()
    };
    match (version, Family::of(source)) {
        (Version::V2, _) => alone(),
        (Version::V3, Family::V4) => with_pseudo_header() || alone(),
        (Version::V3, Family::V6) => with_pseudo_header(),
    }
}
