//! The conversation with the kernel: its lists of sockets and tracked connections, and the end of some of them. IO only.

use core::net::{IpAddr, Ipv4Addr};
use std::collections::BTreeSet;
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Instant;

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP};
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrLike, recv, send, socket,
};

use super::entries::{self, Entry};
use super::message::{Answer, Request, answers};
use super::sockets::{self, List, Protocol, Socket};

/// So many of each kind are looked at in one round; what is left comes in the next one.
pub const ROUND: usize = 8192;

/// So many requests go to the kernel at once. Each answer takes about a kilobyte of the receive buffer, of which there are 208 by
/// default.
const BATCH: usize = 64;

/// The kernel's datagrams are no larger.
const DATAGRAM_LEN: usize = 64 << 10;

/// How many connections of its namespace the kernel tracks; there is no such file if it tracks none anywhere.
const TRACKED: &str = "/proc/sys/net/netfilter/nf_conntrack_count";

/// What was found, and whether that was all.
#[derive(Debug)]
pub struct Found<T> {
    /// The things themselves.
    pub list: Vec<T>,
    /// There may be more of them.
    pub more: bool,
}

impl<T> Default for Found<T> {
    fn default() -> Self {
        Self {
            list: Vec::new(),
            more: false,
        }
    }
}

/// The sockets with one of these addresses at either end.
pub fn find_sockets(
    addresses: &BTreeSet<IpAddr>,
    protocols: &[Protocol],
    deadline: Instant,
) -> Result<Found<Socket>, Errno> {
    let mut found = Found::default();
    let mut lists = vec![List::V6];
    if addresses.iter().any(IpAddr::is_ipv4) {
        lists.push(List::V4);
    }
    let ways = lists
        .iter()
        .flat_map(|list| protocols.iter().map(move |protocol| (*list, *protocol)));
    for (list, protocol) in ways {
        let request = sockets::ask(list, protocol, addresses);
        let complete = dump(SockProtocol::NetlinkSockDiag, request, deadline, |body| {
            let socket = sockets::parse(protocol, body);
            let wanted = |socket: &Socket| {
                addresses.contains(&socket.local.ip()) || addresses.contains(&socket.remote.ip())
            };
            found.list.extend(socket.filter(wanted));
            found.list.len() < ROUND
        })?;
        found.more |= !complete;
    }
    Ok(found)
}

/// The tracked connections with one of these addresses in either direction.
pub fn find_entries(addresses: &BTreeSet<IpAddr>, deadline: Instant) -> Result<Found<Entry>, Errno> {
    let mut found = Found::default();
    // Asking would load the module that answers, on a node that has no use for it.
    if fs::read_to_string(TRACKED).map_or(true, |count| count.trim() == "0") {
        return Ok(found);
    }
    for list in [List::V4, List::V6] {
        if !addresses
            .iter()
            .any(|address| address.is_ipv4() == (list == List::V4))
        {
            continue;
        }
        let request = entries::ask(list);
        let complete = dump(SockProtocol::NetlinkNetFilter, request, deadline, |body| {
            let entry = entries::parse(body);
            found.list.extend(entry.filter(|entry| entry.is_of(addresses)));
            found.list.len() < ROUND
        })?;
        found.more |= !complete;
    }
    Ok(found)
}

/// Ends sockets; what became of each.
pub fn destroy_sockets(sockets: &[&Socket]) -> Vec<Result<(), Errno>> {
    let requests = sockets.iter().map(|socket| sockets::destroy(socket));
    execute(SockProtocol::NetlinkSockDiag, requests.collect())
}

/// Deletes tracked connections; what became of each.
pub fn delete_entries(entries: &[&Entry]) -> Vec<Result<(), Errno>> {
    let requests = entries.iter().map(|entry| entries::delete(entry));
    execute(SockProtocol::NetlinkNetFilter, requests.collect())
}

/// Whether the kernel can list sockets and end one, without doing either.
pub fn can_destroy(deadline: Instant) -> Result<(), Errno> {
    let nobody = BTreeSet::from([IpAddr::V4(Ipv4Addr::UNSPECIFIED)]);
    dump(
        SockProtocol::NetlinkSockDiag,
        sockets::ask(List::V4, Protocol::Tcp, &nobody),
        deadline,
        |_| true,
    )?;
    match execute(SockProtocol::NetlinkSockDiag, vec![sockets::destroy_nothing()]).as_slice() {
        [Err(Errno::ENOENT) | Ok(())] => Ok(()),
        [Err(errno)] => Err(*errno),
        _ => Err(Errno::ENOBUFS),
    }
}

/// The addresses that this node has, on whichever interface.
pub fn own_addresses() -> Result<BTreeSet<IpAddr>, Errno> {
    let addresses = getifaddrs()?.filter_map(|interface| {
        let address = interface.address?;
        match address.family()? {
            AddressFamily::Inet => Some(IpAddr::V4(address.as_sockaddr_in()?.ip())),
            AddressFamily::Inet6 => Some(IpAddr::V6(address.as_sockaddr_in6()?.ip())),
            _ => None,
        }
    });
    Ok(addresses.collect())
}

/// Hands each answer to `hear` until it has had enough or the time is up. Whether it heard all.
fn dump(
    protocol: SockProtocol,
    request: Request,
    deadline: Instant,
    mut hear: impl FnMut(&[u8]) -> bool,
) -> Result<bool, Errno> {
    // One of its own: closing it is what ends a list that is not read to its end.
    let socket = open(protocol)?;
    let request = request.bytes(0, NLM_F_DUMP);
    retried(|| send(socket.as_raw_fd(), &request, MsgFlags::empty()))?;
    let mut buffer = vec![0; DATAGRAM_LEN];
    loop {
        // The kernel makes the next piece within the call that takes this one, so there is nothing to wait for.
        let length = retried(|| recv(socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT))?;
        for answer in answers(&buffer[..length]) {
            match answer {
                Answer::Body(body) => {
                    if !hear(body) {
                        return Ok(false);
                    }
                }
                Answer::Done { result, .. } => result?,
                Answer::End(result) => return result.map(|()| true),
            }
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
    }
}

/// Has the kernel carry out `requests`; what became of each.
fn execute(protocol: SockProtocol, requests: Vec<Request>) -> Vec<Result<(), Errno>> {
    // What no answer comes to was not done, as far as anybody knows.
    let mut results = vec![Err(Errno::ENOBUFS); requests.len()];
    let socket = match open(protocol) {
        Ok(socket) => socket,
        Err(errno) => {
            results.fill(Err(errno));
            return results;
        }
    };
    let mut buffer = vec![0; DATAGRAM_LEN];
    let mut requests = requests.into_iter();
    for results in results.chunks_mut(BATCH) {
        let mut datagram = Vec::new();
        for (sequence, request) in (0_u32..).zip(requests.by_ref().take(results.len())) {
            datagram.extend(request.bytes(sequence, NLM_F_ACK));
        }
        if let Err(errno) = retried(|| send(socket.as_raw_fd(), &datagram, MsgFlags::empty())) {
            results.fill(Err(errno));
            continue;
        }
        let mut missing = results.len();
        // All of them have been answered when `send` returns.
        while missing > 0
            && let Ok(length) = retried(|| recv(socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT))
        {
            for answer in answers(&buffer[..length]) {
                let Answer::Done { sequence, result } = answer else {
                    continue;
                };
                let index = usize::try_from(sequence).unwrap_or(usize::MAX);
                if let Some(slot) = results.get_mut(index) {
                    *slot = result;
                    missing = missing.saturating_sub(1);
                }
            }
        }
    }
    results
}

fn open(protocol: SockProtocol) -> Result<OwnedFd, Errno> {
    socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        protocol,
    )
}

fn retried(mut call: impl FnMut() -> nix::Result<usize>) -> nix::Result<usize> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}
