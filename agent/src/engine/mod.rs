//! The engine: one thread that waits for its sockets and its clock and for nothing else.
//!
//! `handle` is how the rest of the agent holds it, `messages` what the two say, `runtime` its loop. What it decides by is
//! apart and pure: `resolve` (what a group means on this node), `fitness` (how fit the node is for it), `account` (why), `lifetime`,
//! `timers`, `announcer`, `notices`.

mod account;
mod announcer;
mod facts;
mod fitness;
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
pub use resolve::bound_prefix_length;
