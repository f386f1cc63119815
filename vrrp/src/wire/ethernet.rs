//! Ethernet addresses and the frame header under which ARP and neighbor discovery travel. Nothing here can panic.

use core::fmt;
use core::net::Ipv6Addr;

use super::take;

/// The length of a frame's header: destination, source, EtherType.
pub const HEADER_LEN: usize = 14;

/// An EtherType: what a frame carries.
pub(super) const ETHERTYPE_ARP: u16 = 0x0806;
/// An EtherType: what a frame carries.
pub(super) const ETHERTYPE_IPV6: u16 = 0x86dd;

/// The hardware address of an Ethernet interface.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// The address of every station on the link.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// No address.
    pub const ZERO: Self = Self([0; 6]);

    /// The multicast address to which packets for an IPv6 group go (RFC 2464 §7).
    pub const fn of_group(group: Ipv6Addr) -> Self {
        let octets = group.octets();
        Self([0x33, 0x33, octets[12], octets[13], octets[14], octets[15]])
    }

    /// Whether one station can have this address: it is neither zero nor a group's (broadcast included).
    pub fn is_station(self) -> bool {
        let [first, ..] = self.0;
        first & 1 == 0 && self != Self::ZERO
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [head, tail @ ..] = self.0;
        write!(f, "{head:02x}")?;
        tail.iter().try_for_each(|byte| write!(f, ":{byte:02x}"))
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A frame's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub(super) destination: MacAddress,
    pub(super) source: MacAddress,
    pub(super) ethertype: u16,
}

impl Header {
    /// The header and what follows it; `None` if `frame` is shorter than a header.
    pub(super) fn parse(frame: &[u8]) -> Option<(Self, &[u8])> {
        let mut payload = frame;
        let header = Self {
            destination: MacAddress(take(&mut payload)?),
            source: MacAddress(take(&mut payload)?),
            ethertype: u16::from_be_bytes(take(&mut payload)?),
        };
        Some((header, payload))
    }

    /// Appends the header to `out`.
    pub(super) fn emit(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.destination.0);
        out.extend_from_slice(&self.source.0);
        out.extend_from_slice(&self.ethertype.to_be_bytes());
    }
}
