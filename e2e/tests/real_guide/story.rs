//! What each step cost, held against what is promised, and told at the end.

use std::{
    env,
    path::Path,
    time::{Duration, Instant},
};

use holdfast_e2e::{
    Result,
    outages::{self, Row},
};

/// The file that tables are written to, if they are to be.
const WRITE_VARIABLE: &str = "HOLDFAST_E2E_WRITE";

/// The steps so far.
pub struct Story {
    start: Instant,
    rows: Vec<Row>,
    broken: Vec<String>,
}

/// The longest outage that a step may cost.
#[derive(Clone, Copy, Debug)]
pub struct Promise {
    new: Duration,
    established: Duration,
}

impl Promise {
    /// The address does not move: nothing but the machine's own hiccups.
    pub const UNDISTURBED: Self = Self::outage(Duration::from_millis(1500));
    /// The address does not move, and the proxy leads new clients elsewhere as soon as the API server refuses them. One that is
    /// connected to an API server on its way out hears that it is not ready, until three checks, a second apart, have failed.
    pub const BEHIND_THE_PROXY: Self = Self {
        new: Duration::from_millis(2500),
        established: Duration::from_millis(4500),
    };
    /// Three probes of at most a second fail, and the address is handed over. A connection whose answer was under way as the
    /// address left may wait until its client gives it up: a kernel resets no connection of an address that it does not have any
    /// more.
    pub const PROBED: Self = Self {
        new: Duration::from_secs(7),
        established: Duration::from_secs(50),
    };
    /// The holder is lost: three advertisements of a second and the skew (RFC 9568), and a moment for TLS on a busy machine. A
    /// kernel that has a question to repeat does so after 3 s and then after 6.2 s.
    pub const FAILOVER: Self = Self {
        new: Duration::from_millis(5500),
        established: Duration::from_secs(8),
    };

    const fn outage(longest: Duration) -> Self {
        Self {
            new: longest,
            established: longest,
        }
    }
}

/// For how long a hand-over has two holders, so that none is without.
const HELD_TWICE: Duration = Duration::from_millis(500);

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

    /// Holds it against the cluster at the end, so that one run tells of all.
    pub fn complain(&mut self, complaint: String) {
        self.say(&complaint);
        self.broken.push(complaint);
    }

    /// Notes a step, and holds it against its promise.
    pub fn judge(&mut self, row: Row, promise: Promise) {
        self.say(&format!(
            "  outage {:?} (new connections), {:?} (established), held twice {:?}",
            row.new, row.established, row.held_twice
        ));
        for (what, was, promised) in [
            ("new connections were refused for", row.new, promise.new),
            (
                "the established connection was silent for",
                row.established,
                promise.established,
            ),
            ("two nodes held the address for", row.held_twice, HELD_TWICE),
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

    /// Prints the table, keeps it as the one called `table` if that was asked for, and fails if a promise was not kept.
    pub fn finish(&self, table: Option<&str>) -> Result<()> {
        println!("\n{}", outages::markdown(&self.rows));
        if let Some((file, table)) = env::var_os(WRITE_VARIABLE).zip(table) {
            outages::write(Path::new(&file), table, &self.rows)?;
        }
        if self.broken.is_empty() {
            return Ok(());
        }
        Err(self.broken.join("\n").into())
    }
}
