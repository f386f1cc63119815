//! The log of the operator and the agents, to standard error: for people on a terminal, JSON lines otherwise, at a level
//! that can change while the program runs.

mod format;
mod level;

pub use format::Format;
pub use level::Level;

use core::fmt;
use std::io::IsTerminal as _;

use jiff::Timestamp;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, Registry, reload};

/// Starts logging to standard error.
pub fn init(level: &Level, format: Format) -> LogControl {
    let terminal = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_timer(Clock)
        // Whoever reads the log may go away; complaining about that on the same closed pipe would panic.
        .log_internal_errors(false);
    let lines = if format.is_for_people(terminal) {
        lines.with_ansi(terminal).with_target(false).boxed()
    } else {
        lines.json().flatten_event(true).with_target(true).boxed()
    };
    let (filter, control) = filter(level);
    tracing_subscriber::registry().with(filter).with(lines).init();
    control
}

/// What lets lines of `level` through, and what changes that.
fn filter(level: &Level) -> (reload::Layer<Targets, Registry>, LogControl) {
    let (filter, handle) = reload::Layer::new(level.targets().clone());
    (filter, LogControl { handle: Some(handle) })
}

/// Changes the level while the program runs.
#[derive(Clone, Debug, Default)]
pub struct LogControl {
    // None in tests, where no subscriber was installed.
    handle: Option<reload::Handle<Targets, Registry>>,
}

impl LogControl {
    /// From now on log at `level`. An error says why that was not possible.
    pub fn set(&self, level: &Level) -> Result<(), String> {
        let Some(handle) = &self.handle else { return Ok(()) };
        handle
            .reload(level.targets().clone())
            .map_err(|error| format!("changing the log level: {error}"))
    }
}

/// Time stamps in UTC with milliseconds, the same in both formats.
struct Clock;

impl FormatTime for Clock {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        write!(w, "{:.3}", Timestamp::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_changes_while_the_program_runs() {
        let level = |written| Level::parse(written, "a::b").unwrap();
        let (filter, control) = filter(&level("info"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(filter), || {
            let hears_debug = || tracing::enabled!(tracing::Level::DEBUG);
            assert!(!hears_debug());
            control.set(&level("debug")).unwrap();
            assert!(hears_debug());
            control.set(&level("off")).unwrap();
            assert!(!tracing::enabled!(tracing::Level::ERROR));
        });
    }
}
