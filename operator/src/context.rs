//! What the reconcilers work with.

use core::time::Duration;
use std::sync::Arc;

use crate::deletion::Circumstances;
use crate::events::Speaker;
use crate::metrics::Metrics;
use crate::world::World;
use crate::write::Writer;

/// What the reconcilers work with.
pub struct Context {
    /// What is known.
    pub world: Arc<World>,
    /// What is written.
    pub writer: Writer,
    /// What is said in Events.
    pub speaker: Speaker,
    /// What is measured.
    pub metrics: Arc<Metrics>,
    /// What a deletion depends on beside the group.
    pub circumstances: Circumstances,
    /// Held while an identifier is chosen and written, so that no two groups are given the same.
    pub allocating: tokio::sync::Mutex<()>,
    /// How long a silent member is waited for.
    pub patience: Duration,
}
