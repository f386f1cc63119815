//! Colour, and only on a terminal that wants it.

use std::io::IsTerminal as _;

/// Whether what is written is coloured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Paint {
    colour: bool,
}

/// What a colour says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tone {
    /// As it should be and at work.
    Good,
    /// Look here.
    Warning,
    /// Broken.
    Bad,
    /// Less important than what is beside it.
    Faint,
    /// A headline.
    Strong,
}

impl Paint {
    /// No colour.
    #[cfg(test)]
    pub const PLAIN: Self = Self { colour: false };

    /// Colour if standard output is a terminal and NO_COLOR is not set.
    pub fn for_stdout() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            colour: std::io::stdout().is_terminal() && !refused,
        }
    }

    /// `text` in the tone's colour.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Good => "32",
            Tone::Warning => "33",
            Tone::Bad => "31;1",
            Tone::Faint => "2",
            Tone::Strong => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}
