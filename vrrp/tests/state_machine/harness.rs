//! A virtual router, or two of them on a link, on a clock that jumps to the next wake-up. No socket, no sleep.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use holdfast_vrrp::wire::vrrp;
use holdfast_vrrp::{
    Action, AddressResult, Announce, Announcement, Authentication, Checksum, Config, Family, Fault, Faults,
    Health, Input, Instant, Interval, Peer, Preemption, Priority, Reason, Received, Resume, Shutdown,
    Snapshot, Standing, State, Transition, Transport, Version, VirtualAddress, VirtualRouter,
    VirtualRouterId,
};

pub const LOWER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
pub const OWN: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 5));
pub const HIGHER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9));
pub const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 100));
pub const VIP_2: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 101));
pub const GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18));

pub const SECOND: Duration = Duration::from_secs(1);

pub const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub fn priority(value: u8) -> Priority {
    Priority::new(value).unwrap()
}

pub fn interval(length: Duration) -> Interval {
    Interval::new(Version::V3, length).unwrap()
}

pub fn vip(address: IpAddr) -> VirtualAddress {
    VirtualAddress {
        address,
        prefix_length: if address.is_ipv4() { 32 } else { 128 },
        interface: None,
        label: None,
    }
}

/// VRRPv3 over IPv4 multicast, one second, immediate preemption, one address.
pub fn config(own_priority: u8) -> Config {
    Config {
        virtual_router_id: VirtualRouterId::new(51).unwrap(),
        version: Version::V3,
        family: Family::V4,
        priority: priority(own_priority),
        interval: Interval::DEFAULT,
        source: Some(OWN),
        transport: Transport::Multicast(GROUP),
        addresses: vec![vip(VIP)],
        preemption: Preemption::Immediate,
        authentication: Authentication::None,
        checksum: Checksum::default(),
        accept: true,
        startup_delay: Duration::ZERO,
        lifetime: 30 * SECOND,
        announcement: Announcement::default(),
        may_become_active: true,
    }
}

/// Unicast between this router and `peers`, all on one link.
pub fn unicast(peers: &[IpAddr]) -> Transport {
    let peer = |address: &IpAddr| Peer {
        address: *address,
        min_ttl: 255,
    };
    Transport::Unicast(peers.iter().map(peer).collect())
}

/// What [`config`] waits for before it gives up on the Active router: three seconds and the skew.
pub fn active_down(own_priority: u8) -> Duration {
    3 * SECOND + skew(own_priority)
}

/// The skew of [`config`].
pub fn skew(own_priority: u8) -> Duration {
    SECOND * (256 - u32::from(own_priority)) / 256
}

/// The bytes of an advertisement as `from` sends it.
pub fn packet(config: &Config, priority: u8, from: IpAddr, to: IpAddr) -> Vec<u8> {
    let mut bytes = Vec::new();
    vrrp::emit(config, priority, from, to, &mut bytes);
    bytes
}

/// Something that happens to a router, and what it is.
pub type Case = (&'static str, fn(&mut Solo));

/// What a router was told and what it said, on one clock.
pub struct Solo {
    pub now: Instant,
    pub router: VirtualRouter,
    /// What the actions so far have put on the node.
    pub bound: BTreeSet<IpAddr>,
}

impl Solo {
    /// A router that has not been told anything.
    pub fn new(config: Config) -> Self {
        let now = Instant::ZERO + 1000 * SECOND;
        Self {
            now,
            router: VirtualRouter::new(now, config),
            bound: BTreeSet::new(),
        }
    }

    /// A router whose predecessor's address expires `expires_in` from now.
    pub fn resumed(config: Config, expires_in: Duration, handed_over: bool) -> Self {
        let now = Instant::ZERO + 1000 * SECOND;
        let resume = Resume {
            expires: now + expires_in,
            active_since: now - 500 * SECOND,
            handed_over,
        };
        let bound = config.addresses.iter().map(|held| held.address).collect();
        Self {
            now,
            router: VirtualRouter::resume(now, config, resume),
            bound,
        }
    }

    /// A router that has entered the election as Backup.
    pub fn backup(config: Config) -> Self {
        let mut solo = Self::new(config);
        solo.timeout();
        assert_eq!(solo.state(), State::Backup);
        solo
    }

    /// A router that has become Active because nobody else was there, and has bound its addresses.
    pub fn active(config: Config) -> Self {
        let mut solo = Self::new(config);
        while solo.state() != State::Active {
            solo.timeout();
        }
        solo.bound();
        solo
    }

    pub fn input(&mut self, input: Input<'_>) -> Vec<Action> {
        let mut out = Vec::new();
        self.router.handle(self.now, input, &mut out);
        for action in &out {
            match action {
                Action::Bind(addresses) => self.bound.extend(addresses.iter().map(|bound| bound.address)),
                Action::Unbind(addresses) => {
                    for unbound in addresses {
                        self.bound.remove(&unbound.address);
                    }
                }
                _ => {}
            }
        }
        out
    }

    /// Jumps to the next wake-up.
    pub fn timeout(&mut self) -> Vec<Action> {
        self.now = self.now.max(self.router.next_timeout().expect("nothing is due"));
        self.input(Input::Timeout)
    }

    /// Lets `time` pass with a wake-up whenever one is wanted; returns what was done, each with how long after the
    /// beginning.
    pub fn pass(&mut self, time: Duration) -> Vec<(Duration, Action)> {
        let start = self.now;
        let mut log = Vec::new();
        while let Some(due) = self.router.next_timeout().filter(|due| *due <= start + time) {
            self.now = self.now.max(due);
            let after = self.now.saturating_duration_since(start);
            log.extend(
                self.input(Input::Timeout)
                    .into_iter()
                    .map(|action| (after, action)),
            );
        }
        self.now = start + time;
        log
    }

    /// Hears the advertisement of a router that is configured like this one but for its priority.
    pub fn hear(&mut self, from: IpAddr, priority: u8) -> Vec<Action> {
        self.hear_from(&self.router.config().clone(), from, priority)
    }

    /// Hears the advertisement of a router with the configuration `theirs`.
    pub fn hear_from(&mut self, theirs: &Config, from: IpAddr, priority: u8) -> Vec<Action> {
        let to = match theirs.transport {
            Transport::Multicast(group) => group,
            Transport::Unicast(_) => OWN,
        };
        let payload = packet(theirs, priority, from, to);
        self.receive(from, to, 255, &payload)
    }

    pub fn receive(&mut self, source: IpAddr, destination: IpAddr, ttl: u8, payload: &[u8]) -> Vec<Action> {
        self.input(Input::Advertisement(Received {
            source,
            destination,
            ttl,
            payload,
        }))
    }

    pub fn bound(&mut self) -> Vec<Action> {
        self.input(Input::AddressResult(AddressResult::Bound))
    }

    pub fn failed(&mut self) -> Vec<Action> {
        self.input(Input::AddressResult(AddressResult::Failed))
    }

    pub fn removed(&mut self, address: IpAddr) -> Vec<Action> {
        self.input(Input::AddressResult(AddressResult::Removed(address)))
    }

    pub fn claimed(&mut self, address: IpAddr) -> Vec<Action> {
        self.input(Input::AddressClaimed(address))
    }

    pub fn health(&mut self, faults: &[Fault], standing: Standing) -> Vec<Action> {
        let faults: Faults = faults.iter().copied().collect();
        self.input(Input::Health(Health { faults, standing }))
    }

    pub fn configure(&mut self, change: impl FnOnce(&mut Config)) -> Vec<Action> {
        let mut config = self.router.config().clone();
        change(&mut config);
        self.input(Input::Configure(Box::new(config)))
    }

    pub fn hand_over(&mut self) -> Vec<Action> {
        self.input(Input::HandOver)
    }

    pub fn shut_down(&mut self, shutdown: Shutdown) -> Vec<Action> {
        self.input(Input::Shutdown(shutdown))
    }

    pub fn state(&self) -> State {
        self.router.snapshot().state
    }

    pub fn snapshot(&self) -> Snapshot {
        self.router.snapshot()
    }

    /// How long until the next wake-up.
    pub fn wakes_in(&self) -> Duration {
        let due = self.router.next_timeout().expect("nothing is due");
        due.saturating_duration_since(self.now)
    }
}

pub fn send(priority: u8) -> Action {
    Action::Send { priority }
}

pub fn bind(addresses: &[IpAddr]) -> Action {
    Action::Bind(addresses.iter().copied().map(vip).collect())
}

pub fn unbind(addresses: &[IpAddr]) -> Action {
    Action::Unbind(addresses.iter().copied().map(vip).collect())
}

pub const BURST: Action = Action::Announce(Announce::Burst);

/// The priorities of the advertisements among `actions`.
pub fn sent<'a>(actions: impl IntoIterator<Item = &'a Action>) -> Vec<u8> {
    let priority = |action: &Action| match action {
        Action::Send { priority } => Some(*priority),
        _ => None,
    };
    actions.into_iter().filter_map(priority).collect()
}

/// When which of `log` is `wanted`.
pub fn times_of(log: &[(Duration, Action)], wanted: &Action) -> Vec<Duration> {
    log.iter()
        .filter(|(_, action)| action == wanted)
        .map(|(at, _)| *at)
        .collect()
}

/// The changes of state among `actions`.
pub fn transitions(actions: &[Action]) -> Vec<(State, State, Reason)> {
    let transition = |action: &Action| match action {
        Action::Transition(Transition { from, to, reason, .. }) => Some((*from, *to, *reason)),
        _ => None,
    };
    actions.iter().filter_map(transition).collect()
}

/// When the first change of state in `log` happened and what it was.
pub fn first_transition(log: &[(Duration, Action)]) -> Option<(Duration, Transition)> {
    log.iter().find_map(|(at, action)| match action {
        Action::Transition(transition) => Some((*at, *transition)),
        _ => None,
    })
}
