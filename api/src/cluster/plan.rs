//! What each member of an accepted group is told, and in which order: at no moment may two members be Active, or become so,
//! that do not hear each other.
//!
//! A member is *quiet* when it is certain that it neither is Active nor can become so by anything it was ever told. What
//! changes nothing for those who listen is told to everybody at once. What changes somebody's identity (identifier,
//! version, mode, interface, …) goes in steps, for a node that has it is deaf to one that has not:
//!
//! 1. *Hold*: as long as one that is not quiet is out of reach, everybody keeps what runs.
//! 2. *Lock*: all but the Active one are told not to become Active, and nothing else.
//! 3. *Go*: when they have acknowledged that, everybody is told the new; the Active one may serve on with it, and the
//!    others are admitted when it has acknowledged.
//!
//! A newcomer is told the group without leave to become Active, and admitted when all that are not quiet hear it.
//!
//! What no record tells cannot be waited for: an agent that is cut off while its objects are lost or replaced by older ones,
//! a file that says something else than the API, and a member that was given up.

use core::net::IpAddr;

use super::NodeRecord;
use super::hearing::{hear_each_other, same_identity, same_voice};
use super::members::{is_deselected, is_selected, written_share};
use super::peers::{self, Source};
use super::seat::{Seat, active};
use crate::v1alpha1::{Mode, NodeGroup, VirtualIPGroup};

/// A member that may not become Active yet, or that keeps a former version of its group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wait {
    /// Its node.
    pub node: String,
    /// What it waits for.
    pub until: Until,
    /// The members that have not acknowledged what it waits for.
    pub unacknowledged: Vec<String>,
}

/// What a member waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    /// That it may become Active: the others have to know it.
    Admitted,
    /// That it is told the group's new version: what the others run could not hear it.
    Changed,
}

/// The members of an accepted group that may not become Active yet or keep a former version, and for whom they wait.
pub fn waits(group: &VirtualIPGroup, members: &[&NodeRecord]) -> Vec<Wait> {
    let plan = Plan::new(group, members, &|_| false);
    (0..members.len()).filter_map(|place| plan.wait(place)).collect()
}

/// How far a change of identity is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Hold,
    Lock,
    Go,
}

/// An accepted group's members and what they are to be told.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    seats: Vec<Seat<'a>>,
    sources: Vec<Source>,
    /// What the group means on each member's node as it is written, for those that leave, too.
    written: Vec<Option<NodeGroup>>,
    /// What each member's share of the group is in the end; `None` for one that leaves or of which nobody knows.
    shares: Vec<Option<NodeGroup>>,
    /// The one that serves, if it stays.
    active: Option<usize>,
    step: Step,
}

impl<'a> Plan<'a> {
    pub fn new(
        group: &VirtualIPGroup,
        members: &[&'a NodeRecord],
        is_virtual: &dyn Fn(IpAddr) -> bool,
    ) -> Self {
        let name = group.metadata.name.as_deref().unwrap_or_default();
        let seats: Vec<Seat<'a>> = members.iter().map(|member| Seat::of(member, name)).collect();
        let written: Vec<_> = seats
            .iter()
            .map(|seat| written_share(group, seat.record))
            .collect();
        let mut shares: Vec<Option<NodeGroup>> = seats
            .iter()
            .zip(&written)
            .map(|(seat, written)| {
                let known = is_selected(group, seat.record)
                    || !is_deselected(group, seat.record) && seat.entry().is_some();
                // A tombstone that is not acknowledged comes first, also for one that is selected again.
                let free = !seat.is_dismissed() || seat.has_let_go();
                written.clone().filter(|_| known && free)
            })
            .collect();
        let sources = peers::sources(group, &seats, &shares, is_virtual);
        let all: Vec<_> = (0..seats.len())
            .map(|place| peers::peers(place, group, &seats, &shares, &sources))
            .collect();
        for (share, peers) in shares.iter_mut().zip(all) {
            if let Some(share) = share {
                share.peers = peers;
            }
        }
        let mut plan = Self {
            active: active(&seats).filter(|place| shares[*place].is_some()),
            seats,
            sources,
            written,
            shares,
            step: Step::Go,
        };
        plan.step = plan.next_step();
        plan
    }

    /// What the member at `place` is told; `None` if it is told nothing, which changes nothing.
    pub fn entry(&self, place: usize) -> Option<NodeGroup> {
        let (seat, share) = (&self.seats[place], self.shares[place].as_ref()?);
        if seat.is_unseen() && seat.stored.is_none() {
            return None;
        }
        let is_active = self.active == Some(place);
        let (told, may_become_active) = match (self.step, seat.entry()) {
            (Step::Go, entry) => {
                let kept = entry.is_some_and(|entry| entry.may_become_active && same_identity(entry, share));
                (share.clone(), kept || is_active || self.is_admissible(place))
            }
            (Step::Lock, Some(entry)) => (self.kept(entry, share, place), is_active),
            (Step::Hold, Some(entry)) => {
                let kept = entry.may_become_active && !self.gives_way(place, entry);
                let may = kept || is_active || self.is_admissible(place);
                (self.kept(entry, share, place), may)
            }
            // It serves what it was told by a file or by an object that is gone, until the others are out of its way.
            (Step::Lock | Step::Hold, None) if is_active => return None,
            (Step::Lock | Step::Hold, None) => (share.clone(), false),
        };
        Some(NodeGroup {
            may_become_active,
            ..told
        })
    }

    /// What a member is told that keeps its former version. Work on its node and somebody's wish do not wait: no listener
    /// becomes deaf by them.
    fn kept(&self, entry: &NodeGroup, share: &NodeGroup, place: usize) -> NodeGroup {
        NodeGroup {
            peers: peers::kept_peers(entry, place, &self.seats),
            duty: share.duty.clone(),
            preferred: share.preferred.clone(),
            ..entry.clone()
        }
    }

    /// Whether a member without a Node is deaf to one that has one: it was given up, the others have gone on without it, and
    /// now it is back.
    fn gives_way(&self, place: usize, entry: &NodeGroup) -> bool {
        let is_deaf = |other: usize| {
            let theirs = self.seats[other]
                .entry()
                .filter(|_| self.seats[other].is_certain());
            other != place
                && self.seats[other].record.node.is_some()
                && theirs.is_some_and(|theirs| !same_voice(entry, theirs))
        };
        let seat = &self.seats[place];
        seat.record.node.is_none() && seat.is_certain() && self.awake().any(is_deaf)
    }

    /// The places of those that are not quiet.
    fn awake(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.seats.len()).filter(|place| !self.seats[*place].is_quiet())
    }

    fn next_step(&self) -> Step {
        let awake: Vec<usize> = self.awake().collect();
        if awake.iter().all(|place| self.may_change(*place))
            || !awake.iter().any(|place| self.changes(*place))
        {
            Step::Go
        } else if awake.iter().all(|place| self.follows(*place)) {
            Step::Lock
        } else {
            Step::Hold
        }
    }

    /// Whether a member that is not quiet is to become another one for those who listen.
    fn changes(&self, place: usize) -> bool {
        let (seat, Some(share)) = (&self.seats[place], self.shares[place].as_ref()) else {
            return false;
        };
        match seat.entry() {
            Some(entry) => !same_identity(entry, share),
            None => seat.reported.is_some(),
        }
    }

    /// Whether a member that is not quiet may become another one when all those may: it serves, or serves beside the one that
    /// does and was told not to become Active. These two are deaf to each other already.
    fn may_change(&self, place: usize) -> bool {
        let seat = &self.seats[place];
        let beside = seat.is_active() && seat.is_certain() && !seat.is_admitted();
        self.is_reachable(place) && (self.active == Some(place) || beside)
    }

    /// Whether a member that is not quiet is expected to acknowledge what it is told.
    fn follows(&self, place: usize) -> bool {
        let seat = &self.seats[place];
        let stays = self.shares[place].is_some() && self.is_reachable(place);
        stays && (seat.is_certain() || !seat.is_admitted())
    }

    /// Whether a member can be told another identity: its agent listens, and its Node says what it is to be.
    fn is_reachable(&self, place: usize) -> bool {
        self.seats[place].is_live() && self.seats[place].record.node.is_some()
    }

    /// Whether the member at `place` may become Active with what it is about to be told.
    fn is_admissible(&self, place: usize) -> bool {
        self.can_serve(place) && (0..self.seats.len()).all(|other| !self.blocks(other, place))
    }

    /// Whether a member could be admitted if nobody blocked it: its agent is there, and where the others hear it by its
    /// address, that is not guessed.
    fn can_serve(&self, place: usize) -> bool {
        let Some(told) = self.told(place) else {
            return false;
        };
        let heard = told.advertisement.mode == Mode::Multicast || self.sources[place].certain;
        heard && self.seats[place].is_live()
    }

    /// What a member's entry is based on in this step; `None` for one that cannot be admitted in it.
    fn told(&self, place: usize) -> Option<&NodeGroup> {
        let share = self.shares[place].as_ref()?;
        match self.step {
            Step::Go => Some(share),
            Step::Hold => self.seats[place].entry(),
            Step::Lock => None,
        }
    }

    /// Whether `other` keeps the member at `place` from being admitted.
    fn blocks(&self, other: usize, place: usize) -> bool {
        let Some(told) = self.told(place).filter(|_| other != place) else {
            return false;
        };
        let (seat, theirs) = (&self.seats[other], self.told(other));
        let deaf = |theirs: &NodeGroup| {
            !hear_each_other(
                (told, self.sources[place].address),
                (theirs, self.sources[other].address),
            )
        };
        if seat.is_quiet() {
            // It may be admitted at the same moment, if nobody keeps it from that.
            return self.can_serve(other)
                && theirs.is_some_and(deaf)
                && !self.awake().any(|awake| self.blocks(awake, other));
        }
        let Some(entry) = seat.entry().filter(|_| seat.is_certain()) else {
            return true;
        };
        let changes = match self.step {
            // One that leaves keeps what it has until it has let go, and that may be what the group was before.
            Step::Go => {
                let written = self.written[other].as_ref();
                written.is_some_and(|written| !same_identity(entry, written))
            }
            Step::Hold | Step::Lock => (&entry.uid, entry.generation) != (&told.uid, told.generation),
        };
        changes || deaf(entry)
    }

    fn wait(&self, place: usize) -> Option<Wait> {
        let seat = &self.seats[place];
        self.shares[place].as_ref().filter(|_| !seat.is_unmanned())?;
        let names = |places: &dyn Fn(usize) -> bool| {
            let all = (0..self.seats.len()).filter(|place| places(*place));
            all.map(|place| self.seats[place].record.name.clone())
                .collect::<Vec<_>>()
        };
        if self.step != Step::Go {
            let awake = |other: usize| !self.seats[other].is_quiet();
            let missing = |other| awake(other) && !self.follows(other);
            let locking = |other| awake(other) && self.active != Some(other);
            let hold = self.step == Step::Hold;
            return Some(Wait {
                node: seat.record.name.clone(),
                until: Until::Changed,
                unacknowledged: if hold { names(&missing) } else { names(&locking) },
            });
        }
        let told = self.entry(place)?;
        if told.may_become_active {
            return None;
        }
        let unheard = |other| other == place && !self.can_serve(place) || self.blocks(other, place);
        Some(Wait {
            node: seat.record.name.clone(),
            until: Until::Admitted,
            unacknowledged: names(&unheard),
        })
    }
}
