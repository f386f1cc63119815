//! `holdfast-agent run`: starts everything in the order that serves addresses soonest, and ends it in the reverse one.

mod rundir;
mod running;
mod signals;
mod standby;

use std::sync::Arc;

use anyhow::Context as _;
use holdfast_api::render::NodeFacts;
use tokio::task::JoinHandle;

use super::exit::Failure;
use super::{MetricsAddress, RunArgs, privilege};
use crate::lock::{self, Attempt};
use crate::report::{Shared, http, log};
use crate::source::{Files as Source, Offer};
use crate::sys;
use rundir::RunDir;
use signals::Signals;
use standby::Outcome;

/// Threads beside the main one for files that a slow disk may hold up, and their stack in bytes: they do little.
const BLOCKING_THREADS: usize = 2;
const BLOCKING_STACK: usize = 256 << 10;

/// Runs the agent until it is told to end.
pub fn run(args: RunArgs) -> Result<(), Failure> {
    let control = log::init(&args.log_level, args.log_format);
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
    source: Source,
    /// The configuration that will be in force as soon as this agent runs the groups.
    offer: Offer,
    run_dir: RunDir,
    signals: Signals,
}

async fn agent(args: RunArgs, control: log::LogControl) -> Result<(), Failure> {
    // First of all, so that a signal sent while the agent starts is not lost.
    let signals = Signals::listen()?;
    let shared = Arc::new(Shared::new(&args.node, control));
    let facts = NodeFacts {
        name: args.node.clone(),
        labels: args.labels.to_map(),
    };
    let mut source = Source::new(&args.config, facts);
    let offer = source.first().map_err(|refusal| {
        let problems = refusal.problems.join("\n  ");
        Failure::NothingToRun(format!(
            "the configuration has nothing valid to run:\n  {problems}"
        ))
    })?;
    say(&offer, &shared);
    // Reading files has taken several times the memory of what they say, which would otherwise be kept for ever.
    sys::release_freed_memory();
    let mut agent = Agent {
        shared,
        source,
        offer,
        run_dir: RunDir::new(args.run_dir.run_dir),
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
                    let start = running::start(&mut agent, lock, predecessor)?;
                    running::run(agent, start).await
                }
                Outcome::End => Ok(()),
            }
        }
    }
}

/// Ends a task with the value that holds it.
struct Task(JoinHandle<()>);

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
    /// Reads the configuration again. Answers the offer if there is a new one that may be run; what is wrong with it
    /// is in the log and the status otherwise.
    fn reload(&mut self) -> Option<Offer> {
        let outcome = self.source.load();
        if let Err(limitation) = self.source.watch_again() {
            self.shared.add_limitation(&limitation);
        }
        match outcome {
            Ok(offer) => {
                say(&offer, &self.shared);
                Some(offer)
            }
            Err(refusal) => {
                for problem in &refusal.problems {
                    tracing::error!("{problem}");
                }
                tracing::error!("the configuration was not applied; what ran keeps running");
                self.shared.set_problems(refusal.problems);
                None
            }
        }
    }

    /// Starts to notice changes of the configuration.
    fn watch(&mut self) {
        if let Err(limitation) = self.source.watch() {
            self.shared.add_limitation(&limitation);
        }
    }
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
    shared.set_problems(offer.problems.clone());
}
