//! A line for each probe, and below what does not fit into a line.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::super::columns::{self, Column, column};
use super::super::paint::{Paint, Tone};
use super::{age, dash};
use crate::status::{GroupStatus, HealingStatus, ProbeStatus};

/// How much of what was found is in the line.
const LONGEST: usize = 80;

/// A probe of a group.
struct Row {
    group: String,
    probe: ProbeStatus,
}

const COLUMNS: [Column<Row>; 7] = [
    column("GROUP", |row, _| row.group.clone()),
    column("PROBE", |row, _| row.probe.name.clone()),
    column("VERDICT", |row, _| row.probe.verdict.clone()),
    column("OUTCOME", |row, _| row.probe.outcome.clone().unwrap_or_else(dash)),
    column("SINCE", |row, now| {
        row.probe.since.map_or_else(dash, |since| age(since, now))
    }),
    column("ON FAILURE", |row, _| on_failure(&row.probe)),
    column("FOUND", |row, _| found(&row.probe)),
];

/// A line for each probe of all groups; empty if there is none.
pub fn table(groups: &[GroupStatus], now: Timestamp, paint: Paint) -> String {
    let rows: Vec<Row> = groups
        .iter()
        .flat_map(|group| {
            group.probes.iter().map(|probe| Row {
                group: group.name.clone(),
                probe: probe.clone(),
            })
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let columns: Vec<&Column<Row>> = COLUMNS.iter().collect();
    columns::render(&columns, &rows, now, paint, |title, row| {
        (title == "VERDICT").then(|| tone(&row.probe))
    })
}

/// What was found by the probes of one group and is longer than a line.
pub fn details(group: &GroupStatus, paint: Paint) -> String {
    let mut text = String::new();
    for probe in &group.probes {
        let lines: Vec<&str> = probe.message.trim_end().lines().collect();
        if probe.verdict == "Passing" || (lines.len() < 2 && probe.message.chars().count() <= LONGEST) {
            continue;
        }
        let name = paint.paint(Tone::Warning, &format!("probe {}:", probe.name));
        let _ = writeln!(text, "  {name}");
        for line in lines {
            let _ = writeln!(text, "    {line}");
        }
    }
    text
}

fn tone(probe: &ProbeStatus) -> Tone {
    match probe.verdict.as_str() {
        "Passing" => Tone::Good,
        "Failing" => Tone::Bad,
        _ => Tone::Warning,
    }
}

fn on_failure(probe: &ProbeStatus) -> String {
    match &probe.quorum {
        Some(quorum) => format!("counts in {quorum}"),
        None => probe.on_failure.clone(),
    }
}

/// What was found, how far it is from another verdict, and what is being done about it.
fn found(probe: &ProbeStatus) -> String {
    let mut lines = probe
        .message
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    let line = lines.next().unwrap_or_default();
    let mut text = match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or(line)),
        None if lines.next().is_some() => format!("{line}…"),
        None => line.to_owned(),
    };
    if probe.verdict == "NotYetKnown" {
        separate(&mut text);
        let _ = write!(text, "{} runs", probe.streak);
    }
    if let Some(healing) = &probe.healing
        && probe.verdict != "Passing"
    {
        separate(&mut text);
        text.push_str(&healed(healing));
    }
    text
}

fn healed(healing: &HealingStatus) -> String {
    let attempt = format!("attempt {} of {}", healing.attempt, healing.of);
    match &healing.result {
        _ if healing.running => format!("healing: {attempt}"),
        Some(result) if result.outcome != "Passed" => {
            format!("not healed: {attempt} {}: {}", result.outcome, result.message)
        }
        _ => format!("healing was tried: {attempt}"),
    }
}

fn separate(text: &mut String) {
    if !text.is_empty() {
        text.push_str("; ");
    }
}
