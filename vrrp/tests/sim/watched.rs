//! What a Backup must have heard of the Active router, because nothing happened for long enough.

use core::time::Duration;

use holdfast_vrrp::{Instant, Priority};

use crate::clock::Moment;
use crate::node::Node;

/// One Backup's knowledge of one Active router.
#[derive(Clone, Copy, Debug)]
struct Watched {
    /// Whom it watches, and since when that one is Active.
    active: (usize, Instant),
    /// Since when it is Backup itself, and since when its process has been running.
    since: (Instant, Moment),
    /// The highest priority with which the other one has stood.
    highest: Priority,
}

/// Every node's knowledge of the router that is Active.
#[derive(Debug)]
pub struct Watching {
    nodes: Vec<Option<Watched>>,
    /// How long it takes at most until an advertisement has been heard.
    interval: Duration,
}

impl Watching {
    pub fn new(nodes: usize, interval: Duration) -> Self {
        Self {
            nodes: vec![None; nodes],
            interval,
        }
    }

    /// Something happened after which nodes may have heard others than before.
    pub fn forget(&mut self) {
        self.nodes.fill(None);
    }

    /// Takes note of what the Backup `member` hears of `active` while nothing else happens; returns the highest priority that it
    /// has heard since it watches it.
    pub fn hears(&mut self, now: Moment, member: usize, active: usize, nodes: &[Node]) -> Option<Priority> {
        let (watching, heard) = (nodes[member].awake()?, nodes[active].awake()?);
        let backup_for = nodes[member]
            .clock
            .read(now)
            .saturating_duration_since(watching.seen.since);
        if backup_for.min(now.since(watching.running_since)) < 2 * self.interval {
            // It may have heard nothing yet.
            return None;
        }
        let present = Watched {
            active: (active, heard.seen.since),
            since: (watching.seen.since, watching.running_since),
            highest: nodes[active].standing(),
        };
        let same = |before: &Watched| (before.active, before.since) == (present.active, present.since);
        let before = self.nodes[member].filter(same);
        let highest = before.map_or(present.highest, |before| before.highest.max(present.highest));
        self.nodes[member] = Some(Watched { highest, ..present });
        Some(highest)
    }
}
