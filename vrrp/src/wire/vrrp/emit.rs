//! From a configuration to the bytes of its advertisement.

use core::net::IpAddr;

use super::{HEADER_LEN, IP_PROTOCOL, MAX_ADDRESSES, TYPE_ADVERTISEMENT, buffer_len};
use crate::config::{Authentication, Checksum, Config};
use crate::types::{Family, Version};
use crate::wire::checksum::Sum;

/// Appends the advertisement that `config` describes to `out`, with `priority` (0 resigns), to be sent from `source` to
/// `destination`: the two that the checksum may cover.
///
/// The addresses are [`Config::advertised`], at most [`MAX_ADDRESSES`] of them, in their order but for one thing: over
/// IPv6 the first link-local address leads, as RFC 9568 §5.2.9 demands. If none of them is link-local they go out as
/// given, and routers that heed erratum 8300 (this one too) refuse the packet; if there are none at all, every router
/// does. Validation of the configuration keeps both from happening. An interval that the version cannot say is cut to
/// the nearest that it can.
pub fn emit(config: &Config, priority: u8, source: IpAddr, destination: IpAddr, out: &mut Vec<u8>) {
    let count = config.advertised().take(MAX_ADDRESSES).count();
    let start = out.len();
    out.reserve(buffer_len(config.version, config.family, count));

    out.push(config.version.number() << 4 | TYPE_ADVERTISEMENT);
    out.push(config.virtual_router_id.get());
    out.push(priority);
    out.push(u8::try_from(count).unwrap_or(u8::MAX));
    out.extend_from_slice(&interval_field(config));
    out.extend_from_slice(&[0, 0]);

    let leader = config.advertised().position(is_link_local).unwrap_or(0);
    let others = config
        .advertised()
        .enumerate()
        .filter(|(position, _)| *position != leader);
    let ordered = config
        .advertised()
        .skip(leader)
        .take(1)
        .chain(others.map(|(_, address)| address));
    for address in ordered.take(MAX_ADDRESSES) {
        match address {
            IpAddr::V4(address) => out.extend_from_slice(&address.octets()),
            IpAddr::V6(address) => out.extend_from_slice(&address.octets()),
        }
    }
    if config.version == Version::V2 {
        out.extend_from_slice(&match config.authentication {
            Authentication::None => [0; 8],
            Authentication::Password(password) => password,
        });
    }

    if let Some(packet) = out.get_mut(start..) {
        let checksum = checksum(config, source, destination, packet);
        if let Some(field) = packet.get_mut(HEADER_LEN - 2..HEADER_LEN) {
            field.copy_from_slice(&checksum.to_be_bytes());
        }
    }
}

/// The two bytes before the checksum: authentication type and seconds, or centiseconds in twelve bits.
fn interval_field(config: &Config) -> [u8; 2] {
    let interval = config.interval.get();
    match config.version {
        Version::V2 => {
            let kind = match config.authentication {
                Authentication::None => 0,
                Authentication::Password(_) => 1,
            };
            [kind, u8::try_from(interval.as_secs()).unwrap_or(u8::MAX).max(1)]
        }
        Version::V3 => {
            let centis = u16::try_from(interval.as_millis() / 10).unwrap_or(u16::MAX);
            centis.clamp(1, 4095).to_be_bytes()
        }
    }
}

fn checksum(config: &Config, source: IpAddr, destination: IpAddr, packet: &[u8]) -> u16 {
    let pseudo_header = match (config.version, config.family) {
        (Version::V2, _) => false,
        (Version::V3, Family::V4) => config.checksum == Checksum::WithPseudoHeader,
        (Version::V3, Family::V6) => true,
    };
    let sum = if pseudo_header {
        Sum::pseudo_header(source, destination, IP_PROTOCOL, packet.len())
    } else {
        Sum::default()
    };
    sum.bytes(packet).checksum()
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}
