//! What a field means when it is not written. Schema and serde both take it from here, so they cannot disagree.

use core::net::{Ipv4Addr, Ipv6Addr};

use holdfast_vrrp::Priority;

use super::{Advertisement, Announcement, Checksum, FlapDamping, Mode};
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
/// How often a probe runs.
pub const PROBE_PERIOD: GatewayDuration = GatewayDuration::from_secs(1);
/// How long a run of a probe may take.
pub const PROBE_TIMEOUT: GatewayDuration = GatewayDuration::from_secs(1);
/// The path that is asked for by HTTP.
pub const PATH: &str = "/";
/// The statuses of HTTP that pass, as the kubelet has them.
pub const STATUSES: &str = "200-399";
/// MySQL's port.
pub const MYSQL_PORT: i32 = 3306;
/// How often healing is tried in a row.
pub const RECOVER_ATTEMPTS: i32 = 2;
/// For how long after the last attempt no healing is begun anew.
pub const RECOVER_COOLDOWN: GatewayDuration = GatewayDuration::from_secs(30);
/// How long one attempt to heal may take.
pub const RECOVER_TIMEOUT: GatewayDuration = GatewayDuration::from_secs(30);
/// After so many changes of its fitness a node is held back: three moves of the addresses at most in the window.
pub const DAMPING_CHANGES: i32 = 3;
/// The time in which EVPN fabrics count moves of an address (RFC 7432 §15.1).
pub const DAMPING_WINDOW: GatewayDuration = GatewayDuration::from_secs(180);
/// The longest time for which a node is held back.
pub const DAMPING_LONGEST: GatewayDuration = GatewayDuration::from_secs(1800);
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

pub(super) const fn probe_timeout() -> GatewayDuration {
    PROBE_TIMEOUT
}

pub(super) fn path() -> String {
    PATH.to_owned()
}

pub(super) fn statuses() -> Vec<String> {
    vec![STATUSES.to_owned()]
}

pub(super) const fn mysql_port() -> i32 {
    MYSQL_PORT
}

pub(super) const fn yes() -> bool {
    true
}

pub(super) const fn recover_attempts() -> i32 {
    RECOVER_ATTEMPTS
}

pub(super) const fn recover_cooldown() -> GatewayDuration {
    RECOVER_COOLDOWN
}

pub(super) const fn recover_timeout() -> GatewayDuration {
    RECOVER_TIMEOUT
}

pub(super) const fn damping_changes() -> i32 {
    DAMPING_CHANGES
}

pub(super) const fn damping_window() -> GatewayDuration {
    DAMPING_WINDOW
}

pub(super) const fn damping_longest() -> GatewayDuration {
    DAMPING_LONGEST
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

impl Default for FlapDamping {
    fn default() -> Self {
        Self {
            changes: DAMPING_CHANGES,
            window: DAMPING_WINDOW,
            longest: DAMPING_LONGEST,
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
