//! What a node runs, from everything it was told: for each group first the API, then what the API said last, then the files.
//!
//! Absence is never an instruction. A group that the API does not name goes on as it was; a group ends by its tombstone,
//! or by its file if that is where it came from. Pure: the same inputs give the same answer, and merging the answer
//! again changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_api::model::{self, NodeSpec};
use holdfast_api::render::{Secrets, model_group};
use holdfast_api::rules::{self, Severity};
use holdfast_api::v1alpha1::{GroupSource, NodeGroup};

use super::local::Offer;
use super::told::{Entry, Told};
use crate::probe::access::{Access, refusal};
use crate::status::FaultStatus;

/// What the API has said so far, as far as it was taken in: what is kept in the cache.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Memory {
    /// The cluster that said it.
    pub cluster_uid: Option<String>,
    /// The generation of this node's object that was taken in last.
    pub generation: Option<i64>,
    /// The groups that were not withdrawn.
    pub groups: BTreeMap<String, Remembered>,
    /// The groups that were withdrawn and not named again since.
    pub tombstones: BTreeSet<String>,
}

/// One group of the API.
#[derive(Clone, PartialEq, Debug)]
pub struct Remembered {
    /// What was said about it, in the last version that could be run.
    pub entry: NodeGroup,
    /// What runs. `None`: what the cache says of it cannot be run, for want of a Secret as a rule.
    pub running: Option<model::NodeGroup>,
    /// Whether this agent heard it or found it in the cache.
    pub source: GroupSource,
}

/// Everything that a node was told.
pub struct Inputs<'a> {
    /// What its object says; `None` while it was not heard, and when it is gone.
    pub api: Option<&'a Told>,
    /// What the API has said before.
    pub memory: &'a Memory,
    /// What the files say; `None` without files, or while they have a mistake.
    pub files: Option<&'a Offer>,
    /// Passwords.
    pub secrets: Secrets<'a>,
    /// What of its node the agent can see and may run.
    pub access: &'a Access,
}

/// What is to run, and why.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Merged {
    /// For the engine.
    pub spec: NodeSpec,
    /// Every group that runs or was refused, by name.
    pub groups: BTreeMap<String, Provenance>,
    /// What the API has said, this time included.
    pub memory: Memory,
    /// What is wrong with all of it.
    pub problems: Vec<FaultStatus>,
    /// What should be known: sentences that stay the same as long as they are true.
    pub remarks: BTreeSet<String>,
}

/// From where a group comes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Provenance {
    /// The generation that runs; `None` if none does.
    pub generation: Option<i64>,
    /// Who said so.
    pub source: GroupSource,
    /// Whether a file has it too.
    pub in_file: bool,
    /// Why what the API says of it could not be taken in; what ran before keeps running.
    pub refused: Option<String>,
}

/// Merges everything that a node was told.
pub fn merge(inputs: &Inputs<'_>) -> Merged {
    let mut merged = Merged {
        memory: inputs.memory.clone(),
        ..Merged::default()
    };
    let understood = inputs.api.filter(|told| told.unknown_features.is_empty());
    match (understood, inputs.api) {
        (Some(told), _) => merged.take_in(told, inputs),
        (None, Some(told)) => merged.problems.push(unknown_features(told)),
        (None, None) => {}
    }
    merged.remember(understood, inputs);
    if let Some(offer) = inputs.files {
        merged.add_files(offer);
    }
    merged
}

impl Inputs<'_> {
    /// A group of the API as it is to run, or a sentence on why it cannot.
    fn model(&self, entry: &NodeGroup) -> Result<model::NodeGroup, String> {
        let group = model_group(entry, self.secrets)
            .map_err(|error| format!("{}: {}", error.field, error.sentence))?;
        match refusal(&group, true, self.access) {
            Some(sentence) => Err(sentence),
            None => Ok(group),
        }
    }
}

impl Merged {
    /// Makes what the API says now part of what it has said.
    fn take_in(&mut self, told: &Told, inputs: &Inputs<'_>) {
        self.leave_other_cluster(told);
        let memory = &mut self.memory;
        memory.generation = Some(told.generation);
        if told.cluster_uid.is_some() {
            memory.cluster_uid.clone_from(&told.cluster_uid);
        }
        for (name, entry) in &told.groups {
            let refused = match entry {
                Entry::Withdraw => {
                    memory.groups.remove(name);
                    memory.tombstones.insert(name.clone());
                    continue;
                }
                Entry::Unreadable(sentence) => sentence.clone(),
                Entry::Run(entry) => match inputs.model(entry) {
                    Ok(running) => {
                        memory.tombstones.remove(name);
                        let remembered = Remembered {
                            entry: (**entry).clone(),
                            running: Some(running),
                            source: GroupSource::API,
                        };
                        memory.groups.insert(name.clone(), remembered);
                        continue;
                    }
                    Err(sentence) => sentence,
                },
            };
            self.groups.entry(name.clone()).or_default().refused = Some(refused);
        }
    }

    /// What another cluster said does not count in this one.
    fn leave_other_cluster(&mut self, told: &Told) {
        let memory = &mut self.memory;
        let (Some(before), Some(now)) = (&memory.cluster_uid, &told.cluster_uid) else {
            return;
        };
        if before == now {
            return;
        }
        let named = |name: &String| told.groups.contains_key(name);
        let dropped: Vec<&str> = memory
            .groups
            .keys()
            .filter(|name| !named(name))
            .map(String::as_str)
            .collect();
        let dropped = if dropped.is_empty() {
            "none".to_owned()
        } else {
            dropped.join(", ")
        };
        self.remarks.insert(format!(
            "this node belongs to another cluster now ({now}, before {before}): groups of the old one that the new one does \
             not name are dropped: {dropped}"
        ));
        memory.groups.retain(|name, _| named(name));
        memory.tombstones.retain(named);
    }

    /// Runs what the API has said and not taken back, with the passwords of today.
    fn remember(&mut self, api: Option<&Told>, inputs: &Inputs<'_>) {
        for (name, remembered) in &mut self.memory.groups {
            let provenance = self.groups.entry(name.clone()).or_default();
            match inputs.model(&remembered.entry) {
                Ok(running) => remembered.running = Some(running),
                Err(sentence) => drop(provenance.refused.get_or_insert(sentence)),
            }
            provenance.source = remembered.source;
            if let Some(running) = &remembered.running {
                provenance.generation = Some(remembered.entry.generation);
                self.spec.groups.insert(name.clone(), running.clone());
            }
            let named = api.is_none_or(|told| told.groups.contains_key(name));
            if !named {
                self.remarks.insert(format!(
                    "group {name} is not named by the API any more and goes on as it was: absence is not an instruction (to \
                     end it, apply the group again and delete it)"
                ));
            }
        }
    }

    /// Adds the groups of files that nobody else has.
    fn add_files(&mut self, offer: &Offer) {
        for entry in &offer.rendered {
            let name = &entry.name;
            if self.spec.groups.contains_key(name) {
                self.groups.entry(name.clone()).or_default().in_file = true;
                continue;
            }
            if self.memory.tombstones.contains(name) {
                self.remarks.insert(format!(
                    "group {name} is in a file and was deleted in the cluster, so it does not run: remove it from the file, \
                     or apply it to the cluster"
                ));
                continue;
            }
            if let Some(sentence) = offer.refused.get(name) {
                let provenance = self.groups.entry(name.clone()).or_default();
                provenance.refused.get_or_insert_with(|| sentence.clone());
                provenance.source = GroupSource::File;
                provenance.in_file = true;
            }
            let Some(group) = offer.spec.groups.get(name) else {
                continue;
            };
            if let Some(clash) = self.clash(entry) {
                self.remarks.insert(format!(
                    "group {name} of a file is left out, because the cluster has another group in its place: {clash}"
                ));
                continue;
            }
            let provenance = self.groups.entry(name.clone()).or_default();
            provenance.source = GroupSource::File;
            provenance.generation = Some(group.generation);
            provenance.in_file = true;
            self.spec.groups.insert(name.clone(), group.clone());
        }
    }

    /// What a file's group has that a group of the API has already.
    fn clash(&self, entry: &NodeGroup) -> Option<String> {
        let running = self
            .memory
            .groups
            .values()
            .filter(|group| group.running.is_some());
        let mut groups: Vec<&NodeGroup> = running.map(|group| &group.entry).collect();
        groups.push(entry);
        let found = rules::check_node(&groups, groups.len() - 1, true);
        found
            .into_iter()
            .find(|(rule, _, other)| rule.severity == Severity::Refuse && other.is_some())
            .map(|(rule, finding, _)| format!("{}: {}", finding.path, rule.sentence(&finding)))
    }
}

fn unknown_features(told: &Told) -> FaultStatus {
    FaultStatus {
        reason: "UnknownFeature".to_owned(),
        message: format!(
            "generation {} requires what this agent does not know ({}), so it is not applied and what ran keeps running: \
             upgrade the agent",
            told.generation,
            told.unknown_features.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests;
