//! The log: human on a terminal, JSON lines otherwise, and a level that changes while the agent runs.

use std::fmt;
use std::io::IsTerminal as _;

use jiff::Timestamp;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, Registry, reload};

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum Format {
    /// `human` if standard error is a terminal, otherwise `json`.
    #[default]
    Auto,
    /// For people: time, level, sentence, fields.
    Human,
    /// For collectors: one JSON object a line.
    Json,
}

/// What is logged: a level (`info`), or levels by module (`info,holdfast_agent::netlink=debug`).
#[derive(Clone, PartialEq, Debug)]
pub struct Level {
    written: String,
    targets: Targets,
}

impl std::str::FromStr for Level {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, Self::Err> {
        // `Targets` itself takes a bare word that is no level for a module, and no word for "log nothing": nobody
        // means that.
        let is_level = |part: &str| {
            let (target, level) = part.split_once('=').unwrap_or(("everything", part));
            !target.trim().is_empty()
                && !level.trim().is_empty()
                && level.trim().parse::<LevelFilter>().is_ok()
        };
        let targets: Option<Targets> = if written.split(',').all(is_level) {
            written.parse().ok()
        } else {
            None
        };
        targets
            .map(|targets| Self {
                written: written.to_owned(),
                targets: quiet(targets),
            })
            .ok_or_else(|| {
                format!(
                    "`{written}` is not a log level: write error, warn, info, debug, trace or off, \
                 or levels by module like `info,holdfast_agent::netlink=debug`"
                )
            })
    }
}

/// The client's crates say in several lines what the agent says in one, so they are heard from `debug` on.
fn quiet(mut targets: Targets) -> Targets {
    if targets
        .default_level()
        .is_none_or(|level| level <= LevelFilter::INFO)
    {
        for library in ["kube_client", "kube_runtime"] {
            if !targets.iter().any(|(target, _)| target.starts_with(library)) {
                targets = targets.with_target(library, LevelFilter::OFF);
            }
        }
    }
    targets
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// Changes the level while the agent runs.
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
            .reload(level.targets.clone())
            .map_err(|error| format!("changing the log level: {error}"))
    }
}

/// Starts logging to standard error.
pub fn init(level: &Level, format: Format) -> LogControl {
    let terminal = std::io::stderr().is_terminal();
    let human = match format {
        Format::Auto => terminal,
        Format::Human => true,
        Format::Json => false,
    };
    let (filter, handle) = reload::Layer::new(level.targets.clone());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_timer(Clock)
        // Whoever reads the log may go away; complaining about that on the same closed pipe would panic.
        .log_internal_errors(false);
    let lines = if human {
        lines.with_ansi(terminal).with_target(false).boxed()
    } else {
        lines.json().flatten_event(true).with_target(true).boxed()
    };
    tracing_subscriber::registry().with(filter).with(lines).init();
    LogControl { handle: Some(handle) }
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
    fn a_level_that_is_none_is_refused_with_what_to_write() {
        for wrong in ["loud", "", "info,=", "holdfast_agent=loud"] {
            let Err(sentence) = wrong.parse::<Level>() else {
                panic!("`{wrong}` was taken for a level")
            };
            assert!(sentence.contains("write error, warn, info"), "{sentence}");
        }
    }

    #[test]
    fn the_client_is_heard_when_somebody_debugs() {
        let hears = |level: &str| {
            let level: Level = level.parse().unwrap();
            level
                .targets
                .would_enable("kube_client::client", &tracing::Level::ERROR)
        };
        assert!(!hears("info") && !hears("info,holdfast_agent=debug") && !hears("off"));
        assert!(hears("debug") && hears("info,kube_client=warn"));
    }

    #[test]
    fn levels_can_differ_by_module() {
        let level: Level = "info,holdfast_agent::netlink=debug".parse().unwrap();
        assert!(
            level
                .targets
                .would_enable("holdfast_agent::netlink", &tracing::Level::DEBUG)
        );
        assert!(
            !level
                .targets
                .would_enable("holdfast_agent::engine", &tracing::Level::DEBUG)
        );
        assert!(
            level
                .targets
                .would_enable("holdfast_agent::engine", &tracing::Level::INFO)
        );
    }
}
