//! The log: text on a terminal, JSON lines otherwise, to standard error.

use std::fmt;
use std::io::IsTerminal as _;

use jiff::Timestamp;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum Format {
    /// `text` if standard error is a terminal, otherwise `json`.
    #[default]
    Auto,
    /// For people: time, level, sentence, fields.
    Text,
    /// For collectors: one JSON object a line.
    Json,
}

/// What is logged: a level (`info`), or levels by module (`info,holdfast_operator::watch=debug`).
#[derive(Clone, PartialEq, Debug)]
pub struct Level(Targets);

impl std::str::FromStr for Level {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, Self::Err> {
        // `Targets` itself takes a bare word that is no level for a module: nobody means that.
        let is_level = |part: &str| {
            let (target, level) = part.split_once('=').unwrap_or(("everything", part));
            !target.trim().is_empty()
                && !level.trim().is_empty()
                && level.trim().parse::<LevelFilter>().is_ok()
        };
        let targets = if written.split(',').all(is_level) {
            written.parse().ok()
        } else {
            None
        };
        targets.map(Self).ok_or_else(|| {
            format!(
                "`{written}` is not a log level: write error, warn, info, debug, trace or off, \
                 or levels by module like `info,holdfast_operator::watch=debug`"
            )
        })
    }
}

/// Starts logging to standard error.
pub fn init(level: &Level, format: Format) {
    let terminal = std::io::stderr().is_terminal();
    let text = match format {
        Format::Auto => terminal,
        Format::Text => true,
        Format::Json => false,
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_timer(Clock)
        // Whoever reads the log may go away; complaining about that on the same closed pipe would panic.
        .log_internal_errors(false);
    let lines = if text {
        lines.with_ansi(terminal).with_target(false).boxed()
    } else {
        lines.json().flatten_event(true).with_target(true).boxed()
    };
    // It tells every request that failed, and so does whoever made it, in words.
    let targets = level
        .0
        .clone()
        .with_target("kube_client::client::builder", LevelFilter::OFF);
    tracing_subscriber::registry().with(targets).with(lines).init();
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
        for wrong in ["loud", "", "info,=", "holdfast_operator=loud"] {
            let Err(sentence) = wrong.parse::<Level>() else {
                panic!("`{wrong}` was taken for a level")
            };
            assert!(sentence.contains("write error, warn, info"), "{sentence}");
        }
        assert!("info,holdfast_operator::watch=debug".parse::<Level>().is_ok());
    }
}
