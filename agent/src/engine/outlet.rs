//! The way out for events: bounded, and it never blocks. A full channel costs history, never the latest state.

use std::collections::BTreeMap;

use tokio::sync::mpsc;

use super::messages::Event;

/// Sends events, and keeps the latest per group while the channel is full.
#[derive(Debug)]
pub struct Outlet {
    channel: mpsc::Sender<Event>,
    waiting: BTreeMap<Option<String>, Event>,
}

impl Outlet {
    /// An outlet into `channel`.
    pub fn new(channel: mpsc::Sender<Event>) -> Self {
        Self {
            channel,
            waiting: BTreeMap::new(),
        }
    }

    /// Sends `event`, or keeps it in place of what waited for the same group. A transition is never replaced by
    /// less.
    pub fn send(&mut self, event: Event) {
        self.flush();
        let group = match &event {
            Event::Transition { group, .. }
            | Event::PriorityChanged { group, .. }
            | Event::Withdrawn { group } => Some(group.clone()),
            Event::Notice { group, .. } => group.clone(),
            Event::Stopped => None,
        };
        if self.waiting.is_empty() {
            let Err(mpsc::error::TrySendError::Full(event)) = self.channel.try_send(event) else {
                return;
            };
            self.waiting.insert(group, event);
        } else if !matches!(event, Event::Notice { .. } | Event::PriorityChanged { .. })
            || !self.waiting.contains_key(&group)
        {
            self.waiting.insert(group, event);
        }
    }

    /// Sends what waits, as far as there is room.
    pub fn flush(&mut self) {
        while let Some((group, event)) = self.waiting.pop_first() {
            if let Err(mpsc::error::TrySendError::Full(event)) = self.channel.try_send(event) {
                self.waiting.insert(group, event);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use holdfast_vrrp::{Priority, Reason, State, Transition};

    use super::*;
    use crate::engine::RouterIdentity;

    fn transition(group: &str, to: State) -> Event {
        let transition = Transition {
            from: State::Backup,
            to,
            reason: Reason::ActiveSilent,
            priority: Priority::DEFAULT,
            silence: None,
        };
        Event::Transition {
            group: group.into(),
            router: RouterIdentity::example(),
            transition,
            interface: None,
            message: String::new(),
        }
    }

    #[test]
    fn a_full_channel_keeps_the_latest_transition_of_each_group() {
        let (sender, mut receiver) = mpsc::channel(1);
        let mut outlet = Outlet::new(sender);
        outlet.send(transition("a", State::Active));
        outlet.send(transition("a", State::Backup));
        outlet.send(transition("b", State::Active));
        outlet.send(transition("a", State::Fault));
        let mut seen = Vec::new();
        while let Ok(event) = receiver.try_recv() {
            seen.push(event);
            outlet.flush();
        }
        assert_eq!(
            seen,
            [
                transition("a", State::Active),
                transition("a", State::Fault),
                transition("b", State::Active)
            ]
        );
    }

    #[test]
    fn a_notice_does_not_displace_a_transition_that_waits() {
        let (sender, mut receiver) = mpsc::channel(1);
        let mut outlet = Outlet::new(sender);
        outlet.send(transition("a", State::Active));
        outlet.send(transition("a", State::Fault));
        outlet.send(Event::Notice {
            group: Some("a".into()),
            kind: "ttl".into(),
            message: String::new(),
        });
        receiver.try_recv().unwrap();
        outlet.flush();
        assert_eq!(receiver.try_recv().unwrap(), transition("a", State::Fault));
    }
}
