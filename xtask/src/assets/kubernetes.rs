//! Which of the supported versions of Kubernetes is built and tested with.

use std::env;
use std::ffi::OsStr;

use anyhow::{Context, Result};
use clap::ValueEnum;

/// The variable that chooses one, here and in the tests.
const VARIABLE: &str = "HOLDFAST_KUBERNETES";

/// A supported version of Kubernetes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Kubernetes {
    /// The newest, which CI runs
    Newest,
    /// The oldest that the chart installs into
    Oldest,
}

impl Kubernetes {
    /// Its name in the environment of a test.
    pub const fn environment(self) -> (&'static str, &'static str) {
        match self {
            Self::Newest => (VARIABLE, "newest"),
            Self::Oldest => (VARIABLE, "oldest"),
        }
    }

    /// The one that the environment names, or the newest.
    pub fn from_environment() -> Result<Self> {
        Self::named(env::var_os(VARIABLE).as_deref())
    }

    fn named(name: Option<&OsStr>) -> Result<Self> {
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return Ok(Self::Newest);
        };
        // By the words of the switch.
        let found = name.to_str().and_then(|name| Self::from_str(name, false).ok());
        found.with_context(|| {
            format!(
                "{VARIABLE} is {}; set it to newest or oldest, or unset it for the newest",
                name.display()
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_taken_unless_the_oldest_is_named() {
        let named = |name: &str| Kubernetes::named(Some(OsStr::new(name)));
        assert_eq!(Kubernetes::named(None).unwrap(), Kubernetes::Newest);
        assert_eq!(named("").unwrap(), Kubernetes::Newest);
        assert_eq!(named("oldest").unwrap(), Kubernetes::Oldest);
        let error = named("1.33").unwrap_err().to_string();
        assert!(
            error.contains("HOLDFAST_KUBERNETES is 1.33; set it to newest or oldest"),
            "{error}"
        );
    }

    #[test]
    fn the_switch_and_the_variable_have_the_same_words() {
        for version in Kubernetes::value_variants() {
            let word = version.to_possible_value().unwrap();
            assert_eq!(word.get_name(), version.environment().1);
        }
    }
}
