//! What a node's kernel does with what is asked of it, and by itself.

use core::net::IpAddr;
use core::time::Duration;

use holdfast_vrrp::State;

use super::{Event, World};
use crate::invariants::Invariant;
use crate::kernel::{Entry, Operation};
use crate::mutation::Mutation;
use crate::node::{Message, StateFile};

impl World {
    pub(super) fn ask_kernel(&mut self, node: usize, operation: Operation) {
        let latency = self
            .rng
            .between(Duration::ZERO, self.scenario.setup.kernel_latency);
        let Some(process) = &mut self.nodes[node].process else {
            return;
        };
        let done = process.netlink_busy_until.max(self.now) + latency;
        process.netlink_busy_until = done;
        process.outstanding += 1;
        let incarnation = process.incarnation;
        self.queue.push(
            done,
            Event::Operation {
                node,
                incarnation,
                operation,
            },
        );
    }

    pub(super) fn operate(&mut self, node: usize, operation: Operation) {
        let Some(process) = &mut self.nodes[node].process else {
            return;
        };
        if process.frozen.is_some() {
            process.stalled.push(operation);
            return;
        }
        process.outstanding -= 1;
        match &operation {
            Operation::Bind(addresses, ..) => process
                .held
                .extend(addresses.iter().map(|address| address.address)),
            Operation::Unbind(addresses) => {
                for address in addresses {
                    process.held.remove(&address.address);
                }
            }
            Operation::Renew(_) => {}
        }
        let (incarnation, held) = (process.incarnation, process.held.clone());
        self.trace
            .add(self.now, || format!("node {node} kernel: {operation:?}"));
        let before: Vec<IpAddr> = self.nodes[node].kernel.addresses().collect();
        let binds = matches!(operation, Operation::Bind(..));
        match operation {
            Operation::Bind(_, _, number) if self.nodes[node].refuses_binding => {
                self.tell(node, Message::Failed(number));
            }
            Operation::Bind(addresses, lifetime, number) => {
                let entry = self.entry(node, lifetime, incarnation);
                for address in addresses {
                    self.nodes[node].kernel.insert(address.address, entry);
                }
                self.extended(node, entry);
                self.tell(node, Message::Bound(number));
            }
            Operation::Renew(lifetime) => {
                let entry = self.entry(node, lifetime, incarnation);
                for address in held {
                    if self.mutation == Mutation::RenewResurrects {
                        self.nodes[node].kernel.insert(address, entry);
                    }
                    self.nodes[node].kernel.extend(address, entry);
                }
                self.extended(node, entry);
            }
            Operation::Unbind(addresses) => {
                for address in addresses {
                    if self.mutation != Mutation::NeverUnbinds {
                        self.nodes[node].kernel.remove(address.address);
                    }
                }
            }
        }
        let came_back = self.nodes[node]
            .kernel
            .addresses()
            .find(|address| !before.contains(address));
        if let (false, Some(address)) = (binds, came_back) {
            let detail = format!("node {node} has {address} back without having bound it");
            self.checker.fail(self.now, Invariant::NoResurrection, detail);
        }
        self.leave_if_done(node);
    }

    pub(super) fn entry(&self, node: usize, lifetime: Duration, incarnation: u32) -> Entry {
        let lifetime = if self.mutation == Mutation::AddressesNeverExpire {
            Duration::MAX
        } else {
            lifetime
        };
        Entry {
            expires: self.nodes[node].clock.read(self.now) + lifetime,
            extended: self.now,
            incarnation,
        }
    }

    /// What follows from addresses having been extended: their expiry, and the agent's note of it.
    pub(super) fn extended(&mut self, node: usize, entry: Entry) {
        self.expect_expiry(node);
        let this = &mut self.nodes[node];
        if let Some(process) = &this.process
            && process.seen.state == State::Active
        {
            this.state_file = Some(StateFile {
                expires: entry.expires,
                active_since: process.seen.since,
            });
        }
    }

    pub(super) fn expect_expiry(&mut self, node: usize) {
        let fuzz = self.rng.between(Duration::ZERO, self.scenario.setup.expiry_fuzz);
        if let Some(expires) = self.nodes[node].kernel.next_expiry() {
            self.queue.push(
                self.nodes[node].clock.when(expires) + fuzz,
                Event::Expire { node },
            );
        }
    }

    pub(super) fn expire(&mut self, node: usize) {
        let now = self.nodes[node].clock.read(self.now);
        let expired = self.nodes[node].kernel.expire(now);
        if expired.is_empty() {
            return;
        }
        for address in expired {
            self.trace
                .add(self.now, || format!("node {node} kernel: {address} has expired"));
            self.tell(node, Message::Removed(address));
        }
        self.expect_expiry(node);
    }
}
