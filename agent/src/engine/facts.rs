//! What the kernel has told about links and addresses, as the engine's own table.

use core::net::IpAddr;
use std::collections::BTreeMap;

use crate::netlink::{Address, Binding, Link, Message};

/// The present links and addresses of the node.
#[derive(Debug, Default)]
pub struct Facts {
    links: BTreeMap<u32, Link>,
    addresses: BTreeMap<(u32, IpAddr), Address>,
    synced: bool,
}

/// What a message changed, as far as the engine has to act on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FactChange {
    /// Nothing that matters to anybody.
    None,
    /// Interfaces or the node's own addresses: what groups resolve to may be another now.
    Topology,
    /// An address is gone from an interface.
    Gone(u32, IpAddr),
}

impl Facts {
    /// Takes a message in.
    pub fn learn(&mut self, message: &Message) -> FactChange {
        match message {
            Message::Resync => {
                *self = Self::default();
                FactChange::None
            }
            Message::Synced => {
                self.synced = true;
                FactChange::Topology
            }
            Message::Link(link) => {
                if self.links.insert(link.index, link.clone()).as_ref() == Some(link) {
                    FactChange::None
                } else {
                    FactChange::Topology
                }
            }
            Message::LinkGone { index } => {
                self.links.remove(index);
                self.addresses.retain(|(interface, _), _| interface != index);
                FactChange::Topology
            }
            Message::Address(address) => {
                let key = (address.interface, address.address);
                let known = self.addresses.insert(key, address.clone());
                let news = known.is_none_or(|known| {
                    (known.prefix_length, known.usable, known.secondary, known.ours)
                        != (
                            address.prefix_length,
                            address.usable,
                            address.secondary,
                            address.ours,
                        )
                });
                // Our own addresses come and go with every failover; no group resolves to anything else because of it.
                if news && !address.ours {
                    FactChange::Topology
                } else {
                    FactChange::None
                }
            }
            Message::AddressGone { interface, address } => {
                self.addresses.remove(&(*interface, *address));
                FactChange::Gone(*interface, *address)
            }
            Message::Bound { .. } | Message::BindFailed { .. } | Message::Unbound { .. } => FactChange::None,
        }
    }

    /// Whether the present state is complete.
    pub fn synced(&self) -> bool {
        self.synced
    }

    /// The link of that name.
    pub fn link_named(&self, name: &str) -> Option<&Link> {
        self.links.values().find(|link| link.name == name)
    }

    /// The link with that index.
    pub fn link(&self, index: u32) -> Option<&Link> {
        self.links.get(&index)
    }

    /// Whether an interface of this node has that link-layer address.
    pub fn owns_mac(&self, mac: [u8; 6]) -> bool {
        self.links.values().any(|link| link.mac == Some(mac))
    }

    /// The address on that interface, if it is there.
    pub fn address(&self, interface: u32, address: IpAddr) -> Option<&Address> {
        self.addresses.get(&(interface, address))
    }

    /// Whether that address is on that interface for good and not through an agent of ours.
    pub fn is_foreign(&self, binding: &Binding) -> bool {
        self.address(binding.interface, binding.address)
            .is_some_and(|found| !found.ours && found.expires.is_none())
    }

    /// Whether the node has that address for good and not through an agent of ours.
    pub fn is_own(&self, address: IpAddr) -> bool {
        self.addresses()
            .any(|found| found.address == address && !found.ours && found.expires.is_none())
    }

    /// All addresses of an interface.
    pub fn addresses_of(&self, interface: u32) -> impl Iterator<Item = &Address> {
        self.addresses
            .range((interface, IpAddr::from([0, 0, 0, 0]))..)
            .take_while(move |((index, _), _)| *index == interface)
            .map(|(_, address)| address)
    }

    /// All addresses of the node.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.addresses.values()
    }
}

#[cfg(test)]
impl Facts {
    /// A complete table of these links and addresses.
    pub(crate) fn of(links: &[Link], addresses: &[Address]) -> Self {
        let mut facts = Self::default();
        facts.learn(&Message::Resync);
        for link in links {
            facts.learn(&Message::Link(link.clone()));
        }
        for address in addresses {
            facts.learn(&Message::Address(address.clone()));
        }
        facts.learn(&Message::Synced);
        facts
    }
}
