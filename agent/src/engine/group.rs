//! One group as the engine runs it: its virtual router, what it holds, and what it has counted.

use core::net::IpAddr;
use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_api::model::{Mode, NodeGroup};
use holdfast_health::Judgement;
use holdfast_vrrp::wire::ethernet::MacAddress;
use holdfast_vrrp::{
    Announcement, Config, DropReason, Fault, Faults, Health, Instant, Preemption, Transition, Transport,
    VirtualAddress, VirtualRouter, active_down_interval,
};

use jiff::Timestamp;

use super::announcer::Announced;
use super::facts::Facts;
use super::fitness::{self, Doubt, Fellows, is_known};
use super::lifetime::lifetime;
use super::messages::Judged;
use super::notices::Notices;
use super::resolve::{Resolved, bound_prefix_length};
use crate::netlink::Binding;
use crate::status::Counters;

/// A running group.
#[derive(Debug)]
pub struct Group {
    /// What it is to be.
    pub spec: NodeGroup,
    /// What that means on this node now.
    pub resolved: Resolved,
    /// The protocol.
    pub router: VirtualRouter,
    /// What was asked to be bound and not to be taken away since.
    pub held: Held,
    /// The [`crate::netlink::Request::Bind`] whose answer the router waits for.
    pub bind_ticket: Option<u64>,
    /// The health that the router was told last; `None`: none, and so it has not started.
    pub told: Option<Health>,
    /// Its health as its probes have it.
    pub judgement: Option<Judgement>,
    /// Whether it is to be on this node by somebody's wish.
    pub preferred: bool,
    /// Whom what is not known of its health speaks against.
    pub doubt: Doubt,
    /// What the other groups of its sync group are to it.
    pub fellows: Fellows,
    /// Which of them left, when this one was last told to hand over because of that.
    pub leaver: Option<String>,
    /// Whether its router has given up on binding, as its sync group knows it.
    pub cannot_bind: bool,
    /// Until when a source address that is gone is waited for before it counts as lost.
    pub source_grace: Option<Instant>,
    /// The router is stopping; afterwards the group is this, or gone.
    pub retiring: Option<Successor>,
    /// Since when it is in its state, by the wall clock of that moment.
    pub since: Timestamp,
    /// When it last became Active or ceased to be, by the wall clock of that moment, and how.
    pub last_move: Option<(Timestamp, Transition)>,
    /// What was counted.
    pub counters: Counters,
    /// Packets dropped, by the reason's label.
    pub drops: BTreeMap<&'static str, u64>,
    /// What does not fit together on the wire.
    pub notices: Notices,
    /// The kernel's last refusal to bind, until binding succeeds.
    pub bind_error: Option<String>,
}

/// What a group that is being stopped becomes.
#[derive(Clone, PartialEq, Debug)]
pub enum Successor {
    /// Nothing: it was withdrawn.
    Nobody,
    /// The same name as another virtual router.
    Group(Box<NodeGroup>),
}

/// The addresses of a group that are on their interfaces, or on their way there.
#[derive(Debug, Default)]
pub struct Held {
    // Lists, not maps: a group has few addresses, and a map's smallest node has room for eleven.
    bindings: Vec<(VirtualAddress, Binding)>,
    /// Addresses that were on the node before and stay after: an address owner's own. Announced, and otherwise left alone.
    own: Vec<(VirtualAddress, Binding)>,
    /// The bindings for renewal, shared with the netlink thread; made anew when the set changes, not at each renewal.
    renewal: Arc<[Binding]>,
    /// All that is held, for announcing.
    announced: Vec<Announced>,
    /// When they expire if nothing renews them.
    expires: Instant,
}

impl Held {
    /// Adds `bindings` and gives all that is held life until `expires`.
    pub fn add(
        &mut self,
        bindings: impl IntoIterator<Item = (VirtualAddress, Binding)>,
        expires: Instant,
        facts: &Facts,
    ) {
        put(&mut self.bindings, bindings);
        self.expires = expires;
        self.refresh(facts);
    }

    /// Adds addresses that are the node's own.
    pub fn add_own(&mut self, own: impl IntoIterator<Item = (VirtualAddress, Binding)>, facts: &Facts) {
        put(&mut self.own, own);
        self.refresh(facts);
    }

    /// Forgets an address of the node's own that is gone; whether it was held.
    pub fn lose_own(&mut self, interface: u32, address: IpAddr, facts: &Facts) -> bool {
        let held = self.own.len();
        self.own
            .retain(|(_, binding)| (binding.interface, binding.address) != (interface, address));
        let lost = self.own.len() < held;
        if lost {
            self.refresh(facts);
        }
        lost
    }

    /// Removes addresses and returns how those were bound that were not the node's own.
    pub fn remove(&mut self, addresses: &[VirtualAddress], facts: &Facts) -> Arc<[Binding]> {
        self.own.retain(|(address, _)| !addresses.contains(address));
        let removed = self
            .bindings
            .extract_if(.., |(address, _)| addresses.contains(address))
            .map(|(_, binding)| binding)
            .collect();
        self.refresh(facts);
        removed
    }

    /// All that is held, for renewal until `expires`; and until when that may be carried out.
    pub fn renew(&mut self, expires: Instant) -> (Arc<[Binding]>, Instant) {
        let not_after = core::mem::replace(&mut self.expires, expires);
        (self.renewal.clone(), not_after)
    }

    /// Takes over how addresses are bound now (another preferred source, say); what changed, to be bound again.
    pub fn update(&mut self, resolved: &Resolved, facts: &Facts) -> Arc<[Binding]> {
        let mut changed = Vec::new();
        for (address, binding) in &mut self.bindings {
            if let Some(now) = resolved.binding(address.address)
                && now.interface == binding.interface
                && now.prefix_length == binding.prefix_length
                && now != binding
            {
                *binding = now.clone();
                changed.push(now.clone());
            }
        }
        self.refresh(facts);
        changed.into()
    }

    /// How the addresses are bound.
    pub fn bindings(&self) -> impl Iterator<Item = &Binding> {
        self.bindings.iter().map(|(_, binding)| binding)
    }

    /// The addresses as they are announced. None of an interface without a link-layer address.
    pub fn announced(&self) -> &[Announced] {
        &self.announced
    }

    /// Makes the derived lists anew; also to be called when an interface's link-layer address changed.
    pub fn refresh(&mut self, facts: &Facts) {
        self.renewal = self.bindings().cloned().collect();
        self.announced = self
            .bindings
            .iter()
            .chain(&self.own)
            .filter_map(|(_, binding)| {
                let mac = facts.link(binding.interface)?.mac?;
                Some(Announced {
                    interface: binding.interface,
                    mac: MacAddress(mac),
                    address: binding.address,
                })
            })
            .collect();
    }
}

/// Adds to a list, in place of what it has of the same address.
fn put(
    list: &mut Vec<(VirtualAddress, Binding)>,
    added: impl IntoIterator<Item = (VirtualAddress, Binding)>,
) {
    for (address, binding) in added {
        list.retain(|(present, _)| *present != address);
        list.push((address, binding));
    }
}

impl Group {
    /// A group with that router, which holds nothing yet.
    pub fn new(spec: NodeGroup, resolved: Resolved, router: VirtualRouter) -> Self {
        Self {
            spec,
            resolved,
            router,
            held: Held::default(),
            bind_ticket: None,
            told: None,
            judgement: None,
            preferred: false,
            doubt: Doubt::default(),
            fellows: Fellows::default(),
            leaver: None,
            cannot_bind: false,
            source_grace: None,
            retiring: None,
            since: Timestamp::now(),
            last_move: None,
            counters: Counters::default(),
            drops: BTreeMap::new(),
            notices: Notices::default(),
            bind_error: None,
        }
    }

    /// Takes in what is made of this node for the group.
    pub fn take(&mut self, judged: Option<&Judged>) {
        self.judgement = judged.map(|judged| judged.judgement);
        self.preferred = judged.is_some_and(|judged| judged.preferred);
        if self.judgement.is_some_and(is_known) {
            self.doubt = Doubt::Against;
        }
    }

    /// Its health by itself, with what was `found` on the node.
    pub fn own_health(&self, found: Faults) -> Health {
        fitness::own(found, self.judgement, self.doubt)
    }

    /// Its health with what was `found` on the node and what its sync group adds.
    pub fn health(&self, found: Faults) -> Health {
        fitness::with_fellows(self.own_health(found), self.spec.priority, &self.fellows)
    }

    /// Its health as it counts for the others of its sync group.
    pub fn shared_health(&self) -> Health {
        let found = self
            .resolved
            .fault_set()
            .with(Fault::BindFailed, self.cannot_bind);
        fitness::shared(found, self.judgement, self.doubt)
    }

    /// When it takes over from a worse router: at once, if it is to be on this node.
    pub fn preemption(&self) -> Preemption {
        if self.preferred || self.fellows.serve {
            Preemption::Immediate
        } else {
            self.spec.preemption
        }
    }

    /// The protocol's configuration, if it is resolved so.
    pub fn config(&self, resolved: &Resolved, addresses_in_all: usize) -> Config {
        Config {
            preemption: self.preemption(),
            ..config(&self.spec, resolved, addresses_in_all)
        }
    }

    /// How the given addresses are bound here. Those whose interface is missing are left out.
    pub fn bindings_of(&self, addresses: &[VirtualAddress]) -> Vec<(VirtualAddress, Binding)> {
        addresses
            .iter()
            .filter_map(|a| Some((a.clone(), self.resolved.binding(a.address)?.clone())))
            .collect()
    }

    /// Takes note that a virtual address is on the node without Holdfast's doing; the sentence, if it is to be said now.
    pub fn note_leftover(&mut self, now: Instant, address: IpAddr) -> Option<String> {
        self.notices.note(now, "address_not_ours", address, || {
            format!(
                "{address} is on this node already and was not put there by Holdfast, so that this node answers for it \
                 whoever is Active; remove a leftover with `ip address del`; if it is the node's own address, its priority is \
                 to be 255"
            )
        })
    }

    /// Counts a dropped packet.
    pub fn count_drop(&mut self, reason: &DropReason) {
        *self.drops.entry(reason.label()).or_default() += 1;
    }

    /// The name that the configuration gives to a peer's address.
    pub fn peer_name(&self, address: IpAddr) -> Option<&str> {
        match &self.spec.advertisement.mode {
            Mode::Unicast(peers) => peers
                .iter()
                .find(|named| named.peer.address == address)
                .map(|named| named.name.as_str()),
            Mode::Multicast(_) => None,
        }
    }
}

/// The protocol's configuration for a group on a node with `addresses_in_all` virtual addresses.
pub fn config(spec: &NodeGroup, resolved: &Resolved, addresses_in_all: usize) -> Config {
    let advertisement = &spec.advertisement;
    let down = active_down_interval(advertisement.version, spec.priority, advertisement.interval);
    Config {
        virtual_router_id: spec.virtual_router_id,
        version: advertisement.version,
        family: spec.family,
        priority: spec.priority,
        interval: advertisement.interval,
        source: resolved.source,
        transport: match &advertisement.mode {
            Mode::Multicast(group) => Transport::Multicast(*group),
            Mode::Unicast(peers) => {
                Transport::Unicast(peers.iter().map(|named| named.peer.clone()).collect())
            }
        },
        addresses: spec.addresses.iter().map(virtual_address).collect(),
        preemption: spec.preemption,
        authentication: spec.authentication,
        checksum: advertisement.checksum,
        // A virtual address that answers nothing but ARP is of no use to anybody's service (RFC 9568 §6.1 Accept_Mode).
        accept: true,
        startup_delay: spec.startup_delay,
        lifetime: lifetime(down, addresses_in_all),
        announcement: Announcement {
            repeat_after: spec.announcement.repeat_after,
            refresh_interval: spec.announcement.refresh_interval,
        },
        may_become_active: spec.may_become_active,
    }
}

fn virtual_address(address: &holdfast_api::model::Address) -> VirtualAddress {
    VirtualAddress {
        address: address.address,
        prefix_length: bound_prefix_length(address),
        interface: address.interface.as_deref().map(Into::into),
        label: address.label.as_deref().map(Into::into),
    }
}
