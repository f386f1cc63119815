//! Everything this node is told, kept current: files, the API, and what the API said before.

use core::net::IpAddr;
use std::collections::BTreeSet;

use holdfast_api::render::{SecretSource, named_secrets};
use holdfast_api::v1alpha1::GroupSource;

use super::api::{ApiSource, Heard, News};
use super::cache::{Passwords, Stored};
use super::local::{Files, Offer, Refusal};
use super::merge::{Inputs, Memory, Merged, Remembered, merge};
use super::secrets::{self, NO_ANSWER, Secrets};
use crate::probe::access::Access;
use crate::status::FaultStatus;

/// What has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// The files; to be read with [`Instructions::read_files`].
    Files,
    /// What the API says; to be taken in with [`Instructions::hear`].
    Api,
}

/// Everything this node is told, and what it comes to.
#[derive(Debug)]
pub struct Instructions {
    files: Option<Files>,
    offer: Option<Offer>,
    cluster: Option<Cluster>,
    memory: Memory,
    passwords: Passwords,
    /// What of this node its probes can see and may run.
    access: Access,
    merged: Merged,
}

/// The API, for an agent that has one.
#[derive(Debug)]
struct Cluster {
    namespace: String,
    /// None until [`Instructions::follow`].
    source: Option<ApiSource>,
    news: News,
    /// The API server has said once what this node's object is, or that there is none.
    heard: bool,
    /// The generation that was taken in last.
    observed: Option<i64>,
}

impl Instructions {
    /// Of a node on its own: everything is in `files`, and something has to be.
    pub fn of_files(mut files: Files, access: Access) -> Result<Self, Refusal> {
        let offer = files.first()?;
        let mut instructions = Self::new(Some(files), None, access);
        instructions.accept(offer);
        instructions.merge();
        Ok(instructions)
    }

    /// Of a node of a cluster: what the API said last is `stored`. Files are welcome; a mistake in them is the answer's second
    /// part, and keeps nothing else from running.
    pub fn of_cluster(
        files: Option<Files>,
        stored: Option<Stored>,
        namespace: &str,
        access: Access,
    ) -> (Self, Option<Refusal>) {
        let cluster = Cluster {
            namespace: namespace.to_owned(),
            source: None,
            news: News::default(),
            heard: false,
            observed: None,
        };
        let mut instructions = Self::new(files, Some(cluster), access);
        let stored = stored.unwrap_or_default();
        instructions.passwords = stored.passwords.clone();
        instructions.memory = Memory::from(stored);
        let outcome = instructions.files.as_mut().map(Files::first);
        let refusal = match outcome {
            Some(Ok(offer)) => {
                instructions.accept(offer);
                None
            }
            Some(Err(refusal)) => Some(refusal),
            None => None,
        };
        instructions.merge();
        (instructions, refusal)
    }

    fn new(files: Option<Files>, cluster: Option<Cluster>, access: Access) -> Self {
        Self {
            files,
            offer: None,
            cluster,
            memory: Memory::default(),
            passwords: Passwords::default(),
            access,
            merged: Merged::default(),
        }
    }

    /// Takes `stored` for what the API said last, unless the API itself was heard.
    pub fn recall(&mut self, stored: Option<Stored>) {
        let heard = self
            .cluster
            .as_ref()
            .is_some_and(|cluster| cluster.observed.is_some());
        if let (Some(stored), false) = (stored, heard) {
            self.passwords = stored.passwords.clone();
            self.memory = Memory::from(stored);
            self.merge();
        }
    }

    /// From now on the API is heard.
    pub fn follow(&mut self, source: ApiSource) {
        if let Some(cluster) = &mut self.cluster {
            cluster.source = Some(source);
        }
        self.want_secrets();
    }

    /// Starts to notice changes of files. An error says in a sentence that they are noticed on SIGHUP only.
    pub fn watch_files(&mut self) -> Result<(), String> {
        self.files.as_mut().map_or(Ok(()), Files::watch)
    }

    /// Waits until something has changed. Safe to cancel.
    pub async fn changed(&mut self) -> Change {
        let files = self.files.as_mut();
        let api = self.cluster.as_mut().and_then(|cluster| cluster.source.as_mut());
        tokio::select! {
            () = async { match files { Some(files) => files.changed().await, None => core::future::pending().await } } => Change::Files,
            () = async { match api { Some(api) => api.changed().await, None => core::future::pending().await } } => Change::Api,
        }
    }

    /// Reads the files again, passwords included. Answers what was wrong with them, and whether changes go on being noticed;
    /// a refusal changes nothing.
    pub fn read_files(&mut self) -> (Result<(), Refusal>, Result<(), String>) {
        let outcome = self.files.as_mut().map(Files::load);
        let watched = self.files.as_mut().map_or(Ok(()), Files::watch_again);
        let outcome = match outcome {
            Some(Ok(offer)) => {
                self.accept(offer);
                Ok(())
            }
            Some(Err(refusal)) => Err(refusal),
            None => Ok(()),
        };
        self.merge();
        (outcome, watched)
    }

    fn accept(&mut self, offer: Offer) {
        self.offer = Some(offer.admitted(self.offer.as_ref(), &self.access));
    }

    /// What the files say, as far as it counts.
    pub fn offer(&self) -> Option<&Offer> {
        self.offer.as_ref()
    }

    /// Takes in what the API says.
    pub fn hear(&mut self) {
        let Some(cluster) = &mut self.cluster else { return };
        let Some(source) = &mut cluster.source else { return };
        let news = source.news();
        if matches!(
            (&cluster.news.object, &news.object),
            (Heard::Told(_) | Heard::Nothing, Heard::Absent)
        ) {
            tracing::info!("this node has no VirtualIPNode: what runs keeps running, and it is waited for");
        }
        if let (Heard::Denied(fault), false) = (&news.object, cluster.news.object == news.object) {
            tracing::error!(reason = fault.reason, "{}", fault.message);
        }
        if let (Some(host), false) = (&news.refused_host, cluster.news.refused_host == news.refused_host) {
            let fault = own_address(host);
            tracing::error!(reason = fault.reason, "{}", fault.message);
        }
        cluster.news = news;
        self.take_in();
        self.want_secrets();
    }

    /// What all of it comes to.
    pub fn merged(&self) -> &Merged {
        &self.merged
    }

    /// The generation of this node's object that this agent has taken in; what a cache says of generations may be another
    /// object's.
    pub fn observed_generation(&self) -> Option<i64> {
        self.cluster.as_ref()?.observed
    }

    /// Whether there is something to report to the API server.
    pub fn is_reportable(&self) -> bool {
        self.cluster
            .as_ref()
            .is_some_and(|cluster| cluster.heard || cluster.news.refused_host.is_some())
    }

    /// What is wrong beyond single groups.
    pub fn problems(&self) -> Vec<FaultStatus> {
        let mut problems = self.merged.problems.clone();
        if let Some(cluster) = &self.cluster {
            if let Some(host) = &cluster.news.refused_host {
                problems.push(own_address(host));
            }
            if let Heard::Denied(fault) = &cluster.news.object {
                problems.push(fault.clone());
            }
        }
        problems
    }

    /// The addresses of the host that the kubeconfig names.
    pub fn endpoint(&self) -> BTreeSet<IpAddr> {
        let cluster = self.cluster.as_ref();
        cluster
            .map(|cluster| cluster.news.endpoint.clone())
            .unwrap_or_default()
    }

    /// What is to be kept on disk; `None` if the API never said anything.
    pub fn stored(&self) -> Option<Stored> {
        self.memory.generation?;
        Some(Stored {
            cluster_uid: self.memory.cluster_uid.clone(),
            generation: self.memory.generation,
            groups: self
                .memory
                .groups
                .values()
                .map(|group| group.entry.clone())
                .collect(),
            tombstones: self.memory.tombstones.clone(),
            passwords: self.passwords.clone(),
        })
    }

    /// Whether an agent that starts without the API runs the same with and without what is kept on disk: the API has taken
    /// every group back, and no file can name one of them. What was never heard of may be what another version has kept.
    pub fn are_forgettable(&self) -> bool {
        let no_file_can_name_one = self.files.is_none() || self.memory.tombstones.is_empty();
        self.observed_generation().is_some() && self.memory.groups.is_empty() && no_file_can_name_one
    }

    fn take_in(&mut self) {
        self.merge();
        let taken = self.told().filter(|told| told.unknown_features.is_empty());
        let taken = taken.map(|told| told.generation);
        if let Some(cluster) = &mut self.cluster {
            cluster.heard |= matches!(cluster.news.object, Heard::Absent | Heard::Told(_));
            cluster.observed = taken.or(cluster.observed);
        }
    }

    /// Merges everything and says in the log what is new about it.
    fn merge(&mut self) {
        let merged = {
            let secrets = |source: &SecretSource| self.password(source);
            merge(&Inputs {
                api: self.told(),
                memory: &self.memory,
                files: self.offer.as_ref(),
                secrets: &secrets,
                access: &self.access,
            })
        };
        say_news(&self.merged, &merged);
        self.memory = merged.memory.clone();
        self.passwords = Passwords::of(&self.memory, &self.passwords, &|source| self.password(source));
        self.merged = merged;
    }

    fn told(&self) -> Option<&super::told::Told> {
        match &self.cluster.as_ref()?.news.object {
            Heard::Told(told) => Some(told),
            Heard::Nothing | Heard::Absent | Heard::Denied(_) => None,
        }
    }

    fn password(&self, source: &SecretSource) -> Result<Vec<u8>, String> {
        let cluster = self.cluster.as_ref();
        let secrets = cluster.map(|cluster| Secrets {
            namespace: &cluster.namespace,
            news: &cluster.news.secrets,
            known: &self.passwords,
        });
        secrets::password(source, secrets.as_ref())
    }

    /// Has the Secrets followed that are named by what the API says and said.
    fn want_secrets(&self) {
        let Some(source) = self.cluster.as_ref().and_then(|cluster| cluster.source.as_ref()) else {
            return;
        };
        source.want(self.named_secrets());
    }

    fn named_secrets(&self) -> BTreeSet<String> {
        let told = self.told().into_iter().flat_map(super::told::Told::runs);
        let remembered = self.memory.groups.values().map(|group| &group.entry);
        told.chain(remembered)
            .flat_map(named_secrets)
            .filter_map(|source| match source {
                SecretSource::Secret { name, .. } => Some(name),
                SecretSource::File(_) => None,
            })
            .collect()
    }
}

impl From<Stored> for Memory {
    fn from(stored: Stored) -> Self {
        let remembered = |entry: holdfast_api::v1alpha1::NodeGroup| {
            let group = Remembered {
                entry,
                running: None,
                source: GroupSource::Cache,
            };
            (group.entry.name.clone(), group)
        };
        Self {
            cluster_uid: stored.cluster_uid,
            generation: stored.generation,
            groups: stored.groups.into_iter().map(remembered).collect(),
            tombstones: stored.tombstones,
        }
    }
}

fn own_address(host: &str) -> FaultStatus {
    FaultStatus {
        reason: "APIServerBehindOwnVIP".to_owned(),
        message: format!(
            "{host} is a virtual address of a group that this node runs, so the API server is not asked through it: give \
             the agent an endpoint of this node's own with --api-server (https://127.0.0.1:6443)"
        ),
    }
}

/// Logs what `now` says that `before` did not.
fn say_news(before: &Merged, now: &Merged) {
    for remark in now.remarks.difference(&before.remarks) {
        tracing::warn!("{remark}");
    }
    for problem in now
        .problems
        .iter()
        .filter(|problem| !before.problems.contains(problem))
    {
        tracing::error!(reason = problem.reason, "{}", problem.message);
    }
    for (name, group) in &now.groups {
        let Some(refused) = &group.refused else { continue };
        let known = before.groups.get(name).and_then(|group| group.refused.as_ref());
        if known != Some(refused) {
            let runs = if group.generation.is_some() {
                "; what ran keeps running"
            } else {
                ""
            };
            if refused.ends_with(NO_ANSWER) {
                tracing::debug!(group = name, "refused: {refused}{runs}");
            } else {
                tracing::error!(group = name, "refused: {refused}{runs}");
            }
        }
    }
}

#[cfg(test)]
mod tests;
