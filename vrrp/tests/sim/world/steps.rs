//! What is done to nodes and the link between them: the steps of a scenario.

use holdfast_vrrp::{Fault, Input, Shutdown};

use super::World;
use crate::invariants::Invariant;
use crate::mutation::Mutation;
use crate::node::Message;
use crate::scenario::{Edit, Step};

impl World {
    /// Lets `step` happen now.
    pub fn apply(&mut self, step: &Step) {
        self.trace.add(self.now, || format!("---- {step:?}"));
        match step {
            Step::Freeze(node) => self.freeze(*node),
            Step::Thaw(node) => self.thaw(*node),
            Step::Kill(node) => self.kill(*node),
            Step::PowerOff(node) => {
                self.kill(*node);
                self.nodes[*node].kernel.clear();
                self.nodes[*node].state_file = None;
            }
            Step::Start(node) => self.start(*node, false),
            Step::Replace(node) => {
                self.kill(*node);
                self.start(*node, true);
            }
            Step::Stop(node, Shutdown::Planned) => {
                self.checker.hands_over(self.now, &self.nodes, *node);
                self.stop(*node, Shutdown::Planned);
            }
            Step::Stop(node, Shutdown::Immediate) => {
                self.checker.steps_back(self.now, &self.nodes, *node);
                self.stop(*node, Shutdown::Immediate);
            }
            Step::Partition(cells) => {
                self.network.partition(cells);
                self.disturb_all();
            }
            Step::Heal => {
                self.network.partition(&vec![0; self.nodes.len()]);
                self.disturb_all();
            }
            Step::CutOneWay(from, to) => {
                self.network.cut(*from, *to, true);
                self.disturb_all();
            }
            Step::Damage(damage) => {
                self.network.damage = *damage;
                self.disturb_all();
            }
            Step::LoseResignations(node, count) => self.nodes[*node].resignations_to_lose = *count,
            Step::Link(node, up) => {
                self.nodes[*node].link_up = *up;
                self.disturb_all();
                self.set_fault(*node, Fault::LinkDown, !*up);
            }
            Step::Fault(node, fault, present) => {
                if *present {
                    self.checker.hands_over(self.now, &self.nodes, *node);
                } else {
                    self.checker.disturb(self.now, *node);
                }
                self.set_fault(*node, *fault, *present);
            }
            Step::Standing(node, standing) => {
                if standing.is_floor() {
                    self.checker.hands_over(self.now, &self.nodes, *node);
                } else {
                    self.checker.disturb(self.now, *node);
                }
                self.nodes[*node].health.standing = *standing;
                self.tell(*node, Message::Health(self.nodes[*node].health));
            }
            Step::Service(node, probe, service) => {
                if let Some(prober) = &mut self.nodes[*node].prober {
                    prober.becomes(*probe, *service);
                }
            }
            Step::HandOver(node) => {
                self.checker.hands_over(self.now, &self.nodes, *node);
                self.tell(*node, Message::HandOver);
            }
            Step::Configure(node, edit) => self.configure(*node, edit),
            Step::DeleteAddress(node) => {
                self.checker.disturb(self.now, *node);
                let first = self.nodes[*node].kernel.addresses().next();
                if let Some(address) = first {
                    self.nodes[*node].kernel.remove(address);
                    self.tell(*node, Message::Removed(address));
                }
            }
            Step::RefuseBinding(node, refuses) => {
                self.checker.disturb(self.now, *node);
                self.nodes[*node].refuses_binding = *refuses;
            }
        }
    }

    pub(super) fn disturb_all(&mut self) {
        for node in 0..self.nodes.len() {
            self.checker.disturb(self.now, node);
        }
        self.checker.topology(self.now, &self.nodes, &self.network);
    }

    pub(super) fn start(&mut self, node: usize, handed_over: bool) {
        if self.nodes[node].process.is_some() {
            // One agent a node: a second one waits until the first has ended.
            return;
        }
        let resumed = self.nodes[node].start(self.now, handed_over);
        self.trace.add(self.now, || {
            format!("node {node} starts{}", if resumed { " and resumes" } else { "" })
        });
        self.begin_probing(node, resumed);
        self.checker.topology(self.now, &self.nodes, &self.network);
        if resumed {
            self.checker.disturb(self.now, node);
        } else {
            self.checker.steps_forward(self.now, &self.nodes, node);
        }
        self.read(node, Message::Health(self.nodes[node].health));
    }

    pub(super) fn kill(&mut self, node: usize) {
        self.checker.steps_back(self.now, &self.nodes, node);
        self.end_process(node);
    }

    pub(super) fn end_process(&mut self, node: usize) {
        self.nodes[node].process = None;
        self.checker.topology(self.now, &self.nodes, &self.network);
    }

    pub(super) fn freeze(&mut self, node: usize) {
        self.checker.steps_back(self.now, &self.nodes, node);
        if let Some(process) = &mut self.nodes[node].process {
            process.frozen.get_or_insert(self.now);
        }
        self.checker.topology(self.now, &self.nodes, &self.network);
    }

    pub(super) fn thaw(&mut self, node: usize) {
        let now = self.now;
        let until = self.nodes[node].clock.read(now);
        let Some(process) = &mut self.nodes[node].process else {
            return;
        };
        let Some(since) = process.frozen.take() else {
            return;
        };
        process.running_since = now;
        if self.mutation == Mutation::OverlooksTheGap {
            while let Some(due) = process.router.next_timeout().filter(|due| *due <= until) {
                process.router.handle(due, Input::Timeout, &mut Vec::new());
            }
            process.seen = process.router.snapshot();
        }
        let frames = core::mem::take(&mut process.socket);
        let messages = core::mem::take(&mut process.channel);
        let stalled = core::mem::take(&mut process.stalled);
        process.outstanding -= stalled.len();
        self.checker.topology(self.now, &self.nodes, &self.network);
        self.checker.disturb(now, node);
        // The other threads run again too; what the engine wants of them from now on comes after this.
        for operation in stalled {
            self.ask_kernel(node, operation);
        }
        for frame in frames {
            self.receive(node, frame);
        }
        for message in messages {
            self.read(node, message);
        }
        self.serve_timers(node);
        let gap = now.since(since);
        let node_now = &self.nodes[node];
        let lapsed = gap > node_now.config.lifetime + node_now.config.lifetime / 50;
        if lapsed && node_now.is_active() && !node_now.standing().is_owner() {
            let detail =
                format!("node {node} was frozen for {gap:?} and is Active without having listened first");
            self.checker.fail(now, Invariant::DeadManSwitch, detail);
        }
    }

    pub(super) fn stop(&mut self, node: usize, how: Shutdown) {
        if let Some(process) = &mut self.nodes[node].process {
            process.stopping = true;
        }
        self.tell(node, Message::Shutdown(how));
    }

    pub(super) fn set_fault(&mut self, node: usize, fault: Fault, present: bool) {
        let health = &mut self.nodes[node].health;
        health.faults = health.faults.with(fault, present);
        let health = *health;
        self.tell(node, Message::Health(health));
    }

    pub(super) fn configure(&mut self, node: usize, edit: &Edit) {
        let config = edit.apply(&self.nodes[node].config, &self.sources);
        match edit {
            Edit::MayBecomeActive(false) => self.checker.bans(self.now, node),
            _ if edit.shows_nowhere() => {}
            Edit::MayBecomeActive(true) => {}
            _ => self.checker.disturb(self.now, node),
        }
        self.nodes[node].config = config.clone();
        if let Edit::MayBecomeActive(true) = edit {
            self.checker.steps_forward(self.now, &self.nodes, node);
        }
        self.tell(node, Message::Configure(Box::new(config)));
        if let Edit::Priority(base) = edit {
            let now = self.nodes[node].clock.read(self.now);
            if let Some(prober) = &mut self.nodes[node].prober {
                prober.rebase(now, *base);
            }
            self.judge(node);
        }
    }
}
