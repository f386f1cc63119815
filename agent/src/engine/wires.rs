//! The engine's sockets on each interface, kept in step with what the groups need.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use holdfast_api::model::Mode;
use holdfast_vrrp::{Family, VirtualRouterId};

use super::group::Group;
use crate::socket::{FrameOutbox, NeighborSocket, Outbox, VridSet, VrrpSocket};

/// The sockets of all interfaces in use.
#[derive(Debug, Default)]
pub struct Wires {
    /// VRRP: one socket per interface and family, shared by all virtual routers there.
    pub vrrp: BTreeMap<(u32, Family), VrrpWire>,
    /// ARP and neighbor discovery: one per interface that carries virtual addresses.
    pub neighbors: BTreeMap<u32, NeighborWire>,
}

/// The VRRP socket of one interface and family.
#[derive(Debug)]
pub struct VrrpWire {
    /// The socket.
    pub socket: VrrpSocket,
    /// What is to be sent before the engine waits again.
    pub outbox: Outbox,
    /// For each queued datagram the group that sends it.
    pub senders: Vec<usize>,
    /// Which group a virtual router identifier belongs to.
    groups: BTreeMap<u8, usize>,
    /// Identifiers of others, which the kernel drops once they have been noticed.
    muted: VridSet,
    memberships: BTreeSet<IpAddr>,
}

/// The neighbor socket of one interface.
#[derive(Debug)]
pub struct NeighborWire {
    /// The socket.
    pub socket: NeighborSocket,
    /// What is to be sent before the engine waits again.
    pub outbox: FrameOutbox,
    watched: BTreeSet<IpAddr>,
}

/// A socket to wait on, or to wait on no longer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Endpoint {
    /// The VRRP socket of an interface and family.
    Vrrp(u32, Family),
    /// The neighbor socket of an interface.
    Neighbors(u32),
}

/// What the groups need of one interface and family.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Need {
    name: String,
    groups: BTreeMap<u8, usize>,
    memberships: BTreeSet<IpAddr>,
}

impl Wires {
    /// Closes the sockets of an interface that is gone. One that comes back under the same index is another one to the
    /// kernel: it has left all multicast groups, and packet sockets stay deaf.
    pub fn forget(&mut self, interface: u32) {
        self.vrrp.retain(|(index, _), _| *index != interface);
        self.neighbors.remove(&interface);
    }

    /// Opens, changes and closes sockets so that they fit `groups`. Tells of each newly opened one through `opened` (a
    /// closed one leaves the epoll set by itself) and returns what went wrong, each a sentence.
    pub fn sync<'g>(
        &mut self,
        groups: impl Iterator<Item = (usize, &'g Group)> + Clone,
        name_of: impl Fn(u32) -> Option<String>,
        mut opened: impl FnMut(Endpoint, BorrowedFd<'_>) -> io::Result<()>,
    ) -> Vec<io::Error> {
        let mut errors = Vec::new();
        let needs = needs(groups.clone());
        self.vrrp.retain(|key, _| needs.contains_key(key));
        for ((index, family), need) in needs {
            if let Err(error) = self.sync_vrrp(index, family, &need, &mut opened) {
                errors.push(explain(
                    &error,
                    &format!("listening for VRRP on {} ({family})", need.name),
                ));
            }
        }
        let watched = watched(groups);
        self.neighbors.retain(|index, _| watched.contains_key(index));
        for (index, addresses) in watched {
            // An interface that is gone takes its sockets with it.
            let Some(name) = name_of(index) else { continue };
            if let Err(error) = self.sync_neighbors(&name, index, addresses, &mut opened) {
                errors.push(explain(
                    &error,
                    &format!("listening for ARP and neighbor discovery on {name}"),
                ));
            }
        }
        errors
    }

    fn sync_vrrp(
        &mut self,
        index: u32,
        family: Family,
        need: &Need,
        opened: &mut impl FnMut(Endpoint, BorrowedFd<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        if let std::collections::btree_map::Entry::Vacant(entry) = self.vrrp.entry((index, family)) {
            let socket = VrrpSocket::open(&need.name, index, family)?;
            opened(Endpoint::Vrrp(index, family), socket.as_fd())?;
            entry.insert(VrrpWire {
                socket,
                outbox: Outbox::default(),
                senders: Vec::new(),
                groups: BTreeMap::new(),
                muted: VridSet::default(),
                memberships: BTreeSet::new(),
            });
        }
        let Some(wire) = self.vrrp.get_mut(&(index, family)) else {
            return Ok(());
        };
        if wire.memberships != need.memberships {
            wire.socket.set_memberships(&need.memberships)?;
            wire.memberships.clone_from(&need.memberships);
        }
        if wire.groups != need.groups {
            wire.groups.clone_from(&need.groups);
            // What was foreign may be ours now; what is still foreign is noticed and muted again.
            wire.muted = VridSet::default();
            wire.refilter()?;
        }
        Ok(())
    }

    fn sync_neighbors(
        &mut self,
        name: &str,
        index: u32,
        addresses: BTreeSet<IpAddr>,
        opened: &mut impl FnMut(Endpoint, BorrowedFd<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        if let std::collections::btree_map::Entry::Vacant(entry) = self.neighbors.entry(index) {
            let socket = NeighborSocket::open(name, index)?;
            for receiver in socket.receivers() {
                opened(Endpoint::Neighbors(index), receiver)?;
            }
            entry.insert(NeighborWire {
                socket,
                outbox: FrameOutbox::default(),
                watched: BTreeSet::new(),
            });
        }
        let Some(wire) = self.neighbors.get_mut(&index) else {
            return Ok(());
        };
        if wire.watched != addresses {
            wire.socket.watch(&addresses)?;
            wire.watched = addresses;
        }
        Ok(())
    }
}

impl VrrpWire {
    /// The group that an identifier belongs to.
    pub fn group(&self, virtual_router_id: u8) -> Option<usize> {
        self.groups.get(&virtual_router_id).copied()
    }

    /// Has the kernel drop what comes with this identifier.
    pub fn mute(&mut self, virtual_router_id: VirtualRouterId) -> io::Result<()> {
        self.muted.insert(virtual_router_id);
        self.refilter()
    }

    fn refilter(&mut self) -> io::Result<()> {
        let wanted = self
            .groups
            .keys()
            .copied()
            .filter_map(VirtualRouterId::new)
            .collect();
        self.socket.set_filter(&wanted, &self.muted)
    }
}

/// What is needed of each interface and family. Where two groups claim the same identifier the first one keeps it;
/// the engine gives the second one a fault.
fn needs<'g>(groups: impl Iterator<Item = (usize, &'g Group)>) -> BTreeMap<(u32, Family), Need> {
    let mut needs: BTreeMap<(u32, Family), Need> = BTreeMap::new();
    for (slot, group) in groups {
        let Some(link) = &group.resolved.interface else {
            continue;
        };
        let need = needs.entry((link.index, group.spec.family)).or_default();
        need.name.clone_from(&link.name);
        need.groups
            .entry(group.spec.virtual_router_id.get())
            .or_insert(slot);
        // Without a source the group takes no part, and the kernel may have taken the interface out of the family (IPv6 below
        // an MTU of 1280, say) and with it out of its multicast groups: they are joined again when the source is back.
        if let Mode::Multicast(address) = group.spec.advertisement.mode
            && group.resolved.source.is_some()
        {
            need.memberships.insert(address);
        }
    }
    needs
}

/// The virtual addresses on each interface.
fn watched<'g>(groups: impl Iterator<Item = (usize, &'g Group)>) -> BTreeMap<u32, BTreeSet<IpAddr>> {
    let mut watched: BTreeMap<u32, BTreeSet<IpAddr>> = BTreeMap::new();
    for (_, group) in groups {
        for binding in group.resolved.bindings.iter().chain(group.held.bindings()) {
            watched
                .entry(binding.interface)
                .or_default()
                .insert(binding.address);
        }
    }
    watched
}

fn explain(error: &io::Error, doing: &str) -> io::Error {
    io::Error::new(error.kind(), format!("{doing}: {error}"))
}
