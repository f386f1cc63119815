//! The world: nodes, the link between them, and the loop that lets events happen in order.

mod actions;
mod engine;
mod host;
mod probes;
mod steps;

use core::net::IpAddr;
use core::time::Duration;

use holdfast_health::Damping;

use crate::bounds::Bounds;
use crate::checker::Checker;
use crate::clock::{Moment, Queue};
use crate::invariants::Violation;
use crate::kernel::Operation;
use crate::mutation::Mutation;
use crate::network::Network;
use crate::node::{Frame, Message, Node, Process};
use crate::rng::Rng;
use crate::scenario::Scenario;
use crate::trace::Trace;

/// Something that is going to happen.
#[derive(Debug)]
enum Event {
    /// The scenario's next step.
    Step(usize),
    /// A frame arrives at a node's interface.
    Frame { to: usize, frame: Frame },
    /// A message arrives at an engine.
    Message {
        node: usize,
        incarnation: u32,
        message: Message,
    },
    /// An engine wakes up for its timer, unless it has set another since.
    Wake {
        node: usize,
        incarnation: u32,
        number: u64,
    },
    /// An operation reaches the kernel.
    Operation {
        node: usize,
        incarnation: u32,
        operation: Operation,
    },
    /// The kernel looks for expired addresses.
    Expire { node: usize },
    /// A node's agent runs a probe.
    Probe {
        node: usize,
        incarnation: u32,
        probe: usize,
    },
    /// Time alone may change a node's health.
    Judge { node: usize },
    /// The invariants are looked at, whatever else happens.
    Look,
}

/// Everything there is.
pub struct World {
    pub now: Moment,
    pub nodes: Vec<Node>,
    pub network: Network,
    pub trace: Trace,
    pub checker: Checker,
    /// The node that a neighbor sends to who hears all of them, however the link between them is split.
    pub followed: Option<usize>,
    scenario: Scenario,
    mutation: Mutation,
    sources: Vec<IpAddr>,
    queue: Queue<Event>,
    rng: Rng,
    /// What probes find, and when they are run.
    chance: Rng,
    end: Moment,
    look_every: Duration,
}

/// How many timeouts in a row a router may want at one instant.
const MAX_TIMEOUTS: usize = 64;

impl World {
    /// The world that `scenario` begins with; `seed` decides what chance does in it.
    pub fn new(mut scenario: Scenario, seed: u64, mutation: Mutation, trace: Trace) -> Self {
        if mutation == Mutation::NeverHoldsBack {
            let members = scenario.setup.members.iter_mut();
            for probing in members.filter_map(|member| member.probing.as_mut()) {
                probing.policy.damping = Damping::OFF;
            }
        }
        let setup = &scenario.setup;
        let count = setup.members.len();
        let bounds = Bounds::of(&scenario);
        let mut queue = Queue::new();
        let mut at = Moment::START;
        for (index, (after, _)) in scenario.steps.iter().enumerate() {
            at = at + *after;
            queue.push(at, Event::Step(index));
        }
        queue.push(Moment::START, Event::Look);
        let network = Network::new(count, setup.quality, Rng::new(seed, 1));
        let mut world = Self {
            now: Moment::START,
            nodes: setup
                .members
                .iter()
                .map(|member| Node::new(member.clock, member.config.clone(), member.probing.clone()))
                .collect(),
            network,
            trace,
            followed: None,
            checker: Checker::new(bounds, count),
            sources: setup
                .members
                .iter()
                .filter_map(|member| member.config.source)
                .collect(),
            mutation,
            queue,
            rng: Rng::new(seed, 2),
            chance: Rng::new(seed, 3),
            end: at + scenario.tail,
            look_every: bounds.two_active / 4,
            scenario,
        };
        for node in 0..count {
            if world.scenario.setup.members[node].present {
                world.start(node, false);
            }
        }
        world
    }

    /// Lets everything happen; the first invariant that does not hold ends the world.
    pub fn run(&mut self) -> Result<(), Violation> {
        self.run_until(self.end)
    }

    /// Lets everything happen until `end`.
    pub fn run_until(&mut self, end: Moment) -> Result<(), Violation> {
        while let Some((at, event)) = self.queue.pop() {
            if at > end {
                self.queue.push(at, event);
                self.now = end;
                break;
            }
            self.now = at;
            self.happen(event);
            self.checker.observe(self.now, &self.nodes);
            if let Some(violation) = self.checker.violation() {
                return Err(violation.clone());
            }
        }
        Ok(())
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Step(index) => {
                let step = self.scenario.steps[index].1.clone();
                self.apply(&step);
            }
            Event::Frame { to, frame } => self.receive(to, frame),
            Event::Message {
                node,
                incarnation,
                message,
            } => {
                if self.runs(node, incarnation) {
                    self.read(node, message);
                }
            }
            Event::Wake {
                node,
                incarnation,
                number,
            } => {
                let current =
                    |process: &Process| process.incarnation == incarnation && process.wake.1 == number;
                if self.nodes[node].awake().is_some_and(current) {
                    self.serve_timers(node);
                }
            }
            Event::Operation {
                node,
                incarnation,
                operation,
            } => {
                if self.runs(node, incarnation) {
                    self.operate(node, operation);
                }
            }
            Event::Expire { node } => self.expire(node),
            Event::Probe {
                node,
                incarnation,
                probe,
            } => {
                if self.runs(node, incarnation) {
                    self.probe(node, probe);
                }
            }
            Event::Judge { node } => {
                if self.nodes[node].awake().is_some() {
                    self.judge(node);
                }
            }
            Event::Look => self.queue.push(self.now + self.look_every, Event::Look),
        }
    }

    fn runs(&self, node: usize, incarnation: u32) -> bool {
        self.nodes[node]
            .process
            .as_ref()
            .is_some_and(|process| process.incarnation == incarnation)
    }
}
