//! From what is written to what looks.

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
        let here = || local::build(check, &access, &node);
        net::build(check)
            .or_else(here)
            .unwrap_or_else(|| Box::new(Nobody))
    })
}

/// For what neither of the two knows, of which there is nothing: a probe must not seem to pass if ever there is.
struct Nobody;

impl Check for Nobody {
    fn run<'a>(&'a mut self, _: &'a Scene) -> BoxFuture<'a, Run> {
        let run = Run::new(
            Outcome::CouldNotRun,
            "this agent does not know how to look at this",
        );
        Box::pin(core::future::ready(run))
    }
}
