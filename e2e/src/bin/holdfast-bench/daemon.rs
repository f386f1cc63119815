//! The two daemons that are compared, given the same virtual routers.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use anyhow::Result;
use holdfast_e2e::{Group, file_of};
use holdfast_lab::{Agent, AgentOptions, Keepalived, Node, Process, keepalived::VrrpInstance};

/// How long a daemon may take to answer after its start.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Daemon {
    /// keepalived, with its own defaults.
    Keepalived,
    /// The Holdfast agent, with its own defaults.
    Holdfast,
}

/// Both, in the order in which they take turns and are shown.
pub const BOTH: [Daemon; 2] = [Daemon::Keepalived, Daemon::Holdfast];

impl Daemon {
    /// How the tables call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Keepalived => "keepalived",
            Self::Holdfast => "Holdfast",
        }
    }

    /// Starts it in `node` with these virtual routers.
    pub fn start(self, node: &Node, routers: &Routers, priority: u8) -> Result<Running> {
        match self {
            Self::Keepalived => {
                let instances = routers.numbers().map(|number| {
                    VrrpInstance::new(number)
                        .version(routers.version)
                        .interval(routers.interval)
                        .priority(priority)
                        .address(&format!("{}/32", routers.address(number)))
                });
                let instances: Vec<_> = instances.collect();
                Ok(Running::Keepalived(Keepalived::start(node, &instances)?))
            }
            Self::Holdfast => {
                let groups = routers.numbers().map(|number| {
                    Group::new(&format!("router-{number}"), number)
                        .version(routers.version)
                        .interval(routers.interval)
                        .priority(priority)
                        .address(&format!("{}/32", routers.address(number)))
                });
                let file = file_of(&groups.collect::<Vec<_>>());
                let mut agent = Agent::start(node, &file, &AgentOptions::default())?;
                agent.wait_until_answering(PATIENCE)?;
                Ok(Running::Holdfast(agent))
            }
        }
    }
}

/// Virtual routers 1 to `count`, each with one IPv4 address, by multicast.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Routers {
    /// The VRRP version: 2 or 3.
    pub version: u8,
    /// The advertisement interval.
    pub interval: Duration,
    /// How many (1-250).
    pub count: u8,
}

impl Routers {
    /// One virtual router, VRRPv3.
    pub const fn one(interval: Duration) -> Self {
        Self {
            version: 3,
            interval,
            count: 1,
        }
    }

    /// Their VRIDs.
    pub fn numbers(&self) -> impl Iterator<Item = u8> + use<> {
        1..=self.count
    }

    /// The address of virtual router `number`: in the nodes' subnet when it is alone, so that the client reaches it.
    pub fn address(&self, number: u8) -> Ipv4Addr {
        if self.count == 1 {
            Ipv4Addr::new(10, 77, 0, 100)
        } else {
            Ipv4Addr::new(10, 79, 0, number)
        }
    }

    /// All their addresses.
    pub fn addresses(&self) -> Vec<IpAddr> {
        let addresses = self.numbers().map(|number| self.address(number).into());
        addresses.collect()
    }
}

/// A daemon that runs; it is killed when this is dropped.
pub enum Running {
    /// keepalived, with the child that does its work.
    Keepalived(Keepalived),
    /// The agent.
    Holdfast(Agent),
}

impl Running {
    /// Its log, its signals.
    pub fn process(&mut self) -> &mut Process {
        match self {
            Self::Keepalived(keepalived) => &mut keepalived.process,
            Self::Holdfast(agent) => &mut agent.process,
        }
    }
}
