//! The passwords that groups name: from files of the node, from Secrets as the API has them, and as they were known last.

use std::collections::BTreeMap;
use std::path::Path;

use holdfast_api::render::{SecretPart, SecretSource};
use holdfast_api::v1alpha1::AuthenticationType;
use holdfast_vrrp::Authentication;

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
    /// The passwords that were good last.
    pub known: &'a Passwords,
}

/// The password at `source`, or in a sentence why there is none; `secrets` is nothing for a node on its own.
pub(super) fn password(source: &SecretSource, secrets: Option<&Secrets<'_>>) -> Result<Vec<u8>, String> {
    match source {
        SecretSource::File(path) => password::read(Path::new(path)).map(|password| password.bytes),
        SecretSource::Secret { name, key, part } => match secrets {
            None => Err(format!("a node on its own has no Secret {name}")),
            // What is missing is no instruction: the last one known goes on.
            Some(secrets) => secrets.told(name, key, *part).or_else(|sentence| {
                let known = secrets.known.0.get(&(name.clone(), key.clone()));
                known.cloned().ok_or(sentence)
            }),
        },
    }
}

impl Secrets<'_> {
    fn told(&self, name: &str, key: &str, part: SecretPart) -> Result<Vec<u8>, String> {
        let shown = format!("{}/{name}", self.namespace);
        match self.news.get(name) {
            Some(SecretNews::Data(data)) => match data.get(key) {
                Some(value) => Ok(match part {
                    SecretPart::FirstLine => password::first_line(value),
                    SecretPart::Whole => value.clone(),
                }),
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
    /// Keeps the passwords that `memory`'s groups run with, and those that they would run with if they could.
    pub(super) fn keep_those_of(&mut self, memory: &Memory) {
        let mut kept = Self::default();
        for group in memory.groups.values() {
            let authentication = &group.entry.authentication;
            let (AuthenticationType::Password, Some(secret)) =
                (authentication.type_, &authentication.secret_ref)
            else {
                continue;
            };
            let key = (secret.name.clone(), secret.key.clone());
            let running = group.running.as_ref().map(|running| &running.authentication);
            let password = match running {
                // Padded with zeros, which are as good as none.
                Some(Authentication::Password(padded)) => {
                    let length = padded
                        .iter()
                        .rposition(|byte| *byte != 0)
                        .map_or(0, |last| last + 1);
                    Some(padded[..length].to_vec())
                }
                _ => self.0.get(&key).cloned(),
            };
            kept.0.extend(password.map(|password| (key, password)));
        }
        *self = kept;
    }
}
