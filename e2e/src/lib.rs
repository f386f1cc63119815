//! What the whole-system tests share: the agent's file as a builder, the formulas of the RFCs, pairs of routers, FRR,
//! and captures judged by tshark. The tests are in `tests/`, one theme a file.

pub mod capture;
pub mod formula;
pub mod frr;
pub mod group;
pub mod look;
pub mod pair;

pub use self::{
    group::{Group, file_of},
    pair::{Pair, Router},
};

/// What a test returns on the way to its assertions.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
