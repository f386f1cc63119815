//! What is to be done becomes running groups: new ones start, changed ones are reconfigured as far as they changed,
//! withdrawn ones hand over. And the same again whenever the node's links or addresses change what a group means.

use core::net::IpAddr;
use core::time::Duration;

use holdfast_api::model::{NodeGroup, NodeSpec};
use holdfast_vrrp::{Change, Fault, Faults, Input, Instant, Resume, Shutdown, VirtualRouter};

use super::Runtime;
use crate::clock;
use crate::engine::fitness::Doubt;
use crate::engine::group::{Group, Successor, config};
use crate::engine::messages::{Event, RouterIdentity};
use crate::engine::resolve::{Resolved, resolve};
use crate::engine::wires::Endpoint;

/// How long a missing source address is waited for before it is a fault: long enough for whoever renews the node's address
/// by taking it away and putting it back, short enough for whoever has really lost it.
const SOURCE_GRACE: Duration = Duration::from_millis(100);

impl Runtime {
    /// Does `spec` from now on. What is unchanged is left alone.
    pub(super) fn apply(&mut self, spec: NodeSpec) {
        if self.ending.is_some() {
            return;
        }
        let now = clock::now();
        let withdrawn: Vec<usize> = self
            .slots
            .iter()
            .filter(|(name, _)| spec.groups.get(*name).is_none_or(|group| group.deleted))
            .map(|(_, slot)| *slot)
            .collect();
        for slot in withdrawn {
            self.replace(slot, now, Successor::Nobody);
        }
        // All addresses first: none of them may be taken for a node's own, whatever the order of the groups.
        for address in spec.groups.values().flat_map(|group| &group.addresses) {
            self.vips.entry(address.address).or_insert(usize::MAX);
        }
        for group in spec.groups.into_values().filter(|group| !group.deleted) {
            match self.slots.get(&group.name).copied() {
                Some(slot) => self.change(slot, now, group),
                None => self.start(group),
            }
        }
        self.resolve_again();
    }

    /// Resolves every group anew and keeps the sockets in step.
    pub(super) fn resolve_again(&mut self) {
        if let Some(spec) = self.early_spec.take() {
            return self.apply(*spec);
        }
        let now = clock::now();
        self.index_vips();
        for slot in 0..self.groups.len() {
            self.resolve_one(slot, now);
        }
        self.sync_wires();
        // Before new groups start, so that none stands better at first than the others of its sync group.
        self.unsettled = true;
        self.settle();
        for slot in 0..self.groups.len() {
            let Some(group) = self.groups[slot].as_mut() else {
                continue;
            };
            group.held.refresh(&self.facts);
            if group.told.is_none() {
                // Not before its sockets are open, so that its first word is heard.
                self.tell_news(slot, now);
            }
        }
    }

    /// Puts a new group into a free slot. It starts once [`Runtime::resolve_again`] has opened its sockets.
    fn start(&mut self, spec: NodeGroup) {
        let now = clock::now();
        let slot = self
            .groups
            .iter()
            .position(Option::is_none)
            .unwrap_or(self.groups.len());
        if slot == self.groups.len() {
            self.groups.push(None);
        }
        let resolved = self.resolve(&spec, slot);
        let config = config(&spec, &resolved, self.vips.len());
        let was_active = self.predecessor.active.contains_key(&spec.name);
        let resume = self.resume(&spec, &resolved, now);
        if was_active && resume.is_none() {
            self.abandon(&spec);
        }
        let router = match resume {
            Some(resume) => VirtualRouter::resume(now, config, resume),
            None => VirtualRouter::new(now, config),
        };
        self.slots.insert(spec.name.clone(), slot);
        let mut group = Group::new(spec, resolved, router);
        if let Some(resume) = resume {
            let held = group.bindings_of(&group.router.config().addresses);
            group.held.add(held, resume.expires, &self.facts);
            group.doubt = Doubt::Resumed;
        }
        group.take(self.judged.get(&group.spec.name));
        self.groups[slot] = Some(group);
    }

    /// What the agent before this one left of the group, if its addresses are still there.
    fn resume(&mut self, spec: &NodeGroup, resolved: &Resolved, now: Instant) -> Option<Resume> {
        let takeover = self.predecessor.active.remove(&spec.name)?;
        if !resolved.faults.is_empty() || takeover.router != RouterIdentity::of(spec) {
            return None;
        }
        let expires = resolved
            .bindings
            .iter()
            .map(|binding| {
                self.facts
                    .address(binding.interface, binding.address)?
                    .expires
                    .filter(|expires| *expires > now)
            })
            .collect::<Option<Vec<_>>>()?
            .into_iter()
            .min()?;
        Some(Resume {
            expires,
            active_since: Instant::from_nanos(takeover.since_nanos),
            handed_over: self.predecessor.handed_over,
        })
    }

    /// The agent before this one held the group's addresses, and this one does not: some have left, others will.
    fn abandon(&mut self, spec: &NodeGroup) {
        let addresses = spec.addresses.iter().map(|address| address.address);
        let (here, left): (Vec<_>, Vec<_>) =
            addresses.partition(|address| self.facts.addresses().any(|found| found.address == *address));
        self.abandoned.extend(here);
        self.release(left);
    }

    /// Makes a running group what `spec` says, moving no more than that asks for.
    fn change(&mut self, slot: usize, now: Instant, spec: NodeGroup) {
        let Some(group) = self.groups[slot].as_mut() else {
            return;
        };
        if group.retiring.is_some() {
            group.retiring = Some(Successor::Group(Box::new(spec)));
            return;
        }
        if group.spec == spec {
            return;
        }
        let restart = group.spec.interface != spec.interface
            || group
                .router
                .config()
                .diff(&config(&spec, &group.resolved, self.vips.len()))
                == Change::Restart;
        if restart {
            self.replace(slot, now, Successor::Group(Box::new(spec)));
        } else {
            group.spec = spec;
        }
    }

    /// Has a group hand over and then be `successor`.
    fn replace(&mut self, slot: usize, now: Instant, successor: Successor) {
        let Some(group) = self.groups[slot].as_mut() else {
            return;
        };
        if group.retiring.replace(successor).is_none() {
            self.drive(slot, now, Input::Shutdown(Shutdown::Planned));
        }
    }

    /// A group has stopped: its slot becomes free, or its successor's.
    pub(super) fn retire(&mut self, slot: usize) {
        // Its last word is still queued on a socket that may be closed below.
        self.flush();
        let Some(group) = self.groups[slot].take() else {
            return;
        };
        self.slots.remove(&group.spec.name);
        self.timers.disarm(slot);
        self.announcer.cancel(slot);
        self.vips.retain(|_, owner| *owner != slot);
        self.tickets.retain(|_, owner| *owner != slot);
        self.outlet.send(Event::Withdrawn {
            group: group.spec.name.clone(),
        });
        match group.retiring {
            Some(Successor::Group(spec)) if self.ending.is_none() => self.start(*spec),
            _ => {}
        }
        // Resolved in the next round, not now: this may be the middle of going through all groups.
        self.topology_changed = true;
    }

    fn resolve_one(&mut self, slot: usize, now: Instant) {
        let Some(group) = self.groups[slot].as_ref() else {
            return;
        };
        let resolved = self.resolve(&group.spec, slot);
        if self.awaits_source(slot, now, &resolved) {
            return;
        }
        let Some(group) = self.groups[slot].as_ref() else {
            return;
        };
        let moved = matches!((&group.resolved.interface, &resolved.interface), (Some(old), Some(new)) if old.index != new.index);
        let (told, old_faults) = (group.told, group.resolved.fault_set());
        let health = group.health(resolved.fault_set());
        let config = group.config(&resolved, self.vips.len());
        let reconfigure = *group.router.config() != config;
        if moved && told.is_some() && old_faults.is_empty() {
            // Another interface under the same name: what was bound to the old one is given up first.
            let missing = group.health(Faults::NONE.with(Fault::InterfaceMissing, true));
            self.tell(slot, now, missing);
        }
        let Some(group) = self.groups[slot].as_mut() else {
            return;
        };
        let again = group.held.update(&resolved, &self.facts);
        // Faults come before and go after a new configuration, so that a router never takes part with half of it.
        let tell = told.is_some_and(|told| moved || told != health);
        if tell && !health.faults.is_empty() {
            // It says goodbye from where it was, on a socket that may be closed afterwards.
            group.resolved.faults.clone_from(&resolved.faults);
            self.tell(slot, now, health);
            self.flush();
        }
        if let Some(group) = self.groups[slot].as_mut() {
            group.resolved = resolved;
        }
        if reconfigure {
            self.configure(slot, now, config);
        }
        if tell && health.faults.is_empty() {
            self.tell(slot, now, health);
        }
        self.bind_again(slot, &again);
        self.note_leftovers(slot, now);
    }

    /// Whether a group that has just lost its source address, and nothing else, goes on as it was for a moment: a DHCP
    /// client or network manager may take the node's address away only to put it back.
    fn awaits_source(&mut self, slot: usize, now: Instant, resolved: &Resolved) -> bool {
        let Some(group) = self.groups[slot].as_mut() else {
            return false;
        };
        let link_stays = group
            .resolved
            .interface
            .as_ref()
            .is_some_and(|link| self.facts.link(link.index) == Some(link));
        let lost = group.told.is_some()
            && link_stays
            && group.resolved.faults.is_empty()
            && group.resolved.source.is_some()
            && resolved.lacks_only_source(&group.spec);
        if !lost {
            group.source_grace = None;
            return false;
        }
        let until = *group.source_grace.get_or_insert(now + SOURCE_GRACE);
        if until <= now {
            group.source_grace = None;
            return false;
        }
        self.resolve_at = Some(self.resolve_at.map_or(until, |at| at.min(until)));
        true
    }

    /// Says which virtual addresses are on the node for good: it answers for them, whoever is Active.
    fn note_leftovers(&mut self, slot: usize, now: Instant) {
        let Some(group) = self.groups[slot].as_mut() else {
            return;
        };
        if group.spec.priority.is_owner() {
            return;
        }
        let leftovers: Vec<IpAddr> = group
            .resolved
            .bindings
            .iter()
            .filter(|binding| self.facts.is_foreign(binding))
            .map(|binding| binding.address)
            .collect();
        for address in leftovers {
            if let Some(message) = self.groups[slot]
                .as_mut()
                .and_then(|group| group.note_leftover(now, address))
            {
                self.say(slot, "address_not_ours", message);
            }
        }
    }

    /// What a group means here, and whether another one has its identifier already.
    fn resolve(&self, spec: &NodeGroup, slot: usize) -> Resolved {
        let mut resolved = resolve(spec, &self.facts, &|address| self.vips.contains_key(&address));
        let Some(link) = &resolved.interface else {
            return resolved;
        };
        let holder = self.groups.iter().enumerate().find_map(|(other, group)| {
            let group = group.as_ref().filter(|_| other != slot)?;
            let same = group.spec.virtual_router_id == spec.virtual_router_id
                && group.spec.family == spec.family
                && group
                    .resolved
                    .interface
                    .as_ref()
                    .is_some_and(|other| other.index == link.index)
                && !group.resolved.fault_set().contains(Fault::IdentifierInUse);
            same.then_some(&group.spec.name)
        });
        if let Some(holder) = holder {
            let sentence = format!(
                "virtualRouterID {} is already used by group {holder} for {} on {}; give one of the two another",
                spec.virtual_router_id, spec.family, link.name
            );
            resolved.faults.push((Fault::IdentifierInUse, sentence));
        }
        resolved
    }

    fn index_vips(&mut self) {
        self.vips.clear();
        for (slot, group) in self.groups.iter().enumerate() {
            let Some(group) = group else { continue };
            let held = group.held.bindings().map(|binding| binding.address);
            for address in group
                .spec
                .addresses
                .iter()
                .map(|address| address.address)
                .chain(held)
            {
                self.vips.entry(address).or_insert(slot);
            }
        }
    }

    fn sync_wires(&mut self) {
        let Self {
            wires,
            groups,
            epoll,
            facts,
            ..
        } = self;
        let running = groups
            .iter()
            .enumerate()
            .filter_map(|(slot, group)| Some((slot, group.as_ref()?)));
        let name_of = |index| facts.link(index).map(|link| link.name.clone());
        let errors = wires.sync(running, name_of, |endpoint: Endpoint, socket| {
            use nix::sys::epoll::{EpollEvent, EpollFlags};
            Ok(epoll.add(
                socket,
                EpollEvent::new(EpollFlags::EPOLLIN, super::token(endpoint)),
            )?)
        });
        for error in errors {
            let event = Event::Notice {
                group: None,
                kind: "socket".into(),
                message: error.to_string(),
            };
            self.outlet.send(event);
        }
    }
}
