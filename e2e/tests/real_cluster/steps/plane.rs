//! What befalls API servers and kubelets.

use std::{
    thread,
    time::{Duration, Instant},
};

use holdfast_e2e::Result;
use holdfast_lab::wait_until;

use crate::world::World;

const PROGRAM: &str = "kube-apiserver";
/// For how long an API server crashes; the kubelet's pauses between two starts reach 20 s in it.
const CRASHES: Duration = Duration::from_secs(30);

/// SIGKILL, and the kubelet starts it again.
pub fn api_server_killed(world: &mut World) -> Result<()> {
    let active = world.active()?;
    assert_eq!(world.member(&active).signal(PROGRAM, "KILL")?, 1);
    world.wait_until_whole()
}

/// SIGKILL as soon as it is there: nobody is sent to it meanwhile.
pub fn api_server_crash_loops(world: &mut World) -> Result<()> {
    let active = world.active()?;
    let end = Instant::now() + CRASHES;
    let mut killed = 0;
    while Instant::now() < end {
        // It may have ended between the look and the blow.
        killed += world.member(&active).signal(PROGRAM, "KILL").unwrap_or(0);
        thread::sleep(Duration::from_millis(500));
    }
    assert!(killed > 0, "there was an API server to kill");
    assert_ne!(
        world.active()?,
        active,
        "a node without API server does not keep the address"
    );
    world.wait_until_whole()
}

/// Until its Node counts as lost. What runs on it runs on, the agent among it.
pub fn kubelet_stopped(world: &mut World) -> Result<()> {
    let active = world.active()?;
    world.member(&active).stop_kubelet()?;
    let ready = format!(
        "jsonpath={{.items[?(@.metadata.name=='{active}')].status.conditions[?(@.type=='Ready')].status}}"
    );
    wait_until("the Node counts as lost", Duration::from_mins(2), || {
        thread::sleep(Duration::from_secs(1));
        Ok(world
            .kubectl(&["get", "nodes", "-o", &ready])
            .is_ok_and(|ready| ready == "Unknown"))
    })?;
    world.expect_active(&active, "a node without kubelet serves as well as before");
    world.member(&active).start_kubelet()?;
    world.wait_until_whole()
}
