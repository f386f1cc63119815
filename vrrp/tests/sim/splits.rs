//! A split that neighbors do not see: the nodes hear each other no more, and everybody else hears them all.

use core::time::Duration;

use holdfast_vrrp::Preemption;

use crate::probing::Service;
use crate::rng::Rng;
use crate::scenario::{Group, Step};
use crate::script::{Script, group};
use crate::shared_failures::{KNOWN, probing};

/// How long the split lasts: longer than several refreshes.
const LASTS: Duration = Duration::from_mins(5);
/// No two announcements are as close.
const LOOK: Duration = Duration::from_millis(100);

/// Three equals of which the one that serves is cut off from the other two, and finds out that it is unfit because of that, as an
/// API server without quorum does.
fn split_from_its_quorum(seed: u64) -> (Script, usize) {
    let group = Group {
        unicast: true,
        ..group(1000)
    };
    let mut script = Script::probed(&group, &[100; 3], seed, &probing(), |config| {
        config.preemption = Preemption::Never;
    });
    script.settle();
    let [alone] = script.active()[..] else {
        panic!("seed {seed}: {:?} are Active", script.active());
    };
    let cell = |node| u8::from(node == alone);
    script.then(&Step::Partition((0..3).map(cell).collect()));
    let unnoticed = Rng::new(seed, 3).between(Duration::ZERO, Duration::from_secs(5));
    script.wait(unnoticed);
    script.then(&Step::Service(alone, 0, Service::Fails));
    script.wait(KNOWN);
    (script, alone)
}

#[test]
fn an_unfit_node_does_not_call_neighbors_back_from_the_fit_one_that_took_over_where_it_is_not_heard() {
    for seed in 0..200 {
        let (mut script, alone) = split_from_its_quorum(seed);
        assert_eq!(script.active().len(), 2, "seed {seed}: each side has its own");
        let mut followed = script.followed();
        for _ in 0..LASTS.as_millis() / LOOK.as_millis() {
            script.wait(LOOK);
            assert!(
                followed == script.followed() || script.followed() != Some(alone),
                "seed {seed}: called back by node {alone}"
            );
            followed = script.followed();
        }
        assert_ne!(followed, Some(alone), "seed {seed}");

        script.then(&Step::Heal).settle();
        let active = script.active();
        assert_eq!(active.len(), 1, "seed {seed}");
        assert_ne!(active, [alone], "seed {seed}");
        assert_eq!(script.followed().as_slice(), active, "seed {seed}");
    }
}
