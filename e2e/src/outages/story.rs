//! What each step cost, held against what is promised, and told at the end.

use std::{env, path::Path, time::Instant};

use super::{Promise, Row, table};
use crate::Result;

/// The file that tables are written to, if they are to be.
pub const WRITE_VARIABLE: &str = "HOLDFAST_E2E_WRITE";

/// The steps so far.
#[derive(Debug)]
pub struct Story {
    start: Instant,
    rows: Vec<Row>,
    broken: Vec<String>,
}

impl Story {
    /// Begins.
    pub fn begin() -> Self {
        Self {
            start: Instant::now(),
            rows: Vec::new(),
            broken: Vec::new(),
        }
    }

    /// Says what is done, and when.
    pub fn say(&self, what: &str) {
        println!("{:>7.1} s  {what}", self.start.elapsed().as_secs_f64());
    }

    /// Holds it against the scenario at its end, so that one run tells of all.
    pub fn complain(&mut self, complaint: String) {
        self.say(&complaint);
        self.broken.push(complaint);
    }

    /// Notes a step, and holds it against its promise.
    pub fn judge(&mut self, row: Row, promise: Promise) {
        self.say(&format!(
            "  outage {:?} (new connections), {:?} (established), {:?} (service), held twice {:?}",
            row.new, row.established, row.service, row.held_twice
        ));
        for (what, was, promised) in [
            ("new connections were refused for", row.new, promise.new),
            (
                "the established connection was silent for",
                row.established,
                promise.established,
            ),
            (
                "new connections to the service were refused for",
                row.service.unwrap_or_default(),
                promise.service,
            ),
            (
                "two nodes held an address for",
                row.held_twice,
                promise.held_twice,
            ),
        ] {
            if was > promised {
                self.complain(format!(
                    "{}: {what} {was:?}, and {promised:?} was promised",
                    row.step
                ));
            }
        }
        self.rows.push(row);
    }

    /// Prints the table, and keeps it as the one called `name`, if it has a name and that was asked for.
    ///
    /// # Errors
    /// When a promise was not kept, or the table cannot be.
    pub fn finish(&self, name: Option<&str>) -> Result<()> {
        println!("\n{}", table::markdown(&self.rows));
        if let Some((file, name)) = env::var_os(WRITE_VARIABLE).zip(name) {
            table::write(Path::new(&file), name, &self.rows)?;
        }
        if self.broken.is_empty() {
            return Ok(());
        }
        Err(self.broken.join("\n").into())
    }
}
