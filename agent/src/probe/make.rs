//! From what is written to what looks: the one place that knows every kind of check.

use std::sync::Arc;

use futures::future::BoxFuture;
use holdfast_api::model::probe as model;
use holdfast_health::{Outcome, Run};

use super::access::Access;
use super::check::{Check, Scene};
use super::local::{Exec, File, Process, Processes};
use super::net;
use super::runner::Make;

/// Makes checks for an agent with this access to its node.
pub fn make(access: Access) -> Make {
    let processes = Processes::default();
    Arc::new(move |check| match check {
        model::Check::Exec(exec) => Box::new(Exec::new(exec.clone(), &access)),
        model::Check::Process(process) => Box::new(Process::new(process.clone(), processes.clone())),
        model::Check::File(file) => Box::new(File::new(file.clone())),
        other => net::build(other).unwrap_or_else(|| Box::new(Missing)),
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
