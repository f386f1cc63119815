//! However a service comes and goes, and at whatever times: how often an address moves for it.

use core::time::Duration;

use holdfast_health::{Damping, OnFailure, Policy};
use holdfast_vrrp::{Health, Instant, Standing};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::kit::{Node, policy, secs, thresholds};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// What healthy members see of a node with base priority 200: who stands behind all of them is one to them.
fn seen(health: Health) -> u8 {
    match health.standing {
        _ if !health.faults.is_empty() => 0,
        Standing::Floor | Standing::Demoted => 0,
        // Weights of the test below never come to so little: it is held back.
        Standing::Weighted(priority) if priority.get() <= 30 => 0,
        Standing::Weighted(priority) => priority.get(),
        Standing::Base => 200,
    }
}

/// When a node went up or down in the eyes of healthy members; steps in one direction are one move.
#[derive(Default)]
struct Moves {
    last: Option<u8>,
    steps: Vec<(Instant, bool)>,
}

impl Moves {
    fn see(&mut self, now: Instant, health: Health) {
        let seen = seen(health);
        if let Some(last) = self.last.replace(seen).filter(|last| *last != seen) {
            self.steps.push((now, seen > last));
        }
    }

    /// The most moves in any time of this length.
    fn most_within(&self, window: Duration) -> usize {
        let from = |start: usize| {
            let steps = self.steps.get(start..).unwrap_or_default();
            let begin = steps.first().map_or(Instant::ZERO, |(at, _)| *at);
            let within: Vec<_> = steps.iter().take_while(|(at, _)| *at < begin + window).collect();
            1 + within.windows(2).filter(|pair| pair[0].1 != pair[1].1).count()
        };
        (0..self.steps.len()).map(from).max().unwrap_or(0)
    }
}

/// A service that comes and goes, with probes that see each change at once: nothing but damping holds it back.
fn flap(damping: Damping, runs: Vec<(u64, usize, bool)>) -> (Node, Moves) {
    let probes = [
        thresholds("a", OnFailure::Hold, 1, 1),
        thresholds("b", OnFailure::Weight(-40), 1, 1),
        thresholds("c", OnFailure::Weight(30), 1, 1),
        thresholds("d", OnFailure::Fault, 1, 1),
    ];
    let mut node = Node::new(Policy {
        damping,
        ..policy(probes)
    });
    for name in NAMES {
        node.passes(name, 1);
    }
    let mut moves = Moves::default();
    moves.see(node.now, node.strict());
    for (wait, probe, passes) in runs {
        let end = node.now + Duration::from_millis(wait);
        while let Some(at) = node.group.next_timeout().filter(|at| *at <= end) {
            node.wait(at.saturating_duration_since(node.now));
            moves.see(node.now, node.strict());
        }
        node.wait(end.saturating_duration_since(node.now));
        if passes {
            node.pass(NAMES[probe]);
        } else {
            node.fail(NAMES[probe]);
        }
        moves.see(node.now, node.strict());
    }
    (node, moves)
}

/// Runs that follow each other closely, of one probe mostly.
fn flaps() -> impl Strategy<Value = Vec<(u64, usize, bool)>> {
    let wait = prop_oneof![30 => 0_u64..4_000, 3 => 0_u64..70_000, 1 => 0_u64..400_000];
    let probe = prop_oneof![6 => Just(0), 1 => 1_usize..4];
    vec((wait, probe, any::<bool>()), 0..200)
}

const DEFAULTS: Damping = Damping {
    changes: 3,
    window: Duration::from_mins(3),
    longest: Duration::from_mins(30),
};

proptest! {
    #[test]
    fn with_the_defaults_a_node_makes_fewer_than_5_moves_in_180_seconds(runs in flaps()) {
        let (_, moves) = flap(DEFAULTS, runs);
        prop_assert!(moves.most_within(secs(180)) < 5, "{:?}", moves.steps);
    }

    #[test]
    fn in_any_window_there_is_one_move_more_than_may_be_counted(
        changes in 1_u8..6,
        window in 1_u64..60,
        longest in 1_u64..200,
        runs in flaps(),
    ) {
        let damping = Damping { changes, window: secs(window), longest: secs(longest) };
        let (_, moves) = flap(damping, runs);
        prop_assert!(moves.most_within(secs(window)) <= usize::from(changes) + 1, "{:?}", moves.steps);
    }

    #[test]
    fn a_service_that_stays_well_is_held_back_no_longer_than_the_longest_time(runs in flaps()) {
        let (mut node, _) = flap(DEFAULTS, runs);
        for name in NAMES {
            node.passes(name, 1);
        }
        node.wait(DEFAULTS.longest);
        prop_assert_eq!(node.sum(), "200 base + 30 c = 230");
    }

    #[test]
    fn a_node_never_shows_itself_fitter_than_it_is(runs in flaps()) {
        let (damped, _) = flap(DEFAULTS, runs.clone());
        let (free, _) = flap(Damping { changes: 0, ..DEFAULTS }, runs);
        prop_assert!(seen(damped.strict()) <= seen(free.strict()));
        prop_assert_eq!(damped.strict().faults, free.strict().faults);
    }
}

#[test]
fn a_service_that_flaps_every_second_for_a_day_is_seen_to_do_so_a_few_times_only() {
    let runs = (0..86_400).map(|second| (1000, 0, second % 2 == 1)).collect();
    let (_, moves) = flap(DEFAULTS, runs);
    assert_eq!(moves.steps.len(), 3, "down, up, down, and then it is held back");
}

#[test]
fn a_service_that_comes_and_goes_slowly_is_not_held_back() {
    let runs: Vec<_> = (0..24 * 60).map(|minute| (60_000, 0, minute % 8 != 0)).collect();
    let (_, moves) = flap(DEFAULTS, runs);
    assert_eq!(
        moves.steps.len(),
        2 * 24 * 60 / 8,
        "down and up every eight minutes"
    );
}
