//! Which steps are played: all, or those that somebody who works on one of them has named.

use std::env;

use holdfast_e2e::{Result, outages::WRITE_VARIABLE};

/// Names the steps to be played, if not all are: words, separated by commas, of which one is in the step's name. What a step needs
/// of those before it has to be named, too.
const VARIABLE: &str = "HOLDFAST_E2E_STEPS";

/// The steps that are played.
#[derive(Debug)]
pub struct Chosen {
    /// `None`: all of them.
    words: Option<Vec<Word>>,
}

#[derive(Debug)]
struct Word {
    text: String,
    /// Whether a step had it in its name.
    found: bool,
}

impl Chosen {
    /// What the environment says.
    ///
    /// # Errors
    /// When a part of the steps would be kept as the table of all.
    pub fn from_environment() -> Result<Self> {
        let Ok(named) = env::var(VARIABLE) else {
            return Ok(Self { words: None });
        };
        if env::var_os(WRITE_VARIABLE).is_some() {
            return Err(
                format!("{VARIABLE} names some steps, and only a table of all is kept: unset it").into(),
            );
        }
        let words = named.split(',').map(str::trim).filter(|word| !word.is_empty());
        Ok(Self {
            words: Some(
                words
                    .map(|text| Word {
                        text: text.to_owned(),
                        found: false,
                    })
                    .collect(),
            ),
        })
    }

    /// Whether the step is played.
    pub fn has(&mut self, step: &str) -> bool {
        let Some(words) = &mut self.words else { return true };
        let mut has = false;
        for word in words.iter_mut().filter(|word| step.contains(&word.text)) {
            (word.found, has) = (true, true);
        }
        has
    }

    /// The words that are in no step's name, if there are any.
    pub fn complaint(&self) -> Option<String> {
        let words = self.words.iter().flatten().filter(|word| !word.found);
        let unknown: Vec<&str> = words.map(|word| word.text.as_str()).collect();
        (!unknown.is_empty()).then(|| format!("{VARIABLE}: no step's name has {unknown:?} in it"))
    }
}
