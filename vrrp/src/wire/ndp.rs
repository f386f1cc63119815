//! IPv6 neighbor discovery over Ethernet (RFC 4861): announcing an address, probing for one, hearing who claims one.
//!
//! Nothing here can panic on any input, and only emitting may allocate: when the caller's buffer has to grow.

mod error;
mod frame;

use core::net::{IpAddr, Ipv6Addr};

use super::checksum::Sum;
use super::ethernet::MacAddress;
use super::take;

pub use error::ParseError;
pub use frame::Frame;

/// ICMPv6's protocol number.
pub const IP_PROTOCOL: u8 = 58;

/// The hop limit without which no neighbor discovery packet is believed: it has not been forwarded (RFC 4861 §3.1).
pub const HOP_LIMIT: u8 = 255;

/// The group of all nodes on the link, to which unsolicited advertisements go.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

const TYPE_SOLICITATION: u8 = 135;
const TYPE_ADVERTISEMENT: u8 = 136;

/// Type, code, checksum, flags, target: what stands before the options.
const FIXED_LEN: usize = 24;
/// The length of an option that holds an Ethernet address.
const LINK_LAYER_OPTION_LEN: usize = 8;
const OPTION_SOURCE_LINK_LAYER: u8 = 1;
const OPTION_TARGET_LINK_LAYER: u8 = 2;

const FLAG_ROUTER: u8 = 0x80;
const FLAG_SOLICITED: u8 = 0x40;
const FLAG_OVERRIDE: u8 = 0x20;

/// A neighbor discovery packet that tells or asks where an address is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Packet {
    /// Tells that the sender holds `target` (RFC 4861 §4.4).
    Advertisement {
        /// The address held.
        target: Ipv6Addr,
        /// The holder's hardware address, if the packet says it.
        mac: Option<MacAddress>,
        /// Whether the holder is a router. Hosts that route through the address drop that route if this is false.
        router: bool,
        /// Whether this answers a solicitation.
        solicited: bool,
        /// Whether caches that know another hardware address are to take this one.
        overrides: bool,
    },
    /// Asks who holds `target` (RFC 4861 §4.3).
    Solicitation {
        /// The address asked for.
        target: Ipv6Addr,
        /// The asker's hardware address, if the packet says it.
        mac: Option<MacAddress>,
    },
}

impl Packet {
    /// The announcement that `mac` holds `address`, which corrects every cache that knows another: unsolicited, with
    /// the Override flag (RFC 4861 §7.2.6). Set `router` where the address routes for others.
    pub const fn announcement(mac: MacAddress, address: Ipv6Addr, router: bool) -> Self {
        Self::Advertisement {
            target: address,
            mac: Some(mac),
            router,
            solicited: false,
            overrides: true,
        }
    }

    /// The question whether anybody holds `address`, which claims nothing when it is sent from the unspecified
    /// address, as duplicate address detection does (RFC 4862 §5.4.2).
    pub const fn probe(address: Ipv6Addr) -> Self {
        Self::Solicitation {
            target: address,
            mac: None,
        }
    }

    /// The group to which this packet goes if it is sent to nobody in particular: all nodes for an advertisement,
    /// the target's solicited-node group for a solicitation.
    pub const fn group(&self) -> Ipv6Addr {
        match self {
            Self::Advertisement { .. } => ALL_NODES,
            Self::Solicitation { target, .. } => solicited_node(*target),
        }
    }

    /// The address that the sender of this packet, which came from `source`, says it holds, and its hardware address
    /// if the packet gives that: an advertisement's target, an ordinary solicitation's source.
    ///
    /// `None` if the packet claims nothing: a probe, or an address or hardware address that no station can have.
    pub fn claimed_address(&self, source: Ipv6Addr) -> Option<(Ipv6Addr, Option<MacAddress>)> {
        let (address, mac) = match *self {
            Self::Advertisement { target, mac, .. } => (target, mac),
            Self::Solicitation { mac, .. } => (source, mac),
        };
        let nobodys = address.is_unspecified() || address.is_loopback() || address.is_multicast();
        if nobodys || mac.is_some_and(|mac| !mac.is_station()) {
            None
        } else {
            Some((address, mac))
        }
    }

    /// The packet in `payload`, an ICMPv6 message that came from `source` to `destination` with `hop_limit`.
    ///
    /// Options other than the two link-layer addresses are skipped, and reserved bits are ignored. `payload` is
    /// exactly the message: what follows the fixed part are options.
    ///
    /// # Errors
    ///
    /// A [`ParseError`] that names the first rule of RFC 4861 §7.1 which the packet breaks.
    pub fn parse(
        payload: &[u8],
        source: Ipv6Addr,
        destination: Ipv6Addr,
        hop_limit: u8,
    ) -> Result<Self, ParseError> {
        if hop_limit != HOP_LIMIT {
            return Err(ParseError::HopLimit(hop_limit));
        }
        let truncated = ParseError::Truncated {
            length: payload.len(),
            needed: FIXED_LEN,
        };
        let mut rest = payload;
        let [kind, code] = take(&mut rest).ok_or(truncated)?;
        if kind != TYPE_SOLICITATION && kind != TYPE_ADVERTISEMENT {
            return Err(ParseError::UnknownType(kind));
        }
        let found = u16::from_be_bytes(take(&mut rest).ok_or(truncated)?);
        let [flags, _, _, _] = take(&mut rest).ok_or(truncated)?;
        let target = Ipv6Addr::from(take::<16>(&mut rest).ok_or(truncated)?);
        if !sum(payload, source, destination).is_intact() {
            return Err(ParseError::Checksum { found });
        }
        if code != 0 {
            return Err(ParseError::Code(code));
        }
        if target.is_multicast() {
            return Err(ParseError::MulticastTarget(target));
        }
        let options = Options::parse(rest)?;

        if kind == TYPE_ADVERTISEMENT {
            let solicited = flags & FLAG_SOLICITED != 0;
            if solicited && destination.is_multicast() {
                return Err(ParseError::SolicitedToGroup);
            }
            return Ok(Self::Advertisement {
                target,
                mac: options.target,
                router: flags & FLAG_ROUTER != 0,
                solicited,
                overrides: flags & FLAG_OVERRIDE != 0,
            });
        }
        if source.is_unspecified() {
            if !is_solicited_node(destination) {
                return Err(ParseError::ProbeDestination(destination));
            }
            if options.source.is_some() {
                return Err(ParseError::ProbeWithLinkLayerAddress);
            }
        }
        Ok(Self::Solicitation {
            target,
            mac: options.source,
        })
    }

    /// Appends the packet as an ICMPv6 message from `source` to `destination` to `out`: [`Packet::buffer_len`] bytes.
    /// It is to be sent with hop limit 255 ([`HOP_LIMIT`]).
    pub fn emit(&self, source: Ipv6Addr, destination: Ipv6Addr, out: &mut Vec<u8>) {
        let (kind, flags, target, option, mac) = match *self {
            Self::Advertisement {
                target,
                mac,
                router,
                solicited,
                overrides,
            } => {
                let flags = [
                    (router, FLAG_ROUTER),
                    (solicited, FLAG_SOLICITED),
                    (overrides, FLAG_OVERRIDE),
                ];
                let flags = flags
                    .into_iter()
                    .filter(|(set, _)| *set)
                    .map(|(_, flag)| flag)
                    .sum();
                (TYPE_ADVERTISEMENT, flags, target, OPTION_TARGET_LINK_LAYER, mac)
            }
            Self::Solicitation { target, mac } => {
                (TYPE_SOLICITATION, 0, target, OPTION_SOURCE_LINK_LAYER, mac)
            }
        };
        let start = out.len();
        out.reserve(self.buffer_len());
        out.extend_from_slice(&[kind, 0, 0, 0, flags, 0, 0, 0]);
        out.extend_from_slice(&target.octets());
        if let Some(mac) = mac {
            out.extend_from_slice(&[option, 1]);
            out.extend_from_slice(&mac.0);
        }
        if let Some(packet) = out.get_mut(start..) {
            let checksum = sum(packet, source, destination).checksum();
            if let Some(field) = packet.get_mut(2..4) {
                field.copy_from_slice(&checksum.to_be_bytes());
            }
        }
    }

    /// The length in bytes of the ICMPv6 message.
    pub const fn buffer_len(&self) -> usize {
        match self {
            Self::Advertisement { mac: Some(_), .. } | Self::Solicitation { mac: Some(_), .. } => {
                FIXED_LEN + LINK_LAYER_OPTION_LEN
            }
            Self::Advertisement { mac: None, .. } | Self::Solicitation { mac: None, .. } => FIXED_LEN,
        }
    }
}

/// The group that a holder of `address` listens on for solicitations (RFC 4291 §2.7.1).
pub const fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    Ipv6Addr::from_octets([0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01, 0xff, a, b, c])
}

fn is_solicited_node(address: Ipv6Addr) -> bool {
    solicited_node(address) == address
}

/// What the options say that matters here.
#[derive(Default)]
struct Options {
    source: Option<MacAddress>,
    target: Option<MacAddress>,
}

impl Options {
    fn parse(mut bytes: &[u8]) -> Result<Self, ParseError> {
        let mut options = Self::default();
        while !bytes.is_empty() {
            // An option's length is counted in eight bytes and includes its two header bytes.
            let &[kind, units, ..] = bytes else {
                return Err(ParseError::TruncatedOption {
                    length: bytes.len(),
                    needed: LINK_LAYER_OPTION_LEN,
                });
            };
            if units == 0 {
                return Err(ParseError::ZeroLengthOption);
            }
            let needed = usize::from(units) * 8;
            let truncated = ParseError::TruncatedOption {
                length: bytes.len(),
                needed,
            };
            let (option, rest) = bytes.split_at_checked(needed).ok_or(truncated)?;
            if let &[_, _, a, b, c, d, e, f] = option {
                match kind {
                    OPTION_SOURCE_LINK_LAYER => options.source = Some(MacAddress([a, b, c, d, e, f])),
                    OPTION_TARGET_LINK_LAYER => options.target = Some(MacAddress([a, b, c, d, e, f])),
                    _ => {}
                }
            }
            bytes = rest;
        }
        Ok(options)
    }
}

fn sum(packet: &[u8], source: Ipv6Addr, destination: Ipv6Addr) -> Sum {
    Sum::pseudo_header(
        IpAddr::V6(source),
        IpAddr::V6(destination),
        IP_PROTOCOL,
        packet.len(),
    )
    .bytes(packet)
}
