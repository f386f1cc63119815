//! Everything that one run of the benchmark measured; where there are two figures, keepalived's is the first.

use std::time::Duration;

use crate::{
    cost::Cost,
    daemon::Routers,
    failover::Failover,
    figures::interval,
    probing::Probing,
    service::End,
    steadiness::{Busy, Contender, Hold},
};

/// Version and interval of a failover.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Setting {
    /// The VRRP version: 2 or 3.
    pub version: u8,
    /// The advertisement interval.
    pub interval: Duration,
}

impl Setting {
    /// How the tables call it.
    pub fn name(self) -> String {
        let version = if self.version == 3 { "" } else { " (VRRPv2)" };
        format!("{}{version}", interval(self.interval))
    }

    /// One virtual router of this kind.
    pub fn routers(self) -> Routers {
        Routers {
            version: self.version,
            ..Routers::one(self.interval)
        }
    }
}

/// What was measured.
#[derive(Clone, Default, Debug)]
pub struct Results {
    /// The runs of each setting.
    pub failovers: Vec<(Setting, [Vec<Failover>; 2])>,
    /// How long the next visitor waited when a service had ended.
    pub services: Vec<(End, [Vec<Duration>; 2])>,
    /// What a hundred probes cost.
    pub probing: Vec<Probing>,
    /// The cost of each number of routers and interval.
    pub costs: Vec<(Routers, [Cost; 2])>,
    /// Beside busy loops.
    pub busy: Vec<(Contender, Busy)>,
    /// How long the processors were busy for each of them.
    pub busy_for: Duration,
    /// Each time that RTNL was held.
    pub holds: Vec<Hold>,
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::{failover::Death, probing::Kind, steadiness::Locked, usage::Memory};

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn failover(planned_stop: Duration, two_holders: Duration) -> Failover {
        let death = Death {
            takeover: ms(362),
            two_holders,
            for_good: two_holders >= ms(4000),
        };
        Failover {
            lost_node: ms(362),
            return_by_cable: ms(1),
            planned_stop,
            planned_stop_control: ms(1),
            return_by_start: ms(1),
            killed: death,
            frozen: death,
            control: ms(1),
        }
    }

    fn cost(micros: u64, resident: u64) -> Cost {
        Cost {
            window: ms(1000),
            cpu: Duration::from_micros(micros),
            advertisements: 2500,
            memory: Memory {
                resident,
                ..Memory::default()
            },
            real_time: false,
        }
    }

    /// Results in which Holdfast keeps every promise.
    pub fn results() -> Results {
        let setting = Setting {
            version: 3,
            interval: ms(100),
        };
        let busy = Busy {
            false_failovers: 0,
            largest_gap: ms(11),
            silence: ms(2),
            control: ms(1),
        };
        let seen = Locked {
            false_failovers: 0,
            largest_gap: ms(11),
        };
        Results {
            failovers: vec![(
                setting,
                [vec![failover(ms(63), ms(4000))], vec![failover(ms(2), ms(2500))]],
            )],
            services: vec![(End::Killed, [vec![ms(1800)], vec![ms(1700)]])],
            probing: [(Kind::None, 10), (Kind::Mixed, 300)]
                .map(|(kind, cpu)| Probing {
                    kind,
                    window: ms(10_000),
                    cpu: ms(cpu),
                })
                .into(),
            costs: vec![(
                Routers {
                    count: 250,
                    ..Routers::one(ms(100))
                },
                [cost(40_000, 13_000_000), cost(10_000, 9_000_000)],
            )],
            busy: vec![(Contender::Holdfast, busy)],
            busy_for: ms(60_000),
            holds: vec![Hold {
                apart: true,
                blocked: ms(500),
                seen: [seen, seen],
            }],
        }
    }
}
