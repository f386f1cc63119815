//! Checks of who takes part: selectors, overrides, peers.

use core::net::IpAddr;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::Selector;

use super::{Finding, election_family, is_usable, is_virtual};
use crate::v1alpha1::{Family, Mode, NodeGroup, VirtualIPGroup};

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

pub(super) fn override_changes(group: &VirtualIPGroup) -> Vec<Finding> {
    let overrides = group.spec.node_overrides.iter().enumerate();
    overrides
        .filter(|(_, change)| {
            change.priority.is_none() && change.interface.is_none() && change.source_address.is_none()
        })
        .map(|(index, _)| Finding::at(format!("spec.nodeOverrides[{index}]")))
        .collect()
}

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

pub(super) fn source_not_virtual(group: &VirtualIPGroup) -> Vec<Finding> {
    sources(group)
        .filter_map(|(path, written)| Some((path, written.parse().ok()?)))
        .filter(|(_, address)| is_virtual(&group.spec, *address))
        .map(|(path, address)| Finding::at(path).value(address))
        .collect()
}

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

pub(super) fn peer_address_once(group: &VirtualIPGroup) -> Vec<Finding> {
    let all: Vec<_> = peer_addresses(group).collect();
    let repeated = all.iter().enumerate().filter_map(|(nth, (path, peer, address))| {
        let (_, first, _) = all[..nth]
            .iter()
            .find(|(_, name, other)| other == address && name != peer)?;
        Some(Finding::at(path).value(address).other(first))
    });
    repeated.collect()
}

pub(super) fn peer_not_virtual(group: &VirtualIPGroup) -> Vec<Finding> {
    peer_addresses(group)
        .filter(|(_, _, address)| is_virtual(&group.spec, *address))
        .map(|(path, _, address)| Finding::at(path).value(address))
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
