//! What is new of a group's probes, as lines for the log: one for each change of a verdict, none for a run.

use std::collections::BTreeMap;

use holdfast_health::{Outcome, ProbeReport, Report, Verdict};
use holdfast_vrrp::{Fault, Instant};
use jiff::Timestamp;

use super::shown::on_failure;
use crate::status::FaultStatus;

/// How much of what was found is repeated in a line; the whole is in the status.
const LONGEST: usize = 200;

/// A line for the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// Whether it is bad news.
    pub is_warning: bool,
    /// The probe it is about, if it is about one.
    pub probe: Option<String>,
    /// What to say.
    pub text: String,
}

impl Line {
    /// Writes it to the log.
    pub fn log(&self, group: &str) {
        let (probe, text) = (self.probe.as_deref(), &self.text);
        if self.is_warning {
            tracing::warn!(group, probe, "{text}");
        } else {
            tracing::info!(group, probe, "{text}");
        }
    }
}

/// What `now` says of `group` that `before` did not. `dates` has the dates of the instants in `now`.
pub fn lines(group: &str, before: &Report, now: &Report, dates: &BTreeMap<Instant, Timestamp>) -> Vec<Line> {
    let probes = now.probes.iter().flat_map(|probe| {
        let known = before.probes.iter().find(|known| known.name == probe.name);
        known.map_or_else(Vec::new, |known| probe_lines(group, known, probe))
    });
    probes
        .chain(released(group, before, now))
        .chain(held_back(group, before, now, dates))
        .collect()
}

/// What `now` warns of in `group` that `before` did not, and the other way round.
pub fn warned(group: &str, before: &[FaultStatus], now: &[FaultStatus]) -> Vec<Line> {
    let new = now.iter().filter(|warning| !before.contains(warning));
    let new = new.map(|new| {
        let text = format!("{} in group {group}: {}", new.reason, new.message);
        warning(None, text)
    });
    let over = before
        .iter()
        .filter(|old| now.iter().all(|warning| warning.reason != old.reason));
    let over = over.map(|old| info(None, format!("{} in group {group} is over", old.reason)));
    new.chain(over).collect()
}

fn released(group: &str, before: &Report, now: &Report) -> Option<Line> {
    let sentence = |report: &Report| {
        let mut faults = report.faults.iter();
        let maintenance = faults.find(|(fault, _)| *fault == Fault::Maintenance)?;
        Some(maintenance.1.clone())
    };
    match (sentence(before), sentence(now)) {
        (None, Some(why)) => Some(warning(
            None,
            format!("group {group} is given up on this node: {why}"),
        )),
        (Some(_), None) => Some(info(None, format!("group {group} is wanted on this node again"))),
        _ => None,
    }
}

fn held_back(
    group: &str,
    before: &Report,
    now: &Report,
    dates: &BTreeMap<Instant, Timestamp>,
) -> Option<Line> {
    match (before.held_back, now.held_back) {
        (None, Some(held_back)) => {
            let until = dates.get(&held_back.until);
            let until = until.map_or_else(String::new, |until| format!(" until {until:.0}"));
            Some(warning(
                None,
                format!(
                    "group {group} is held back on this node{until}, because it came and went: {}",
                    now.sum
                ),
            ))
        }
        (Some(_), None) => Some(info(
            None,
            format!("group {group} is held back no longer: {}", now.sum),
        )),
        _ => None,
    }
}

fn probe_lines(group: &str, before: &ProbeReport, now: &ProbeReport) -> Vec<Line> {
    let mut lines = Vec::new();
    let probe = Some(now.name.as_str());
    let what = if is_quorum(now) { "quorum" } else { "probe" };
    let subject = format!("{what} {} of group {group}", now.name);
    let ended = |report: &ProbeReport| report.healing.as_ref().and_then(|healing| healing.ended);
    if let Some(healing) = &now.healing
        && let Some(result) = &healing.result
        && ended(before) != ended(now)
    {
        let text = format!(
            "the attempt to heal what probe {} of group {group} watches has ended: {}",
            now.name,
            result.outcome.in_words(&result.message, LONGEST)
        );
        lines.push(Line {
            is_warning: !result.outcome.is_pass(),
            probe: probe.map(str::to_owned),
            text,
        });
    }
    let attempt = now.healing.as_ref().map(|healing| (healing.attempt, healing.of));
    let tried = before
        .healing
        .as_ref()
        .map(|healing| (healing.attempt, healing.of));
    let shown = now.outcome.map_or_else(
        || now.message.clone(),
        |outcome| outcome.in_words(&now.message, LONGEST),
    );
    if before.verdict == now.verdict {
        if let Some((number, of)) = attempt
            && now.verdict == Verdict::Recovering
            && attempt != tried
        {
            let text = format!("{subject} still fails: {shown}; trying to heal (attempt {number} of {of})");
            lines.push(warning(probe, text));
        } else if now.outcome == Some(Outcome::CouldNotRun) && before.outcome != now.outcome {
            lines.push(warning(probe, format!("{subject} {shown}")));
        }
        return lines;
    }
    lines.push(match now.verdict {
        Verdict::Failing => {
            let runs = if is_quorum(now) {
                String::new()
            } else {
                format!(" ({0} of {0} runs)", before.streak.1)
            };
            let healed = match (before.verdict, tried) {
                (Verdict::Recovering, Some((number, of))) => {
                    format!("; it was not healed (attempt {number} of {of})")
                }
                _ => String::new(),
            };
            warning(
                probe,
                format!("{subject} fails: {shown}{runs}{healed}; {}", effect(now)),
            )
        }
        Verdict::Recovering => {
            let trying = attempt.map_or_else(String::new, |(number, of)| {
                format!("; trying to heal (attempt {number} of {of})")
            });
            warning(probe, format!("{subject} fails: {shown}{trying}"))
        }
        Verdict::Passing => match (before.verdict, attempt) {
            (Verdict::Recovering, Some((number, of))) => info(
                probe,
                format!("{subject} passes again: healed by attempt {number} of {of}"),
            ),
            _ => info(probe, format!("{subject} passes")),
        },
        Verdict::NotYetKnown => info(probe, format!("nothing is known of {subject} yet")),
    });
    lines
}

/// What the failure does: `onFailure Hold`.
fn effect(probe: &ProbeReport) -> String {
    probe.quorum.as_ref().map_or_else(
        || format!("onFailure {}", on_failure(probe.on_failure)),
        |quorum| format!("it counts in quorum {quorum}"),
    )
}

/// A quorum is not run.
fn is_quorum(probe: &ProbeReport) -> bool {
    probe.outcome.is_none() && probe.latest.is_none() && !probe.message.is_empty()
}

fn warning(probe: Option<&str>, text: String) -> Line {
    Line {
        is_warning: true,
        probe: probe.map(str::to_owned),
        text,
    }
}

fn info(probe: Option<&str>, text: String) -> Line {
    Line {
        is_warning: false,
        ..warning(probe, text)
    }
}

#[cfg(test)]
mod tests;
