//! A service of the cluster's at an address of its own, which the worker serves as long as it can.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use holdfast_e2e::{
    Result,
    outages::{Client, Connection, Service},
};

use super::{agents, install, nodes};
use crate::world::{PATIENCE, SERVICE, WORKER, World};

/// Where it listens, on every node.
const PORT: u16 = 8080;
/// No example has a group of this name.
const GROUP: &str = "vipg/worker-service";
/// The program that answers. Nothing else on the machines has this name.
const PROGRAM: &str = "busybox";

/// A web server on all nodes, and the address of the one that is fit to serve it, which is the worker's if it is. Its probe asks the
/// server of its own node. Damping is off, because the steps take the worker's fitness away more often than a day does; all
/// that is not written has its default.
fn objects() -> String {
    format!(
        r"apiVersion: v1
kind: ConfigMap
metadata: {{name: web}}
data: {{index.html: well}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: web}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      hostNetwork: true
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 1
      tolerations: [{{operator: Exists}}]
      containers:
      - name: httpd
        image: holdfast-agent:{version}-tools
        imagePullPolicy: Never
        command: [/bin/{PROGRAM}, httpd, -f, -p, '{PORT}', -h, /site]
        volumeMounts: [{{name: site, mountPath: /site}}]
      volumes: [{{name: site, configMap: {{name: web}}}}]
---
apiVersion: vip.holdfast.dev/v1alpha1
kind: VirtualIPGroup
metadata: {{name: worker-service}}
spec:
  addresses: [{{address: {SERVICE}/24}}]
  nodeOverrides:
  - nodes: [{WORKER}]
    priority: 200
  maintenance: {{onCordon: Release}}
  flapDamping: {{changes: 0}}
  probes:
  - name: web
    httpGet: {{port: {PORT}, path: /index.html}}
",
        version = env!("CARGO_PKG_VERSION"),
    )
}

/// The group is accepted, the worker serves, and from then on a client asks.
pub fn begins(world: &mut World) -> Result<()> {
    world.apply(&objects())?;
    world.kubectl(&["rollout", "status", "daemonset/web", "--timeout=3m"])?;
    world.wait_until_ready(GROUP, SERVICE)?;
    returns_to_worker(world)?;
    let page = Service::http(SocketAddr::new(SERVICE, PORT), "/index.html");
    world.service = Some(Client::start(&world.client, page, &[Connection::New]));
    // Those of the DaemonSet, on the one node that has no other.
    agents::have_two_capabilities(world, &[WORKER])
}

/// SIGKILL as soon as it is there, until another node serves; the kubelet starts it again, and the worker serves again.
pub fn dies(world: &mut World) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(20);
    let mut killed = 0;
    while world.active_at(SERVICE)? == WORKER {
        assert!(
            Instant::now() < end,
            "a node without the service keeps its address"
        );
        // It may have ended between the look and the blow.
        killed += world.member(WORKER).signal(PROGRAM, "KILL").unwrap_or(0);
        thread::sleep(Duration::from_millis(100));
    }
    assert!(killed > 0, "there was a service to kill");
    returns_to_worker(world)
}

/// The address leaves before anything is evicted, and comes back when the work is done.
pub fn node_is_drained(world: &mut World) -> Result<()> {
    install::drain(world, WORKER)?;
    world.wait_for_another_than(WORKER, SERVICE, Duration::from_secs(20))?;
    world.kubectl(&["uncordon", WORKER])?;
    returns_to_worker(world)
}

/// Its cable is pulled, then its plug.
pub fn node_is_lost(world: &mut World) -> Result<()> {
    world.member(WORKER).lose()?;
    world.wait_for_another_than(WORKER, SERVICE, Duration::from_secs(10))?;
    Ok(())
}

/// It takes its address back when its service answers again.
pub fn node_returns(world: &mut World) -> Result<()> {
    nodes::lost_one_returns(world)?;
    returns_to_worker(world)
}

/// Deleted, it is nowhere any more; what served it goes, too.
pub fn ends(world: &mut World) -> Result<()> {
    world.service = None;
    world.kubectl(&["delete", "--timeout=60s", GROUP])?;
    // It takes no packets any more, and is gone when its connections have been reset.
    world
        .meter
        .wait_for_holders(SERVICE, &[], Duration::from_secs(1))?;
    world.kubectl(&["delete", "--timeout=60s", "daemonset/web", "configmap/web"])?;
    Ok(())
}

fn returns_to_worker(world: &World) -> Result<()> {
    world.meter.wait_for_holders(SERVICE, &[WORKER], PATIENCE)?;
    Ok(())
}
