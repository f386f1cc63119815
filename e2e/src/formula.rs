//! The times that RFC 3768 §6.1 and RFC 9568 §6.1 promise, and how far from them a test lets a measurement be.
//!
//! They are written down here once more, apart from the protocol core: a test that asked the core would believe it.

use std::{ops::RangeInclusive, time::Duration};

use holdfast_lab::PROBE_INTERVAL;

/// How much later than the formula a case may see it that runs while no other does: the takeover's own work, the
/// client's millisecond, the scheduler.
pub const MARGIN_ALONE: Duration = Duration::from_millis(30);
/// The same for a case that runs beside others on a busy machine.
pub const MARGIN_BESIDE: Duration = Duration::from_millis(500);
/// What a client may miss during a handover that promises no hole.
pub const NO_HOLE: Duration = Duration::from_millis(5);
/// For how long an IPv4 address that leaves may still be on its node, where nothing reaches it any more: its connections are reset
/// meanwhile, by a thread that has no real-time priority.
pub const LEAVING: Duration = Duration::from_millis(100);
/// For how long a client goes on sending to whom its cache names, whoever answers: Linux waits for five seconds, asks that one
/// three times, a second apart, and only then asks everybody.
pub const CACHED: Duration = Duration::from_secs(3);
/// How long addresses outlive their agent at intervals of up to half a second, and what the kernel's clock adds.
pub const LIFETIME: Duration = Duration::from_millis(3500);

/// How a virtual router's timers are reckoned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timing {
    /// 2 or 3.
    pub version: u8,
    /// The advertisement interval of the Active router.
    pub interval: Duration,
}

impl Timing {
    /// VRRPv3 with an interval of so many milliseconds.
    pub const fn v3(millis: u64) -> Self {
        Self {
            version: 3,
            interval: Duration::from_millis(millis),
        }
    }

    /// VRRPv2, which knows whole seconds, with an interval of one.
    pub const V2: Self = Self {
        version: 2,
        interval: Duration::from_secs(1),
    };

    /// Skew_Time: how long a Backup of `priority` leaves those before it their chance.
    pub fn skew(self, priority: u8) -> Duration {
        // RFC 3768 counts in seconds, RFC 9568 in intervals.
        let unit = if self.version == 2 {
            Duration::from_secs(1)
        } else {
            self.interval
        };
        unit * u32::from(256 - u16::from(priority)) / 256
    }

    /// Active_Down_Interval: how long a Backup of `priority` waits for the next advertisement.
    pub fn active_down(self, priority: u8) -> Duration {
        3 * self.interval + self.skew(priority)
    }

    /// How long nobody answers when the Active router is lost and the Backup has `priority`: the last advertisement
    /// was sent up to an interval before the loss. `noise` is what the machine itself makes of a millisecond.
    pub fn outage(self, priority: u8, margin: Duration, noise: Duration) -> RangeInclusive<Duration> {
        let longest = self.active_down(priority);
        let earliest = longest.saturating_sub(self.interval + PROBE_INTERVAL + noise);
        earliest..=longest + margin + noise
    }

    /// When a Backup of `priority` answers after the Active router's priority 0.
    pub fn after_resignation(
        self,
        priority: u8,
        margin: Duration,
        noise: Duration,
    ) -> RangeInclusive<Duration> {
        let skew = self.skew(priority);
        skew.saturating_sub(PROBE_INTERVAL + noise)..=skew + margin + noise
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_are_those_of_protocol_text_books() {
        assert_eq!(Timing::V2.active_down(100), Duration::from_micros(3_609_375));
        assert_eq!(
            Timing::v3(100).active_down(100),
            Duration::from_nanos(360_937_500)
        );
        assert_eq!(Timing::v3(10).skew(100), Duration::from_nanos(6_093_750));
    }
}
