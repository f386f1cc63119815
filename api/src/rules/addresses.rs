//! Checks of the virtual addresses and of the names that go to the kernel with them.

use core::net::IpAddr;

use ipnet::IpNet;

use super::cel::Cel;
use super::places::{interfaces, probes};
use super::{Finding, election_family, is_mapped, networks};
use crate::v1alpha1::{Family, NodeGroup, VirtualIPGroup};

/// What the kernel takes as the name of an interface or a label, without the closing zero (IFNAMSIZ).
const NAME_BYTES: usize = 15;
/// Where virtual addresses stand in the schema.
const ADDRESS: &[&str] = &["spec.addresses[].address"];

pub(super) const READABLE: Cel = Cel::new(ADDRESS, "isCIDR(self) || $mapped").value("self");

pub(super) fn readable(group: &VirtualIPGroup) -> Vec<Finding> {
    let addresses = group.spec.addresses.iter().enumerate();
    addresses
        .filter(|(_, address)| !is_readable(&address.address))
        .map(|(index, _)| about(group, index))
        .collect()
}

pub(super) const NOT_MULTICAST: Cel =
    Cel::new(ADDRESS, "!isCIDR(self) || !$multicast($address)").value("self");

pub(super) fn not_multicast(group: &VirtualIPGroup) -> Vec<Finding> {
    those(group, |network| network.addr().is_multicast())
}

pub(super) const NOT_LOOPBACK: Cel =
    Cel::new(ADDRESS, "!isCIDR(self) || !$address.isLoopback()").value("self");

pub(super) fn not_loopback(group: &VirtualIPGroup) -> Vec<Finding> {
    those(group, |network| network.addr().is_loopback())
}

pub(super) const NOT_UNSPECIFIED: Cel = Cel::new(ADDRESS, "!isCIDR(self) || !$unspecified").value("self");

pub(super) fn not_unspecified(group: &VirtualIPGroup) -> Vec<Finding> {
    those(group, |network| is_unspecified(network.addr()))
}

pub(super) const NOT_MAPPED: Cel = Cel::new(ADDRESS, "!$mapped").value("self");

pub(super) fn not_mapped(group: &VirtualIPGroup) -> Vec<Finding> {
    those(group, |network| is_mapped(network.addr()))
}

/// Host prefixes and those of two addresses have no address of the network.
pub(super) const NOT_NETWORK: Cel = Cel::new(
    ADDRESS,
    "!isCIDR(self) || cidr(self).prefixLength() + 1 >= ($address.family() == 4 ? 32 : 128) || $refused \
     || !(cidr(self) == cidr(self).masked())",
)
.value("self");

pub(super) fn not_network(group: &VirtualIPGroup) -> Vec<Finding> {
    // In IPv6 this is the subnet-router anycast address (RFC 4291 §2.6.1).
    those(group, |network| {
        has_network_address(network) && network.addr() == network.network() && !is_refused_anyway(network)
    })
}

/// Bit by bit: in each byte, what the prefix leaves to the host is all ones.
pub(super) const NOT_BROADCAST: Cel = Cel::new(
    ADDRESS,
    "!isCIDR(self) || $address.family() != 4 || string($address) != '255.255.255.255' \
     && (cidr(self).prefixLength() > 30 || $refused || ![0, 1, 2, 3].all(i, \
     (int(self.substring(0, self.indexOf('/')).split('.')[i]) + 1) % [1, 2, 4, 8, 16, 32, 64, 128, 256]\
     [[[8 * i + 8 - cidr(self).prefixLength(), 0].max(), 8].min()] == 0))",
)
.value("self");

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

pub(super) const ONCE: Cel = Cel::new(
    &["spec.addresses"],
    "!self.exists(i, a, isCIDR(a.address) && self.exists(j, b, j < i && isCIDR(b.address) \
     && cidr(b.address).ip() == cidr(a.address).ip()))",
)
.index(
    "self.transformList(i, a, isCIDR(a.address) && self.exists(j, b, j < i && isCIDR(b.address) \
     && cidr(b.address).ip() == cidr(a.address).ip()), i)[0]",
)
.value("self[$index].address");

pub(super) fn once(group: &VirtualIPGroup) -> Vec<Finding> {
    let all: Vec<_> = networks(&group.spec).collect();
    let repeated = all.iter().enumerate().filter_map(|(nth, (index, network))| {
        let mut earlier = all[..nth].iter();
        earlier
            .any(|(_, earlier)| earlier.addr() == network.addr())
            .then(|| about(group, *index))
    });
    repeated.collect()
}

pub(super) const LABEL: Cel = Cel::new(&["spec.addresses[].label"], "bytes(self).size() <= 15").value("self");

pub(super) fn label(group: &VirtualIPGroup) -> Vec<Finding> {
    let labels = group
        .spec
        .addresses
        .iter()
        .enumerate()
        .filter_map(|(index, a)| Some((index, a.label.as_ref()?)));
    labels
        .filter(|(_, label)| is_within_schema(label) && label.len() > NAME_BYTES)
        .map(|(index, label)| Finding::at(format!("spec.addresses[{index}].label")).value(label))
        .collect()
}

pub(super) const LABEL_FAMILY: Cel = Cel::new(
    &["spec.addresses[]"],
    "!has(self.label) || !isCIDR(self.address) || cidr(self.address).ip().family() == 4",
)
.field(".label")
.value("self.address");

pub(super) fn label_family(group: &VirtualIPGroup) -> Vec<Finding> {
    networks(&group.spec)
        .filter(|(index, network)| group.spec.addresses[*index].label.is_some() && network.addr().is_ipv6())
        .map(|(index, _)| Finding {
            path: format!("spec.addresses[{index}].label"),
            ..about(group, index)
        })
        .collect()
}

pub(super) const INTERFACE: Cel = Cel::new(
    &[
        "spec.interface",
        "spec.addresses[].interface",
        "spec.nodeOverrides[].interface",
        "spec.probes[].interface.name",
        "spec.probes[].route.interface",
        "spec.probes[].peer.interface",
    ],
    r"bytes(self).size() <= 15 && self != '.' && self != '..' && !self.matches('[/:\\s\\pZ\\p{Cc}]')",
)
.value("self");

pub(super) fn interface(group: &VirtualIPGroup) -> Vec<Finding> {
    let spec = &group.spec;
    let election = spec
        .interface
        .iter()
        .map(|name| ("spec.interface".to_owned(), name.as_str()));
    let addresses = spec.addresses.iter().enumerate().filter_map(|(index, address)| {
        Some((
            format!("spec.addresses[{index}].interface"),
            address.interface.as_deref()?,
        ))
    });
    let overrides = spec
        .node_overrides
        .iter()
        .enumerate()
        .filter_map(|(index, change)| {
            Some((
                format!("spec.nodeOverrides[{index}].interface"),
                change.interface.as_deref()?,
            ))
        });
    let watched = probes(group).flat_map(|(path, probe)| {
        let named = interfaces(probe).into_iter();
        named.map(move |(place, name)| (format!("{path}.{place}"), name))
    });
    let all = election.chain(addresses).chain(overrides).chain(watched);
    all.filter(|(_, name)| is_within_schema(name) && !is_interface_name(name))
        .map(|(path, name)| Finding::at(path).value(name))
        .collect()
}

/// What is wrong on every node. Where overrides name an interface, what the other nodes are told is the operator's to judge.
pub(super) const INTERFACE_OF_LINK_LOCAL: Cel = Cel::new(
    &["spec"],
    "has(self.interface) || has(self.nodeOverrides) && self.nodeOverrides.exists(o, has(o.interface)) \
     || !$link_local || $routable",
)
.field(".interface");

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

pub(super) const LINK_LOCAL: Cel =
    Cel::new(&["spec"], "!$ipv6 || $link_local || !$routable").field(".addresses");

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
        .map(|(index, _)| about(group, index))
        .collect()
}

fn about(group: &VirtualIPGroup, index: usize) -> Finding {
    Finding::at(format!("spec.addresses[{index}].address")).value(&group.spec.addresses[index].address)
}

/// Stricter than the library, which takes `010.0.0.1` for ten where others take it for eight.
pub(super) fn is_readable(written: &str) -> bool {
    let (Ok(network), Some((address, length))) = (written.parse::<IpNet>(), written.split_once('/')) else {
        return false;
    };
    address.parse::<IpAddr>().is_ok() && length == network.prefix_len().to_string()
}

/// Point-to-point prefixes (RFC 3021, RFC 6164) and host prefixes have no address that stands for the network.
fn has_network_address(network: IpNet) -> bool {
    network.prefix_len() + 1 < network.max_prefix_len()
}

fn is_refused_anyway(network: IpNet) -> bool {
    let address = network.addr();
    is_unspecified(address) || address.is_multicast() || address.is_loopback()
}

fn is_unspecified(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.octets()[0] == 0,
        IpAddr::V6(address) => address.is_unspecified(),
    }
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
