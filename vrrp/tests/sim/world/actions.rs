//! What a process does: the actions its router wants, on the link and in its own life.

use core::net::IpAddr;

use holdfast_vrrp::{Action, Reason, State, Transport, wire};

use super::{Event, World};
use crate::invariants::Invariant;
use crate::kernel::Operation;
use crate::mutation::Mutation;
use crate::node::{Frame, Packet, Process};

impl World {
    pub(super) fn act(&mut self, node: usize, action: Action) {
        self.trace.add(self.now, || format!("node {node} -> {action:?}"));
        match action {
            Action::Send { priority } => self.send(node, priority),
            Action::Bind(addresses) => {
                let Some(process) = &mut self.nodes[node].process else {
                    return;
                };
                process.last_bind += 1;
                let lifetime = process.router.config().lifetime;
                let operation = Operation::Bind(addresses, lifetime, process.last_bind);
                self.ask_kernel(node, operation);
            }
            Action::Renew => {
                let lifetime = self.nodes[node].config.lifetime;
                self.ask_kernel(node, Operation::Renew(lifetime));
            }
            Action::Unbind(addresses) => self.ask_kernel(node, Operation::Unbind(addresses)),
            Action::Announce(_) => self.announce(node),
            Action::Transition(transition) => {
                let this = &mut self.nodes[node];
                if transition.to == State::Active
                    && this.kernel.is_empty()
                    && let Some(process) = &mut this.process
                {
                    process.confirmed = false;
                    if self.mutation == Mutation::AnnouncesEarly {
                        self.announce(node);
                    }
                }
                let allowed = self.nodes[node]
                    .process
                    .as_ref()
                    .is_some_and(|process| process.allowed);
                if transition.to == State::Active && transition.reason != Reason::Resumed && !allowed {
                    let detail = format!("node {node}: {:?}", transition.reason);
                    self.checker
                        .fail(self.now, Invariant::BecomesActiveAllowedOnly, detail);
                }
                if transition.from == State::Active {
                    self.nodes[node].state_file = None;
                }
                let resumed = |process: &Process| process.confirmed;
                if transition.reason == Reason::Started && self.nodes[node].awake().is_some_and(resumed) {
                    // It listened for a while before it found that it cannot go on with what its predecessor left.
                    self.checker.disturb(self.now, node);
                }
                self.checker
                    .transition(self.now, node, transition.from, transition.to);
                if transition.to != State::Active {
                    if let Some(prober) = &mut self.nodes[node].prober {
                        prober.is_on_its_own();
                    }
                    self.judge(node);
                }
            }
            Action::Dropped(_) | Action::Notice(_) => {}
        }
    }

    pub(super) fn send(&mut self, node: usize, priority: u8) {
        let Some(process) = &mut self.nodes[node].process else {
            return;
        };
        process.highest_said = if priority == 0 {
            0
        } else {
            process.highest_said.max(priority)
        };
        let priority = match self.mutation {
            Mutation::HidesItsPriority if priority != 0 => 100,
            Mutation::HidesThatItFell => process.highest_said,
            _ => priority,
        };
        let config = process.router.config();
        let Some(source) = config.source else { return };
        let destinations: Vec<IpAddr> = match &config.transport {
            Transport::Multicast(group) => vec![*group],
            Transport::Unicast(peers) => peers.iter().map(|peer| peer.address).collect(),
        };
        let packets: Vec<Packet> = destinations
            .into_iter()
            .map(|destination| {
                let mut payload = Vec::new();
                wire::vrrp::emit(config, priority, source, destination, &mut payload);
                Packet {
                    source,
                    destination,
                    payload,
                }
            })
            .collect();
        let lost = priority == 0 && self.nodes[node].resignations_to_lose > 0;
        if lost {
            self.nodes[node].resignations_to_lose -= 1;
        }
        if self.mutation == Mutation::ReleasesAtOnce && priority == 0 {
            let addresses = self.nodes[node].config.addresses.clone();
            self.ask_kernel(node, Operation::Unbind(addresses));
        }
        if lost || !self.nodes[node].link_up {
            return;
        }
        for packet in packets {
            for to in 0..self.nodes.len() {
                let own = to == node;
                let addressed = match packet.destination {
                    unicast if self.sources.contains(&unicast) => self.sources[to] == unicast,
                    _ => !own,
                };
                if addressed {
                    self.deliver(node, to, &packet);
                }
            }
        }
    }

    pub(super) fn deliver(&mut self, from: usize, to: usize, packet: &Packet) {
        for delay in self.network.arrivals(from, to) {
            let mut packet = packet.clone();
            self.network.corrupt(&mut packet.payload);
            self.queue.push(
                self.now + delay,
                Event::Frame {
                    to,
                    frame: Frame::Advertisement(packet),
                },
            );
        }
    }

    pub(super) fn announce(&mut self, node: usize) {
        let Some(process) = &self.nodes[node].process else {
            return;
        };
        if !process.confirmed {
            let detail = format!("node {node} announces addresses that the kernel has not confirmed");
            self.checker
                .fail(self.now, Invariant::OnlyHoldersAnnounce, detail);
        }
        if !self.nodes[node].link_up {
            return;
        }
        self.followed = Some(node);
        let addresses: Vec<IpAddr> = self.nodes[node].kernel.addresses().collect();
        for to in (0..self.nodes.len()).filter(|to| *to != node) {
            for address in addresses.iter().copied() {
                for delay in self.network.arrivals(node, to) {
                    self.queue.push(
                        self.now + delay,
                        Event::Frame {
                            to,
                            frame: Frame::Claim(address),
                        },
                    );
                }
            }
        }
    }

    /// A process that was told to stop ends once it has let go and everything it wanted has been done.
    pub(super) fn leave_if_done(&mut self, node: usize) {
        let Some(process) = self.nodes[node].awake() else {
            return;
        };
        let done =
            process.seen.state == State::Initialize && !process.seen.holding && process.outstanding == 0;
        if process.stopping && process.channel.is_empty() && done {
            let own = process.incarnation;
            self.trace.add(self.now, || format!("node {node} ends"));
            if self.nodes[node]
                .kernel
                .entries()
                .any(|(_, entry)| entry.incarnation == own)
            {
                let detail = format!("node {node} has stopped as planned and left its addresses behind");
                self.checker.fail(self.now, Invariant::YielderLetsGo, detail);
            }
            self.end_process(node);
        }
    }
}
