//! One node: a process with a virtual router in it, the way the agent's engine drives one, above a kernel.

use core::net::IpAddr;
use std::collections::{BTreeSet, VecDeque};

use holdfast_vrrp::{
    AddressResult, Config, Faults, Health, Instant, Resume, Shutdown, Snapshot, Standing, State,
    VirtualRouter,
};

use crate::clock::{Clock, Moment};
use crate::kernel::{AddressTable, Operation};
use crate::probing::{Prober, Probing};

/// An advertisement on its way.
#[derive(Clone, Debug)]
pub struct Packet {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub payload: Vec<u8>,
}

/// What reaches a process from the network, through its sockets.
#[derive(Clone, Debug)]
pub enum Frame {
    Advertisement(Packet),
    Claim(IpAddr),
}

/// What reaches the engine from the process's other threads.
#[derive(Clone, PartialEq, Debug)]
pub enum Message {
    Health(Health),
    Configure(Box<Config>),
    HandOver,
    Shutdown(Shutdown),
    /// The answers to the bind operation of this number.
    Bound(u64),
    Failed(u64),
    Removed(IpAddr),
}

/// What the agent writes down so that its successor on this node can go on.
#[derive(Clone, Copy, Debug)]
pub struct StateFile {
    pub expires: Instant,
    pub active_since: Instant,
}

/// A running agent.
#[derive(Debug)]
pub struct Process {
    pub router: VirtualRouter,
    /// What the router said of itself after it last handled something.
    pub seen: Snapshot,
    /// Tells this process from others that ran on the node.
    pub incarnation: u32,
    /// Since when it has been running without interruption.
    pub running_since: Moment,
    /// Since when it has been stopped by SIGSTOP.
    pub frozen: Option<Moment>,
    /// Whether it was told to stop and leaves when it has let go.
    pub stopping: bool,
    /// Whether it has been told that it may become Active.
    pub allowed: bool,
    /// Frames that a frozen process has not read yet.
    pub socket: VecDeque<Frame>,
    /// Messages that a frozen process has not read yet.
    pub channel: VecDeque<Message>,
    /// Operations that a frozen process has not asked of the kernel yet.
    pub stalled: Vec<Operation>,
    /// When the netlink thread is done with everything asked of it so far.
    pub netlink_busy_until: Moment,
    /// When the last answer of the netlink thread arrives.
    pub last_answer: Moment,
    /// When the last order of the main thread arrives.
    pub last_order: Moment,
    /// How many operations have not reached the kernel yet.
    pub outstanding: usize,
    /// The addresses it has bound or adopted, and not taken away.
    pub held: BTreeSet<IpAddr>,
    /// The number of the last bind operation.
    pub last_bind: u64,
    /// Whether the addresses have been confirmed since the router became Active.
    pub confirmed: bool,
    /// The highest priority it has advertised since it last resigned.
    pub highest_said: u8,
    /// The instant for which a wake-up is scheduled, and which of the scheduled ones counts.
    pub wake: (Option<Instant>, u64),
}

/// How many frames a socket holds for a process that does not read.
const SOCKET_CAPACITY: usize = 64;

impl Process {
    pub fn new(router: VirtualRouter, incarnation: u32, now: Moment) -> Self {
        let seen = router.snapshot();
        Self {
            seen,
            incarnation,
            running_since: now,
            frozen: None,
            stopping: false,
            allowed: router.config().may_become_active,
            socket: VecDeque::new(),
            channel: VecDeque::new(),
            stalled: Vec::new(),
            netlink_busy_until: Moment::START,
            last_answer: Moment::START,
            last_order: Moment::START,
            outstanding: 0,
            held: BTreeSet::new(),
            last_bind: 0,
            confirmed: false,
            highest_said: 0,
            wake: (None, 0),
            router,
        }
    }

    /// Whether the addresses belong on the node as far as this process is concerned.
    pub fn entitled(&self) -> bool {
        self.frozen.is_none() && (self.seen.state == State::Active || self.seen.releasing)
    }

    /// Keeps a frame for later, as a socket does: what does not fit is lost.
    pub fn keep(&mut self, frame: Frame) {
        if self.socket.len() < SOCKET_CAPACITY {
            self.socket.push_back(frame);
        }
    }
}

/// A node that takes part, or may.
#[derive(Debug)]
pub struct Node {
    pub clock: Clock,
    /// What the node's agent is to do; a restarted agent starts with it.
    pub config: Config,
    /// The node's fitness; a restarted agent finds it again.
    pub health: Health,
    /// The probes by which the node's fitness is known, if it has any.
    pub prober: Option<Prober>,
    pub link_up: bool,
    pub kernel: AddressTable,
    /// Whether the kernel refuses to bind addresses.
    pub refuses_binding: bool,
    pub process: Option<Process>,
    pub state_file: Option<StateFile>,
    /// How many processes have run here.
    pub incarnations: u32,
    /// How many resignations the network is still going to lose.
    pub resignations_to_lose: u32,
}

impl Node {
    pub fn new(clock: Clock, config: Config, probing: Option<Probing>) -> Self {
        Self {
            clock,
            config,
            health: Health {
                faults: Faults::NONE,
                standing: Standing::Base,
            },
            prober: probing.map(|probing| Prober::new(clock.read(Moment::START), probing)),
            link_up: true,
            kernel: AddressTable::default(),
            refuses_binding: false,
            process: None,
            state_file: None,
            incarnations: 0,
            resignations_to_lose: 0,
        }
    }

    /// Starts an agent: one that goes on where its predecessor stopped, if the state file says that it can.
    pub fn start(&mut self, started: Moment, handed_over: bool) -> bool {
        let now = self.clock.read(started);
        let resume = self
            .state_file
            .filter(|file| file.expires > now && !self.kernel.is_empty());
        let router = match resume {
            Some(StateFile {
                expires,
                active_since,
            }) => VirtualRouter::resume(
                now,
                self.config.clone(),
                Resume {
                    expires,
                    active_since,
                    handed_over,
                },
            ),
            None => VirtualRouter::new(now, self.config.clone()),
        };
        self.incarnations += 1;
        let mut process = Process::new(router, self.incarnations, started);
        if resume.is_some() {
            process.confirmed = true;
            process.held = self
                .config
                .addresses
                .iter()
                .map(|address| address.address)
                .collect();
        }
        self.process = Some(process);
        resume.is_some()
    }

    /// The process, if there is one and it runs.
    pub fn awake(&self) -> Option<&Process> {
        self.process.as_ref().filter(|process| process.frozen.is_none())
    }

    pub fn is_active(&self) -> bool {
        self.awake()
            .is_some_and(|process| process.seen.state == State::Active)
    }

    /// Whether the node could be Active: the truth, not what its router thinks.
    pub fn is_eligible(&self) -> bool {
        self.is_able() && self.config.may_become_active
    }

    /// Whether the node could go on being Active: that takes no permission.
    pub fn is_able(&self) -> bool {
        self.awake().is_some_and(|process| !process.stopping)
            && self.link_up
            && !self.refuses_binding
            && self.health.faults.is_empty()
    }

    /// The priority with which the node stands in the election: the truth, not what its router thinks.
    pub fn standing(&self) -> holdfast_vrrp::Priority {
        match self.health.standing {
            Standing::Base => self.config.priority,
            Standing::Weighted(priority) => priority,
            Standing::Floor | Standing::Demoted => self.config.priority.floored(),
        }
    }
}

impl Message {
    /// The message for the router, unless it is an answer to a question that has been asked anew since.
    pub fn into_input(self, last_bind: u64) -> Option<holdfast_vrrp::Input<'static>> {
        use holdfast_vrrp::Input;
        match self {
            Self::Health(health) => Some(Input::Health(health)),
            Self::Configure(config) => Some(Input::Configure(config)),
            Self::HandOver => Some(Input::HandOver),
            Self::Shutdown(how) => Some(Input::Shutdown(how)),
            Self::Bound(bind) => (bind == last_bind).then_some(Input::AddressResult(AddressResult::Bound)),
            Self::Failed(bind) => (bind == last_bind).then_some(Input::AddressResult(AddressResult::Failed)),
            Self::Removed(address) => Some(Input::AddressResult(AddressResult::Removed(address))),
        }
    }
}
