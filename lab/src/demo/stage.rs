//! What the demo plays on: the lab, three nodes, a daemon in each, and the instrument that watches them.

use std::{net::IpAddr, time::Duration};

use super::groups::{self, GROUPS, NODES};
use crate::{
    Agent, AgentOptions, Keepalived, Lab, Meter, Node, Process,
    error::{Error, Result},
};

/// How long a daemon may take to end when it is asked to.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// Which daemon runs in the nodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Daemon {
    /// The Holdfast agent.
    Holdfast,
    /// keepalived, for comparison; it makes none of the promises about a killed or frozen daemon.
    Keepalived,
}

/// What becomes of a node at this moment, as the view shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Condition {
    Running,
    Stopped,
    Killed,
    Frozen,
    Unplugged,
}

/// The stage. Fields are dropped in this order: the instrument first, the network last.
pub(super) struct Stage {
    pub(super) meter: Meter,
    running: Vec<Option<Running>>,
    conditions: Vec<Condition>,
    daemon: Daemon,
    nodes: [Node; NODES.len()],
    _lab: Lab,
}

enum Running {
    Holdfast(Agent),
    Keepalived(Keepalived),
}

impl Running {
    fn process(&mut self) -> &mut Process {
        match self {
            Self::Holdfast(agent) => &mut agent.process,
            Self::Keepalived(keepalived) => &mut keepalived.process,
        }
    }
}

impl Stage {
    /// Builds everything and starts a daemon in each node.
    pub(super) fn set(daemon: Daemon) -> Result<Self> {
        let lab = Lab::new()?;
        let client = lab.client()?;
        let nodes = [lab.node(NODES[0])?, lab.node(NODES[1])?, lab.node(NODES[2])?];
        let addresses: Vec<IpAddr> = GROUPS.iter().flat_map(groups::Group::addresses).collect();
        let meter = Meter::start(&client, &nodes, &addresses)?;
        let mut stage = Self {
            meter,
            running: NODES.iter().map(|_| None).collect(),
            conditions: vec![Condition::Stopped; NODES.len()],
            daemon,
            nodes,
            _lab: lab,
        };
        for index in 0..NODES.len() {
            stage.start(index)?;
        }
        Ok(stage)
    }

    pub(super) fn condition(&self, index: usize) -> Condition {
        self.conditions[index]
    }

    /// Starts the daemon of the node at `index`.
    pub(super) fn start(&mut self, index: usize) -> Result<()> {
        let node = &self.nodes[index];
        let members = self.nodes.each_ref().map(Node::ipv4);
        self.running[index] = Some(match self.daemon {
            Daemon::Holdfast => Running::Holdfast(Agent::start(
                node,
                &groups::yaml(&members),
                &AgentOptions::default(),
            )?),
            Daemon::Keepalived => {
                Running::Keepalived(Keepalived::start(node, &groups::keepalived(&members, index))?)
            }
        });
        self.conditions[index] = Condition::Running;
        Ok(())
    }

    /// Asks the daemon to end and waits until it has.
    pub(super) fn stop(&mut self, index: usize) -> Result<()> {
        self.conditions[index] = Condition::Stopped;
        self.process(index)?.stop(STOP_PATIENCE).map(drop)
    }

    /// Kills the daemon.
    pub(super) fn kill(&mut self, index: usize) -> Result<()> {
        self.conditions[index] = Condition::Killed;
        self.process(index)?.kill()
    }

    /// Keeps the daemon from running.
    pub(super) fn freeze(&mut self, index: usize) -> Result<()> {
        self.conditions[index] = Condition::Frozen;
        self.process(index)?.freeze()
    }

    /// Lets the daemon run again.
    pub(super) fn thaw(&mut self, index: usize) -> Result<()> {
        self.conditions[index] = Condition::Running;
        self.process(index)?.thaw()
    }

    /// Pulls the node's cable.
    pub(super) fn unplug(&mut self, index: usize) -> Result<()> {
        self.conditions[index] = Condition::Unplugged;
        self.nodes[index].unplug()
    }

    /// Plugs the node's cable in again.
    pub(super) fn plug(&mut self, index: usize) -> Result<()> {
        self.conditions[index] = Condition::Running;
        self.nodes[index].plug()
    }

    /// Fails when a daemon that should run has ended.
    pub(super) fn check(&mut self) -> Result<()> {
        for (index, name) in NODES.iter().enumerate() {
            let up = matches!(self.conditions[index], Condition::Running | Condition::Unplugged);
            if up && let Some(status) = self.process(index)?.ended()? {
                return Err(Error::Invalid(format!(
                    "the daemon on {name} ended by itself ({status})"
                )));
            }
        }
        Ok(())
    }

    fn process(&mut self, index: usize) -> Result<&mut Process> {
        let running = self.running[index].as_mut().map(Running::process);
        running.ok_or_else(|| Error::Invalid(format!("no daemon was started on {}", NODES[index])))
    }
}
