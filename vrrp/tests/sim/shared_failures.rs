//! A failure that all members share, such as an etcd that has lost its quorum: each finds out for itself, one after the other,
//! and in the end nobody is fit. The address must not swing meanwhile, and one of them has it afterwards.

use core::num::NonZeroU8;
use core::time::Duration;

use holdfast_health::{Damping, Duty, Kind, OnFailure, Policy, Probe, Thresholds};
use holdfast_vrrp::{Preemption, Priority};

use crate::probing::{Probing, Service};
use crate::rng::Rng;
use crate::scenario::{Group, Step};
use crate::script::{Script, group};

/// A control plane's nodes, of equal priority.
const NODES: [usize; 3] = [0, 1, 2];
/// How much later the next API server notices: they ask etcd by themselves, and wait for it for up to two seconds.
const NOTICED_WITHIN: Duration = Duration::from_secs(5);
/// Three probes, a second apart, and the hand-over.
pub const KNOWN: Duration = Duration::from_secs(8);
/// How often is looked who serves; no hand-over is as short.
const LOOK: Duration = Duration::from_millis(20);

/// The probe with the defaults of the API: a second, three failures, two successes, `Hold`.
pub fn probing() -> Probing {
    let times = |count| NonZeroU8::new(count).unwrap_or(NonZeroU8::MIN);
    Probing {
        policy: Policy {
            base: Priority::DEFAULT,
            preferred: false,
            duty: Duty::Serve,
            probes: vec![Probe {
                name: "apiserver".to_owned(),
                kind: Kind::Runs {
                    thresholds: Thresholds {
                        failure: times(3),
                        success: times(2),
                    },
                    recovery: None,
                },
                on_failure: OnFailure::Hold,
            }],
            damping: Damping {
                changes: 3,
                window: Duration::from_mins(3),
                longest: Duration::from_mins(30),
            },
        },
        period: Duration::from_secs(1),
    }
}

/// A control plane as `holdfast-agent manifest kubeadm` sets it up, and who has served in it.
struct Plane {
    script: Script,
    rng: Rng,
    served: Vec<usize>,
}

impl Plane {
    fn new(seed: u64) -> Self {
        let group = Group {
            unicast: true,
            ..group(1000)
        };
        let mut script = Script::probed(&group, &[100; NODES.len()], seed, &probing(), |config| {
            config.preemption = Preemption::Never;
        });
        script.settle();
        Self {
            served: script.holders(),
            script,
            rng: Rng::new(seed, 3),
        }
    }

    /// All API servers become so, in any order and at any times that are close together.
    fn all_become(&mut self, service: Service) {
        let mut nodes = NODES.to_vec();
        while !nodes.is_empty() {
            let node = nodes.swap_remove(self.rng.index(nodes.len()));
            self.script.then(&Step::Service(node, 0, service));
            let after = self.rng.between(Duration::ZERO, NOTICED_WITHIN);
            self.watch(after);
        }
        self.watch(KNOWN);
    }

    /// Lets `time` pass, and takes note of who serves.
    fn watch(&mut self, time: Duration) {
        for _ in 0..time.as_millis() / LOOK.as_millis() {
            self.script.wait(LOOK);
            if let [active] = self.script.active()[..]
                && self.served.last() != Some(&active)
            {
                self.served.push(active);
            }
        }
    }

    /// How often the address has moved.
    fn moves(&self) -> usize {
        self.served.len() - 1
    }
}

#[test]
fn what_all_find_out_one_after_the_other_moves_the_address_twice_at_most_and_then_leaves_it_alone() {
    for seed in 0..200 {
        let mut plane = Plane::new(seed);
        plane.all_become(Service::Fails);
        let known = plane.moves();
        assert!(known < NODES.len(), "seed {seed}: {:?}", plane.served);
        plane.watch(Duration::from_mins(2));
        assert_eq!(plane.moves(), known, "seed {seed}: {:?}", plane.served);
        assert_eq!(plane.script.holders(), plane.served[known..], "seed {seed}");
    }
}

#[test]
fn when_all_recover_the_first_that_is_back_serves_and_keeps_the_address() {
    for seed in 0..200 {
        let mut plane = Plane::new(seed);
        plane.all_become(Service::Fails);
        let lost = plane.moves();
        plane.all_become(Service::Passes);
        plane.watch(Duration::from_mins(2));
        assert!(plane.moves() - lost <= 1, "seed {seed}: {:?}", plane.served);
    }
}
