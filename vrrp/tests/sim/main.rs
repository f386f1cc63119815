//! Many virtual routers in a virtual world: a simulator with a virtual clock and a seeded chance, in which frames are
//! lost, late, doubled and damaged, links are cut, clocks drift, processes are frozen, killed and replaced, and probes find
//! whatever they like.
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
mod flapping;
mod generate;
mod handovers;
mod invariants;
mod kernel;
mod moves;
mod mutants;
mod mutation;
mod network;
mod node;
mod probing;
mod replay;
mod rng;
mod scenario;
mod script;
mod shared_failures;
mod splits;
mod trace;
mod watched;
mod world;

use crate::replay::Worlds;

/// How many random scenarios run unless the environment says otherwise.
const DEFAULT_SEEDS: u64 = 4000;

/// One in so many scenarios is a long one with one flapping node.
const FLAPPING: u64 = 80;

fn holds_in(worlds: Worlds, part: u64) {
    let seeds = replay::number_from_environment(replay::SEEDS).unwrap_or(DEFAULT_SEEDS);
    if let Some((seed, failure)) = replay::run_all(worlds, 0..seeds / part) {
        panic!("{}", replay::explain(worlds, seed, &failure));
    }
}

#[test]
fn every_invariant_holds_in_thousands_of_random_worlds() {
    holds_in(Worlds::Random, 1);
}

#[test]
fn every_invariant_holds_and_addresses_do_not_swing_where_one_node_flaps_for_long() {
    holds_in(Worlds::Flapping, FLAPPING);
}

#[test]
fn replay_shows_the_trace_of_the_seed_in_the_environment() {
    let seed = replay::number_from_environment(replay::SEED).unwrap_or_default();
    let (lines, result) = replay::trace(Worlds::from_environment(), seed);
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
        let trace = || replay::trace(Worlds::Random, seed).0;
        assert_eq!(trace(), trace(), "seed {seed}");
    }
}
