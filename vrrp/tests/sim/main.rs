//! Many virtual routers in a virtual world: a simulator with a virtual clock and a seeded chance, in which frames are
//! lost, late, doubled and damaged, links are cut, clocks drift, and processes are frozen, killed and replaced.
//!
//! `HOLDFAST_SIM_SEEDS=100000 cargo test -p holdfast-vrrp --test sim` runs that many random scenarios;
//! `HOLDFAST_SIM_SEED=123 cargo test -p holdfast-vrrp --test sim -- replay --nocapture` shows one of them line by line.

// Everything here is a test; clippy's exception for tests sees the functions marked as such only.
#![allow(clippy::panic)]

mod bounds;
mod checker;
mod clock;
mod components;
mod draw;
mod elections;
mod generate;
mod handovers;
mod invariants;
mod kernel;
mod mutants;
mod mutation;
mod network;
mod node;
mod replay;
mod rng;
mod scenario;
mod script;
mod trace;
mod world;

use crate::mutation::Mutation;

/// How many random scenarios run unless the environment says otherwise.
const DEFAULT_SEEDS: u64 = 4000;

#[test]
fn every_invariant_holds_in_thousands_of_random_worlds() {
    let seeds = replay::number_from_environment(replay::SEEDS).unwrap_or(DEFAULT_SEEDS);
    if let Some((seed, failure)) = replay::run_all(0..seeds, Mutation::None) {
        panic!("{}", replay::explain(seed, &failure));
    }
}

#[test]
fn replay_shows_the_trace_of_the_seed_in_the_environment() {
    let seed = replay::number_from_environment(replay::SEED).unwrap_or_default();
    let (lines, result) = replay::trace(seed);
    for line in &lines {
        println!("{line}");
    }
    if let Err(violation) = result {
        panic!("{violation}");
    }
}

#[test]
fn the_same_seed_gives_the_same_world() {
    for seed in 0..20 {
        assert_eq!(replay::trace(seed).0, replay::trace(seed).0, "seed {seed}");
    }
}
