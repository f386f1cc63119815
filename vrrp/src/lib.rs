//! The Virtual Router Redundancy Protocol without IO (RFC 9568 and RFC 3768).
//!
//! [`wire`] parses and emits packets. [`VirtualRouter`] is one virtual router's state machine: it is handed what
//! happened together with the time, answers with a list of [`Action`]s, and says when it wants to be called again.
//! It reads no clock, owns no socket, never sleeps, never panics, and its memory is bounded by its configuration.

mod config;
mod evidence;
mod health;
mod io;
mod router;
mod state;
mod time;
mod types;
pub mod wire;

pub use config::{
    Announcement, Authentication, Change, Checksum, Config, Peer, Preemption, Transport, VirtualAddress,
};
pub use evidence::{DropReason, Notice};
pub use health::{Fault, Faults, Health, Standing};
pub use io::{Action, AddressResult, Announce, Input, Received, Shutdown};
pub use router::{Resume, TRANSITIONS, VirtualRouter};
pub use state::{Reason, Snapshot, State, Transition};
pub use time::Instant;
pub use types::{
    Family, Interval, IntervalError, Priority, Version, VirtualRouterId, active_down_interval, skew,
};
