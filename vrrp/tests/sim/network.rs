//! The link between the nodes: who hears whom, how late, how often, and how damaged.

use core::time::Duration;

use crate::rng::Rng;

/// How the link treats each packet.
#[derive(Clone, Copy, Debug)]
pub struct Quality {
    /// The shortest delay. Packets with different delays overtake each other.
    pub min_delay: Duration,
    /// The longest delay.
    pub max_delay: Duration,
    /// How many of a thousand packets arrive twice.
    pub duplicated: u32,
}

/// What the link does to packets while it is at its worst.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Damage {
    /// How many of a thousand packets are lost.
    pub lost: u32,
    /// How many of a thousand packets arrive with a byte changed.
    pub corrupted: u32,
}

/// The link's present condition.
#[derive(Debug)]
pub struct Network {
    /// How it always treats packets.
    pub quality: Quality,
    /// How it treats them at the moment on top of that.
    pub damage: Damage,
    /// `cut[from][to]`: what `from` sends does not reach `to`.
    cut: Vec<Vec<bool>>,
    rng: Rng,
}

impl Network {
    /// A whole link between `nodes` nodes.
    pub fn new(nodes: usize, quality: Quality, rng: Rng) -> Self {
        Self {
            quality,
            damage: Damage::default(),
            cut: vec![vec![false; nodes]; nodes],
            rng,
        }
    }

    /// Stops (or lets through again) what `from` sends to `to`.
    pub fn cut(&mut self, from: usize, to: usize, cut: bool) {
        self.cut[from][to] = cut;
    }

    /// Splits the link: nodes hear each other if they are in the same cell.
    pub fn partition(&mut self, cells: &[u8]) {
        for (from, row) in self.cut.iter_mut().enumerate() {
            for (to, cut) in row.iter_mut().enumerate() {
                *cut = cells[from] != cells[to];
            }
        }
    }

    /// Whether what `from` sends can reach `to`.
    pub fn reaches(&self, from: usize, to: usize) -> bool {
        !self.cut[from][to]
    }

    /// The delays after which the copies of one packet arrive: none if it is lost, two if it is duplicated.
    pub fn arrivals(&mut self, from: usize, to: usize) -> impl Iterator<Item = Duration> + use<> {
        let Quality {
            min_delay,
            max_delay,
            duplicated,
        } = self.quality;
        let arrives = self.reaches(from, to) && !self.rng.chance(self.damage.lost);
        let first = arrives.then(|| self.rng.between(min_delay, max_delay));
        let second = (arrives && self.rng.chance(duplicated)).then(|| self.rng.between(min_delay, max_delay));
        first.into_iter().chain(second)
    }

    /// Changes one byte of a packet if the link is in the mood for it.
    pub fn corrupt(&mut self, payload: &mut [u8]) -> bool {
        let corrupted = !payload.is_empty() && self.rng.chance(self.damage.corrupted);
        if corrupted {
            let at = self.rng.index(payload.len());
            // Never by zero: the byte is another one afterwards.
            payload[at] ^= u8::try_from(1 + self.rng.below(255)).unwrap_or(1);
        }
        corrupted
    }
}
