//! What is logged: one level, or levels by module.

use core::fmt;

use tracing_subscriber::filter::{LevelFilter, Targets};

/// These say in several lines what our programs say in one, so they are heard from `debug` on.
const LIBRARIES: [&str; 2] = ["kube_client", "kube_runtime"];

/// What is logged: a level (`info`), or levels by module (`info,holdfast_agent::netlink=debug`).
#[derive(Clone, PartialEq, Debug)]
pub struct Level {
    written: String,
    targets: Targets,
}

impl Level {
    /// The level that is `written`. An error says what to write instead, with `module` of this program as an example.
    pub fn parse(written: &str, module: &str) -> Result<Self, String> {
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
                     or levels by module like `info,{module}=debug`"
                )
            })
    }

    /// [`Level::parse`] for the command line.
    pub fn parser(
        module: &'static str,
    ) -> impl Fn(&str) -> Result<Self, String> + Clone + Send + Sync + 'static {
        |written| Self::parse(written, module)
    }

    pub(crate) fn targets(&self) -> &Targets {
        &self.targets
    }
}

/// Without the libraries, unless somebody asks for them or debugs everything.
fn quiet(mut targets: Targets) -> Targets {
    if targets
        .default_level()
        .is_none_or(|level| level <= LevelFilter::INFO)
    {
        for library in LIBRARIES {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn level(written: &str) -> Level {
        Level::parse(written, "holdfast_agent::netlink").unwrap()
    }

    #[test]
    fn a_level_that_is_none_is_refused_with_what_to_write() {
        for wrong in ["loud", "", "info,=", "holdfast_agent=loud"] {
            let Err(sentence) = Level::parse(wrong, "holdfast_operator::watch") else {
                panic!("`{wrong}` was taken for a level")
            };
            assert_eq!(
                sentence,
                format!(
                    "`{wrong}` is not a log level: write error, warn, info, debug, trace or off, \
                     or levels by module like `info,holdfast_operator::watch=debug`"
                )
            );
        }
    }

    #[test]
    fn the_kubernetes_client_is_heard_when_somebody_debugs() {
        let hears = |written| {
            LIBRARIES.map(|library| {
                level(written)
                    .targets
                    .would_enable(&format!("{library}::client"), &tracing::Level::ERROR)
            })
        };
        for silent in ["info", "info,holdfast_agent=debug", "off"] {
            assert_eq!(hears(silent), [false, false], "{silent}");
        }
        assert_eq!(hears("debug"), [true, true]);
        assert_eq!(hears("info,kube_client=warn"), [true, false]);
    }

    #[test]
    fn levels_can_differ_by_module() {
        let level = level("info,holdfast_agent::netlink=debug");
        let hears = |module, words| level.targets.would_enable(module, &words);
        assert!(hears("holdfast_agent::netlink", tracing::Level::DEBUG));
        assert!(!hears("holdfast_agent::engine", tracing::Level::DEBUG));
        assert!(hears("holdfast_agent::engine", tracing::Level::INFO));
    }

    #[test]
    fn a_level_is_shown_as_it_was_written() {
        assert_eq!(level("info,a::b=debug").to_string(), "info,a::b=debug");
    }
}
