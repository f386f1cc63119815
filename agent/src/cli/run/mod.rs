//! `holdfast-agent run`: starts everything in the order that serves addresses soonest, and ends it in the reverse one.

mod cluster;
mod ledger;
mod rundir;
mod running;
mod signals;
mod standby;

use core::convert::Infallible;
use std::sync::Arc;

use anyhow::Context as _;
use holdfast_api::render::NodeFacts;
use holdfast_logging::LogControl;
use tokio::task::JoinHandle;

use super::exit::Failure;
use super::{MetricsAddress, RunArgs, privilege};
use crate::lock::{self, Attempt};
use crate::probe::access::Access;
use crate::report::{Shared, http};
use crate::source::{Change, Files, Instructions, Offer, Refusal};
use crate::sys;
use cluster::Cluster;
use rundir::RunDir;
use signals::Signals;
use standby::Outcome;

/// Threads beside the main one for files that a slow disk may hold up, and for names that a slow resolver may; their
/// stack in bytes: they do little, but reading a kubeconfig goes deep where nothing is optimised away. What is not touched costs no memory.
const BLOCKING_THREADS: usize = 4;
const BLOCKING_STACK: usize = 1 << 20;

/// Runs the agent until it is told to end.
pub fn run(args: RunArgs) -> Result<(), Failure> {
    let control = holdfast_logging::init(&args.log_level, args.log_format);
    privilege::check()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_stack_size(BLOCKING_STACK)
        .build()
        .context("starting the runtime")?;
    let outcome = runtime.block_on(agent(args, control));
    // A disk that hangs must not keep the process.
    runtime.shutdown_background();
    outcome
}

/// What all phases of a run share.
struct Agent {
    shared: Arc<Shared>,
    instructions: Instructions,
    /// None for a node on its own.
    cluster: Option<Cluster>,
    /// What of this node probes can see and may run.
    access: Access,
    run_dir: RunDir,
    /// Connections of addresses that leave this node are not closed.
    keep_connections: bool,
    signals: Signals,
}

async fn agent(args: RunArgs, control: LogControl) -> Result<(), Failure> {
    // First of all, so that a signal sent while the agent starts is not lost.
    let signals = Signals::listen()?;
    let shared = Arc::new(Shared::new(&args.node, control));
    let facts = NodeFacts {
        name: args.node.clone(),
        labels: args.labels.to_map(),
    };
    let access = args.access.to_access();
    let files = args.config.map(|path| Files::new(&path, facts));
    let (instructions, cluster) = match files {
        Some(files) if !args.cluster.kubernetes => (alone(files, access.clone())?, None),
        files => {
            let (instructions, cluster) = cluster::join(files, args.cluster, access.clone(), &shared);
            (instructions, Some(cluster))
        }
    };
    if let Some(offer) = instructions.offer() {
        say(offer, &shared);
    }
    // Reading files has taken several times the memory of what they say, which would otherwise be kept for ever.
    sys::release_freed_memory();
    let mut agent = Agent {
        shared,
        instructions,
        cluster,
        access,
        run_dir: RunDir::new(args.run_dir.run_dir),
        keep_connections: args.keep_connections,
        signals,
    };

    match lock::take(lock::NAME).await? {
        Attempt::Taken(lock) => {
            let start = running::start(&mut agent, lock, None)?;
            let _http = serve_http(args.metrics_address, &agent.shared);
            running::run(agent, start).await
        }
        Attempt::Held(holder) if args.no_wait => Err(Failure::AlreadyRunning { pid: holder.pid }),
        Attempt::Held(holder) => {
            let _http = serve_http(args.metrics_address, &agent.shared);
            match standby::wait(&mut agent, holder).await? {
                Outcome::TakeOver { lock, predecessor } => {
                    if let Some(cluster) = &mut agent.cluster {
                        cluster.read_again(&mut agent.instructions).await;
                        agent.protect();
                    }
                    let start = running::start(&mut agent, lock, predecessor)?;
                    running::run(agent, start).await
                }
                Outcome::End => Ok(()),
            }
        }
    }
}

/// The instructions of a node on its own, which has to have some.
fn alone(files: Files, access: Access) -> Result<Instructions, Failure> {
    Instructions::of_files(files, access).map_err(|refusal| {
        let problems = refusal.problems.join("\n  ");
        Failure::NothingToRun(format!(
            "the configuration has nothing valid to run:\n  {problems}"
        ))
    })
}

/// Ends a task with the value that holds it.
struct Task(JoinHandle<()>);

impl Task {
    fn spawn(future: impl Future<Output = Infallible> + Send + 'static) -> Self {
        Self(tokio::spawn(async move { match future.await {} }))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn serve_http(address: MetricsAddress, shared: &Arc<Shared>) -> Option<Task> {
    match address {
        MetricsAddress::Off => None,
        MetricsAddress::At(address) => Some(Task(tokio::spawn(http::serve(address, Arc::clone(shared))))),
    }
}

impl Agent {
    /// Takes in what has changed. What is wrong with it is in the log and the status; what ran keeps running.
    fn update(&mut self, change: Change) {
        match change {
            Change::Files => self.read_files(),
            Change::Api => self.instructions.hear(),
        }
        self.protect();
    }

    fn read_files(&mut self) {
        let (outcome, watched) = self.instructions.read_files();
        if let Err(limitation) = watched {
            self.shared.add_limitation(&limitation);
        }
        match (outcome, self.instructions.offer()) {
            (Ok(()), Some(offer)) => say(offer, &self.shared),
            (Ok(()), None) => {}
            (Err(refusal), _) => refuse(refusal, &self.shared),
        }
    }

    /// Keeps the agent from reaching the API server through an address of what it is to run.
    fn protect(&self) {
        if let Some(cluster) = &self.cluster {
            cluster.protect(&self.instructions.merged().spec);
        }
    }

    /// Starts to notice changes of the configuration.
    fn watch(&mut self) {
        if let Err(limitation) = self.instructions.watch_files() {
            self.shared.add_limitation(&limitation);
        }
    }
}

/// Says that files were not taken.
fn refuse(refusal: Refusal, shared: &Shared) {
    for problem in &refusal.problems {
        tracing::error!("{problem}");
    }
    tracing::error!("the configuration was not applied; what ran keeps running");
    shared.set_problems(refusal.problems);
}

/// Logs what should be known of an offer and puts it into the status.
fn say(offer: &Offer, shared: &Shared) {
    for warning in &offer.warnings {
        tracing::warn!("{warning}");
    }
    for problem in &offer.problems {
        tracing::error!("{problem}");
    }
    if !offer.problems.is_empty() {
        tracing::error!("the files named above are left out; the others run");
    }
    if offer.spec.groups.is_empty() {
        tracing::warn!(
            "no group selects this node, by its name or its labels: {} (see nodeSelector, --node and --node-label)",
            offer.not_here.join(", ")
        );
    }
    let refused = offer.refused.iter();
    let refused =
        refused.map(|(group, sentence)| format!("group {group} is refused on this node: {sentence}"));
    shared.set_problems(offer.problems.iter().cloned().chain(refused).collect());
}
