//! What the kernel says when it is asked about an interface, its addresses, or routes: one question, one socket, no memory.
//!
//! Of this thread's network namespace. To be asked aside: the kernel may have to finish something else first.

use core::net::IpAddr;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use holdfast_vrrp::wire::ethernet::MacAddress;
use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer, NetlinkMessage,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use netlink_packet_route::route::{RouteAttribute, RouteMessage};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

use crate::netlink::PROTOCOL_MARK;
use crate::netlink::parse::{attributes_of, ip};
use crate::sys;

/// The kernel's datagrams are no larger.
const DATAGRAM_LEN: usize = 64 << 10;

/// How often a question is repeated whose answer changed while it was given.
const ATTEMPTS: usize = 8;

/// An interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Link {
    /// Its number.
    pub index: u32,
    /// `IFF_…`.
    pub flags: u32,
    /// Its hardware address, if it has one as Ethernet does.
    pub mac: Option<MacAddress>,
}

/// An address of an interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Address {
    /// The address itself.
    pub ip: IpAddr,
    /// Its prefix length.
    pub prefix_length: u8,
    /// Whether it is the node's own, and can be spoken from: neither a virtual one nor one that is not sure yet.
    pub own: bool,
}

/// A route.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// Where it leads; `None` for the default route.
    pub destination: Option<IpAddr>,
    /// The length of its prefix.
    pub prefix_length: u8,
    /// The table it is in.
    pub table: u32,
    /// `RTN_…`.
    pub kind: u8,
    /// The ways it leads.
    pub hops: Vec<Hop>,
}

/// One way of a route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hop {
    /// The interface.
    pub interface: u32,
    /// The gateway, if it is not on the link.
    pub gateway: Option<IpAddr>,
    /// Whether its link is down.
    pub down: bool,
}

/// The interface of this name; `None` if there is none.
pub fn link(name: &str) -> Result<Option<Link>, Errno> {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(name.to_owned()));
    let links = ask(RouteNetlinkMessage::GetLink(message), 0, |kind, payload| {
        (kind == libc::RTM_NEWLINK).then(|| read_link(payload)).flatten()
    });
    match links {
        Ok(links) => Ok(links.into_iter().next()),
        Err(Errno::ENODEV) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The addresses of an interface.
pub fn addresses(interface: u32) -> Result<Vec<Address>, Errno> {
    let mut message = AddressMessage::default();
    message.header.index = interface;
    ask(
        RouteNetlinkMessage::GetAddress(message),
        NLM_F_DUMP,
        |kind, payload| {
            (kind == libc::RTM_NEWADDR)
                .then(|| read_address(interface, payload))
                .flatten()
        },
    )
}

/// The routes of one family in one table of which `is_wanted` is true.
pub fn routes(is_v4: bool, table: u32, is_wanted: impl Fn(&Route) -> bool) -> Result<Vec<Route>, Errno> {
    let mut message = RouteMessage::default();
    message.header.address_family = if is_v4 {
        netlink_packet_route::AddressFamily::Inet
    } else {
        netlink_packet_route::AddressFamily::Inet6
    };
    message.attributes.push(RouteAttribute::Table(table));
    let routes = ask(
        RouteNetlinkMessage::GetRoute(message),
        NLM_F_DUMP,
        |kind, payload| {
            (kind == libc::RTM_NEWROUTE)
                .then(|| read_route(payload))
                .flatten()
                // A kernel that does not look at requests exactly (before 4.20) answers with all tables.
                .filter(|route| route.table == table && is_wanted(route))
        },
    );
    match routes {
        // There is no such table, and so there is no such route.
        Err(Errno::ENOENT | Errno::ESRCH) => Ok(Vec::new()),
        routes => routes,
    }
}

/// What `read` makes of the kernel's answer.
fn ask<T>(
    request: RouteNetlinkMessage,
    flags: u16,
    read: impl Fn(u16, &[u8]) -> Option<T>,
) -> Result<Vec<T>, Errno> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    let _ = sys::ask_exactly(socket.as_fd());
    let mut request = NetlinkMessage::from(request);
    request.header.flags = NLM_F_REQUEST | flags;
    request.finalize();
    let mut datagram = vec![0; request.buffer_len()];
    request.serialize(&mut datagram);
    for _ in 1..ATTEMPTS {
        if let Whole(answer) = ask_once(&socket, &datagram, flags, &read)? {
            return Ok(answer);
        }
    }
    // What changes all the time cannot be seen at rest.
    let (Whole(answer) | Torn(answer)) = ask_once(&socket, &datagram, flags, &read)?;
    Ok(answer)
}

/// An answer, and whether what it is about has changed while it was given.
enum Answer<T> {
    Whole(Vec<T>),
    Torn(Vec<T>),
}
use Answer::{Torn, Whole};

fn ask_once<T>(
    socket: &OwnedFd,
    datagram: &[u8],
    flags: u16,
    read: impl Fn(u16, &[u8]) -> Option<T>,
) -> Result<Answer<T>, Errno> {
    retried(|| send(socket.as_raw_fd(), datagram, MsgFlags::empty()))?;
    let mut buffer = vec![0; DATAGRAM_LEN];
    let (mut answer, mut torn) = (Vec::new(), false);
    loop {
        // The kernel has its answer ready when the request was taken, so that nothing is waited for here.
        let length = retried(|| recv(socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT))?;
        let mut rest = buffer.get(..length).unwrap_or_default();
        while let Ok(message) = NetlinkBuffer::new_checked(rest) {
            torn |= message.flags() & NLM_F_DUMP_INTR != 0;
            let payload = message.payload();
            let errno = || payload.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
            match message.message_type() {
                NLMSG_ERROR if errno() != 0 => return Err(Errno::from_raw(errno().saturating_neg())),
                // The end of a dump says how it went.
                NLMSG_DONE if errno() < 0 => return Err(Errno::from_raw(errno().saturating_neg())),
                NLMSG_ERROR | NLMSG_DONE => return Ok(if torn { Torn(answer) } else { Whole(answer) }),
                kind => answer.extend(read(kind, payload)),
            }
            let length = (message.length() as usize).next_multiple_of(4);
            rest = rest.get(length..).filter(|_| length > 0).unwrap_or_default();
        }
        if flags & NLM_F_DUMP == 0 {
            return Ok(Whole(answer));
        }
    }
}

fn retried(mut call: impl FnMut() -> nix::Result<usize>) -> nix::Result<usize> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

/// Reads an `ifinfomsg` and its attributes.
fn read_link(payload: &[u8]) -> Option<Link> {
    let (header, attributes) = payload.split_first_chunk::<16>()?;
    let [_, _, _, _, i0, i1, i2, i3, f0, f1, f2, f3, ..] = *header;
    let mac = attributes_of(attributes)
        .find(|attribute| attribute.kind() == libc::IFLA_ADDRESS)
        .and_then(|attribute| attribute.value().try_into().ok());
    Some(Link {
        index: u32::from_ne_bytes([i0, i1, i2, i3]),
        flags: u32::from_ne_bytes([f0, f1, f2, f3]),
        mac: mac.map(MacAddress).filter(|mac| mac.is_station()),
    })
}

/// Reads an `ifaddrmsg` and its attributes.
fn read_address(interface: u32, payload: &[u8]) -> Option<Address> {
    const IFA_PROTO: u16 = 11;
    const NOT_TO_BE_USED: u32 = libc::IFA_F_TENTATIVE | libc::IFA_F_DADFAILED | libc::IFA_F_DEPRECATED;
    let ([family, prefix_length, flags, _scope, index @ ..], attributes) =
        payload.split_first_chunk::<8>()?;
    if u32::from_ne_bytes(*index) != interface {
        return None;
    }
    let (mut local, mut address, mut flags, mut protocol) = (None, None, u32::from(*flags), 0);
    for attribute in attributes_of(attributes) {
        let value = attribute.value();
        match attribute.kind() {
            libc::IFA_LOCAL => local = ip(*family, value),
            libc::IFA_ADDRESS => address = ip(*family, value),
            libc::IFA_FLAGS => flags = u32::from_ne_bytes(*value.first_chunk()?),
            IFA_PROTO => protocol = *value.first()?,
            _ => {}
        }
    }
    Some(Address {
        ip: local.or(address)?,
        prefix_length: *prefix_length,
        own: flags & NOT_TO_BE_USED == 0 && protocol != PROTOCOL_MARK,
    })
}

/// Reads an `rtmsg` and its attributes.
fn read_route(payload: &[u8]) -> Option<Route> {
    let ([family, prefix_length, _, _, table, _, _, kind, flags @ ..], attributes) =
        payload.split_first_chunk::<12>()?;
    let [flags, ..] = u32::from_ne_bytes(*flags).to_le_bytes();
    let mut route = Route {
        destination: None,
        prefix_length: *prefix_length,
        table: u32::from(*table),
        kind: *kind,
        hops: Vec::new(),
    };
    let (mut interface, mut gateway) = (None, None);
    for attribute in attributes_of(attributes) {
        let value = attribute.value();
        match attribute.kind() {
            libc::RTA_DST => route.destination = ip(*family, value),
            libc::RTA_TABLE => route.table = u32::from_ne_bytes(*value.first_chunk()?),
            libc::RTA_OIF => interface = Some(u32::from_ne_bytes(*value.first_chunk()?)),
            libc::RTA_MULTIPATH => route.hops = read_hops(*family, value),
            kind => gateway = gateway.or_else(|| read_gateway(*family, kind, value)),
        }
    }
    if let Some(interface) = interface.filter(|_| route.hops.is_empty()) {
        route.hops.push(Hop {
            interface,
            gateway,
            down: is_down(flags),
        });
    }
    Some(route)
}

/// Reads the `rtnexthop`s of a route with several ways.
fn read_hops(family: u8, mut bytes: &[u8]) -> Vec<Hop> {
    let mut hops = Vec::new();
    while let Some(([l0, l1, flags, _, interface @ ..], _)) = bytes.split_first_chunk::<8>() {
        let length = usize::from(u16::from_ne_bytes([*l0, *l1]));
        let Some(attributes) = bytes.get(8..length) else {
            break;
        };
        hops.push(Hop {
            interface: u32::from_ne_bytes(*interface),
            gateway: attributes_of(attributes)
                .find_map(|attribute| read_gateway(family, attribute.kind(), attribute.value())),
            down: is_down(*flags),
        });
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    hops
}

/// Whether a way with these flags leads through a link that is down or has no carrier.
fn is_down(flags: u8) -> bool {
    const RTNH_F_DEAD: u8 = 1;
    const RTNH_F_LINKDOWN: u8 = 16;
    flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN) != 0
}

/// Reads a gateway, which may be of the other family.
fn read_gateway(family: u8, kind: u16, value: &[u8]) -> Option<IpAddr> {
    /// libc has it for one C library only.
    const RTA_VIA: u16 = 18;
    match kind {
        libc::RTA_GATEWAY => ip(family, value),
        RTA_VIA => {
            let (family, address) = value.split_first_chunk()?;
            ip(u8::try_from(u16::from_ne_bytes(*family)).ok()?, address)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `AF_INET`, as messages have it.
    const INET: u8 = 2;

    /// An attribute as the kernel writes it.
    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(4 + value.len()).unwrap();
        let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn address(flags: u32, protocol: u8) -> Vec<u8> {
        let header = [&[INET, 24, 0, 0][..], &7_u32.to_ne_bytes()].concat();
        [
            header,
            attribute(libc::IFA_ADDRESS, &[192, 0, 2, 1]),
            attribute(libc::IFA_LOCAL, &[192, 0, 2, 11]),
            attribute(libc::IFA_FLAGS, &flags.to_ne_bytes()),
            attribute(11, &[protocol]),
        ]
        .concat()
    }

    #[test]
    fn an_address_is_the_nodes_own_unless_it_is_virtual_or_not_to_be_used() {
        let own = |flags, protocol| read_address(7, &address(flags, protocol)).unwrap().own;
        let found = read_address(7, &address(libc::IFA_F_PERMANENT, 0)).unwrap();
        assert_eq!(
            (found.ip, found.prefix_length, found.own),
            ([192, 0, 2, 11].into(), 24, true)
        );
        assert!(!own(libc::IFA_F_PERMANENT, PROTOCOL_MARK));
        for flag in [
            libc::IFA_F_TENTATIVE,
            libc::IFA_F_DADFAILED,
            libc::IFA_F_DEPRECATED,
        ] {
            assert!(!own(flag, 0), "{flag:#x}");
        }
        assert_eq!(read_address(8, &address(0, 0)), None, "another interface's");
    }

    #[test]
    fn no_cut_or_changed_answer_makes_the_reader_panic_or_hang() {
        let hop = [
            &[16, 0, 0, 0][..],
            &3_u32.to_ne_bytes(),
            &attribute(libc::RTA_GATEWAY, &[10, 0, 0, 1]),
        ]
        .concat();
        let route = [
            vec![INET, 8, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0],
            attribute(libc::RTA_DST, &[10, 0, 0, 0]),
            attribute(libc::RTA_MULTIPATH, &[hop.clone(), hop].concat()),
            attribute(libc::RTA_VIA, &[10, 0, 0xfd, 0]),
        ]
        .concat();
        assert_eq!(read_route(&route).unwrap().hops.len(), 2);
        let address = address(0, 0);
        for (whole, read) in [
            (&route, (|bytes| read_route(bytes).is_some()) as fn(&[u8]) -> bool),
            (&address, |bytes| read_address(7, bytes).is_some()),
            (&address, |bytes| read_link(bytes).is_some()),
        ] {
            for length in 0..whole.len() {
                read(&whole[..length]);
                for value in [0, 1, 4, 8, 0x7f, 0xff] {
                    let mut changed = whole.clone();
                    changed[length] = value;
                    read(&changed);
                }
            }
        }
    }
}
