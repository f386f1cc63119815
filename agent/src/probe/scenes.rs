//! For whom probes are run: what the rest of the agent knows of each group, told as it changes and read as a run begins.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use holdfast_api::model::NodeSpec;

use super::check::Scene;

/// What is known of each group.
#[derive(Clone, Debug)]
pub struct Scenes {
    node: Arc<str>,
    groups: Arc<Mutex<BTreeMap<String, Known>>>,
}

#[derive(Clone, Debug)]
struct Known {
    state: &'static str,
    priority: u8,
    /// The interface that is written, and the one that the engine has found.
    written: Option<String>,
    found: Option<String>,
}

/// The state of a group whose virtual router has not started.
const INITIALIZE: &str = "Initialize";

impl Scenes {
    /// Of a node of this name.
    pub fn new(node: &str) -> Self {
        Self {
            node: node.into(),
            groups: Arc::default(),
        }
    }

    /// The node's name.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// These are the groups, and no others.
    pub fn set_groups(&self, spec: &NodeSpec) {
        let mut groups = self.groups();
        groups.retain(|name, _| spec.groups.contains_key(name));
        for (name, group) in &spec.groups {
            let known = groups.entry(name.clone()).or_insert(Known {
                state: INITIALIZE,
                priority: 0,
                written: None,
                found: None,
            });
            known.written.clone_from(&group.interface);
        }
    }

    /// A group is in this state now, with this priority, on this interface. One that is not known is nobody's concern.
    pub fn note_state(&self, group: &str, state: &'static str, priority: u8, interface: Option<String>) {
        if let Some(known) = self.groups().get_mut(group) {
            known.state = state;
            known.priority = priority;
            known.found = interface;
        }
    }

    /// A group has this priority now.
    pub fn note_priority(&self, group: &str, priority: u8) {
        if let Some(known) = self.groups().get_mut(group) {
            known.priority = priority;
        }
    }

    /// For whom a probe is run now.
    pub fn of(&self, group: &str, probe: &str) -> Scene {
        let known = self.groups().get(group).cloned();
        let known = known.as_ref();
        Scene {
            node: self.node.to_string(),
            group: group.to_owned(),
            probe: probe.to_owned(),
            interface: known.and_then(|known| known.found.clone().or_else(|| known.written.clone())),
            state: known.map_or(INITIALIZE, |known| known.state),
            priority: known.map_or(0, |known| known.priority),
        }
    }

    fn groups(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        // Every change leaves the map whole.
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
