//! docs/kubeadm.md, read as what it is for: files to write and lines to type, by somebody who does nothing else. Every fenced block
//! is one that `script` knows by the heading that it stands under and the sentence that leads to it, so that a guide that changes
//! its course is noticed without a cluster; the test `real_guide` then follows it on one.

#[cfg(test)]
mod automation;
mod blocks;
mod names;
mod proxy;
mod script;
mod secrets;

pub use self::{
    blocks::Block,
    names::{MACHINES, Names},
    proxy::Proxy,
    script::{Guide, Part},
    secrets::Printed,
};
