//! What goes out: a virtual router's actions become packets, requests to the netlink thread, and events.

use core::net::IpAddr;
use std::sync::Arc;

use holdfast_vrrp::wire::vrrp;
use holdfast_vrrp::{
    Action, Announce, DropReason, Fault, Input, Instant, Notice, Received, State, Transition, Transport,
    Version, VirtualAddress,
};

use super::Runtime;
use crate::clock;
use crate::engine::group::Group;
use crate::engine::messages::{Event, RouterIdentity};
use crate::engine::report;
use crate::netlink::{Binding, Request};

impl Runtime {
    /// Hands an input to a group's virtual router and does what it answers.
    pub(super) fn drive(&mut self, slot: usize, now: Instant, input: Input<'_>) {
        self.drive_from(slot, now, input, None);
    }

    /// The same for an input that came from `source`.
    pub(super) fn drive_from(&mut self, slot: usize, now: Instant, input: Input<'_>, source: Option<IpAddr>) {
        let Some(group) = self.groups.get_mut(slot).and_then(Option::as_mut) else {
            return;
        };
        // Who was Active is asked before, because becoming Active forgets it.
        let peer = group.router.snapshot().active_peer.or(source);
        let packet = match &input {
            Input::Advertisement(packet) => Some(*packet),
            _ => None,
        };
        let mut actions = core::mem::take(&mut self.actions);
        let resigned = resignation(&input);
        group.router.handle(now, input, &mut actions);
        let mut believed = packet.is_some();
        for action in actions.drain(..) {
            let dropped = match action {
                Action::Dropped(reason) => Some(reason),
                _ => None,
            };
            believed &= dropped.is_none();
            self.perform(slot, now, action, peer, source);
            if let (Some(reason), Some(packet)) = (dropped, &packet) {
                self.weigh(slot, now, reason, packet);
            }
        }
        self.actions = actions;
        let Some(group) = self.groups[slot].as_mut() else {
            return;
        };
        if believed {
            group.counters.advertisements_received += 1;
            group.counters.resignations_received += u64::from(resigned);
        }
        if group.spec.sync_group.is_some()
            && group.cannot_bind != group.router.snapshot().faults.contains(Fault::BindFailed)
        {
            group.cannot_bind = !group.cannot_bind;
            self.unsettled = true;
        }
        match group.router.next_timeout() {
            Some(deadline) => self.timers.arm(slot, deadline),
            None => self.timers.disarm(slot),
        }
        if group.retiring.is_some() && group.router.is_stopped() {
            self.retire(slot);
        }
    }

    fn perform(
        &mut self,
        slot: usize,
        now: Instant,
        action: Action,
        peer: Option<IpAddr>,
        source: Option<IpAddr>,
    ) {
        match action {
            Action::Send { priority } => self.advertise(slot, priority),
            Action::Bind(addresses) => self.bind(slot, now, &addresses),
            Action::Renew => self.renew(slot, now),
            Action::Announce(announce) => {
                let Some(group) = &self.groups[slot] else { return };
                let rounds = match announce {
                    Announce::Burst => group.spec.announcement.count,
                    Announce::Refresh => 1,
                };
                self.announcer.start(now, slot, rounds);
            }
            Action::Unbind(addresses) => self.unbind(slot, &addresses),
            Action::Transition(transition) => self.transition(slot, now, &transition, peer),
            Action::Dropped(reason) => {
                let Some(group) = self.groups[slot].as_mut() else {
                    return;
                };
                group.count_drop(&reason);
                let said = source.and_then(|source| group.notices.dropped(now, source, &reason));
                if let Some((kind, message)) = said {
                    self.say(slot, kind, message);
                }
            }
            Action::Notice(notice) => self.notice(slot, now, notice, source),
        }
    }

    /// A packet that was not believed may be evidence all the same: of a router that has this group's addresses but another
    /// password, version or list of peers.
    fn weigh(&mut self, slot: usize, now: Instant, reason: DropReason, packet: &Received<'_>) {
        let elsewhere = matches!(
            reason,
            DropReason::OwnAddress | DropReason::Ttl { .. } | DropReason::NotParticipating
        );
        let Some(group) = self.groups[slot].as_mut().filter(|_| !elsewhere) else {
            return;
        };
        let holds_ours = |address| group.spec.addresses.iter().any(|own| own.address == address);
        if holder_of(packet, holds_ours).is_some() {
            group.notices.mark(now, reason.label(), packet.source);
        }
    }

    /// Something on the wire that should not be so: counted, kept for status, and said.
    fn notice(&mut self, slot: usize, now: Instant, notice: Notice, source: Option<IpAddr>) {
        let Some(group) = self.groups[slot].as_mut() else {
            return;
        };
        let about = match notice {
            Notice::AddressClaimed(address) => {
                group.counters.conflicts += 1;
                address
            }
            Notice::OtherActive { router, .. }
            | Notice::IntervalDiffers { router, .. }
            | Notice::OtherOwner(router)
            | Notice::AddressesDiffer(router) => router,
        };
        let kind = notice.label();
        if let Some(message) = group
            .notices
            .note(now, kind, source.unwrap_or(about), || notice.to_string())
        {
            self.say(slot, kind, message);
        }
    }

    /// Tells the rest of the agent about a group.
    pub(super) fn say(&mut self, slot: usize, kind: &str, message: String) {
        let group = self.groups[slot].as_ref().map(|group| group.spec.name.clone());
        self.outlet.send(Event::Notice {
            group,
            kind: kind.to_owned(),
            message,
        });
    }

    /// Queues one advertisement for each destination.
    fn advertise(&mut self, slot: usize, priority: u8) {
        let Some(group) = self.groups[slot].as_mut() else {
            return;
        };
        let config = group.router.config();
        let (Some(source), Some(link)) = (config.source, &group.resolved.interface) else {
            return;
        };
        let Some(wire) = self.wires.vrrp.get_mut(&(link.index, config.family)) else {
            return;
        };
        let mut queue = |destination: IpAddr| {
            wire.outbox.push(source, destination, |packet| {
                vrrp::emit(config, priority, source, destination, packet);
            });
            wire.senders.push(slot);
        };
        match &config.transport {
            Transport::Multicast(group) => queue(*group),
            Transport::Unicast(peers) => peers.iter().for_each(|peer| queue(peer.address)),
        }
        if priority == 0 {
            group.counters.resignations_sent += 1;
        }
    }

    fn bind(&mut self, slot: usize, now: Instant, addresses: &[VirtualAddress]) {
        let Some(group) = self.groups[slot].as_mut() else {
            return;
        };
        for bound in addresses {
            self.abandoned.remove(&bound.address);
        }
        // The address owner's own address, or somebody's leftover: given a lifetime, it would be deleted one day.
        let (own, bindings): (Vec<_>, Vec<_>) = group
            .bindings_of(addresses)
            .into_iter()
            .partition(|(_, binding)| self.facts.is_foreign(binding));
        let lifetime = group.router.config().lifetime;
        let request: Arc<[Binding]> = bindings.iter().map(|(_, binding)| binding.clone()).collect();
        group.held.add(bindings, now + lifetime, &self.facts);
        group.held.add_own(own, &self.facts);
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        group.bind_ticket = Some(ticket);
        self.tickets.insert(ticket, slot);
        self.request(Request::Bind {
            ticket,
            bindings: request,
            lifetime,
        });
    }

    fn renew(&mut self, slot: usize, now: Instant) {
        let Some(group) = self.groups[slot].as_mut() else {
            return;
        };
        let lifetime = group.router.config().lifetime;
        let (bindings, not_after) = group.held.renew(now + lifetime);
        self.request(Request::Renew {
            bindings,
            lifetime,
            not_after,
        });
    }

    fn unbind(&mut self, slot: usize, addresses: &[VirtualAddress]) {
        let Some(group) = self.groups[slot].as_mut() else {
            return;
        };
        let bindings = group.held.remove(addresses, &self.facts);
        if group.held.announced().is_empty() {
            self.announcer.cancel(slot);
        }
        if bindings.is_empty() {
            return;
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.unbinding.insert(ticket, bindings.clone());
        self.request(Request::Unbind { ticket, bindings });
    }

    /// Binds again what is bound another way now; the router need not know.
    pub(super) fn bind_again(&mut self, slot: usize, bindings: &[Binding]) {
        let Some(group) = self.groups[slot].as_ref() else {
            return;
        };
        // What made it another way to bind may also have made the router let go meanwhile.
        let bindings: Arc<[Binding]> = bindings
            .iter()
            .filter(|binding| group.held.bindings().any(|held| held == *binding))
            .cloned()
            .collect();
        if bindings.is_empty() {
            return;
        }
        let lifetime = group.router.config().lifetime;
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.tickets.insert(ticket, slot);
        self.request(Request::Bind {
            ticket,
            bindings,
            lifetime,
        });
    }

    fn request(&mut self, request: Request) {
        if self.backlog.is_empty() {
            let Err(tokio::sync::mpsc::error::TrySendError::Full(request)) = self.netlink.try_send(request)
            else {
                return;
            };
            self.keep(request);
        } else {
            self.keep(request);
        }
    }

    fn keep(&mut self, request: Request) {
        // A renewal that cannot be carried out soon is better not carried out late; the next one comes in a third of
        // the lifetime.
        if !matches!(request, Request::Renew { .. }) {
            self.backlog.push_back(request);
        }
    }

    fn transition(&mut self, slot: usize, now: Instant, transition: &Transition, peer: Option<IpAddr>) {
        let Some(group) = self.groups[slot].as_mut() else {
            return;
        };
        // A resumed router has been Active since before this process.
        group.since = report::wall(now, group.router.snapshot().since);
        if transition.to == State::Active {
            group.counters.became_active += 1;
        }
        if [transition.from, transition.to].contains(&State::Active) {
            group.last_move = Some((group.since, *transition));
        }
        if transition.from == State::Active {
            // It may still serve until its successor does, but has nothing to announce any more: the last word in the
            // neighbors' caches is to be the successor's.
            self.announcer.cancel(slot);
        }
        let peer = peer.map(|peer| report::peer(group, peer));
        self.note_for_fellows(slot, transition);
        let Some(group) = &self.groups[slot] else { return };
        let message = report::describe(transition, peer.as_deref(), &self.account(group));
        self.outlet.send(Event::Transition {
            group: group.spec.name.clone(),
            router: RouterIdentity::of(&group.spec),
            transition: *transition,
            interface: group.resolved.interface.as_ref().map(|link| link.name.clone()),
            message,
        });
    }

    /// Sends the announcements whose turn it is.
    pub(super) fn announce(&mut self) {
        let now = clock::now();
        if self.announcer.next().is_none_or(|next| next > now) {
            return;
        }
        let Self {
            announcer,
            groups,
            wires,
            ..
        } = self;
        let mut counted: Vec<(usize, u64)> = Vec::new();
        announcer.run(
            now,
            |slot| {
                groups[slot]
                    .as_ref()
                    .map_or(&[], |group: &Group| group.held.announced())
            },
            |slot, announced| {
                let Some(wire) = wires.neighbors.get_mut(&announced.interface) else {
                    return 0;
                };
                wire.outbox.push(|frame| announced.emit_frame(frame));
                let reply = groups[slot]
                    .as_ref()
                    .is_some_and(|group| group.spec.announcement.arp_reply);
                let mut frames = 1;
                if reply && announced.address.is_ipv4() {
                    wire.outbox.push(|frame| announced.emit_reply_frame(frame));
                    frames += 1;
                }
                counted.push((slot, frames));
                usize::try_from(frames).unwrap_or(usize::MAX)
            },
        );
        for (slot, frames) in counted {
            if let Some(group) = self.groups[slot].as_mut() {
                group.counters.announcements_sent += frames;
            }
        }
    }

    /// Puts everything queued on the wire, advertisements first, and lets waiting requests and events go.
    pub(super) fn flush(&mut self) {
        for wire in self
            .wires
            .vrrp
            .values_mut()
            .filter(|wire| !wire.senders.is_empty())
        {
            let report = wire.socket.send(&mut wire.outbox);
            for slot in &wire.senders {
                if let Some(group) = self.groups[*slot].as_mut() {
                    group.counters.advertisements_sent += 1;
                }
            }
            for (index, _) in &report.failed {
                if let Some(group) = wire
                    .senders
                    .get(*index)
                    .and_then(|slot| self.groups[*slot].as_mut())
                {
                    group.counters.advertisements_sent -= 1;
                    group.counters.send_errors += 1;
                }
            }
            wire.senders.clear();
        }
        for wire in self
            .wires
            .neighbors
            .values_mut()
            .filter(|wire| !wire.outbox.is_empty())
        {
            // A link that went down loses announcements; the link's return announces again.
            let _ = wire.socket.send(&mut wire.outbox);
        }
        while let Some(request) = self.backlog.pop_front() {
            if let Err(tokio::sync::mpsc::error::TrySendError::Full(request)) = self.netlink.try_send(request)
            {
                self.backlog.push_front(request);
                break;
            }
        }
        self.outlet.flush();
    }
}

/// Whether an input is an advertisement with priority 0, for counting; whether to believe it is the router's to say.
fn resignation(input: &Input<'_>) -> bool {
    matches!(input, Input::Advertisement(packet) if packet.payload.get(2) == Some(&0))
}

/// The first address among those that `wanted` names of which a packet says, whatever its version and proof of membership,
/// that its sender has it. One that leaves has none.
pub(super) fn holder_of(packet: &Received<'_>, wanted: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let parsed = [Version::V3, Version::V2]
        .into_iter()
        .find_map(|version| vrrp::parse(packet.payload, version, packet.source, packet.destination).ok())?;
    let mut addresses = parsed.addresses;
    addresses.find(|address| parsed.priority != 0 && wanted(*address))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIP: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(10, 0, 0, 100));

    /// Advertises [`VIP`] and 10.0.0.101 with virtual router ID 51 and this priority.
    fn advertisement(priority: u8) -> Vec<u8> {
        let mut packet = vec![0x31, 51, priority, 2, 0, 100, 0, 0, 10, 0, 0, 100, 10, 0, 0, 101];
        let sum: u32 = packet
            .chunks(2)
            .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
            .sum();
        let folded = u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
        packet[6..8].copy_from_slice(&(!folded).to_be_bytes());
        packet
    }

    fn holder(payload: &[u8], wanted: IpAddr) -> Option<IpAddr> {
        let packet = Received {
            source: IpAddr::from([10, 0, 0, 2]),
            destination: IpAddr::from([224, 0, 0, 18]),
            ttl: 255,
            payload,
        };
        holder_of(&packet, |address| address == wanted)
    }

    #[test]
    fn who_advertises_an_address_has_it_unless_he_leaves() {
        assert_eq!(holder(&advertisement(100), VIP), Some(VIP));
        assert_eq!(holder(&advertisement(0), VIP), None);
        assert_eq!(holder(&advertisement(100), IpAddr::from([10, 0, 0, 102])), None);
        assert_eq!(holder(b"noise", VIP), None);
    }
}
