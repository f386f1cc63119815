//! What the whole-system tests share: the agent's file as a builder, the formulas of the RFCs, pairs of routers, FRR,
//! captures judged by tshark, visitors of a service, tables of outages, the guide for kubeadm, and clusters with a real API server. The tests are in `tests/`, one theme a file.

pub mod capture;
pub mod chart;
pub mod cluster;
pub mod formula;
pub mod frr;
pub mod group;
pub mod guide;
pub mod look;
pub mod outages;
pub mod pair;
pub mod real_time;
pub mod visitor;

pub use self::{
    group::{Group, file_of},
    pair::{Pair, Router},
};

/// What a test returns on the way to its assertions.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
