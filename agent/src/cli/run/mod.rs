//! `holdfast-agent run`: starts everything in the order that serves addresses soonest, and ends it in the reverse one.

mod cluster;
mod giving_way;
mod leave;
mod ledger;
mod rundir;
mod running;
mod signals;
mod standby;

use core::convert::Infallible;
use core::time::Duration;
use std::sync::Arc;

use anyhow::Context as _;
use holdfast_api::model::NodeSpec;
use holdfast_api::render::NodeFacts;
use holdfast_logging::LogControl;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::exit::Failure;
use super::{MetricsAddress, RunArgs, privilege};
use crate::descriptors;
use crate::lock::{self, Attempt};
use crate::probe::access::Access;
use crate::report::{Shared, http};
use crate::source::{Change, Files, Instructions, Offer, Refusal};
use crate::sys;
use cluster::Cluster;
use leave::Leave;
use rundir::RunDir;
use running::Ended;
use signals::Signals;
use standby::Outcome;

/// Threads beside the main one for files that a slow disk may hold up, and for names that a slow resolver may; their
/// stack in bytes: they do little, but reading a kubeconfig goes deep where nothing is optimised away. What is not touched costs no memory.
const BLOCKING_THREADS: usize = 4;
const BLOCKING_STACK: usize = 1 << 20;

/// How long an agent that gave way does not serve metrics and health: by then the other one does, if it is at the same address.
const GIVE_WAY: Duration = Duration::from_secs(3);

/// How long an agent that gave way to somebody who did not take the groups gives way to nobody.
const KEEP: Duration = Duration::from_secs(10);

/// Runs the agent until it is told to end.
pub fn run(args: RunArgs) -> Result<(), Failure> {
    let control = holdfast_logging::init(&args.log_level, args.log_format);
    privilege::check()?;
    if let Err(error) = descriptors::raise() {
        tracing::warn!("raising how many files and sockets may be open: {error}; probes share what there is");
    }
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
    /// An agent on this node that was not started so is asked for its groups, once this one has them all.
    take_over: bool,
    /// What was taken over with the groups.
    leave: Leave,
    /// Until then nobody gets the groups by asking.
    keeps_until: Instant,
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
        take_over: args.take_over,
        leave: Leave::default(),
        keeps_until: Instant::now(),
    };

    let mut http = None;
    // What this agent ran when it gave way.
    let mut left = None;
    loop {
        let (lock, predecessor) = match lock::take(lock::NAME).await? {
            Attempt::Taken(lock) => {
                if left.is_some() {
                    tracing::warn!(
                        "the agent that asked for the groups did not take them; running them again"
                    );
                    agent.keeps_until = Instant::now() + KEEP;
                }
                (lock, left.take())
            }
            Attempt::Held(holder) if args.no_wait => {
                return Err(Failure::AlreadyRunning { pid: holder.pid });
            }
            Attempt::Held(holder) => {
                let after = if left.take().is_some() {
                    GIVE_WAY
                } else {
                    Duration::ZERO
                };
                http = serve_http(args.metrics_address, &agent.shared, after);
                match standby::wait(&mut agent, holder).await? {
                    Outcome::End => return Ok(()),
                    Outcome::TakeOver(taken) => {
                        agent.catch_up(taken.adopted).await;
                        (taken.lock, taken.predecessor)
                    }
                }
            }
        };
        let start = running::start(&mut agent, lock, predecessor)?;
        if http.is_none() {
            http = serve_http(args.metrics_address, &agent.shared, Duration::ZERO);
        }
        match running::run(&mut agent, start).await? {
            Ended::Told => return Ok(()),
            Ended::Yielded(predecessor) => {
                left = Some(predecessor);
                // The other agent may want the same address.
                drop(http.take());
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

fn serve_http(address: MetricsAddress, shared: &Arc<Shared>, after: Duration) -> Option<Task> {
    let MetricsAddress::At(address) = address else {
        return None;
    };
    let shared = Arc::clone(shared);
    Some(Task(tokio::spawn(async move {
        tokio::time::sleep(after).await;
        http::serve(address, shared).await;
    })))
}

impl Agent {
    /// What is to run.
    fn spec(&mut self) -> NodeSpec {
        self.leave.apply(self.instructions.merged().spec.clone())
    }

    /// Learns what the agent that ran the groups may have heard and this one has not. One whose groups were `adopted` has
    /// compared what it knows with what ran, and goes on with that.
    async fn catch_up(&mut self, adopted: bool) {
        if let (Some(cluster), false) = (&mut self.cluster, adopted) {
            cluster.read_again(&mut self.instructions).await;
            self.protect();
        }
    }

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
