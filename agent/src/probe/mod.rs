//! What is watched on this node: probes are run here, on a thread of their own, and what they find goes to the engine as a
//! judgement and to the reporters as words.
//!
//! `prober` is how the rest of the agent holds the thread, `worker` its loop, `runner` one probe's task. What it decides by is
//! apart: `schedule` (when), [`holdfast_health`] (what it means), `words` and `shown` (how that is said).

pub mod access;
mod chance;
pub mod check;
mod clocks;
mod group;
pub mod local;
mod make;
pub mod net;
mod nonlocal;
mod prober;
mod runner;
mod scenes;
mod schedule;
mod shown;
#[cfg(test)]
mod tests;
mod words;
mod worker;

pub use make::make;
pub use prober::{Prober, Stuck};
pub use runner::Make;
pub use worker::Audience;
