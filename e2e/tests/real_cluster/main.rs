//! A real cluster, from before it is there to its end: three control-plane nodes and a worker, with real kubelets, containerd
//! and etcd, whose control plane is reached at an address that Holdfast holds. One cluster, one step after another, and a
//! client that measures what each step costs.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

use std::time::Duration;

use holdfast_lab::harness::{Case, Outcome, main as run};

mod administration;
mod bring_up;
mod chosen;
mod steps;
mod world;

use world::World;

fn main() -> std::process::ExitCode {
    run(&[Case::new("a_real_cluster_keeps_its_address", scenario).timeout(Duration::from_mins(40))])
}

fn scenario() -> Outcome {
    let mut world = World::bring_up()?;
    let played = steps::play(&mut world);
    // What was measured is told, also if a step could not be played.
    let kept = world.finish();
    played.and(kept)
}
