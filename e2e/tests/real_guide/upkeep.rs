//! What the guide has people do day after day, on the cluster that it has made.

use std::{thread, time::Duration};

use holdfast_e2e::{Result, guide::Part, outages::Promise};
use holdfast_lab::wait_until;

use crate::world::{PATIENCE, World};

const AGENT: &str = "holdfast-agent";
const CERTIFICATE: &str = "/etc/kubernetes/pki/apiserver.crt";

/// The steps, in the order in which they are played.
pub fn play(world: &mut World) -> Result<()> {
    world.step(
        "the active node's certificates are renewed, its API server is restarted",
        Promise::PROBED,
        certificates_renewed,
    )?;
    world.step(
        "a flag changes, on one node after the other",
        Promise::HANDED_OVER,
        flag_changed,
    )
}

/// The agent is told nothing of it, and asks on.
fn certificates_renewed(world: &mut World) -> Result<()> {
    let active = world.active()?;
    let member = world.member(&active)?;
    let before = member.machine().read(CERTIFICATE)?;
    world.type_on(&active, "kubeadm certs renew all")?;
    assert_ne!(member.machine().read(CERTIFICATE)?, before, "it is another one");
    assert_eq!(member.signal("kube-apiserver", "KILL")?, 1);
    world.wait_for_api_servers()
}

/// The same manifest with one flag more, last of all on the node that serves.
fn flag_changed(world: &mut World) -> Result<()> {
    let active = world.active()?;
    let manifest = world.block(Part::Manifest)?;
    let lines = format!("{} --interval 100ms", manifest.trim_end());
    let program = format!("/usr/local/bin/{AGENT}");
    let others = world.plane().into_iter().filter(|name| *name != active);
    for name in others.chain([active.as_str()]) {
        let member = world.member(name)?;
        let before = member.pids_of(AGENT)?;
        let said = world.type_on(name, &lines)?;
        assert!(said.starts_with("changed: "), "{said}");
        wait_until(
            &format!("the new agent of {name} waits its turn"),
            PATIENCE,
            || {
                thread::sleep(Duration::from_millis(200));
                let now = member.pids_of(AGENT)?;
                if now.is_empty() || now == before {
                    return Ok(false);
                }
                let status = member.machine().exec(&program, &["status"])?;
                Ok(String::from_utf8_lossy(&status.stdout).contains(" Backup "))
            },
        )?;
    }
    let next = world.active()?;
    assert_ne!(next, active, "the one that serves hands over as its Pod ends");
    Ok(())
}
