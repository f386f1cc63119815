//! What comes in: packets, neighbors' claims, the netlink thread's news.

use core::net::IpAddr;

use holdfast_vrrp::wire::vrrp;
use holdfast_vrrp::{AddressResult, Family, Input, Instant, Received, Version, VirtualRouterId};

use super::Runtime;
use crate::clock;
use crate::engine::facts::FactChange;
use crate::engine::wires::Endpoint;
use crate::netlink::Message;

/// So many batches are read from one socket before the others get their turn: a flood on one interface does not
/// starve the rest.
const BATCHES_PER_ROUND: usize = 4;

impl Runtime {
    /// Reads what a socket has received.
    pub(super) fn hear(&mut self, endpoint: Endpoint) {
        match endpoint {
            Endpoint::Vrrp(index, family) => self.hear_vrrp(index, family),
            Endpoint::Neighbors(index) => self.hear_neighbors(index),
        }
    }

    fn hear_vrrp(&mut self, index: u32, family: Family) {
        let mut inbox = core::mem::take(&mut self.inbox);
        for _ in 0..BATCHES_PER_ROUND {
            let Some(wire) = self.wires.vrrp.get(&(index, family)) else {
                break;
            };
            // A socket error (the interface went down, say) is told by netlink in better words.
            let received = wire.socket.receive(&mut inbox).unwrap_or(0);
            let now = clock::now();
            for packet in inbox.iter() {
                let Some((_, virtual_router_id)) = vrrp::peek(packet.payload) else {
                    continue;
                };
                let slot = self
                    .wires
                    .vrrp
                    .get(&(index, family))
                    .and_then(|wire| wire.group(virtual_router_id));
                match slot {
                    Some(slot) => self.drive_packet(slot, now, packet),
                    None => self.hear_foreign(index, family, virtual_router_id, now, &packet),
                }
            }
            if received < inbox.capacity() {
                break;
            }
        }
        self.inbox = inbox;
    }

    fn drive_packet(&mut self, slot: usize, now: Instant, packet: Received<'_>) {
        self.drive_from(slot, now, Input::Advertisement(packet), Some(packet.source));
    }

    /// A packet of a virtual router that is not ours: nobody's business, unless it advertises one of our addresses.
    fn hear_foreign(&mut self, index: u32, family: Family, id: u8, now: Instant, packet: &Received<'_>) {
        let (source, destination) = (packet.source, packet.destination);
        let parsed = [Version::V3, Version::V2]
            .into_iter()
            .find_map(|version| vrrp::parse(packet.payload, version, source, destination).ok());
        let holds = parsed.as_ref().is_some_and(|parsed| parsed.priority != 0);
        let ours = parsed.and_then(|parsed| {
            let mut addresses = parsed.addresses;
            addresses.find_map(|address| Some((address, *self.vips.get(&address)?)))
        });
        let Some((address, slot)) = ours else {
            if let (Some(id), Some(wire)) = (
                VirtualRouterId::new(id),
                self.wires.vrrp.get_mut(&(index, family)),
            ) {
                // If the kernel refuses the filter, the packets keep coming and cost a little; nothing else.
                let _ = wire.mute(id);
            }
            return;
        };
        let Some(group) = self.groups.get_mut(slot).and_then(Option::as_mut) else {
            return;
        };
        let ours = group.spec.virtual_router_id;
        let said = group.notices.note(now, "virtual_router_id_mismatch", source, || {
            format!(
                "{source} advertises {address} with virtual router ID {id}, this group uses {ours}; give both the same \
                 virtualRouterID, or one of them another address"
            )
        });
        if holds {
            group.notices.mark(now, "virtual_router_id_mismatch", source);
        }
        if let Some(message) = said {
            self.say(slot, "virtual_router_id_mismatch", message);
        }
    }

    fn hear_neighbors(&mut self, index: u32) {
        let mut claims = core::mem::take(&mut self.claims);
        for _ in 0..BATCHES_PER_ROUND {
            claims.clear();
            let Some(wire) = self.wires.neighbors.get_mut(&index) else {
                break;
            };
            if wire.socket.receive(&mut claims).unwrap_or(0) == 0 {
                break;
            }
            let now = clock::now();
            for claim in &claims {
                // The bridge or bond below us may echo our own packets.
                if self.facts.owns_mac(claim.mac.0) {
                    continue;
                }
                if let Some(slot) = self.vips.get(&claim.address) {
                    self.drive(*slot, now, Input::AddressClaimed(claim.address));
                }
            }
        }
        self.claims = claims;
    }

    /// Takes in one message of the netlink thread.
    pub(super) fn learn_one(&mut self, message: &Message) {
        match message {
            Message::Bound { ticket } => self.bound(*ticket, None),
            Message::BindFailed { ticket, error } => self.bound(*ticket, Some(error)),
            Message::Unbound { ticket } => self.unbound(*ticket),
            _ => {
                if let Message::LinkGone { index } = message {
                    self.wires.forget(*index);
                }
                match self.facts.learn(message) {
                    FactChange::None => {}
                    FactChange::Topology => self.topology_changed = true,
                    FactChange::Gone(interface, address) => self.address_gone(interface, address),
                }
            }
        }
    }

    fn bound(&mut self, ticket: u64, error: Option<&str>) {
        let Some(slot) = self.tickets.remove(&ticket) else {
            return;
        };
        let Some(group) = self.groups[slot].as_mut() else {
            return;
        };
        let result = match error {
            None => {
                group.bind_error = None;
                AddressResult::Bound
            }
            Some(error) => {
                if group.bind_error.as_deref() != Some(error) {
                    group.bind_error = Some(error.to_owned());
                    self.say(slot, "bind_failed", error.to_owned());
                }
                AddressResult::Failed
            }
        };
        // An answer to a request that a later one has overtaken says nothing about now.
        let Some(group) = self.groups[slot].as_mut() else {
            return;
        };
        if group.bind_ticket == Some(ticket) {
            group.bind_ticket = None;
            self.drive(slot, clock::now(), Input::AddressResult(result));
        }
    }

    fn unbound(&mut self, ticket: u64) {
        if let Some(bindings) = self.unbinding.remove(&ticket) {
            self.release(bindings.iter().map(|binding| binding.address).collect());
        }
    }

    /// Has the connections of addresses closed that have left this node.
    pub(super) fn release(&self, addresses: Vec<IpAddr>) {
        if let Some(released) = &self.released {
            released.tell(addresses);
        }
    }

    fn address_gone(&mut self, interface: u32, address: IpAddr) {
        if self.abandoned.remove(&address) {
            self.release(vec![address]);
        }
        let holder = self
            .vips
            .get(&address)
            .copied()
            .and_then(|slot| Some((slot, self.groups[slot].as_mut()?)));
        let Some((slot, group)) = holder else {
            self.topology_changed = true;
            return;
        };
        // The node's own, such as an address owner's: groups may have taken part from it.
        let own = group.held.lose_own(interface, address, &self.facts);
        self.topology_changed |= own;
        if own
            || group
                .held
                .bindings()
                .any(|held| held.interface == interface && held.address == address)
        {
            group.counters.addresses_restored += 1;
            self.drive(
                slot,
                clock::now(),
                Input::AddressResult(AddressResult::Removed(address)),
            );
        }
    }
}
