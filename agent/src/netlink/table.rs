//! What the kernel has, fed by its events, and what of it the engine has yet to be told.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use holdfast_vrrp::Instant;

use super::change::{PROTOCOL_MARK, Place};
use super::parse::{Found, News};
use super::{Address, Link, Message};

/// Links and addresses as the kernel has them.
///
/// Changes are told in batches as the difference between what was told before and what is now: an address taken away
/// and put back between two batches is no news. A link that was is: sockets on it are deaf, though it looks the same.
#[derive(Debug, Default)]
pub(super) struct Table {
    links: BTreeMap<u32, Link>,
    addresses: BTreeMap<Place, Entry>,
    /// What was told of the links and addresses that may have changed since.
    told_links: BTreeMap<u32, Option<Link>>,
    told_addresses: BTreeMap<(u32, IpAddr), Option<Address>>,
    /// Links that were gone since, whether or not they are there again.
    lost_links: BTreeSet<u32>,
    /// Links that came up and were not asked about since.
    came_up: BTreeSet<u32>,
}

/// An address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Entry {
    flags: u32,
    ours: bool,
    expires: Option<Instant>,
}

impl Table {
    /// Takes in what the kernel said. Lifetimes count from `now`.
    pub fn learn(&mut self, now: Instant, news: News) {
        match news {
            News::Link(link) => {
                self.touch_link(link.index);
                let (index, up) = (link.index, link.up);
                let was_up = self.links.insert(index, link).is_some_and(|before| before.up);
                if up && !was_up {
                    self.came_up.insert(index);
                }
            }
            News::LinkGone(index) => {
                self.touch_link(index);
                self.lost_links.insert(index);
                self.came_up.remove(&index);
                self.links.remove(&index);
                let orphans: Vec<Place> = self.on_interface(index).map(|(place, _)| *place).collect();
                for place in orphans {
                    self.forget(&place);
                }
            }
            News::Address(found) => {
                self.touch_address(found.place);
                self.addresses.insert(found.place, Entry::new(now, &found));
            }
            News::AddressGone(place) => self.forget(&place),
            News::Unanswered(_) | News::Answer { .. } | News::Done | News::Other => {}
        }
    }

    /// What changed since this was called last, other than how long an address has left.
    pub fn changes(&mut self) -> Vec<Message> {
        let told_links = core::mem::take(&mut self.told_links);
        let told_addresses = core::mem::take(&mut self.told_addresses);
        let lost_links = core::mem::take(&mut self.lost_links);
        let mut gone = Vec::new();
        let mut links_gone = Vec::new();
        let mut here = Vec::new();
        for (index, mut told) in told_links {
            if lost_links.contains(&index) && told.take().is_some() {
                links_gone.push(Message::LinkGone { index });
            }
            match (self.links.get(&index), told) {
                (Some(link), told) if told.as_ref() != Some(link) => here.push(Message::Link(link.clone())),
                (None, Some(_)) => links_gone.push(Message::LinkGone { index }),
                _ => {}
            }
        }
        for ((interface, address), mut told) in told_addresses {
            if lost_links.contains(&interface) && told.take().is_some() {
                gone.push(Message::AddressGone { interface, address });
            }
            match (self.seen(interface, address), told) {
                (Some(seen), told)
                    if !told
                        .as_ref()
                        .is_some_and(|told| same_but_for_lifetime(told, &seen)) =>
                {
                    here.push(Message::Address(seen));
                }
                (None, Some(_)) => gone.push(Message::AddressGone { interface, address }),
                _ => {}
            }
        }
        gone.append(&mut links_gone);
        gone.append(&mut here);
        gone
    }

    /// Whether a link came up since this was last asked of it.
    pub fn take_came_up(&mut self, index: u32) -> bool {
        self.came_up.remove(&index)
    }

    /// Whether the kernel has an address there.
    pub fn has(&self, place: &Place) -> bool {
        self.addresses.contains_key(place)
    }

    /// When the address there expires, if there is one and it does.
    pub fn expiry(&self, place: &Place) -> Option<Instant> {
        self.addresses.get(place)?.expires
    }

    /// Those of these addresses that lie in one place and no other.
    pub fn once(&self, addresses: &BTreeSet<IpAddr>) -> BTreeSet<IpAddr> {
        let (mut once, mut again) = (BTreeSet::new(), BTreeSet::new());
        for place in self.addresses.keys() {
            if addresses.contains(&place.address) && !once.insert(place.address) {
                again.insert(place.address);
            }
        }
        once.difference(&again).copied().collect()
    }

    /// Whether the address there is a secondary one of its subnet.
    pub fn is_secondary(&self, place: &Place) -> bool {
        self.addresses
            .get(place)
            .is_some_and(|entry| entry.flags & libc::IFA_F_SECONDARY != 0)
    }

    /// The companions (see [`super`]) of a virtual address.
    pub fn companions(&self, interface: u32, address: IpAddr) -> impl Iterator<Item = Place> {
        self.on_interface(interface)
            .filter(move |(place, entry)| place.peer == Some(address) && entry.is_companion(place))
            .map(|(place, _)| *place)
    }

    /// The name of a link, or something to call it by.
    pub fn name(&self, index: u32) -> String {
        self.links
            .get(&index)
            .map_or_else(|| format!("interface {index}"), |link| link.name.clone())
    }

    /// The name of a link that exists.
    pub fn link_name(&self, index: u32) -> Option<&str> {
        self.links.get(&index).map(|link| link.name.as_str())
    }

    fn on_interface(&self, interface: u32) -> impl Iterator<Item = (&Place, &Entry)> {
        let first = Place {
            interface,
            address: IpAddr::from([0; 4]),
            prefix_length: 0,
            peer: None,
        };
        self.addresses
            .range(first..)
            .take_while(move |(place, _)| place.interface == interface)
    }

    /// The address as the engine sees it. Where the kernel has it more than once, with several prefixes, the node's own
    /// goes before ours; companions are nobody's business.
    fn seen(&self, interface: u32, address: IpAddr) -> Option<Address> {
        let first = Place {
            interface,
            address,
            prefix_length: 0,
            peer: None,
        };
        let (place, entry) = self
            .addresses
            .range(first..)
            .take_while(|(place, _)| (place.interface, place.address) == (interface, address))
            .filter(|(place, entry)| !entry.is_companion(place))
            .min_by_key(|(_, entry)| entry.ours)?;
        Some(Address {
            interface,
            address,
            prefix_length: place.prefix_length,
            usable: entry.is_usable(),
            secondary: entry.flags & libc::IFA_F_SECONDARY != 0,
            ours: entry.ours,
            expires: entry.expires,
        })
    }

    fn forget(&mut self, place: &Place) {
        self.touch_address(*place);
        self.addresses.remove(place);
    }

    fn touch_link(&mut self, index: u32) {
        let link = self.links.get(&index);
        self.told_links.entry(index).or_insert_with(|| link.cloned());
    }

    fn touch_address(&mut self, place: Place) {
        let key = (place.interface, place.address);
        if !self.told_addresses.contains_key(&key) {
            let seen = self.seen(place.interface, place.address);
            self.told_addresses.insert(key, seen);
        }
    }
}

impl Entry {
    fn new(now: Instant, found: &Found) -> Self {
        Self {
            flags: found.flags,
            ours: found.protocol == PROTOCOL_MARK,
            expires: found
                .valid
                .map(|seconds| now + Duration::from_secs(seconds.into())),
        }
    }

    /// Told by its shape, because before Linux 5.18 addresses bear no mark.
    fn is_companion(&self, place: &Place) -> bool {
        let wanted = libc::IFA_F_DEPRECATED | IFA_F_NOPREFIXROUTE;
        place.peer.is_some() && place.prefix_length == 32 && self.flags & wanted == wanted
    }

    fn is_usable(&self) -> bool {
        let tentative = self.flags & libc::IFA_F_TENTATIVE != 0 && self.flags & libc::IFA_F_OPTIMISTIC == 0;
        let duplicate = self.flags & libc::IFA_F_DADFAILED != 0;
        let deprecated = self.flags & libc::IFA_F_DEPRECATED != 0 && !self.ours;
        !tentative && !duplicate && !deprecated
    }
}

const IFA_F_NOPREFIXROUTE: u32 = 0x200;

fn same_but_for_lifetime(one: &Address, other: &Address) -> bool {
    let expires = if one.expires.is_some() == other.expires.is_some() {
        one.expires
    } else {
        other.expires
    };
    *one == Address {
        expires,
        ..other.clone()
    } && one.expires.is_some() == other.expires.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_nanos(1_000_000_000);

    fn link(index: u32, up: bool) -> Link {
        Link {
            index,
            name: format!("eth{index}"),
            up,
            mac: None,
        }
    }

    fn found(address: &str, prefix_length: u8, flags: u32) -> Found {
        let place = Place {
            interface: 1,
            address: address.parse().unwrap(),
            prefix_length,
            peer: None,
        };
        Found {
            place,
            flags,
            protocol: 0,
            valid: None,
        }
    }

    fn ours(address: &str, valid: u32) -> Found {
        Found {
            protocol: PROTOCOL_MARK,
            valid: Some(valid),
            ..found(address, 32, libc::IFA_F_DEPRECATED)
        }
    }

    fn companion(node: &str, vip: &str) -> Found {
        let mut found = ours(node, 3);
        found.place.peer = Some(vip.parse().unwrap());
        found.flags |= IFA_F_NOPREFIXROUTE;
        found
    }

    fn told(table: &mut Table, news: impl IntoIterator<Item = News>) -> Vec<Message> {
        for news in news {
            table.learn(NOW, news);
        }
        table.changes()
    }

    #[test]
    fn a_renewed_address_is_no_news() {
        let mut table = Table::default();
        assert_eq!(told(&mut table, [News::Address(ours("10.0.0.100", 3))]).len(), 1);
        assert_eq!(told(&mut table, [News::Address(ours("10.0.0.100", 2))]), []);
        let for_good = Found {
            valid: None,
            ..ours("10.0.0.100", 2)
        };
        assert_eq!(
            told(&mut table, [News::Address(for_good)]).len(),
            1,
            "somebody made it stay"
        );
    }

    #[test]
    fn an_address_that_came_back_in_the_meantime_is_no_news() {
        let mut table = Table::default();
        let address = ours("10.0.0.100", 3);
        told(&mut table, [News::Address(address)]);
        assert_eq!(
            told(
                &mut table,
                [News::AddressGone(address.place), News::Address(address)]
            ),
            []
        );
    }

    #[test]
    fn a_link_that_came_back_in_the_meantime_is_told_to_have_been_gone_with_its_addresses() {
        let mut table = Table::default();
        let (eth1, address) = (link(1, true), ours("10.0.0.100", 3));
        let before = told(&mut table, [News::Link(eth1.clone()), News::Address(address)]);
        let again = [News::LinkGone(1), News::Link(eth1), News::Address(address)];
        let messages = told(&mut table, again);
        let gone = [
            Message::AddressGone {
                interface: 1,
                address: address.place.address,
            },
            Message::LinkGone { index: 1 },
        ];
        assert_eq!(messages[..2], gone);
        assert_eq!(messages[2..], before);
        assert_eq!(table.changes(), []);
    }

    #[test]
    fn the_nodes_own_address_is_seen_before_ours_and_ours_after_it() {
        let mut table = Table::default();
        let address: IpAddr = "10.0.0.11".parse().unwrap();
        let own = found("10.0.0.11", 24, 0);
        let messages = told(
            &mut table,
            [News::Address(own), News::Address(ours("10.0.0.11", 3))],
        );
        let [Message::Address(seen)] = messages.as_slice() else {
            panic!("{messages:?}")
        };
        assert!(!seen.ours && seen.prefix_length == 24);
        let messages = told(&mut table, [News::AddressGone(own.place)]);
        let [Message::Address(seen)] = messages.as_slice() else {
            panic!("{messages:?}")
        };
        assert!(seen.ours && seen.prefix_length == 32);
        let messages = told(&mut table, [News::AddressGone(ours("10.0.0.11", 3).place)]);
        assert_eq!(
            messages,
            [Message::AddressGone {
                interface: 1,
                address
            }]
        );
    }

    #[test]
    fn companions_are_not_told() {
        let mut table = Table::default();
        let companion = companion("10.0.0.11", "10.0.0.100");
        assert_eq!(told(&mut table, [News::Address(companion)]), []);
        let found: Vec<Place> = table.companions(1, "10.0.0.100".parse().unwrap()).collect();
        assert_eq!(found, [companion.place]);
        assert_eq!(told(&mut table, [News::AddressGone(companion.place)]), []);
    }

    #[test]
    fn a_link_takes_its_addresses_with_it() {
        let mut table = Table::default();
        told(
            &mut table,
            [
                News::Link(link(1, true)),
                News::Address(found("10.0.0.11", 24, 0)),
            ],
        );
        let address = "10.0.0.11".parse().unwrap();
        assert_eq!(
            told(&mut table, [News::LinkGone(1)]),
            [
                Message::AddressGone {
                    interface: 1,
                    address
                },
                Message::LinkGone { index: 1 }
            ]
        );
    }

    #[test]
    fn addresses_that_are_tentative_duplicate_or_deprecated_by_others_are_not_usable() {
        let cases = [
            (found("fd00::1", 64, 0), true),
            (found("fd00::1", 64, libc::IFA_F_TENTATIVE), false),
            (
                found("fd00::1", 64, libc::IFA_F_TENTATIVE | libc::IFA_F_OPTIMISTIC),
                true,
            ),
            (found("fd00::1", 64, libc::IFA_F_DADFAILED), false),
            (found("fd00::1", 64, libc::IFA_F_DEPRECATED), false),
            (ours("10.0.0.100", 3), true),
        ];
        for (found, usable) in cases {
            let messages = told(&mut Table::default(), [News::Address(found)]);
            let [Message::Address(seen)] = messages.as_slice() else {
                panic!("{messages:?}")
            };
            assert_eq!(seen.usable, usable, "{found:?}");
        }
    }

    #[test]
    fn a_link_came_up_once_and_not_if_it_is_gone_since() {
        let mut table = Table::default();
        table.learn(NOW, News::Link(link(1, true)));
        table.learn(NOW, News::Link(link(2, true)));
        table.learn(NOW, News::Link(link(3, false)));
        table.learn(NOW, News::LinkGone(2));
        assert_eq!(
            [1, 1, 2, 3].map(|index| table.take_came_up(index)),
            [true, false, false, false]
        );
        table.learn(NOW, News::Link(link(1, true)));
        assert!(!table.take_came_up(1), "it was up before");
        table.learn(NOW, News::Link(link(1, false)));
        table.learn(NOW, News::Link(link(1, true)));
        assert!(table.take_came_up(1));
    }
}
