//! The states of a virtual router, why it changes them, and what it shows of itself.

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use crate::health::Faults;
use crate::time::Instant;
use crate::types::Priority;

/// The state of a virtual router (RFC 9568 §6.4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum State {
    /// Not taking part: before the start-up delay has passed, or after a shutdown.
    Initialize,
    /// Watching the Active router.
    Backup,
    /// Holding the addresses.
    Active,
    /// Kept out of the election by facts ([`Faults`]).
    Fault,
}

impl State {
    /// The state's name as status, logs and metrics show it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Initialize => "Initialize",
            Self::Backup => "Backup",
            Self::Active => "Active",
            Self::Fault => "Fault",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One change of state and why it happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transition {
    /// The state left.
    pub from: State,
    /// The state entered.
    pub to: State,
    /// Why.
    pub reason: Reason,
    /// The priority with which the router stands in the election from now on.
    pub priority: Priority,
    /// How long the addresses had been without a holder that this router could hear, when it became Active: the time
    /// since the Active router's last advertisement. `None` for other transitions or if none was ever heard.
    pub silence: Option<Duration>,
}

/// Why a router changed its state.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reason {
    /// The start-up delay passed, or there was none.
    Started,
    /// This router owns the addresses.
    AddressOwner,
    /// The Active router has not been heard for Active_Down_Interval.
    ActiveSilent,
    /// The Active router said that it leaves.
    ActiveResigned,
    /// This router's priority beats the Active router's, and preemption allows it.
    Preempted,
    /// The Active router is in the floor band and this one is healthy.
    ActiveUnfit,
    /// An advertisement with a higher priority was heard.
    HigherPriority,
    /// An advertisement with the same priority and a higher source address was heard.
    HigherAddress,
    /// This router's service fails: it hands over and stays in the election's floor band.
    ServiceFailing,
    /// This router's node is being worked on: it hands over and stays in the election's floor band.
    Demoted,
    /// The router was told to hand over, and may become Active again: another group of its sync group has left.
    ToldToHandOver,
    /// Faults appeared.
    Faulted,
    /// The last fault went away.
    Recovered,
    /// The router was told to stop.
    Shutdown,
    /// The configuration made it another virtual router.
    Reconfigured,
    /// The process had not run for too long to know whether it still holds the addresses.
    TimeGap,
    /// The predecessor process on this node was Active and its addresses are still alive.
    Resumed,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 17] = [
        Self::Started,
        Self::AddressOwner,
        Self::ActiveSilent,
        Self::ActiveResigned,
        Self::Preempted,
        Self::ActiveUnfit,
        Self::HigherPriority,
        Self::HigherAddress,
        Self::ServiceFailing,
        Self::Demoted,
        Self::ToldToHandOver,
        Self::Faulted,
        Self::Recovered,
        Self::Shutdown,
        Self::Reconfigured,
        Self::TimeGap,
        Self::Resumed,
    ];

    /// The reason as status and logs show it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Started => "Started",
            Self::AddressOwner => "AddressOwner",
            Self::ActiveSilent => "ActiveSilent",
            Self::ActiveResigned => "ActiveResigned",
            Self::Preempted => "Preempted",
            Self::ActiveUnfit => "ActiveUnfit",
            Self::HigherPriority => "HigherPriority",
            Self::HigherAddress => "HigherAddress",
            Self::ServiceFailing => "ServiceFailing",
            Self::Demoted => "Demoted",
            Self::ToldToHandOver => "ToldToHandOver",
            Self::Faulted => "Faulted",
            Self::Recovered => "Recovered",
            Self::Shutdown => "Shutdown",
            Self::Reconfigured => "Reconfigured",
            Self::TimeGap => "TimeGap",
            Self::Resumed => "Resumed",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a virtual router is doing, for status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// The state.
    pub state: State,
    /// Since when.
    pub since: Instant,
    /// The facts that keep it in Fault.
    pub faults: Faults,
    /// The priority with which it stands in the election.
    pub priority: Priority,
    /// The Active router last heard and believed, unless this router is Active itself.
    pub active_peer: Option<IpAddr>,
    /// The interval in force: learned while Backup, its own while Active.
    pub interval: Duration,
    /// Whether the addresses are still held after Active was left, until the successor serves.
    pub releasing: bool,
    /// Whether addresses are on this node for this router: it is Active, releasing, or has adopted a predecessor's.
    pub holding: bool,
    /// Whether the configuration lets it become Active.
    pub may_become_active: bool,
    /// The last change of state.
    pub last_transition: Option<(Instant, Transition)>,
}
