//! The entries of connection tracking (`ctnetlink`), as bytes: what asks for them, what comes back, what deletes one. No IO.

use core::net::IpAddr;
use std::collections::BTreeSet;

use super::message::{Request, request};
use super::sockets::List;
use crate::netlink::parse::{attributes_of, ip};

/// The number of ctnetlink among netfilter's subsystems, and of its messages.
const CTNETLINK: u16 = 1 << 8;
const GET: u16 = CTNETLINK | 1;
const DELETE: u16 = CTNETLINK | 2;

/// The attributes of an entry that matter here.
const TUPLE_ORIGINAL: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const PROTOCOL_INFO: u16 = 4;
const ID: u16 = 12;
const ZONE: u16 = 18;
/// Those of a tuple, and of the addresses in it.
const TUPLE_ADDRESSES: u16 = 1;
const IPV4_SOURCE: u16 = 1;
const IPV4_DESTINATION: u16 = 2;
const IPV6_SOURCE: u16 = 3;
const IPV6_DESTINATION: u16 = 4;
/// Those of what is known of the protocol.
const INFO_TCP: u16 = 1;
const INFO_TCP_STATE: u16 = 1;
/// The states of a TCP connection that is not open yet.
const OPENING: [u8; 3] = [1, 2, 9];

/// The length of `nfgenmsg`.
const HEADER: usize = 4;

/// One tracked connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The addresses of both directions; with address translation there are more than two of them.
    pub addresses: Vec<IpAddr>,
    /// A TCP connection that is not open yet.
    pub opening: bool,
    family: u8,
    /// How the kernel names it, to be repeated as it is: the attributes with its first packet's addresses, its number, and its
    /// zone.
    name: Vec<u8>,
}

impl Entry {
    /// Whether it has one of these addresses in either direction.
    pub fn is_of(&self, addresses: &BTreeSet<IpAddr>) -> bool {
        self.addresses.iter().any(|address| addresses.contains(address))
    }
}

/// Asks for all entries of a family.
pub fn ask(list: List) -> Request {
    request(GET, &header(list.number()))
}

/// Deletes `entry` if it still is the one that was seen.
pub fn delete(entry: &Entry) -> Request {
    let mut body = header(entry.family).to_vec();
    body.extend(&entry.name);
    request(DELETE, &body)
}

/// Reads the body of one answer; `None` if it is not whole.
pub fn parse(body: &[u8]) -> Option<Entry> {
    let ([family, ..], attributes) = body.split_first_chunk::<HEADER>()?;
    let mut entry = Entry {
        addresses: Vec::new(),
        opening: false,
        family: *family,
        name: Vec::new(),
    };
    let mut named = false;
    for attribute in attributes_of(attributes) {
        match attribute.kind() {
            kind @ (TUPLE_ORIGINAL | TUPLE_REPLY) => {
                if kind == TUPLE_ORIGINAL {
                    put(&mut entry.name, kind | NESTED, attribute.value());
                    named = true;
                }
                entry.addresses.extend(addresses(attribute.value()));
            }
            PROTOCOL_INFO => entry.opening = is_opening(attribute.value()),
            kind @ (ID | ZONE) => put(&mut entry.name, kind, attribute.value()),
            _ => {}
        }
    }
    named.then_some(entry)
}

/// The flag of an attribute that holds others.
const NESTED: u16 = 1 << 15;

/// Appends an attribute.
fn put(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    bytes.extend(u16::try_from(value.len() + 4).unwrap_or(u16::MAX).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

/// Both addresses of one direction.
fn addresses(tuple: &[u8]) -> Vec<IpAddr> {
    let Some(both) = attributes_of(tuple).find(|attribute| attribute.kind() == TUPLE_ADDRESSES) else {
        return Vec::new();
    };
    let found = attributes_of(both.value()).filter_map(|attribute| match attribute.kind() {
        IPV4_SOURCE | IPV4_DESTINATION => ip(List::V4.number(), attribute.value()),
        IPV6_SOURCE | IPV6_DESTINATION => ip(List::V6.number(), attribute.value()),
        _ => None,
    });
    found.collect()
}

fn is_opening(info: &[u8]) -> bool {
    let tcp = attributes_of(info).find(|attribute| attribute.kind() == INFO_TCP);
    tcp.is_some_and(|tcp| {
        attributes_of(tcp.value())
            .find(|attribute| attribute.kind() == INFO_TCP_STATE)
            .is_some_and(|state| state.value().first().is_some_and(|state| OPENING.contains(state)))
    })
}

/// The fixed part of a message: the family, the version 0, and no resource.
fn header(family: u8) -> [u8; HEADER] {
    [family, 0, 0, 0]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        put(&mut bytes, kind, value);
        bytes
    }

    fn tuple(source: [u8; 4], destination: [u8; 4]) -> Vec<u8> {
        let both = [
            attribute(IPV4_SOURCE, &source),
            attribute(IPV4_DESTINATION, &destination),
        ];
        let ports = attribute(2, &[]);
        [attribute(TUPLE_ADDRESSES | NESTED, &both.concat()), ports].concat()
    }

    /// A connection to 10.0.0.100 that is translated to 10.1.0.7.
    fn whole(tcp_state: u8) -> Vec<u8> {
        let state = attribute(INFO_TCP_STATE, &[tcp_state]);
        [
            header(2).to_vec(),
            attribute(TUPLE_ORIGINAL | NESTED, &tuple([10, 0, 0, 11], [10, 0, 0, 100])),
            attribute(TUPLE_REPLY | NESTED, &tuple([10, 1, 0, 7], [10, 0, 0, 11])),
            attribute(PROTOCOL_INFO | NESTED, &attribute(INFO_TCP | NESTED, &state)),
            attribute(ID, &[1, 2, 3, 4]),
            attribute(ZONE, &[0, 9]),
        ]
        .concat()
    }

    #[test]
    fn an_entry_has_the_addresses_of_both_directions_and_says_whether_it_is_opening() {
        for (state, opening) in [(1, true), (2, true), (3, false), (7, false), (9, true)] {
            let entry = parse(&whole(state)).unwrap();
            let expected = ["10.0.0.11", "10.0.0.100", "10.1.0.7", "10.0.0.11"];
            assert_eq!(
                entry.addresses,
                expected.map(|address| address.parse::<IpAddr>().unwrap())
            );
            assert_eq!(entry.opening, opening, "{state}");
        }
    }

    #[test]
    fn an_entry_is_deleted_by_its_first_direction_its_number_and_its_zone() {
        let entry = parse(&whole(3)).unwrap();
        let named = parse(&[header(2).to_vec(), entry.name.clone()].concat()).unwrap();
        assert_eq!((&named.name, named.addresses.len()), (&entry.name, 2));
        let kinds: Vec<u16> = attributes_of(&entry.name)
            .map(|attribute| attribute.kind())
            .collect();
        assert_eq!(kinds, [TUPLE_ORIGINAL, ID, ZONE]);
    }

    #[test]
    fn no_cut_or_changed_entry_makes_the_reader_panic() {
        let whole = whole(3);
        for length in 0..whole.len() {
            parse(&whole[..length]);
            for value in [0, 1, 3, 4, 5, 0x7f, 0xff] {
                let mut changed = whole.clone();
                changed[length] = value;
                parse(&changed);
            }
        }
        assert_eq!(parse(&header(2)), None);
    }
}
