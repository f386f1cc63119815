//! What a node's probes find, and what its router is told of it: the agent's probe thread and what the engine makes of it.

use core::time::Duration;

use holdfast_vrrp::{Fault, Health};

use super::{Event, World};
use crate::node::Message;

impl World {
    /// An agent starts to probe; its router is told what is known once it reads its messages.
    pub(super) fn begin_probing(&mut self, node: usize, resumed: bool) {
        let now = self.nodes[node].clock.read(self.now);
        let Some(prober) = &mut self.nodes[node].prober else {
            return;
        };
        prober.start(now, resumed);
        let health = prober.health(now);
        let (count, period) = (prober.probing().count(), prober.probing().period);
        self.nodes[node].health = self.merged(node, health);
        for probe in 0..count {
            let after = self.chance.between(Duration::ZERO, period);
            self.expect_probe(node, probe, after);
        }
    }

    /// The time to run a probe has come. A frozen agent runs none.
    pub(super) fn probe(&mut self, node: usize, probe: usize) {
        let now = self.nodes[node].clock.read(self.now);
        let frozen = self.nodes[node].awake().is_none();
        let Some(prober) = &mut self.nodes[node].prober else {
            return;
        };
        let period = prober.probing().period;
        if !frozen {
            prober.run(now, probe, &mut self.chance);
            self.judge(node);
        }
        let after = self.chance.between(period * 9 / 10, period * 11 / 10);
        self.expect_probe(node, probe, after);
    }

    /// The router is told of its node's health if it is another than before.
    pub(super) fn judge(&mut self, node: usize) {
        let now = self.nodes[node].clock.read(self.now);
        let Some(prober) = &mut self.nodes[node].prober else {
            return;
        };
        let health = prober.health(now);
        if let Some(due) = prober.next_wake() {
            let judge = Event::Judge { node };
            self.queue
                .push(self.nodes[node].clock.when(due).max(self.now), judge);
        }
        let (before, health) = (self.nodes[node].health, self.merged(node, health));
        if health == before {
            return;
        }
        let sinks = health.standing.is_floor() && !before.standing.is_floor();
        if sinks || before.faults.is_empty() && !health.faults.is_empty() {
            self.checker.hands_over(self.now, &self.nodes, node);
        } else {
            self.checker.disturb(self.now, node);
        }
        self.nodes[node].health = health;
        self.tell(node, Message::Health(health));
    }

    /// The node's health by its probes, with the facts that have nothing to do with them.
    fn merged(&self, node: usize, by_probes: Health) -> Health {
        let others = self.nodes[node].health.faults;
        let failed = by_probes.faults.contains(Fault::ProbeFailed);
        Health {
            faults: others.with(Fault::ProbeFailed, failed),
            standing: by_probes.standing,
        }
    }

    fn expect_probe(&mut self, node: usize, probe: usize, after: Duration) {
        let Some(process) = &self.nodes[node].process else {
            return;
        };
        let incarnation = process.incarnation;
        self.queue.push(
            self.now + after,
            Event::Probe {
                node,
                incarnation,
                probe,
            },
        );
    }
}
