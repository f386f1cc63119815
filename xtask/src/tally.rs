//! Counts tests from the lines with which test binaries close: libtest's, and those of ours that imitate it.

use std::fmt;
use std::ops::AddAssign;

/// How many tests passed, failed and were left out.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Tally {
    /// Ran and passed.
    pub passed: u64,
    /// Ran and failed.
    pub failed: u64,
    /// Were marked to be left out.
    pub ignored: u64,
}

impl Tally {
    /// Adds the counts of `line` if it is a closing line: `test result: ok. 12 passed; 0 failed; 0 ignored; …`.
    pub fn add_line(&mut self, line: &str) {
        let Some((_, counts)) = line
            .trim()
            .strip_prefix("test result: ")
            .and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for count in counts.split(';') {
            let Some((number, what)) = count.trim().split_once(' ') else {
                continue;
            };
            let Ok(number) = number.parse::<u64>() else {
                continue;
            };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} tests passed, {} failed, {} ignored",
            self.passed, self.failed, self.ignored
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(line: &str) -> Tally {
        let mut tally = Tally::default();
        tally.add_line(line);
        tally
    }

    #[test]
    fn a_closing_line_is_counted() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.31s";
        assert_eq!(
            tally(line),
            Tally {
                passed: 12,
                failed: 3,
                ignored: 1
            }
        );
    }

    #[test]
    fn a_short_closing_line_is_counted() {
        assert_eq!(
            tally("test result: ok. 4 passed; 0 failed"),
            Tally {
                passed: 4,
                ..Tally::default()
            }
        );
    }

    #[test]
    fn other_lines_are_not() {
        for line in [
            "",
            "test router::tests::resigns ... ok",
            "running 3 tests",
            "result: ok. 4 passed",
        ] {
            assert_eq!(tally(line), Tally::default(), "{line}");
        }
    }
}
