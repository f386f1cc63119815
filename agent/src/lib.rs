//! The node agent: [`source`] says what to do, [`engine`] does it with [`socket`] and [`netlink`], [`report`] tells
//! what happened. One direction: source → engine → kernel, and events → report.

pub mod clock;
pub mod engine;
pub mod netlink;
pub mod socket;
pub mod status;
