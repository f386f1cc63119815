//! The agent's one clock: `CLOCK_MONOTONIC`, read as the protocol core's [`Instant`].

use holdfast_vrrp::Instant;
use nix::time::{ClockId, clock_gettime};

/// The time now. Never goes back and does not jump when somebody sets the wall clock.
pub fn now() -> Instant {
    // CLOCK_MONOTONIC exists on every Linux; an error here would mean that the kernel is not one.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Instant::ZERO, |time| {
        let secs = u64::try_from(time.tv_sec()).unwrap_or(0);
        let nanos = u64::try_from(time.tv_nsec()).unwrap_or(0);
        Instant::from_nanos(secs.saturating_mul(1_000_000_000).saturating_add(nanos))
    })
}
