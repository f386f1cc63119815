//! What is watched on this node: probes are run here, on a thread of their own, and what they find goes to the engine as a
//! judgement and to the reporters as words.

pub mod access;
pub mod check;
