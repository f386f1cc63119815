//! Watches who holds which address: one rtnetlink subscription a node, served by one thread.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    os::fd::{AsRawFd as _, OwnedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    libc,
    sys::socket::{
        AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, setsockopt,
        socket, sockopt,
    },
};

use crate::{
    error::{Doing as _, Result},
    node::Node,
    rtnetlink::{AddressEvent, address_events},
    timeline::Change,
    worker::Worker,
};

/// Room for the renewals of many addresses while the thread is kept from running.
const RECEIVE_BUFFER: usize = 4 << 20;
/// RTMGRP_IPV4_IFADDR and RTMGRP_IPV6_IFADDR of rtnetlink(7).
const ADDRESS_GROUPS: u32 = (libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR) as u32;

/// The watch; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    changes: Arc<Mutex<Changes>>,
    _worker: Worker,
}

/// The changes of each address, in the order of their time. A renewal is no change.
#[derive(Debug, Default)]
struct Changes {
    of: BTreeMap<IpAddr, Vec<Change>>,
    held: BTreeSet<(usize, IpAddr)>,
}

impl Watch {
    pub(crate) fn start(nodes: &[Node], epoch: Instant) -> Result<Self> {
        let changes = Arc::new(Mutex::new(Changes::default()));
        let names: Vec<Arc<str>> = nodes.iter().map(|node| node.name().into()).collect();
        let mut sockets = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            // Subscribed first, listed second: nothing falls between, and what comes twice is one change.
            sockets.push(subscribe(node)?);
            for held in node.addresses()? {
                let event = AddressEvent {
                    address: held.address,
                    holds: true,
                };
                lock(&changes).record(epoch.elapsed(), index, &names[index], event);
            }
        }
        let (theirs, nodes) = (Arc::clone(&changes), nodes.to_vec());
        let mut buffer = vec![0_u8; 64 << 10];
        let worker = Worker::serve("watch addresses", sockets, move |index, socket: &OwnedFd| {
            let received = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT);
            let at = epoch.elapsed();
            match received {
                Ok(length) => {
                    let mut changes = lock(&theirs);
                    for event in address_events(&buffer[..length]) {
                        changes.record(at, index, &names[index], event);
                    }
                }
                // The kernel dropped events for want of room: what is held now is still true.
                Err(Errno::ENOBUFS) => {
                    if let Ok(listed) = nodes[index].addresses() {
                        let listed = listed.into_iter().map(|held| held.address).collect();
                        lock(&theirs).replace(at, index, &names[index], &listed);
                    }
                }
                Err(_) => {}
            }
        })?;
        Ok(Self {
            changes,
            _worker: worker,
        })
    }

    /// Who got and lost `address` so far.
    pub(crate) fn changes(&self, address: IpAddr) -> Vec<Change> {
        lock(&self.changes).of.get(&address).cloned().unwrap_or_default()
    }
}

impl Changes {
    fn record(&mut self, at: Duration, index: usize, node: &Arc<str>, event: AddressEvent) {
        let AddressEvent { address, holds } = event;
        let changed = if holds {
            self.held.insert((index, address))
        } else {
            self.held.remove(&(index, address))
        };
        if changed {
            self.of.entry(address).or_default().push(Change {
                at,
                node: Arc::clone(node),
                holds,
            });
        }
    }

    /// Records what differs between what was known of a node and what it holds.
    fn replace(&mut self, at: Duration, index: usize, node: &Arc<str>, listed: &BTreeSet<IpAddr>) {
        let known: BTreeSet<IpAddr> = self
            .held
            .iter()
            .filter(|(of, _)| *of == index)
            .map(|(_, address)| *address)
            .collect();
        for &address in known.difference(listed) {
            self.record(
                at,
                index,
                node,
                AddressEvent {
                    address,
                    holds: false,
                },
            );
        }
        for &address in listed.difference(&known) {
            self.record(at, index, node, AddressEvent { address, holds: true });
        }
    }
}

fn subscribe(node: &Node) -> Result<OwnedFd> {
    let open = || -> nix::Result<OwnedFd> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            SockProtocol::NetlinkRoute,
        )?;
        setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, ADDRESS_GROUPS))?;
        Ok(socket)
    };
    node.netns()
        .run(|| open().doing(|| format!("subscribe to the addresses of {}", node.name())))
}

fn lock(changes: &Mutex<Changes>) -> MutexGuard<'_, Changes> {
    changes.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 77, 0, 100));

    #[test]
    fn a_renewal_is_no_change() {
        let mut changes = Changes::default();
        for _ in 0..3 {
            changes.record(
                Duration::ZERO,
                0,
                &"a".into(),
                AddressEvent {
                    address: VIP,
                    holds: true,
                },
            );
        }
        assert_eq!(changes.of[&VIP].len(), 1);
    }

    #[test]
    fn a_new_listing_records_what_was_missed() {
        let mut changes = Changes::default();
        let other: IpAddr = "fd77::100".parse().unwrap();
        changes.record(
            Duration::ZERO,
            0,
            &"a".into(),
            AddressEvent {
                address: VIP,
                holds: true,
            },
        );
        changes.record(
            Duration::ZERO,
            1,
            &"b".into(),
            AddressEvent {
                address: VIP,
                holds: true,
            },
        );
        changes.replace(Duration::from_secs(1), 0, &"a".into(), &BTreeSet::from([other]));
        let last = |address: &IpAddr| {
            changes.of[address]
                .last()
                .map(|change| (change.at.as_secs(), change.holds))
        };
        assert_eq!(last(&VIP), Some((1, false)));
        assert_eq!(last(&other), Some((1, true)));
        assert!(
            changes.held.contains(&(1, VIP)),
            "what another node holds is untouched"
        );
    }
}
