//! From what is written to what looks: the one place that knows every kind of check.

use std::sync::Arc;

use futures::future::BoxFuture;
use holdfast_health::{Outcome, Run};

use super::access::Access;
use super::check::{Check, Scene};
use super::runner::Make;
use super::{local, net};

/// Makes checks for an agent with this access to its node.
pub fn make(access: Access) -> Make {
    let node = local::Node::default();
    Arc::new(move |check| {
        local::build(check, &access, &node)
            .or_else(|| net::build(check))
            .unwrap_or_else(|| Box::new(Missing))
    })
}

struct Missing;

impl Check for Missing {
    fn run<'a>(&'a mut self, _: &'a Scene) -> BoxFuture<'a, Run> {
        let run = Run::new(
            Outcome::CouldNotRun,
            "this agent does not know this kind of probe: use an agent of the operator's version",
        );
        Box::pin(core::future::ready(run))
    }
}
