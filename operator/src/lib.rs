//! The operator: watches groups and nodes, renders what each node does, and says in each group's status what is true of it.
//!
//! [`watch`] folds what the API server says into the [`index`], which is pure and answers what became worth looking at;
//! [`controller`] gives each of those a turn of one of the two reconcilers, [`group`] and [`node`], while this replica is
//! the [`leader`]; they decide nothing themselves (that is `holdfast_api::cluster` and `holdfast_api::aggregate`) and
//! write through [`write`](mod@write) only.

pub mod cli;
pub mod clock;
pub mod connect;
pub mod context;
pub mod controller;
pub mod deletion;
pub mod error;
pub mod events;
pub mod group;
pub mod http;
pub mod index;
pub mod leader;
pub mod metrics;
pub mod node;
pub mod queue;
mod run;
#[cfg(test)]
mod testing;
pub mod uninstall;
pub mod watch;
pub mod world;
pub mod write;
