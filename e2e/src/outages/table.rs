//! What each step cost those who used the services: a table, printed and kept.

use std::{fmt::Write as _, fs, path::Path, time::Duration};

use crate::Result;

/// One step.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was done.
    pub step: &'static str,
    /// The longest time in which no new connection was answered.
    pub new: Duration,
    /// The longest time in which the established connection, made anew at once when it broke, was not answered.
    pub established: Duration,
    /// The longest time in which no new connection to a second service, beside the one that the table is of, was answered;
    /// `None` while there is none.
    pub service: Option<Duration>,
    /// For how long two nodes held an address.
    pub held_twice: Duration,
    /// How long the step took.
    pub time: Duration,
}

/// All of them, as Markdown. The second service has a column if there is one.
pub fn markdown(rows: &[Row]) -> String {
    let beside = rows.iter().any(|row| row.service.is_some());
    let mut table = String::from("| step | new connections: longest outage | established: longest outage |");
    if beside {
        table.push_str(" a service's address: longest outage |");
    }
    table.push_str(" held by two nodes | took |\n|---|--:|--:|--:|--:|");
    table.push_str(if beside { "--:|\n" } else { "\n" });
    for row in rows {
        // Writing to a String cannot fail.
        let _ = write!(
            table,
            "| {} | {} | {} |",
            row.step,
            seconds(row.new),
            seconds(row.established)
        );
        if beside {
            let _ = write!(table, " {} |", row.service.map_or("–".to_owned(), seconds));
        }
        let held_twice = if row.held_twice.is_zero() {
            "never".to_owned()
        } else {
            seconds(row.held_twice)
        };
        let _ = writeln!(table, " {held_twice} | {} s |", row.time.as_secs());
    }
    table
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// Puts the table into the file, between the marks `<!-- begin NAME: written by … -->` and `<!-- end NAME -->`.
///
/// # Errors
/// When the file cannot be read or written, or has no such marks.
pub fn write(file: &Path, name: &str, rows: &[Row]) -> Result<()> {
    let text =
        fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let text = with_table(&text, name, &markdown(rows))
        .ok_or_else(|| format!("{} has no marks for the table {name}", file.display()))?;
    fs::write(file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    println!("wrote the table {name} to {}", file.display());
    Ok(())
}

/// `text` with `table` in the place called `name`, if it has one.
fn with_table(text: &str, name: &str, table: &str) -> Option<String> {
    let begin = format!("<!-- begin {name}: written by `cargo xtask e2e --write` -->");
    let end = format!("<!-- end {name} -->");
    let (before, rest) = text.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n\n{table}\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: Row = Row {
        step: "a node is lost",
        new: Duration::from_millis(3496),
        established: Duration::from_millis(6900),
        service: None,
        held_twice: Duration::ZERO,
        time: Duration::from_millis(12_900),
    };

    #[test]
    fn a_step_is_a_line_of_the_table() {
        let table = markdown(&[ROW]);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(
            lines[1..],
            [
                "|---|--:|--:|--:|--:|",
                "| a node is lost | 3.50 s | 6.90 s | never | 12 s |"
            ]
        );
    }

    #[test]
    fn a_second_service_has_a_column_from_the_step_on_in_which_it_is_there() {
        let with_service = Row {
            service: Some(Duration::from_millis(20)),
            ..ROW
        };
        let table = markdown(&[ROW, with_service]);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(
            lines[1..],
            [
                "|---|--:|--:|--:|--:|--:|",
                "| a node is lost | 3.50 s | 6.90 s | – | never | 12 s |",
                "| a node is lost | 3.50 s | 6.90 s | 0.02 s | never | 12 s |"
            ]
        );
    }

    #[test]
    fn a_table_replaces_the_one_in_its_place_and_nothing_else() {
        let begin = "<!-- begin x: written by `cargo xtask e2e --write` -->";
        let text = format!("before\n\n{begin}\nold\n<!-- end x -->\n\nafter\n");
        let new = with_table(&text, "x", "new\n").unwrap_or_default();
        assert_eq!(
            new,
            format!("before\n\n{begin}\n\nnew\n\n<!-- end x -->\n\nafter\n")
        );
        assert_eq!(
            with_table(&new, "x", "new\n"),
            Some(new),
            "again, it changes nothing"
        );
        assert_eq!(with_table(&text, "y", "new\n"), None);
    }
}
