//! What one virtual router is told to do, and what a change of it moves.

use core::net::IpAddr;
use core::time::Duration;

use crate::types::{Family, Interval, Priority, Version, VirtualRouterId};

/// The configuration of one virtual router on one node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// The virtual router's identifier on its link.
    pub virtual_router_id: VirtualRouterId,
    /// The version spoken; packets of the other are dropped and named.
    pub version: Version,
    /// The family of the election. Addresses of the other family ride along unadvertised.
    pub family: Family,
    /// The base priority, before health changes it. 255 makes this router the addresses' owner.
    pub priority: Priority,
    /// The interval at which this router advertises when it is Active.
    pub interval: Interval,
    /// This router's own address in the election: the IPv4 primary address or the IPv6 link-local address of
    /// the interface. `None` while the interface has none, which the caller also reports as a fault.
    pub source: Option<IpAddr>,
    /// Where advertisements go and from whom they are believed.
    pub transport: Transport,
    /// The virtual addresses, in the order in which they are advertised.
    pub addresses: Vec<VirtualAddress>,
    /// When a better router takes over from a healthy worse one.
    pub preemption: Preemption,
    /// What proves that an advertisement comes from a member.
    pub authentication: Authentication,
    /// Which checksum VRRPv3 over IPv4 carries; both are accepted.
    pub checksum: Checksum,
    /// Accept_Mode (RFC 9568 §6.1): whether a router that is not the owner takes packets for the addresses.
    pub accept: bool,
    /// How long after start this router stays out of the election.
    pub startup_delay: Duration,
    /// How long bound addresses live without renewal: the dead-man's switch. Less than a second counts as a second.
    pub lifetime: Duration,
    /// How the addresses are announced to their neighbors.
    pub announcement: Announcement,
    /// Whether this router may *become* Active: a new member first has to be known to all the others. One that is Active
    /// stays so until it leaves for another reason, also across a resumption; as another virtual router
    /// ([`Change::Restart`]) it starts without that right.
    pub may_become_active: bool,
}

/// One virtual address and how it is put on the node.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct VirtualAddress {
    /// The address itself.
    pub address: IpAddr,
    /// The prefix length with which it is bound: 32 or 128 unless the user insists on another.
    pub prefix_length: u8,
    /// The interface that carries it, if that is not the election's.
    pub interface: Option<Box<str>>,
    /// The IPv4 address label, for people who read `ifconfig`.
    pub label: Option<Box<str>>,
}

/// Where advertisements go and from whom they are believed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Transport {
    /// To a multicast group (224.0.0.18 and ff02::12 by default); from anybody on the link with TTL 255.
    Multicast(IpAddr),
    /// To each peer; from these only.
    Unicast(Vec<Peer>),
}

/// Another member of a unicast group.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Peer {
    /// The address it sends from and is sent to.
    pub address: IpAddr,
    /// The smallest TTL or hop limit with which its advertisements are believed. 255: only from the same link.
    pub min_ttl: u8,
}

/// When a better router takes over from a healthy worse one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Preemption {
    /// RFC 9568's Preempt_Mode true: a worse router's advertisements do not count, so that the better one takes over
    /// when it has heard no equal or better one for Active_Down_Interval.
    Immediate,
    /// Once it has heard the worse one for this long without having been in doubt itself. The owner (255) does not wait for
    /// that, and nobody does when the Active router is in the floor band or advertises less than it used to.
    Delayed(Duration),
    /// Never (Preempt_Mode false), unless this one owns the addresses, or the Active router is in the floor band or
    /// advertises less than it used to.
    Never,
}

/// What proves that an advertisement comes from a member.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// Nothing, as RFC 9568 has it.
    None,
    /// VRRPv2's simple password (RFC 2338 §5.3.6): eight bytes, zero-padded. Guards against mistakes, not attackers.
    Password([u8; 8]),
}

impl core::fmt::Debug for Authentication {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Password(_) => "Password(***)",
        })
    }
}

/// Which bytes the checksum of a VRRPv3 packet over IPv4 covers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Checksum {
    /// The pseudo-header too, as keepalived and FRR send it.
    #[default]
    WithPseudoHeader,
    /// The packet alone, as RFC 9568 §5.2.8 reads strictly.
    WithoutPseudoHeader,
}

/// How the addresses are announced (gratuitous ARP, unsolicited neighbor advertisements).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Announcement {
    /// How long after the first burst the second one follows; zero for no second one.
    pub repeat_after: Duration,
    /// The time between slow refreshes while Active; zero for none.
    pub refresh_interval: Duration,
}

impl Default for Announcement {
    fn default() -> Self {
        Self {
            repeat_after: Duration::from_secs(5),
            refresh_interval: Duration::from_mins(1),
        }
    }
}

/// What going from one configuration to another moves. The only place where that is decided.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Change {
    /// Nothing that anybody can see at once: timers and preferences that apply from now on.
    Nothing,
    /// What the advertisement says or to whom it goes: an Active router says it at once and stays Active.
    Readvertise,
    /// The set of addresses or how they are bound: an Active router binds the new ones, takes away the old ones,
    /// leaves the others alone, and stays Active.
    Rebind,
    /// The virtual router becomes another one: it hands over and starts again.
    Restart,
}

impl Config {
    /// What changes when `self` becomes `new`.
    pub fn diff(&self, new: &Self) -> Change {
        let Self {
            virtual_router_id,
            version,
            family,
            priority,
            interval,
            source,
            transport,
            addresses,
            preemption: _,
            authentication,
            checksum,
            accept,
            startup_delay: _,
            lifetime,
            announcement: _,
            may_become_active: _,
        } = self;
        if *virtual_router_id != new.virtual_router_id || *version != new.version || *family != new.family {
            Change::Restart
        } else if *addresses != new.addresses || *accept != new.accept || *lifetime != new.lifetime {
            Change::Rebind
        } else if *priority != new.priority
            || *interval != new.interval
            || *source != new.source
            || *transport != new.transport
            || *authentication != new.authentication
            || *checksum != new.checksum
        {
            Change::Readvertise
        } else {
            Change::Nothing
        }
    }

    /// The addresses that stand in advertisements: those of the election's family.
    pub fn advertised(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.addresses
            .iter()
            .map(|a| a.address)
            .filter(|a| Family::of(*a) == self.family)
    }
}
