//! Draws the world in which a random scenario happens: the group, its members, their clocks and the link.

use core::num::NonZeroU8;
use core::time::Duration;

use holdfast_health::{Damping, Duty, Kind, OnFailure, Policy, Probe, Thresholds};
use holdfast_vrrp::{Authentication, Checksum, Family, Preemption, Priority, Version};

use crate::clock::Clock;
use crate::network::Quality;
use crate::probing::{Probing, Service};
use crate::rng::Rng;
use crate::scenario::{Group, Member, Setup};

pub fn group(rng: &mut Rng) -> Group {
    let version = if rng.chance(250) { Version::V2 } else { Version::V3 };
    let family = if version == Version::V3 && rng.chance(400) {
        Family::V6
    } else {
        Family::V4
    };
    let millis = match version {
        Version::V2 => rng.pick(&[1000, 1000, 2000]),
        Version::V3 => rng.pick(&[10, 10, 100, 100, 1000, 250, 4000]),
    };
    Group {
        version,
        family,
        unicast: rng.chance(500),
        interval: Duration::from_millis(millis),
    }
}

pub fn setup(rng: &mut Rng, group: &Group, hosts: &[u8]) -> Setup {
    let interval = group.interval;
    let max_delay = rng.between(interval / 100, interval / 4);
    let min_delay = rng.between(Duration::ZERO, max_delay);
    let members = members(rng, group, hosts);
    let lifetime = members.first().map_or(interval, |member| member.config.lifetime);
    Setup {
        quality: Quality {
            min_delay,
            max_delay,
            duplicated: rng.pick(&[0, 0, 20, 200]),
        },
        lateness: rng.between(Duration::ZERO, interval / 20),
        kernel_latency: rng.between(Duration::ZERO, (interval / 4).min(Duration::from_millis(100))),
        expiry_fuzz: rng.between(Duration::ZERO, lifetime / 10),
        one_flaps: false,
        members,
    }
}

fn members(rng: &mut Rng, group: &Group, hosts: &[u8]) -> Vec<Member> {
    let interval = group.interval;
    let present: Vec<bool> = hosts
        .iter()
        .enumerate()
        .map(|(index, _)| index == 0 || rng.chance(800))
        .collect();
    let members: Vec<u8> = hosts
        .iter()
        .zip(&present)
        .filter(|(_, present)| **present)
        .map(|(host, _)| *host)
        .collect();
    let alike = rng.chance(200);
    let owner = if rng.chance(150) {
        Some(rng.index(hosts.len()))
    } else {
        None
    };
    let low = u8::try_from(16 + rng.below(200)).unwrap_or(100);
    let drift_ppm = rng.pick(&[0, 200, 200, 10_000]);
    let lifetime = lifetime(interval, rng.pick(&[5, 8, 8, 30]));
    let addresses = u8::try_from(1 + rng.below(3)).unwrap_or(1);
    let password = group.version == Version::V2 && rng.chance(300);
    let common = preemption(rng, interval);
    let mixed = rng.chance(300);
    let startup_delay = rng.pick(&[Duration::ZERO, Duration::ZERO, interval / 2, 3 * interval]);
    let checksum = if rng.chance(200) {
        Checksum::WithoutPseudoHeader
    } else {
        Checksum::WithPseudoHeader
    };
    let mut drawn = Vec::new();
    for (index, host) in hosts.iter().enumerate() {
        let priority = if alike {
            low
        } else {
            low + u8::try_from(rng.below(38)).unwrap_or(0)
        };
        let priority = if owner == Some(index) { 255 } else { priority };
        let mut config = group.config(*host, priority, &members);
        config.preemption = if mixed { preemption(rng, interval) } else { common };
        config.lifetime = lifetime;
        config.addresses = group.addresses(addresses);
        config.startup_delay = startup_delay;
        config.checksum = checksum;
        if password {
            config.authentication = Authentication::Password(*b"holdfast");
        }
        let origin = Duration::from_millis(rng.below(10_000_000));
        let drift =
            i32::try_from(rng.below(2 * drift_ppm + 1)).unwrap_or(0) - i32::try_from(drift_ppm).unwrap_or(0);
        drawn.push(Member {
            clock: Clock {
                origin,
                drift_ppm: drift,
            },
            config,
            probing: None,
            present: present[index],
        });
    }
    drawn
}

pub fn preemption(rng: &mut Rng, interval: Duration) -> Preemption {
    match rng.below(5) {
        0..=2 => Preemption::Immediate,
        3 => Preemption::Delayed(rng.between(Duration::ZERO, 8 * interval)),
        _ => Preemption::Never,
    }
}

/// So many intervals, but no lifetime that a router would not take seriously.
pub fn lifetime(interval: Duration, intervals: u32) -> Duration {
    (interval * intervals).max(Duration::from_secs(1))
}

/// A few probes of every kind, and perhaps a quorum over them.
pub fn probing(rng: &mut Rng, interval: Duration, base: Priority, damping: Damping) -> Probing {
    let count = 1 + rng.index(3);
    let mut probes: Vec<Probe> = (0..count).map(|index| probe(rng, index)).collect();
    if count > 1 && rng.chance(200) {
        probes.push(Probe {
            kind: Kind::Quorum {
                of: probes.iter().map(|probe| probe.name.clone()).collect(),
                at_least: 1 + rng.index(count),
            },
            ..probe(rng, count)
        });
    }
    Probing {
        policy: Policy {
            base,
            preferred: false,
            duty: Duty::Serve,
            probes,
            damping,
        },
        period: rng.between(interval / 4, 2 * interval),
    }
}

/// Damping that is short enough to be seen, or none.
pub fn damping(rng: &mut Rng, interval: Duration) -> Damping {
    let window = rng.between(10 * interval, 40 * interval);
    Damping {
        changes: rng.pick(&[0, 0, 1, 2, 3, 4]),
        window,
        longest: window * rng.pick(&[1, 2, 4]),
    }
}

/// How a service does, for better or worse.
pub fn service(rng: &mut Rng) -> Service {
    match rng.below(8) {
        0..=2 => Service::Passes,
        3 | 4 => Service::Fails,
        5 => Service::Flaps(rng.pick(&[1, 2, 3, 5, 10, 30])),
        _ => Service::Chance(rng.pick(&[100, 500, 800, 950])),
    }
}

fn probe(rng: &mut Rng, index: usize) -> Probe {
    let mut runs = || rng.pick(&[1, 2, 3]);
    let thresholds = Thresholds {
        failure: NonZeroU8::new(runs()).unwrap_or(NonZeroU8::MIN),
        success: NonZeroU8::new(runs()).unwrap_or(NonZeroU8::MIN),
    };
    let weight = i16::try_from(1 + rng.below(60)).unwrap_or(1);
    Probe {
        name: format!("probe-{index}"),
        kind: Kind::Runs {
            thresholds,
            recovery: None,
        },
        on_failure: rng.pick(&[
            OnFailure::None,
            OnFailure::Hold,
            OnFailure::Hold,
            OnFailure::Fault,
            OnFailure::Weight(weight),
            OnFailure::Weight(-weight),
            OnFailure::Weight(-weight),
        ]),
    }
}
