//! The protocol's small vocabulary: identifiers, priorities, versions, intervals.

use core::fmt;
use core::net::IpAddr;
use core::num::NonZeroU8;
use core::time::Duration;

use thiserror::Error;

/// Identifies a virtual router on one link and in one address family: 1 to 255 (RFC 9568 §5.2.3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct VirtualRouterId(NonZeroU8);

impl VirtualRouterId {
    /// `None` if `id` is 0, which no virtual router may use.
    pub const fn new(id: u8) -> Option<Self> {
        match NonZeroU8::new(id) {
            Some(id) => Some(Self(id)),
            None => None,
        }
    }

    /// The identifier as it stands in the packet.
    pub const fn get(self) -> u8 {
        self.0.get()
    }
}

impl fmt::Display for VirtualRouterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// How much a router wants to be Active: 1 to 255 (RFC 9568 §5.2.4). Zero is not a priority: on the wire it
/// says "I am leaving" and stands in [`crate::wire`] only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Priority(NonZeroU8);

impl Priority {
    /// The router that owns the addresses (RFC 9568 §5.2.4).
    pub const OWNER: Self = Self(NonZeroU8::MAX);
    /// RFC 9568's default for a router that backs others up.
    pub const DEFAULT: Self = Self(NonZeroU8::MIN.saturating_add(99));
    /// The highest priority of a router that does not own the addresses.
    pub const BACKUP_MAX: Self = Self(NonZeroU8::MIN.saturating_add(253));
    /// The highest priority of the floor band, in which members with a failing service stay in the election.
    pub const FLOOR_MAX: Self = Self(NonZeroU8::MIN.saturating_add(14));

    /// `None` if `priority` is 0.
    pub const fn new(priority: u8) -> Option<Self> {
        match NonZeroU8::new(priority) {
            Some(priority) => Some(Self(priority)),
            None => None,
        }
    }

    /// The priority as it stands in the packet.
    pub const fn get(self) -> u8 {
        self.0.get()
    }

    /// Whether this says that the router owns the addresses.
    pub const fn is_owner(self) -> bool {
        self.get() == u8::MAX
    }

    /// Whether this lies in the floor band, 1 to 15.
    pub const fn is_floor(self) -> bool {
        self.get() <= Self::FLOOR_MAX.get()
    }

    /// This priority's place in the floor band: 1 to 15, in the order of the base priorities.
    #[must_use]
    pub const fn floored(self) -> Self {
        // 1..=255 mapped onto 1..=15; monotonic, so that the best failing member is still the best.
        let scaled = (self.get() - 1) / 17;
        Self(NonZeroU8::MIN.saturating_add(if scaled > 14 { 14 } else { scaled }))
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// The protocol version a virtual router speaks. The two do not understand each other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Version {
    /// RFC 3768: IPv4 only, whole seconds; keepalived's default.
    V2,
    /// RFC 9568: IPv4 and IPv6, centiseconds.
    V3,
}

impl Version {
    /// The number in the packet's first four bits.
    pub const fn number(self) -> u8 {
        match self {
            Self::V2 => 2,
            Self::V3 => 3,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VRRPv{}", self.number())
    }
}

/// The address family in which an election is held.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of `address`.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// The time between two advertisements of an Active router, in a form its version can say on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Interval(Duration);

/// Why a duration cannot be an advertisement interval.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum IntervalError {
    /// VRRPv3 counts in centiseconds, in twelve bits (RFC 9568 §5.2.7).
    #[error("a VRRPv3 interval is a multiple of 10ms from 10ms to 40950ms, not {0:?}")]
    V3(Duration),
    /// VRRPv2 counts in seconds, in eight bits (RFC 3768 §5.3.7).
    #[error("a VRRPv2 interval is a whole number of seconds from 1s to 255s, not {0:?}")]
    V2(Duration),
}

impl Interval {
    /// One second: the default of both versions.
    pub const DEFAULT: Self = Self(Duration::from_secs(1));

    /// The interval, if `version` can express it.
    pub fn new(version: Version, interval: Duration) -> Result<Self, IntervalError> {
        match version {
            Version::V3 => {
                let centis = interval.as_nanos() / 10_000_000;
                let exact = interval.as_nanos().is_multiple_of(10_000_000);
                if exact && (1..=4095).contains(&centis) {
                    Ok(Self(interval))
                } else {
                    Err(IntervalError::V3(interval))
                }
            }
            Version::V2 => {
                let exact = interval.subsec_nanos() == 0;
                if exact && (1..=255).contains(&interval.as_secs()) {
                    Ok(Self(interval))
                } else {
                    Err(IntervalError::V2(interval))
                }
            }
        }
    }

    /// The interval a VRRPv3 packet gives in centiseconds; `None` for 0 (erratum 8301) and above twelve bits.
    pub const fn from_centis(centis: u16) -> Option<Self> {
        if centis == 0 || centis > 4095 {
            None
        } else {
            Some(Self(Duration::from_millis(centis as u64 * 10)))
        }
    }

    /// The interval a VRRPv2 packet gives in seconds; `None` for 0.
    pub const fn from_secs(secs: u8) -> Option<Self> {
        if secs == 0 {
            None
        } else {
            Some(Self(Duration::from_secs(secs as u64)))
        }
    }

    /// The interval as a length of time.
    pub const fn get(self) -> Duration {
        self.0
    }
}

/// Skew_Time: how much later than 3 intervals a router of this priority gives up on a silent Active router.
///
/// RFC 9568 §6.1: `((256 - priority) * Active_Adver_Interval) / 256`; RFC 3768 §6.1: `(256 - priority) / 256`
/// seconds. Computed in nanoseconds: in centiseconds every skew at 10 ms would be zero.
pub fn skew(version: Version, priority: Priority, interval: Interval) -> Duration {
    skew_unit(version, interval) * (256 - u32::from(priority.get())) / 256
}

/// The step of Skew_Time: how much later a router gives up than one whose priority is higher by one.
pub fn skew_step(version: Version, interval: Interval) -> Duration {
    skew_unit(version, interval) / 256
}

/// What Skew_Time is a share of.
const fn skew_unit(version: Version, interval: Interval) -> Duration {
    match version {
        Version::V3 => interval.get(),
        Version::V2 => Duration::from_secs(1),
    }
}

/// Active_Down_Interval: how long the Active router may be silent (RFC 9568 §6.1): three intervals and the skew.
pub fn active_down_interval(version: Version, priority: Priority, interval: Interval) -> Duration {
    3 * interval.get() + skew(version, priority, interval)
}
