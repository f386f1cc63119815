//! What a field means when it is not written. Schema and serde both take it from here, so they cannot disagree.

use core::net::{Ipv4Addr, Ipv6Addr};

use holdfast_vrrp::Priority;

use super::{Advertisement, Announcement, Checksum, Mode};
use crate::duration::GatewayDuration;

/// VRRPv3 (RFC 9568).
pub const VERSION: i32 = 3;
/// RFC 9568 §6.1's default for a router that does not own the addresses.
pub const PRIORITY: i32 = Priority::DEFAULT.get() as i32;
/// The priority of a router that owns the addresses (RFC 9568 §5.2.4).
pub const OWNER_PRIORITY: i32 = Priority::OWNER.get() as i32;
/// One second (RFC 9568 §6.1).
pub const INTERVAL: GatewayDuration = GatewayDuration::from_secs(1);
/// Only from the same link.
pub const MIN_TTL: i32 = 255;
/// Packets per address in a burst of announcements.
pub const ANNOUNCEMENT_COUNT: i32 = 5;
/// When the second burst follows the first.
pub const ANNOUNCEMENT_REPEAT_AFTER: GatewayDuration = GatewayDuration::from_secs(5);
/// The time between slow refreshes.
pub const ANNOUNCEMENT_REFRESH_INTERVAL: GatewayDuration = GatewayDuration::from_secs(60);
/// The multicast group of VRRP over IPv4 (RFC 9568 §5.1.1.2).
pub const MULTICAST_GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// The multicast group of VRRP over IPv6 (RFC 9568 §5.1.2.2).
pub const MULTICAST_GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);
/// How often a probe runs, and how long one may take.
pub const PROBE_PERIOD: GatewayDuration = GatewayDuration::from_secs(1);
/// keepalived's `fall`.
pub const FAILURE_THRESHOLD: i32 = 3;
/// keepalived's `rise`.
pub const SUCCESS_THRESHOLD: i32 = 2;

pub(super) const fn version() -> i32 {
    VERSION
}

pub(super) const fn priority() -> i32 {
    PRIORITY
}

pub(super) const fn interval() -> GatewayDuration {
    INTERVAL
}

pub(super) const fn min_ttl() -> i32 {
    MIN_TTL
}

pub(super) const fn announcement_count() -> i32 {
    ANNOUNCEMENT_COUNT
}

pub(super) const fn repeat_after() -> GatewayDuration {
    ANNOUNCEMENT_REPEAT_AFTER
}

pub(super) const fn refresh_interval() -> GatewayDuration {
    ANNOUNCEMENT_REFRESH_INTERVAL
}

pub(super) const fn probe_period() -> GatewayDuration {
    PROBE_PERIOD
}

pub(super) const fn failure_threshold() -> i32 {
    FAILURE_THRESHOLD
}

pub(super) const fn success_threshold() -> i32 {
    SUCCESS_THRESHOLD
}

impl Default for Advertisement {
    fn default() -> Self {
        Self {
            version: VERSION,
            interval: INTERVAL,
            mode: Mode::default(),
            family: None,
            multicast_group: None,
            peers: Vec::new(),
            checksum: Checksum::default(),
        }
    }
}

impl Default for Announcement {
    fn default() -> Self {
        Self {
            count: ANNOUNCEMENT_COUNT,
            repeat_after: ANNOUNCEMENT_REPEAT_AFTER,
            refresh_interval: ANNOUNCEMENT_REFRESH_INTERVAL,
            arp_reply: false,
        }
    }
}
