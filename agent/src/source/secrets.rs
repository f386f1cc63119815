//! What groups name and do not write down (passwords, certificates, keys): from files of the node, from Secrets as the API has
//! them, and as it was known last.

use std::collections::BTreeMap;
use std::path::Path;

use holdfast_api::render::{self, SecretPart, SecretSource, model_group, named_secrets};

use super::api::SecretNews;
use super::cache::Passwords;
use super::merge::Memory;
use super::password;

/// The end of a refusal that an answer of the API server may end.
pub(super) const NO_ANSWER: &str = "the API server has not answered";

/// The Secrets of Holdfast's namespace, as far as this node knows them.
pub(super) struct Secrets<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// What the API says, by the Secret's name.
    pub news: &'a BTreeMap<String, SecretNews>,
    /// What was good last.
    pub known: &'a Passwords,
}

/// What is at `source`, or in a sentence why there is nothing; `secrets` is nothing for a node on its own.
pub(super) fn password(source: &SecretSource, secrets: Option<&Secrets<'_>>) -> Result<Vec<u8>, String> {
    match source {
        SecretSource::File(path) => password::read(Path::new(path)).map(|password| password.bytes),
        SecretSource::Secret { name, key, part } => match secrets {
            None => Err(format!("a node on its own has no Secret {name}")),
            // What is missing is no instruction: the last one known goes on.
            Some(secrets) => secrets.told(name, key, *part).or_else(|sentence| {
                let known = secrets.known.0.get(&(name.clone(), key.clone()));
                known.map(|value| part_of(value, *part)).ok_or(sentence)
            }),
        },
    }
}

impl Secrets<'_> {
    fn told(&self, name: &str, key: &str, part: SecretPart) -> Result<Vec<u8>, String> {
        let shown = format!("{}/{name}", self.namespace);
        match self.news.get(name) {
            Some(SecretNews::Data(data)) => match data.get(key) {
                Some(value) => Ok(part_of(value, part)),
                None => Err(format!("the Secret {shown} has no key `{key}`: add it")),
            },
            Some(SecretNews::Absent) => Err(format!("the Secret {shown} does not exist: create it")),
            Some(SecretNews::Denied(sentence)) => Err(format!(
                "the API server does not let this agent read the Secret {shown}: {sentence}"
            )),
            None => Err(format!("the Secret {shown} has not been read yet: {NO_ANSWER}")),
        }
    }
}

impl Passwords {
    /// What `memory`'s groups run with, and what they would run with if they could; `before` is what was kept so far.
    pub(super) fn of(memory: &Memory, before: &Self, secrets: render::Secrets<'_>) -> Self {
        let mut kept = Self::default();
        for group in memory.groups.values() {
            let named = named_secrets(&group.entry);
            // What cannot be used does not replace what can.
            let good = !named.is_empty() && model_group(&group.entry, secrets).is_ok();
            for source in named {
                let SecretSource::Secret { name, key, .. } = &source else {
                    continue;
                };
                let place = (name.clone(), key.clone());
                let value = if good {
                    secrets(&source).ok()
                } else {
                    before.0.get(&place).cloned()
                };
                // Of a value that is named by its first line and as a whole, the whole comes last.
                kept.0.extend(value.map(|value| (place, value)));
            }
        }
        kept
    }
}

fn part_of(value: &[u8], part: SecretPart) -> Vec<u8> {
    match part {
        SecretPart::FirstLine => password::first_line(value),
        SecretPart::Whole => value.to_vec(),
    }
}
