//! Engines in network namespaces, joined by a cable, for tests that tell them how healthy their node is.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::process::Command as Process;
use std::thread::sleep;
use std::time::Instant;

use holdfast_agent::engine::{Command, Engine, Event, Judged, Options, Predecessor};
use holdfast_agent::socket::{Inbox, VrrpSocket};
use holdfast_agent::status::GroupStatus;
use holdfast_api::model::{Address, Advertisement, Announcement, Bind, Mode, NodeGroup, NodeSpec};
use holdfast_health::{Judgement, Policy};
use holdfast_vrrp::{
    Authentication, Checksum, Family, Fault, Faults, Health, Interval, Preemption, Priority, Standing, State,
    Transition, Version, VirtualRouterId,
};
use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, setns};
use tokio::sync::{mpsc, oneshot};

use crate::isolated::{beyond, ip};

/// The interval of every group: long enough that no router takes another for gone while the machine stands still for a third of
/// a second.
pub const INTERVAL: Duration = Duration::from_millis(200);

/// How long anything may take before a test fails: far more than it does.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a test looks.
const GLANCE: Duration = Duration::from_millis(2);

/// A node: an engine, what it has said, and its namespace.
pub struct Node {
    engine: Engine,
    events: mpsc::Receiver<Event>,
    seen: Vec<Event>,
    namespace: std::fs::File,
    link: &'static str,
}

/// The far end of a cable on which nobody else takes part.
pub struct Wire(VrrpSocket);

/// One node at the near end of a cable, and the cable's other end.
pub fn alone() -> (Node, Wire) {
    ip("link add near type veth peer name far");
    let wire = beyond("far", || {
        set_up("far", 2);
        let mut socket = VrrpSocket::open("far", if_nametoindex("far").unwrap(), Family::V4).unwrap();
        let multicast: IpAddr = "224.0.0.18".parse().unwrap();
        socket.set_memberships(&[multicast].into()).unwrap();
        Wire(socket)
    });
    set_up("near", 1);
    await_carrier();
    (Node::start(Predecessor::default(), 1), wire)
}

/// Two nodes, one at each end of a cable.
pub fn pair() -> (Node, Node) {
    ip("link add near type veth peer name far");
    let second = beyond("far", || {
        set_up("far", 2);
        Node::start(Predecessor::default(), 2)
    });
    set_up("near", 1);
    await_carrier();
    (Node::start(Predecessor::default(), 1), second)
}

fn set_up(link: &str, host: u8) {
    ip(&format!("link set {link} addrgenmode none"));
    ip(&format!("link set {link} up"));
    ip(&format!("address add 10.0.0.{host}/24 dev {link}"));
}

/// Both ends have to be up before either carries anything.
fn await_carrier() {
    await_some("the cable", || {
        ip("link show dev near").contains("LOWER_UP").then_some(())
    });
}

/// A group on either end, served at 10.0.0.(100 + its identifier).
pub fn group(name: &str, id: u8, base: u8) -> NodeGroup {
    NodeGroup {
        name: name.to_owned(),
        uid: None,
        generation: 0,
        virtual_router_id: VirtualRouterId::new(id).unwrap(),
        interface: None,
        source_address: None,
        addresses: vec![Address {
            address: format!("10.0.0.{}", 100 + id).parse().unwrap(),
            prefix_length: 24,
            interface: None,
            label: None,
            bind: Bind::HostPrefix,
        }],
        family: Family::V4,
        priority: priority(base),
        advertisement: Advertisement {
            version: Version::V3,
            interval: Interval::new(Version::V3, INTERVAL).unwrap(),
            mode: Mode::Multicast("224.0.0.18".parse().unwrap()),
            checksum: Checksum::default(),
        },
        preemption: Preemption::Immediate,
        authentication: Authentication::None,
        announcement: Announcement {
            count: 1,
            repeat_after: Duration::ZERO,
            refresh_interval: Duration::ZERO,
            arp_reply: false,
        },
        startup_delay: Duration::ZERO,
        probes: Vec::new(),
        health: Policy::without_probes(priority(base)),
        preferred: None,
        sync_group: None,
        may_become_active: true,
        deleted: false,
    }
}

/// The same in a sync group.
pub fn synced(name: &str, id: u8, base: u8) -> NodeGroup {
    NodeGroup {
        sync_group: Some("edge".to_owned()),
        ..group(name, id, base)
    }
}

pub fn priority(value: u8) -> Priority {
    Priority::new(value).unwrap()
}

/// A judgement about which there is no doubt.
pub fn known(health: Health) -> Judgement {
    Judgement {
        strict: health,
        lenient: health,
    }
}

pub fn stands(standing: Standing) -> Judgement {
    known(Health {
        faults: Faults::NONE,
        standing,
    })
}

pub fn good() -> Judgement {
    stands(Standing::Base)
}

pub fn bad(standing: Standing) -> Judgement {
    stands(standing)
}

pub fn faulty(fault: Fault) -> Judgement {
    known(Health {
        faults: Faults::NONE.with(fault, true),
        standing: Standing::Base,
    })
}

/// The first for who is held to what is not known, the second for who is not.
pub fn lenient(strict: Judgement, lenient: Judgement) -> Judgement {
    Judgement {
        strict: strict.strict,
        lenient: lenient.lenient,
    }
}

impl Node {
    /// Starts an engine in this thread's namespace, whose end of the cable has the address 10.0.0.`host`.
    pub fn start(predecessor: Predecessor, host: u8) -> Self {
        let (engine, events, _) = Engine::start(Options {
            predecessor,
            ..Options::default()
        })
        .unwrap();
        Self {
            engine,
            events,
            seen: Vec::new(),
            namespace: std::fs::File::open("/proc/thread-self/ns/net").unwrap(),
            link: if host == 1 { "near" } else { "far" },
        }
    }

    pub fn send(&self, command: Command) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(self.engine.send(command)).unwrap();
    }

    pub fn judge(&self, group: &str, judgement: Judgement, why: &str) {
        self.say(group, judgement, why, false);
    }

    /// The same for a node on which the group is to be.
    pub fn prefer(&self, group: &str, judgement: Judgement, why: &str) {
        self.say(group, judgement, why, true);
    }

    fn say(&self, group: &str, judgement: Judgement, why: &str, preferred: bool) {
        self.send(Command::Judge {
            group: group.to_owned(),
            judged: Some(Judged {
                judgement,
                preferred,
                why: why.to_owned(),
            }),
        });
    }

    pub fn apply(&self, groups: impl IntoIterator<Item = NodeGroup>) {
        let groups = groups
            .into_iter()
            .map(|group| (group.name.clone(), group))
            .collect();
        self.send(Command::Apply(Box::new(NodeSpec { groups })));
    }

    /// Ends the engine and leaves its addresses to the next.
    pub fn yield_to_next(&mut self) -> Predecessor {
        let (answer, mut answered) = oneshot::channel();
        self.send(Command::Yield(answer));
        await_some("what is left behind", || answered.try_recv().ok())
    }

    /// What was said since the last look.
    pub fn events(&mut self) -> Vec<Event> {
        while let Ok(event) = self.events.try_recv() {
            self.seen.push(event);
        }
        core::mem::take(&mut self.seen)
    }

    /// The next event of a kind. What was said before it counts as seen.
    pub fn await_event(&mut self, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        let mut passed = Vec::new();
        let start = Instant::now();
        loop {
            self.seen.reverse();
            while let Some(event) = self.seen.pop() {
                if wanted(&event) {
                    self.seen.reverse();
                    return event;
                }
                passed.push(event);
            }
            assert!(start.elapsed() < PATIENCE, "no {what}, but {passed:?}");
            sleep(GLANCE);
            self.seen = self.events();
        }
    }

    /// The next time that a group enters a state, with the sentence for the log.
    pub fn await_transition(&mut self, group: &str, state: State) -> (Transition, String) {
        let entered = self.await_event(&format!("{group} in {state}"), |event| {
            matches!(event, Event::Transition { group: name, transition, .. }
                if name == group && transition.to == state)
        });
        match entered {
            Event::Transition {
                transition, message, ..
            } => (transition, message),
            other => panic!("{other:?}"),
        }
    }

    pub fn await_active(&mut self, group: &str) {
        self.await_transition(group, State::Active);
    }

    pub fn await_state(&mut self, group: &str, state: State) {
        await_some(&format!("{group} in {state}"), || {
            (self.state(group) == state).then_some(())
        });
    }

    /// What a group is doing, as soon as the engine has it: it waits for the kernel's state first.
    pub fn status(&self, group: &str) -> GroupStatus {
        await_some(&format!("group {group}"), || {
            let (answer, mut answered) = oneshot::channel();
            self.send(Command::Snapshot(answer));
            let groups = await_some("a snapshot", || answered.try_recv().ok());
            groups.into_iter().find(|status| status.name == group)
        })
    }

    pub fn state(&self, group: &str) -> State {
        let state = self.status(group).state;
        let states = [State::Initialize, State::Backup, State::Active, State::Fault];
        states.into_iter().find(|known| known.name() == state).unwrap()
    }

    /// Waits until the node has that address: the engine asks for it, and another thread binds it.
    pub fn await_held(&self, address: &str) {
        await_some(&format!("{address} to be bound"), || {
            self.holds(address).then_some(())
        });
    }

    /// Whether the node has that address.
    pub fn holds(&self, address: &str) -> bool {
        let namespace = self.namespace.try_clone().unwrap();
        let link = self.link;
        let shown = std::thread::spawn(move || {
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            let mut ip = Process::new("ip");
            let output = ip.args(["-o", "address", "show", "dev", link]).output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        });
        shown.join().unwrap().contains(&format!(" {address}/"))
    }

    pub fn await_release(&self, address: &str) {
        await_some("the address to be given up", || {
            (!self.holds(address)).then_some(())
        });
    }

    /// The same where it is given up only when this node serves it.
    pub fn await_release_to(&self, successor: &Self, address: &str, group: &str) {
        await_some("the address to be given up", || {
            let held = self.holds(address);
            assert!(
                held || successor.state(group) == State::Active,
                "let go before anybody else served"
            );
            (!held).then_some(())
        });
    }

    /// How often the address was missing until the group was Active again.
    pub fn missing_until_active(&mut self, address: &str, group: &str) -> usize {
        let mut missing = 0;
        await_some("the group to be Active again", || {
            missing += usize::from(!self.holds(address));
            (self.state(group) == State::Active).then_some(())
        });
        missing
    }
}

impl Wire {
    /// What has been advertised on the cable since the last look: who, with which priority.
    pub fn drain(&self) -> BTreeSet<(u8, u8)> {
        self.drain_all().into_iter().collect()
    }

    /// The same, each advertisement by itself.
    fn drain_all(&self) -> Vec<(u8, u8)> {
        let (mut inbox, mut heard) = (Inbox::default(), Vec::new());
        while self.0.receive(&mut inbox).is_ok_and(|received| received > 0) {
            heard.extend(inbox.iter().map(|packet| (packet.payload[1], packet.payload[2])));
        }
        heard
    }

    /// What is advertised until each of these routers has been heard three times: who, with which priority.
    pub fn hear(&self, ids: &[u8]) -> BTreeSet<(u8, u8)> {
        let (mut heard, mut times) = (BTreeSet::new(), BTreeMap::<u8, u32>::new());
        await_some("three advertisements of each", || {
            for (id, priority) in self.drain_all() {
                heard.insert((id, priority));
                *times.entry(id).or_default() += 1;
            }
            let enough = |id| times.get(id).is_some_and(|times| *times >= 3);
            ids.iter().all(enough).then_some(())
        });
        heard
    }

    pub fn await_priority(&self, id: u8, priority: u8) {
        await_some(&format!("priority {priority} of {id}"), || {
            self.drain().contains(&(id, priority)).then_some(())
        });
    }
}

pub fn await_some<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(
            start.elapsed() < PATIENCE,
            "waited {PATIENCE:?} in vain for {what}"
        );
        sleep(GLANCE);
    }
}
