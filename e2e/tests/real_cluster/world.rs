//! The cluster of the scenario, and how a step of it is played and judged.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use holdfast_e2e::{
    Result,
    outages::{Client, Connection, Promise, Row, Story},
};
use holdfast_lab::{Lab, Meter, Node, kubeadm::Member};

use crate::chosen::Chosen;

/// The control plane's address.
pub const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 100));
/// The address of a service of the cluster's, which the worker serves as long as it can.
pub const SERVICE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 101));
/// The control plane's nodes.
pub const PLANE: [&str; 3] = ["cp-1", "cp-2", "cp-3"];
/// The other node.
pub const WORKER: &str = "w-1";
/// The place of the table in the file that it is kept in.
const TABLE: &str = "control-plane";
/// Where the guide puts the agent's program on a control-plane node.
pub const AGENT: &str = "/usr/local/bin/holdfast-agent";
/// How long a container, a Node or a leader may take to be there again, on two cores that run four nodes.
pub const PATIENCE: Duration = Duration::from_mins(3);
/// How long after a step its last effect may come.
const SETTLE: Duration = Duration::from_secs(2);

/// The cluster, and who watches it.
pub struct World {
    /// The nodes, those of the control plane first.
    pub members: Vec<Member>,
    /// Tells who holds the addresses, by the kernel's word.
    pub meter: Meter,
    /// Uses the control plane.
    pub visitor: Client,
    /// Uses the worker's service, while there is one.
    pub service: Option<Client>,
    /// Where both are.
    pub client: Node,
    /// The checkout.
    pub root: PathBuf,
    /// What the steps have cost.
    pub story: Story,
    /// The steps that are played.
    pub chosen: Chosen,
    /// Last, because it can go only when all that is in it is gone.
    pub _lab: Lab,
}

impl World {
    /// Plays a step and holds it against its promise. A promise that is not kept is told at the end, so that one run tells of
    /// all; an error ends the scenario.
    pub fn step(
        &mut self,
        name: &'static str,
        promise: Promise,
        play: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        if !self.chosen.has(name) {
            return Ok(());
        }
        self.wait_for_answers()?;
        // What begins or ends in a step has no outages in it.
        let served = self.service.is_some();
        let start = Instant::now();
        self.say(&format!("> {name}"));
        play(self).map_err(|error| format!("{name}: {error}"))?;
        self.wait_for_answers()?;
        thread::sleep(SETTLE);
        self.judge(name, promise, start, served);
        Ok(())
    }

    fn wait_for_answers(&self) -> Result<()> {
        for client in [Some(&self.visitor), self.service.as_ref()].into_iter().flatten() {
            client.wait_for_answers(PATIENCE)?;
        }
        Ok(())
    }

    /// Holds what was measured since `start` against the promise; what was measured of the service, if it was `served` then.
    pub fn judge(&mut self, step: &'static str, promise: Promise, start: Instant, served: bool) {
        let service = self.service.as_ref().filter(|_| served);
        let row = Row {
            step,
            new: self.visitor.longest_silence_since(start, Connection::New),
            established: self.visitor.longest_silence_since(start, Connection::Established),
            service: service.map(|client| client.longest_silence_since(start, Connection::New)),
            held_twice: [VIP, SERVICE]
                .map(|address| self.meter.report_since(address, start).held_twice)
                .into_iter()
                .fold(Duration::ZERO, Duration::max),
            time: start.elapsed(),
        };
        self.story.judge(row, promise);
        self.say(&format!(
            "  held by {:?} and {:?}",
            self.holders(VIP),
            self.holders(SERVICE)
        ));
    }

    /// Tells what was measured, and fails if a promise was not kept.
    pub fn finish(mut self) -> Result<()> {
        if let Some(complaint) = self.chosen.complaint() {
            self.story.complain(complaint);
        }
        self.story.finish(Some(TABLE))
    }

    /// Says what is done, and when.
    pub fn say(&self, what: &str) {
        self.story.say(what);
    }

    /// Holds it against the step if another node than `wanted` holds the address of the control plane, or more than one.
    pub fn expect_active(&mut self, wanted: &str, why: &str) {
        let holders = self.holders(VIP);
        if holders != [wanted] {
            self.story.complain(format!(
                "{why}: {wanted} is to hold the address, and {holders:?} do"
            ));
        }
    }

    /// The member called `name`.
    pub fn member(&mut self, name: &str) -> &mut Member {
        let found = self.members.iter_mut().find(|member| member.name() == name);
        found.unwrap_or_else(|| unreachable!("the scenario knows its nodes, and {name} is none"))
    }

    /// The one node that holds the control plane's address.
    pub fn active(&self) -> Result<String> {
        self.active_at(VIP)
    }

    /// The one node that holds `address`.
    pub fn active_at(&self, address: IpAddr) -> Result<String> {
        Ok(self.meter.only_holder(address)?)
    }

    /// Who holds `address`.
    pub fn holders(&self, address: IpAddr) -> Vec<String> {
        self.meter
            .holders(address)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    /// Waits until one node holds `address` that is not `old`, and returns its name.
    pub fn wait_for_another_than(&self, old: &str, address: IpAddr, patience: Duration) -> Result<String> {
        Ok(self.meter.wait_for_another_than(old, address, patience)?)
    }
}
