//! How fit this node is for a group: what was found on it, what its probes say, and what the other groups of its sync group
//! add to that. Pure.
//!
//! All groups of a sync group so stand in the election with one priority on a node, the lowest of theirs, or in Fault
//! together. As interface and family are one too, every election of the sync group has the same winner, whichever begins.

use holdfast_health::Judgement;
use holdfast_vrrp::{Fault, Faults, Health, Priority, Standing};

/// Whom what is not known yet speaks against.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Doubt {
    /// The group: it counts as failing until it is known to pass.
    #[default]
    Against,
    /// Nobody: the group goes on serving where the agent before this one on this node ended. Until its health is known once,
    /// or it ceases to serve.
    Resumed,
    /// The group, but not the others of its sync group: they served here before it came. Until its health is known once.
    Joining,
}

/// Whether enough is known of a group's probes for it to make no difference in whose favour doubt counts.
pub fn is_known(judgement: Judgement) -> bool {
    judgement.strict == judgement.lenient
}

/// A group's health by itself: `found` on the node, and judged by its probes.
///
/// The agent judges each group before it starts it. One that nobody has judged has no probes (or its judge is gone, which is
/// no evidence against the service): it stands with its base priority.
pub fn own(found: Faults, judgement: Option<Judgement>, doubt: Doubt) -> Health {
    merged(found, judgement, doubt == Doubt::Resumed)
}

/// The same as it counts for the others of its sync group. `found` also has what only the group's router knows.
pub fn shared(found: Faults, judgement: Option<Judgement>, doubt: Doubt) -> Health {
    merged(found, judgement, doubt != Doubt::Against)
}

/// A group's health with what the others of its sync group, if it has one, add to `own`.
pub fn with_fellows(own: Health, base: Priority, fellows: &Fellows) -> Health {
    Health {
        faults: own.faults.with(Fault::SyncGroup, fellows.fault.is_some()),
        standing: match fellows.lowest {
            Some((_, lowest)) if lowest < Rank::of(own.standing, base) => lowest.standing(),
            _ => own.standing,
        },
    }
}

fn merged(found: Faults, judgement: Option<Judgement>, lenient: bool) -> Health {
    let judged = judgement.map_or(SOUND, |judgement| {
        if lenient {
            judgement.lenient
        } else {
            judgement.strict
        }
    });
    Health {
        faults: found.union(judged.faults),
        ..judged
    }
}

/// Nothing is wrong.
const SOUND: Health = Health {
    faults: Faults::NONE,
    standing: Standing::Base,
};

/// What the other groups of its sync group are to one group. Groups are known by their slots.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Fellows {
    /// One that cannot take part by itself, and why.
    pub fault: Option<(usize, Faults)>,
    /// The one that stands lowest by itself.
    pub lowest: Option<(usize, Rank)>,
    /// Whether one is Active on this node: this group is to be here too, and does not wait to take over from a worse router.
    pub serve: bool,
}

/// A place in the election, comparable between the groups of a sync group; the lowest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Rank {
    /// In the floor band, because a service fails.
    Failing,
    /// In the floor band, because the node is being worked on.
    Demoted,
    /// With this priority.
    Stands(Priority),
}

impl Rank {
    fn of(standing: Standing, base: Priority) -> Self {
        match standing {
            Standing::Base => Self::Stands(base),
            Standing::Weighted(priority) => Self::Stands(priority),
            Standing::Floor => Self::Failing,
            Standing::Demoted => Self::Demoted,
        }
    }

    fn standing(self) -> Standing {
        match self {
            Self::Failing => Standing::Floor,
            Self::Demoted => Standing::Demoted,
            Self::Stands(priority) => Standing::Weighted(priority),
        }
    }
}

/// All groups of one sync group, taken in one after the other, so that what each is to the others is known at once.
#[derive(Clone, Copy, Default, Debug)]
pub struct Tally {
    /// The first two that cannot take part: two, because one of them may be the one that asks.
    faulty: [Option<(usize, Faults)>; 2],
    /// The two that stand lowest.
    lowest: [Option<(usize, Rank)>; 2],
    /// How many are Active here.
    serving: usize,
}

impl Tally {
    /// Takes in that a group is Active here.
    pub fn add_serving(&mut self) {
        self.serving += 1;
    }

    /// Whether any group is.
    pub fn serves(&self) -> bool {
        self.serving > 0
    }

    /// Takes in the health that a group shares.
    pub fn add(&mut self, slot: usize, base: Priority, shared: Health) {
        if !shared.faults.is_empty()
            && let Some(free) = self.faulty.iter_mut().find(|place| place.is_none())
        {
            *free = Some((slot, shared.faults));
        }
        let rank = Rank::of(shared.standing, base);
        let [lowest, second] = &mut self.lowest;
        if lowest.is_none_or(|(_, lowest)| rank < lowest) {
            *second = lowest.replace((slot, rank));
        } else if second.is_none_or(|(_, second)| rank < second) {
            *second = Some((slot, rank));
        }
    }

    /// What the others are to the group in `slot`, which is Active here or not.
    pub fn seen_by(&self, slot: usize, active: bool) -> Fellows {
        Fellows {
            fault: self
                .faulty
                .into_iter()
                .flatten()
                .find(|(other, _)| *other != slot),
            lowest: self
                .lowest
                .into_iter()
                .flatten()
                .find(|(other, _)| *other != slot),
            serve: self.serving > usize::from(active),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK_DOWN: Faults = Faults::NONE.with(Fault::LinkDown, true);
    const PROBE_FAILED: Faults = Faults::NONE.with(Fault::ProbeFailed, true);

    fn priority(value: u8) -> Priority {
        Priority::new(value).unwrap()
    }

    fn standing(standing: Standing) -> Health {
        Health { standing, ..SOUND }
    }

    fn weighted(value: u8) -> Health {
        standing(Standing::Weighted(priority(value)))
    }

    fn faulty(faults: Faults) -> Health {
        Health { faults, ..SOUND }
    }

    fn unknown() -> Judgement {
        Judgement {
            strict: standing(Standing::Floor),
            lenient: SOUND,
        }
    }

    /// The healths that groups by themselves have, all with base priority 200, as they are together.
    fn together(own: &[Health]) -> Vec<Health> {
        let mut tally = Tally::default();
        for (slot, health) in own.iter().enumerate() {
            tally.add(slot, priority(200), *health);
        }
        let seen = own.iter().enumerate();
        seen.map(|(slot, health)| with_fellows(*health, priority(200), &tally.seen_by(slot, false)))
            .collect()
    }

    #[test]
    fn what_was_found_on_the_node_and_what_its_probes_say_add_up() {
        let failing = Judgement {
            strict: faulty(PROBE_FAILED),
            lenient: faulty(PROBE_FAILED),
        };
        let health = own(LINK_DOWN, Some(failing), Doubt::Against);
        assert_eq!(health, faulty(LINK_DOWN.union(PROBE_FAILED)));
        assert_eq!(
            own(Faults::NONE, Some(failing), Doubt::Against),
            faulty(PROBE_FAILED)
        );
    }

    #[test]
    fn a_group_that_nobody_has_judged_stands_with_its_base_priority() {
        assert_eq!(own(Faults::NONE, None, Doubt::Against), SOUND);
        assert_eq!(own(LINK_DOWN, None, Doubt::Resumed), faulty(LINK_DOWN));
    }

    #[test]
    fn what_is_not_known_speaks_against_a_group_unless_it_was_resumed() {
        let (floor, unknown) = (standing(Standing::Floor), Some(unknown()));
        let cases = [
            (Doubt::Against, floor, floor),
            (Doubt::Resumed, SOUND, SOUND),
            (Doubt::Joining, floor, SOUND),
        ];
        for (doubt, alone, to_fellows) in cases {
            assert_eq!(own(Faults::NONE, unknown, doubt), alone, "{doubt:?}");
            assert_eq!(shared(Faults::NONE, unknown, doubt), to_fellows, "{doubt:?}");
        }
    }

    #[test]
    fn a_fault_of_one_keeps_all_out_and_the_one_that_has_it_only_for_its_own_sake() {
        let sync = Faults::NONE.with(Fault::SyncGroup, true);
        assert_eq!(
            together(&[SOUND, faulty(LINK_DOWN), SOUND]),
            [faulty(sync), faulty(LINK_DOWN), faulty(sync)]
        );
        assert_eq!(
            together(&[faulty(PROBE_FAILED), faulty(LINK_DOWN), SOUND]),
            [
                faulty(PROBE_FAILED.union(sync)),
                faulty(LINK_DOWN.union(sync)),
                faulty(sync)
            ]
        );
    }

    #[test]
    fn all_stand_where_the_lowest_does() {
        let (floor, demoted) = (standing(Standing::Floor), standing(Standing::Demoted));
        let cases: [(&[Health], Health); 5] = [
            (&[SOUND, weighted(150), weighted(120)], weighted(120)),
            (&[weighted(250), SOUND, weighted(254)], weighted(200)),
            (&[SOUND, demoted, weighted(150)], demoted),
            // Whatever the numbers: a failing service is to be handed over, a low priority is not.
            (&[weighted(3), demoted, floor], floor),
            (&[SOUND, SOUND], SOUND),
        ];
        for (own, wanted) in cases {
            let rank = Rank::of(wanted.standing, priority(200));
            for health in together(own) {
                assert_eq!(Rank::of(health.standing, priority(200)), rank, "{own:?}");
            }
        }
    }

    #[test]
    fn unequal_base_priorities_stand_as_the_lowest_of_them() {
        let mut tally = Tally::default();
        tally.add(0, priority(250), SOUND);
        tally.add(1, priority(100), SOUND);
        let first = with_fellows(SOUND, priority(250), &tally.seen_by(0, false));
        let second = with_fellows(SOUND, priority(100), &tally.seen_by(1, false));
        assert_eq!((first, second), (weighted(100), SOUND));
    }

    #[test]
    fn a_group_sees_whether_others_serve_here_and_does_not_count_itself() {
        let mut tally = Tally::default();
        tally.add_serving();
        assert!(!tally.seen_by(0, true).serve);
        assert!(tally.seen_by(1, false).serve);
        tally.add_serving();
        assert!(tally.seen_by(0, true).serve);
    }

    #[test]
    fn the_fellow_that_is_named_is_never_the_group_itself() {
        let mut tally = Tally::default();
        tally.add(0, priority(200), faulty(LINK_DOWN));
        tally.add(1, priority(200), weighted(50));
        assert_eq!(tally.seen_by(0, false).fault, None);
        assert_eq!(tally.seen_by(1, false).fault, Some((0, LINK_DOWN)));
        assert_eq!(
            tally.seen_by(1, false).lowest,
            Some((0, Rank::Stands(priority(200))))
        );
        assert_eq!(
            tally.seen_by(0, false).lowest,
            Some((1, Rank::Stands(priority(50))))
        );
    }
}
