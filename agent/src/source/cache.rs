//! What the API said last, on the node's disk: with it an agent that starts without the API runs what it ran before.
//!
//! Two files in the cache directory, both mode 0600: `node.json` with the groups and tombstones, `secrets.json` with the
//! passwords they use. A file that is damaged, of another node or of another version is ignored with one line.

mod writer;

pub use writer::Writer;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use holdfast_api::v1alpha1::NodeGroup;
use k8s_openapi::ByteString;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::files;
use super::told::{Entry, entries};
use crate::durable;

/// The files' names.
pub const NODE: &str = "node.json";
/// See [`NODE`].
pub const SECRETS: &str = "secrets.json";

/// The version of both files' layout.
const SCHEMA: u32 = 1;

/// Well above what an API server stores for one node; what is larger is not ours.
const MAX_BYTES: u64 = 16 << 20;

/// Where the cache is, and whose it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cache {
    folder: PathBuf,
    node: String,
}

/// What is kept.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Stored {
    /// The cluster that said it.
    pub cluster_uid: Option<String>,
    /// The generation of the node's object.
    pub generation: Option<i64>,
    /// The groups, in the order of their names.
    pub groups: Vec<NodeGroup>,
    /// The groups that were withdrawn.
    pub tombstones: BTreeSet<String>,
    /// The passwords that the groups use.
    pub passwords: Passwords,
}

/// Passwords by the Secret and key they come from. Printed as `***`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Passwords(pub BTreeMap<(String, String), Vec<u8>>);

/// Why a file of the cache is ignored.
#[derive(Debug, thiserror::Error)]
pub enum Ignored {
    /// It cannot be read.
    #[error("reading it: {0}")]
    Unreadable(#[from] io::Error),
    /// It is too large.
    #[error("it has more than {} MiB", MAX_BYTES >> 20)]
    TooLarge,
    /// It is not what was written.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// It is for somebody else.
    #[error("it is of node `{0}`")]
    OtherNode(String),
    /// Another version of the agent wrote it.
    #[error("its layout is version {0}, and this agent reads version {SCHEMA}")]
    OtherVersion(u64),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    schema_version: u64,
    node: String,
    #[serde(rename = "clusterUID")]
    cluster_uid: Option<String>,
    checksum: String,
    payload: Value,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NodePayload {
    generation: Option<i64>,
    spec: SpecPayload,
    tombstones: BTreeSet<String>,
}

#[derive(Serialize, Deserialize)]
struct SpecPayload {
    groups: Vec<Value>,
}

#[derive(Serialize, Deserialize)]
struct SecretsPayload {
    secrets: Vec<SecretPayload>,
}

#[derive(Serialize, Deserialize)]
struct SecretPayload {
    name: String,
    key: String,
    value: ByteString,
}

impl Cache {
    /// The cache of `node` in `folder`.
    pub fn new(folder: PathBuf, node: &str) -> Self {
        Self {
            folder,
            node: node.to_owned(),
        }
    }

    /// The cache's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Reads what was kept; `None` if nothing was, or nothing that counts.
    pub fn read(&self) -> Option<Stored> {
        let (cluster_uid, node): (_, NodePayload) = self.open(NODE)?;
        let mut groups = Vec::new();
        for (name, entry) in entries(node.spec.groups) {
            match entry {
                Entry::Run(group) => groups.push(*group),
                Entry::Withdraw => {}
                Entry::Unreadable(sentence) => {
                    tracing::warn!("group {name} of the cache is left out: {sentence}");
                }
            }
        }
        let passwords = self
            .open(SECRETS)
            .map(|(_, secrets): (_, SecretsPayload)| secrets);
        Some(Stored {
            cluster_uid,
            generation: node.generation,
            groups,
            tombstones: node.tombstones,
            passwords: Passwords(
                passwords
                    .into_iter()
                    .flat_map(|payload| payload.secrets)
                    .map(|secret| ((secret.name, secret.key), secret.value.0))
                    .collect(),
            ),
        })
    }

    /// Keeps `stored`; `before` is what the files hold. Whenever this is interrupted, what can be read is the one or the
    /// other, with every password it uses.
    pub fn write(&self, stored: &Stored, before: Option<&Stored>) -> io::Result<()> {
        durable::create_folder(&self.folder)?;
        let mut both = before.map(|before| before.passwords.clone()).unwrap_or_default();
        both.0.extend(stored.passwords.0.clone());
        if before.is_none_or(|before| before.passwords != both) {
            self.put(SECRETS, stored, &SecretsPayload::from(&both))?;
        }
        self.put(NODE, stored, &NodePayload::try_from(stored)?)?;
        if both != stored.passwords {
            self.put(SECRETS, stored, &SecretsPayload::from(&stored.passwords))?;
        }
        Ok(())
    }

    /// Removes what was kept.
    pub fn remove(&self) -> io::Result<()> {
        // Passwords first: whenever this is interrupted, none is left that nothing uses.
        [SECRETS, NODE]
            .iter()
            .try_for_each(|name| durable::remove(&self.folder.join(name)))
    }

    fn put(&self, name: &str, stored: &Stored, payload: &impl Serialize) -> io::Result<()> {
        let payload = serde_json::to_value(payload)?;
        let envelope = Envelope {
            schema_version: SCHEMA.into(),
            node: self.node.clone(),
            cluster_uid: stored.cluster_uid.clone(),
            checksum: checksum(&payload)?,
            payload,
        };
        let bytes = serde_json::to_vec(&envelope)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(io::Error::other(format!(
                "{} bytes are too many for it",
                bytes.len()
            )));
        }
        durable::write(&self.folder.join(name), &bytes)
    }

    /// The payload of a file that counts, and its cluster.
    fn open<T: DeserializeOwned>(&self, name: &str) -> Option<(Option<String>, T)> {
        let path = self.folder.join(name);
        match self.try_open(&path) {
            Ok(found) => Some(found),
            Err(Ignored::Unreadable(error)) if error.kind() == io::ErrorKind::NotFound => None,
            Err(ignored) => {
                tracing::warn!("ignoring the cache file {}: {ignored}", path.display());
                None
            }
        }
    }

    fn try_open<T: DeserializeOwned>(&self, path: &Path) -> Result<(Option<String>, T), Ignored> {
        let damaged = |error: serde_json::Error| Ignored::Damaged(error.to_string());
        let mut bytes = Vec::new();
        files::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(Ignored::TooLarge);
        }
        let value: Value = serde_json::from_slice(&bytes).map_err(damaged)?;
        // Before the rest, which another version may have changed.
        match value.get("schemaVersion").and_then(Value::as_u64) {
            Some(version) if version == u64::from(SCHEMA) => {}
            Some(version) => return Err(Ignored::OtherVersion(version)),
            None => return Err(Ignored::Damaged("it has no schemaVersion".to_owned())),
        }
        let envelope: Envelope = serde_json::from_value(value).map_err(damaged)?;
        if envelope.node != self.node {
            return Err(Ignored::OtherNode(envelope.node));
        }
        if checksum(&envelope.payload)? != envelope.checksum {
            return Err(Ignored::Damaged("its checksum is wrong".to_owned()));
        }
        let payload = serde_json::from_value(envelope.payload).map_err(damaged)?;
        Ok((envelope.cluster_uid, payload))
    }
}

/// Of a value as it is written, whatever its file looks like.
fn checksum(payload: &Value) -> io::Result<String> {
    let digest = Sha256::digest(serde_json::to_vec(payload)?);
    Ok(format!("{digest:x}"))
}

impl TryFrom<&Stored> for NodePayload {
    type Error = serde_json::Error;

    fn try_from(stored: &Stored) -> Result<Self, Self::Error> {
        let groups = stored.groups.iter().map(serde_json::to_value);
        Ok(Self {
            generation: stored.generation,
            spec: SpecPayload {
                groups: groups.collect::<Result<_, _>>()?,
            },
            tombstones: stored.tombstones.clone(),
        })
    }
}

impl From<&Passwords> for SecretsPayload {
    fn from(passwords: &Passwords) -> Self {
        let secrets = passwords.0.iter().map(|((name, key), value)| SecretPayload {
            name: name.clone(),
            key: key.clone(),
            value: ByteString(value.clone()),
        });
        Self {
            secrets: secrets.collect(),
        }
    }
}

impl core::fmt::Debug for Passwords {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_map()
            .entries(self.0.keys().map(|key| (key, "***")))
            .finish()
    }
}

#[cfg(test)]
mod tests;
