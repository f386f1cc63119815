//! Whatever order reports come in: handovers that VRRP carries out correctly are never taken for a split, and the Active
//! node is the real one in the end.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const NODES: [&str; 3] = ["cp-1", "cp-2", "cp-3"];

/// What happens on the wire, or between a node and the API server.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The Active node hands over to this one, or this one takes over.
    Active(usize),
    /// The node dies. If it was Active, the next event of `Active` finds it gone.
    Dies(usize),
    /// The node's next report reaches the API server, and the operator sees it.
    Delivers(usize),
    /// So many seconds pass; agents whose reports are all delivered renew their Leases on their way.
    Passes(i64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => (0..NODES.len()).prop_map(Event::Active),
        1 => (0..NODES.len()).prop_map(Event::Dies),
        4 => (0..NODES.len()).prop_map(Event::Delivers),
        4 => (1..12_i64).prop_map(Event::Passes),
    ]
}

/// What really happens.
#[derive(Debug)]
struct World {
    stage: Stage,
    second: i64,
    active: Option<usize>,
    alive: [bool; 3],
    /// How much each node's clock is ahead.
    ahead: [i64; 3],
    /// What each node has to say and has not delivered; the latest only, as agents do.
    unsaid: [Option<(MemberState, i64)>; 3],
    /// What the API server has and the operator sees a second later: one watch lags behind the other.
    unseen: [Option<(MemberState, i64)>; 3],
    /// When each node renewed its Lease last.
    heard: [i64; 3],
    /// When time alone may change something.
    look_again: Option<Timestamp>,
}

impl World {
    fn new(ahead: [i64; 3]) -> Self {
        let mut stage = Stage::serving();
        stage.settle();
        Self {
            stage,
            second: 105,
            active: Some(0),
            alive: [true; 3],
            ahead,
            unsaid: [None; 3],
            unseen: [None; 3],
            heard: [100; 3],
            look_again: None,
        }
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Active(node) if self.alive[node] && self.active != Some(node) => {
                if let Some(old) = self.active.filter(|old| self.alive[*old]) {
                    self.unsaid[old] = Some((MemberState::Backup, self.second));
                }
                self.active = Some(node);
                self.unsaid[node] = Some((MemberState::Active, self.second));
            }
            // One at least stays.
            Event::Dies(node) if self.alive.iter().filter(|alive| **alive).count() > 1 => {
                self.alive[node] = false;
                self.unsaid[node] = None;
                self.active = self.active.filter(|active| *active != node);
            }
            Event::Delivers(node) => self.deliver(node),
            Event::Passes(seconds) => (0..seconds).for_each(|_| self.tick()),
            Event::Active(_) | Event::Dies(_) => {}
        }
        self.look();
    }

    /// What was written before is seen now; nothing written later is seen earlier.
    fn deliver(&mut self, node: usize) {
        if let Some(said) = self.unsaid[node].take() {
            self.see(node);
            self.unseen[node] = Some(said);
        }
    }

    fn see(&mut self, node: usize) -> bool {
        let Some((state, since)) = self.unseen[node].take() else {
            return false;
        };
        self.stage.says(NODES[node], state, since + self.ahead[node]);
        self.stage.object(NODES[node]).status_seen = at(self.second);
        true
    }

    fn tick(&mut self) {
        self.second += 1;
        let mut is_lost = false;
        for (node, name) in NODES.iter().enumerate() {
            // Nothing undelivered: the last report is true.
            if self.alive[node] && self.unsaid[node].is_none() && self.second - self.heard[node] >= 10 {
                self.heard[node] = self.second;
                self.stage.heard(name, self.second);
            }
            if self.second - self.heard[node] == 40 {
                self.stage.lost(name);
                is_lost = true;
            }
        }
        // As the operator does: not for a renewal, but when a Lease runs out, and when it was asked to.
        if is_lost || self.look_again.is_some_and(|then| then <= at(self.second)) {
            self.look();
        }
        for node in 0..NODES.len() {
            if self.see(node) {
                self.look();
            }
        }
    }

    fn look(&mut self) {
        self.stage.now = at(self.second);
        let seen = self.stage.look();
        self.look_again = seen
            .look_again
            .and_then(|wait| self.stage.now.checked_add(wait).ok());
        let split = condition(&seen, Place::SplitBrain);
        assert_eq!(split, "SplitBrain=False AsExpected", "{self:#?}");
        let active = seen
            .status
            .members
            .iter()
            .filter(|member| member.state == MemberState::Active);
        assert!(active.count() <= 1, "{self:#?}");
        self.stage.group.status = Some(seen.status);
    }

    /// Everybody delivers, whoever lost the Active node takes over, and Leases run out.
    fn ends(&mut self) {
        if self.active.is_none() {
            let next = self.alive.iter().position(|alive| *alive).unwrap();
            self.tick();
            self.happens(Event::Active(next));
        }
        (0..NODES.len()).for_each(|node| self.happens(Event::Delivers(node)));
        self.happens(Event::Passes(60));
        let written = self.stage.group.status.clone();
        let seen = self.stage.settle();
        assert_eq!(
            written.as_ref(),
            Some(&seen.status),
            "nobody was asked to look again"
        );
        let active = NODES[self.active.unwrap()];
        assert_eq!(seen.status.active_node.as_deref(), Some(active), "{self:#?}");
        assert_eq!(condition(&seen, Place::Ready), "Ready=True Serving", "{self:#?}");
        assert_eq!(seen.status.last_transition.unwrap().to.as_deref(), Some(active));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_correct_handover_is_never_a_split_and_ends_at_the_real_active_node(
        ahead in [-100..100_i64, -100..100_i64, -100..100_i64],
        events in vec(event(), 1..40),
    ) {
        let mut world = World::new(ahead);
        for event in events {
            world.happens(event);
        }
        world.ends();
    }
}
