//! What one run of a probe found.

use core::fmt;

/// What one run of a probe found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Run {
    /// In one word.
    pub outcome: Outcome,
    /// In a few words, for people: `connection refused`, `answered 503`. Empty if there is nothing to say.
    pub message: String,
    /// What the run adds to the priority while the probe passes: the number in a file.
    pub adds: Option<i16>,
}

/// How one run of a probe ended. Everything but [`Outcome::Passed`] speaks against the probe; the words tell people where to
/// look.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Outcome {
    /// What was looked for is as it should be.
    Passed,
    /// It is not.
    Failed,
    /// There was no answer in time.
    TimedOut,
    /// The probe itself could not be run: its program is missing, no process could be started.
    CouldNotRun,
}

impl Outcome {
    /// The word as status shows it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passed => "Passed",
            Self::Failed => "Failed",
            Self::TimedOut => "TimedOut",
            Self::CouldNotRun => "CouldNotRun",
        }
    }

    /// Whether a run that ended so speaks for the service.
    pub const fn is_pass(self) -> bool {
        matches!(self, Self::Passed)
    }
}

impl Outcome {
    /// What runs that ended so have found, for a line: that they could not be run or had no answer is not to be mistaken for a
    /// failing service. `longest` is how many characters of `message` are repeated.
    pub fn in_words(self, message: &str, longest: usize) -> String {
        let message = first_line(message, longest);
        let plain = match self {
            Self::Passed => "passed",
            Self::Failed if message.is_empty() => "failed",
            Self::Failed => return message,
            Self::TimedOut => "timed out",
            Self::CouldNotRun => "could not be run",
        };
        if message.is_empty() {
            plain.to_owned()
        } else {
            format!("{plain}: {message}")
        }
    }
}

/// The first line that says something, cut if it has more than `longest` characters.
pub(crate) fn first_line(text: &str, longest: usize) -> String {
    let line = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or("");
    match line.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or(line)),
        None => line.to_owned(),
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Run {
    /// Of a longer message the rest is cut off, so that a probe that floods its output fills no memory.
    pub const LONGEST_MESSAGE: usize = 4096;

    /// A run that ended so.
    pub fn new(outcome: Outcome, message: impl Into<String>) -> Self {
        Self {
            outcome,
            message: message.into(),
            adds: None,
        }
    }

    /// The same with a message of [`Self::LONGEST_MESSAGE`] bytes at most.
    pub(crate) fn cut(mut self) -> Self {
        let end = self.message.floor_char_boundary(Self::LONGEST_MESSAGE);
        self.message.truncate(end);
        self.message.shrink_to_fit();
        self
    }
}
