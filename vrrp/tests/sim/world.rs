//! The world: nodes, the link between them, and the loop that lets events happen in order.

use core::net::IpAddr;
use core::time::Duration;

use holdfast_vrrp::{
    Action, Fault, Input, Received, Shutdown, Standing, State, Transport, VirtualRouter, wire,
};

use crate::clock::{Moment, Queue};
use crate::invariants::{Bounds, Checker, Invariant, Violation};
use crate::kernel::{Entry, Operation};
use crate::mutation::Mutation;
use crate::network::Network;
use crate::node::{Frame, Message, Node, Packet, Process, StateFile};
use crate::rng::Rng;
use crate::scenario::{Edit, Scenario, Step};
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
    scenario: Scenario,
    mutation: Mutation,
    sources: Vec<IpAddr>,
    queue: Queue<Event>,
    rng: Rng,
    end: Moment,
    look_every: Duration,
}

/// How many timeouts in a row a router may want at one instant.
const MAX_TIMEOUTS: usize = 64;

impl World {
    /// The world that `scenario` begins with; `seed` decides what chance does in it.
    pub fn new(scenario: Scenario, seed: u64, mutation: Mutation, trace: Trace) -> Self {
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
                .map(|member| Node::new(member.clock, member.config.clone()))
                .collect(),
            network,
            trace,
            checker: Checker::new(bounds, count),
            sources: setup
                .members
                .iter()
                .filter_map(|member| member.config.source)
                .collect(),
            mutation,
            queue,
            rng: Rng::new(seed, 2),
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

    /// Lets `step` happen now.
    pub fn apply(&mut self, step: &Step) {
        self.trace.add(self.now, || format!("---- {step:?}"));
        match step {
            Step::Freeze(node) => self.freeze(*node),
            Step::Thaw(node) => self.thaw(*node),
            Step::Kill(node) => self.kill(*node),
            Step::PowerOff(node) => {
                self.kill(*node);
                self.nodes[*node].kernel.clear();
                self.nodes[*node].state_file = None;
            }
            Step::Start(node) => self.start(*node, false),
            Step::Replace(node) => {
                self.kill(*node);
                self.start(*node, true);
            }
            Step::Stop(node, Shutdown::Planned) => {
                self.checker.hands_over(self.now, &self.nodes, *node);
                self.stop(*node, Shutdown::Planned);
            }
            Step::Stop(node, Shutdown::Immediate) => {
                self.checker.steps_back(self.now, &self.nodes, *node);
                self.stop(*node, Shutdown::Immediate);
            }
            Step::Partition(cells) => {
                self.network.partition(cells);
                self.disturb_all();
            }
            Step::Heal => {
                self.network.partition(&vec![0; self.nodes.len()]);
                self.disturb_all();
            }
            Step::CutOneWay(from, to) => {
                self.network.cut(*from, *to, true);
                self.disturb_all();
            }
            Step::Damage(damage) => {
                self.network.damage = *damage;
                self.disturb_all();
            }
            Step::LoseResignations(node, count) => self.nodes[*node].resignations_to_lose = *count,
            Step::Link(node, up) => {
                self.nodes[*node].link_up = *up;
                self.disturb_all();
                self.set_fault(*node, Fault::LinkDown, !*up);
            }
            Step::Fault(node, fault, present) => {
                if *present {
                    self.checker.hands_over(self.now, &self.nodes, *node);
                } else {
                    self.checker.disturb(self.now, *node);
                }
                self.set_fault(*node, *fault, *present);
            }
            Step::Standing(node, standing) => {
                if *standing == Standing::Floor {
                    self.checker.hands_over(self.now, &self.nodes, *node);
                } else {
                    self.checker.disturb(self.now, *node);
                }
                self.nodes[*node].health.standing = *standing;
                self.tell(*node, Message::Health(self.nodes[*node].health));
            }
            Step::Configure(node, edit) => self.configure(*node, edit),
            Step::DeleteAddress(node) => {
                self.checker.disturb(self.now, *node);
                let first = self.nodes[*node].kernel.addresses().next();
                if let Some(address) = first {
                    self.nodes[*node].kernel.remove(address);
                    self.tell(*node, Message::Removed(address));
                }
            }
            Step::RefuseBinding(node, refuses) => {
                self.checker.disturb(self.now, *node);
                self.nodes[*node].refuses_binding = *refuses;
            }
        }
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
            Event::Look => self.queue.push(self.now + self.look_every, Event::Look),
        }
    }

    fn runs(&self, node: usize, incarnation: u32) -> bool {
        self.nodes[node]
            .process
            .as_ref()
            .is_some_and(|process| process.incarnation == incarnation)
    }

    // What is done to nodes.

    fn disturb_all(&mut self) {
        for node in 0..self.nodes.len() {
            self.checker.disturb(self.now, node);
        }
        self.checker.topology(self.now, &self.nodes, &self.network);
    }

    fn start(&mut self, node: usize, handed_over: bool) {
        if self.nodes[node].process.is_some() {
            // One agent a node: a second one waits until the first has ended.
            return;
        }
        let resumed = self.nodes[node].start(self.now, handed_over);
        self.trace.add(self.now, || {
            format!("node {node} starts{}", if resumed { " and resumes" } else { "" })
        });
        self.checker.topology(self.now, &self.nodes, &self.network);
        if resumed {
            self.checker.disturb(self.now, node);
        } else {
            self.checker.steps_forward(self.now, &self.nodes, node);
        }
        self.read(node, Message::Health(self.nodes[node].health));
    }

    fn kill(&mut self, node: usize) {
        self.checker.steps_back(self.now, &self.nodes, node);
        self.end_process(node);
    }

    fn end_process(&mut self, node: usize) {
        self.nodes[node].process = None;
        self.checker.topology(self.now, &self.nodes, &self.network);
    }

    fn freeze(&mut self, node: usize) {
        self.checker.steps_back(self.now, &self.nodes, node);
        if let Some(process) = &mut self.nodes[node].process {
            process.frozen.get_or_insert(self.now);
        }
        self.checker.topology(self.now, &self.nodes, &self.network);
    }

    fn thaw(&mut self, node: usize) {
        let now = self.now;
        let until = self.nodes[node].clock.read(now);
        let Some(process) = &mut self.nodes[node].process else {
            return;
        };
        let Some(since) = process.frozen.take() else {
            return;
        };
        process.running_since = now;
        if self.mutation == Mutation::OverlooksTheGap {
            while let Some(due) = process.router.next_timeout().filter(|due| *due <= until) {
                process.router.handle(due, Input::Timeout, &mut Vec::new());
            }
            process.seen = process.router.snapshot();
        }
        let frames = core::mem::take(&mut process.socket);
        let messages = core::mem::take(&mut process.channel);
        let stalled = core::mem::take(&mut process.stalled);
        process.outstanding -= stalled.len();
        self.checker.topology(self.now, &self.nodes, &self.network);
        self.checker.disturb(now, node);
        // The other threads run again too; what the engine wants of them from now on comes after this.
        for operation in stalled {
            self.ask_kernel(node, operation);
        }
        for frame in frames {
            self.receive(node, frame);
        }
        for message in messages {
            self.read(node, message);
        }
        self.serve_timers(node);
        let gap = now.since(since);
        let node_now = &self.nodes[node];
        let lapsed = gap > node_now.config.lifetime + node_now.config.lifetime / 50;
        if lapsed && node_now.is_active() && !node_now.standing().is_owner() {
            let detail =
                format!("node {node} was frozen for {gap:?} and is Active without having listened first");
            self.checker.fail(now, Invariant::DeadManSwitch, detail);
        }
    }

    fn stop(&mut self, node: usize, how: Shutdown) {
        if let Some(process) = &mut self.nodes[node].process {
            process.stopping = true;
        }
        self.tell(node, Message::Shutdown(how));
    }

    fn set_fault(&mut self, node: usize, fault: Fault, present: bool) {
        let health = &mut self.nodes[node].health;
        health.faults = health.faults.with(fault, present);
        let health = *health;
        self.tell(node, Message::Health(health));
    }

    fn configure(&mut self, node: usize, edit: &Edit) {
        let config = edit.apply(&self.nodes[node].config, &self.sources);
        match edit {
            Edit::MayBecomeActive(false) => self.checker.hands_over(self.now, &self.nodes, node),
            _ if edit.shows_nowhere() => {}
            Edit::MayBecomeActive(true) => {}
            _ => self.checker.disturb(self.now, node),
        }
        self.nodes[node].config = config.clone();
        if matches!(edit, Edit::MayBecomeActive(true)) {
            self.checker.steps_forward(self.now, &self.nodes, node);
        }
        self.tell(node, Message::Configure(Box::new(config)));
    }

    // What reaches an engine.

    /// Sends a message to the engine from another thread of its process. What one thread sends stays in order.
    fn tell(&mut self, node: usize, message: Message) {
        let latency = self.rng.between(Duration::ZERO, self.scenario.setup.lateness);
        let Some(process) = &mut self.nodes[node].process else {
            return;
        };
        let last = match message {
            Message::Bound(_) | Message::Failed(_) | Message::Removed(_) => &mut process.last_answer,
            Message::Health(_) | Message::Configure(_) | Message::Shutdown(_) => &mut process.last_order,
        };
        *last = (self.now + latency).max(*last);
        let incarnation = process.incarnation;
        self.queue.push(
            *last,
            Event::Message {
                node,
                incarnation,
                message,
            },
        );
    }

    fn receive(&mut self, node: usize, frame: Frame) {
        if !self.nodes[node].link_up {
            return;
        }
        let Some(process) = &mut self.nodes[node].process else {
            return;
        };
        if process.frozen.is_some() {
            process.keep(frame);
            return;
        }
        match &frame {
            Frame::Claim(address) => self.handle(node, Input::AddressClaimed(*address)),
            Frame::Advertisement(packet) => {
                let priority = packet.payload.get(2).copied();
                let unheard = match self.mutation {
                    Mutation::Deaf => true,
                    Mutation::IgnoresPriorityZero => priority == Some(0),
                    _ => false,
                };
                if !unheard {
                    let Packet {
                        source,
                        destination,
                        payload,
                    } = packet;
                    let received = Received {
                        source: *source,
                        destination: *destination,
                        ttl: 255,
                        payload: payload.as_slice(),
                    };
                    self.handle(node, Input::Advertisement(received));
                }
            }
        }
    }

    fn read(&mut self, node: usize, message: Message) {
        let mutation = self.mutation;
        let now = self.nodes[node].clock.read(self.now);
        let Some(process) = &mut self.nodes[node].process else {
            return;
        };
        if process.frozen.is_some() {
            process.channel.push_back(message);
            return;
        }
        if let (Mutation::RestartsOnReload, Message::Configure(config)) = (mutation, &message) {
            process.router = VirtualRouter::new(now, (**config).clone());
            self.serve_timers(node);
            return;
        }
        if message == Message::Bound(process.last_bind) {
            process.confirmed = true;
        }
        if let Some(input) = message.into_input(process.last_bind) {
            self.handle(node, input);
        }
    }

    fn serve_timers(&mut self, node: usize) {
        for _ in 0..MAX_TIMEOUTS {
            let now = self.nodes[node].clock.read(self.now);
            let Some(process) = self.nodes[node].awake() else {
                return;
            };
            let takes_over = process.seen.state == State::Backup;
            if process.router.next_timeout().is_none_or(|due| due > now) {
                self.set_timer(node);
                return;
            }
            if self.mutation == Mutation::NeverTakesOver && takes_over {
                return;
            }
            self.handle(node, Input::Timeout);
        }
        let detail = format!("node {node} wants a timeout at one instant for ever");
        self.checker.fail(self.now, Invariant::TimersAdvance, detail);
    }

    fn set_timer(&mut self, node: usize) {
        let lateness = self.rng.between(Duration::ZERO, self.scenario.setup.lateness);
        let clock = self.nodes[node].clock;
        let Some(process) = &mut self.nodes[node].process else {
            return;
        };
        let due = process.router.next_timeout();
        if due == process.wake.0 && due.is_none_or(|due| clock.when(due) > self.now) {
            return;
        }
        process.wake = (due, process.wake.1 + 1);
        if let Some(due) = due {
            let wake = Event::Wake {
                node,
                incarnation: process.incarnation,
                number: process.wake.1,
            };
            self.queue.push(clock.when(due).max(self.now) + lateness, wake);
        }
    }

    // What an engine does.

    fn handle(&mut self, node: usize, input: Input<'_>) {
        let mut now = self.nodes[node].clock.read(self.now);
        if self.mutation == Mutation::StaleClock {
            now = now - self.nodes[node].config.interval.get();
        }
        let Some(process) = self.nodes[node].process.as_mut() else {
            return;
        };
        self.trace
            .add(self.now, || format!("node {node} <- {}", describe(&input)));
        let mut actions = Vec::new();
        let held = process.seen.holding;
        process.router.handle(now, input, &mut actions);
        process.seen = process.router.snapshot();
        let entitled = process.entitled() || held;
        for action in actions {
            if matches!(action, Action::Bind(_) | Action::Renew) && !entitled {
                let detail = format!("node {node} wants to {action:?} without being Active or handing over");
                self.checker.fail(self.now, Invariant::DeadManSwitch, detail);
            }
            self.act(node, action);
        }
        self.set_timer(node);
        self.leave_if_done(node);
    }

    fn act(&mut self, node: usize, action: Action) {
        self.trace.add(self.now, || format!("node {node} -> {action:?}"));
        match action {
            Action::Send { priority } => self.send(node, priority),
            Action::Bind(addresses) => {
                let Some(process) = &mut self.nodes[node].process else {
                    return;
                };
                process.last_bind += 1;
                let lifetime = process.router.config().lifetime;
                let operation = Operation::Bind(addresses, lifetime, process.last_bind);
                self.ask_kernel(node, operation);
            }
            Action::Renew => {
                let lifetime = self.nodes[node].config.lifetime;
                self.ask_kernel(node, Operation::Renew(lifetime));
            }
            Action::Unbind(addresses) => self.ask_kernel(node, Operation::Unbind(addresses)),
            Action::Announce(_) => self.announce(node),
            Action::Transition(transition) => {
                let this = &mut self.nodes[node];
                if transition.to == State::Active
                    && this.kernel.is_empty()
                    && let Some(process) = &mut this.process
                {
                    process.confirmed = false;
                    if self.mutation == Mutation::AnnouncesEarly {
                        self.announce(node);
                    }
                }
                if transition.from == State::Active {
                    self.nodes[node].state_file = None;
                }
                self.checker
                    .transition(self.now, node, transition.from, transition.to);
            }
            Action::Dropped(_) | Action::Notice(_) => {}
        }
    }

    fn send(&mut self, node: usize, priority: u8) {
        let Some(process) = &self.nodes[node].process else {
            return;
        };
        let config = process.router.config();
        let Some(source) = config.source else { return };
        let hidden = self.mutation == Mutation::HidesItsPriority && priority != 0;
        let priority = if hidden { 100 } else { priority };
        let destinations: Vec<IpAddr> = match &config.transport {
            Transport::Multicast(group) => vec![*group],
            Transport::Unicast(peers) => peers.iter().map(|peer| peer.address).collect(),
        };
        let packets: Vec<Packet> = destinations
            .into_iter()
            .map(|destination| {
                let mut payload = Vec::new();
                wire::vrrp::emit(config, priority, source, destination, &mut payload);
                Packet {
                    source,
                    destination,
                    payload,
                }
            })
            .collect();
        let lost = priority == 0 && self.nodes[node].resignations_to_lose > 0;
        if lost {
            self.nodes[node].resignations_to_lose -= 1;
        }
        if self.mutation == Mutation::ReleasesAtOnce && priority == 0 {
            let addresses = self.nodes[node].config.addresses.clone();
            self.ask_kernel(node, Operation::Unbind(addresses));
        }
        if lost || !self.nodes[node].link_up {
            return;
        }
        for packet in packets {
            for to in 0..self.nodes.len() {
                let own = to == node;
                let addressed = match packet.destination {
                    unicast if self.sources.contains(&unicast) => self.sources[to] == unicast,
                    _ => !own,
                };
                if addressed {
                    self.deliver(node, to, &packet);
                }
            }
        }
    }

    fn deliver(&mut self, from: usize, to: usize, packet: &Packet) {
        for delay in self.network.arrivals(from, to) {
            let mut packet = packet.clone();
            self.network.corrupt(&mut packet.payload);
            self.queue.push(
                self.now + delay,
                Event::Frame {
                    to,
                    frame: Frame::Advertisement(packet),
                },
            );
        }
    }

    fn announce(&mut self, node: usize) {
        let Some(process) = &self.nodes[node].process else {
            return;
        };
        if !process.confirmed {
            let detail = format!("node {node} announces addresses that the kernel has not confirmed");
            self.checker
                .fail(self.now, Invariant::OnlyHoldersAnnounce, detail);
        }
        if !self.nodes[node].link_up {
            return;
        }
        let addresses: Vec<IpAddr> = self.nodes[node].kernel.addresses().collect();
        for to in (0..self.nodes.len()).filter(|to| *to != node) {
            for address in addresses.iter().copied() {
                for delay in self.network.arrivals(node, to) {
                    self.queue.push(
                        self.now + delay,
                        Event::Frame {
                            to,
                            frame: Frame::Claim(address),
                        },
                    );
                }
            }
        }
    }

    /// A process that was told to stop ends once it has let go and everything it wanted has been done.
    fn leave_if_done(&mut self, node: usize) {
        let Some(process) = self.nodes[node].awake() else {
            return;
        };
        let done =
            process.seen.state == State::Initialize && !process.seen.holding && process.outstanding == 0;
        if process.stopping && process.channel.is_empty() && done {
            let own = process.incarnation;
            self.trace.add(self.now, || format!("node {node} ends"));
            if self.nodes[node]
                .kernel
                .entries()
                .any(|(_, entry)| entry.incarnation == own)
            {
                let detail = format!("node {node} has stopped as planned and left its addresses behind");
                self.checker.fail(self.now, Invariant::YielderLetsGo, detail);
            }
            self.end_process(node);
        }
    }

    // What a kernel does.

    fn ask_kernel(&mut self, node: usize, operation: Operation) {
        let latency = self
            .rng
            .between(Duration::ZERO, self.scenario.setup.kernel_latency);
        let Some(process) = &mut self.nodes[node].process else {
            return;
        };
        let done = process.netlink_busy_until.max(self.now) + latency;
        process.netlink_busy_until = done;
        process.outstanding += 1;
        let incarnation = process.incarnation;
        self.queue.push(
            done,
            Event::Operation {
                node,
                incarnation,
                operation,
            },
        );
    }

    fn operate(&mut self, node: usize, operation: Operation) {
        let Some(process) = &mut self.nodes[node].process else {
            return;
        };
        if process.frozen.is_some() {
            process.stalled.push(operation);
            return;
        }
        process.outstanding -= 1;
        match &operation {
            Operation::Bind(addresses, ..) => process
                .held
                .extend(addresses.iter().map(|address| address.address)),
            Operation::Unbind(addresses) => {
                for address in addresses {
                    process.held.remove(&address.address);
                }
            }
            Operation::Renew(_) => {}
        }
        let (incarnation, held) = (process.incarnation, process.held.clone());
        self.trace
            .add(self.now, || format!("node {node} kernel: {operation:?}"));
        let before: Vec<IpAddr> = self.nodes[node].kernel.addresses().collect();
        let binds = matches!(operation, Operation::Bind(..));
        match operation {
            Operation::Bind(_, _, number) if self.nodes[node].refuses_binding => {
                self.tell(node, Message::Failed(number));
            }
            Operation::Bind(addresses, lifetime, number) => {
                let entry = self.entry(node, lifetime, incarnation);
                for address in addresses {
                    self.nodes[node].kernel.insert(address.address, entry);
                }
                self.extended(node, entry);
                self.tell(node, Message::Bound(number));
            }
            Operation::Renew(lifetime) => {
                let entry = self.entry(node, lifetime, incarnation);
                for address in held {
                    if self.mutation == Mutation::RenewResurrects {
                        self.nodes[node].kernel.insert(address, entry);
                    }
                    self.nodes[node].kernel.extend(address, entry);
                }
                self.extended(node, entry);
            }
            Operation::Unbind(addresses) => {
                for address in addresses {
                    if self.mutation != Mutation::NeverUnbinds {
                        self.nodes[node].kernel.remove(address.address);
                    }
                }
            }
        }
        let came_back = self.nodes[node]
            .kernel
            .addresses()
            .find(|address| !before.contains(address));
        if let (false, Some(address)) = (binds, came_back) {
            let detail = format!("node {node} has {address} back without having bound it");
            self.checker.fail(self.now, Invariant::NoResurrection, detail);
        }
        self.leave_if_done(node);
    }

    fn entry(&self, node: usize, lifetime: Duration, incarnation: u32) -> Entry {
        let lifetime = if self.mutation == Mutation::AddressesNeverExpire {
            Duration::MAX
        } else {
            lifetime
        };
        Entry {
            expires: self.nodes[node].clock.read(self.now) + lifetime,
            extended: self.now,
            incarnation,
        }
    }

    /// What follows from addresses having been extended: their expiry, and the agent's note of it.
    fn extended(&mut self, node: usize, entry: Entry) {
        self.expect_expiry(node);
        let this = &mut self.nodes[node];
        if let Some(process) = &this.process
            && process.seen.state == State::Active
        {
            this.state_file = Some(StateFile {
                expires: entry.expires,
                active_since: process.seen.since,
            });
        }
    }

    fn expect_expiry(&mut self, node: usize) {
        let fuzz = self.rng.between(Duration::ZERO, self.scenario.setup.expiry_fuzz);
        if let Some(expires) = self.nodes[node].kernel.next_expiry() {
            self.queue.push(
                self.nodes[node].clock.when(expires) + fuzz,
                Event::Expire { node },
            );
        }
    }

    fn expire(&mut self, node: usize) {
        let now = self.nodes[node].clock.read(self.now);
        let expired = self.nodes[node].kernel.expire(now);
        if expired.is_empty() {
            return;
        }
        for address in expired {
            self.trace
                .add(self.now, || format!("node {node} kernel: {address} has expired"));
            self.tell(node, Message::Removed(address));
        }
        self.expect_expiry(node);
    }
}

/// An input in one short line.
fn describe(input: &Input<'_>) -> String {
    match input {
        Input::Advertisement(received) => {
            let priority = received.payload.get(2).copied().unwrap_or_default();
            format!("Advertisement from {} with priority {priority}", received.source)
        }
        Input::Configure(_) => "Configure".to_owned(),
        other => format!("{other:?}"),
    }
}
