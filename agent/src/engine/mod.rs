//! The engine: one thread that waits for its sockets and its clock and for nothing else.
//!
//! [`api`] is how the rest of the agent talks to it, [`runtime`] its loop. What it decides by is pure and apart:
//! [`resolve`] (what a group means on this node), [`lifetime`], [`timers`], [`announcer`], [`notices`].

mod announcer;
mod api;
mod facts;
mod group;
mod lifetime;
mod notices;
mod outlet;
mod priority;
mod report;
mod resolve;
mod runtime;
mod timers;
mod wires;

pub use api::{Command, Ended, Engine, Event, Options, Predecessor, StartError, Takeover};
