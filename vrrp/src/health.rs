//! A node's fitness to hold the addresses: the facts that speak against it, and its place in the election.

use core::fmt;

use crate::types::Priority;

/// The node's fitness to hold the addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Health {
    /// The facts that keep the router out of the election; empty if none does.
    pub faults: Faults,
    /// The priority with which it stands in the election.
    pub standing: Standing,
}

/// The priority with which a router stands in the election.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// The configured priority.
    Base,
    /// The configured priority after weights.
    Weighted(Priority),
    /// A member whose service fails (`onFailure: Hold`): in the floor band, behind every healthy member.
    Floor,
    /// A member whose node is being worked on: in the floor band like one whose service fails, and it does not.
    Demoted,
}

impl Standing {
    /// Whether the router stands in the floor band, behind every other member that does not.
    pub const fn is_floor(self) -> bool {
        matches!(self, Self::Floor | Self::Demoted)
    }
}

/// The set of facts that keep a router in Fault. A set, never a counter: each is present or it is not.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Faults(u8);

/// One fact that keeps a router in Fault.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Fault {
    /// The interface does not exist (yet).
    InterfaceMissing = 0,
    /// The interface is down or has no carrier.
    LinkDown = 1,
    /// The interface has no address from which to take part.
    NoSourceAddress = 2,
    /// The virtual addresses could not be bound, again and again.
    BindFailed = 3,
    /// A probe with `onFailure: Fault` fails.
    ProbeFailed = 4,
    /// Another group on this node uses the same identifier in the same family on the same interface.
    IdentifierInUse = 5,
    /// The node is being worked on or shuts down, and was told to give up the addresses.
    Maintenance = 6,
    /// Another group of the same sync group cannot take part.
    SyncGroup = 7,
}

impl Fault {
    /// Every fault, in the order in which they are shown.
    pub const ALL: [Self; 8] = [
        Self::InterfaceMissing,
        Self::LinkDown,
        Self::NoSourceAddress,
        Self::BindFailed,
        Self::ProbeFailed,
        Self::IdentifierInUse,
        Self::Maintenance,
        Self::SyncGroup,
    ];

    /// The reason as status and logs show it.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::InterfaceMissing => "InterfaceMissing",
            Self::LinkDown => "LinkDown",
            Self::NoSourceAddress => "NoSourceAddress",
            Self::BindFailed => "BindFailed",
            Self::ProbeFailed => "ProbeFailed",
            Self::IdentifierInUse => "IdentifierInUse",
            Self::Maintenance => "Maintenance",
            Self::SyncGroup => "SyncGroup",
        }
    }
}

impl Faults {
    /// No fault.
    pub const NONE: Self = Self(0);

    /// The faults that leave the node able to serve on until a successor does: nothing is wrong with its link and addresses.
    const ABLE_TO_SERVE: Self = Self::NONE
        .with(Fault::ProbeFailed, true)
        .with(Fault::Maintenance, true)
        .with(Fault::SyncGroup, true);

    /// Whether a node with these faults, if any, can serve on until a successor does.
    pub const fn is_able_to_serve(self) -> bool {
        self.0 & !Self::ABLE_TO_SERVE.0 == 0
    }

    /// Whether there is no fault.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `fault` is present.
    pub const fn contains(self, fault: Fault) -> bool {
        self.0 & (1 << fault as u8) != 0
    }

    /// This set with `fault` present or absent.
    #[must_use]
    pub const fn with(self, fault: Fault, present: bool) -> Self {
        let bit = 1 << fault as u8;
        if present {
            Self(self.0 | bit)
        } else {
            Self(self.0 & !bit)
        }
    }

    /// The faults of both sets.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The faults present, in the order of [`Fault::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Fault> {
        Fault::ALL.into_iter().filter(move |fault| self.contains(*fault))
    }
}

impl FromIterator<Fault> for Faults {
    fn from_iter<I: IntoIterator<Item = Fault>>(faults: I) -> Self {
        faults
            .into_iter()
            .fold(Self::NONE, |set, fault| set.with(fault, true))
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
