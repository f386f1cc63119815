//! What the agent tells about itself: log lines, the local status socket with its client, and HTTP for probes and
//! metrics. All of it reads [`Shared`]; nothing here changes what the engine does.

pub mod client;
pub mod events;
#[cfg(test)]
pub mod example;
pub mod http;
pub mod kubernetes;
pub mod metrics;
pub mod protocol;
mod shared;
pub mod socket;
#[cfg(test)]
mod troubleshooting;
pub mod words;

/// A module whose log lines may be of interest on their own: the example of levels by module.
pub const LOG_MODULE: &str = "holdfast_agent::netlink";

pub use shared::{Shared, SnapshotError, TransitionKey};
