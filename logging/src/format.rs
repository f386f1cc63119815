//! How log lines look.

use clap::ValueEnum;

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Format {
    /// `text` if standard error is a terminal, otherwise `json`
    Auto,
    /// For people: time, level, sentence, fields
    Text,
    /// For collectors: one JSON object a line
    Json,
}

impl Format {
    /// Whether lines are for people, where standard error is a `terminal` or not.
    pub(crate) fn is_for_people(self, terminal: bool) -> bool {
        match self {
            Self::Auto => terminal,
            Self::Text => true,
            Self::Json => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_auto_looks_at_the_terminal() {
        let looks = |format: Format| [true, false].map(|terminal| format.is_for_people(terminal));
        assert_eq!(looks(Format::Auto), [true, false]);
        assert_eq!(looks(Format::Text), [true, true]);
        assert_eq!(looks(Format::Json), [false, false]);
    }
}
