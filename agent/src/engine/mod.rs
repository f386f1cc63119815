//! The engine: one thread that waits for its sockets and its clock and for nothing else.

mod api;

pub use api::{Command, Engine, Event, Options, Predecessor, StartError, Takeover};
