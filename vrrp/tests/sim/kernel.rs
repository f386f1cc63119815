//! A node's kernel as far as the dead-man's switch needs it: addresses with a lifetime that run out by themselves.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use holdfast_vrrp::{Instant, VirtualAddress};

use crate::clock::Moment;

/// One change asked of the kernel by a process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Put the addresses there, or extend them, for this long; the number tells the answer's question.
    Bind(Vec<VirtualAddress>, Duration, u64),
    /// Extend what this process has bound or adopted, as far as it is there, to this long.
    Renew(Duration),
    /// Take the addresses away.
    Unbind(Vec<VirtualAddress>),
}

/// An address on an interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// When the kernel takes it away.
    pub expires: Instant,
    /// When it was last put there or extended.
    pub extended: Moment,
    /// The process that last put it there or extended it.
    pub incarnation: u32,
}

/// The virtual addresses on a node's interfaces.
#[derive(Clone, Debug, Default)]
pub struct AddressTable(BTreeMap<IpAddr, Entry>);

impl AddressTable {
    /// Whether no virtual address is there.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `address` is there.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains_key(&address)
    }

    /// The addresses that are there.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.0.keys().copied()
    }

    /// The addresses that are there, with what the kernel knows of them.
    pub fn entries(&self) -> impl Iterator<Item = (IpAddr, Entry)> + '_ {
        self.0.iter().map(|(address, entry)| (*address, *entry))
    }

    /// Puts an address there or extends it.
    pub fn insert(&mut self, address: IpAddr, entry: Entry) {
        self.0.insert(address, entry);
    }

    /// Extends an address that is there, and leaves one that is not alone.
    pub fn extend(&mut self, address: IpAddr, entry: Entry) {
        self.0.entry(address).and_modify(|present| *present = entry);
    }

    /// Takes an address away; whether it was there.
    pub fn remove(&mut self, address: IpAddr) -> bool {
        self.0.remove(&address).is_some()
    }

    /// Takes everything away: the node lost its power.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Takes away what has expired by `now` and says what it was.
    pub fn expire(&mut self, now: Instant) -> Vec<IpAddr> {
        let expired: Vec<_> = self
            .0
            .iter()
            .filter(|(_, entry)| entry.expires <= now)
            .map(|(address, _)| *address)
            .collect();
        for address in &expired {
            self.0.remove(address);
        }
        expired
    }

    /// When the next address expires.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.0.values().map(|entry| entry.expires).min()
    }
}
