//! How log lines look.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// For people if standard error is a terminal, otherwise JSON.
    Auto,
    /// For people: time, level, sentence, fields.
    People,
    /// For collectors: one JSON object a line.
    Json,
}

impl Format {
    /// Reads a format from the command line, where `people` is this program's word for [`Format::People`].
    pub fn parser(people: &'static str) -> impl TypedValueParser<Value = Self> {
        PossibleValuesParser::new([
            PossibleValue::new("auto").help(format!(
                "`{people}` if standard error is a terminal, otherwise `json`"
            )),
            PossibleValue::new(people).help("For people: time, level, sentence, fields"),
            PossibleValue::new("json").help("For collectors: one JSON object a line"),
        ])
        .map(|word| match word.as_str() {
            "auto" => Self::Auto,
            "json" => Self::Json,
            _ => Self::People,
        })
    }

    /// Whether lines are for people, where standard error is a `terminal` or not.
    pub(crate) fn is_for_people(self, terminal: bool) -> bool {
        match self {
            Self::Auto => terminal,
            Self::People => true,
            Self::Json => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{Arg, Command};

    use super::*;

    fn read(word: &'static str) -> Option<Format> {
        let format = Arg::new("format").value_parser(Format::parser("text"));
        let matches = Command::new("program")
            .arg(format)
            .try_get_matches_from(["program", word]);
        matches.ok()?.get_one("format").copied()
    }

    #[test]
    fn each_word_is_a_format_and_no_other_is() {
        assert_eq!(read("auto"), Some(Format::Auto));
        assert_eq!(read("text"), Some(Format::People));
        assert_eq!(read("json"), Some(Format::Json));
        assert_eq!(read("xml"), None);
    }

    #[test]
    fn only_auto_looks_at_the_terminal() {
        let looks = |format: Format| [true, false].map(|terminal| format.is_for_people(terminal));
        assert_eq!(looks(Format::Auto), [true, false]);
        assert_eq!(looks(Format::People), [true, true]);
        assert_eq!(looks(Format::Json), [false, false]);
    }
}
