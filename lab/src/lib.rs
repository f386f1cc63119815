//! The lab: networks out of namespaces, agents and peers in them, faults, and a client that measures.
//!
//! Everything happens inside a [`sandbox`], which needs no privilege where the machine allows user namespaces, and
//! which nothing outlives. A program enters it first thing in `main`; tests use [`harness`], which gives every case
//! a sandbox of its own.
//!
//! ```no_run
//! use std::time::{Duration, Instant};
//! use holdfast_lab::{Lab, Meter, keepalived::{Keepalived, VrrpInstance}, sandbox};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     sandbox::enter()?;
//!     let lab = Lab::new()?;
//!     let (client, a, b) = (lab.client()?, lab.node("a")?, lab.node("b")?);
//!     let vip = "10.77.0.100".parse()?;
//!     let instance = VrrpInstance::new(51).address("10.77.0.100/24");
//!     let _preferred = Keepalived::start(&a, &[instance.clone().priority(200)])?;
//!     let _other = Keepalived::start(&b, &[instance])?;
//!     let meter = Meter::start(&client, &[a.clone(), b], &[vip])?;
//!     meter.wait_for_answer(vip, "a", Duration::from_secs(5))?;
//!     let fault = Instant::now();
//!     a.unplug()?;
//!     meter.wait_for_answer(vip, "b", Duration::from_secs(5))?;
//!     println!("{:?}", meter.report_since(vip, fault));
//!     Ok(())
//! }
//! ```

pub mod agent;
mod client;
pub mod command;
pub mod demo;
mod error;
mod fault;
pub mod frr;
pub mod harness;
pub mod keepalived;
pub mod kubeadm;
pub mod kubernetes;
mod lab;
mod logs;
mod meter;
mod netns;
mod node;
mod process;
mod responder;
mod rtnetlink;
pub mod sandbox;
pub mod service;
mod stolen;
mod sys;
pub mod timeline;
mod watch;
mod worker;

pub use self::{
    agent::{Agent, AgentOptions},
    error::{Error, Result},
    keepalived::Keepalived,
    lab::{CLIENT, Lab, Segment, wait_until},
    meter::{Meter, PROBE_INTERVAL, Report},
    netns::NetNs,
    node::{INTERFACE, InterfaceAddress, Node},
    process::Process,
};
