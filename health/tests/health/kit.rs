//! A group under test with a clock of its own, and short words for what happens to it.

use core::num::NonZeroU8;
use core::time::Duration;

use holdfast_health::{
    Damping, Duty, GroupHealth, Kind, OnFailure, Outcome, Policy, Probe, ProbeReport, Recover, Recovery, Run,
    Thresholds,
};
use holdfast_vrrp::{Fault, Faults, Health, Instant, Priority, Standing};

/// A group on a node, and the time there.
#[derive(Clone)]
pub struct Node {
    pub now: Instant,
    pub group: GroupHealth,
}

impl Node {
    pub fn new(policy: Policy) -> Self {
        let now = Instant::ZERO + secs(1000);
        Self {
            now,
            group: GroupHealth::new(now, policy),
        }
    }

    pub fn edit(&mut self, policy: Policy) {
        self.group.configure(self.now, policy);
    }

    /// Lets time pass, and calls at each time that is asked for.
    pub fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.group.next_timeout().filter(|at| *at <= end) {
            self.now = at;
            self.group.handle_timeout(at);
        }
        self.now = end;
    }

    /// A run ends now.
    pub fn run(&mut self, probe: &str, run: Run) -> Option<Recover> {
        self.group.take(self.now, probe, run)
    }

    pub fn pass(&mut self, probe: &str) -> Option<Recover> {
        self.run(probe, passed())
    }

    pub fn fail(&mut self, probe: &str) -> Option<Recover> {
        self.run(probe, failed("connection refused"))
    }

    pub fn passes(&mut self, probe: &str, times: usize) {
        for _ in 0..times {
            assert_eq!(self.pass(probe), None, "nobody heals what passes");
        }
    }

    pub fn fails(&mut self, probe: &str, times: usize) {
        for _ in 0..times {
            assert_eq!(self.fail(probe), None, "healing was not asked for");
        }
    }

    pub fn strict(&self) -> Health {
        self.group.judgement().strict
    }

    pub fn lenient(&self) -> Health {
        self.group.judgement().lenient
    }

    pub fn sum(&self) -> String {
        self.group.report().sum
    }

    pub fn probe(&self, name: &str) -> ProbeReport {
        let probes = self.group.report().probes;
        let found = probes.into_iter().find(|probe| probe.name == name);
        assert!(found.is_some(), "there is no probe {name}");
        found.unwrap_or_else(|| unreachable!())
    }
}

pub fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub fn passed() -> Run {
    Run::new(Outcome::Passed, "")
}

pub fn failed(message: &str) -> Run {
    Run::new(Outcome::Failed, message)
}

pub fn holds(number: i16) -> Run {
    Run {
        adds: Some(number),
        ..passed()
    }
}

pub fn priority(priority: u8) -> Priority {
    Priority::new(priority).unwrap_or(Priority::OWNER)
}

pub fn times(count: u8) -> NonZeroU8 {
    NonZeroU8::new(count).unwrap_or(NonZeroU8::MAX)
}

/// A group on a node with base priority 200 and these probes.
pub fn policy(probes: impl IntoIterator<Item = Probe>) -> Policy {
    Policy {
        base: priority(200),
        preferred: false,
        duty: Duty::Serve,
        probes: probes.into_iter().collect(),
        damping: Damping {
            changes: 0,
            window: secs(180),
            longest: secs(1800),
        },
    }
}

/// A probe that three runs make fail and two make pass.
pub fn probe(name: &str, on_failure: OnFailure) -> Probe {
    thresholds(name, on_failure, 3, 2)
}

pub fn thresholds(name: &str, on_failure: OnFailure, failure: u8, success: u8) -> Probe {
    Probe {
        name: name.to_owned(),
        kind: Kind::Runs {
            thresholds: Thresholds {
                failure: times(failure),
                success: times(success),
            },
            recovery: None,
        },
        on_failure,
    }
}

/// The probe, with healing.
pub fn healed(mut probe: Probe, attempts: u8, cooldown: Duration) -> Probe {
    if let Kind::Runs { recovery, .. } = &mut probe.kind {
        *recovery = Some(Recovery {
            attempts: times(attempts),
            cooldown,
        });
    }
    probe
}

pub fn quorum(name: &str, of: &[&str], at_least: usize, on_failure: OnFailure) -> Probe {
    Probe {
        name: name.to_owned(),
        kind: Kind::Quorum {
            of: of.iter().map(|name| (*name).to_owned()).collect(),
            at_least,
        },
        on_failure,
    }
}

/// Health without a fault.
pub fn stands(standing: Standing) -> Health {
    Health {
        faults: Faults::NONE,
        standing,
    }
}

pub fn weighted(to: u8) -> Health {
    stands(Standing::Weighted(priority(to)))
}

pub const BASE: Health = Health {
    faults: Faults::NONE,
    standing: Standing::Base,
};

pub const FLOOR: Health = Health {
    faults: Faults::NONE,
    standing: Standing::Floor,
};

pub const DEMOTED: Health = Health {
    faults: Faults::NONE,
    standing: Standing::Demoted,
};

pub fn faults(health: Health) -> Vec<Fault> {
    health.faults.iter().collect()
}
