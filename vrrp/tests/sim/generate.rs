//! Draws a scenario from a seed: every kind of group, every kind of trouble, in every order.

use core::time::Duration;

use holdfast_vrrp::{Announcement, Fault, Interval, Priority, Shutdown, Standing, Version};

use crate::bounds::Bounds;
use crate::draw;
use crate::network::Damage;
use crate::probing::{Probing, Service};
use crate::rng::Rng;
use crate::scenario::{Edit, Group, Member, Scenario, Setup, Step};

/// How long to wait before a step.
enum Wait {
    For(Duration),
    /// Until nothing moves any more.
    UntilSettled,
}

/// What the generator believes of a node, so that it asks for sensible things only.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Running,
    Frozen,
    Dead,
    /// Not a member at the moment.
    Absent,
}

struct Generator {
    rng: Rng,
    group: Group,
    hosts: Vec<u8>,
    presence: Vec<Presence>,
    link_up: Vec<bool>,
    /// How many probes each node runs.
    probes: Vec<usize>,
    steps: Vec<(Wait, Step)>,
}

/// The scenario of `seed`.
pub fn scenario(seed: u64) -> Scenario {
    let mut rng = Rng::new(seed, 0);
    let group = draw::group(&mut rng);
    let count = 2 + rng.index(4);
    let mut hosts: Vec<u8> = (1..=10).collect();
    let hosts: Vec<u8> = (0..count)
        .map(|_| hosts.swap_remove(rng.index(hosts.len())))
        .collect();
    let mut setup = draw::setup(&mut rng, &group, &hosts);
    if rng.chance(350) {
        let damping = draw::damping(&mut rng, group.interval);
        for member in &mut setup.members {
            let base = member.config.priority;
            member.probing = rng
                .chance(800)
                .then(|| draw::probing(&mut rng, group.interval, base, damping));
        }
    }
    let presence = |member: &Member| {
        if member.present {
            Presence::Running
        } else {
            Presence::Absent
        }
    };
    let mut generator = Generator {
        presence: setup.members.iter().map(presence).collect(),
        link_up: vec![true; count],
        probes: setup
            .members
            .iter()
            .map(|member| member.probing.as_ref().map_or(0, Probing::count))
            .collect(),
        steps: Vec::new(),
        rng,
        group,
        hosts,
    };
    if generator.rng.chance(700) {
        generator.steps.push((Wait::UntilSettled, Step::Heal));
    }
    for _ in 0..2 + generator.rng.index(9) {
        generator.draw_step();
    }
    generator.repair();
    finish(setup, generator.steps)
}

/// Gives every wait its length, which depends on everything that occurs in the scenario.
fn finish(setup: Setup, drawn: Vec<(Wait, Step)>) -> Scenario {
    let (waits, steps): (Vec<Wait>, Vec<Step>) = drawn.into_iter().unzip();
    let steps = steps.into_iter().map(|step| (Duration::ZERO, step)).collect();
    let mut scenario = Scenario {
        setup,
        steps,
        tail: Duration::ZERO,
    };
    let probings = scenario
        .setup
        .members
        .iter()
        .filter_map(|member| member.probing.as_ref());
    let known = probings.map(Probing::convergence).max().unwrap_or_default();
    let settled = Bounds::of(&scenario).settled + known;
    for ((after, _), wait) in scenario.steps.iter_mut().zip(waits) {
        *after = match wait {
            Wait::For(duration) => duration,
            Wait::UntilSettled => settled + settled / 8,
        };
    }
    scenario.tail = settled + settled / 2;
    scenario
}

impl Generator {
    fn wait(&mut self) -> Wait {
        let interval = self.group.interval;
        match self.rng.below(10) {
            0..=3 => Wait::UntilSettled,
            4..=6 => Wait::For(self.rng.between(Duration::ZERO, 6 * interval)),
            7 | 8 => Wait::For(self.rng.between(Duration::ZERO, interval)),
            _ => Wait::For(self.rng.between(Duration::ZERO, 2 * draw::lifetime(interval, 8))),
        }
    }

    fn soon(&mut self) -> Wait {
        Wait::For(self.rng.between(Duration::ZERO, self.group.interval))
    }

    fn push(&mut self, step: Step) {
        let wait = self.wait();
        self.steps.push((wait, step));
    }

    fn node(&mut self, presence: Presence) -> Option<usize> {
        let nodes: Vec<usize> = (0..self.hosts.len())
            .filter(|node| self.presence[*node] == presence)
            .collect();
        if nodes.is_empty() {
            None
        } else {
            Some(nodes[self.rng.index(nodes.len())])
        }
    }

    fn draw_step(&mut self) {
        let running = self.node(Presence::Running);
        match (self.rng.below(24), running) {
            (0..=2, _) => self.bring_back(),
            (3, _) => self.join(),
            (4, Some(node)) => self.leave(node),
            (5 | 6, Some(node)) => self.take_down(node, Step::Freeze(node), Presence::Frozen),
            (7, Some(node)) => self.take_down(node, Step::Kill(node), Presence::Dead),
            (8, Some(node)) => self.take_down(node, Step::PowerOff(node), Presence::Dead),
            (9 | 10, Some(node)) => {
                if self.rng.chance(500) {
                    let count = 1;
                    self.push(Step::LoseResignations(node, count));
                }
                self.take_down(node, Step::Stop(node, Shutdown::Planned), Presence::Dead);
            }
            (11, Some(node)) => self.take_down(node, Step::Stop(node, Shutdown::Immediate), Presence::Dead),
            (12, Some(node)) => {
                self.push(Step::Kill(node));
                let soon = self.soon();
                self.steps.push((soon, Step::Start(node)));
            }
            (13, Some(node)) => self.push(Step::Replace(node)),
            (14 | 15, _) => self.draw_network_trouble(),
            (16, Some(node)) => {
                self.link_up[node] = !self.link_up[node];
                self.push(Step::Link(node, self.link_up[node]));
            }
            (17 | 18, Some(node)) => self.draw_health(node),
            (19..=21, Some(node)) => {
                let edit = self.draw_edit();
                self.push(Step::Configure(node, edit));
            }
            (22, Some(node)) => self.push(Step::DeleteAddress(node)),
            (23, _) => self.edit_addresses(),
            _ => self.push(Step::Heal),
        }
    }

    fn take_down(&mut self, node: usize, step: Step, presence: Presence) {
        self.presence[node] = presence;
        self.push(step);
    }

    fn bring_back(&mut self) {
        if let Some(node) = self.node(Presence::Frozen) {
            self.presence[node] = Presence::Running;
            self.push(Step::Thaw(node));
        } else if let Some(node) = self.node(Presence::Dead) {
            self.presence[node] = Presence::Running;
            self.push(Step::Start(node));
        } else {
            self.push(Step::Heal);
        }
    }

    fn members(&self) -> Vec<usize> {
        (0..self.hosts.len())
            .filter(|node| self.presence[*node] != Presence::Absent)
            .collect()
    }

    /// A node joins in two phases: it may become Active only when everybody knows it.
    fn join(&mut self) {
        let Some(joining) = self.node(Presence::Absent) else {
            return;
        };
        self.presence[joining] = Presence::Running;
        let members = self.members();
        self.push(Step::Configure(joining, Edit::MayBecomeActive(false)));
        self.steps.push((
            Wait::For(Duration::ZERO),
            Step::Configure(joining, Edit::Members(members.clone())),
        ));
        self.steps.push((Wait::For(Duration::ZERO), Step::Start(joining)));
        for member in members.iter().copied().filter(|member| *member != joining) {
            let soon = self.soon();
            self.steps
                .push((soon, Step::Configure(member, Edit::Members(members.clone()))));
        }
        let wait = self.wait();
        self.steps.push((
            Wait::For(self.group.interval),
            Step::Configure(joining, Edit::Same),
        ));
        self.steps
            .push((wait, Step::Configure(joining, Edit::MayBecomeActive(true))));
    }

    /// A node leaves: it stops as planned, and only then do the others forget it.
    fn leave(&mut self, leaving: usize) {
        self.push(Step::Stop(leaving, Shutdown::Planned));
        self.presence[leaving] = Presence::Absent;
        let members = self.members();
        let mut wait = Wait::For(6 * self.group.interval);
        for member in members.iter().copied() {
            self.steps
                .push((wait, Step::Configure(member, Edit::Members(members.clone()))));
            wait = self.soon();
        }
    }

    fn draw_network_trouble(&mut self) {
        let count = self.hosts.len();
        let step = match self.rng.below(6) {
            0 | 1 => Step::Heal,
            2 | 3 => Step::Partition((0..count).map(|_| u8::from(self.rng.chance(500))).collect()),
            4 => {
                let from = self.rng.index(count);
                Step::CutOneWay(from, (from + 1 + self.rng.index(count - 1)) % count)
            }
            _ => Step::Damage(Damage {
                lost: self.rng.pick(&[0, 50, 300, 900]),
                corrupted: self.rng.pick(&[0, 0, 100]),
            }),
        };
        let damaged = matches!(step, Step::Damage(_));
        self.push(step);
        if damaged && self.rng.chance(700) {
            self.push(Step::Damage(Damage::default()));
        }
    }

    fn draw_health(&mut self, node: usize) {
        if self.probes[node] > 0 && self.rng.chance(800) {
            self.draw_service(node);
            return;
        }
        let faults = self.faults(node);
        let fault = faults[self.rng.index(faults.len())];
        let step = match self.rng.below(8) {
            0 => Step::Fault(node, fault, true),
            1 | 2 => Step::Fault(node, fault, false),
            _ if self.probes[node] > 0 => Step::HandOver(node),
            3 => Step::Standing(node, self.rng.pick(&[Standing::Floor, Standing::Demoted])),
            4 => Step::Standing(node, Standing::Base),
            5 => Step::HandOver(node),
            _ => Step::Standing(node, Standing::Weighted(self.draw_priority())),
        };
        self.push(step);
    }

    fn draw_service(&mut self, node: usize) {
        let probe = self.rng.index(self.probes[node]);
        let service = draw::service(&mut self.rng);
        self.push(Step::Service(node, probe, service));
        // A service that comes and goes leaves no quiet time to look at.
        if matches!(service, Service::Flaps(_) | Service::Chance(_)) && self.rng.chance(700) {
            self.push(Step::Service(node, probe, Service::Passes));
        }
    }

    /// The facts that come and go at a node without its probes.
    fn faults(&self, node: usize) -> &'static [Fault] {
        const FAULTS: [Fault; 3] = [Fault::Maintenance, Fault::SyncGroup, Fault::ProbeFailed];
        if self.probes[node] > 0 {
            &FAULTS[..2]
        } else {
            &FAULTS
        }
    }

    fn draw_priority(&mut self) -> Priority {
        u8::try_from(16 + self.rng.below(238))
            .ok()
            .and_then(Priority::new)
            .unwrap_or(Priority::DEFAULT)
    }

    fn draw_edit(&mut self) -> Edit {
        let interval = self.group.interval;
        match self.rng.below(8) {
            1 => Edit::Announcement(Announcement {
                repeat_after: self.rng.pick(&[Duration::ZERO, interval, 5 * interval]),
                refresh_interval: self.rng.pick(&[Duration::ZERO, 2 * interval, 60 * interval]),
            }),
            2 | 3 => Edit::Priority(self.draw_priority()),
            4 if self.group.version == Version::V3 => {
                let factor = self.rng.pick(&[1, 2, 5]);
                Edit::Interval(Interval::new(Version::V3, interval * factor).unwrap_or(Interval::DEFAULT))
            }
            5 => Edit::Preemption(draw::preemption(&mut self.rng, interval)),
            6 => Edit::Lifetime(draw::lifetime(interval, self.rng.pick(&[5, 25, 40]))),
            7 => Edit::MayBecomeActive(self.rng.chance(700)),
            _ => Edit::Same,
        }
    }

    /// Everybody's list of addresses changes, one node after the other.
    fn edit_addresses(&mut self) {
        let addresses = self
            .group
            .addresses(u8::try_from(1 + self.rng.below(3)).unwrap_or(1));
        for node in 0..self.hosts.len() {
            let wait = if node == 0 { self.wait() } else { self.soon() };
            self.steps
                .push((wait, Step::Configure(node, Edit::Addresses(addresses.clone()))));
        }
    }

    /// Ends all trouble, so that the scenario ends in a world that has to be whole.
    fn repair(&mut self) {
        self.push(Step::Damage(Damage::default()));
        self.push(Step::Heal);
        for node in 0..self.hosts.len() {
            let faults = self.faults(node).iter();
            let mut steps: Vec<Step> = faults.map(|fault| Step::Fault(node, *fault, false)).collect();
            for probe in 0..self.probes[node] {
                let service = if self.rng.chance(800) {
                    Service::Passes
                } else {
                    Service::Fails
                };
                steps.push(Step::Service(node, probe, service));
            }
            if !self.link_up[node] {
                steps.push(Step::Link(node, true));
            }
            match self.presence[node] {
                Presence::Frozen => steps.push(Step::Thaw(node)),
                Presence::Dead if self.rng.chance(700) => steps.push(Step::Start(node)),
                _ => {}
            }
            for step in steps {
                let soon = self.soon();
                self.steps.push((soon, step));
            }
        }
    }
}
