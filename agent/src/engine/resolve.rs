//! From what a group says and what the node has to what the group means here: its interface, its source address, and
//! how each virtual address is bound. Pure.

use core::net::IpAddr;

use holdfast_api::model::{Bind, Mode, NodeGroup};
use holdfast_vrrp::{Family, Fault, Faults};
use ipnet::IpNet;

use super::facts::Facts;
use crate::netlink::{Address, Binding, Link};

/// Tells whether an address is a virtual address of any group on this node.
pub type IsVip<'a> = &'a dyn Fn(IpAddr) -> bool;

/// What a group means on this node now.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Resolved {
    /// The election's interface, if it exists.
    pub interface: Option<Link>,
    /// The address to take part from.
    pub source: Option<IpAddr>,
    /// How each virtual address is bound, as far as its interface exists.
    pub bindings: Vec<Binding>,
    /// What keeps the group out of the election, each with a sentence that says what to do.
    pub faults: Vec<(Fault, String)>,
}

impl Resolved {
    /// How that virtual address is bound.
    pub fn binding(&self, address: IpAddr) -> Option<&Binding> {
        self.bindings.iter().find(|binding| binding.address == address)
    }

    /// Whether all that keeps the group out of the election is that the node's address is gone, which may also have been
    /// what found the interface.
    pub fn lacks_only_source(&self, group: &NodeGroup) -> bool {
        let only = |wanted: Fault| self.faults.iter().all(|(fault, _)| *fault == wanted);
        !self.faults.is_empty()
            && (only(Fault::NoSourceAddress) || group.interface.is_none() && only(Fault::InterfaceMissing))
    }

    /// The faults as a set.
    pub fn fault_set(&self) -> Faults {
        self.faults.iter().map(|(fault, _)| *fault).collect()
    }
}

/// Resolves `group` against `facts`. `is_vip` knows all virtual addresses of this node's groups: none of them is
/// ever a source, but an address owner's own.
pub fn resolve(group: &NodeGroup, facts: &Facts, is_vip: IsVip<'_>) -> Resolved {
    let mut resolved = Resolved::default();
    let link = match election_interface(group, facts, is_vip) {
        Ok(link) => link,
        Err(sentence) => {
            resolved.faults.push((Fault::InterfaceMissing, sentence));
            return resolved;
        }
    };
    resolved.interface = Some(link.clone());
    if !link.up {
        resolved.faults.push((
            Fault::LinkDown,
            format!(
                "{} is down or has no carrier; check the cable, the switch port, or `ip link set {} up`",
                link.name, link.name
            ),
        ));
    }
    match source_address(group, facts, link, is_vip) {
        Ok(source) => resolved.source = Some(source),
        Err(sentence) => resolved.faults.push((Fault::NoSourceAddress, sentence)),
    }
    for address in &group.addresses {
        let carrier = match &address.interface {
            None => link,
            Some(name) => {
                let Some(carrier) = facts.link_named(name) else {
                    let address = address.address;
                    let sentence = format!(
                        "{address} is to be bound to {name}, which does not exist (yet); it is waited for"
                    );
                    resolved.faults.push((Fault::InterfaceMissing, sentence));
                    continue;
                };
                carrier
            }
        };
        resolved.bindings.push(Binding {
            interface: carrier.index,
            address: address.address,
            prefix_length: bound_prefix_length(address),
            label: address.label.as_deref().map(Into::into),
            preferred_source: preferred_source(address.address, facts, carrier, is_vip),
        });
    }
    resolved
}

/// The prefix length with which an address is bound.
pub fn bound_prefix_length(address: &holdfast_api::model::Address) -> u8 {
    match (address.bind, Family::of(address.address)) {
        (Bind::AsWritten, _) => address.prefix_length,
        (Bind::HostPrefix, Family::V4) => 32,
        (Bind::HostPrefix, Family::V6) => 128,
    }
}

/// The named interface, or the one that has an address in whose subnet one of the group's addresses lies.
fn election_interface<'f>(
    group: &NodeGroup,
    facts: &'f Facts,
    is_vip: IsVip<'_>,
) -> Result<&'f Link, String> {
    if let Some(name) = &group.interface {
        return facts.link_named(name).ok_or_else(|| {
            format!("interface {name} does not exist (yet); it is waited for. `ip link` lists those that do")
        });
    }
    let wanted: Vec<IpAddr> = group
        .addresses
        .iter()
        .map(|a| a.address)
        .filter(|a| Family::of(*a) == group.family)
        .collect();
    let owner = group.priority.is_owner();
    facts
        .addresses()
        .filter(|own| !own.ours && (owner || !is_vip(own.address)) && !is_link_local(own.address))
        .filter(|own| subnet(own).is_some_and(|subnet| wanted.iter().any(|vip| subnet.contains(vip))))
        .find_map(|own| facts.link(own.interface))
        .ok_or_else(|| {
            if let Some(own) = wanted.iter().find(|address| facts.is_own(**address)) {
                return format!(
                    "{own} is this node's own address: give this node priority 255 (nodeOverrides), or the group another \
                     address"
                );
            }
            let first = wanted.first().map_or_else(String::new, ToString::to_string);
            format!("no interface of this node has an address in the subnet of {first}; give one, or name the interface in spec.interface")
        })
}

/// The configured source address if it is there, or the one the protocol asks for: the IPv4 primary address, the IPv6
/// link-local address (RFC 9568 §5.1.1.1, §5.1.2.1) — but a global one towards peers that are not on the link.
fn source_address(
    group: &NodeGroup,
    facts: &Facts,
    link: &Link,
    is_vip: IsVip<'_>,
) -> Result<IpAddr, String> {
    if let Some(wanted) = group.source_address {
        return match facts.address(link.index, wanted) {
            Some(found) if found.usable => Ok(wanted),
            Some(_) => Err(format!(
                "{wanted} on {} cannot be used yet (tentative or a duplicate)",
                link.name
            )),
            None => Err(format!(
                "{} does not have the source address {wanted}; add it, or correct sourceAddress",
                link.name
            )),
        };
    }
    let peers: Vec<IpAddr> = match &group.advertisement.mode {
        Mode::Unicast(peers) => peers.iter().map(|named| named.peer.address).collect(),
        Mode::Multicast(_) => Vec::new(),
    };
    let vip = group
        .addresses
        .iter()
        .map(|a| a.address)
        .find(|a| Family::of(*a) == group.family);
    let link_local = group.family == Family::V6 && peers.iter().all(|peer| is_link_local(*peer));
    let near: Vec<IpAddr> = peers.iter().copied().chain(vip).collect();
    let owner = group.priority.is_owner();
    own_addresses(group.family, facts, link, &|address| !owner && is_vip(address))
        .filter(|own| group.family == Family::V4 || is_link_local(own.address) == link_local)
        .min_by_key(|own| {
            (
                own.secondary,
                !subnet(own).is_some_and(|subnet| near.iter().any(|a| subnet.contains(a))),
            )
        })
        .map(|own| own.address)
        .ok_or_else(|| {
            let kind = match (group.family, link_local) {
                (Family::V4, _) => "IPv4 address",
                (Family::V6, true) => "IPv6 link-local address",
                (Family::V6, false) => "global IPv6 address, which its unicast peers need",
            };
            format!(
                "{} has no usable {kind} to take part from; it is waited for",
                link.name
            )
        })
}

/// The node's own address that traffic to the virtual address is to come from.
fn preferred_source(vip: IpAddr, facts: &Facts, link: &Link, is_vip: IsVip<'_>) -> Option<IpAddr> {
    own_addresses(Family::of(vip), facts, link, is_vip)
        .filter(|own| is_link_local(own.address) == is_link_local(vip))
        .min_by_key(|own| {
            (
                own.secondary,
                !subnet(own).is_some_and(|subnet| subnet.contains(&vip)),
            )
        })
        .map(|own| own.address)
}

fn own_addresses<'f>(
    family: Family,
    facts: &'f Facts,
    link: &Link,
    is_vip: IsVip<'f>,
) -> impl Iterator<Item = &'f Address> {
    facts.addresses_of(link.index).filter(move |own| {
        Family::of(own.address) == family && own.usable && !own.ours && !is_vip(own.address)
    })
}

fn subnet(own: &Address) -> Option<IpNet> {
    IpNet::new(own.address, own.prefix_length).ok()
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use holdfast_api::model::{self, Advertisement, Announcement, NamedPeer};
    use holdfast_vrrp::{
        Authentication, Checksum, Interval, Peer, Preemption, Priority, Version, VirtualRouterId,
    };

    use super::*;

    fn ip(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    fn link(index: u32, name: &str) -> Link {
        Link {
            index,
            name: name.into(),
            up: true,
            mac: Some([2, 0, 0, 0, 0, 1]),
        }
    }

    fn own(interface: u32, address: &str, prefix_length: u8) -> Address {
        let address = ip(address);
        Address {
            interface,
            address,
            prefix_length,
            usable: true,
            secondary: false,
            ours: false,
            expires: None,
        }
    }

    fn vip(address: &str, prefix_length: u8) -> model::Address {
        model::Address {
            address: ip(address),
            prefix_length,
            interface: None,
            label: None,
            bind: Bind::HostPrefix,
        }
    }

    fn group(addresses: &[model::Address]) -> NodeGroup {
        NodeGroup {
            name: "web".into(),
            uid: None,
            generation: 0,
            virtual_router_id: VirtualRouterId::new(51).unwrap(),
            interface: None,
            source_address: None,
            addresses: addresses.to_vec(),
            family: Family::of(addresses[0].address),
            priority: Priority::DEFAULT,
            advertisement: Advertisement {
                version: Version::V3,
                interval: Interval::DEFAULT,
                mode: Mode::Multicast(ip("224.0.0.18")),
                checksum: Checksum::default(),
            },
            preemption: Preemption::Immediate,
            authentication: Authentication::None,
            announcement: Announcement {
                count: 5,
                repeat_after: Duration::from_secs(5),
                refresh_interval: Duration::from_mins(1),
                arp_reply: false,
            },
            startup_delay: Duration::ZERO,
            probes: Vec::new(),
            health: holdfast_health::Policy::without_probes(Priority::DEFAULT),
            preferred: None,
            sync_group: None,
            may_become_active: true,
            deleted: false,
        }
    }

    fn resolve_with(group: &NodeGroup, facts: &Facts) -> Resolved {
        resolve(group, facts, &|address| {
            group.addresses.iter().any(|a| a.address == address)
        })
    }

    fn two_interfaces() -> Facts {
        Facts::of(
            &[link(2, "eth0"), link(3, "eth1")],
            &[
                own(2, "192.168.1.5", 24),
                own(3, "10.0.0.11", 24),
                own(3, "fe80::11", 64),
                own(3, "fd00::11", 64),
            ],
        )
    }

    #[test]
    fn the_interface_is_the_one_whose_subnet_holds_the_address() {
        let resolved = resolve_with(&group(&[vip("10.0.0.100", 24)]), &two_interfaces());
        assert_eq!(resolved.faults, []);
        assert_eq!(resolved.interface.as_ref().unwrap().name, "eth1");
        assert_eq!(resolved.source, Some(ip("10.0.0.11")));
        let binding = resolved.binding(ip("10.0.0.100")).unwrap();
        assert_eq!((binding.interface, binding.prefix_length), (3, 32));
        assert_eq!(binding.preferred_source, Some(ip("10.0.0.11")));
    }

    #[test]
    fn an_interface_that_is_not_there_is_a_fault_that_names_it() {
        let mut group = group(&[vip("10.0.0.100", 24)]);
        group.interface = Some("bond0".into());
        let resolved = resolve_with(&group, &two_interfaces());
        assert_eq!(resolved.faults.len(), 1);
        assert_eq!(resolved.faults[0].0, Fault::InterfaceMissing);
        assert!(resolved.faults[0].1.contains("bond0"), "{}", resolved.faults[0].1);
    }

    #[test]
    fn no_subnet_for_the_address_is_a_fault_that_says_what_to_write() {
        let resolved = resolve_with(&group(&[vip("172.16.0.1", 24)]), &two_interfaces());
        assert_eq!(resolved.faults[0].0, Fault::InterfaceMissing);
        assert!(
            resolved.faults[0].1.contains("spec.interface"),
            "{}",
            resolved.faults[0].1
        );
    }

    #[test]
    fn a_link_without_carrier_is_a_fault_and_the_source_is_known_all_the_same() {
        let down = Link {
            up: false,
            ..link(3, "eth1")
        };
        let facts = Facts::of(&[down], &[own(3, "10.0.0.11", 24)]);
        let resolved = resolve_with(&group(&[vip("10.0.0.100", 24)]), &facts);
        assert_eq!(resolved.fault_set(), Faults::NONE.with(Fault::LinkDown, true));
        assert_eq!(resolved.source, Some(ip("10.0.0.11")));
    }

    #[test]
    fn a_virtual_address_is_never_a_source_not_even_a_leftover_of_somebody_elses() {
        let mut group = group(&[vip("10.0.0.100", 24)]);
        group.interface = Some("eth1".into());
        let facts = Facts::of(&[link(3, "eth1")], &[own(3, "10.0.0.100", 24)]);
        let resolved = resolve_with(&group, &facts);
        assert_eq!(
            resolved.fault_set(),
            Faults::NONE.with(Fault::NoSourceAddress, true)
        );
        group.priority = Priority::OWNER;
        assert_eq!(resolve_with(&group, &facts).source, Some(ip("10.0.0.100")));
    }

    #[test]
    fn an_address_owner_needs_no_interface_named_and_anybody_else_is_told_to_be_one() {
        let mut group = group(&[vip("10.0.0.11", 24)]);
        let facts = two_interfaces();
        let sentence = &resolve_with(&group, &facts).faults[0].1;
        assert!(
            sentence.contains("10.0.0.11 is this node's own address") && sentence.contains("priority 255"),
            "{sentence}"
        );
        group.priority = Priority::OWNER;
        let resolved = resolve_with(&group, &facts);
        assert_eq!(resolved.faults, []);
        assert_eq!(resolved.interface.map(|link| link.name).as_deref(), Some("eth1"));
        assert_eq!(resolved.source, Some(ip("10.0.0.11")));
    }

    #[test]
    fn ipv6_takes_part_from_the_link_local_address_and_from_a_global_one_towards_global_peers() {
        let mut group = group(&[vip("fd00::100", 64)]);
        assert_eq!(
            resolve_with(&group, &two_interfaces()).source,
            Some(ip("fe80::11"))
        );
        let peer = Peer {
            address: ip("fd00::12"),
            min_ttl: 255,
        };
        group.advertisement.mode = Mode::Unicast(vec![NamedPeer {
            name: "b".into(),
            peer,
        }]);
        assert_eq!(
            resolve_with(&group, &two_interfaces()).source,
            Some(ip("fd00::11"))
        );
    }

    #[test]
    fn a_configured_source_that_is_not_there_is_a_fault_and_no_other_is_taken() {
        let mut group = group(&[vip("10.0.0.100", 24)]);
        group.source_address = Some(ip("10.0.0.99"));
        let resolved = resolve_with(&group, &two_interfaces());
        assert_eq!(resolved.source, None);
        assert_eq!(
            resolved.fault_set(),
            Faults::NONE.with(Fault::NoSourceAddress, true)
        );
    }

    #[test]
    fn a_node_without_its_address_lacks_only_that_but_not_one_without_its_link() {
        let mut group = group(&[vip("10.0.0.100", 24)]);
        let bare = Facts::of(&[link(3, "eth1")], &[]);
        assert!(resolve_with(&group, &bare).lacks_only_source(&group));
        group.interface = Some("eth1".into());
        assert!(resolve_with(&group, &bare).lacks_only_source(&group));
        let down = Facts::of(
            &[Link {
                up: false,
                ..link(3, "eth1")
            }],
            &[],
        );
        assert!(!resolve_with(&group, &down).lacks_only_source(&group));
        assert!(!resolve_with(&group, &Facts::of(&[], &[])).lacks_only_source(&group));
        assert!(!resolve_with(&group, &two_interfaces()).lacks_only_source(&group));
    }

    #[test]
    fn an_address_may_ride_on_another_interface_and_as_written() {
        let mut rider = vip("192.168.1.100", 24);
        rider.interface = Some("eth0".into());
        rider.bind = Bind::AsWritten;
        let resolved = resolve_with(&group(&[vip("10.0.0.100", 24), rider]), &two_interfaces());
        let binding = resolved.binding(ip("192.168.1.100")).unwrap();
        assert_eq!((binding.interface, binding.prefix_length), (2, 24));
        assert_eq!(binding.preferred_source, Some(ip("192.168.1.5")));
    }
}
