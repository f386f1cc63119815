//! One thing to look at, as something that can be run again and again.

use futures::future::BoxFuture;
use holdfast_health::Run;

use crate::status::FaultStatus;

/// One thing to look at. A run is dropped when its time is over; nothing of it is left behind then.
pub trait Check: Send {
    /// Looks once.
    fn run<'a>(&'a mut self, scene: &'a Scene) -> BoxFuture<'a, Run>;

    /// How far a run came that was dropped when its time was over: `not connected`, `the answer is not complete`.
    fn interrupted(&self) -> Option<String> {
        None
    }

    /// What somebody should see to although it fails no run, as of the last run that could tell.
    fn warning(&self) -> Option<FaultStatus> {
        None
    }

    /// Waits until a run might find something else than the last one did, for whoever wants to know before it is time for the
    /// next run. Safe to cancel. Comes without a reason too, and may not come at all: only the next run knows.
    fn changed(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(core::future::pending())
    }
}

/// For whom a check is run, for programs that want to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scene {
    /// The node's name.
    pub node: String,
    /// The group's name.
    pub group: String,
    /// The probe's name.
    pub probe: String,
    /// The interface of the group's election, if it is known.
    pub interface: Option<String>,
    /// The group's state on this node: `Active`.
    pub state: &'static str,
    /// Its priority in the election; 0 before it has one.
    pub priority: u8,
}

#[cfg(test)]
impl Scene {
    /// Of a member that serves, for tests to which it does not matter.
    pub fn example() -> Self {
        Self {
            node: "cp-1".to_owned(),
            group: "web".to_owned(),
            probe: "check".to_owned(),
            interface: None,
            state: "Active",
            priority: 200,
        }
    }
}
