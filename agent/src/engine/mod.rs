//! The engine: one thread that waits for its sockets and its clock and for nothing else.
//!
//! `handle` is how the rest of the agent holds it, `messages` what the two say, `runtime` its loop. What it decides by is
//! apart and pure: `resolve` (what a group means on this node), `lifetime`, `timers`, `announcer`, `notices`.

mod announcer;
mod facts;
mod group;
mod handle;
mod lifetime;
mod messages;
mod notices;
mod outlet;
mod priority;
mod report;
mod resolve;
mod runtime;
mod timers;
mod wires;

pub use handle::{Ended, Engine, Options, StartError};
pub use messages::{Command, Event, Judged, Predecessor, RouterIdentity, Takeover};
