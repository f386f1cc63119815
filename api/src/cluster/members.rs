//! Who is a member of a group: who is selected, and who was told of it and is not yet rid of it.

use std::collections::BTreeMap;

use super::{KubeNode, NodeRecord, Verdict, duty};
use crate::render::{NodeView, selects_labels, share_of};
use crate::v1alpha1::{NodeGroup, VirtualIPGroup};

/// A group as one of its nodes shares in it.
#[derive(Clone, Copy, Debug)]
pub struct Share<'a> {
    /// The group as stored.
    pub group: &'a VirtualIPGroup,
    /// Whether it is accepted.
    pub verdict: &'a Verdict,
    /// Its members, this node among them, in the order of their names.
    pub members: &'a [&'a NodeRecord],
    /// Whether its deletion is refused for now, as [`super::Withdrawal::Protected`] says.
    pub protected: bool,
}

/// Whether a node is a member of a group: selected, or told of it and not yet rid of it.
pub fn is_member(group: &VirtualIPGroup, node: &NodeRecord) -> bool {
    let name = group.metadata.name.as_deref().unwrap_or_default();
    node.stored(name).is_some()
        || node.reported(name).is_some()
        || group.metadata.deletion_timestamp.is_none() && is_selected(group, node)
}

/// Whether a node's Node object exists and is selected.
pub(super) fn is_selected(group: &VirtualIPGroup, node: &NodeRecord) -> bool {
    let selects = |kube: &KubeNode| selects_labels(group, &kube.labels);
    node.node.as_ref().is_some_and(selects)
}

/// Whether a node's Node object exists and is not selected. Of a Node that is gone nobody knows.
pub(super) fn is_deselected(group: &VirtualIPGroup, node: &NodeRecord) -> bool {
    node.node.is_some() && !is_selected(group, node)
}

/// The group as a file with the same text would mean it on this node: without peers that nobody has written.
pub(super) fn written_share(group: &VirtualIPGroup, node: &NodeRecord) -> Option<NodeGroup> {
    let view = |labels| NodeView {
        name: &node.name,
        labels,
    };
    if let Some(kube) = &node.node {
        let mut share = share_of(group, view(&kube.labels))?;
        share.duty = duty(&group.spec.maintenance, &node.name, kube);
        return Some(share);
    }
    // Which selectors match it nobody knows without its labels, and nobody says that work on it is over. A priority and a duty
    // that were told stay, so that nothing moves; where the rest differs from what was told, it is not told before its Node is
    // back.
    let mut share = share_of(group, view(&BTreeMap::new()))?;
    if let Some(stored) = node.stored(&share.name) {
        share.priority = stored.priority;
        share.duty.clone_from(&stored.duty);
    }
    Some(share)
}
