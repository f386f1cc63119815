//! What an agent of a cluster has beside its instructions: the way to the API server, the cache on disk, the reporter.

use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::Arc;

use holdfast_api::model::NodeSpec;
use kube::Client;

use super::ledger::{Ledger, Present};
use crate::api_server::{Access, ApiServer};
use crate::cli::ClusterArgs;
use crate::probe::access;
use crate::report::Shared;
use crate::report::kubernetes::{self, Reporter};
use crate::source::cache::{Cache, Stored, Writer};
use crate::source::{ApiSource, Files, Instructions};
use crate::status::FaultStatus;

/// How long the end may be delayed for a last report, and for the cache.
const LAST_REPORT: Duration = Duration::from_secs(2);
const LAST_WRITE: Duration = Duration::from_secs(2);

/// The same for somebody in a hurry.
const HASTY: Duration = Duration::from_millis(100);

/// How long the cache may take to be read when this agent takes over.
const LAST_LOOK: Duration = Duration::from_millis(200);

/// What an agent has from the start, as a standby too.
pub struct Cluster {
    server: ApiServer,
    client: Client,
    namespace: String,
    cache: Cache,
    /// What the cache held at the start.
    stored: Option<Stored>,
}

/// What the one has that runs the groups.
pub struct Membership {
    /// What it was before, and is again if it stands by.
    cluster: Cluster,
    cache: Writer,
    reporter: Reporter,
    ledger: Ledger,
    /// The groups that agents standing by on this node have in files.
    on_file: BTreeSet<String>,
}

/// Reads what is on disk and starts to hear the API, which nothing waits for.
pub fn join(
    files: Option<Files>,
    args: ClusterArgs,
    probes: access::Access,
    shared: &Arc<Shared>,
) -> (Instructions, Cluster) {
    let cache = Cache::new(args.cache_dir, shared.node());
    let stored = cache.read();
    let (mut instructions, refusal) =
        Instructions::of_cluster(files, stored.clone(), &args.namespace, probes);
    if let Some(refusal) = refusal {
        super::refuse(refusal, shared);
    }
    let server = ApiServer::new(Access {
        kubeconfig: args.kubeconfig,
        server: args.api_server,
    });
    let client = server.client(&args.namespace);
    let cluster = Cluster {
        server,
        client,
        namespace: args.namespace,
        cache,
        stored,
    };
    // Before the first connection.
    cluster.protect(&instructions.merged().spec);
    let told = Arc::clone(shared);
    instructions.follow(ApiSource::start(
        &cluster.server,
        &cluster.client,
        shared.node(),
        &cluster.namespace,
        move |status| told.set_stored_status(status),
    ));
    (instructions, cluster)
}

impl Cluster {
    /// Never reach the API server through an address of `spec`.
    pub fn protect(&self, spec: &NodeSpec) {
        self.server.protect(Ledger::default().addresses(spec));
    }

    /// Reads the cache again: the agent that ran the groups while this one stood by may have heard what this one has not.
    pub async fn read_again(&mut self, instructions: &mut Instructions) {
        let cache = self.cache.clone();
        let read = tokio::task::spawn_blocking(move || cache.read());
        // Addresses are waiting; a disk that hangs leaves what was read before.
        if let Ok(Ok(stored)) = tokio::time::timeout(LAST_LOOK, read).await {
            self.stored.clone_from(&stored);
            instructions.recall(stored);
        }
    }

    /// From now on this agent runs the groups: it writes the cache and reports.
    pub fn serve(self, shared: &Arc<Shared>) -> Membership {
        Membership {
            cache: Writer::start(self.cache.clone(), self.stored.clone()),
            reporter: kubernetes::spawn(self.client.clone(), self.namespace.clone(), Arc::clone(shared)),
            ledger: Ledger::default(),
            on_file: BTreeSet::new(),
            cluster: self,
        }
    }
}

impl Membership {
    /// The engine was told to go from `before` to `now`.
    pub fn change(&mut self, before: &NodeSpec, now: &NodeSpec) {
        self.ledger.change(before, now);
        self.cluster.server.protect(self.ledger.addresses(now));
    }

    /// Whether a withdrawn group may still hold addresses.
    pub fn is_anybody_leaving(&self) -> bool {
        self.ledger.is_anybody_leaving()
    }

    /// The engine has these groups and no others, and is to run `spec`.
    pub fn keep_leaving(&mut self, present: &BTreeSet<String>, spec: &NodeSpec) {
        if self.ledger.keep_leaving(present) {
            self.cluster.server.protect(self.ledger.addresses(spec));
        }
    }

    /// These groups are in files of agents that stand by on this node. Answers whether that is news.
    pub fn note_on_file(&mut self, groups: BTreeSet<String>) -> bool {
        let news = self.on_file != groups;
        self.on_file = groups;
        news
    }

    /// Something happened that others may be waiting to hear.
    pub fn report(&self) {
        self.reporter.transition();
    }

    /// Has what is in force kept on disk, and acknowledged as far as it is.
    pub fn acknowledge(&mut self, instructions: &Instructions, shared: &Shared) {
        if let Some(stored) = instructions.stored() {
            self.cache.put(stored);
        }
        let mut problems = instructions.problems();
        problems.extend(self.cache.problem().map(|message| FaultStatus {
            reason: "CacheNotWritable".to_owned(),
            message,
        }));
        let applied = self.ledger.acknowledge(Present {
            merged: instructions.merged(),
            observed_generation: instructions.observed_generation(),
            endpoint: &instructions.endpoint(),
            on_file: &self.on_file,
            problems,
            settled: self.cache.is_settled(),
        });
        // What the API server was told before this agent started stays true until the API was heard.
        if instructions.is_reportable() && shared.applied_spec().as_ref() != Some(&applied) {
            shared.set_applied_spec(applied);
            self.reporter.transition();
        }
    }

    /// Waits until the cache has come further. Safe to cancel.
    pub async fn cached(&mut self) {
        self.cache.changed().await;
    }

    /// From now on another agent of this node runs the groups, and reports if it can: this one does not.
    pub async fn rest(self, instructions: &Instructions) -> Cluster {
        drop(self.reporter);
        // What is not written now is told again by the API.
        let _ = tokio::time::timeout(LAST_WRITE, self.cache.finish()).await;
        Cluster {
            stored: instructions.stored(),
            ..self.cluster
        }
    }

    /// Ends after the groups were handed over to other nodes. What the next start would not miss does not stay on the disk.
    pub async fn leave(self, instructions: &Instructions, in_a_hurry: bool) {
        let (report, write) = if in_a_hurry {
            (HASTY, HASTY)
        } else {
            (LAST_REPORT, LAST_WRITE)
        };
        self.reporter.finish(report).await;
        let last = async {
            if instructions.are_forgettable() {
                self.cache.remove().await;
            } else {
                self.cache.finish().await;
            }
        };
        // What is not written now is told again by the API.
        let _ = tokio::time::timeout(write, last).await;
    }
}
