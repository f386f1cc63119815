//! What befalls etcd.

use std::{
    thread,
    time::{Duration, Instant},
};

use holdfast_e2e::Result;
use holdfast_lab::{kubeadm::MANIFESTS, wait_until};

use super::WHILE;
use crate::world::{PATIENCE, PLANE, VIP, World};

/// Where the manifest of an etcd that is to be lost is put.
const ASIDE: &str = "/etc/kubernetes/etcd.yaml";

/// The API server beside it knows no other etcd and is not ready without it: the address goes to a node whose etcd is there.
pub fn member_lost(world: &mut World) -> Result<()> {
    let active = world.active()?;
    take_away(world, &active)?;
    world.wait_for_another_than(&active, VIP, PATIENCE)?;
    Ok(())
}

/// No API server is ready: the address stays on one node, once all probes have found out.
pub fn quorum_lost(world: &mut World) -> Result<()> {
    let active = world.active()?;
    take_away(world, &active)?;
    // Until every probe has found out.
    thread::sleep(WHILE);
    let holder = world.active()?;
    let end = Instant::now() + WHILE;
    while Instant::now() < end {
        assert_eq!(world.active()?, holder, "without quorum the address stays");
        thread::sleep(Duration::from_millis(100));
    }
    for name in PLANE {
        let machine = world.member(name).machine();
        if machine.path(ASIDE)?.exists() {
            machine.run("mv", &[ASIDE, &format!("{MANIFESTS}/etcd.yaml")])?;
        }
    }
    world.visitor.wait_for_answers(PATIENCE)?;
    world.wait_until_whole()?;
    assert_eq!(
        world.meter.holders(VIP).len(),
        1,
        "who holds the address afterwards"
    );
    Ok(())
}

fn take_away(world: &mut World, name: &str) -> Result<()> {
    let member = world.member(name);
    member
        .machine()
        .run("mv", &[&format!("{MANIFESTS}/etcd.yaml"), ASIDE])?;
    wait_until(&format!("etcd on {name} has ended"), PATIENCE, || {
        thread::sleep(Duration::from_millis(200));
        Ok(member.pids_of("etcd")?.is_empty())
    })?;
    Ok(())
}
