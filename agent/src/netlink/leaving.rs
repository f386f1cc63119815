//! Addresses on their way out: they take no packets any more, and stay for a moment so that their connections can be reset.

use std::collections::VecDeque;

use super::Binding;
use crate::connections::Told;

/// What one request takes away.
#[derive(Debug)]
pub(super) struct Departure {
    /// The request's.
    pub ticket: u64,
    /// The addresses that wait.
    pub bindings: Vec<Binding>,
    /// When they need not wait any longer.
    pub told: Told,
}

/// All that are on their way, the first one first.
#[derive(Debug, Default)]
pub(super) struct Departures(VecDeque<Departure>);

impl Departures {
    pub fn add(&mut self, departure: Departure) {
        self.0.push_back(departure);
    }

    /// Waits until the first one need not wait any longer, which is to be taken then; for good if there is none.
    pub async fn ready(&mut self) {
        match self.0.front_mut() {
            Some(departure) => departure.told.wait().await,
            None => core::future::pending().await,
        }
    }

    /// The first one.
    pub fn take(&mut self) -> Option<Departure> {
        self.0.pop_front()
    }

    /// Whether one of these addresses is among them.
    pub fn concern(&self, bindings: &[Binding]) -> bool {
        let mut leaving = self.0.iter().flat_map(|departure| &departure.bindings);
        leaving.any(|leaving| bindings.iter().any(|binding| binding.address == leaving.address))
    }
}
