//! The configuration on this node's disk: reads, validates and renders it, and says when it has changed; what then happens
//! to what runs is the caller's decision.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use holdfast_api::files::{Loaded, Problem};
use holdfast_api::model::NodeSpec;
use holdfast_api::render::{NodeFacts, SecretSource};
use holdfast_api::v1alpha1::NodeGroup;

use super::watch::{Interest, Watch};
use super::{files, password};

/// A configuration on disk, and the node that reads it.
#[derive(Debug)]
pub struct Files {
    path: PathBuf,
    facts: NodeFacts,
    // What the last reading read: the configuration's files and the passwords, which count as much.
    configured: BTreeSet<PathBuf>,
    passwords: BTreeSet<PathBuf>,
    watch: Option<Watch>,
}

/// A configuration that may be run.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Offer {
    /// What to run.
    pub spec: NodeSpec,
    /// The same as the API writes it.
    pub rendered: Vec<NodeGroup>,
    /// What should be known and does not keep it from running.
    pub warnings: Vec<String>,
    /// Problems of files that were left out; see [`Files::first`].
    pub problems: Vec<String>,
    /// Groups that this agent cannot watch as they ask, and why; what ran of them keeps running.
    pub refused: BTreeMap<String, String>,
    /// Groups that are configured and do not select this node.
    pub not_here: Vec<String>,
}

/// Why a configuration cannot be run, each problem a sentence with its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// At least one.
    pub problems: Vec<String>,
}

/// What a reload would do to what runs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Difference {
    /// Groups that start.
    pub added: Vec<String>,
    /// Groups whose configuration changed.
    pub changed: Vec<String>,
    /// Groups that are handed over and forgotten.
    pub withdrawn: Vec<String>,
}

impl Files {
    /// The configuration at `path`, for the node of which these are the facts.
    pub fn new(path: &Path, facts: NodeFacts) -> Self {
        Self {
            path: path.to_owned(),
            facts,
            configured: BTreeSet::new(),
            passwords: BTreeSet::new(),
            watch: None,
        }
    }

    /// Reads everything. A mistake anywhere refuses it all: what runs is the last configuration that was whole.
    pub fn load(&mut self) -> Result<Offer, Refusal> {
        let files = self.read()?;
        match self.render(&files) {
            Ok(loaded) if is_empty(&loaded) => Err(Refusal::of(format!(
                "{}: no VirtualIPGroup is written there; an empty configuration changes nothing (remove the groups one \
                 by one, or stop the agent)",
                self.path.display()
            ))),
            Ok(loaded) => Ok(Offer::from(loaded)),
            Err(problems) => Err(problems.into()),
        }
    }

    /// Reads everything for the first time. Nothing runs yet that could keep running, so files with mistakes are left
    /// out and the others run: a node that boots with one bad file serves what it can.
    pub fn first(&mut self) -> Result<Offer, Refusal> {
        let refusal = match self.load() {
            Ok(offer) => return Ok(offer),
            Err(refusal) => refusal,
        };
        let mut files = self.read()?;
        loop {
            match self.render(&files) {
                Ok(loaded) if is_empty(&loaded) => return Err(refusal),
                Ok(loaded) => {
                    return Ok(Offer {
                        problems: refusal.problems,
                        ..Offer::from(loaded)
                    });
                }
                Err(problems) => {
                    let before = files.len();
                    files.retain(|(path, _)| problems.iter().all(|problem| problem.file != *path));
                    if files.len() == before {
                        return Err(refusal);
                    }
                }
            }
        }
    }

    /// Starts to notice changes. An error says in a sentence that changes are noticed on SIGHUP only.
    pub fn watch(&mut self) -> Result<(), String> {
        let watch = Watch::start(self.interest());
        self.watch = Some(watch.map_err(|error| self.unwatched(&error))?);
        Ok(())
    }

    /// Follows what the last reading referred to. To be called after a reload.
    pub fn watch_again(&mut self) -> Result<(), String> {
        let interest = self.interest();
        let outcome = self.watch.as_mut().map_or(Ok(()), |watch| watch.set(interest));
        outcome.map_err(|error| self.unwatched(&error))
    }

    /// Waits until the configuration has changed on disk; for ever if it is not watched. Safe to cancel.
    pub async fn changed(&mut self) {
        match &mut self.watch {
            Some(watch) => watch.changed().await,
            None => core::future::pending().await,
        }
    }

    fn unwatched(&self, error: &notify::Error) -> String {
        format!(
            "changes of {} are not noticed ({error}): send SIGHUP after a change (fs.inotify.max_user_instances and \
             fs.inotify.max_user_watches set the kernel's limits)",
            self.path.display()
        )
    }

    fn interest(&self) -> Interest {
        // Events come with absolute paths.
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let all = self.configured.iter().chain(&self.passwords);
        let real = all.filter_map(|file| std::fs::canonicalize(file).ok());
        // The file by the name it was given, and the one it is a link to.
        let mut files: BTreeSet<PathBuf> = self
            .passwords
            .iter()
            .map(|file| absolute(file))
            .chain(real)
            .collect();
        let path = absolute(&self.path);
        if path.is_dir() {
            return Interest {
                folder: Some(path),
                files,
            };
        }
        files.insert(path);
        Interest { folder: None, files }
    }

    fn read(&mut self) -> Result<Vec<(PathBuf, String)>, Refusal> {
        let files = files::read(&self.path).map_err(|error| Refusal::of(error.to_string()))?;
        self.configured = files.iter().map(|file| file.path.clone()).collect();
        Ok(files.into_iter().map(|file| (file.path, file.text)).collect())
    }

    fn render(&mut self, files: &[(PathBuf, String)]) -> Result<Loaded, Vec<Problem>> {
        let seen = RefCell::new(BTreeSet::new());
        let warnings = RefCell::new(Vec::new());
        let secrets = |source: &SecretSource| match source {
            SecretSource::File(path) => {
                let path = PathBuf::from(path);
                seen.borrow_mut().insert(path.clone());
                let password = password::read(&path)?;
                warnings.borrow_mut().extend(password.warning);
                Ok(password.bytes)
            }
            SecretSource::Secret { name, .. } => Err(format!(
                "a node on its own cannot read the Secret {name}: write `file: /path/of/the/password`"
            )),
        };
        let loaded = holdfast_api::files::load(files, &self.facts, &secrets);
        for warning in warnings.into_inner() {
            tracing::warn!("{warning}");
        }
        self.passwords = seen.into_inner();
        loaded
    }
}

impl From<Loaded> for Offer {
    fn from(loaded: Loaded) -> Self {
        let warnings = loaded.warnings.iter().map(ToString::to_string).collect();
        Self {
            spec: loaded.spec,
            rendered: loaded.rendered.groups,
            warnings,
            problems: Vec::new(),
            refused: BTreeMap::new(),
            not_here: loaded.not_here,
        }
    }
}

impl Refusal {
    fn of(problem: String) -> Self {
        Self {
            problems: vec![problem],
        }
    }
}

impl From<Vec<Problem>> for Refusal {
    fn from(problems: Vec<Problem>) -> Self {
        Self {
            problems: problems.iter().map(ToString::to_string).collect(),
        }
    }
}

impl Difference {
    /// From what runs to what is offered.
    pub fn between(running: &NodeSpec, offered: &NodeSpec) -> Self {
        let names = |spec: &NodeSpec, wanted: &dyn Fn(&String) -> bool| -> Vec<String> {
            spec.groups.keys().filter(|name| wanted(name)).cloned().collect()
        };
        Self {
            added: names(offered, &|name| !running.groups.contains_key(name)),
            changed: names(offered, &|name| {
                running
                    .groups
                    .get(name)
                    .is_some_and(|group| Some(group) != offered.groups.get(name))
            }),
            withdrawn: names(running, &|name| !offered.groups.contains_key(name)),
        }
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.withdrawn.is_empty()
    }
}

impl core::fmt::Display for Difference {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let parts = [
            ("added", &self.added),
            ("changed", &self.changed),
            ("withdrawn", &self.withdrawn),
        ];
        let parts = parts.iter().filter(|(_, groups)| !groups.is_empty());
        let parts: Vec<String> = parts
            .map(|(what, groups)| format!("{what}: {}", groups.join(", ")))
            .collect();
        f.write_str(
            if parts.is_empty() {
                "no change".into()
            } else {
                parts.join("; ")
            }
            .as_str(),
        )
    }
}

fn is_empty(loaded: &Loaded) -> bool {
    loaded.spec.groups.is_empty() && loaded.not_here.is_empty()
}

#[cfg(test)]
mod tests;
