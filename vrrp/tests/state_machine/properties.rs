//! What holds after every input of any sequence of inputs.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use holdfast_vrrp::{
    Action, AddressResult, Announcement, Authentication, Config, Fault, Faults, Health, Input, Instant,
    Interval, Peer, Preemption, Reason, Received, Resume, Shutdown, Snapshot, Standing, State, TRANSITIONS,
    Transport, Version, VirtualRouter, VirtualRouterId,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::harness::*;

/// One thing that happens to a router.
#[derive(Clone, Debug)]
enum Event {
    /// The clock jumps to the next wake-up, and this much further.
    WakeUp(Duration),
    /// Time passes, and nothing happens.
    Wait(Duration),
    Advertisement {
        from: IpAddr,
        priority: u8,
        interval: Duration,
        ttl: u8,
        mangled: Option<(usize, u8)>,
    },
    Bytes(Vec<u8>),
    Health(Vec<Fault>, Standing),
    Configure(Box<Config>),
    Address(AddressResult),
    Claimed(IpAddr),
    HandOver,
    Shutdown(Shutdown),
}

fn a_duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        8 => (0..2000u64).prop_map(Duration::from_millis),
        2 => (0..2_000_000u64).prop_map(Duration::from_micros),
        1 => (0..100_000u64).prop_map(Duration::from_secs),
    ]
}

fn an_interval() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(millis(10)),
        Just(millis(100)),
        Just(SECOND),
        Just(3 * SECOND),
        Just(millis(40_950))
    ]
}

fn a_router() -> impl Strategy<Value = IpAddr> {
    prop_oneof![4 => Just(LOWER), 4 => Just(HIGHER), 1 => Just(OWN)]
}

fn an_address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![Just(VIP), Just(VIP_2)]
}

fn a_standing() -> impl Strategy<Value = Standing> {
    prop_oneof![
        Just(Standing::Base),
        Just(Standing::Floor),
        Just(Standing::Demoted),
        (1..=254u8).prop_map(|value| Standing::Weighted(priority(value))),
    ]
}

fn a_preemption() -> impl Strategy<Value = Preemption> {
    prop_oneof![
        Just(Preemption::Immediate),
        Just(Preemption::Never),
        a_duration().prop_map(Preemption::Delayed),
    ]
}

fn a_config() -> impl Strategy<Value = Config> {
    let election = (
        prop_oneof![1..=255u8, Just(255), 1..=16u8],
        an_interval(),
        a_preemption(),
        prop_oneof![9 => Just(true), 1 => Just(false)],
        prop_oneof![9 => Just(Version::V3), 1 => Just(Version::V2)],
        prop_oneof![9 => Just(51u8), 1 => Just(52)],
        prop_oneof![9 => Just(Some(OWN)), 1 => Just(None)],
        any::<bool>(),
    );
    let holding = (
        vec(an_address(), 1..3),
        (0..20_000u64).prop_map(Duration::from_millis),
        a_duration(),
        a_duration(),
        prop_oneof![Just(Duration::ZERO), a_duration()],
        any::<bool>(),
    );
    (election, holding).prop_map(|(election, holding)| {
        let (own_priority, length, preemption, may_become_active, version, id, source, unicast) = election;
        let (mut addresses, lifetime, repeat_after, refresh_interval, startup_delay, accept) = holding;
        addresses.dedup();
        Config {
            virtual_router_id: VirtualRouterId::new(id).unwrap(),
            version,
            interval: Interval::new(version, length).unwrap_or(Interval::DEFAULT),
            source,
            transport: if unicast {
                Transport::Unicast(
                    [LOWER, HIGHER]
                        .map(|address| Peer {
                            address,
                            min_ttl: 250,
                        })
                        .to_vec(),
                )
            } else {
                Transport::Multicast(GROUP)
            },
            addresses: addresses.into_iter().map(vip).collect(),
            preemption,
            authentication: Authentication::None,
            accept,
            startup_delay,
            lifetime,
            announcement: Announcement {
                repeat_after,
                refresh_interval,
            },
            may_become_active,
            ..config(own_priority)
        }
    })
}

fn an_event() -> impl Strategy<Value = Event> {
    let advertisement = (
        a_router(),
        prop_oneof![Just(0), Just(255), 1..=20u8, any::<u8>()],
        an_interval(),
        prop_oneof![9 => Just(255u8), 1 => any::<u8>()],
        prop_oneof![9 => Just(None), 1 => any::<(usize, u8)>().prop_map(Some)],
    );
    prop_oneof![
        12 => prop_oneof![3 => Just(Duration::ZERO), 1 => a_duration()].prop_map(Event::WakeUp),
        4 => a_duration().prop_map(Event::Wait),
        12 => advertisement.prop_map(|(from, priority, interval, ttl, mangled)| Event::Advertisement {
            from,
            priority,
            interval,
            ttl,
            mangled,
        }),
        1 => vec(any::<u8>(), 0..64).prop_map(Event::Bytes),
        3 => (vec(prop::sample::select(&Fault::ALL[..]), 0..2), a_standing())
            .prop_map(|(faults, standing)| Event::Health(faults, standing)),
        3 => a_standing().prop_map(|standing| Event::Health(Vec::new(), standing)),
        2 => a_config().prop_map(|config| Event::Configure(Box::new(config))),
        6 => Just(Event::Address(AddressResult::Bound)),
        4 => Just(Event::Address(AddressResult::Failed)),
        2 => an_address().prop_map(|address| Event::Address(AddressResult::Removed(address))),
        2 => an_address().prop_map(Event::Claimed),
        1 => Just(Event::HandOver),
        1 => prop_oneof![2 => Just(Shutdown::Planned), 1 => Just(Shutdown::Immediate)].prop_map(Event::Shutdown),
    ]
}

/// A router and what must be true of it.
struct Watched {
    now: Instant,
    router: VirtualRouter,
    /// What is on the node.
    bound: BTreeSet<IpAddr>,
    /// Whether the answer to a bind is awaited.
    pending: bool,
    /// Whether a predecessor's addresses are held.
    adopted: bool,
    /// Whether it has yielded, so that it may say so once more as Backup.
    yielded: bool,
}

impl Watched {
    fn happens(&mut self, event: Event) {
        match event {
            Event::WakeUp(late) => {
                self.now = self
                    .router
                    .next_timeout()
                    .map_or(self.now, |due| due.max(self.now))
                    + late;
                self.handle(Input::Timeout);
                let next = self.router.next_timeout();
                assert!(
                    next.is_none_or(|next| next > self.now),
                    "spins: {:?} wants {next:?}",
                    self.router
                );
            }
            Event::Wait(time) => self.now = self.now + time,
            Event::Advertisement {
                from,
                priority,
                interval,
                ttl,
                mangled,
            } => {
                let theirs = Config {
                    interval: Interval::new(self.router.config().version, interval)
                        .unwrap_or(Interval::DEFAULT),
                    ..self.router.config().clone()
                };
                let destination = if matches!(theirs.transport, Transport::Multicast(_)) {
                    GROUP
                } else {
                    OWN
                };
                let mut payload = packet(&theirs, priority, from, destination);
                if let Some((place, change)) = mangled {
                    let place = place % payload.len();
                    payload[place] ^= change;
                }
                self.receive(Received {
                    source: from,
                    destination,
                    ttl,
                    payload: &payload,
                });
            }
            Event::Bytes(payload) => {
                self.receive(Received {
                    source: HIGHER,
                    destination: GROUP,
                    ttl: 255,
                    payload: &payload,
                });
            }
            Event::Health(faults, standing) => {
                let faults = faults.into_iter().collect::<Faults>();
                self.handle(Input::Health(Health { faults, standing }));
            }
            Event::Configure(config) => {
                self.handle(Input::Configure(config));
            }
            Event::Address(result) => {
                match &result {
                    AddressResult::Bound => self.pending = false,
                    AddressResult::Failed => {}
                    AddressResult::Removed(address) => {
                        self.bound.remove(address);
                    }
                }
                self.handle(Input::AddressResult(result));
            }
            Event::Claimed(address) => {
                self.handle(Input::AddressClaimed(address));
            }
            Event::HandOver => {
                self.handle(Input::HandOver);
            }
            Event::Shutdown(shutdown) => {
                self.handle(Input::Shutdown(shutdown));
            }
        }
    }

    fn receive(&mut self, received: Received<'_>) {
        let overdue = self.router.next_timeout().is_some_and(|due| due <= self.now);
        let before = (self.router.snapshot(), self.router.next_timeout());
        let out = self.handle(Input::Advertisement(received));
        if out.iter().any(|action| matches!(action, Action::Dropped(_))) && !overdue {
            assert_eq!(out.len(), 1, "a dropped packet does nothing else: {out:?}");
            assert_eq!((self.router.snapshot(), self.router.next_timeout()), before);
        }
    }

    fn handle(&mut self, input: Input<'_>) -> Vec<Action> {
        let before = self.router.snapshot();
        let mut out = Vec::new();
        self.router.handle(self.now, input, &mut out);
        assert!(out.len() <= 12, "unbounded: {out:?}");
        // What a gap in time asks for is done before a new configuration, and as the old one permits.
        let permitted = before.may_become_active || self.router.config().may_become_active;
        self.check_actions(before.state, permitted, &out);
        self.adopted &= !self.router.is_stopped();
        self.check_state(&self.router.snapshot());
        out
    }

    fn check_actions(&mut self, mut state: State, permitted: bool, out: &[Action]) {
        for (place, action) in out.iter().enumerate() {
            let becomes = out[place..].iter().find_map(|later| match later {
                Action::Transition(transition) => Some(transition.to),
                _ => None,
            });
            match action {
                Action::Send { priority } if *priority != 0 => {
                    let once_more = state == State::Backup && self.yielded;
                    self.yielded &= state != State::Backup;
                    assert!(
                        state == State::Active || becomes == Some(State::Active) || once_more,
                        "sends in {state}: {out:?}"
                    );
                }
                Action::Bind(addresses) => {
                    self.pending = true;
                    self.bound.extend(addresses.iter().map(|address| address.address));
                }
                Action::Unbind(addresses) => {
                    for address in addresses {
                        self.bound.remove(&address.address);
                    }
                }
                Action::Announce(_) => {
                    assert_eq!(state, State::Active, "announces: {out:?}");
                    assert!(!self.pending, "announces before it is bound: {out:?}");
                }
                Action::Transition(transition) => {
                    assert_eq!(transition.from, state);
                    let drawn = (transition.from, transition.to, transition.reason);
                    assert!(TRANSITIONS.contains(&drawn), "{drawn:?} is not in the diagram");
                    assert_ne!(transition.to, state);
                    state = transition.to;
                    assert!(
                        state != State::Active || transition.reason == Reason::Resumed || permitted,
                        "becomes Active without permission: {out:?}"
                    );
                    self.adopted = false;
                    self.yielded =
                        matches!(transition.reason, Reason::HigherPriority | Reason::HigherAddress);
                }
                Action::Renew => assert!(!self.adopted, "renews what it has not taken over: {out:?}"),
                Action::Send { .. } | Action::Dropped(_) | Action::Notice(_) => {}
            }
        }
        assert_eq!(
            state,
            self.router.snapshot().state,
            "an unannounced change of state"
        );
    }

    fn check_state(&self, snapshot: &Snapshot) {
        let entitled = snapshot.state == State::Active || snapshot.releasing || self.adopted;
        assert!(
            entitled || self.bound.is_empty(),
            "holds {:?} without right: {snapshot:?}",
            self.bound
        );
        assert!(entitled || !snapshot.holding, "{snapshot:?}");
        assert!(
            !(snapshot.releasing && snapshot.state == State::Active),
            "{snapshot:?}"
        );
        assert!(
            snapshot.faults.is_empty() || matches!(snapshot.state, State::Fault | State::Initialize),
            "{snapshot:?}"
        );
        assert!(
            !(snapshot.faults.is_empty() && snapshot.state == State::Fault),
            "{snapshot:?}"
        );
        if matches!(snapshot.state, State::Active | State::Backup) || snapshot.releasing {
            assert!(
                self.router.next_timeout().is_some(),
                "waits for nothing: {snapshot:?}"
            );
        }
        if self.router.is_stopped() {
            assert_eq!(snapshot.state, State::Initialize);
            assert!(!snapshot.holding && self.bound.is_empty());
            assert_eq!(self.router.next_timeout(), None);
        }
    }

    /// An Active router left alone advertises within its interval and renews within a third of the lifetime.
    fn check_active_router_keeps_going(mut self) {
        // Whatever is overdue is caught up with first, which may make it Backup.
        self.happens(Event::WakeUp(Duration::ZERO));
        if self.router.snapshot().state != State::Active {
            return;
        }
        let config = self.router.config().clone();
        let renewal = config.lifetime.max(SECOND) / 3;
        for (wanted, within) in [("advertises", config.interval.get()), ("renews", renewal)] {
            let mut alone = Self {
                bound: self.bound.clone(),
                router: self.router.clone(),
                ..self
            };
            let end = alone.now + within;
            let mut seen = false;
            while !seen && alone.router.next_timeout().is_some_and(|due| due <= end) {
                alone.now = alone.now.max(alone.router.next_timeout().unwrap());
                let out = alone.handle(Input::Timeout);
                seen = out.iter().any(|action| match action {
                    Action::Send { .. } => wanted == "advertises",
                    Action::Renew => wanted == "renews",
                    _ => false,
                });
            }
            assert!(seen, "no longer {wanted}: {:?}", self.router);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn invariants_hold_whatever_happens(
        config in a_config(),
        adoption in prop_oneof![3 => Just(None), 1 => (a_duration(), any::<bool>()).prop_map(Some)],
        events in vec(an_event(), 1..80),
    ) {
        let now = Instant::ZERO + 1000 * SECOND;
        let adopted = adoption.is_some();
        let bound = config.addresses.iter().filter(|_| adopted).map(|held| held.address).collect();
        let router = match adoption {
            None => VirtualRouter::new(now, config),
            Some((expires_in, handed_over)) => {
                VirtualRouter::resume(now, config, Resume { expires: now + expires_in, active_since: now, handed_over })
            }
        };
        let mut watched = Watched { now, router, bound, pending: false, adopted, yielded: false };
        for event in events {
            watched.happens(event);
        }
        watched.check_active_router_keeps_going();
    }

    #[test]
    fn no_clock_reading_is_too_much(
        config in a_config(),
        events in vec((an_event(), prop_oneof![Just(u64::MAX), Just(u64::MAX - 1), any::<u64>()]), 1..20),
    ) {
        let mut router = VirtualRouter::new(Instant::from_nanos(u64::MAX / 2), config);
        for (event, nanos) in events {
            let now = Instant::from_nanos(nanos);
            let mut out = Vec::new();
            match event {
                Event::Health(faults, standing) => {
                    let faults = faults.into_iter().collect();
                    router.handle(now, Input::Health(Health { faults, standing }), &mut out);
                }
                Event::Configure(config) => router.handle(now, Input::Configure(config), &mut out),
                Event::Address(result) => router.handle(now, Input::AddressResult(result), &mut out),
                Event::HandOver => router.handle(now, Input::HandOver, &mut out),
                Event::Claimed(address) => router.handle(now, Input::AddressClaimed(address), &mut out),
                Event::Shutdown(shutdown) => router.handle(now, Input::Shutdown(shutdown), &mut out),
                _ => router.handle(now, Input::Timeout, &mut out),
            }
            prop_assert!(out.len() < 50, "{out:?}");
        }
    }
}
