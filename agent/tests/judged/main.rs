//! Engines in network namespaces that are told how healthy their node is: alone, in pairs, and with groups that move together.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // Lints know test functions, not their helpers.

#[path = "../isolated/mod.rs"]
mod isolated;
mod judgement;
mod rig;
mod sync_groups;
