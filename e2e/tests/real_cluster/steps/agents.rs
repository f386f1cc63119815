//! What befalls the agents.

use std::{thread, time::Duration};

use holdfast_e2e::Result;
use holdfast_lab::wait_until;

use super::WHILE;
use crate::world::{VIP, World};

const PROGRAM: &str = "holdfast-agent";
/// `CAP_NET_ADMIN` and `CAP_NET_RAW`, as /proc/PID/status shows them.
const CAPABILITIES: &str = "0000000000003000";

/// The agents have what the Pod names, and no more.
pub fn have_two_capabilities(world: &mut World, nodes: &[&str]) -> Result<()> {
    for name in nodes {
        let member = world.member(name);
        let pids = member.pids_of(PROGRAM)?;
        assert_eq!(pids.len(), 1, "agents on {name}");
        let status = member.machine().read(format!("/proc/{}/status", pids[0]))?;
        for set in ["CapEff", "CapPrm", "CapBnd"] {
            let line = status
                .lines()
                .find(|line| line.starts_with(set))
                .unwrap_or_default();
            assert_eq!(line, format!("{set}:\t{CAPABILITIES}"), "the agent on {name}");
        }
    }
    world.say("  the agents have CAP_NET_ADMIN and CAP_NET_RAW, and no other capability");
    Ok(())
}

/// SIGKILL, and the kubelet starts it again.
pub fn killed(world: &mut World) -> Result<()> {
    let active = world.active()?;
    assert_eq!(world.member(&active).signal(PROGRAM, "KILL")?, 1);
    wait_until("the agent runs again", Duration::from_mins(1), || {
        thread::sleep(Duration::from_millis(200));
        Ok(world.member(&active).pids_of(PROGRAM)?.len() == 1)
    })?;
    thread::sleep(WHILE);
    world.active().map(drop)
}

/// SIGSTOP until another holds the address, then SIGCONT: the one that wakes up has lost it for good.
pub fn frozen(world: &mut World) -> Result<()> {
    let active = world.active()?;
    world.member(&active).signal(PROGRAM, "STOP")?;
    let next = world.wait_for_another_than(&active, VIP, Duration::from_secs(10))?;
    world.member(&active).signal(PROGRAM, "CONT")?;
    thread::sleep(WHILE);
    world.expect_active(&next, "who holds the address after the thaw");
    Ok(())
}
