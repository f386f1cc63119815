//! A hand-written scenario: a small world in which a test lets one thing happen after the other and looks.

use core::time::Duration;

use holdfast_vrrp::{Config, Family, Version};

use crate::clock::Clock;
use crate::mutation::Mutation;
use crate::network::Quality;
use crate::probing::Probing;
use crate::scenario::{Group, Member, Scenario, Setup, Step};
use crate::trace::Trace;
use crate::world::World;

/// VRRPv3 over IPv4 by multicast at `millis` milliseconds.
pub fn group(millis: u64) -> Group {
    let interval = Duration::from_millis(millis);
    Group {
        version: Version::V3,
        family: Family::V4,
        unicast: false,
        interval,
    }
}

/// A world under a test's control. All invariants hold in it all the time, or the test fails.
pub struct Script {
    world: World,
    interval: Duration,
}

impl Script {
    /// One node for each of `priorities`, the first with the lowest address; `adjust` has the last word on each
    /// configuration. Everything takes a hundredth of an interval.
    pub fn new(group: &Group, priorities: &[u8], adjust: impl Fn(usize, &mut Config)) -> Self {
        Self::paced(group, priorities, group.interval / 100, adjust)
    }

    /// The same where everything takes `short` at most.
    pub fn paced(
        group: &Group,
        priorities: &[u8],
        short: Duration,
        adjust: impl Fn(usize, &mut Config),
    ) -> Self {
        Self::of(group, priorities, short, 0, |index, member| {
            adjust(index, &mut member.config);
        })
    }

    /// A world whose nodes are probed; `seed` decides when, and how long everything takes.
    pub fn probed(
        group: &Group,
        priorities: &[u8],
        seed: u64,
        probing: &Probing,
        adjust: impl Fn(&mut Config),
    ) -> Self {
        Self::of(group, priorities, group.interval / 100, seed, |_, member| {
            adjust(&mut member.config);
            member.probing = Some(probing.clone());
        })
    }

    fn of(
        group: &Group,
        priorities: &[u8],
        short: Duration,
        seed: u64,
        adjust: impl Fn(usize, &mut Member),
    ) -> Self {
        let hosts: Vec<u8> = (1..).take(priorities.len()).collect();
        let member = |(index, (host, priority)): (usize, (&u8, &u8))| {
            let drift_ppm = if index % 2 == 0 { 200 } else { -200 };
            let mut member = Member {
                clock: Clock {
                    origin: Duration::from_secs(u64::from(*host)),
                    drift_ppm,
                },
                config: group.config(*host, *priority, &hosts),
                probing: None,
                present: true,
            };
            adjust(index, &mut member);
            member
        };
        let setup = Setup {
            members: hosts.iter().zip(priorities).enumerate().map(member).collect(),
            quality: Quality {
                min_delay: short / 10,
                max_delay: short,
                duplicated: 0,
            },
            lateness: short,
            kernel_latency: short,
            expiry_fuzz: short,
            one_flaps: false,
        };
        let scenario = Scenario {
            setup,
            steps: Vec::new(),
            tail: Duration::ZERO,
        };
        let world = World::new(scenario, seed, Mutation::None, Trace::wanted());
        Self {
            world,
            interval: group.interval,
        }
    }

    /// Lets `step` happen.
    pub fn then(&mut self, step: &Step) -> &mut Self {
        self.world.apply(step);
        self
    }

    /// Lets `duration` pass.
    pub fn wait(&mut self, duration: Duration) -> &mut Self {
        let end = self.world.now + duration;
        if let Err(violation) = self.world.run_until(end) {
            let lines = self.world.trace.lines();
            panic!(
                "{}\n{violation}",
                lines[lines.len().saturating_sub(40)..].join("\n")
            );
        }
        self
    }

    /// Lets so much time pass that nothing moves any more.
    pub fn settle(&mut self) -> &mut Self {
        let settled = self.world.checker.bounds().settled;
        self.wait(settled + settled / 4)
    }

    /// Waits until `node` is Active; returns how long that took.
    pub fn until_active(&mut self, node: usize) -> Duration {
        let began = self.world.now;
        while !self.world.nodes[node].is_active() {
            assert!(
                self.world.now.since(began) < 100 * self.interval,
                "node {node} does not become Active"
            );
            self.wait(self.interval / 1000);
        }
        self.world.now.since(began)
    }

    /// Lets `duration` pass and asserts at every moment of it that somebody has all the addresses.
    pub fn wait_without_a_hole(&mut self, duration: Duration) -> &mut Self {
        let end = self.world.now + duration;
        while self.world.now < end {
            self.wait(self.interval / 1000);
            assert!(
                !self.holders().is_empty(),
                "nobody has the addresses at {}",
                self.world.now
            );
        }
        self
    }

    /// The nodes that are Active.
    pub fn active(&self) -> Vec<usize> {
        self.nodes(|node| self.world.nodes[node].is_active())
    }

    /// The nodes that have all of the addresses.
    pub fn holders(&self) -> Vec<usize> {
        self.nodes(|node| {
            let node = &self.world.nodes[node];
            node.config
                .addresses
                .iter()
                .all(|address| node.kernel.contains(address.address))
        })
    }

    /// The node that a neighbor sends to who hears all of them, however the link between them is split.
    pub fn followed(&self) -> Option<usize> {
        self.world.followed
    }

    /// How often routers have changed their state so far.
    pub fn transitions(&self) -> usize {
        self.world
            .trace
            .lines()
            .iter()
            .filter(|line| line.contains("-> Transition"))
            .count()
    }

    fn nodes(&self, wanted: impl Fn(usize) -> bool) -> Vec<usize> {
        (0..self.world.nodes.len()).filter(|node| wanted(*node)).collect()
    }
}
