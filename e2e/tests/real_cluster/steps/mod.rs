//! The steps, in the order in which they are played. Each is a promise.

use std::time::Duration;

use holdfast_e2e::{Result, outages::Promise};

use crate::world::{PLANE, World};

mod agents;
mod etcd;
mod examples;
mod install;
mod nodes;
mod plane;
mod service;
mod skew;

/// For how long a thing that must not happen is waited for.
const WHILE: Duration = Duration::from_secs(15);

/// What befalls a control plane whose address a static Pod holds.
pub fn play(world: &mut World) -> Result<()> {
    agents::have_two_capabilities(world, &PLANE)?;
    world.step(
        "the active node is lost",
        Promise::FAILOVER,
        nodes::active_is_lost,
    )?;
    world.step(
        "the lost node returns",
        Promise::UNDISTURBED,
        nodes::lost_one_returns,
    )?;
    world.step(
        "the active node's API server is killed",
        Promise::PROBED,
        plane::api_server_killed,
    )?;
    world.step(
        "the active node's API server crashes again and again",
        Promise::PROBED,
        plane::api_server_crash_loops,
    )?;
    world.step(
        "the active node's kubelet is stopped",
        Promise::UNDISTURBED,
        plane::kubelet_stopped,
    )?;
    world.step(
        "the active node's agent is killed",
        Promise::AGENT,
        agents::killed,
    )?;
    world.step(
        "the active node's agent is frozen, and thawed",
        Promise::AGENT,
        agents::frozen,
    )?;
    world.step("the active node's etcd is lost", Promise::ETCD, etcd::member_lost)?;
    world.step(
        "etcd's quorum is lost, and comes back",
        Promise::NO_QUORUM,
        etcd::quorum_lost,
    )?;
    world.step(
        "the active node is cut off from the other two",
        Promise::SPLIT,
        nodes::split,
    )?;
    world.step(
        "all nodes start from cold, at once",
        Promise::COLD_START,
        nodes::cold_start,
    )?;
    with_helm(world)
}

/// What befalls it, and a worker's service, once the operator is there.
fn with_helm(world: &mut World) -> Result<()> {
    world.step(
        "helm install; the static Pods' group becomes an object",
        Promise::UNDISTURBED,
        install::helm_install,
    )?;
    world.step(
        "a worker's service gets an address",
        Promise::UNDISTURBED,
        service::begins,
    )?;
    world.step(
        "the static Pods are removed",
        Promise::UNDISTURBED,
        install::static_pods_removed,
    )?;
    world.step(
        "the examples are applied and deleted",
        Promise::UNDISTURBED,
        examples::applied,
    )?;
    service_breaks(world)?;
    world.step(
        "the active node is drained, onCordon: Ignore",
        Promise::UNDISTURBED,
        install::drained_and_ignored,
    )?;
    world.step(
        "the active node is drained, onCordon: Demote",
        Promise::HANDED_OVER,
        install::drained_and_demoted,
    )?;
    world.step(
        "the active node is drained, onCordon: Release",
        Promise::HANDED_OVER,
        install::drained_and_released,
    )?;
    world.step(
        "the DaemonSet is rolled out anew",
        Promise::HANDED_OVER,
        install::rolling_update,
    )?;
    world.step(
        "helm upgrade, helm rollback",
        Promise::HANDED_OVER,
        install::upgraded_and_rolled_back,
    )?;
    skew::play(world)?;
    world.step(
        "the service's group is deleted",
        Promise::UNDISTURBED,
        service::ends,
    )?;
    world.step(
        "the static Pods return; helm uninstall",
        Promise::HANDED_OVER,
        install::uninstalled,
    )
}

/// What befalls the service, and the worker that serves it.
fn service_breaks(world: &mut World) -> Result<()> {
    world.step(
        "the service on its node ends, and returns",
        Promise::SERVICE_ENDED,
        service::dies,
    )?;
    world.step(
        "the service's node is drained, onCordon: Release",
        Promise::UNDISTURBED,
        service::node_is_drained,
    )?;
    world.step(
        "the service's node is lost",
        Promise::SERVICE_LOST,
        service::node_is_lost,
    )?;
    world.step(
        "the service's node returns",
        Promise::UNDISTURBED,
        service::node_returns,
    )
}
