//! How far a run has come, for the day it is cut off.

use std::borrow::Cow;

/// How far a run has come: the end of `no answer within 1s: …`. Empty before it began.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Stage(Cow<'static, str>);

impl Stage {
    /// Before a connection stands.
    pub const CONNECTING: &'static str = "not connected";
    /// Before TLS stands.
    pub const SECURING: &'static str = "TLS handshake not finished";
    /// Before the first of an answer.
    pub const WAITING: &'static str = "connected, but nothing was answered";
    /// Before the last of it.
    pub const READING: &'static str = "the answer does not end";

    /// From now on the run is there.
    pub fn set(&mut self, stage: impl Into<Cow<'static, str>>) {
        self.0 = stage.into();
    }

    /// What it says.
    pub fn said(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.0.clone().into_owned())
    }
}
