//! What befalls a control plane behind a proxy.

use std::{thread, time::Duration};

use holdfast_e2e::{
    Result,
    guide::{Part, Proxy},
    outages::Promise,
};
use holdfast_lab::{kubeadm::Member, wait_until};

use crate::{
    follow::two_lines,
    world::{PATIENCE, World},
};

/// The steps with HAProxy, in the order in which they are played.
pub fn haproxy(world: &mut World) -> Result<()> {
    world.step(
        "the active node's API server is killed",
        api_server_lost(Proxy::Haproxy),
        api_server_killed,
    )?;
    world.step(
        "the active node's HAProxy ends, and returns",
        Promise::PROBED,
        |world| proxy_ends(world, Proxy::Haproxy),
    )?;
    world.step("the active node is lost", Promise::FAILOVER, active_is_lost)?;
    world.step("the lost node returns", Promise::UNDISTURBED, lost_one_returns)
}

/// Those with nginx: what befalls nodes and API servers is the same behind any proxy.
pub fn nginx(world: &mut World) -> Result<()> {
    world.step(
        "the active node's nginx ends, and returns",
        Promise::PROBED,
        |world| proxy_ends(world, Proxy::Nginx),
    )
}

/// What it costs that an API server is lost behind the proxy, and comes back.
pub fn api_server_lost(proxy: Proxy) -> Promise {
    match proxy {
        Proxy::Haproxy => Promise::BEHIND_THE_PROXY,
        // It leads a client also to an API server that listens and is not ready, for as long as that takes.
        Proxy::Nginx => Promise {
            established: Duration::from_secs(10),
            ..Promise::BEHIND_THE_PROXY
        },
    }
}

/// SIGKILL, and the kubelet starts it again.
fn api_server_killed(world: &mut World) -> Result<()> {
    let active = world.active()?;
    assert_eq!(world.member(&active)?.signal("kube-apiserver", "KILL")?, 1);
    world.wait_for_api_servers()?;
    world.expect_active(&active, "the proxy goes on with the other API servers")
}

/// The lines of the guide, one after the other.
fn proxy_ends(world: &mut World, proxy: Proxy) -> Result<()> {
    let active = world.active()?;
    let lines = world.block(Part::ProxyTry(proxy))?;
    let [end, begin] = two_lines(&lines)?;
    world.type_on(&active, end)?;
    let next = world.wait_for_another_than(&active)?;
    world.type_on(&active, begin)?;
    let member = world.member(&active)?;
    let what = format!("{} runs again", proxy.name());
    wait_until(&what, PATIENCE, || {
        thread::sleep(Duration::from_millis(200));
        let listening = member.machine().exec("ss", &["-Hltn", "sport", "=", ":8443"])?;
        Ok(!listening.stdout.is_empty())
    })?;
    world.expect_active(&next, "when the proxy is back")
}

/// Its cable is pulled, then its plug.
fn active_is_lost(world: &mut World) -> Result<()> {
    let lost = world.active()?;
    world.member_mut(&lost)?.lose()?;
    world.wait_for_another_than(&lost).map(drop)
}

/// Nothing moves for a node that returns.
fn lost_one_returns(world: &mut World) -> Result<()> {
    let active = world.active()?;
    let off = |member: &&mut Member| !member.machine().is_on();
    for member in world.members.iter_mut().filter(off) {
        member.bring_back()?;
    }
    world.wait_for_api_servers()?;
    world.expect_active(&active, "when the lost node is back")
}
