//! The node reconciler: what one node is told, over all groups it shares in.

#[cfg(test)]
mod tests;

use core::time::Duration;

use crate::context::Context;
use crate::error::Error;
use crate::world::Start;

/// One turn of one node: look at what is known, render, and write if that is news. Answers when the passing of time alone may
/// change something.
pub async fn reconcile(context: &Context, name: &str) -> Result<Option<Duration>, Error> {
    // Dereference: everything is in the index, unless a former write has ended without an answer.
    if context.world.is_telling(name) {
        context.writer.read_node(name).await?;
    }

    // Build: rendering is pure.
    let plan = match context.world.start_telling(name) {
        Start::Tell(plan) => plan,
        Start::Later(fellow) => return Err(Error::FellowFirst(fellow)),
        Start::Nothing(look_again) => {
            context.world.stop_telling(name);
            return Ok(look_again);
        }
    };

    // Apply. Without an answer the node may have been told: until that is known, its fellows are told nothing new.
    let written = match &plan.stored {
        Some(stored) => context.writer.update_node(name, stored, &plan.spec).await,
        None => context.writer.create_node(name, plan.spec).await,
    };
    if !written.as_ref().is_err_and(Error::is_open) {
        context.world.stop_telling(name);
    }
    written.map(|()| plan.look_again)
}
