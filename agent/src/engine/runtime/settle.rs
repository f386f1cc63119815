//! How fit this node is for each group, told to its router when that changes; and what one group of a sync group does to the
//! others.
//!
//! Sync groups are looked at as a whole, at the end of a round of the loop in which something has changed. That costs as much
//! as there are groups, however many of them have changed.

use core::mem;
use std::collections::BTreeMap;

use holdfast_vrrp::{Config, Health, Input, Instant, Reason, State, Transition};

use super::Runtime;
use crate::clock;
use crate::engine::account::Account;
use crate::engine::fitness::{Doubt, Fellows, Tally, is_known};
use crate::engine::group::{Group, Successor};
use crate::engine::messages::{Event, Judged};

impl Runtime {
    /// Takes a judgement in. The group learns what that changes for it at once, the others of its sync group at the round's
    /// end.
    pub(super) fn judge(&mut self, name: String, judged: Option<Judged>) {
        let slot = self.slots.get(&name).copied();
        if let Some(group) = slot.and_then(|slot| self.groups[slot].as_mut()) {
            let before = group.judgement;
            group.take(judged.as_ref());
            self.unsettled |= group.spec.sync_group.is_some() && group.judgement != before;
        }
        // The sentence that explains a change has to be there when it is made.
        match judged {
            Some(judged) => drop(self.judged.insert(name, judged)),
            None => drop(self.judged.remove(&name)),
        }
        if let Some(slot) = slot
            && self.has_started(slot)
        {
            self.tell_news(slot, clock::now());
        }
    }

    /// Tells every group what has changed for it, and has those hand over whose sync group has left.
    pub(super) fn settle(&mut self) {
        let now = clock::now();
        if mem::take(&mut self.unsettled) {
            self.tally();
            for slot in 0..self.groups.len() {
                if self.has_started(slot) {
                    self.tell_news(slot, now);
                }
            }
        }
        if self.left.is_empty() {
            return;
        }
        let left = mem::take(&mut self.left);
        for slot in 0..self.groups.len() {
            let Some(group) = self.groups[slot].as_mut() else {
                continue;
            };
            let leaver = group.spec.sync_group.as_ref().and_then(|name| left.get(name));
            if let Some(leaver) = leaver
                && group.retiring.is_none()
                && group.router.snapshot().state == State::Active
            {
                group.leaver = Some(leaver.clone());
                self.drive(slot, now, Input::HandOver);
            }
        }
    }

    /// Tells a group its health and when it is to take over, as far as that has changed.
    pub(super) fn tell_news(&mut self, slot: usize, now: Instant) {
        let Some(group) = &self.groups[slot] else { return };
        let news = group.health(group.resolved.fault_set());
        let news = (group.told != Some(news)).then_some(news);
        if group.router.config().preemption != group.preemption() {
            let config = group.config(&group.resolved, self.vips.len());
            self.configure(slot, now, config);
        }
        if let Some(health) = news {
            self.tell(slot, now, health);
        }
    }

    /// Tells a group its health.
    pub(super) fn tell(&mut self, slot: usize, now: Instant, health: Health) {
        if let Some(group) = self.groups[slot].as_mut() {
            group.told = Some(health);
            self.drive_and_say(slot, now, Input::Health(health));
        }
    }

    /// Gives a group another configuration.
    pub(super) fn configure(&mut self, slot: usize, now: Instant, config: Config) {
        self.drive_and_say(slot, now, Input::Configure(Box::new(config)));
    }

    /// Takes note of what a group's change of state means for the others of its sync group, and for the benefit of the doubt.
    pub(super) fn note_for_fellows(&mut self, slot: usize, transition: &Transition) {
        let Some(group) = self.groups[slot].as_mut() else {
            return;
        };
        if group.doubt == Doubt::Resumed && transition.reason != Reason::Resumed {
            group.doubt = Doubt::Against;
            self.unsettled = true;
        }
        let Some(sync_group) = &group.spec.sync_group else {
            return;
        };
        if ![transition.from, transition.to].contains(&State::Active) {
            return;
        }
        // The others are as eager to be here as this one serves here.
        self.unsettled = true;
        let withdrawn = group.retiring == Some(Successor::Nobody);
        if transition.from == State::Active && transition.reason != Reason::ToldToHandOver && !withdrawn {
            self.left
                .entry(sync_group.clone())
                .or_insert_with(|| group.spec.name.clone());
        }
    }

    /// A group with everybody who has a say in its health.
    pub(super) fn account<'a>(&'a self, group: &'a Group) -> Account<'a> {
        Account::of(
            group,
            |slot| self.groups.get(slot)?.as_ref(),
            |name| self.judged.get(name),
        )
    }

    /// Whether a group takes part, and is not about to leave for good.
    fn has_started(&self, slot: usize) -> bool {
        let group = self.groups[slot].as_ref();
        group.is_some_and(|group| group.told.is_some() && group.retiring.is_none())
    }

    /// Hands an input to a group and says if that changes its priority, unless it changes its state, which says more.
    fn drive_and_say(&mut self, slot: usize, now: Instant, input: Input<'_>) {
        let Some(before) = self.groups[slot].as_ref().map(|group| group.router.snapshot()) else {
            return;
        };
        self.drive(slot, now, input);
        let Some(group) = &self.groups[slot] else { return };
        let after = group.router.snapshot();
        let takes_part = matches!(after.state, State::Active | State::Backup);
        let moved = after.last_transition != before.last_transition;
        let (from, to) = (before.priority, after.priority);
        if takes_part && !moved && from != to {
            let why = self.account(group).standing();
            self.outlet.send(Event::PriorityChanged {
                group: group.spec.name.clone(),
                from,
                to,
                message: format!("priority {from} → {to}: {why}"),
            });
        }
    }

    /// Works out what the groups of each sync group are to each other.
    fn tally(&mut self) {
        let mut names = BTreeMap::<&str, usize>::new();
        let mut tallies = Vec::<Tally>::new();
        let mut members = Vec::<(usize, usize)>::new();
        // One that has left its sync group has no others any more.
        for group in self.groups.iter_mut().flatten() {
            group.fellows = Fellows::default();
        }
        for (slot, group) in self.groups.iter().enumerate() {
            let Some(group) = group.as_ref().filter(|group| group.retiring.is_none()) else {
                continue;
            };
            let Some(name) = group.spec.sync_group.as_deref() else {
                continue;
            };
            let tally = *names.entry(name).or_insert_with(|| {
                tallies.push(Tally::default());
                tallies.len() - 1
            });
            if group.router.snapshot().state == State::Active {
                tallies[tally].add_serving();
            }
            members.push((slot, tally));
        }
        for (slot, tally) in &members {
            let (Some(group), tally) = (self.groups[*slot].as_mut(), &mut tallies[*tally]) else {
                continue;
            };
            let known = group.judgement.is_none_or(is_known);
            if group.told.is_none() && group.doubt == Doubt::Against && !known && tally.serves() {
                group.doubt = Doubt::Joining;
            }
            tally.add(*slot, group.spec.priority, group.shared_health());
        }
        for (slot, tally) in members {
            if let Some(group) = self.groups[slot].as_mut() {
                let active = group.router.snapshot().state == State::Active;
                group.fellows = tallies[tally].seen_by(slot, active);
            }
        }
    }
}
