//! What the kernel says about links and addresses, as far as it matters here.
//!
//! Links are read by hand: a driver or a future kernel may attach anything to them, and none of it may cost us the link.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::{NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer, NlaBuffer, NlasIterator};

use super::Link;
use super::change::Place;

/// One message of the kernel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum News {
    /// A link, new or changed.
    Link(Link),
    /// The index of a link that is gone.
    LinkGone(u32),
    /// An address, new or changed.
    Address(Found),
    /// An address that is gone.
    AddressGone(Place),
    /// A neighbor that was asked for and has not answered yet.
    Unanswered(Neighbor),
    /// The answer to the request with that sequence number; the error number is 0 if it was done.
    Answer {
        /// The request's.
        sequence: u32,
        /// Why it was not done, as a positive number of `errno`.
        errno: i32,
    },
    /// The end of a dump.
    Done,
    /// Something else.
    Other,
}

/// An address as the kernel describes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Found {
    /// Where it is.
    pub place: Place,
    /// `IFA_F_…`.
    pub flags: u32,
    /// `IFA_PROTO`, 0 if not given.
    pub protocol: u8,
    /// The seconds it has left; `None` if it does not expire.
    pub valid: Option<u32>,
}

/// Somebody on a link, as the kernel's neighbor table names them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Neighbor {
    /// The interface's index.
    pub interface: u32,
    /// Who.
    pub address: IpAddr,
}

/// What one datagram of the kernel holds.
pub(super) struct Datagram {
    /// The messages in their order.
    pub news: Vec<News>,
    /// The kernel says that the dump this belongs to may have missed something.
    pub interrupted: bool,
}

/// Reads a datagram; what is not complete is left out.
pub(super) fn parse(mut bytes: &[u8]) -> Datagram {
    let mut datagram = Datagram {
        news: Vec::new(),
        interrupted: false,
    };
    while let Ok(message) = NetlinkBuffer::new_checked(bytes) {
        datagram.interrupted |= message.flags() & NLM_F_DUMP_INTR != 0;
        datagram.news.push(parse_one(&message).unwrap_or(News::Other));
        let length = (message.length() as usize).next_multiple_of(4);
        let Some(rest) = bytes.get(length..).filter(|_| length > 0) else {
            break;
        };
        bytes = rest;
    }
    datagram
}

fn parse_one(message: &NetlinkBuffer<&[u8]>) -> Option<News> {
    let payload = message.payload();
    match message.message_type() {
        libc::RTM_NEWLINK => link(payload),
        libc::RTM_DELLINK => link(payload).map(|news| match news {
            News::Link(link) => News::LinkGone(link.index),
            other => other,
        }),
        libc::RTM_NEWADDR => address(payload).map(News::Address),
        libc::RTM_DELADDR => address(payload).map(|found| News::AddressGone(found.place)),
        libc::RTM_NEWNEIGH => unanswered(payload),
        NLMSG_ERROR => {
            let code = i32::from_ne_bytes(*payload.first_chunk()?);
            Some(News::Answer {
                sequence: message.sequence_number(),
                errno: code.saturating_neg(),
            })
        }
        NLMSG_DONE => Some(News::Done),
        _ => None,
    }
}

/// Reads an `ifinfomsg` and its attributes.
fn link(payload: &[u8]) -> Option<News> {
    let (header, attributes) = payload.split_first_chunk::<16>()?;
    if i32::from(header[0]) != libc::AF_UNSPEC {
        // A bridge tells of its ports in the same words; a port that is removed is not a link that is gone.
        return None;
    }
    let [_, _, _, _, i0, i1, i2, i3, f0, f1, f2, f3, ..] = *header;
    let flags = u32::from_ne_bytes([f0, f1, f2, f3]);
    let wanted = (libc::IFF_UP | libc::IFF_RUNNING).cast_unsigned();
    let mut link = Link {
        index: u32::from_ne_bytes([i0, i1, i2, i3]),
        name: String::new(),
        up: flags & wanted == wanted,
        mac: None,
    };
    for attribute in attributes_of(attributes) {
        match attribute.kind() {
            libc::IFLA_IFNAME => {
                let name = attribute
                    .value()
                    .split(|byte| *byte == 0)
                    .next()
                    .unwrap_or_default();
                link.name = String::from_utf8_lossy(name).into_owned();
            }
            libc::IFLA_ADDRESS => link.mac = attribute.value().try_into().ok(),
            _ => {}
        }
    }
    Some(News::Link(link))
}

/// Reads an `ifaddrmsg` and its attributes.
fn address(payload: &[u8]) -> Option<Found> {
    const IFA_PROTO: u16 = 11;
    let ([family, prefix_length, flags, _scope, index @ ..], attributes) =
        payload.split_first_chunk::<8>()?;
    let (mut local, mut address) = (None, None);
    let mut found = Found {
        place: Place {
            interface: u32::from_ne_bytes(*index),
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            prefix_length: *prefix_length,
            peer: None,
        },
        flags: u32::from(*flags),
        protocol: 0,
        valid: None,
    };
    for attribute in attributes_of(attributes) {
        let value = attribute.value();
        match attribute.kind() {
            libc::IFA_LOCAL => local = ip(*family, value),
            libc::IFA_ADDRESS => address = ip(*family, value),
            libc::IFA_FLAGS => found.flags = u32::from_ne_bytes(*value.first_chunk()?),
            libc::IFA_CACHEINFO => {
                let seconds = u32::from_ne_bytes(*value.get(4..)?.first_chunk()?);
                found.valid = (seconds != u32::MAX).then_some(seconds);
            }
            IFA_PROTO => found.protocol = *value.first()?,
            _ => {}
        }
    }
    found.place.address = local.or(address)?;
    found.place.peer = address.filter(|address| *address != found.place.address);
    Some(found)
}

/// Reads an `ndmsg` and its attributes, if the state it tells of is `NUD_INCOMPLETE`.
fn unanswered(payload: &[u8]) -> Option<News> {
    const NUD_INCOMPLETE: u16 = 1;
    const NDA_DST: u16 = 1;
    let ([family, _, _, _, i0, i1, i2, i3, s0, s1, _flags, _kind], attributes) =
        payload.split_first_chunk::<12>()?;
    if u16::from_ne_bytes([*s0, *s1]) != NUD_INCOMPLETE {
        return None;
    }
    let whom = attributes_of(attributes).find(|attribute| attribute.kind() == NDA_DST)?;
    Some(News::Unanswered(Neighbor {
        interface: u32::from_ne_bytes([*i0, *i1, *i2, *i3]),
        address: ip(*family, whom.value())?,
    }))
}

/// The attributes that follow a message's fixed part, as far as they are whole.
pub(crate) fn attributes_of(bytes: &[u8]) -> impl Iterator<Item = NlaBuffer<&[u8]>> {
    NlasIterator::new(bytes).map_while(Result::ok)
}

/// An address of `family`.
pub(crate) fn ip(family: u8, bytes: &[u8]) -> Option<IpAddr> {
    match i32::from(family) {
        libc::AF_INET => <[u8; 4]>::try_from(bytes)
            .ok()
            .map(|octets| Ipv4Addr::from(octets).into()),
        libc::AF_INET6 => <[u8; 16]>::try_from(bytes)
            .ok()
            .map(|octets| Ipv6Addr::from(octets).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::netlink::change::{PROTOCOL_MARK, add, delete};

    fn bytes(mut command: crate::netlink::change::Command) -> Vec<u8> {
        command.finalize();
        let mut bytes = vec![0; command.buffer_len()];
        command.serialize(&mut bytes);
        bytes
    }

    fn place(address: &str, peer: Option<&str>) -> Place {
        Place {
            interface: 7,
            address: address.parse().unwrap(),
            prefix_length: if address.contains(':') { 128 } else { 32 },
            peer: peer.map(|peer| peer.parse().unwrap()),
        }
    }

    #[test]
    fn an_address_reads_as_it_was_written() {
        for place in [
            place("10.0.0.100", None),
            place("10.0.0.11", Some("10.0.0.100")),
            place("fd00::9", None),
        ] {
            let parsed = parse(&bytes(add(&place, Some("eth0:vip"), Duration::from_secs(3)))).news;
            let [News::Address(found)] = parsed.as_slice() else {
                panic!("{parsed:?}")
            };
            assert_eq!(
                (found.place, found.valid, found.protocol),
                (place, Some(3), PROTOCOL_MARK)
            );
            assert_eq!(parse(&bytes(delete(&place))).news, [News::AddressGone(place)]);
        }
    }

    #[test]
    fn several_messages_of_one_datagram_are_all_read() {
        let first = bytes(delete(&place("10.0.0.100", None)));
        let both = [first.clone(), first].concat();
        assert_eq!(parse(&both).news.len(), 2);
    }

    #[test]
    fn no_cut_or_changed_datagram_makes_the_reader_panic_or_hang() {
        let whole = bytes(add(&place("fd00::9", None), Some("x"), Duration::from_secs(3)));
        for length in 0..whole.len() {
            parse(&whole[..length]);
            for value in [0, 1, 4, 16, 0x7f, 0xff] {
                let mut changed = whole.clone();
                changed[length] = value;
                parse(&changed);
            }
        }
    }

    #[test]
    fn a_port_that_leaves_its_bridge_is_not_a_link_that_is_gone() {
        let mut message = vec![32, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        message.extend([0; 16]);
        message[20] = 7;
        assert_eq!(parse(&message).news, [News::LinkGone(7)]);
        message[16] = 7; // AF_BRIDGE
        assert_eq!(parse(&message).news, [News::Other]);
    }
}
