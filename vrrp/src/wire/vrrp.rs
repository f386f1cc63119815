//! VRRP advertisements, versions 2 (RFC 3768) and 3 (RFC 9568), over IPv4 and IPv6.
//!
//! [`peek`] finds out whom a packet concerns, [`parse()`] judges it, [`emit()`] makes one. None of them can panic on any
//! input, and only [`emit()`] may allocate: when the caller's buffer has to grow.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------+-------+---------------+---------------+---------------+
//! |Version| Type=1| VirtualRouterID    Priority   | Address Count |
//! +-------+-------+---------------+---------------+---------------+
//! | v3: reserved, interval (cs)   |           Checksum            |
//! | v2: auth type | interval (s)  |                               |
//! +-------------------------------+-------------------------------+
//! | the addresses, 4 or 16 bytes each; v2: 8 bytes of auth data   |
//! ```

mod emit;
mod error;
mod parse;

use crate::types::{Family, Version};

pub use emit::emit;
pub use error::ParseError;
pub use parse::{Addresses, Authentication, Packet, parse};

/// VRRP's IP protocol number (RFC 9568 §5.1.1.4).
pub const IP_PROTOCOL: u8 = 112;

/// How many addresses one advertisement can list: the count is one byte (RFC 9568 §5.2.5).
pub const MAX_ADDRESSES: usize = u8::MAX as usize;

/// The length of the fields that stand before the addresses.
const HEADER_LEN: usize = 8;

/// The length of VRRPv2's authentication data, which is there also when nothing is authenticated (RFC 3768 §5.3.10).
const V2_AUTHENTICATION_LEN: usize = 8;

/// The only packet type (RFC 9568 §5.2.2).
const TYPE_ADVERTISEMENT: u8 = 1;

/// The length in bytes of an advertisement that lists `addresses` addresses.
pub const fn buffer_len(version: Version, family: Family, addresses: usize) -> usize {
    let authentication = match version {
        Version::V2 => V2_AUTHENTICATION_LEN,
        Version::V3 => 0,
    };
    let address = match family {
        Family::V4 => 4,
        Family::V6 => 16,
    };
    HEADER_LEN + address * addresses + authentication
}

/// The version and the virtual router identifier at the start of a packet, without checking anything else; for
/// finding the virtual router that is to judge it. `None` if there are not even these two bytes.
pub fn peek(payload: &[u8]) -> Option<(u8, u8)> {
    Some((payload.first()? >> 4, *payload.get(1)?))
}
