//! What befalls a control plane behind HAProxy.

use std::{thread, time::Duration};

use holdfast_e2e::{Result, guide::Part, outages::Promise};
use holdfast_lab::{kubeadm::Member, wait_until};

use crate::{
    follow::two_lines,
    world::{PATIENCE, World},
};

/// The steps, in the order in which they are played.
pub fn play(world: &mut World) -> Result<()> {
    world.step(
        "the active node's API server is killed",
        Promise::BEHIND_THE_PROXY,
        api_server_killed,
    )?;
    world.step(
        "the active node's HAProxy ends, and returns",
        Promise::PROBED,
        proxy_ends,
    )?;
    world.step("the active node is lost", Promise::FAILOVER, active_is_lost)?;
    world.step("the lost node returns", Promise::UNDISTURBED, lost_one_returns)
}

/// SIGKILL, and the kubelet starts it again.
fn api_server_killed(world: &mut World) -> Result<()> {
    let active = world.active()?;
    assert_eq!(world.member(&active)?.signal("kube-apiserver", "KILL")?, 1);
    world.wait_for_api_servers()?;
    world.expect_active(&active, "the proxy goes on with the other API servers")
}

/// The lines of the guide, one after the other.
fn proxy_ends(world: &mut World) -> Result<()> {
    let active = world.active()?;
    let lines = world.block(Part::HaproxyTry)?;
    let [end, begin] = two_lines(&lines)?;
    world.type_on(&active, end)?;
    let next = world.wait_for_another_than(&active)?;
    world.type_on(&active, begin)?;
    let member = world.member(&active)?;
    wait_until("HAProxy runs again", PATIENCE, || {
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
