//! Draws worlds in which nothing happens but that one node's services come and go, whatever its probes find: its damping has to
//! keep the addresses from swinging.

use core::time::Duration;

use holdfast_health::Damping;
use holdfast_vrrp::{Family, Version};

use crate::clock::Clock;
use crate::draw;
use crate::network::Quality;
use crate::probing::Probing;
use crate::rng::Rng;
use crate::scenario::{Group, Member, Scenario, Setup, Step};

/// How a group is damped unless somebody says otherwise.
const DAMPING: Damping = Damping {
    changes: 3,
    window: Duration::from_mins(3),
    longest: Duration::from_mins(30),
};

/// How long the world is looked at: long enough for the node to be held back several times.
const LENGTH: Duration = Duration::from_mins(40);

/// The flapping node.
const NODE: usize = 0;

/// The scenario of `seed`.
pub fn scenario(seed: u64) -> Scenario {
    let mut rng = Rng::new(seed, 0);
    let interval = Duration::from_secs(1);
    let group = Group {
        version: Version::V3,
        family: Family::V4,
        unicast: rng.chance(500),
        interval,
    };
    let mut hosts: Vec<u8> = (1..).take(2 + rng.index(3)).collect();
    let first = rng.index(hosts.len());
    hosts.swap(NODE, first);
    let preemption = draw::preemption(&mut rng, interval);
    let members: Vec<Member> = hosts
        .iter()
        .enumerate()
        .map(|(index, host)| {
            // Of equals several take over at a time, and then one of them for good.
            let priority = 150 + 15 * host - u8::try_from(rng.below(10)).unwrap_or(0);
            let mut config = group.config(*host, priority, &hosts);
            config.preemption = preemption;
            let base = config.priority;
            Member {
                clock: Clock {
                    origin: Duration::from_secs(u64::from(*host)),
                    drift_ppm: 0,
                },
                config,
                probing: (index == NODE).then(|| draw::probing(&mut rng, interval, base, DAMPING)),
                present: true,
            }
        })
        .collect();
    let probes = members[NODE].probing.as_ref().map_or(0, Probing::count);
    let mut steps = Vec::new();
    let mut length = Duration::ZERO;
    while length < LENGTH {
        let longest = Duration::from_mins(rng.pick(&[1, 5, 20]));
        let after = rng.between(Duration::ZERO, longest);
        length += after;
        steps.push((
            after,
            Step::Service(NODE, rng.index(probes), draw::service(&mut rng)),
        ));
    }
    Scenario {
        setup: Setup {
            members,
            quality: Quality {
                min_delay: Duration::from_micros(100),
                max_delay: Duration::from_millis(2),
                duplicated: 0,
            },
            lateness: Duration::from_millis(1),
            kernel_latency: Duration::from_millis(5),
            expiry_fuzz: Duration::from_millis(10),
            one_flaps: true,
        },
        steps,
        tail: Duration::ZERO,
    }
}
