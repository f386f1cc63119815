//! The node agent: [`source`] says what to do, [`engine`] does it with [`socket`] and [`netlink`], [`report`] tells
//! what happened. One direction: source → engine → kernel, and events → report.

pub mod api_server;
pub mod cli;
pub mod clock;
pub mod connections;
mod descriptors;
mod durable;
pub mod engine;
pub mod lock;
pub mod manifest;
pub mod netlink;
pub mod probe;
pub mod report;
pub mod shutdown;
pub mod socket;
pub mod source;
pub mod state_file;
pub mod status;
mod sys;
