//! The demo: three nodes, two groups that mirror each other, and everything that happens to nodes, measured.

mod groups;
mod play;
mod stage;
mod table;
mod view;

use std::{io::IsTerminal as _, path::Path};

use crate::{error::Result, logs, sandbox};

pub use self::stage::Daemon;

/// Plays the demo with `daemon` on all nodes and prints its table. `true` when every promise was kept.
///
/// Has to run inside a [`sandbox`]; the logs of all daemons are printed when a promise was broken.
///
/// # Errors
/// Whatever keeps the lab from being built; see [`Error`](crate::Error).
pub fn run(daemon: Daemon) -> Result<bool> {
    let rows = play::play(daemon, std::io::stdout().is_terminal())
        .inspect_err(|_| logs::print(Path::new(sandbox::FOLDER)))?;
    let kept = rows.iter().all(table::Row::kept);
    if !kept {
        logs::print(Path::new(sandbox::FOLDER));
    }
    println!("{}", table::render(&rows));
    Ok(kept)
}
