//! The agent of a control-plane node that runs before there is a cluster: a static Pod that carries its group with it. Pure:
//! flags in, text out; the same flags give the same bytes.

mod check;
mod group;
mod pod;

pub use check::{Complaint, check};
pub use group::{ControlPlane, Member, NODE_LABEL, Preemption, Proxy};
pub use pod::{Container, GROUP_ANNOTATION, METRICS_PORT, PullPolicy, pod};

#[cfg(test)]
mod tests;
