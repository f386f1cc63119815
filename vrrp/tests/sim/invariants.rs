//! What must hold in every world.

use core::fmt;

use crate::clock::Moment;

/// A sentence that is true of every world.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Invariant {
    /// Nodes that hear each other are not Active together for longer than one advertisement takes.
    NeverTwoActive,
    /// Where one node could be Active, one is, at the latest when everybody's patience has run out.
    NeverNoneActive,
    /// When nothing has happened for long enough, the node that should be Active is, with all of the addresses.
    BestIsActive,
    /// A node that is well is not left Backup behind one in the floor band, whatever preemption says.
    HealthyBeforeFailing,
    /// A node that is well is not left Backup behind one whose priority fell below its own while it watched.
    WorseIsReplaced,
    /// However often one node's services come and go, damping keeps the addresses from moving too often.
    AddressesDoNotSwing,
    /// A node that is not Active and not handing over holds no address, and handing over ends.
    YielderLetsGo,
    /// The addresses of a dead or frozen node are gone when their lifetime is over; a thawed node knows that.
    DeadManSwitch,
    /// An address that has expired comes back by being bound only.
    NoResurrection,
    /// From a planned stop until after its successor serves, somebody holds every address, and the successor serves soon.
    HoleFreeHandover,
    /// A node that was told that it may not becomes Active by resuming only.
    BecomesActiveAllowedOnly,
    /// When nothing has happened that asks for it, no router changes its state.
    NothingMovesUnasked,
    /// An address is announced only once it is there.
    OnlyHoldersAnnounce,
    /// A router whose time has come has done what it wanted, and does not ask for the same instant for ever.
    TimersAdvance,
}

/// An invariant that did not hold, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    pub at: Moment,
    pub invariant: Invariant,
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {:?} does not hold: {}",
            self.at, self.invariant, self.detail
        )
    }
}
