//! The README's table of failovers, taken from docs/benchmarks.md: what was measured has one home.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result};

use crate::workspace::Workspace;

const BENCHMARKS: &str = "docs/benchmarks.md";

/// The events that the README shows, and what it calls them: the rows of the table of failovers begin with these words.
const SHOWN: &[(&str, &str)] = &[
    ("node lost (cable): takeover", "node lost: until another answers"),
    ("planned stop (SIGTERM): silence", "planned stop: silence"),
    (
        "killed (SIGKILL): two holders",
        "daemon killed: how long two nodes have the address",
    ),
];

/// The intervals that the README shows.
const INTERVALS: &[&str] = &["1 s", "100 ms", "10 ms"];

/// The table, and on which machine, when and how it was measured.
pub fn failovers(workspace: &Workspace) -> Result<String> {
    let path = workspace.root().join(BENCHMARKS);
    let page = fs::read_to_string(&path).with_context(|| format!("cannot read {BENCHMARKS}"))?;
    table(&page).with_context(|| format!("{BENCHMARKS} has no figures that the README can show"))
}

fn table(page: &str) -> Option<String> {
    let mut table = String::from("| | interval | keepalived | Holdfast |\n|---|---|---|---|\n");
    for (event, name) in SHOWN {
        for interval in INTERVALS {
            let [keepalived, holdfast] = cells(page, &[event, interval])?;
            let (keepalived, holdfast) = (median(keepalived), median(holdfast));
            // Writing to a String cannot fail.
            let _ = writeln!(table, "| {name} | {interval} | {keepalived} | {holdfast} |");
        }
    }
    let [machine] = cells(page, &["machine"])?;
    let [date] = cells(page, &["date"])?;
    let [keepalived] = cells(page, &["keepalived"])?;
    Some(format!(
        "{table}\nMedians of `make bench` on {date}, beside {keepalived}; {machine}.\n"
    ))
}

/// The cells that follow `first` in the row that begins with it.
fn cells<'p, const N: usize>(page: &'p str, first: &[&'p str]) -> Option<[&'p str; N]> {
    page.lines().find_map(|line| {
        let inside = line.strip_prefix('|')?.strip_suffix('|')?;
        let cells: Vec<&str> = inside.split('|').map(str::trim).collect();
        cells.strip_prefix(first)?.try_into().ok()
    })
}

/// A figure without what it was at least and at most.
fn median(cell: &str) -> &str {
    cell.split(" (").next().unwrap_or(cell)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_found_by_its_first_cells() {
        let page = "text\n| a | 1 s | x |\n| a | 10 ms | 36.7 ms (36–38) | y |\n";
        assert_eq!(cells(page, &["a", "10 ms"]), Some(["36.7 ms (36–38)", "y"]));
        assert_eq!(cells::<2>(page, &["a", "1 s"]), None);
        assert_eq!(median("36.7 ms (36–38)"), "36.7 ms");
        assert_eq!(median("> 4000 ms, for good"), "> 4000 ms, for good");
    }

    #[test]
    fn the_benchmarks_have_what_the_readme_shows() {
        let shown = failovers(&Workspace::open().unwrap()).unwrap();
        assert_eq!(
            shown.matches("\n| ").count(),
            SHOWN.len() * INTERVALS.len(),
            "{shown}"
        );
    }

    #[test]
    fn without_a_figure_there_is_no_table() {
        assert_eq!(table("| machine | x |\n"), None);
    }
}
