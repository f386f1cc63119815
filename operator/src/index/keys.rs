//! What is found by what it may share with others: addresses of groups and Nodes, sync groups.

use core::net::IpAddr;

use holdfast_api::cluster::KubeNode;
use holdfast_api::v1alpha1::VirtualIPGroup;
use kube::ResourceExt as _;

use super::Index;

impl Index {
    /// A Node tells other addresses than before; `None`: there is no such Node.
    pub(super) fn move_node(&mut self, name: &str, old: Option<&KubeNode>, new: Option<&KubeNode>) {
        let addresses = |node: Option<&KubeNode>| -> Vec<IpAddr> {
            node.into_iter().flat_map(KubeNode::addresses).collect()
        };
        let (old, new) = (addresses(old), addresses(new));
        for address in &old {
            if let Some(nodes) = self.node_addresses.get_mut(address) {
                nodes.remove(name);
                if nodes.is_empty() {
                    self.node_addresses.remove(address);
                }
            }
        }
        for address in &new {
            let nodes = self.node_addresses.entry(*address).or_default();
            nodes.insert(name.to_owned());
        }
        // Which Nodes say that an address of a group is theirs decides how the group is judged.
        for address in old.iter().chain(&new) {
            let groups = self.virtual_addresses.get(address).cloned().unwrap_or_default();
            self.unjudged.extend(groups);
        }
        // Peers that have not yet said from where they take part are listed with these.
        for group in self.memberships.get(name).cloned().unwrap_or_default() {
            self.touch_members(&group);
        }
    }

    /// Makes a group found by what it may share with others: its addresses, its sync group.
    pub(super) fn remember_keys(&mut self, group: &VirtualIPGroup) {
        if let Some(sync_group) = &group.spec.sync_group {
            let fellows = self.sync_groups.entry(sync_group.clone()).or_default();
            fellows.insert(group.name_any());
        }
        for address in virtual_addresses(group) {
            let groups = self.virtual_addresses.entry(address).or_default();
            groups.insert(group.name_any());
            self.touch_node_with(address);
        }
    }

    pub(super) fn forget_keys(&mut self, group: &VirtualIPGroup) {
        if let Some(sync_group) = &group.spec.sync_group
            && let Some(fellows) = self.sync_groups.get_mut(sync_group)
        {
            fellows.remove(&group.name_any());
            if fellows.is_empty() {
                self.sync_groups.remove(sync_group);
            }
        }
        for address in virtual_addresses(group) {
            if let Some(groups) = self.virtual_addresses.get_mut(&address) {
                groups.remove(&group.name_any());
                if groups.is_empty() {
                    self.virtual_addresses.remove(&address);
                }
            }
            self.touch_node_with(address);
        }
    }

    /// A Node's address that is somebody's virtual address is no peer's: where that changes, its fellow members hear
    /// of it. Nor is it advised as the Node's own to whoever has another virtual address that the Node reports.
    fn touch_node_with(&mut self, address: IpAddr) {
        for node in self.node_addresses.get(&address).cloned().unwrap_or_default() {
            let told = self.nodes.get(&node).and_then(|entry| entry.record.node.as_ref());
            let others = told.into_iter().flat_map(KubeNode::addresses);
            let reported = others.filter_map(|other| self.virtual_addresses.get(&other));
            self.unjudged.extend(reported.flatten().cloned());
            for group in self.memberships.get(&node).cloned().unwrap_or_default() {
                self.touch_members(&group);
            }
        }
    }
}

/// The addresses of a group. One that is none is refused elsewhere.
pub fn virtual_addresses(group: &VirtualIPGroup) -> Vec<IpAddr> {
    let bare = |written: &str| written.split('/').next().and_then(|bare| bare.parse().ok());
    let addresses = &group.spec.addresses;
    addresses
        .iter()
        .filter_map(|address| bare(&address.address))
        .collect()
}
