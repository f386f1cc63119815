//! How often the addresses go from one node to another.

use core::time::Duration;
use std::collections::VecDeque;

use crate::clock::Moment;

/// So many moves within [`WINDOW`] are too many: EVPN fabrics freeze an address then (RFC 7432 §15.1).
const TOO_MANY: usize = 5;

/// The time within which moves are counted.
const WINDOW: Duration = Duration::from_mins(3);

/// The last moves.
#[derive(Debug, Default)]
pub struct Moves {
    /// Who became Active last.
    last: Option<usize>,
    moves: VecDeque<Moment>,
}

impl Moves {
    /// Takes note that `node` became Active; returns the time of the last moves if they are too many.
    pub fn becomes_active(&mut self, now: Moment, node: usize) -> Option<Duration> {
        let before = self.last.replace(node)?;
        if before == node {
            return None;
        }
        self.moves.push_back(now);
        if self.moves.len() > TOO_MANY {
            self.moves.pop_front();
        }
        let first = self.moves.front().filter(|_| self.moves.len() == TOO_MANY)?;
        Some(now.since(*first)).filter(|time| *time < WINDOW)
    }
}
