//! The thread: takes in which addresses have left, and closes their connections round by round.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use nix::errno::Errno;

use super::kernel::{self, Found};
use super::sockets::{Protocol, Socket};
use super::{Closed, Counts, News, rule};

/// How long the connections of addresses that left together may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Works until nobody is left to say anything.
pub fn run(released: &Receiver<Vec<IpAddr>>, news: &impl Fn(News)) {
    if let Err(errno) = kernel::can_destroy(Instant::now() + PATIENCE) {
        news(News::Limitation(no_sockets(errno)));
    }
    while let Ok(first) = released.recv() {
        close(first, released, news);
    }
}

/// Closes the connections of these addresses, and of those that are said to have left meanwhile: many groups that let go
/// together cost few looks at the kernel's lists.
fn close(first: Vec<IpAddr>, released: &Receiver<Vec<IpAddr>>, news: &impl Fn(News)) {
    let deadline = Instant::now() + PATIENCE;
    let mut closed = Closed::default();
    let mut left: BTreeSet<IpAddr> = first.into_iter().collect();
    loop {
        left.extend(released.try_iter().flatten());
        let before = closed.counts;
        let more = round(&mut left, deadline, &mut closed, news);
        if !more || left.is_empty() {
            break;
        }
        if closed.counts == before || Instant::now() >= deadline {
            closed.unfinished = true;
            break;
        }
    }
    if closed.counts != Counts::default() || closed.unfinished {
        news(News::Closed(closed));
    }
}

/// Looks once, and closes what was found; whether there may be more. Addresses that are here are taken out of `left`.
fn round(left: &mut BTreeSet<IpAddr>, deadline: Instant, closed: &mut Closed, news: &impl Fn(News)) -> bool {
    // Both lists first: the less time has passed since an address left, the fewer connections are new.
    let entries = kernel::find_entries(left, deadline).unwrap_or_else(|errno| {
        news(News::Limitation(no_entries(errno)));
        Found::default()
    });
    let sockets =
        kernel::find_sockets(left, &[Protocol::Tcp, Protocol::Udp], deadline).unwrap_or_else(|errno| {
            news(News::Limitation(no_sockets(errno)));
            Found::default()
        });
    // An address that somebody else has put on this node, or that came back meanwhile, keeps its connections. Asked after the
    // lists were made, so that none of those that are closed was begun at an address that is back.
    match kernel::own_addresses() {
        Ok(own) => left.retain(|address| !own.contains(address)),
        Err(errno) => {
            tracing::warn!(
                "asking the kernel for this node's addresses: {errno}; connections are left alone"
            );
            left.clear();
        }
    }
    // A connection's last packets need its entry, if its addresses are translated.
    let stale = rule::sockets(&sockets.list, left);
    for (socket, result) in stale.iter().zip(kernel::destroy_sockets(&stale)) {
        match result {
            Ok(()) => note_socket(socket, left, closed),
            // It ended by itself.
            Err(Errno::ENOENT | Errno::ESTALE) => {}
            Err(errno) => news(News::Limitation(no_sockets(errno))),
        }
    }
    let stale = rule::entries(&entries.list, left);
    for (entry, result) in stale.iter().zip(kernel::delete_entries(&stale)) {
        match result {
            Ok(()) => {
                closed.counts.tracked += 1;
                closed
                    .addresses
                    .extend(entry.addresses.iter().filter(|address| left.contains(address)));
            }
            Err(Errno::ENOENT) => {}
            Err(errno) => news(News::Limitation(no_entries(errno))),
        }
    }
    sockets.more || entries.more
}

/// Counts a socket that was closed because these addresses have `left`.
pub fn note_socket(socket: &Socket, left: &BTreeSet<IpAddr>, closed: &mut Closed) {
    match socket.protocol {
        Protocol::Tcp => closed.counts.tcp += 1,
        Protocol::Udp => closed.counts.udp += 1,
    }
    let ends = [socket.local.ip(), socket.remote.ip()];
    closed
        .addresses
        .extend(ends.iter().filter(|address| left.contains(address)));
}

/// What it means that the kernel does not end sockets, and what to do.
fn no_sockets(errno: Errno) -> String {
    let advice = match errno {
        Errno::EOPNOTSUPP => "use a kernel with CONFIG_INET_DIAG_DESTROY=y",
        Errno::ENOENT | Errno::EPROTONOSUPPORT | Errno::EAFNOSUPPORT => {
            "use a kernel with CONFIG_INET_DIAG and CONFIG_INET_DIAG_DESTROY, or load its modules inet_diag, tcp_diag and udp_diag"
        }
        Errno::EPERM | Errno::EACCES => "grant the agent CAP_NET_ADMIN",
        _ => "see what the kernel's log says",
    };
    format!(
        "the connections of an address that leaves this node cannot be closed ({}): clients on this node, its kubelet among \
         them, then notice only by their own timeouts; {advice}, or run the agent with --keep-connections if that is fine",
        errno.desc()
    )
}

/// What it means that the kernel does not delete tracked connections, and what to do.
fn no_entries(errno: Errno) -> String {
    let advice = match errno {
        Errno::EOPNOTSUPP | Errno::EINVAL | Errno::EPROTONOSUPPORT => {
            "use a kernel with CONFIG_NF_CT_NETLINK, or load its module nf_conntrack_netlink"
        }
        Errno::EPERM | Errno::EACCES => "grant the agent CAP_NET_ADMIN",
        _ => "see what the kernel's log says",
    };
    format!(
        "this node tracks connections, and those of an address that leaves it cannot be forgotten ({}): what it translates or \
         forwards to that address goes to the old place until it times out; {advice}, or run the agent with \
         --keep-connections if that is fine",
        errno.desc()
    )
}
