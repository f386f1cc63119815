//! The kernel's list of sockets (`inet_diag`), as bytes: what asks for it, what comes back, what ends one of them. No IO.
//!
//! Written by hand: the known library for it has no way to say which addresses are wanted, and gives a socket up for the sake
//! of one attribute that it cannot read.

use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeSet;

use super::message::{Request, request};
use crate::netlink::parse::{attributes_of, ip};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const SOCK_DESTROY: u16 = 21;

/// The attribute of a request that says which sockets are meant.
const REQUEST_BYTECODE: u16 = 1;
/// The attribute of an answer with TCP's account of a connection (`tcp_info`).
const INFO: u16 = 2;
/// Where in that the segment size stands that this end has asked for.
const INFO_ADVERTISED_SEGMENT: usize = 84;

/// The states a socket can be in; UDP knows two of them, and shows a connected socket as established.
const ESTABLISHED: u8 = 1;
const SYN_SENT: u8 = 2;
const TIME_WAIT: u8 = 6;
const CLOSE: u8 = 7;
const LISTEN: u8 = 10;
const BOUND_INACTIVE: u8 = 13;

/// Above this many addresses the kernel is asked for all sockets, and they are told apart here.
const FILTERED_ADDRESSES: usize = 16;

/// What a socket speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP, where a socket has a remote end only if its program connected it.
    Udp,
}

impl Protocol {
    fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }

    /// The states of sockets that have two ends, and are not merely the memory of a connection.
    fn states(self) -> u32 {
        match self {
            Self::Tcp => ![TIME_WAIT, CLOSE, LISTEN, BOUND_INACTIVE]
                .iter()
                .fold(0, |states, state| states | 1 << state),
            Self::Udp => 1 << ESTABLISHED,
        }
    }
}

/// Which of the kernel's lists a socket is in. One of the second may speak IPv4 as well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum List {
    /// `AF_INET`.
    V4,
    /// `AF_INET6`.
    V6,
}

impl List {
    /// The family's number.
    pub fn number(self) -> u8 {
        match self {
            Self::V4 => 2,
            Self::V6 => 10,
        }
    }
}

/// A socket with two ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Socket {
    /// What it speaks.
    pub protocol: Protocol,
    /// Its own end; an IPv4 address as such, whichever list it is in.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// It has asked for a connection and heard nothing yet.
    pub opening: bool,
    /// The size of the segments it has asked the other end for, if the kernel says.
    pub advertised_segment: Option<u32>,
    /// The list.
    family: u8,
    /// How the kernel names it, to be repeated as it is. With a cookie that no other socket ever has.
    id: [u8; ID],
}

/// The length of `inet_diag_sockid`.
const ID: usize = 48;

/// Asks for the sockets of `list` and `protocol`, and, if `addresses` are few, only for those that have one of them at
/// either end.
pub fn ask(list: List, protocol: Protocol, addresses: &BTreeSet<IpAddr>) -> Request {
    let extensions = 1 << (INFO - 1);
    let mut body = vec![list.number(), protocol.number(), extensions, 0];
    body.extend(protocol.states().to_ne_bytes());
    body.extend([0; ID]);
    // The kernel refuses a program that is empty.
    if (1..=FILTERED_ADDRESSES).contains(&addresses.len()) {
        let program = filter(addresses);
        // A short program: its length fits.
        body.extend(u16::try_from(program.len() + 4).unwrap_or_default().to_ne_bytes());
        body.extend(REQUEST_BYTECODE.to_ne_bytes());
        body.extend(program);
    }
    request(SOCK_DIAG_BY_FAMILY, &body)
}

/// Ends `socket` if it still is the one that was seen: its programs get `ECONNABORTED`, the other end a reset.
pub fn destroy(socket: &Socket) -> Request {
    let mut body = vec![socket.family, socket.protocol.number(), 0, 0];
    body.extend(u32::MAX.to_ne_bytes());
    body.extend(socket.id);
    request(SOCK_DESTROY, &body)
}

/// Ends a socket that cannot exist: the answer tells whether the kernel could end one.
pub fn destroy_nothing() -> Request {
    let mut body = vec![List::V4.number(), Protocol::Tcp.number(), 0, 0];
    body.extend(u32::MAX.to_ne_bytes());
    body.extend([0; ID]);
    request(SOCK_DESTROY, &body)
}

/// Reads the body of one answer; `None` if it is none of a socket with two ends.
pub fn parse(protocol: Protocol, body: &[u8]) -> Option<Socket> {
    const REST: usize = 20;
    let ([family, state, _timer, _retransmits], rest) = body.split_first_chunk::<4>()?;
    let (id, rest) = rest.split_first_chunk::<ID>()?;
    let attributes = rest.get(REST..)?;
    let length = if *family == List::V4.number() { 4 } else { 16 };
    let end = |port: usize, address: usize| {
        let port = u16::from_be_bytes(*id.get(port..)?.first_chunk()?);
        let address = ip(*family, id.get(address..address + length)?)?;
        Some(SocketAddr::new(address.to_canonical(), port))
    };
    let info = attributes_of(attributes).find(|attribute| attribute.kind() == INFO);
    let advertised_segment = info.and_then(|info| {
        let bytes = info.value().get(INFO_ADVERTISED_SEGMENT..)?.first_chunk()?;
        Some(u32::from_ne_bytes(*bytes))
    });
    (![TIME_WAIT, CLOSE, LISTEN, BOUND_INACTIVE].contains(state)).then_some(())?;
    Some(Socket {
        protocol,
        local: end(0, 4)?,
        remote: end(2, 20)?,
        opening: *state == SYN_SENT,
        advertised_segment,
        family: *family,
        id: *id,
    })
}

/// A program for the kernel that accepts sockets with one of these addresses at either end.
///
/// It is a list of conditions. Each is followed by a jump to the end, which accepts; one that does not hold jumps over that,
/// and the last one beyond the end, which refuses. An IPv4 address stands for itself in both lists.
fn filter(addresses: &BTreeSet<IpAddr>) -> Vec<u8> {
    const JUMP: u8 = 1;
    const LOCAL: u8 = 7;
    const REMOTE: u8 = 8;
    const OPERATION: u16 = 4;
    const ANY_PORT: i32 = -1;
    let length = |address: &IpAddr| if address.is_ipv4() { 4 } else { 16 };
    let condition = |address: &IpAddr| OPERATION + 8 + length(address);
    let all: u16 = addresses
        .iter()
        .map(|address| 2 * (condition(address) + OPERATION))
        .sum();
    let mut program = Vec::new();
    let mut left = all.saturating_sub(OPERATION);
    let operation = |program: &mut Vec<u8>, code: u8, yes: u16, no: u16| {
        program.extend([code, u8::try_from(yes).unwrap_or_default()]);
        program.extend(no.to_ne_bytes());
    };
    for address in addresses {
        for end in [LOCAL, REMOTE] {
            let own = condition(address);
            operation(&mut program, end, own, own + OPERATION);
            let (family, bits) = if address.is_ipv4() {
                (List::V4, 32)
            } else {
                (List::V6, 128)
            };
            program.extend([family.number(), bits, 0, 0]);
            program.extend(ANY_PORT.to_ne_bytes());
            match address {
                IpAddr::V4(address) => program.extend(address.octets()),
                IpAddr::V6(address) => program.extend(address.octets()),
            }
            left -= own;
            if left > 0 {
                operation(&mut program, JUMP, OPERATION, left);
                left -= OPERATION;
            }
        }
    }
    program
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A TCP socket as the kernel tells of it.
    fn told(list: List, state: u8, local: (&[u8], u16), remote: (&[u8], u16), segment: u32) -> Vec<u8> {
        let mut id = Vec::new();
        id.extend(local.1.to_be_bytes());
        id.extend(remote.1.to_be_bytes());
        for (address, _) in [local, remote] {
            id.extend(address);
            id.resize(id.len() + 16 - address.len(), 0);
        }
        id.resize(ID, 0xc0);
        let mut info = vec![0; INFO_ADVERTISED_SEGMENT];
        info.extend(segment.to_ne_bytes());
        let attribute = [u16::try_from(info.len() + 4).unwrap(), INFO].map(u16::to_ne_bytes);
        [
            &[list.number(), state, 0, 0],
            &*id,
            &[0; 20],
            &attribute.concat(),
            &info,
        ]
        .concat()
    }

    /// A socket for tests of what is done with sockets.
    pub fn socket(protocol: Protocol, local: &str, remote: &str) -> Socket {
        Socket {
            protocol,
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
            opening: false,
            advertised_segment: None,
            family: List::V4.number(),
            id: [0; ID],
        }
    }

    fn whole() -> Vec<u8> {
        let (local, remote) = ((&[10, 0, 0, 100][..], 6443), (&[10, 0, 0, 11][..], 40_000));
        told(List::V4, ESTABLISHED, local, remote, 65_495)
    }

    #[test]
    fn a_socket_is_read_with_both_ends_and_named_as_the_kernel_does() {
        let socket = parse(Protocol::Tcp, &whole()).unwrap();
        assert_eq!(socket.local, "10.0.0.100:6443".parse().unwrap());
        assert_eq!(socket.remote, "10.0.0.11:40000".parse().unwrap());
        assert_eq!((socket.opening, socket.advertised_segment), (false, Some(65_495)));
        let request = destroy(&socket).bytes(1, 0);
        assert_eq!(request[24..], whole()[4..4 + ID]);
    }

    #[test]
    fn an_ipv4_connection_of_an_ipv6_socket_has_ipv4_addresses() {
        let mapped = |last| [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, last];
        let (local, remote) = (mapped(100), mapped(11));
        let bytes = told(List::V6, SYN_SENT, (&local, 6443), (&remote, 1), 1460);
        let socket = parse(Protocol::Tcp, &bytes).unwrap();
        assert_eq!(socket.local, "10.0.0.100:6443".parse().unwrap());
        assert!(socket.opening);
    }

    #[test]
    fn what_listens_or_is_over_is_no_socket_with_two_ends() {
        for state in [LISTEN, TIME_WAIT, CLOSE] {
            let mut bytes = whole();
            bytes[1] = state;
            assert_eq!(parse(Protocol::Tcp, &bytes), None, "{state}");
            assert_eq!(Protocol::Tcp.states() & 1 << state, 0);
        }
    }

    #[test]
    fn no_cut_or_changed_answer_makes_the_reader_panic() {
        let whole = whole();
        for length in 0..whole.len() {
            parse(Protocol::Tcp, &whole[..length]);
            for value in [0, 1, 2, 4, 10, 0x7f, 0xff] {
                let mut changed = whole.clone();
                changed[length] = value;
                parse(Protocol::Udp, &changed);
            }
        }
    }

    /// Runs a program as the kernel does, for a socket with these addresses.
    fn accepts(program: &[u8], local: IpAddr, remote: IpAddr) -> bool {
        let mut at = 0;
        while at < program.len() {
            let operation = &program[at..];
            let no = usize::from(u16::from_ne_bytes([operation[2], operation[3]]));
            let holds = match operation[0] {
                1 => false,
                end => {
                    let address = if end == 7 { local } else { remote };
                    let wanted = &operation[12..12 + usize::from(operation[5]) / 8];
                    match address {
                        IpAddr::V4(address) => wanted == address.octets(),
                        IpAddr::V6(address) => wanted == address.octets(),
                    }
                }
            };
            at += if holds { usize::from(operation[1]) } else { no };
        }
        at == program.len()
    }

    #[test]
    fn the_filter_accepts_each_of_its_addresses_at_either_end_and_nothing_else() {
        let all: Vec<IpAddr> = ["10.0.0.100", "10.0.0.101", "fd00::100"]
            .map(|address| address.parse().unwrap())
            .to_vec();
        let other: IpAddr = "10.0.0.11".parse().unwrap();
        for count in 1..=all.len() {
            let (wanted, others) = all.split_at(count);
            let program = filter(&wanted.iter().copied().collect());
            for address in wanted {
                assert!(accepts(&program, *address, other), "{address} of {wanted:?}");
                assert!(accepts(&program, other, *address), "{address} of {wanted:?}");
            }
            for address in others {
                assert!(!accepts(&program, *address, other), "{address} of {wanted:?}");
            }
            assert!(!accepts(&program, other, other));
        }
    }
}
