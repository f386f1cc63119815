//! Watches a world and says which invariant does not hold.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeSet;

use holdfast_vrrp::{Preemption, State};

use crate::bounds::Bounds;
use crate::clock::Moment;
use crate::components::{Component, cliques};
use crate::invariants::{Invariant, Violation};
use crate::kernel::Entry;
use crate::moves::Moves;
use crate::network::{Damage, Network};
use crate::node::Node;
use crate::watched::Watching;

/// A planned handover under way.
#[derive(Clone, Debug)]
struct Handover {
    from: usize,
    members: Vec<usize>,
    addresses: Vec<IpAddr>,
    started: Moment,
    /// Whether the node has ceased to be Active.
    left: bool,
    /// Whether a node has become Active since: another one, or this one again because nobody is fit.
    served: bool,
}

/// Watches the world and remembers the first thing that was wrong.
#[derive(Debug)]
pub struct Checker {
    bounds: Bounds,
    violation: Option<Violation>,
    components: Vec<Component>,
    damaged: bool,
    /// When something last happened to a node that may make its component move.
    disturbed: Vec<Moment>,
    /// Until when each node was entitled to its addresses.
    entitled_until: Vec<Moment>,
    /// Whether it was when the world was last looked at.
    entitled: Vec<bool>,
    /// Since when each node has been handing over.
    releasing: Vec<Option<Moment>>,
    handovers: Vec<Handover>,
    watching: Watching,
    moves: Moves,
}

impl Checker {
    pub fn new(bounds: Bounds, nodes: usize) -> Self {
        Self {
            bounds,
            violation: None,
            components: Vec::new(),
            damaged: false,
            disturbed: vec![Moment::START; nodes],
            entitled_until: vec![Moment::START; nodes],
            entitled: vec![false; nodes],
            releasing: vec![None; nodes],
            handovers: Vec::new(),
            watching: Watching::new(nodes, bounds.two_active),
            moves: Moves::default(),
        }
    }

    /// How long things may take.
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    pub fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// Takes note that an invariant does not hold; the first one counts.
    pub fn fail(&mut self, at: Moment, invariant: Invariant, detail: String) {
        self.violation.get_or_insert(Violation {
            at,
            invariant,
            detail,
        });
    }

    /// Takes note that something happened to `node` after which its component may move.
    pub fn disturb(&mut self, now: Moment, node: usize) {
        let members = self
            .component(node)
            .map_or_else(|| vec![node], |component| component.members.clone());
        for member in &members {
            self.disturbed[*member] = now;
        }
        self.handovers
            .retain(|handover| !handover.members.iter().any(|member| members.contains(member)));
    }

    /// Takes note of who hears whom, and whether always. Call after a change of that, or of who is awake.
    pub fn topology(&mut self, now: Moment, nodes: &[Node], network: &Network) {
        self.damaged = network.damage != Damage::default();
        self.watching.forget();
        let within = |few: &[usize], many: &[usize]| few.iter().all(|member| many.contains(member));
        let related = |some: &[usize], others: &[usize]| within(some, others) || within(others, some);
        let previous = core::mem::take(&mut self.components);
        for members in cliques(nodes, network) {
            let known = previous.iter().find(|old| old.members == members).cloned();
            if !previous.iter().any(|old| related(&old.members, &members)) {
                // They have only now begun to hear exactly each other.
                for member in &members {
                    self.disturbed[*member] = now;
                }
            }
            self.components.push(known.unwrap_or(Component {
                members,
                none: None,
                many: None,
            }));
        }
        // Somebody who does not hear all of them may take over.
        let components = &self.components;
        self.handovers.retain(|handover| {
            let among = |component: &Component| related(&component.members, &handover.members);
            components.iter().any(among)
        });
    }

    /// Whether nothing has happened in `node`'s component for so long that nothing moves any more.
    pub fn is_settled(&self, now: Moment, node: usize) -> bool {
        !self.damaged
            && self
                .component(node)
                .is_some_and(|component| self.quiet(now, component) >= self.bounds.settled)
    }

    /// Who is Active in `node`'s component, if exactly one is.
    pub fn active_of(&self, nodes: &[Node], node: usize) -> Option<usize> {
        let mut active = self
            .component(node)?
            .members
            .iter()
            .copied()
            .filter(|member| nodes[*member].is_active());
        active.next().filter(|_| active.next().is_none())
    }

    /// Takes note that `node` is told that it may not become Active. Nothing may move in a settled component: what is
    /// Active stays so.
    pub fn bans(&mut self, now: Moment, node: usize) {
        if !self.is_settled(now, node) {
            self.disturb(now, node);
        }
    }

    /// Takes note that `node` is about to leave the election or to stand lower in it. If it is a backup of a settled
    /// component, nothing may move.
    pub fn steps_back(&mut self, now: Moment, nodes: &[Node], node: usize) {
        let backup = self.active_of(nodes, node).is_some_and(|active| active != node);
        if !(backup && self.is_settled(now, node)) {
            self.disturb(now, node);
        }
    }

    /// Takes note that `node` is about to step back as planned. If it is the Active router of a settled component, its
    /// successor takes over without a hole.
    pub fn hands_over(&mut self, now: Moment, nodes: &[Node], node: usize) {
        let handover = self.planned_handover(now, nodes, node);
        self.steps_back(now, nodes, node);
        self.handovers.extend(handover);
    }

    /// Takes note that `node` has joined the election or may now win it. Nothing may move if it cannot win it and waits
    /// for long enough to hear the Active router, whose interval it does not know yet.
    pub fn steps_forward(&mut self, now: Moment, nodes: &[Node], node: usize) {
        let config = &nodes[node].config;
        let outranked = |active: usize| {
            let loses = !config.may_become_active || nodes[node].standing() <= nodes[active].standing();
            active != node && loses && config.interval >= nodes[active].config.interval
        };
        if !(self.is_settled(now, node) && self.active_of(nodes, node).is_some_and(outranked)) {
            self.disturb(now, node);
        }
    }

    fn planned_handover(&self, now: Moment, nodes: &[Node], node: usize) -> Option<Handover> {
        let component = self.component(node)?;
        let members = &component.members;
        let ready = |member: usize| {
            let state = nodes[member].awake().map(|process| process.seen.state);
            member != node && nodes[member].is_eligible() && state == Some(State::Backup)
        };
        let addresses = &nodes[node].config.addresses;
        let alike = members
            .iter()
            .all(|member| nodes[*member].config.addresses == *addresses);
        let watched = alike
            && self.is_settled(now, node)
            && self.active_of(nodes, node) == Some(node)
            && members.iter().any(|member| ready(*member));
        watched.then(|| Handover {
            from: node,
            members: members.clone(),
            addresses: addresses.iter().map(|address| address.address).collect(),
            started: now,
            left: false,
            served: false,
        })
    }

    /// Takes note that `node`'s router went from one state to another.
    pub fn transition(&mut self, now: Moment, node: usize, from: State, to: State) {
        // Entering and leaving the election without having been Active moves nothing.
        let moves = from == State::Active || to == State::Active;
        if moves && self.is_settled(now, node) {
            self.fail(
                now,
                Invariant::NothingMovesUnasked,
                format!("node {node} went from {from} to {to}"),
            );
        }
        if to == State::Active
            && let Some(time) = self.moves.becomes_active(now, node)
            && self.bounds.moves
        {
            let detail = format!("the addresses have moved too often in {time:?}");
            self.fail(now, Invariant::AddressesDoNotSwing, detail);
        }
    }

    /// Looks at the whole world as it is at `now`.
    pub fn observe(&mut self, now: Moment, nodes: &[Node]) {
        for (index, node) in nodes.iter().enumerate() {
            self.observe_node(now, index, node);
            if node.refuses_binding {
                // It tries, gives up, and tries again after a while: there is no state to settle in.
                self.disturb(now, index);
            }
        }
        self.observe_handovers(now, nodes);
        if !self.damaged {
            let mut components = core::mem::take(&mut self.components);
            for component in &mut components {
                self.observe_component(now, component, nodes);
            }
            self.components = components;
        }
    }

    fn component(&self, node: usize) -> Option<&Component> {
        self.components
            .iter()
            .find(|component| component.members.contains(&node))
    }

    fn quiet(&self, now: Moment, component: &Component) -> Duration {
        let disturbed = component
            .members
            .iter()
            .map(|member| self.disturbed[*member])
            .max();
        now.since(disturbed.unwrap_or(now))
    }

    fn observe_node(&mut self, now: Moment, index: usize, node: &Node) {
        let entitled = node.awake().is_some_and(crate::node::Process::entitled);
        if entitled || self.entitled[index] {
            self.entitled_until[index] = now;
        }
        self.entitled[index] = entitled;
        let releasing = node.awake().is_some_and(|process| process.seen.releasing);
        let since = *self.releasing[index].get_or_insert(now);
        if !releasing {
            self.releasing[index] = None;
        } else if now.since(since) > self.bounds.releasing {
            let detail = format!("node {index} has been handing over for {:?}", now.since(since));
            self.fail(now, Invariant::YielderLetsGo, detail);
        }
        let process = node
            .awake()
            .map(|process| (process.incarnation, process.running_since));
        for (address, entry) in node.kernel.entries() {
            let stale = now.since(entry.extended);
            if stale > self.bounds.expired {
                let detail = format!("node {index} still has {address}, last extended {stale:?} ago");
                self.fail(now, Invariant::DeadManSwitch, detail);
            }
            if let Some((incarnation, since)) = process
                && incarnation == entry.incarnation
                && now.since(self.entitled_until[index].max(since)) > self.bounds.unbound
            {
                let detail = format!("node {index} still has {address}, to which it has no right any more");
                self.fail(now, Invariant::YielderLetsGo, detail);
            }
        }
    }

    fn observe_handovers(&mut self, now: Moment, nodes: &[Node]) {
        let mut failure = None;
        self.handovers.retain_mut(|handover| {
            let members = || handover.members.iter().map(|member| &nodes[*member]);
            let elapsed = now.since(handover.started);
            let orphan = handover
                .addresses
                .iter()
                .find(|address| !members().any(|node| node.kernel.contains(**address)));
            handover.left |= !nodes[handover.from].is_active();
            handover.served |= handover
                .members
                .iter()
                .any(|member| (handover.left || *member != handover.from) && nodes[*member].is_active());
            if let Some(orphan) = orphan {
                failure = Some(format!(
                    "{elapsed:?} after node {} began to hand over nobody has {orphan}",
                    handover.from
                ));
            } else if elapsed > self.bounds.handover && !handover.served {
                failure = Some(format!(
                    "{elapsed:?} after node {} began to hand over nobody serves",
                    handover.from
                ));
            }
            elapsed <= self.bounds.settled
        });
        if let Some(detail) = failure {
            self.fail(now, Invariant::HoleFreeHandover, detail);
        }
    }

    fn observe_component(&mut self, now: Moment, component: &mut Component, nodes: &[Node]) {
        let quiet = self.quiet(now, component);
        let active: Vec<usize> = component
            .members
            .iter()
            .copied()
            .filter(|member| nodes[*member].is_active())
            .collect();
        let eligible = component
            .members
            .iter()
            .any(|member| nodes[*member].is_eligible());

        component.many = (active.len() > 1).then(|| component.many.unwrap_or(now));
        if let Some(since) = component.many
            && quiet.min(now.since(since)) > self.bounds.two_active
        {
            let detail = format!(
                "nodes {active:?} have been Active together for {:?}",
                now.since(since)
            );
            self.fail(now, Invariant::NeverTwoActive, detail);
        }
        component.none = (active.is_empty() && eligible).then(|| component.none.unwrap_or(now));
        if let Some(since) = component.none
            && quiet.min(now.since(since)) > self.bounds.none_active
        {
            let detail = format!(
                "none of {:?} has been Active for {:?}",
                component.members,
                now.since(since)
            );
            self.fail(now, Invariant::NeverNoneActive, detail);
        }
        if quiet > self.bounds.unfit_active {
            self.observe_fitness(now, &active, &component.members, nodes);
        }
        if quiet >= self.bounds.settled {
            self.observe_settled(now, &active, &component.members, nodes);
        }
    }

    /// No preemption lets one in the floor band go on while another could serve.
    fn observe_fitness(&mut self, now: Moment, active: &[usize], members: &[usize], nodes: &[Node]) {
        let failing = |member: &usize| nodes[*member].standing().is_floor();
        let better = |member: &usize| nodes[*member].is_eligible() && !failing(member);
        if active.iter().all(failing)
            && let Some(better) = members.iter().copied().find(better)
        {
            let detail =
                format!("nodes {active:?} are in the floor band, node {better} is not and is Backup");
            self.fail(now, Invariant::HealthyBeforeFailing, detail);
        }
    }

    fn observe_settled(&mut self, now: Moment, active: &[usize], members: &[usize], nodes: &[Node]) {
        let [active] = *active else {
            // None can be eligible; everything else has been noticed already.
            return;
        };
        let holder = &nodes[active];
        if !holder.is_able() {
            self.fail(
                now,
                Invariant::BestIsActive,
                format!("node {active} is Active, but must not be"),
            );
        }
        for member in members.iter().copied().filter(|member| *member != active) {
            let node = &nodes[member];
            let willing = match node.config.preemption {
                Preemption::Immediate => true,
                // A node that is in doubt about itself does not count down.
                Preemption::Delayed(_) => !node.health.standing.is_floor(),
                Preemption::Never => node.standing().is_owner(),
            };
            let (better, worse) = (node.standing(), holder.standing());
            let outranks = node.is_eligible() && better > worse;
            let fallen = self
                .watching
                .hears(now, member, active, nodes)
                .is_some_and(|highest| highest > worse);
            let invariant = if willing {
                Invariant::BestIsActive
            } else {
                Invariant::WorseIsReplaced
            };
            if outranks && (willing || fallen && !node.health.standing.is_floor()) {
                let detail = format!("node {active} ({worse}) is Active, node {member} ({better}) is not");
                self.fail(now, invariant, detail);
            }
        }
        let wanted: BTreeSet<IpAddr> = holder
            .config
            .addresses
            .iter()
            .map(|address| address.address)
            .collect();
        // What an earlier process bound and this one was never told of is left to expire.
        let incarnation = holder.awake().map(|process| process.incarnation);
        let own = |address: &IpAddr, entry: &Entry| {
            wanted.contains(address) || Some(entry.incarnation) == incarnation
        };
        let entries = holder
            .kernel
            .entries()
            .filter(|(address, entry)| own(address, entry));
        let held: BTreeSet<IpAddr> = entries.map(|(address, _)| address).collect();
        if wanted != held {
            let detail = format!("node {active} is Active for {wanted:?}, but has {held:?}");
            self.fail(now, Invariant::BestIsActive, detail);
        }
    }
}
