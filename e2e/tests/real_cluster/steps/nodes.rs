//! What befalls whole nodes, and the network between them.

use std::{thread, time::Duration};

use holdfast_e2e::Result;
use holdfast_lab::{Node, kubeadm::Member, wait_until};

use super::WHILE;
use crate::world::{PATIENCE, PLANE, VIP, World};

/// Its cable is pulled, then its plug; another serves in its place.
pub fn active_is_lost(world: &mut World) -> Result<()> {
    let lost = world.active()?;
    world.member(&lost).lose()?;
    world.wait_for_another_than(&lost, VIP, Duration::from_secs(10))?;
    Ok(())
}

/// The control plane's address does not move for a node that returns.
pub fn lost_one_returns(world: &mut World) -> Result<()> {
    let active = world.active()?;
    let off = |member: &&mut Member| !member.machine().is_on();
    for member in world.members.iter_mut().filter(off) {
        member.bring_back()?;
    }
    world.connect_pods()?;
    world.wait_until_whole()?;
    world.expect_active(&active, "who holds the address afterwards");
    Ok(())
}

/// The two elect one of theirs, since they hear nobody; the one that is alone has the address, too, and an API server without
/// quorum behind it. Once they hear each other, one is left.
pub fn split(world: &mut World) -> Result<()> {
    let alone = world.active()?;
    let nodes: Vec<Node> = PLANE
        .map(|name| world.member(name).machine().node().clone())
        .into();
    let (one, others): (Vec<Node>, Vec<Node>) = nodes.into_iter().partition(|node| node.name() == alone);
    for (one, other) in one
        .iter()
        .flat_map(|one| others.iter().map(move |other| (one, other)))
    {
        one.lose_frames_to(other)?;
        other.lose_frames_to(one)?;
    }
    wait_until(
        "the majority has a holder of its own",
        Duration::from_secs(15),
        || {
            thread::sleep(Duration::from_millis(5));
            Ok(world.meter.holders(VIP).iter().any(|holder| **holder != *alone))
        },
    )?;
    thread::sleep(WHILE);
    one[0].heal_losses()?;
    wait_until(
        "one node is left with the address",
        Duration::from_secs(10),
        || {
            thread::sleep(Duration::from_millis(5));
            Ok(world.meter.holders(VIP).len() == 1)
        },
    )?;
    world.wait_until_whole()
}

/// As after a power cut: nobody is there to be asked, and the address is there before any API server.
pub fn cold_start(world: &mut World) -> Result<()> {
    for member in &mut world.members {
        member.power_off()?;
    }
    // Those that joined first come back last.
    for member in world.members.iter_mut().rev() {
        member.power_on()?;
    }
    world.connect_pods()?;
    world.visitor.wait_for_answers(PATIENCE)?;
    world.say("  the control plane answers");
    world.wait_until_whole()?;
    assert_eq!(
        world.meter.holders(VIP).len(),
        1,
        "who holds the address afterwards"
    );
    Ok(())
}
