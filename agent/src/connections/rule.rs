//! Which connections go when addresses have left this node. Pure.
//!
//! Connections that were begun since have to live: to whoever holds the address by now. No socket tells its age, but each tells
//! where it was going. One that begins at the address (its local end) cannot have been begun since. One that leads to it was
//! begun while the address was here if its other end is here too, or if it was to go through the loopback: only that carries
//! segments of tens of kilobytes, and a socket asks for a size when it connects and never again.

use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeSet;

use super::entries::Entry;
use super::sockets::{Protocol, Socket};

/// No link but the loopback carries segments of this size.
const LOOPBACK_SEGMENT: u32 = 32 << 10;

/// The sockets among `found` that were connected while the addresses that have `left` were here.
pub fn sockets<'a>(found: &'a [Socket], left: &BTreeSet<IpAddr>) -> Vec<&'a Socket> {
    let ends: BTreeSet<(SocketAddr, SocketAddr)> = found
        .iter()
        .filter(|socket| left.contains(&socket.local.ip()))
        .map(|socket| (socket.local, socket.remote))
        .collect();
    let stale = |socket: &&Socket| {
        left.contains(&socket.local.ip())
            || left.contains(&socket.remote.ip())
                && leads_here(socket, ends.contains(&(socket.remote, socket.local)))
    };
    found.iter().filter(stale).collect()
}

/// The sockets among `found` that are connected to addresses that are `leaving` from elsewhere. Whoever is connected to them on
/// this node hears of it when they have left.
pub fn abroad<'a>(found: &'a [Socket], leaving: &BTreeSet<IpAddr>) -> Vec<&'a Socket> {
    let ends: BTreeSet<(SocketAddr, SocketAddr)> =
        found.iter().map(|socket| (socket.remote, socket.local)).collect();
    let leads_away = |socket: &&Socket| {
        leaving.contains(&socket.local.ip()) && !ends.contains(&(socket.local, socket.remote))
    };
    found.iter().filter(leads_away).collect()
}

/// Whether a socket that leads to an address was connected to it on this node. What is sent through a UDP socket goes to the
/// new holder by itself, and one that is still opening tries again, there.
fn leads_here(socket: &Socket, other_end_is_here: bool) -> bool {
    let looped = socket
        .advertised_segment
        .is_some_and(|size| size >= LOOPBACK_SEGMENT);
    socket.protocol == Protocol::Tcp && !socket.opening && (other_end_is_here || looped)
}

/// The entries among `found` that go when these addresses have `left`: all but those of connections that are being opened,
/// which may be newer.
pub fn entries<'a>(found: &'a [Entry], left: &BTreeSet<IpAddr>) -> Vec<&'a Entry> {
    found
        .iter()
        .filter(|entry| !entry.opening && entry.is_of(left))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connections::sockets::tests::socket;

    const SERVER: &str = "10.0.0.100:6443";
    const CLIENT: &str = "10.0.0.11:40000";

    fn closed(found: &[Socket]) -> usize {
        sockets(found, &BTreeSet::from(["10.0.0.100".parse().unwrap()])).len()
    }

    fn with_segment(size: u32) -> Socket {
        let mut socket = socket(Protocol::Tcp, CLIENT, SERVER);
        socket.advertised_segment = Some(size);
        socket
    }

    #[test]
    fn what_begins_at_the_address_goes_whatever_it_is() {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            assert_eq!(closed(&[socket(protocol, SERVER, CLIENT)]), 1);
            assert_eq!(closed(&[socket(protocol, "10.0.0.11:6443", CLIENT)]), 0);
        }
    }

    #[test]
    fn what_leads_to_the_address_goes_with_its_other_end() {
        let client = socket(Protocol::Tcp, CLIENT, SERVER);
        let server = socket(Protocol::Tcp, SERVER, CLIENT);
        let another = socket(Protocol::Tcp, SERVER, "10.0.0.11:40001");
        assert_eq!(closed(&[client.clone(), server]), 2);
        assert_eq!(closed(&[client, another]), 1);
    }

    #[test]
    fn what_has_its_other_end_elsewhere_is_reset_before_the_address_leaves() {
        let leaving = BTreeSet::from(["10.0.0.100".parse().unwrap()]);
        let client = socket(Protocol::Tcp, CLIENT, SERVER);
        let server = socket(Protocol::Tcp, SERVER, CLIENT);
        let elsewhere = socket(Protocol::Tcp, SERVER, "10.0.0.12:40000");
        let found = [client, server, elsewhere.clone()];
        assert_eq!(abroad(&found, &leaving), [&elsewhere]);
        assert_eq!(abroad(&found[..1], &leaving).len(), 0);
    }

    #[test]
    fn what_leads_to_the_address_goes_if_it_was_to_go_through_the_loopback() {
        // Ethernet, jumbo frames, the loopback over IPv4 and over IPv6.
        for (size, count) in [(1460, 0), (9176, 0), (65_495, 1), (65_464, 1)] {
            assert_eq!(closed(&[with_segment(size)]), count, "{size}");
        }
    }

    #[test]
    fn what_is_opening_or_speaks_udp_finds_the_new_holder_by_itself() {
        let mut opening = with_segment(65_495);
        opening.opening = true;
        assert_eq!(closed(&[opening]), 0);
        let client = socket(Protocol::Udp, CLIENT, SERVER);
        let server = socket(Protocol::Udp, SERVER, CLIENT);
        assert_eq!(closed(&[client, server]), 1);
    }
}
