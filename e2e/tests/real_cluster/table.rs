//! What each step cost those who used the control plane: a table, printed and kept.

use std::{fmt::Write as _, fs, path::Path, time::Duration};

use holdfast_e2e::Result;

/// The table stands between these in docs/reliability.md.
const BEGIN: &str = "<!-- begin: written by `cargo xtask e2e --write` -->";
const END: &str = "<!-- end -->";

/// One step.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was done.
    pub step: &'static str,
    /// The longest time in which no new connection was answered.
    pub new: Duration,
    /// The longest time in which the established connection, made anew at once when it broke, was not answered.
    pub established: Duration,
    /// For how long two nodes held the address.
    pub held_twice: Duration,
    /// How long the step took.
    pub time: Duration,
}

/// All of them, as Markdown.
pub fn markdown(rows: &[Row]) -> String {
    let mut table = String::from(
        "| step | new connections: longest outage | established: longest outage | held by two nodes | took |\n\
         |---|--:|--:|--:|--:|\n",
    );
    for row in rows {
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "| {} | {} | {} | {} | {} s |",
            row.step,
            seconds(row.new),
            seconds(row.established),
            if row.held_twice.is_zero() {
                "never".to_owned()
            } else {
                seconds(row.held_twice)
            },
            row.time.as_secs()
        );
    }
    table
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// Puts the table into the file between the marks.
///
/// # Errors
/// When the file has no marks.
pub fn write(path: &Path, rows: &[Row]) -> Result<()> {
    let text =
        fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let (before, rest) = text
        .split_once(BEGIN)
        .ok_or("docs/reliability.md has no mark where the table begins")?;
    let (_, after) = rest
        .split_once(END)
        .ok_or("docs/reliability.md has no mark where the table ends")?;
    fs::write(
        path,
        format!("{before}{BEGIN}\n\n{}\n{END}{after}", markdown(rows)),
    )?;
    println!("wrote {}", path.display());
    Ok(())
}
