//! What is acknowledged to the API server: what is in force, and nothing that a restart without the API would undo.
//!
//! A tombstone is acknowledged when the engine has let go of the group and the disk has forgotten it: an agent that
//! restarts must not bring back what everybody else believes to be gone. Pure.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use holdfast_api::model::NodeSpec;

use crate::source::Merged;
use crate::status::{Applied, AppliedGroup, FaultStatus};

/// What is in force, and what has been said of it.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Groups that were withdrawn and may still hold addresses: as they were, and which.
    leaving: BTreeMap<String, (AppliedGroup, BTreeSet<IpAddr>)>,
    /// What was acknowledged last.
    acknowledged: Applied,
}

/// What there is to acknowledge.
pub struct Present<'a> {
    /// What is in force.
    pub merged: &'a Merged,
    /// The generation of the node's object that it includes.
    pub observed_generation: Option<i64>,
    /// The addresses of the host that the kubeconfig names.
    pub endpoint: &'a BTreeSet<IpAddr>,
    /// The groups that agents standing by on this node have in files.
    pub on_file: &'a BTreeSet<String>,
    /// What is wrong beyond single groups.
    pub problems: Vec<FaultStatus>,
    /// Whether the disk says nothing else.
    pub settled: bool,
}

impl Ledger {
    /// The engine was told to go from `before` to `now`.
    pub fn change(&mut self, before: &NodeSpec, now: &NodeSpec) {
        self.leaving.retain(|name, _| !now.groups.contains_key(name));
        let withdrawn = before
            .groups
            .iter()
            .filter(|(name, _)| !now.groups.contains_key(*name));
        for (name, group) in withdrawn {
            let addresses = group.addresses.iter().map(|address| address.address).collect();
            let known = self.acknowledged.groups.get(name).cloned();
            let as_it_was = known.unwrap_or(AppliedGroup {
                generation: Some(group.generation),
                source: holdfast_api::v1alpha1::GroupSource::API,
                in_file: false,
                carries_api_endpoint: false,
                refused: None,
            });
            self.leaving.insert(name.clone(), (as_it_was, addresses));
        }
    }

    /// Whether a withdrawn group may still hold addresses.
    pub fn is_anybody_leaving(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// The engine has these groups and no others. Answers whether somebody has left.
    pub fn keep_leaving(&mut self, present: &BTreeSet<String>) -> bool {
        let before = self.leaving.len();
        self.leaving.retain(|name, _| present.contains(name));
        self.leaving.len() != before
    }

    /// Every virtual address that this node may hold while `spec` is in force.
    pub fn addresses(&self, spec: &NodeSpec) -> BTreeSet<IpAddr> {
        let running = spec.groups.values().flat_map(|group| &group.addresses);
        let leaving = self.leaving.values().flat_map(|(_, addresses)| addresses);
        running
            .map(|address| address.address)
            .chain(leaving.copied())
            .collect()
    }

    /// What to tell the API server now.
    pub fn acknowledge(&mut self, present: Present<'_>) -> Applied {
        if present.settled {
            let groups = present.merged.groups.iter();
            let mut groups: BTreeMap<String, AppliedGroup> = groups
                .map(|(name, group)| {
                    let addresses = present.merged.spec.groups.get(name).into_iter();
                    let mut addresses = addresses.flat_map(|group| &group.addresses);
                    let applied = AppliedGroup {
                        generation: group.generation,
                        source: group.source,
                        in_file: group.in_file || present.on_file.contains(name),
                        carries_api_endpoint: addresses
                            .any(|address| present.endpoint.contains(&address.address)),
                        refused: group.refused.clone(),
                    };
                    (name.clone(), applied)
                })
                .collect();
            for (name, (group, _)) in &self.leaving {
                groups.entry(name.clone()).or_insert_with(|| group.clone());
            }
            self.acknowledged.groups = groups;
            self.acknowledged.observed_generation = present.observed_generation;
        }
        self.acknowledged.problems = present.problems;
        self.acknowledged.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use holdfast_api::render::NodeFacts;

    use super::*;
    use crate::source::Provenance;

    fn spec(names: &[&str]) -> NodeSpec {
        let text = |(number, name): (usize, &&str)| {
            format!(
                "apiVersion: vip.holdfast.dev/v1alpha1\nkind: VirtualIPGroup\nmetadata: {{name: {name}}}\nspec:\n  \
                 virtualRouterID: {0}\n  addresses: [{{address: 192.0.2.{0}/24}}]\n  advertisement: {{mode: Multicast}}\n",
                number + 1
            )
        };
        let files: Vec<(PathBuf, String)> = names
            .iter()
            .enumerate()
            .map(|all| (PathBuf::from(all.1), text(all)))
            .collect();
        holdfast_api::files::load(&files, &NodeFacts::default(), &|_| Err(String::new()))
            .unwrap()
            .spec
    }

    fn merged(names: &[&str]) -> Merged {
        let spec = spec(names);
        let provenance = |name: &&str| {
            let generation = Some(3);
            (
                (*name).to_owned(),
                Provenance {
                    generation,
                    ..Provenance::default()
                },
            )
        };
        Merged {
            groups: names.iter().map(provenance).collect(),
            spec,
            ..Merged::default()
        }
    }

    static NOT_ON_FILE: BTreeSet<String> = BTreeSet::new();

    fn present<'a>(
        merged: &'a Merged,
        generation: i64,
        endpoint: &'a BTreeSet<IpAddr>,
        settled: bool,
    ) -> Present<'a> {
        Present {
            merged,
            observed_generation: Some(generation),
            endpoint,
            on_file: &NOT_ON_FILE,
            problems: Vec::new(),
            settled,
        }
    }

    fn names(applied: &Applied) -> Vec<&str> {
        applied.groups.keys().map(String::as_str).collect()
    }

    #[test]
    fn a_withdrawn_group_is_acknowledged_when_the_engine_has_let_go_of_it() {
        let (both, one, nowhere) = (merged(&["a", "b"]), merged(&["a"]), BTreeSet::new());
        let mut ledger = Ledger::default();
        ledger.change(&NodeSpec::default(), &both.spec);
        ledger.acknowledge(present(&both, 1, &nowhere, true));
        ledger.change(&both.spec, &one.spec);
        let during = ledger.acknowledge(present(&one, 2, &nowhere, true));
        assert_eq!(
            (names(&during), during.observed_generation),
            (vec!["a", "b"], Some(2))
        );
        assert_eq!(during.groups["b"].generation, Some(3));
        assert_eq!(
            ledger.addresses(&one.spec).len(),
            2,
            "it may still hold its address"
        );
        assert!(!ledger.keep_leaving(&BTreeSet::from(["a".to_owned(), "b".to_owned()])));
        assert!(ledger.keep_leaving(&BTreeSet::from(["a".to_owned()])));
        assert_eq!(
            names(&ledger.acknowledge(present(&one, 2, &nowhere, true))),
            ["a"]
        );
        assert_eq!(ledger.addresses(&one.spec).len(), 1);
    }

    #[test]
    fn a_group_that_a_standby_has_in_a_file_counts_as_being_in_one() {
        let (both, nowhere, on_file) = (
            merged(&["a", "b"]),
            BTreeSet::new(),
            BTreeSet::from(["b".to_owned()]),
        );
        let applied = Ledger::default().acknowledge(Present {
            on_file: &on_file,
            ..present(&both, 1, &nowhere, true)
        });
        let in_file: Vec<bool> = applied.groups.values().map(|group| group.in_file).collect();
        assert_eq!(in_file, [false, true]);
    }

    #[test]
    fn a_group_that_comes_back_while_it_leaves_is_not_leaving() {
        let (both, one) = (spec(&["a", "b"]), spec(&["a"]));
        let mut ledger = Ledger::default();
        ledger.change(&both, &one);
        assert!(ledger.is_anybody_leaving());
        ledger.change(&one, &both);
        assert!(!ledger.is_anybody_leaving());
    }

    #[test]
    fn nothing_is_acknowledged_that_a_restart_would_undo() {
        let (both, one, nowhere) = (merged(&["a", "b"]), merged(&["a"]), BTreeSet::new());
        let mut ledger = Ledger::default();
        let before = ledger.acknowledge(present(&both, 1, &nowhere, true));
        ledger.change(&both.spec, &one.spec);
        ledger.keep_leaving(&BTreeSet::new());
        let problem = FaultStatus {
            reason: "CacheNotWritable".to_owned(),
            message: "no space".to_owned(),
        };
        let full = ledger.acknowledge(Present {
            problems: vec![problem.clone()],
            ..present(&one, 2, &nowhere, false)
        });
        assert_eq!(
            (full.observed_generation, &full.groups),
            (Some(1), &before.groups)
        );
        assert_eq!(full.problems, [problem]);
        let written = ledger.acknowledge(present(&one, 2, &nowhere, true));
        assert_eq!(
            (names(&written), written.observed_generation),
            (vec!["a"], Some(2))
        );
    }

    #[test]
    fn a_group_with_the_address_of_the_kubeconfigs_server_carries_the_endpoint() {
        let both = merged(&["a", "b"]);
        let endpoint = BTreeSet::from(["192.0.2.2".parse().unwrap()]);
        let applied = Ledger::default().acknowledge(present(&both, 1, &endpoint, true));
        let carries: Vec<bool> = applied
            .groups
            .values()
            .map(|group| group.carries_api_endpoint)
            .collect();
        assert_eq!(carries, [false, true]);
    }
}
