//! How long bound addresses live without renewal: the dead-man's switch.

use core::time::Duration;

/// The shortest lifetime: the bound on how long a killed or frozen node still answers for an address.
const SHORTEST: Duration = Duration::from_secs(3);

/// So many addresses are renewed per second at most; a node with more renews each less often.
const RENEWALS_PER_SECOND: usize = 1000;

/// The lifetime for a group with this Active_Down_Interval on a node with `addresses` virtual addresses in all.
///
/// Whole seconds, because the kernel counts in them. Not shorter than the Active_Down_Interval: before that nobody else
/// takes over anyway, and a router that lives with slow advertisements may as well live with slow renewals.
pub fn lifetime(active_down_interval: Duration, addresses: usize) -> Duration {
    // Renewed every third of its life, a lifetime of L seconds costs 3·n/L renewals a second.
    let for_many = Duration::from_secs((3 * addresses).div_ceil(RENEWALS_PER_SECOND) as u64);
    let longest = SHORTEST.max(active_down_interval).max(for_many);
    let whole = longest.as_secs() + u64::from(longest.subsec_nanos() > 0);
    Duration::from_secs(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_group_lives_three_seconds() {
        assert_eq!(lifetime(Duration::from_millis(361), 1), Duration::from_secs(3));
    }

    #[test]
    fn a_slow_group_lives_as_long_as_others_wait_for_it_in_whole_seconds() {
        assert_eq!(lifetime(Duration::from_millis(3609), 1), Duration::from_secs(4));
    }

    #[test]
    fn many_addresses_live_longer_so_that_renewals_stay_bounded() {
        assert_eq!(lifetime(Duration::from_millis(361), 1000), Duration::from_secs(3));
        assert_eq!(
            lifetime(Duration::from_millis(361), 5000),
            Duration::from_secs(15)
        );
    }
}
