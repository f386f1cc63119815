//! docs/kubeadm.md, followed word for word on machines with real kubelets, containerd and etcd: every block is written or typed as it
//! stands there, with nothing but the names and addresses changed that its table lets a reader change. Once as it is from top to
//! bottom, and once with HAProxy in front of the API servers, which is then broken in the ways that matter.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

use std::time::Duration;

use holdfast_lab::harness::{Case, Outcome, main as run};

mod follow;
mod haproxy;
mod world;

use world::{Layout, World};

fn main() -> std::process::ExitCode {
    let patience = Duration::from_mins(20);
    run(&[
        Case::new("the_guide_makes_a_cluster_that_keeps_its_address", plain)
            .alone()
            .timeout(patience),
        Case::new(
            "the_guide_makes_a_cluster_with_haproxy_that_keeps_its_address",
            with_haproxy,
        )
        .alone()
        .timeout(patience),
    ])
}

fn plain() -> Outcome {
    let mut world = World::boot(Layout::Plain)?;
    let played = follow::all(&mut world);
    let kept = world.story.finish(None);
    played.and(kept)
}

fn with_haproxy() -> Outcome {
    let mut world = World::boot(Layout::Haproxy)?;
    let played = follow::all(&mut world).and_then(|()| haproxy::play(&mut world));
    // What was measured is told, also if a step could not be played.
    let kept = world.story.finish(Some("haproxy"));
    played.and(kept)
}
