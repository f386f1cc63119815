//! Where the agent's instructions come from: the API, what it said last as kept on disk, and files. Reads them, merges
//! them, and says when they have changed; what then happens to what runs is the caller's decision.

mod admission;
mod api;
pub mod cache;
pub mod files;
mod follow;
mod instructions;
mod local;
mod merge;
pub(crate) mod password;
mod secrets;
mod told;
pub mod watch;

pub use api::{ApiSource, Heard, News, SecretNews};
pub use instructions::{Change, Instructions};
pub use local::{Difference, Files, Offer, Refusal};
pub use merge::{Memory, Merged, Provenance, Remembered};
pub use told::{Entry, FEATURES, Told};
