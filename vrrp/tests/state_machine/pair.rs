//! Two routers on one link: what they do to each other, and whether the address is served all the while.

use std::collections::VecDeque;
use std::time::Duration;

use holdfast_vrrp::{Action, Config, Fault, Input, Instant, Preemption, Reason, Shutdown, Standing, State};

use crate::harness::*;

/// Two routers on a link that delivers at once, unless it is told to lose.
struct Pair {
    now: Instant,
    nodes: [Solo; 2],
    /// How many of the next advertisements of each are lost.
    lose: [usize; 2],
    /// Whether the routers hear each other.
    connected: bool,
    /// How long the address has been on neither node, and on both.
    unserved: Duration,
    served_twice: Duration,
    /// How often each has told the neighbors at once where the address is.
    bursts: [usize; 2],
    /// How often each has said that something on the wire should not be so.
    notices: [usize; 2],
}

impl Pair {
    fn new(first: Config, second: Config) -> Self {
        let nodes = [
            Solo::new(first),
            Solo::new(Config {
                source: Some(HIGHER),
                ..second
            }),
        ];
        Self {
            now: nodes[0].now,
            nodes,
            lose: [0, 0],
            connected: true,
            unserved: Duration::ZERO,
            served_twice: Duration::ZERO,
            bursts: [0, 0],
            notices: [0, 0],
        }
    }

    /// Two routers with these priorities, the first of them Active for a while.
    fn settled(first: Config, second: Config) -> Self {
        let mut pair = Self::new(first, second);
        pair.pass(10 * SECOND);
        assert_eq!(pair.states(), [State::Active, State::Backup]);
        pair.forget();
        pair
    }

    fn forget(&mut self) {
        self.unserved = Duration::ZERO;
        self.served_twice = Duration::ZERO;
    }

    fn states(&self) -> [State; 2] {
        [self.nodes[0].state(), self.nodes[1].state()]
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some((due, node)) = self.next().filter(|(due, _)| *due <= end) {
            self.advance_to(due);
            let actions = self.nodes[node].input(Input::Timeout);
            self.carry_out(node, actions);
        }
        self.advance_to(end);
    }

    fn tell(&mut self, node: usize, say: impl FnOnce(&mut Solo) -> Vec<Action>) {
        let actions = say(&mut self.nodes[node]);
        self.carry_out(node, actions);
    }

    fn next(&self) -> Option<(Instant, usize)> {
        let due = |node: usize| Some((self.nodes[node].router.next_timeout()?.max(self.now), node));
        due(0).into_iter().chain(due(1)).min()
    }

    fn advance_to(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.now);
        match self.nodes.iter().filter(|node| node.bound.contains(&VIP)).count() {
            0 => self.unserved += passed,
            1 => {}
            _ => self.served_twice += passed,
        }
        self.now = now;
        for node in &mut self.nodes {
            node.now = now;
        }
    }

    fn carry_out(&mut self, node: usize, actions: Vec<Action>) {
        let mut queue: VecDeque<_> = actions.into_iter().map(|action| (node, action)).collect();
        while let Some((node, action)) = queue.pop_front() {
            let other = 1 - node;
            self.bursts[node] += usize::from(action == BURST);
            self.notices[node] += usize::from(matches!(action, Action::Notice(_)));
            let consequences = match action {
                Action::Bind(_) => (node, self.nodes[node].bound()),
                Action::Send { .. } if !self.connected => continue,
                Action::Send { .. } if self.lose[node] > 0 => {
                    self.lose[node] -= 1;
                    continue;
                }
                Action::Send { priority } => {
                    let config = self.nodes[node].router.config();
                    let from = config.source.unwrap();
                    let payload = packet(config, priority, from, GROUP);
                    (other, self.nodes[other].receive(from, GROUP, 255, &payload))
                }
                Action::Announce(_) if self.connected => (other, self.nodes[other].claimed(VIP)),
                _ => continue,
            };
            queue.extend(consequences.1.into_iter().map(|action| (consequences.0, action)));
        }
    }
}

#[test]
fn a_planned_stop_leaves_no_hole() {
    let mut pair = Pair::settled(config(200), config(100));
    pair.tell(0, |node| node.shut_down(Shutdown::Planned));
    pair.pass(SECOND);
    assert_eq!(pair.states(), [State::Initialize, State::Active]);
    assert!(pair.nodes[0].router.is_stopped());
    assert_eq!(
        (pair.unserved, pair.served_twice),
        (Duration::ZERO, Duration::ZERO)
    );
}

#[test]
fn a_planned_stop_whose_first_priority_zero_is_lost_leaves_no_hole() {
    let mut pair = Pair::settled(config(200), config(100));
    pair.lose[0] = 1;
    pair.tell(0, |node| node.shut_down(Shutdown::Planned));
    pair.pass(SECOND + skew(100));
    assert_eq!(pair.states(), [State::Initialize, State::Active]);
    assert_eq!(
        (pair.unserved, pair.served_twice),
        (Duration::ZERO, Duration::ZERO)
    );
}

#[test]
fn a_planned_stop_whose_every_priority_zero_is_lost_leaves_no_hole() {
    let mut pair = Pair::settled(config(200), config(1));
    pair.lose[0] = usize::MAX;
    pair.tell(0, |node| node.shut_down(Shutdown::Planned));
    pair.pass(5 * SECOND);
    assert_eq!(pair.states(), [State::Initialize, State::Active]);
    assert_eq!(pair.unserved, Duration::ZERO);
}

#[test]
fn a_router_that_is_told_to_hand_over_moves_without_a_hole_even_if_its_first_word_is_lost() {
    for lost in [0, 1] {
        let never = |own| Config {
            preemption: Preemption::Never,
            ..config(own)
        };
        let mut pair = Pair::settled(never(200), never(16));
        pair.lose[0] = lost;
        pair.tell(0, Solo::hand_over);
        pair.pass(20 * SECOND);
        assert_eq!(pair.states(), [State::Backup, State::Active]);
        assert_eq!(
            (pair.unserved, pair.served_twice),
            (Duration::ZERO, Duration::ZERO)
        );
    }
}

#[test]
fn a_demoted_router_moves_without_a_hole_and_serves_when_nobody_else_does() {
    let mut pair = Pair::settled(config(200), config(100));
    pair.tell(0, |node| node.health(&[], Standing::Demoted));
    pair.pass(10 * SECOND);
    assert_eq!(pair.states(), [State::Backup, State::Active]);
    pair.tell(1, |node| node.health(&[Fault::ProbeFailed], Standing::Base));
    pair.pass(10 * SECOND);
    assert_eq!(pair.states(), [State::Active, State::Fault]);
    assert_eq!(
        (pair.unserved, pair.served_twice),
        (Duration::ZERO, Duration::ZERO)
    );
}

#[test]
fn of_routers_that_all_fail_the_best_takes_up_again_what_it_never_gave_away() {
    // Whichever fails first, and if the word is lost.
    for (first, lost) in [(0, 0), (1, 0), (1, 1)] {
        let mut pair = Pair::settled(config(200), config(100));
        pair.lose[0] = lost;
        for node in [first, 1 - first] {
            pair.tell(node, |node| node.health(&[], Standing::Floor));
        }
        assert_eq!(pair.states(), [State::Backup, State::Backup]);
        pair.pass(2 * SECOND);
        assert_eq!(pair.states(), [State::Active, State::Backup]);
        pair.pass(10 * SECOND);
        assert_eq!(pair.states(), [State::Active, State::Backup]);
        assert_eq!(
            pair.nodes[1].router.snapshot().last_transition.unwrap().1.reason,
            Reason::Started
        );
        assert_eq!(
            (pair.unserved, pair.served_twice),
            (Duration::ZERO, Duration::ZERO)
        );
    }
}

#[test]
fn a_failing_router_succeeds_one_that_leaves_while_that_one_still_holds_on() {
    let mut pair = Pair::settled(config(200), config(100));
    pair.tell(1, |node| node.health(&[], Standing::Floor));
    pair.lose[0] = 1;
    pair.tell(0, |node| node.shut_down(Shutdown::Planned));
    pair.pass(3 * SECOND);
    assert_eq!(pair.states(), [State::Initialize, State::Active]);
    assert_eq!(pair.unserved, Duration::ZERO);
}

#[test]
fn the_return_of_the_preferred_router_leaves_no_hole() {
    let mut pair = Pair::settled(config(200), config(100));
    pair.tell(0, |node| node.health(&[Fault::LinkDown], Standing::Base));
    pair.pass(SECOND);
    assert_eq!(pair.states(), [State::Fault, State::Active]);
    pair.forget();
    pair.tell(0, |node| node.health(&[], Standing::Base));
    pair.pass(active_down(200));
    assert_eq!(pair.states(), [State::Active, State::Backup]);
    assert_eq!(
        (pair.unserved, pair.served_twice),
        (Duration::ZERO, Duration::ZERO)
    );
}

#[test]
fn a_failing_service_moves_without_a_hole_and_comes_back_when_it_recovers() {
    let mut pair = Pair::settled(config(200), config(100));
    pair.tell(0, |node| node.health(&[], Standing::Floor));
    pair.pass(SECOND);
    assert_eq!(pair.states(), [State::Backup, State::Active]);
    pair.pass(10 * SECOND);
    assert_eq!(pair.states(), [State::Backup, State::Active]);
    pair.tell(0, |node| node.health(&[], Standing::Base));
    pair.pass(10 * SECOND);
    assert_eq!(pair.states(), [State::Active, State::Backup]);
    assert_eq!(
        (pair.unserved, pair.served_twice),
        (Duration::ZERO, Duration::ZERO)
    );
}

#[test]
fn when_all_fail_the_best_of_them_serves() {
    let mut pair = Pair::settled(config(200), config(100));
    pair.tell(1, |node| node.health(&[], Standing::Floor));
    pair.tell(0, |node| node.health(&[], Standing::Floor));
    pair.pass(20 * SECOND);
    assert_eq!(pair.states(), [State::Active, State::Backup]);
    assert_eq!(pair.unserved, Duration::ZERO);
}

#[test]
fn a_healthy_router_takes_over_from_a_failing_one_even_if_preemption_is_never() {
    let never = |own| Config {
        preemption: Preemption::Never,
        ..config(own)
    };
    let mut pair = Pair::settled(never(200), never(100));
    pair.tell(1, |node| node.health(&[], Standing::Floor));
    pair.tell(0, |node| node.health(&[], Standing::Floor));
    pair.pass(20 * SECOND);
    pair.tell(1, |node| node.health(&[], Standing::Base));
    pair.forget();
    pair.pass(SECOND);
    assert_eq!(pair.states(), [State::Backup, State::Active]);
    assert_eq!(pair.unserved, Duration::ZERO);
    pair.tell(0, |node| node.health(&[], Standing::Base));
    pair.pass(20 * SECOND);
    assert_eq!(pair.states(), [State::Backup, State::Active], "and keeps it");
}

#[test]
fn a_weight_moves_the_address_within_skew_time_where_preemption_would_wait_and_its_end_does_not_move_it_back()
{
    for (preemption, comes_back) in [
        (Preemption::Never, false),
        (Preemption::Delayed(60 * SECOND), true),
    ] {
        let with = |own| Config {
            preemption,
            ..config(own)
        };
        let mut pair = Pair::settled(with(200), with(180));
        pair.pass(100 * SECOND);
        pair.tell(0, |node| node.health(&[], Standing::Weighted(priority(150))));
        pair.pass(skew(180));
        assert_eq!(pair.states(), [State::Backup, State::Active], "{preemption:?}");
        pair.pass(100 * SECOND);
        pair.tell(0, |node| node.health(&[], Standing::Base));
        pair.pass(59 * SECOND);
        assert_eq!(pair.states(), [State::Backup, State::Active], "{preemption:?}");
        pair.pass(1000 * SECOND);
        let back = pair.states() == [State::Active, State::Backup];
        assert_eq!(back, comes_back, "{preemption:?}");
        assert_eq!(pair.unserved, Duration::ZERO);
    }
}

#[test]
fn a_weight_that_comes_and_goes_moves_the_address_once_each_time_also_between_unlike_preemptions() {
    let never = Config {
        preemption: Preemption::Never,
        ..config(180)
    };
    let mut pair = Pair::settled(config(200), never);
    for _ in 0..3 {
        pair.tell(0, |node| node.health(&[], Standing::Weighted(priority(150))));
        pair.pass(skew(180));
        for _ in 0..100 {
            assert_eq!(pair.states(), [State::Backup, State::Active]);
            pair.pass(SECOND);
        }
        pair.tell(0, |node| node.health(&[], Standing::Base));
        pair.pass(active_down(200));
        for _ in 0..100 {
            assert_eq!(pair.states(), [State::Active, State::Backup]);
            pair.pass(SECOND);
        }
    }
    assert_eq!(pair.unserved, Duration::ZERO);
}

#[test]
fn a_lost_router_is_replaced_within_its_active_down_interval() {
    let mut pair = Pair::settled(config(200), config(100));
    pair.connected = false;
    pair.pass(active_down(100));
    assert_eq!(pair.states(), [State::Active, State::Active]);
}

#[test]
fn after_a_split_the_better_router_wins_and_the_neighbors_are_told() {
    for (first, second, winner) in [(200, 100, 0), (100, 200, 1), (100, 100, 1)] {
        let mut pair = Pair::new(config(first), config(second));
        pair.connected = false;
        pair.pass(100 * SECOND);
        assert_eq!(pair.states(), [State::Active, State::Active]);
        pair.forget();
        pair.connected = true;
        pair.pass(SECOND);
        let mut wanted = [State::Backup; 2];
        wanted[winner] = State::Active;
        assert_eq!(pair.states(), wanted);
        assert_eq!(pair.unserved, Duration::ZERO);
        assert!(
            !pair.nodes[1 - winner].bound.contains(&VIP),
            "the loser has let go"
        );
    }
}

#[test]
fn after_a_split_the_neighbors_are_told_even_if_the_losers_last_word_is_lost() {
    let mut pair = Pair::new(config(200), config(100));
    pair.connected = false;
    pair.pass(100 * SECOND);
    // The winner's advertisement is the first across.
    while pair.next().is_none_or(|(_, node)| node == 1) {
        pair.pass(millis(10));
    }
    let before = pair.bursts;
    pair.connected = true;
    pair.lose[1] = 1;
    pair.pass(SECOND);
    assert_eq!(pair.states(), [State::Active, State::Backup]);
    assert_eq!((pair.bursts, pair.lose), (before, [0, 0]), "nobody knows yet");
    pair.pass(SECOND);
    assert_eq!(pair.bursts, [before[0] + 1, before[1]]);
    pair.pass(100 * SECOND);
    assert_eq!(pair.states(), [State::Active, State::Backup]);
}

#[test]
fn two_that_became_active_in_the_same_moment_are_no_split_once_one_has_yielded() {
    let mut pair = Pair::new(config(100), config(100));
    pair.connected = false;
    while pair.states() != [State::Active; 2] {
        pair.pass(millis(1));
    }
    pair.connected = true;
    pair.pass(100 * SECOND);
    assert_eq!(pair.states(), [State::Backup, State::Active]);
    assert_eq!(pair.notices, [0, 0]);
}

#[test]
fn a_better_router_that_joins_takes_over_only_if_preemption_allows_it() {
    for (preemption, within) in [
        (Preemption::Immediate, Some(4 * SECOND)),
        (Preemption::Delayed(20 * SECOND), Some(30 * SECOND)),
        (Preemption::Never, None),
    ] {
        let preferred = Config {
            preemption,
            startup_delay: 20 * SECOND,
            ..config(200)
        };
        let mut pair = Pair::new(preferred, config(100));
        pair.pass(20 * SECOND);
        assert_eq!(pair.states(), [State::Backup, State::Active]);
        pair.forget();
        pair.pass(within.unwrap_or(1000 * SECOND));
        let moved = pair.states() == [State::Active, State::Backup];
        assert_eq!(moved, within.is_some(), "{preemption:?}");
        assert_eq!(pair.unserved, Duration::ZERO);
    }
}

#[test]
fn two_owners_end_with_one_active() {
    let mut pair = Pair::new(config(255), config(255));
    pair.pass(10 * SECOND);
    assert_eq!(pair.states(), [State::Backup, State::Active]);
}
