//! What reaches a process, and when its timers are served: the agent's engine as far as a router can tell.

use core::time::Duration;

use holdfast_vrrp::{Action, Input, Received, Standing, State, VirtualRouter};

use super::{Event, MAX_TIMEOUTS, World};
use crate::invariants::Invariant;
use crate::mutation::Mutation;
use crate::node::{Frame, Message, Packet};

impl World {
    /// Sends a message to the engine from another thread of its process. What one thread sends stays in order.
    pub(super) fn tell(&mut self, node: usize, message: Message) {
        let latency = self.rng.between(Duration::ZERO, self.scenario.setup.lateness);
        let Some(process) = &mut self.nodes[node].process else {
            return;
        };
        let last = match message {
            Message::Bound(_) | Message::Failed(_) | Message::Removed(_) => &mut process.last_answer,
            Message::Health(_) | Message::Configure(_) | Message::HandOver | Message::Shutdown(_) => {
                &mut process.last_order
            }
        };
        *last = (self.now + latency).max(*last);
        let incarnation = process.incarnation;
        self.queue.push(
            *last,
            Event::Message {
                node,
                incarnation,
                message,
            },
        );
    }

    pub(super) fn receive(&mut self, node: usize, frame: Frame) {
        if !self.nodes[node].link_up {
            return;
        }
        let Some(process) = &mut self.nodes[node].process else {
            return;
        };
        if process.frozen.is_some() {
            process.keep(frame);
            return;
        }
        match &frame {
            Frame::Claim(address) => self.handle(node, Input::AddressClaimed(*address)),
            Frame::Advertisement(packet) => {
                let priority = packet.payload.get(2).copied();
                let unheard = match self.mutation {
                    Mutation::Deaf => true,
                    Mutation::IgnoresPriorityZero => priority == Some(0),
                    _ => false,
                };
                if !unheard {
                    let Packet {
                        source,
                        destination,
                        payload,
                    } = packet;
                    let received = Received {
                        source: *source,
                        destination: *destination,
                        ttl: 255,
                        payload: payload.as_slice(),
                    };
                    self.handle(node, Input::Advertisement(received));
                }
            }
        }
    }

    pub(super) fn read(&mut self, node: usize, mut message: Message) {
        let mutation = self.mutation;
        let now = self.nodes[node].clock.read(self.now);
        let Some(process) = &mut self.nodes[node].process else {
            return;
        };
        if process.frozen.is_some() {
            process.channel.push_back(message);
            return;
        }
        if let Message::Configure(config) = &mut message {
            process.allowed = config.may_become_active;
            config.may_become_active |= mutation == Mutation::IgnoresTheBan;
        }
        if let (Mutation::RestartsOnReload, Message::Configure(config)) = (mutation, &message) {
            process.router = VirtualRouter::new(now, (**config).clone());
            self.serve_timers(node);
            return;
        }
        if message == Message::Bound(process.last_bind) {
            process.confirmed = true;
        }
        if let (Mutation::IgnoresItsHealth, Message::Health(health)) = (mutation, &mut message) {
            health.standing = Standing::Base;
        }
        if let Some(input) = message.into_input(process.last_bind) {
            self.handle(node, input);
        }
    }

    pub(super) fn serve_timers(&mut self, node: usize) {
        for _ in 0..MAX_TIMEOUTS {
            let now = self.nodes[node].clock.read(self.now);
            let Some(process) = self.nodes[node].awake() else {
                return;
            };
            let takes_over = process.seen.state == State::Backup;
            if process.router.next_timeout().is_none_or(|due| due > now) {
                self.set_timer(node);
                return;
            }
            if self.mutation == Mutation::NeverTakesOver && takes_over {
                return;
            }
            self.handle(node, Input::Timeout);
        }
        let detail = format!("node {node} wants a timeout at one instant for ever");
        self.checker.fail(self.now, Invariant::TimersAdvance, detail);
    }

    pub(super) fn set_timer(&mut self, node: usize) {
        let lateness = self.rng.between(Duration::ZERO, self.scenario.setup.lateness);
        let clock = self.nodes[node].clock;
        let Some(process) = &mut self.nodes[node].process else {
            return;
        };
        let due = process.router.next_timeout();
        if due == process.wake.0 && due.is_none_or(|due| clock.when(due) > self.now) {
            return;
        }
        process.wake = (due, process.wake.1 + 1);
        if let Some(due) = due {
            let wake = Event::Wake {
                node,
                incarnation: process.incarnation,
                number: process.wake.1,
            };
            self.queue.push(clock.when(due).max(self.now) + lateness, wake);
        }
    }

    pub(super) fn handle(&mut self, node: usize, input: Input<'_>) {
        let mut now = self.nodes[node].clock.read(self.now);
        if self.mutation == Mutation::StaleClock {
            now = now - self.nodes[node].config.interval.get();
        }
        let Some(process) = self.nodes[node].process.as_mut() else {
            return;
        };
        self.trace
            .add(self.now, || format!("node {node} <- {}", describe(&input)));
        let mut actions = Vec::new();
        let held = process.seen.holding;
        process.router.handle(now, input, &mut actions);
        process.seen = process.router.snapshot();
        let entitled = process.entitled() || held;
        for action in actions {
            if matches!(action, Action::Bind(_) | Action::Renew) && !entitled {
                let detail = format!("node {node} wants to {action:?} without being Active or handing over");
                self.checker.fail(self.now, Invariant::DeadManSwitch, detail);
            }
            self.act(node, action);
        }
        self.set_timer(node);
        self.leave_if_done(node);
    }
}

/// An input in one short line.
fn describe(input: &Input<'_>) -> String {
    match input {
        Input::Advertisement(received) => {
            let priority = received.payload.get(2).copied().unwrap_or_default();
            format!("Advertisement from {} with priority {priority}", received.source)
        }
        Input::Configure(_) => "Configure".to_owned(),
        other => format!("{other:?}"),
    }
}
