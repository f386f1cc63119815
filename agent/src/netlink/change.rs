//! The requests that put an address on an interface, extend its life, and take it away.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressProtocol, AddressScope, CacheInfo,
};
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::parse::Neighbor;

/// The mark that Holdfast's addresses bear (`IFA_PROTO`, shown as `proto 0x68` by `ip address`; Linux 5.18 and later):
/// an `h`, which no other program is known to use.
pub const PROTOCOL_MARK: u8 = b'h';

/// An interface label has fifteen characters at most (`IFNAMSIZ` less its terminator).
const LABEL_LEN: usize = 15;

/// A request to the kernel.
pub(super) type Command = NetlinkMessage<RouteNetlinkMessage>;

/// An address as it lies, or is to lie, on an interface. Together these name it to the kernel.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Place {
    /// The interface's index.
    pub interface: u32,
    /// The address.
    pub address: IpAddr,
    /// The prefix length (the peer's, if there is one).
    pub prefix_length: u8,
    /// The address at the other end, which a companion (see [`super`]) uses to name its virtual address.
    pub peer: Option<IpAddr>,
}

impl Place {
    /// Whether its prefix holds nothing but the address.
    pub fn is_host(&self) -> bool {
        self.prefix_length == if self.address.is_ipv4() { 32 } else { 128 }
    }
}

/// Puts an address in its place, or extends its life if it is there.
pub(super) fn add(place: &Place, label: Option<&str>, lifetime: Duration) -> Command {
    let mut message = message(place);
    describe(&mut message, place, lifetime, AddressFlags::empty());
    if let Some(label) = label.filter(|label| place.address.is_ipv4() && label.len() <= LABEL_LEN) {
        message.attributes.push(AddressAttribute::Label(label.to_owned()));
    }
    command(
        RouteNetlinkMessage::NewAddress(message),
        NLM_F_CREATE | NLM_F_REPLACE,
    )
}

/// Extends an address's life and fails if it is not there.
///
/// Without more ado the kernel would create it again, whatever the flags of the request (both families ignore a missing
/// `NLM_F_CREATE`), and an address that has expired while this request waited for a lock would be resurrected. It does
/// refuse to create an address that is to join its own multicast group and is no multicast address; on one that is
/// there, that flag has no effect. So the kernel itself decides, under its lock.
pub(super) fn extend(place: &Place, lifetime: Duration) -> Command {
    let mut message = message(place);
    describe(&mut message, place, lifetime, AddressFlags::Mcautojoin);
    command(RouteNetlinkMessage::NewAddress(message), NLM_F_REPLACE)
}

/// The lifetime of an address that is deaf, in case that nobody is left to take it away.
pub(super) const DEAF_LIFETIME: Duration = Duration::from_secs(1);

/// Takes the route away by which an IPv4 address takes packets, and by which the kernel answers for it. It can still be sent from:
/// for that it only has to be on an interface.
pub(super) fn deafen(interface: u32, address: Ipv4Addr) -> Command {
    const TABLE_LOCAL: u8 = 255;
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    message.header.destination_prefix_length = 32;
    message.header.table = TABLE_LOCAL;
    message.header.protocol = RouteProtocol::Kernel;
    message.header.scope = RouteScope::Host;
    message.header.kind = RouteType::Local;
    message.attributes = vec![
        RouteAttribute::Destination(RouteAddress::Inet(address)),
        RouteAttribute::Oif(interface),
    ];
    command(RouteNetlinkMessage::DelRoute(message), 0)
}

/// Takes an address away.
pub(super) fn delete(place: &Place) -> Command {
    command(RouteNetlinkMessage::DelAddress(message(place)), 0)
}

/// Lists the neighbors that an interface knows of.
pub(super) fn list_neighbors(interface: u32) -> RouteNetlinkMessage {
    let mut message = NeighbourMessage::default();
    message.attributes = vec![NeighbourAttribute::IfIndex(interface)];
    RouteNetlinkMessage::GetNeighbour(message)
}

/// Takes a neighbor out of the kernel's table, so that the next packet to it asks for it at once.
pub(super) fn forget(neighbor: &Neighbor) -> Command {
    let mut message = NeighbourMessage::default();
    message.header.ifindex = neighbor.interface;
    let (family, address) = match neighbor.address {
        IpAddr::V4(address) => (AddressFamily::Inet, NeighbourAddress::Inet(address)),
        IpAddr::V6(address) => (AddressFamily::Inet6, NeighbourAddress::Inet6(address)),
    };
    message.header.family = family;
    message.attributes = vec![NeighbourAttribute::Destination(address)];
    command(RouteNetlinkMessage::DelNeighbour(message), 0)
}

fn message(place: &Place) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = if place.address.is_ipv4() {
        AddressFamily::Inet
    } else {
        AddressFamily::Inet6
    };
    message.header.prefix_len = place.prefix_length;
    message.header.scope = AddressScope::Universe;
    message.header.index = place.interface;
    message.attributes = vec![
        AddressAttribute::Local(place.address),
        AddressAttribute::Address(place.peer.unwrap_or(place.address)),
    ];
    message
}

fn describe(message: &mut AddressMessage, place: &Place, lifetime: Duration, mut flags: AddressFlags) {
    if place.address.is_ipv6() {
        // Duplicate detection would keep it unusable for a second, and a planned handover overlaps on purpose.
        flags |= AddressFlags::Nodad;
    }
    if place.is_host() {
        flags |= AddressFlags::Noprefixroute;
    }
    let mut life = CacheInfo::default();
    life.ifa_valid = whole_seconds(lifetime);
    // Deprecated from the start: source address selection avoids it (IPv6), and people see that it is special (both).
    life.ifa_preferred = 0;
    message.attributes.extend([
        AddressAttribute::Flags(flags),
        AddressAttribute::CacheInfo(life),
        AddressAttribute::Protocol(AddressProtocol::Other(PROTOCOL_MARK)),
    ]);
}

fn command(message: RouteNetlinkMessage, flags: u16) -> Command {
    let mut command = NetlinkMessage::from(message);
    command.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    command
}

/// The kernel counts lifetimes in seconds; a shorter one than asked for could expire between two renewals.
fn whole_seconds(lifetime: Duration) -> u32 {
    let seconds = lifetime
        .as_secs()
        .saturating_add(u64::from(lifetime.subsec_nanos() > 0));
    // The largest value would mean that the address never expires.
    u32::try_from(seconds)
        .unwrap_or(u32::MAX - 1)
        .clamp(1, u32::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_are_rounded_up_to_seconds_and_never_infinite() {
        let cases = [
            (Duration::ZERO, 1),
            (Duration::from_millis(1), 1),
            (Duration::from_secs(3), 3),
            (Duration::from_millis(3001), 4),
            (Duration::MAX, u32::MAX - 1),
        ];
        for (lifetime, seconds) in cases {
            assert_eq!(whole_seconds(lifetime), seconds, "{lifetime:?}");
        }
    }
}
