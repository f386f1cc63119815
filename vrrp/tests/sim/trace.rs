//! What happened, line by line, for a person who replays a seed.

use crate::clock::Moment;

/// A record of events; empty unless somebody wants to read it.
#[derive(Debug, Default)]
pub struct Trace {
    wanted: bool,
    lines: Vec<String>,
}

impl Trace {
    /// A trace that keeps nothing: thousands of runs that nobody reads.
    pub fn unwanted() -> Self {
        Self::default()
    }

    /// A trace that keeps everything.
    pub fn wanted() -> Self {
        Self {
            wanted: true,
            lines: Vec::new(),
        }
    }

    /// Adds what happened `at`.
    pub fn add(&mut self, at: Moment, line: impl FnOnce() -> String) {
        if self.wanted {
            self.lines.push(format!("{at}  {}", line()));
        }
    }

    /// The lines so far.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }
}
