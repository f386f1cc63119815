//! Chance for spreading runs in time: the same for the same probe of the same node, so that what happens can be repeated.

use core::hash::Hasher as _;
use std::hash::DefaultHasher;

/// A sequence of numbers between 0 and 1.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The one of a probe of a group on a node.
    pub fn of(node: &str, group: &str, probe: &str) -> Self {
        // Made with fixed keys: no two processes differ.
        let mut hasher = DefaultHasher::new();
        for name in [node, group, probe] {
            hasher.write(name.as_bytes());
            hasher.write_u8(0);
        }
        Self(hasher.finish())
    }

    /// The next number (SplitMix64).
    pub fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bits = u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap_or(0);
        f64::from(bits) / f64::from(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_spread_over_everything_between_nothing_and_all() {
        let mut chance = Chance::of("cp-1", "web", "nginx");
        let drawn: Vec<f64> = (0..1000).map(|_| chance.next()).collect();
        for tenth in 0..10 {
            let from = f64::from(tenth) / 10.0;
            let within = drawn.iter().filter(|drawn| (from..from + 0.1).contains(*drawn));
            let count = within.count();
            assert!((60..140).contains(&count), "{count} from {from}");
        }
    }

    #[test]
    fn each_probe_has_its_own_and_always_the_same() {
        let first = |node, group, probe| Chance::of(node, group, probe).next().to_bits();
        let one = first("cp-1", "web", "nginx");
        assert_eq!(one, first("cp-1", "web", "nginx"));
        assert_ne!(one, first("cp-1", "web", "haproxy"));
        assert_ne!(one, first("cp-2", "web", "nginx"));
        assert_ne!(one, first("cp-1", "webn", "ginx"));
    }
}
