//! What a group means for one node: selection, overrides, peers. Pure, and the same for groups from files and from the API.

pub(crate) mod checks;
mod model;
mod probes;
mod secrets;
#[cfg(test)]
mod tests;

pub use model::{ModelError, model_group, model_node};
pub(crate) use probes::SHORTEST_PERIOD;
pub use secrets::{SecretPart, SecretSource, Secrets, named_secrets};

use core::net::IpAddr;
use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt};

use crate::rules::election_family;
use crate::v1alpha1::{
    Advertisement, Family, Mode, NodeAdvertisement, NodeDuty, NodeGroup, NodeOverride, NodePreference, Peer,
    VirtualIPGroup, VirtualIPNodeSpec, defaults,
};

/// What rendering has to know of a node.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NodeFacts {
    /// The node's name, which `nodeOverrides` and peers use.
    pub name: String,
    /// The node's labels, which selectors match.
    pub labels: BTreeMap<String, String>,
}

/// The same, borrowed: a cluster renders one group for many nodes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeView<'a> {
    pub name: &'a str,
    pub labels: &'a BTreeMap<String, String>,
}

impl NodeFacts {
    fn view(&self) -> NodeView<'_> {
        NodeView {
            name: &self.name,
            labels: &self.labels,
        }
    }
}

/// What a node is to do about `groups`, in the order of their names.
///
/// Groups that do not select the node are left out, and so are those without a virtual router identifier or a readable
/// address, which the rules refuse.
pub fn node_spec<'a>(
    groups: impl IntoIterator<Item = &'a VirtualIPGroup>,
    facts: &NodeFacts,
) -> VirtualIPNodeSpec {
    let mut groups: Vec<NodeGroup> = groups
        .into_iter()
        .filter(|group| selects(group, facts))
        .filter_map(|group| node_group(group, facts))
        .collect();
    groups.sort_by(|a, b| a.name.cmp(&b.name));
    VirtualIPNodeSpec {
        groups,
        ..VirtualIPNodeSpec::default()
    }
}

/// Whether a group's selector matches the node.
pub fn selects(group: &VirtualIPGroup, facts: &NodeFacts) -> bool {
    selects_labels(group, &facts.labels)
}

/// Whether a group's selector matches a node with these labels.
pub(crate) fn selects_labels(group: &VirtualIPGroup, labels: &BTreeMap<String, String>) -> bool {
    let selector = group.spec.node_selector.as_ref();
    selector.is_none_or(|selector| matches(selector, labels))
}

/// A group as this node sees it; `None` without a virtual router identifier or a readable address.
pub fn node_group(group: &VirtualIPGroup, facts: &NodeFacts) -> Option<NodeGroup> {
    share_of(group, facts.view())
}

/// The same for a borrowed node.
pub(crate) fn share_of(group: &VirtualIPGroup, facts: NodeView<'_>) -> Option<NodeGroup> {
    let spec = &group.spec;
    let family = election_family(spec)?;
    let change = spec.node_overrides.iter().find(|change| applies(change, facts));
    let source_addresses = source_addresses(&spec.advertisement, change, family, facts);
    Some(NodeGroup {
        name: group.metadata.name.clone()?,
        uid: group.metadata.uid.clone(),
        generation: group.metadata.generation.unwrap_or(0),
        virtual_router_id: spec.virtual_router_id?,
        interface: change
            .and_then(|change| change.interface.clone())
            .or_else(|| spec.interface.clone()),
        peers: other_members(&spec.advertisement, &source_addresses, facts),
        source_addresses,
        addresses: spec.addresses.clone(),
        priority: change.and_then(|change| change.priority).unwrap_or(spec.priority),
        advertisement: node_advertisement(&spec.advertisement, family),
        preemption: spec.preemption,
        authentication: spec.authentication.clone(),
        announcement: spec.announcement,
        startup_delay: spec.startup_delay,
        probes: spec.probes.clone(),
        flap_damping: spec.flap_damping,
        sync_group: spec.sync_group.clone(),
        preferred: preference(group, facts),
        duty: NodeDuty::default(),
        may_become_active: true,
        deleted: false,
    })
}

/// Whether the group is to be on this node by somebody's wish.
fn preference(group: &VirtualIPGroup, facts: NodeView<'_>) -> Option<NodePreference> {
    let placement = group.spec.placement.as_ref()?;
    (placement.preferred_node == facts.name).then(|| NodePreference {
        until: placement.until.clone(),
    })
}

fn applies(change: &NodeOverride, facts: NodeView<'_>) -> bool {
    let selected = |selector| matches(selector, facts.labels);
    change.nodes.iter().any(|name| name == facts.name) || change.selector.as_ref().is_some_and(selected)
}

fn matches(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    // A selector that cannot be read is refused by the rules; until then it selects nobody.
    Selector::try_from(selector.clone()).is_ok_and(|selector| selector.matches(labels))
}

/// The node's own entry among the peers says from where it takes part, unless an override says it.
fn source_addresses(
    advertisement: &Advertisement,
    change: Option<&NodeOverride>,
    family: Family,
    facts: NodeView<'_>,
) -> Vec<String> {
    let own = advertisement
        .peers
        .iter()
        .filter(|peer| peer.name == facts.name)
        .flat_map(|peer| &peer.addresses);
    let family_of = |address: &str| address.parse::<IpAddr>().ok().map(Family::of);
    match change.and_then(|change| change.source_address.as_ref()) {
        Some(source) => core::iter::once(source)
            .chain(own.filter(|address| family_of(address) != Some(family)))
            .cloned()
            .collect(),
        None => own.cloned().collect(),
    }
}

fn other_members(advertisement: &Advertisement, own: &[String], facts: NodeView<'_>) -> Vec<Peer> {
    let parsed = |address: &String| address.parse::<IpAddr>().ok();
    let own: Vec<IpAddr> = own.iter().filter_map(parsed).collect();
    let is_this_node = |peer: &Peer| {
        // Somebody who lists this node under another name would have it talk to itself.
        peer.name == facts.name
            || peer
                .addresses
                .iter()
                .filter_map(parsed)
                .any(|address| own.contains(&address))
    };
    advertisement
        .peers
        .iter()
        .filter(|peer| !is_this_node(peer))
        .cloned()
        .collect()
}

fn node_advertisement(advertisement: &Advertisement, family: Family) -> NodeAdvertisement {
    let multicast_group = (advertisement.mode == Mode::Multicast).then(|| {
        let usual = match family {
            Family::IPv4 => defaults::MULTICAST_GROUP_V4.to_string(),
            Family::IPv6 => defaults::MULTICAST_GROUP_V6.to_string(),
        };
        advertisement.multicast_group.clone().unwrap_or(usual)
    });
    NodeAdvertisement {
        version: advertisement.version,
        interval: advertisement.interval,
        family,
        mode: advertisement.mode,
        multicast_group,
        checksum: advertisement.checksum,
    }
}
