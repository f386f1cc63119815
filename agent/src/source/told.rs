//! What a `VirtualIPNode` says, read entry by entry: an entry that this agent cannot read costs that group and no other.

use std::collections::BTreeMap;

use holdfast_api::v1alpha1::NodeGroup;
use serde::Deserialize;
use serde_json::Value;

/// The features that an operator may require of an agent (`spec.requiredFeatures`).
pub const FEATURES: [&str; 0] = [];

/// What this node is told.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Told {
    /// The cluster that says it.
    pub cluster_uid: Option<String>,
    /// The generation of the object.
    pub generation: i64,
    /// What is required and this agent does not know.
    pub unknown_features: Vec<String>,
    /// The entries, by group.
    pub groups: BTreeMap<String, Entry>,
}

/// What is said about one group.
#[derive(Clone, PartialEq, Debug)]
pub enum Entry {
    /// Run it.
    Run(Box<NodeGroup>),
    /// Hand it over and forget it.
    Withdraw,
    /// Something that this agent cannot read; a sentence.
    Unreadable(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    #[serde(rename = "clusterUID", default)]
    cluster_uid: Option<String>,
    #[serde(default)]
    groups: Vec<Value>,
    #[serde(default)]
    required_features: Vec<String>,
}

impl Told {
    /// Reads the `spec` of an object of this generation, or says why it has not the shape of one.
    pub fn read(spec: Value, generation: i64) -> Result<Self, String> {
        let spec: Spec = serde_json::from_value(spec).map_err(|error| error.to_string())?;
        let unknown = |feature: &String| !FEATURES.contains(&feature.as_str());
        Ok(Self {
            cluster_uid: spec.cluster_uid,
            generation,
            unknown_features: spec.required_features.into_iter().filter(unknown).collect(),
            groups: entries(spec.groups),
        })
    }

    /// The groups that are to run, as far as they can be read.
    pub fn runs(&self) -> impl Iterator<Item = &NodeGroup> {
        self.groups.values().filter_map(|entry| match entry {
            Entry::Run(group) => Some(&**group),
            Entry::Withdraw | Entry::Unreadable(_) => None,
        })
    }
}

/// Reads entries, by the name of their group. One without a name is about nobody.
pub fn entries(groups: Vec<Value>) -> BTreeMap<String, Entry> {
    groups
        .into_iter()
        .filter_map(|value| Some((value.get("name")?.as_str()?.to_owned(), entry(value))))
        .collect()
}

fn entry(value: Value) -> Entry {
    // A tombstone counts whatever else the entry says.
    if value.get("deleted") == Some(&Value::Bool(true)) {
        return Entry::Withdraw;
    }
    match serde_json::from_value(value) {
        Ok(group) => Entry::Run(Box::new(group)),
        Err(error) => Entry::Unreadable(format!(
            "this agent does not understand it ({error}): use an agent of the operator's version"
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn group(name: &str) -> Value {
        json!({
            "name": name,
            "virtualRouterID": 7,
            "addresses": [{ "address": "10.0.0.7/24" }],
            "priority": 100,
            "advertisement": { "version": 3, "interval": "1s", "family": "IPv4", "mode": "Unicast" },
            "mayBecomeActive": true,
        })
    }

    #[test]
    fn one_entry_of_a_newer_version_costs_that_group_alone() {
        let mut newer = group("newer");
        newer["advertisement"]["mode"] = json!("Telepathy");
        let told = Told::read(json!({ "clusterUID": "c", "groups": [group("a"), newer] }), 4).unwrap();
        assert!(matches!(told.groups["a"], Entry::Run(_)));
        let Entry::Unreadable(sentence) = &told.groups["newer"] else {
            panic!("{told:?}")
        };
        assert!(sentence.contains("Telepathy"), "{sentence}");
        assert_eq!((told.generation, told.cluster_uid.as_deref()), (4, Some("c")));
    }

    #[test]
    fn a_tombstone_counts_whatever_else_its_entry_says() {
        let told = Told::read(
            json!({ "groups": [{ "name": "a", "deleted": true, "priority": "?" }] }),
            1,
        );
        assert_eq!(told.unwrap().groups["a"], Entry::Withdraw);
    }

    #[test]
    fn a_required_feature_is_unknown_until_this_agent_has_it() {
        let told = Told::read(json!({ "requiredFeatures": ["Levitation"] }), 1).unwrap();
        assert_eq!(told.unknown_features, ["Levitation"]);
    }

    #[test]
    fn a_spec_of_another_shape_is_no_instruction() {
        assert!(Told::read(json!({ "groups": "none" }), 1).is_err());
        assert!(Told::read(Value::Null, 1).is_err());
        assert_eq!(Told::read(json!({}), 1).unwrap().groups.len(), 0);
    }
}
