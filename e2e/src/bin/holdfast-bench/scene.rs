//! Where a measurement takes place: two nodes with the same daemon, a client, the meter, and an ear on the wire.

use std::{net::IpAddr, thread, time::Duration};

use anyhow::{Context as _, Result};
use holdfast_lab::{Lab, Meter, Node};

use crate::{
    daemon::{Daemon, Routers, Running},
    wire::Listener,
};

/// The priority of node a, which is preferred.
const PREFERRED: u8 = 200;
/// The priority of node b.
const OTHER: u8 = 100;
/// What may be added to a time of the protocol before something is called missing.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long everything is left alone between two events.
const BREATH: Duration = Duration::from_millis(300);

/// The scene. Fields are dropped in this order: the instruments first, the network last.
pub struct Scene {
    /// Asks the virtual router's address every millisecond.
    pub meter: Meter,
    /// Hears every advertisement.
    pub listener: Listener,
    /// The daemon of node a.
    pub on_a: Running,
    /// The daemon of node b.
    pub on_b: Running,
    /// The preferred node.
    pub a: Node,
    /// The other node.
    pub b: Node,
    /// Where more nodes come from.
    pub lab: Lab,
    daemon: Daemon,
    routers: Routers,
}

impl Scene {
    /// Builds it with one virtual router, and waits until a serves it.
    pub fn set(daemon: Daemon, routers: Routers) -> Result<Self> {
        let lab = Lab::new()?;
        let (client, a, b) = (lab.client()?, lab.node("a")?, lab.node("b")?);
        let scene = Self {
            meter: Meter::start(&client, &[a.clone(), b.clone()], &routers.addresses())?,
            listener: Listener::start(&client)?,
            on_a: daemon.start(&a, &routers, PREFERRED)?,
            on_b: daemon.start(&b, &routers, OTHER)?,
            a,
            b,
            lab,
            daemon,
            routers,
        };
        scene.settle_on("a")?;
        Ok(scene)
    }

    /// The virtual router's address.
    pub fn vip(&self) -> IpAddr {
        self.routers.address(1).into()
    }

    /// Starts the daemon of node a once more.
    pub fn restart_a(&mut self) -> Result<()> {
        self.on_a = self.daemon.start(&self.a, &self.routers, PREFERRED)?;
        Ok(())
    }

    /// The longest time b may take to miss a, and then some.
    pub fn patience(&self) -> Duration {
        4 * self.routers.interval + PATIENCE
    }

    /// How long b takes to miss a: three intervals and the skew of b's priority (RFC 9568 §6.1).
    pub fn active_down(&self) -> Duration {
        let skew = if self.routers.version == 2 {
            Duration::from_secs(1)
        } else {
            self.routers.interval
        };
        3 * self.routers.interval + skew * (256 - u32::from(OTHER)) / 256
    }

    /// Waits until a has just advertised: the worst moment for a fault, and the same one in every run.
    pub fn wait_for_worst_moment(&self) -> Result<()> {
        self.listener.wait_for_next(self.a.ipv4(), self.patience())
    }

    /// Waits until `node` alone holds and answers, and a little longer.
    pub fn settle_on(&self, node: &str) -> Result<()> {
        let patience = self.patience();
        self.meter
            .wait_for_holders(self.vip(), &[node], patience)
            .and_then(|_| self.meter.wait_for_answer(self.vip(), node, patience))
            .with_context(|| self.name())?;
        thread::sleep(BREATH);
        Ok(())
    }

    /// Daemon, version and interval, for messages.
    pub fn name(&self) -> String {
        let (version, interval) = (self.routers.version, self.routers.interval);
        format!("{} with VRRPv{version} every {interval:?}", self.daemon.name())
    }
}
