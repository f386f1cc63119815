//! Who wins: what an advertisement means to a Backup and to an Active router, decided from priorities and addresses alone.

use core::net::IpAddr;
use core::time::Duration;

use crate::config::Preemption;
use crate::state::Reason;
use crate::types::Priority;

/// How this router stands in the election.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Candidate {
    /// Its priority, health included.
    pub(super) priority: Priority,
    /// Whether its service fails, so that it stands in the floor band.
    pub(super) failing: bool,
    /// Whether it may become Active at all.
    pub(super) eligible: bool,
}

/// What an advertisement means to a Backup.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum AsBackup {
    /// The Active router leaves: take over after Skew_Time.
    Resigned,
    /// There is an Active router; watch it.
    Follow,
    /// The Active router is worse than this one; watch it, and take over once it has been heard for this long.
    FollowFor(Duration),
    /// The Active router is worse than this one; as if nothing had been heard.
    Discard,
    /// The Active router has become worse, and worse than this one; watch it, and take over after Skew_Time.
    Replace,
    /// The Active router is unfit and this one is not; take over now.
    TakeOver,
}

/// What a Backup hears of the Active router's priority.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Advertised {
    /// What it says now; 0 says that it leaves.
    pub(super) priority: u8,
    /// The highest that it has said since it is watched.
    pub(super) highest: u8,
}

/// What an advertisement means to an Active router.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum AsActive {
    /// Another router leaves, and says that the addresses are up for election: say that they are not.
    Resigned,
    /// The other router wins.
    Yield(Reason),
    /// The other router loses: tell it.
    Assert,
}

/// What an advertisement means to the Backup `own` (RFC 9568 §6.4.2).
///
/// Two things go beyond the RFC. Both are about an Active router that serves less well than it could, and whom no Backup
/// would ever replace under `Never`, because its advertisements are not to be discarded:
///
/// - The floor band: a member whose service fails advertises 1 to 15 and any healthy one takes over from it, whatever
///   `preemption` says. A router of another make whose configured priority is 15 or lower cannot be told from one; it
///   loses the addresses just as it would under `Immediate`.
/// - A priority that fell: a Backup that has heard the Active router advertise more than it does now, and stands above it
///   now, takes over after Skew_Time, so that the best of several is the first, as after a resignation. A router that has
///   advertised the same low priority all along is not worse than when it became Active, and keeps the addresses as
///   `preemption` says. `Immediate` needs no such rule: it takes over when the RFC does.
pub(super) fn as_backup(own: Candidate, theirs: Advertised, preemption: Preemption) -> AsBackup {
    let Some(priority) = Priority::new(theirs.priority) else {
        return AsBackup::Resigned;
    };
    if priority >= own.priority || !own.eligible {
        return AsBackup::Follow;
    }
    if priority.is_floor() && !own.priority.is_floor() && !own.failing {
        return AsBackup::TakeOver;
    }
    match preemption {
        Preemption::Immediate => AsBackup::Discard,
        // RFC 9568 §6.1, Preempt_Mode: the router that owns the addresses always preempts.
        _ if own.priority.is_owner() => AsBackup::Discard,
        // A router that is in doubt about itself neither takes over nor counts down.
        _ if own.failing => AsBackup::Follow,
        _ if theirs.priority < theirs.highest => AsBackup::Replace,
        Preemption::Delayed(delay) => AsBackup::FollowFor(delay),
        Preemption::Never => AsBackup::Follow,
    }
}

/// What an advertisement with priority `theirs` from `their_address` means to an Active router with `own` priority and
/// `own_address` (RFC 9568 §6.4.3). Addresses compare as unsigned integers in network byte order.
pub(super) fn as_active(
    own: Priority,
    own_address: Option<IpAddr>,
    theirs: u8,
    their_address: IpAddr,
) -> AsActive {
    let Some(theirs) = Priority::new(theirs) else {
        return AsActive::Resigned;
    };
    if theirs > own {
        AsActive::Yield(Reason::HigherPriority)
    } else if theirs == own && Some(their_address) > own_address {
        AsActive::Yield(Reason::HigherAddress)
    } else {
        AsActive::Assert
    }
}

#[cfg(test)]
mod tests {
    use core::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    const DELAY: Duration = Duration::from_secs(7);

    fn priority(value: u8) -> Priority {
        Priority::new(value).unwrap()
    }

    fn candidate(value: u8) -> Candidate {
        Candidate {
            priority: priority(value),
            failing: false,
            eligible: true,
        }
    }

    fn steady(priority: u8) -> Advertised {
        Advertised {
            priority,
            highest: priority,
        }
    }

    fn fallen(priority: u8) -> Advertised {
        Advertised {
            priority,
            highest: priority + 1,
        }
    }

    fn failing(value: u8) -> Candidate {
        Candidate {
            failing: true,
            ..candidate(value)
        }
    }

    fn v4(last: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, last).into()
    }

    #[test]
    fn backup_judges_by_priority_fitness_and_preemption() {
        use AsBackup::{Discard, Follow, FollowFor, Resigned, TakeOver};
        use Preemption::{Delayed, Immediate, Never};
        let banned = |value| Candidate {
            eligible: false,
            ..candidate(value)
        };
        let cases = [
            // own, theirs, Immediate, Delayed, Never
            (candidate(100), 0, Resigned, Resigned, Resigned),
            (candidate(100), 101, Follow, Follow, Follow),
            (candidate(100), 100, Follow, Follow, Follow),
            (candidate(100), 99, Discard, FollowFor(DELAY), Follow),
            (candidate(100), 16, Discard, FollowFor(DELAY), Follow),
            (candidate(100), 15, TakeOver, TakeOver, TakeOver),
            (candidate(16), 15, TakeOver, TakeOver, TakeOver),
            (candidate(15), 14, Discard, FollowFor(DELAY), Follow),
            (candidate(255), 254, Discard, Discard, Discard),
            (candidate(255), 15, TakeOver, TakeOver, TakeOver),
            (failing(10), 9, Discard, Follow, Follow),
            (failing(10), 11, Follow, Follow, Follow),
            (banned(100), 50, Follow, Follow, Follow),
            (banned(100), 5, Follow, Follow, Follow),
            (banned(100), 0, Resigned, Resigned, Resigned),
        ];
        for (own, theirs, immediate, delayed, never) in cases {
            for (preemption, wanted) in [(Immediate, immediate), (Delayed(DELAY), delayed), (Never, never)] {
                let verdict = as_backup(own, steady(theirs), preemption);
                assert_eq!(verdict, wanted, "{own:?} hears {theirs}, {preemption:?}");
            }
        }
    }

    #[test]
    fn backup_takes_over_from_a_priority_that_fell_below_its_own_where_it_would_otherwise_wait() {
        use AsBackup::{Discard, Follow, Replace, Resigned, TakeOver};
        use Preemption::{Delayed, Immediate, Never};
        let cases = [
            // own, theirs, Immediate, Delayed and Never
            (candidate(100), 0, Resigned, Resigned),
            (candidate(100), 101, Follow, Follow),
            (candidate(100), 100, Follow, Follow),
            (candidate(100), 99, Discard, Replace),
            (candidate(100), 15, TakeOver, TakeOver),
            (candidate(15), 14, Discard, Replace),
            (candidate(255), 254, Discard, Discard),
            (failing(10), 9, Discard, Follow),
            (
                Candidate {
                    eligible: false,
                    ..candidate(100)
                },
                50,
                Follow,
                Follow,
            ),
        ];
        for (own, theirs, immediate, others) in cases {
            for (preemption, wanted) in [(Immediate, immediate), (Delayed(DELAY), others), (Never, others)] {
                let verdict = as_backup(own, fallen(theirs), preemption);
                assert_eq!(verdict, wanted, "{own:?} hears {theirs}, {preemption:?}");
            }
        }
    }

    #[test]
    fn active_yields_to_a_higher_priority_whatever_the_addresses() {
        let verdict = as_active(priority(100), Some(v4(9)), 101, v4(1));
        assert_eq!(verdict, AsActive::Yield(Reason::HigherPriority));
    }

    #[test]
    fn equal_priority_is_decided_by_the_higher_source_address() {
        let verdict = |own, theirs| as_active(priority(100), Some(v4(own)), 100, v4(theirs));
        assert_eq!(verdict(1, 2), AsActive::Yield(Reason::HigherAddress));
        assert_eq!(verdict(2, 1), AsActive::Assert);
    }

    #[test]
    fn addresses_compare_unsigned_in_network_byte_order() {
        let own = Some(IpAddr::from(Ipv4Addr::new(9, 255, 255, 255)));
        let theirs = Ipv4Addr::new(200, 0, 0, 1).into();
        assert_eq!(
            as_active(priority(1), own, 1, theirs),
            AsActive::Yield(Reason::HigherAddress)
        );
        let own = Some(IpAddr::from(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xffff)));
        let theirs = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, 0).into();
        assert_eq!(
            as_active(priority(1), own, 1, theirs),
            AsActive::Yield(Reason::HigherAddress)
        );
    }

    #[test]
    fn of_two_owners_the_lower_address_yields() {
        let verdict = |own, theirs| as_active(Priority::OWNER, Some(v4(own)), 255, v4(theirs));
        assert_eq!(verdict(1, 2), AsActive::Yield(Reason::HigherAddress));
        assert_eq!(verdict(2, 1), AsActive::Assert);
    }

    #[test]
    fn active_does_not_yield_to_priority_zero() {
        assert_eq!(as_active(priority(1), Some(v4(1)), 0, v4(2)), AsActive::Resigned);
    }
}
