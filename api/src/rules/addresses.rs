//! Checks of the virtual addresses and of the names that go to the kernel with them.

use core::net::IpAddr;

use ipnet::IpNet;

use super::{Finding, election_family, networks};
use crate::v1alpha1::{Family, NodeGroup, VirtualIPGroup};

/// What the kernel takes as the name of an interface or a label, without the closing zero (IFNAMSIZ).
const NAME_BYTES: usize = 15;

pub(super) fn readable(group: &VirtualIPGroup) -> Vec<Finding> {
    let addresses = group.spec.addresses.iter().enumerate();
    let unreadable = addresses.filter(|(_, address)| address.address.parse::<IpNet>().is_err());
    unreadable
        .map(|(index, address)| Finding::at(place(index)).value(&address.address))
        .collect()
}

pub(super) fn not_multicast(group: &VirtualIPGroup) -> Vec<Finding> {
    those(group, |network| network.addr().is_multicast())
}

pub(super) fn not_loopback(group: &VirtualIPGroup) -> Vec<Finding> {
    those(group, |network| network.addr().is_loopback())
}

pub(super) fn not_unspecified(group: &VirtualIPGroup) -> Vec<Finding> {
    those(group, |network| match network.addr() {
        IpAddr::V4(address) => address.octets()[0] == 0,
        IpAddr::V6(address) => address.is_unspecified(),
    })
}

pub(super) fn not_mapped(group: &VirtualIPGroup) -> Vec<Finding> {
    let mapped = networks(&group.spec).filter_map(|(index, network)| match network.addr() {
        IpAddr::V6(address) => Some((index, network, address.to_ipv4_mapped()?)),
        IpAddr::V4(_) => None,
    });
    mapped
        .map(|(index, network, v4)| Finding::at(place(index)).value(network.addr()).other(v4))
        .collect()
}

pub(super) fn not_network(group: &VirtualIPGroup) -> Vec<Finding> {
    // In IPv6 this is the subnet-router anycast address (RFC 4291 §2.6.1).
    those(group, |network| {
        has_network_address(network) && network.addr() == network.network() && !is_refused_anyway(network)
    })
}

pub(super) fn not_broadcast(group: &VirtualIPGroup) -> Vec<Finding> {
    those(group, |network| match network {
        IpNet::V4(v4) => {
            v4.addr().is_broadcast()
                || (has_network_address(network)
                    && v4.addr() == v4.broadcast()
                    && !is_refused_anyway(network))
        }
        IpNet::V6(_) => false,
    })
}

pub(super) fn once(group: &VirtualIPGroup) -> Vec<Finding> {
    let all: Vec<_> = networks(&group.spec).collect();
    let repeated = all.iter().enumerate().filter_map(|(nth, (index, network))| {
        let (first, _) = all[..nth]
            .iter()
            .find(|(_, earlier)| earlier.addr() == network.addr())?;
        Some(
            Finding::at(place(*index))
                .value(network.addr())
                .other(place(*first)),
        )
    });
    repeated.collect()
}

pub(super) fn label(group: &VirtualIPGroup) -> Vec<Finding> {
    let labels = group
        .spec
        .addresses
        .iter()
        .enumerate()
        .filter_map(|(index, a)| Some((index, a.label.as_ref()?)));
    labels
        .filter(|(_, label)| is_within_schema(label) && label.len() > NAME_BYTES)
        .map(|(index, label)| {
            Finding::at(format!("spec.addresses[{index}].label"))
                .value(label)
                .other(label.len())
        })
        .collect()
}

pub(super) fn label_family(group: &VirtualIPGroup) -> Vec<Finding> {
    networks(&group.spec)
        .filter(|(index, network)| group.spec.addresses[*index].label.is_some() && network.addr().is_ipv6())
        .map(|(index, network)| Finding::at(format!("spec.addresses[{index}].label")).value(network.addr()))
        .collect()
}

pub(super) fn interface(group: &VirtualIPGroup) -> Vec<Finding> {
    let spec = &group.spec;
    let election = spec
        .interface
        .iter()
        .map(|name| ("spec.interface".to_owned(), name));
    let addresses = spec.addresses.iter().enumerate().filter_map(|(index, address)| {
        Some((
            format!("spec.addresses[{index}].interface"),
            address.interface.as_ref()?,
        ))
    });
    let overrides = spec
        .node_overrides
        .iter()
        .enumerate()
        .filter_map(|(index, change)| {
            Some((
                format!("spec.nodeOverrides[{index}].interface"),
                change.interface.as_ref()?,
            ))
        });
    let all = election.chain(addresses).chain(overrides);
    all.filter(|(_, name)| is_within_schema(name) && !is_interface_name(name))
        .map(|(path, name)| Finding::at(path).value(name))
        .collect()
}

pub(super) fn interface_of_link_local(group: &NodeGroup) -> Vec<Finding> {
    let addresses = group
        .addresses
        .iter()
        .filter_map(|address| address.address.parse::<IpNet>().ok());
    let mut elected = addresses.filter(|network| Family::of(network.addr()) == group.advertisement.family);
    let nowhere = elected.all(|network| matches!(network.addr(), IpAddr::V6(a) if a.is_unicast_link_local()));
    if nowhere && group.interface.is_none() {
        vec![Finding::at("spec.interface")]
    } else {
        Vec::new()
    }
}

/// Where the link-local address stands does not matter here: the advertisement puts it first.
pub(super) fn link_local(group: &VirtualIPGroup) -> Vec<Finding> {
    if election_family(&group.spec) != Some(Family::IPv6) {
        return Vec::new();
    }
    let mut own_family = networks(&group.spec)
        .filter_map(|(_, network)| match network.addr() {
            IpAddr::V6(address) => Some(address),
            IpAddr::V4(_) => None,
        })
        .peekable();
    // Without any address of the family another rule has spoken already.
    let missing = own_family.peek().is_some() && !own_family.any(|address| address.is_unicast_link_local());
    missing
        .then(|| Finding::at("spec.addresses"))
        .into_iter()
        .collect()
}

fn those(group: &VirtualIPGroup, wrong: impl Fn(IpNet) -> bool) -> Vec<Finding> {
    networks(&group.spec)
        .filter(|(_, network)| wrong(*network))
        .map(|(index, network)| {
            Finding::at(place(index))
                .value(network.addr())
                .other(network.trunc())
        })
        .collect()
}

fn place(index: usize) -> String {
    format!("spec.addresses[{index}].address")
}

/// Point-to-point prefixes (RFC 3021, RFC 6164) and host prefixes have no address that stands for the network.
fn has_network_address(network: IpNet) -> bool {
    network.prefix_len() + 1 < network.max_prefix_len()
}

fn is_refused_anyway(network: IpNet) -> bool {
    let address = network.addr();
    address.is_unspecified() || address.is_multicast() || address.is_loopback()
}

/// The schema counts characters, and has already refused what is too long even so.
fn is_within_schema(name: &str) -> bool {
    (1..=NAME_BYTES).contains(&name.chars().count())
}

/// As the kernel's `dev_valid_name` has it, and without control characters, which it takes and nobody means.
fn is_interface_name(name: &str) -> bool {
    let characters = name
        .chars()
        .all(|c| !(c == '/' || c == ':' || c.is_whitespace() || c.is_control()));
    name.len() <= NAME_BYTES && name != "." && name != ".." && characters
}
