//! What is given and what happens: a scenario, drawn from a seed or written by hand.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use holdfast_vrrp::{
    Announcement, Authentication, Checksum, Config, Family, Fault, Interval, Peer, Preemption, Priority,
    Shutdown, Standing, Transport, Version, VirtualAddress, VirtualRouterId,
};

use crate::clock::Clock;
use crate::network::{Damage, Quality};
use crate::probing::{Probing, Service};

/// The world before anything happens to it.
#[derive(Clone, Debug)]
pub struct Setup {
    pub members: Vec<Member>,
    pub quality: Quality,
    /// The longest time by which a process is late for its own timer.
    pub lateness: Duration,
    /// The longest time an operation takes to reach the kernel, and an answer to come back.
    pub kernel_latency: Duration,
    /// How late the kernel may notice that an address has expired.
    pub expiry_fuzz: Duration,
    /// Whether nothing happens but that one node's services come and go, which its damping keeps from moving the addresses
    /// too often.
    pub one_flaps: bool,
}

/// A node as it is at first.
#[derive(Clone, Debug)]
pub struct Member {
    pub clock: Clock,
    pub config: Config,
    /// What is probed on it.
    pub probing: Option<Probing>,
    /// Whether its agent runs from the beginning.
    pub present: bool,
}

/// Something that happens to the world.
#[derive(Clone, Debug)]
pub enum Step {
    /// SIGSTOP.
    Freeze(usize),
    /// SIGCONT.
    Thaw(usize),
    /// SIGKILL.
    Kill(usize),
    /// The node loses its power, and with it its addresses and state file.
    PowerOff(usize),
    /// The agent is started; it finds the state file if one is left.
    Start(usize),
    /// The agent is replaced by one that was standing by.
    Replace(usize),
    /// The agent is told to stop.
    Stop(usize, Shutdown),
    /// The link is split into cells.
    Partition(Vec<u8>),
    /// The link is whole again.
    Heal,
    /// What the first sends no longer reaches the second.
    CutOneWay(usize, usize),
    /// The link loses and damages packets, or stops doing so.
    Damage(Damage),
    /// The next so many resignations of the node reach nobody.
    LoseResignations(usize, u32),
    /// The node's cable is pulled or plugged in.
    Link(usize, bool),
    /// A fact that keeps the node out of the election appears or disappears.
    Fault(usize, Fault, bool),
    /// The node's service fails, recovers, or weighs in.
    Standing(usize, Standing),
    /// A service behind one of the node's probes does so from now on.
    Service(usize, usize, Service),
    /// The node's router is told to hand over: another one that moves together with it has left.
    HandOver(usize),
    /// The node's configuration is edited.
    Configure(usize, Edit),
    /// Somebody takes the node's first virtual address away.
    DeleteAddress(usize),
    /// The node's kernel refuses to bind addresses, or no longer does.
    RefuseBinding(usize, bool),
}

/// A change of a node's configuration.
#[derive(Clone, Debug)]
pub enum Edit {
    /// The same again.
    Same,
    /// Something that shows nowhere: how often the addresses are announced.
    Announcement(Announcement),
    Priority(Priority),
    Interval(Interval),
    Preemption(Preemption),
    Addresses(Vec<VirtualAddress>),
    Lifetime(Duration),
    MayBecomeActive(bool),
    /// The members of a unicast group, by number; nothing to a multicast one.
    Members(Vec<usize>),
}

/// A scenario: the world, and what happens how long after what happened before it.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub setup: Setup,
    pub steps: Vec<(Duration, Step)>,
    /// How long the world goes on after the last step.
    pub tail: Duration,
}

/// The virtual router that all members of a hand-written scenario share.
pub struct Group {
    pub version: Version,
    pub family: Family,
    pub unicast: bool,
    pub interval: Duration,
}

impl Group {
    /// The interval, which is one that the version can say.
    pub fn interval(&self) -> Interval {
        Interval::new(self.version, self.interval).unwrap_or(Interval::DEFAULT)
    }

    /// A node's own address.
    pub fn source(&self, host: u8) -> IpAddr {
        match self.family {
            Family::V4 => Ipv4Addr::new(10, 0, 0, host).into(),
            Family::V6 => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, u16::from(host)).into(),
        }
    }

    /// The first `count` virtual addresses.
    pub fn addresses(&self, count: u8) -> Vec<VirtualAddress> {
        let address = |n: u8| match (self.family, n) {
            (Family::V4, _) => IpAddr::from(Ipv4Addr::new(10, 0, 1, n)),
            // RFC 9568 §5.2.9: the first address of an IPv6 virtual router is link-local.
            (Family::V6, 0) => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, 0).into(),
            (Family::V6, _) => Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 1, u16::from(n)).into(),
        };
        let prefix_length = if self.family == Family::V4 { 32 } else { 128 };
        (0..count)
            .map(|n| VirtualAddress {
                address: address(n),
                prefix_length,
                interface: None,
                label: None,
            })
            .collect()
    }

    /// Where a member at `own` sends to, the group's members being at `hosts`.
    pub fn transport(&self, own: u8, hosts: &[u8]) -> Transport {
        if self.unicast {
            let others = hosts.iter().filter(|host| **host != own);
            Transport::Unicast(
                others
                    .map(|host| Peer {
                        address: self.source(*host),
                        min_ttl: 255,
                    })
                    .collect(),
            )
        } else {
            Transport::Multicast(match self.family {
                Family::V4 => Ipv4Addr::new(224, 0, 0, 18).into(),
                Family::V6 => Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12).into(),
            })
        }
    }

    /// The configuration of the member at `own`.
    pub fn config(&self, own: u8, priority: u8, hosts: &[u8]) -> Config {
        Config {
            virtual_router_id: VirtualRouterId::new(51).unwrap_or_else(|| unreachable!()),
            version: self.version,
            family: self.family,
            priority: Priority::new(priority).unwrap_or(Priority::DEFAULT),
            interval: self.interval(),
            source: Some(self.source(own)),
            transport: self.transport(own, hosts),
            addresses: self.addresses(1),
            preemption: Preemption::Immediate,
            authentication: Authentication::None,
            checksum: Checksum::WithPseudoHeader,
            accept: true,
            startup_delay: Duration::ZERO,
            lifetime: (8 * self.interval).max(Duration::from_secs(1)),
            announcement: Announcement::default(),
            may_become_active: true,
        }
    }
}

impl Edit {
    /// The configuration after this edit; `sources` are all nodes' own addresses.
    pub fn apply(&self, config: &Config, sources: &[IpAddr]) -> Config {
        let mut config = config.clone();
        match self {
            Self::Same => {}
            Self::Announcement(announcement) => config.announcement = *announcement,
            Self::Priority(priority) => config.priority = *priority,
            Self::Interval(interval) => config.interval = *interval,
            Self::Preemption(preemption) => config.preemption = *preemption,
            Self::Addresses(addresses) => config.addresses.clone_from(addresses),
            Self::Lifetime(lifetime) => config.lifetime = *lifetime,
            Self::MayBecomeActive(may) => config.may_become_active = *may,
            Self::Members(members) => {
                if let Transport::Unicast(peers) = &mut config.transport {
                    *peers = members
                        .iter()
                        .map(|member| Peer {
                            address: sources[*member],
                            min_ttl: 255,
                        })
                        .filter(|peer| Some(peer.address) != config.source)
                        .collect();
                }
            }
        }
        config
    }

    /// Whether nobody outside the node could notice this edit.
    pub fn shows_nowhere(&self) -> bool {
        matches!(self, Self::Same | Self::Announcement(_) | Self::Members(_))
    }
}
