//! Who hears whom: the sets of nodes within which an election has to come to one result.

use crate::clock::Moment;
use crate::network::Network;
use crate::node::Node;

/// Nodes that hear exactly each other.
#[derive(Clone, Debug)]
pub struct Component {
    pub members: Vec<usize>,
    /// Since when none of them has been Active.
    pub none: Option<Moment>,
    /// Since when several of them have been Active.
    pub many: Option<Moment>,
}

/// The sets of awake nodes that hear all of their own and none of the others.
pub fn cliques(nodes: &[Node], network: &Network) -> Vec<Vec<usize>> {
    let awake: Vec<usize> = (0..nodes.len())
        .filter(|node| nodes[*node].awake().is_some() && nodes[*node].link_up)
        .collect();
    let heard_by = |node: usize| -> Vec<usize> {
        awake
            .iter()
            .copied()
            .filter(|other| network.reaches(node, *other))
            .collect()
    };
    let hears = |node: usize| -> Vec<usize> {
        awake
            .iter()
            .copied()
            .filter(|other| network.reaches(*other, node))
            .collect()
    };
    let mut cliques: Vec<Vec<usize>> = Vec::new();
    for node in awake.iter().copied() {
        let members = heard_by(node);
        let closed = members
            .iter()
            .all(|member| heard_by(*member) == members && hears(*member) == members);
        if closed && !cliques.contains(&members) {
            cliques.push(members);
        }
    }
    cliques
}
