//! Runs seeds, in parallel and with nobody watching, and shows a failing one again for a person to read.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::flapping;
use crate::generate;
use crate::invariants::Violation;
use crate::mutation::Mutation;
use crate::scenario::Scenario;
use crate::trace::Trace;
use crate::world::World;

/// How many lines of the trace a failure shows.
const TAIL: usize = 60;

/// The environment variable with the number of random scenarios.
pub const SEEDS: &str = "HOLDFAST_SIM_SEEDS";

/// The environment variable with the seed to replay.
pub const SEED: &str = "HOLDFAST_SIM_SEED";

/// The environment variable that says in which kind of worlds it is replayed.
pub const WORLDS: &str = "HOLDFAST_SIM_WORLDS";

/// A kind of worlds that seeds are drawn into.
#[derive(Clone, Copy)]
pub enum Worlds {
    /// Everything happens.
    Random,
    /// One node's services come and go, and nothing else happens.
    Flapping,
}

impl Worlds {
    /// The kind of worlds in the environment.
    pub fn from_environment() -> Self {
        match std::env::var(WORLDS).as_deref() {
            Ok("flapping") => Self::Flapping,
            _ => Self::Random,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Flapping => "flapping",
        }
    }

    fn scenario(self, seed: u64) -> Scenario {
        match self {
            Self::Random => generate::scenario(seed),
            Self::Flapping => flapping::scenario(seed),
        }
    }
}

/// The number in the environment variable `name`, if there is one.
pub fn number_from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Why a scenario did not end well.
#[derive(Clone, Debug)]
pub enum Failure {
    /// An invariant did not hold.
    Violated(Violation),
    /// The code under test panicked, which it must not on any input.
    Panicked,
}

/// Runs the scenario of `seed` in a world with `mutation`.
pub fn run(worlds: Worlds, seed: u64, mutation: Mutation) -> Result<(), Failure> {
    let world = || World::new(worlds.scenario(seed), seed, mutation, Trace::unwanted()).run();
    match catch_unwind(AssertUnwindSafe(world)) {
        Ok(result) => result.map_err(Failure::Violated),
        Err(_) => Err(Failure::Panicked),
    }
}

/// Runs `seeds`, and returns the lowest one that failed, if any did.
pub fn run_all(worlds: Worlds, seeds: core::ops::Range<u64>) -> Option<(u64, Failure)> {
    let next = AtomicU64::new(seeds.start);
    // Seeds above one that failed are not of interest any more.
    let end = AtomicU64::new(seeds.end);
    let worker = || {
        let mut found = None;
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end.load(Ordering::Relaxed) {
                return found;
            }
            if let Err(failure) = run(worlds, seed, Mutation::None) {
                end.fetch_min(seed, Ordering::Relaxed);
                found = Some((seed, failure));
            }
        }
    };
    let threads = thread::available_parallelism().map_or(2, usize::from);
    let found: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        workers
            .into_iter()
            .filter_map(|worker| worker.join().ok().flatten())
            .collect()
    });
    found.into_iter().min_by_key(|(seed, _)| *seed)
}

/// What a person needs who is to find out why `seed` failed: the command, the end of the trace, and what was wrong.
pub fn explain(worlds: Worlds, seed: u64, failure: &Failure) -> String {
    let (lines, result) = trace(worlds, seed);
    let shown = lines.len().saturating_sub(TAIL);
    let wrong = match (failure, result) {
        (_, Err(violation)) => violation.to_string(),
        (failure, Ok(())) => format!("{failure:?}"),
    };
    format!(
        "\n{}\n\nseed {seed}: {wrong}\nthe whole trace: {WORLDS}={} {SEED}={seed} cargo test -p holdfast-vrrp --test sim -- replay --nocapture\n",
        lines[shown..].join("\n"),
        worlds.name()
    )
}

/// The scenario of `seed` in full, and how it ended.
pub fn trace(worlds: Worlds, seed: u64) -> (Vec<String>, Result<(), Violation>) {
    let scenario = worlds.scenario(seed);
    let mut lines = vec![format!("{:#?}", scenario.setup)];
    let mut world = World::new(scenario, seed, Mutation::None, Trace::wanted());
    // After a panic the trace up to it is what there is to see.
    let result = catch_unwind(AssertUnwindSafe(|| world.run())).unwrap_or(Ok(()));
    lines.extend_from_slice(world.trace.lines());
    (lines, result)
}
