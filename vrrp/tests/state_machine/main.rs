//! The state machine of one virtual router, sentence by sentence.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::unchecked_time_subtraction,
    reason = "a test fails by panicking, its helpers too"
)]

mod active;
mod backup;
mod diagram;
mod fitness;
mod handover;
mod harness;
mod holding;
mod pair;
mod properties;
mod receive;
mod reconfigure;
mod starting;
