//! The objects of a large cluster. Each group has a network and nodes of its own, so that its members find each other by
//! their Nodes' addresses, as they do before any agent has said a word.

use holdfast_api::v1alpha1::{VirtualIPGroup, VirtualIPNode};
use k8s_openapi::api::core::v1::Node;
use serde_json::{Value, json};

use super::Size;

const LABEL: &str = "bench.example.com/group";

/// The name of a node.
pub fn node_name(index: usize) -> String {
    format!("node-{index}")
}

/// A Node with the label of its group and an address in its group's network.
pub fn node(index: usize, size: Size) -> Node {
    let (group, nth) = (index / size.members, index % size.members);
    read(json!({
        "metadata": {"name": node_name(index), "labels": {LABEL: group.to_string()}},
        "status": {"addresses": [
            {"type": "InternalIP", "address": address(group, nth + 1)},
            {"type": "Hostname", "address": node_name(index)},
        ]},
    }))
}

/// A group of the nodes that have its label.
pub fn group(index: usize) -> VirtualIPGroup {
    read(json!({
        "apiVersion": "vip.holdfast.dev/v1alpha1",
        "kind": "VirtualIPGroup",
        "metadata": {"name": format!("group-{index}")},
        "spec": {
            "addresses": [{"address": format!("{}/24", address(index, 100))}],
            // There are not enough identifiers for all; on networks of their own, groups may share one.
            "virtualRouterID": index % 255 + 1,
            "nodeSelector": {"matchLabels": {LABEL: index.to_string()}},
        },
    }))
}

/// What node 0's agent reports when it takes part in its group from an address that its Node does not have.
pub fn report_of_node_0(observed: &VirtualIPNode) -> Value {
    let groups = observed.spec.groups.iter().map(|group| {
        json!({
            "name": group.name,
            "appliedGeneration": group.generation,
            "state": "Backup",
            "sourceAddress": address(0, 50),
        })
    });
    json!({
        "apiVersion": "vip.holdfast.dev/v1alpha1",
        "kind": "VirtualIPNode",
        "status": {
            "observedGeneration": observed.metadata.generation,
            "groups": groups.collect::<Vec<_>>(),
        },
    })
}

fn address(group: usize, host: usize) -> String {
    format!("10.{}.{}.{host}", group / 250, group % 250)
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
    #[allow(clippy::expect_used, reason = "what is read is written above")]
    serde_json::from_value(value).expect("the objects above are valid")
}
