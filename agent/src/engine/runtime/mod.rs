//! The engine's thread: waits for sockets, netlink, commands and the clock, in one `epoll`, and does what they ask.
//!
//! Every round goes the same way: first everything that was received is taken in, then the kernel's news, then commands,
//! and only then timers fire. After a freeze a router so hears its successor before it says or renews anything.

mod act;
mod apply;
mod hear;
mod settle;

use core::net::IpAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use holdfast_vrrp::{Action, Family, Input, Instant, Shutdown};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::EventFd;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::sync::{mpsc, oneshot};

use super::announcer::Announcer;
use super::facts::Facts;
use super::group::{Group, Successor};
use super::messages::{Command, Event, Judged, Predecessor, RouterIdentity, Takeover};
use super::outlet::Outlet;
use super::report::group_status;
use super::timers::Timers;
use super::wires::{Endpoint, Wires};
use crate::clock;
use crate::connections::Released;
use crate::netlink::{Binding, MessageReceiver, Request};
use crate::socket::{Claim, Inbox};

/// The loop goes round at least this often, so that a stuck engine is told from an idle one.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// How long the end is delayed for the kernel to take the last addresses away.
const UNBIND_PATIENCE: Duration = Duration::from_secs(2);

/// What the engine's thread owns.
pub struct Runtime {
    epoll: Epoll,
    timer: TimerFd,
    /// The deadline the timer is set to.
    timer_at: Option<Instant>,
    wake: Arc<EventFd>,
    heartbeat: Arc<AtomicU64>,

    commands: mpsc::Receiver<Command>,
    outlet: Outlet,
    netlink: mpsc::Sender<Request>,
    /// Requests that found the channel to the netlink thread full; the thread may be waiting for the kernel.
    backlog: VecDeque<Request>,
    messages: MessageReceiver,

    facts: Facts,
    /// Something that groups resolve to may have changed.
    topology_changed: bool,
    /// When that is to be looked at again all the same.
    resolve_at: Option<Instant>,
    /// A specification that came before the kernel's state was known.
    early_spec: Option<Box<holdfast_api::model::NodeSpec>>,
    predecessor: Predecessor,
    /// What is made of each group's node, perhaps before the group itself.
    judged: BTreeMap<String, Judged>,
    /// What groups have been told of their health may be out of date.
    unsettled: bool,
    /// Sync groups of which a group has left the Active state, by name, and which one it was.
    left: BTreeMap<String, String>,

    /// The groups, each in a slot that it keeps for life; the timers and tickets know it by that.
    groups: Vec<Option<Group>>,
    slots: BTreeMap<String, usize>,
    /// Which group a virtual address belongs to.
    vips: BTreeMap<IpAddr, usize>,
    tickets: BTreeMap<u64, usize>,
    next_ticket: u64,
    /// [`Request::Unbind`]s whose answer has not come, by their tickets, and what they take away.
    unbinding: BTreeMap<u64, Arc<[Binding]>>,
    /// Told of addresses that have left this node, if their connections are to be closed.
    released: Option<Released>,
    /// Addresses of groups that were Active before this engine and did not resume. They leave when they expire.
    abandoned: BTreeSet<IpAddr>,

    timers: Timers,
    announcer: Announcer,
    wires: Wires,
    ending: Option<Ending>,

    /// Reused, so that the steady state allocates nothing.
    actions: Vec<Action>,
    inbox: Inbox,
    claims: Vec<Claim>,
}

/// How the engine comes to its end.
#[derive(Debug)]
enum Ending {
    /// All groups hand over; then the kernel takes the last addresses away, by this time at the latest.
    HandingOver { give_up_at: Option<Instant> },
    /// At once, leaving the addresses to the agent that comes next.
    Yielding,
}

/// What the thread is started with.
pub struct Parts {
    /// Commands come here, and `wake` is written after each.
    pub commands: mpsc::Receiver<Command>,
    /// Wakes the thread.
    pub wake: Arc<EventFd>,
    /// Events go here.
    pub events: mpsc::Sender<Event>,
    /// Requests to the netlink thread.
    pub netlink: mpsc::Sender<Request>,
    /// Its answers and news.
    pub messages: MessageReceiver,
    /// Written in each round.
    pub heartbeat: Arc<AtomicU64>,
    /// What the last agent on this node left.
    pub predecessor: Predecessor,
    /// Told of addresses that have left this node.
    pub released: Option<Released>,
}

const WAKE: u64 = 0;
const TIMER: u64 = 1;
const NETLINK: u64 = 2;

/// Endpoints and file descriptors' tokens are the same thing in two notations.
fn token(endpoint: Endpoint) -> u64 {
    let (kind, index) = match endpoint {
        Endpoint::Vrrp(index, Family::V4) => (1_u64, index),
        Endpoint::Vrrp(index, Family::V6) => (2, index),
        Endpoint::Neighbors(index) => (3, index),
    };
    (kind << 32) | u64::from(index)
}

fn endpoint(token: u64) -> Option<Endpoint> {
    let index = u32::try_from(token & u64::from(u32::MAX)).unwrap_or_default();
    match token >> 32 {
        1 => Some(Endpoint::Vrrp(index, Family::V4)),
        2 => Some(Endpoint::Vrrp(index, Family::V6)),
        3 => Some(Endpoint::Neighbors(index)),
        _ => None,
    }
}

impl Runtime {
    /// Sets up what can fail, so that the thread itself has nothing left to refuse.
    pub fn new(parts: Parts) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let timer = TimerFd::new(
            ClockId::CLOCK_MONOTONIC,
            TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK,
        )?;
        epoll.add(parts.wake.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        epoll.add(timer.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, TIMER))?;
        epoll.add(
            parts.messages.as_fd(),
            EpollEvent::new(EpollFlags::EPOLLIN, NETLINK),
        )?;
        Ok(Self {
            epoll,
            timer,
            timer_at: None,
            wake: parts.wake,
            heartbeat: parts.heartbeat,
            commands: parts.commands,
            outlet: Outlet::new(parts.events),
            netlink: parts.netlink,
            backlog: VecDeque::new(),
            messages: parts.messages,
            facts: Facts::default(),
            topology_changed: false,
            resolve_at: None,
            early_spec: None,
            predecessor: parts.predecessor,
            judged: BTreeMap::new(),
            unsettled: false,
            left: BTreeMap::new(),
            groups: Vec::new(),
            slots: BTreeMap::new(),
            vips: BTreeMap::new(),
            tickets: BTreeMap::new(),
            next_ticket: 1,
            unbinding: BTreeMap::new(),
            released: parts.released,
            abandoned: BTreeSet::new(),
            timers: Timers::default(),
            announcer: Announcer::default(),
            wires: Wires::default(),
            ending: None,
            actions: Vec::new(),
            inbox: Inbox::default(),
            claims: Vec::new(),
        })
    }

    /// Runs until told to stop.
    pub fn run(mut self) {
        let mut events = [EpollEvent::empty(); 64];
        loop {
            self.heartbeat.store(clock::now().as_nanos(), Ordering::Relaxed);
            self.set_timer();
            // A group that has just stopped or left leaves work for the next round, which need not be waited for.
            let work =
                self.topology_changed && self.facts.synced() || self.unsettled || !self.left.is_empty();
            let patience = if work {
                EpollTimeout::ZERO
            } else {
                EpollTimeout::try_from(HEARTBEAT).unwrap_or(EpollTimeout::ZERO)
            };
            // An interrupted wait is a wait that found nothing.
            let ready = self.epoll.wait(&mut events, patience).unwrap_or(0);
            for event in &events[..ready] {
                match event.data() {
                    // Silenced before what they announce is taken in: what comes in between rings again.
                    WAKE => drop(self.wake.read()),
                    NETLINK => self.messages.rearm(),
                    TIMER => {}
                    token => {
                        if let Some(endpoint) = endpoint(token) {
                            self.hear(endpoint);
                        }
                    }
                }
            }
            self.learn();
            self.obey();
            self.fire();
            self.settle();
            self.announce();
            self.flush();
            if self.ended() {
                break;
            }
        }
        self.heartbeat.store(clock::now().as_nanos(), Ordering::Relaxed);
    }

    /// Takes in what the netlink thread told.
    fn learn(&mut self) {
        while let Some(message) = self.messages.try_recv() {
            self.learn_one(&message);
        }
        if self.resolve_at.is_some_and(|at| at <= clock::now()) {
            self.resolve_at = None;
            self.topology_changed = true;
        }
        if self.topology_changed && self.facts.synced() {
            self.topology_changed = false;
            self.resolve_again();
        }
    }

    /// Carries out commands.
    fn obey(&mut self) {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Apply(spec) if self.facts.synced() => self.apply(*spec),
                Command::Apply(spec) => self.early_spec = Some(spec),
                Command::Judge { group, judged } => self.judge(group, judged),
                Command::Snapshot(answer) => self.snapshot(answer),
                Command::Stop => self.stop(),
                Command::Yield(answer) => {
                    let _ = answer.send(self.leave_behind());
                    self.ending = Some(Ending::Yielding);
                }
            }
        }
        if self.commands.is_closed() && self.ending.is_none() {
            // Nobody can tell this engine anything any more: the rest of the process is gone.
            self.stop();
        }
        if self.netlink.is_closed() && self.ending.is_none() {
            // Without it no address is bound or renewed: better to say goodbye than to be Active for nothing.
            self.outlet.send(Event::Notice {
                group: None,
                kind: "netlink".into(),
                message: "the netlink thread has ended unexpectedly; giving up all addresses and ending"
                    .into(),
            });
            self.unbinding.clear();
            self.stop();
            self.stop();
        }
    }

    /// Fires the timers whose time has come.
    fn fire(&mut self) {
        let now = clock::now();
        while let Some(slot) = self.timers.pop_due(now) {
            let Some(group) = self.groups.get(slot).and_then(Option::as_ref) else {
                continue;
            };
            match group.router.next_timeout() {
                Some(deadline) if deadline <= now => self.drive(slot, now, Input::Timeout),
                Some(deadline) => self.timers.arm(slot, deadline),
                None => {}
            }
        }
    }

    /// Sets the timer to whatever comes first, if that is not what it is set to.
    fn set_timer(&mut self) {
        let ending = match &self.ending {
            Some(Ending::HandingOver { give_up_at }) => *give_up_at,
            _ => None,
        };
        let next = [self.timers.next(), self.announcer.next(), self.resolve_at, ending]
            .into_iter()
            .flatten()
            .min();
        if next == self.timer_at {
            return;
        }
        let set = match next {
            // Zero would disarm the timer; a deadline in the past fires at once.
            Some(at) => {
                let at = TimeSpec::from_duration(Duration::from_nanos(at.as_nanos().max(1)));
                self.timer
                    .set(Expiration::OneShot(at), TimerSetTimeFlags::TFD_TIMER_ABSTIME)
            }
            None => self.timer.unset(),
        };
        // Without a timer the heartbeat still drives the loop, and the next round tries again.
        self.timer_at = if set.is_ok() { next } else { None };
    }

    fn snapshot(&self, answer: oneshot::Sender<Vec<crate::status::GroupStatus>>) {
        let now = clock::now();
        let statuses = self
            .slots
            .values()
            .filter_map(|slot| self.groups[*slot].as_ref())
            .map(|group| group_status(group, &self.account(group), now))
            .collect();
        let _ = answer.send(statuses);
    }

    /// Has every group hand over; the second time, without waiting for a successor.
    fn stop(&mut self) {
        let shutdown = if self.ending.is_some() {
            Shutdown::Immediate
        } else {
            Shutdown::Planned
        };
        self.ending = Some(Ending::HandingOver { give_up_at: None });
        let now = clock::now();
        for slot in 0..self.groups.len() {
            if let Some(group) = &mut self.groups[slot] {
                group.retiring = Some(Successor::Nobody);
                self.drive(slot, now, Input::Shutdown(shutdown));
            }
        }
    }

    /// Which groups were Active, for the agent that comes next.
    fn leave_behind(&self) -> Predecessor {
        let active = self
            .groups
            .iter()
            .flatten()
            .filter(|group| group.retiring.is_none())
            .filter_map(|group| {
                let snapshot = group.router.snapshot();
                (snapshot.state == holdfast_vrrp::State::Active).then(|| {
                    (
                        group.spec.name.clone(),
                        Takeover {
                            since_nanos: snapshot.since.as_nanos(),
                            router: RouterIdentity::of(&group.spec),
                        },
                    )
                })
            });
        Predecessor {
            boot_id: self.predecessor.boot_id.clone(),
            active: active.collect(),
            handed_over: true,
        }
    }

    /// Whether the end has come; says so on the way out.
    fn ended(&mut self) -> bool {
        match &mut self.ending {
            None => return false,
            Some(Ending::Yielding) => {}
            Some(Ending::HandingOver { give_up_at }) => {
                if !self.slots.is_empty() {
                    return false;
                }
                let now = clock::now();
                let give_up_at = *give_up_at.get_or_insert(now + UNBIND_PATIENCE);
                if !self.unbinding.is_empty() && now < give_up_at {
                    return false;
                }
            }
        }
        let _ = self.netlink.try_send(Request::Stop);
        self.outlet.send(Event::Stopped);
        true
    }
}
