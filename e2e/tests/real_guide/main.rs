//! docs/kubeadm.md, followed word for word on machines with real kubelets, containerd and etcd: every block is written or typed as it
//! stands there, with nothing but the names and addresses changed that its table lets a reader change. Once as it is from top to
//! bottom, and then kept up as it tells; once with HAProxy in front of the API servers, which is then broken in the ways that matter;
//! and once, on fewer machines, with nginx.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

use std::time::Duration;

use holdfast_e2e::guide::Proxy;
use holdfast_lab::harness::{Case, Outcome, main as run};

mod follow;
mod proxy;
mod upkeep;
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
        Case::new(
            "the_guide_makes_a_cluster_with_nginx_that_keeps_its_address",
            with_nginx,
        )
        .alone()
        .timeout(patience),
    ])
}

fn plain() -> Outcome {
    let mut world = World::boot(Layout::Plain)?;
    let played = follow::all(&mut world).and_then(|()| upkeep::play(&mut world));
    let kept = world.story.finish(None);
    played.and(kept)
}

fn with_haproxy() -> Outcome {
    let mut world = World::boot(Layout::Behind(Proxy::Haproxy))?;
    let played = follow::all(&mut world).and_then(|()| proxy::haproxy(&mut world));
    // What was measured is told, also if a step could not be played.
    let kept = world.story.finish(Some("haproxy"));
    played.and(kept)
}

fn with_nginx() -> Outcome {
    let mut world = World::boot(Layout::Behind(Proxy::Nginx))?;
    let played = follow::all(&mut world).and_then(|()| proxy::nginx(&mut world));
    let kept = world.story.finish(None);
    played.and(kept)
}
