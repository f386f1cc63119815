//! The engine's events as log lines: one line a transition, with everything that somebody who was asleep needs.

use core::net::IpAddr;
use std::collections::BTreeSet;

use holdfast_vrrp::State;

use super::{Shared, words};
use crate::connections::{Closed, News};
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

/// Logs what became of the connections of addresses that left this node, and counts it.
pub fn report_connections(news: &News, shared: &Shared) {
    match news {
        News::Limitation(sentence) => shared.add_limitation(sentence),
        News::Closed(closed) => {
            shared.count_closed(closed.counts);
            let message = describe(closed);
            if closed.unfinished {
                tracing::warn!("{message}; there may be more, which were not closed in time");
            } else {
                tracing::info!("{message}");
            }
        }
    }
}

/// `closed 2 TCP sockets and 1 tracked connection of 10.0.0.100, which has left this node`.
fn describe(closed: &Closed) -> String {
    let kinds = [
        (closed.counts.tcp, "TCP socket"),
        (closed.counts.udp, "UDP socket"),
        (closed.counts.tracked, "tracked connection"),
    ];
    let counts: Vec<String> = kinds
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, thing)| words::count(usize::try_from(count).unwrap_or(usize::MAX), thing))
        .collect();
    let counts = match counts.as_slice() {
        [] => "no connections".to_owned(),
        [all] => all.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    };
    let have = if closed.addresses.len() == 1 {
        "has"
    } else {
        "have"
    };
    format!(
        "closed {counts} of {}, which {have} left this node",
        of(&closed.addresses)
    )
}

fn of(addresses: &BTreeSet<IpAddr>) -> String {
    match addresses.iter().next() {
        None => "addresses".to_owned(),
        Some(first) if addresses.len() == 1 => first.to_string(),
        Some(first) => format!("{first} and {}", count_more(addresses.len() - 1)),
    }
}

fn count_more(addresses: usize) -> String {
    if addresses == 1 {
        "1 more address".to_owned()
    } else {
        format!("{addresses} more addresses")
    }
}
