//! The crates that a program is made of, as cargo knows them: which, in which version, under which licence.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use serde::Deserialize;

use super::arch::Arch;
use crate::process;
use crate::workspace::Workspace;

/// A crate's name and version. No two sources in this tree have the same.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Crate {
    pub name: String,
    pub version: String,
}

/// What there is to know about a crate.
pub struct Facts {
    pub license: Option<String>,
    pub description: Option<String>,
    pub repository: Option<String>,
    /// The SHA-256 of what the registry has; a crate of this checkout has none.
    pub checksum: Option<String>,
    /// What it needs when it runs, features that are not chosen included.
    pub needs: BTreeSet<Crate>,
    /// The folder of its sources.
    pub folder: PathBuf,
    /// Whether it is of this checkout.
    pub ours: bool,
}

/// Every crate that Cargo.lock names for a processor.
pub struct Crates {
    facts: BTreeMap<Crate, Facts>,
    ids: BTreeMap<String, Crate>,
}

impl Crates {
    /// Asks cargo.
    pub fn of(workspace: &Workspace, arch: Arch) -> Result<Self> {
        let mut metadata = workspace.cargo(&["metadata", "--locked", "--format-version", "1"]);
        let metadata = process::output(metadata.args(["--filter-platform", arch.target()]))?;
        let lock = workspace.root().join("Cargo.lock");
        let lock = fs::read_to_string(&lock).with_context(|| format!("cannot read {}", lock.display()))?;
        Self::read(&metadata, &lock)
    }

    fn read(metadata: &str, lock: &str) -> Result<Self> {
        let metadata: Metadata =
            serde_json::from_str(metadata).context("cannot read what `cargo metadata` says")?;
        let checksums = checksums(lock);
        let ids: BTreeMap<_, _> = metadata
            .packages
            .iter()
            .map(|package| (package.id.clone(), package.named()))
            .collect();
        let mut needs: BTreeMap<_, _> = metadata
            .resolve
            .nodes
            .into_iter()
            .map(|node| {
                let deps = node.deps.into_iter().filter(Dependency::is_normal);
                (
                    node.id,
                    deps.filter_map(|dep| ids.get(&dep.pkg).cloned()).collect(),
                )
            })
            .collect();
        let facts = metadata.packages.into_iter().map(|package| {
            let this = package.named();
            let facts = Facts {
                license: package.license.map(|license| license.replace('/', " OR ")),
                description: package.description,
                repository: package.repository,
                checksum: checksums.get(&this).cloned(),
                needs: needs.remove(&package.id).unwrap_or_default(),
                folder: package
                    .manifest_path
                    .parent()
                    .unwrap_or(Path::new("/"))
                    .to_owned(),
                ours: package.source.is_none(),
            };
            (this, facts)
        });
        Ok(Self {
            facts: facts.collect(),
            ids,
        })
    }

    /// What is known about `wanted`.
    pub fn facts(&self, wanted: &Crate) -> Result<&Facts> {
        self.facts.get(wanted).ok_or_else(|| {
            anyhow!(
                "`cargo metadata` does not know {} {}",
                wanted.name,
                wanted.version
            )
        })
    }

    /// The crate that cargo calls `id`.
    pub fn by_id(&self, id: &str) -> Option<&Crate> {
        self.ids.get(id)
    }

    /// The folders into which cargo unpacked the crates that are not of this checkout.
    pub fn unpacked_in(&self) -> BTreeSet<&Path> {
        let foreign = self.facts.values().filter(|facts| !facts.ours);
        foreign.filter_map(|facts| facts.folder.parent()).collect()
    }
}

/// Cargo.lock's checksums. Its form is cargo's own, a line for each field in a fixed order.
fn checksums(lock: &str) -> BTreeMap<Crate, String> {
    let field = |block: &str, name: &str| {
        let line = block
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
        line.map(|value| value.trim_matches('"').to_owned())
    };
    let entry = |block| {
        let this = Crate {
            name: field(block, "name")?,
            version: field(block, "version")?,
        };
        Some((this, field(block, "checksum")?))
    };
    lock.split("[[package]]").filter_map(entry).collect()
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    description: Option<String>,
    repository: Option<String>,
    source: Option<String>,
    manifest_path: PathBuf,
}

impl Package {
    fn named(&self) -> Crate {
        Crate {
            name: self.name.clone(),
            version: self.version.clone(),
        }
    }
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

impl Dependency {
    /// Whether it is needed at run time, not to build or to test.
    fn is_normal(&self) -> bool {
        self.dep_kinds.iter().any(|kind| kind.kind.is_none())
    }
}

#[derive(Deserialize)]
struct Kind {
    kind: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_file_has_checksums_of_what_comes_from_a_registry() {
        let lock = "version = 4\n\n[[package]]\nname = \"bytes\"\nversion = \"1.12.1\"\nsource = \"registry\"\n\
                    checksum = \"51d6\"\n\n[[package]]\nname = \"holdfast-api\"\nversion = \"0.1.0\"\n";
        let bytes = Crate {
            name: "bytes".to_owned(),
            version: "1.12.1".to_owned(),
        };
        assert_eq!(checksums(lock), BTreeMap::from([(bytes, "51d6".to_owned())]));
    }
}
