//! The same text from a file and from the API gives a node the same entry.

use std::path::Path;

use super::fixtures::{Cluster, address};
use crate::render::{NodeFacts, node_group};
use crate::v1alpha1::{NodeGroup, VirtualIPGroup};
use crate::yaml;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");

fn examples() -> Vec<(String, VirtualIPGroup)> {
    let mut groups = Vec::new();
    for entry in std::fs::read_dir(EXAMPLES).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let file = Path::file_name(&path).unwrap().display().to_string();
        for document in yaml::read(&text).unwrap() {
            groups.push((file.clone(), serde_json::from_value(document.value).unwrap()));
        }
    }
    groups
}

#[test]
fn each_example_gives_each_node_the_same_entry_from_a_file_and_from_the_api() {
    let examples = examples();
    assert!(examples.len() >= 7);
    for (file, group) in examples {
        let listed: Vec<&str> = group
            .spec
            .advertisement
            .peers
            .iter()
            .map(|peer| &*peer.name)
            .collect();
        let names = if listed.is_empty() {
            vec!["alpha", "beta"]
        } else {
            listed.clone()
        };
        let selector = group.spec.node_selector.clone().unwrap_or_default();
        let mut stored = group.clone();
        stored.metadata.uid = Some("uid".into());
        stored.metadata.generation = Some(1);
        let mut cluster = Cluster::new(stored, &names);
        for node in &mut cluster.nodes {
            node.node.as_mut().unwrap().labels = selector.match_labels.clone().unwrap_or_default();
        }
        cluster.settle();
        let from_api = |name: &str| {
            let told = cluster.spec(name).groups.into_iter().next();
            told.unwrap_or_else(|| panic!("{file}: {name} is told nothing"))
        };
        for name in &names {
            let facts = NodeFacts {
                name: (*name).to_owned(),
                labels: selector.match_labels.clone().unwrap_or_default(),
            };
            // A file has no UID and no generation, and that is all.
            let from_file = NodeGroup {
                uid: Some("uid".into()),
                generation: 1,
                ..node_group(&group, &facts).unwrap()
            };
            assert_eq!(from_api(name), from_file, "{file} on {name}");
        }
    }
}

#[test]
fn a_unicast_group_without_peers_gives_what_a_file_with_the_members_as_peers_gives() {
    let mut group = super::fixtures::group(&serde_json::json!({}));
    let cluster = Cluster::settled(group.clone(), &["a", "b", "c"]);
    let peer = |name: &str| {
        serde_json::from_value(serde_json::json!({ "name": name, "addresses": [address(name)] })).unwrap()
    };
    group.spec.advertisement.peers = ["b", "c"].map(peer).into();
    let facts = NodeFacts {
        name: "a".into(),
        labels: [("edge".to_owned(), String::new())].into(),
    };
    assert_eq!(cluster.told("a"), node_group(&group, &facts));
}
