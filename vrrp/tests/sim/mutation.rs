//! Nodes that are broken on purpose: each shows that an invariant can fail.

/// What is wrong with every node of the world.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mutation {
    /// Nothing.
    #[default]
    None,
    /// Addresses are never taken away, only left to expire.
    NeverUnbinds,
    /// Renewing puts an address back that has expired.
    RenewResurrects,
    /// Addresses live for ever.
    AddressesNeverExpire,
    /// A resignation is not heard.
    IgnoresPriorityZero,
    /// No advertisement is heard.
    Deaf,
    /// The election's timer is never served.
    NeverTakesOver,
    /// A router that resigns lets go of its addresses at once.
    ReleasesAtOnce,
    /// Every change of the configuration starts the router anew.
    RestartsOnReload,
    /// Every advertisement but a resignation has the same priority.
    HidesItsPriority,
    /// An Active router's advertisements never say less than before.
    HidesThatItFell,
    /// The router is never told how fit its node is.
    IgnoresItsHealth,
    /// No node is ever held back, however often its services come and go.
    NeverHoldsBack,
    /// A process that was frozen does not notice it.
    OverlooksTheGap,
    /// The router is never told that it may not become Active.
    IgnoresTheBan,
    /// The router is told a time that has long passed.
    StaleClock,
    /// The addresses are announced before the kernel has them.
    AnnouncesEarly,
}
