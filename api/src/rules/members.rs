//! Checks of who takes part: selectors, overrides, peers.

use core::net::IpAddr;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::Selector;

use super::cel::Cel;
use super::{Finding, election_family, is_usable, is_virtual};
use crate::v1alpha1::{Family, Mode, NodeGroup, VirtualIPGroup};

pub(super) const SELECTORS: Cel = Cel::new(
    &["spec.nodeSelector", "spec.nodeOverrides[].selector"],
    "!has(self.matchExpressions) || self.matchExpressions.all(e, e.operator in ['In', 'NotIn'] \
     && has(e.values) && e.values.size() > 0 || e.operator in ['Exists', 'DoesNotExist'] \
     && (!has(e.values) || e.values.size() == 0))",
)
.index(
    "self.matchExpressions.transformList(i, e, !(e.operator in ['In', 'NotIn'] \
     && has(e.values) && e.values.size() > 0 || e.operator in ['Exists', 'DoesNotExist'] \
     && (!has(e.values) || e.values.size() == 0)), i)[0]",
)
.other(
    "'`' + self.matchExpressions[$index].operator + '` on `' + self.matchExpressions[$index].key \
     + (self.matchExpressions[$index].operator in ['In', 'NotIn'] ? '` needs `values`' \
     : self.matchExpressions[$index].operator in ['Exists', 'DoesNotExist'] \
     ? '` takes no `values`: remove them' : '` does not exist: write In, NotIn, Exists or DoesNotExist')",
);

pub(super) fn selectors(group: &VirtualIPGroup) -> Vec<Finding> {
    let spec = &group.spec;
    let own = spec
        .node_selector
        .iter()
        .map(|selector| ("spec.nodeSelector".to_owned(), selector));
    let overrides = spec
        .node_overrides
        .iter()
        .enumerate()
        .filter_map(|(index, change)| {
            Some((
                format!("spec.nodeOverrides[{index}].selector"),
                change.selector.as_ref()?,
            ))
        });
    own.chain(overrides)
        .filter_map(|(path, selector)| Some(Finding::at(path).other(selector_error(selector)?)))
        .collect()
}

pub(super) const OVERRIDE_NODES: Cel = Cel::new(
    &["spec.nodeOverrides[]"],
    "(has(self.nodes) && self.nodes.size() > 0) != has(self.selector)",
)
.value("(has(self.selector) ? 'both' : 'neither')");

pub(super) fn override_nodes(group: &VirtualIPGroup) -> Vec<Finding> {
    let overrides = group.spec.node_overrides.iter().enumerate();
    let wrong = overrides.filter_map(|(index, change)| {
        let said = match (change.nodes.is_empty(), &change.selector) {
            (true, None) => "neither",
            (false, Some(_)) => "both",
            _ => return None,
        };
        Some(Finding::at(format!("spec.nodeOverrides[{index}]")).value(said))
    });
    wrong.collect()
}

pub(super) const OVERRIDE_CHANGES: Cel = Cel::new(
    &["spec.nodeOverrides[]"],
    "has(self.priority) || has(self.interface) || has(self.sourceAddress)",
);

pub(super) fn override_changes(group: &VirtualIPGroup) -> Vec<Finding> {
    let overrides = group.spec.node_overrides.iter().enumerate();
    overrides
        .filter(|(_, change)| {
            change.priority.is_none() && change.interface.is_none() && change.source_address.is_none()
        })
        .map(|(index, _)| Finding::at(format!("spec.nodeOverrides[{index}]")))
        .collect()
}

/// An entry of `nodeOverrides` does not see the election's family, so the spec looks at all of them.
pub(super) const SOURCE_ADDRESS: Cel = Cel::new(
    &["spec"],
    "!has(self.nodeOverrides) || !$ipv4 && !$ipv6 || self.nodeOverrides.all(o, !has(o.sourceAddress) \
     || $usable(o.sourceAddress) && ip(o.sourceAddress).family() == ($ipv4 ? 4 : 6))",
)
.field(".nodeOverrides")
.index(
    "self.nodeOverrides.transformList(i, o, has(o.sourceAddress) && !($usable(o.sourceAddress) \
     && ip(o.sourceAddress).family() == ($ipv4 ? 4 : 6)), i)[0]",
)
.value("self.nodeOverrides[$index].sourceAddress")
.other("$family");

pub(super) fn source_address(group: &VirtualIPGroup) -> Vec<Finding> {
    let Some(family) = election_family(&group.spec) else {
        return Vec::new();
    };
    let usable = |written: &str| {
        written
            .parse()
            .is_ok_and(|address: IpAddr| Family::of(address) == family && is_usable(address))
    };
    sources(group)
        .filter(|(_, written)| !usable(written))
        .map(|(path, written)| Finding::at(path).value(written).other(family))
        .collect()
}

pub(super) const SOURCE_NOT_VIRTUAL: Cel = Cel::new(
    &["spec"],
    "!has(self.nodeOverrides) || !self.nodeOverrides.exists(o, has(o.sourceAddress) && $virtual(o.sourceAddress))",
)
.field(".nodeOverrides")
.index("self.nodeOverrides.transformList(i, o, has(o.sourceAddress) && $virtual(o.sourceAddress), i)[0]")
.value("self.nodeOverrides[$index].sourceAddress");

pub(super) fn source_not_virtual(group: &VirtualIPGroup) -> Vec<Finding> {
    sources(group)
        .filter(|(_, written)| {
            written
                .parse()
                .is_ok_and(|address| is_virtual(&group.spec, address))
        })
        .map(|(path, written)| Finding::at(path).value(written))
        .collect()
}

pub(super) const PEERS_MODE: Cel = Cel::new(
    &["spec.advertisement"],
    "self.mode != 'Multicast' || !has(self.peers) || self.peers.size() == 0",
)
.field(".peers");

pub(super) fn peers_mode(group: &VirtualIPGroup) -> Vec<Finding> {
    let advertisement = &group.spec.advertisement;
    if advertisement.mode == Mode::Multicast && !advertisement.peers.is_empty() {
        vec![Finding::at("spec.advertisement.peers")]
    } else {
        Vec::new()
    }
}

pub(super) fn peers(group: &VirtualIPGroup) -> Vec<Finding> {
    let advertisement = &group.spec.advertisement;
    if advertisement.mode == Mode::Unicast && advertisement.peers.is_empty() {
        vec![Finding::at("spec.advertisement.peers")]
    } else {
        Vec::new()
    }
}

pub(super) fn peers_others(group: &NodeGroup) -> Vec<Finding> {
    if group.advertisement.mode == Mode::Unicast && group.peers.is_empty() {
        vec![Finding::at("spec.advertisement.peers")]
    } else {
        Vec::new()
    }
}

/// The schema says it too, but not what to do.
pub(super) const PEER_NAME_ONCE: Cel = Cel::new(
    &["spec.advertisement.peers"],
    "!self.exists(i, p, self.exists(j, q, j < i && q.name == p.name))",
)
.index("self.transformList(i, p, self.exists(j, q, j < i && q.name == p.name), i)[0]")
.value("self[$index].name");

pub(super) fn peer_name_once(group: &VirtualIPGroup) -> Vec<Finding> {
    let peers = &group.spec.advertisement.peers;
    let repeated = peers
        .iter()
        .enumerate()
        .filter(|(nth, peer)| peers[..*nth].iter().any(|p| p.name == peer.name));
    repeated
        .map(|(index, peer)| Finding::at(format!("spec.advertisement.peers[{index}].name")).value(&peer.name))
        .collect()
}

pub(super) const PEER_ADDRESS: Cel =
    Cel::new(&["spec.advertisement.peers[].addresses[]"], "$usable(self)").value("self");

pub(super) fn peer_address(group: &VirtualIPGroup) -> Vec<Finding> {
    let written = group
        .spec
        .advertisement
        .peers
        .iter()
        .enumerate()
        .flat_map(|(peer, entry)| {
            entry
                .addresses
                .iter()
                .enumerate()
                .map(move |(index, written)| (place(peer, index), written))
        });
    written
        .filter(|(_, written)| !written.parse().is_ok_and(is_usable))
        .map(|(path, written)| Finding::at(path).value(written))
        .collect()
}

pub(super) const PEER_FAMILY: Cel = Cel::new(
    &["spec"],
    "!has(self.advertisement.peers) || !$ipv4 && !$ipv6 || !self.advertisement.peers.exists(p, \
     p.addresses.all(s, isIP(s) && ip(s).family() != ($ipv4 ? 4 : 6)))",
)
.field(".advertisement.peers")
.other("$family");

pub(super) fn peer_family(group: &VirtualIPGroup) -> Vec<Finding> {
    let Some(family) = election_family(&group.spec) else {
        return Vec::new();
    };
    let peers = group.spec.advertisement.peers.iter().enumerate();
    peers
        // An address that cannot be read may have been meant to be the one.
        .filter(|(_, peer)| {
            peer.addresses
                .iter()
                .all(|a| a.parse().is_ok_and(|a| Family::of(a) != family))
        })
        .map(|(index, _)| Finding::at(format!("spec.advertisement.peers[{index}].addresses")).other(family))
        .collect()
}

pub(super) const PEER_ONE_EACH: Cel = Cel::new(
    &["spec.advertisement.peers[].addresses"],
    "self.size() < 2 || !isIP(self[0]) || !isIP(self[1]) || ip(self[0]).family() != ip(self[1]).family()",
)
.other("(ip(self[0]).family() == 4 ? 'IPv4' : 'IPv6')");

pub(super) fn peer_one_each(group: &VirtualIPGroup) -> Vec<Finding> {
    let peers = group.spec.advertisement.peers.iter().enumerate();
    let twice = peers.filter_map(|(index, peer)| {
        let families: Vec<Family> = peer
            .addresses
            .iter()
            .filter_map(|a| Some(Family::of(a.parse().ok()?)))
            .collect();
        let family = [Family::IPv4, Family::IPv6]
            .into_iter()
            .find(|family| families.iter().filter(|f| *f == family).count() > 1)?;
        Some(Finding::at(format!("spec.advertisement.peers[{index}].addresses")).other(family))
    });
    twice.collect()
}

/// What is found is the address and the name of the peer that has it already.
pub(super) const PEER_ADDRESS_ONCE: Cel = Cel::new(
    &["spec.advertisement.peers"],
    "!self.exists(i, p, self.exists(j, q, j < i && q.name != p.name && p.addresses.exists(s, isIP(s) \
     && q.addresses.exists(t, isIP(t) && ip(t) == ip(s)))))",
)
.index(
    "self.transformList(i, p, self.exists(j, q, j < i && q.name != p.name && p.addresses.exists(s, isIP(s) \
     && q.addresses.exists(t, isIP(t) && ip(t) == ip(s)))), i)[0]",
)
.value("self[$index].name");

pub(super) fn peer_address_once(group: &VirtualIPGroup) -> Vec<Finding> {
    let all: Vec<_> = peer_addresses(group).collect();
    let repeated = all.iter().enumerate().filter(|(nth, (_, peer, address))| {
        let mut earlier = all[..*nth].iter();
        earlier.any(|(_, name, other)| other == address && name != peer)
    });
    repeated
        .map(|(_, (path, peer, _))| Finding::at(path).value(peer))
        .collect()
}

pub(super) const PEER_NOT_VIRTUAL: Cel = Cel::new(
    &["spec"],
    "!has(self.advertisement.peers) || !self.advertisement.peers.exists(p, p.addresses.exists(s, $virtual(s)))",
)
.field(".advertisement.peers")
.index("self.advertisement.peers.transformList(i, p, p.addresses.exists(s, $virtual(s)), i)[0]")
.value("self.advertisement.peers[$index].name");

pub(super) fn peer_not_virtual(group: &VirtualIPGroup) -> Vec<Finding> {
    peer_addresses(group)
        .filter(|(_, _, address)| is_virtual(&group.spec, *address))
        .map(|(path, peer, _)| Finding::at(path).value(peer))
        .collect()
}

/// The peers' addresses that can be read, each with its path and its peer's name.
fn peer_addresses(group: &VirtualIPGroup) -> impl Iterator<Item = (String, &str, IpAddr)> {
    group
        .spec
        .advertisement
        .peers
        .iter()
        .enumerate()
        .flat_map(|(peer, entry)| {
            let addresses = entry.addresses.iter().enumerate();
            addresses.filter_map(move |(index, written)| {
                Some((place(peer, index), &*entry.name, written.parse().ok()?))
            })
        })
}

fn sources(group: &VirtualIPGroup) -> impl Iterator<Item = (String, &str)> {
    group
        .spec
        .node_overrides
        .iter()
        .enumerate()
        .filter_map(|(index, change)| {
            Some((
                format!("spec.nodeOverrides[{index}].sourceAddress"),
                change.source_address.as_deref()?,
            ))
        })
}

fn place(peer: usize, address: usize) -> String {
    format!("spec.advertisement.peers[{peer}].addresses[{address}]")
}

fn selector_error(selector: &LabelSelector) -> Option<String> {
    let named = selector
        .match_expressions
        .iter()
        .flatten()
        .find_map(|expression| {
            let values = expression
                .values
                .as_ref()
                .is_some_and(|values| !values.is_empty());
            let (key, operator) = (&expression.key, &*expression.operator);
            match (operator, values) {
                ("In" | "NotIn", true) | ("Exists" | "DoesNotExist", false) => None,
                ("In" | "NotIn", false) => Some(format!("`{operator}` on `{key}` needs `values`")),
                ("Exists" | "DoesNotExist", true) => {
                    Some(format!("`{operator}` on `{key}` takes no `values`: remove them"))
                }
                _ => Some(format!(
                    "`{operator}` on `{key}` does not exist: write In, NotIn, Exists or DoesNotExist"
                )),
            }
        });
    named.or_else(|| {
        Selector::try_from(selector.clone())
            .err()
            .map(|error| error.to_string())
    })
}
