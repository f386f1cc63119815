//! What both clients of the API server have in common: watches that are paced, and pauses that grow with each failure.

mod backoff;
mod watches;

pub use backoff::{Backoff, chance};
pub use watches::{JITTER, PACE, Paced, PacedWatches};
