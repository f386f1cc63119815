//! Checks of two groups that the same node runs.

use core::net::IpAddr;

use ipnet::IpNet;

use super::Finding;
use crate::v1alpha1::{Family, NodeGroup};

pub(super) fn virtual_router_id(group: &NodeGroup, other: &NodeGroup) -> Vec<Finding> {
    let same = group.virtual_router_id == other.virtual_router_id
        && group.advertisement.family == other.advertisement.family
        && share_interface(group, other);
    let finding = Finding::at("spec.virtualRouterID")
        .value(group.virtual_router_id)
        .other(quoted(other));
    if same { vec![finding] } else { Vec::new() }
}

pub(super) fn addresses(group: &NodeGroup, other: &NodeGroup) -> Vec<Finding> {
    networks(group)
        .filter(|(_, network)| networks(other).any(|(_, theirs)| theirs.addr() == network.addr()))
        .map(|(index, network)| {
            Finding::at(format!("spec.addresses[{index}].address"))
                .value(network.addr())
                .other(quoted(other))
        })
        .collect()
}

pub(super) fn peers(group: &NodeGroup, other: &NodeGroup) -> Vec<Finding> {
    let written = group
        .peers
        .iter()
        .flat_map(|peer| &peer.addresses)
        .filter_map(|a| a.parse::<IpAddr>().ok());
    written
        .filter(|address| networks(other).any(|(_, network)| network.addr() == *address))
        // The node's own entry is gone from this list, so that an index would name another entry of the file.
        .map(|address| {
            Finding::at("spec.advertisement.peers")
                .value(address)
                .other(quoted(other))
        })
        .collect()
}

/// Whether both elections are certainly on one interface: by its name, or because both let the agent find it by subnets
/// of which two are the same.
fn share_interface(group: &NodeGroup, other: &NodeGroup) -> bool {
    match (&group.interface, &other.interface) {
        (Some(ours), Some(theirs)) => ours == theirs,
        (None, None) => {
            let family = group.advertisement.family;
            let ours = networks(group).filter(|(_, network)| Family::of(network.addr()) == family);
            ours.into_iter()
                .any(|(_, ours)| networks(other).any(|(_, theirs)| theirs.trunc() == ours.trunc()))
        }
        _ => false,
    }
}

fn quoted(group: &NodeGroup) -> String {
    format!("`{}`", group.name)
}

fn networks(group: &NodeGroup) -> impl Iterator<Item = (usize, IpNet)> + '_ {
    group
        .addresses
        .iter()
        .enumerate()
        .filter_map(|(index, address)| Some((index, address.address.parse().ok()?)))
}
