//! The engine's events as log lines: one line a transition, with everything that somebody who was asleep needs.

use holdfast_vrrp::State;

use super::{Shared, words};
use crate::engine::Event;

/// Logs `event` and counts it.
pub fn report(event: &Event, shared: &Shared) {
    match event {
        Event::Transition {
            group,
            transition,
            message,
            ..
        } => {
            shared.count_transition((group.clone(), transition.to.name(), transition.reason.name()));
            let duration = transition.silence.map(words::outage);
            macro_rules! line {
                ($level:ident) => {
                    tracing::$level!(
                        group,
                        from = transition.from.name(),
                        to = transition.to.name(),
                        reason = transition.reason.name(),
                        priority = transition.priority.get(),
                        duration,
                        "{message}"
                    )
                };
            }
            if transition.to == State::Fault {
                line!(warn);
            } else {
                line!(info);
            }
        }
        Event::PriorityChanged {
            group,
            from,
            to,
            message,
        } => tracing::info!(group, from = from.get(), to = to.get(), "{message}"),
        Event::Notice { group, kind, message } => {
            tracing::warn!(group = group.as_deref(), kind, "{message}");
        }
        Event::Withdrawn { group } => {
            tracing::info!(group, "withdrawn: the group has given up its addresses");
        }
        Event::Stopped => tracing::info!("the engine has stopped"),
    }
}
