//! A status as a table for people: what somebody reads first at 3 a.m., then what is wrong and what to do about it.

mod probes;

use core::time::Duration;
use std::fmt::Write as _;

use holdfast_api::reason::Reason;
use holdfast_api::v1alpha1::GroupSource;
use jiff::Timestamp;

use super::columns::{self, Column, column};
use super::paint::{Paint, Tone};
use crate::lock::process;
use crate::report::words;
use crate::status::{
    AgentStatus, ApiStatus, FaultStatus, GroupStatus, Refusal, Role, StandbyStatus, WaitStatus,
};

/// The whole text.
pub fn render(status: &AgentStatus, wide: bool, now: Timestamp, paint: Paint) -> String {
    let mut text = headline(status, paint);
    if let Some(api) = &status.api {
        text.push_str(&api_server(api, now, paint));
    }
    if !status.groups.is_empty() {
        text.push('\n');
        text.push_str(&table(&status.groups, wide, now, paint));
    }
    let probes = probes::table(&status.groups, now, paint);
    if !probes.is_empty() {
        text.push('\n');
        text.push_str(&probes);
    }
    for group in &status.groups {
        text.push_str(&details(group, now, paint));
    }
    if let Some(api) = &status.api {
        let problem = |found: &FaultStatus| format!("{}: {}", found.reason, found.message);
        let refusal = |refused: &Refusal| format!("{}: {}", refused.group, refused.message);
        let problems: Vec<String> = api.problems.iter().map(problem).collect();
        let refusals: Vec<String> = api.refusals.iter().map(refusal).collect();
        text.push_str(&section("problems", &problems, paint));
        text.push_str(&section(
            "refused (what ran before keeps running)",
            &refusals,
            paint,
        ));
    }
    text.push_str(&section(
        "configuration (what ran before keeps running)",
        &status.configuration_problems,
        paint,
    ));
    text.push_str(&section("limitations", &status.limitations, paint));
    let standbys: Vec<String> = status.standbys.iter().map(standby).collect();
    text.push_str(&section("standing by", &standbys, paint));
    let waits: Vec<String> = status.waits_for.iter().map(wait).collect();
    text.push_str(&section("waiting for the agent that runs", &waits, paint));
    text
}

fn standby(standby: &StandbyStatus) -> String {
    let flag = if standby.take_over {
        " with --take-over"
    } else {
        ""
    };
    let who = agent(standby.version.as_deref(), standby.process);
    format!("{who}{flag}: {}", standby.message)
}

fn wait(wait: &WaitStatus) -> String {
    format!(
        "{}: {}",
        agent(wait.version.as_deref(), wait.process),
        wait.message
    )
}

fn agent(version: Option<&str>, pid: i32) -> String {
    format!(
        "holdfast-agent {}{}",
        version.unwrap_or("of an older version"),
        process(pid)
    )
}

fn headline(status: &AgentStatus, paint: Paint) -> String {
    let node = paint.paint(Tone::Strong, &status.node);
    let rest = match status.role {
        Role::Standby => {
            "standby: another agent runs the groups; this one takes over when that one ends".to_owned()
        }
        Role::Running if status.groups.is_empty() => "running, no groups".to_owned(),
        Role::Running => format!(
            "{}: {}",
            words::count(status.groups.len(), "group"),
            states(&status.groups)
        ),
    };
    format!("{node}  holdfast-agent {}  {rest}\n", status.version)
}

/// Whether the API server is reached, and how far what it said is in force. Serving does not depend on either.
fn api_server(api: &ApiStatus, now: Timestamp, paint: Paint) -> String {
    let last = api.last_answer.map(|answer| age(answer, now));
    let contact = match (api.reached, last) {
        (true, Some(last)) => format!("reached {last} ago"),
        (true, None) => "reached".to_owned(),
        (false, Some(last)) => paint.paint(Tone::Warning, &format!("not reached for {last}")),
        (false, None) => paint.paint(Tone::Warning, "not reached yet"),
    };
    let generation = api.observed_generation.map_or_else(
        || "no VirtualIPNode seen yet".to_owned(),
        |generation| format!("generation {generation} of the VirtualIPNode in force"),
    );
    let mut text = format!("API server  {contact}, {generation}");
    if let Some(since) = api.unreported_since {
        let _ = write!(text, ", a report waiting for {}", age(since, now));
    }
    text.push('\n');
    if let Some(error) = &api.error {
        let _ = writeln!(text, "  {error}");
    }
    text
}

/// `2 Active, 1 Backup`.
fn states(groups: &[GroupStatus]) -> String {
    let counts = ["Active", "Backup", "Fault", "Initialize"]
        .into_iter()
        .filter_map(|state| {
            let count = groups.iter().filter(|group| group.state == state).count();
            (count > 0).then(|| format!("{count} {state}"))
        });
    counts.collect::<Vec<_>>().join(", ")
}

const COLUMNS: [Column<GroupStatus>; 7] = [
    column("NAME", |group, _| group.name.clone()),
    Column {
        title: "VRID",
        right: true,
        cell: |group, _| group.virtual_router_id.to_string(),
    },
    column("STATE", |group, _| state(group)),
    Column {
        title: "PRIORITY",
        right: true,
        cell: |group, _| group.effective_priority.to_string(),
    },
    column("ACTIVE", |group, _| active(group)),
    column("ADDRESSES", |group, _| addresses(&group.addresses, 2)),
    column("SINCE", |group, now| {
        group.since.map_or_else(dash, |since| age(since, now))
    }),
];

/// Only of interest where there is more than one place to come from.
const FROM: Column<GroupStatus> = column("FROM", |group, _| origin(group));

const WIDE: [Column<GroupStatus>; 7] = [
    column("INTERFACE", |group, _| {
        group.interface.clone().unwrap_or_else(dash)
    }),
    column("SOURCE", |group, _| {
        group
            .source_address
            .map_or_else(dash, |address| address.to_string())
    }),
    column("VERSION", |group, _| {
        format!("{}/{}", group.version, group.family)
    }),
    column("INTERVAL", |group, _| group.interval.clone()),
    column("PRIORITY IS", |group, _| group.priority_explained.clone()),
    column("REASON", |group, _| reason(group)),
    column("DROPS", |group, _| drops(group)),
];

fn table(groups: &[GroupStatus], wide: bool, now: Timestamp, paint: Paint) -> String {
    let columns: Vec<&Column<GroupStatus>> = COLUMNS
        .iter()
        .chain(groups.iter().any(|group| group.origin.is_some()).then_some(&FROM))
        .chain(wide.then_some(&WIDE).into_iter().flatten())
        .collect();
    let tone = |title: &str, group: &GroupStatus| (title == "STATE").then(|| tone_of(group)).flatten();
    columns::render(&columns, groups, now, paint, tone)
}

fn tone_of(group: &GroupStatus) -> Option<Tone> {
    match group.state.as_str() {
        "Active" => Some(Tone::Good),
        "Fault" => Some(Tone::Bad),
        "Initialize" => Some(Tone::Warning),
        _ => None,
    }
}

fn state(group: &GroupStatus) -> String {
    // The addresses are still bound: that must not look like an ordinary Backup.
    if group.releasing {
        format!("{}, handing over", group.state)
    } else {
        group.state.clone()
    }
}

fn active(group: &GroupStatus) -> String {
    if group.state == "Active" {
        return "this node".to_owned();
    }
    match (&group.active_peer_name, group.active_peer) {
        (Some(name), Some(address)) => format!("{name} ({address})"),
        (Some(name), None) => name.clone(),
        (None, Some(address)) => address.to_string(),
        (None, None) => dash(),
    }
}

fn origin(group: &GroupStatus) -> String {
    let origin = match group.origin {
        None => return dash(),
        Some(GroupSource::API) => "API",
        Some(GroupSource::Cache) => "Cache",
        Some(GroupSource::File) => "File",
    };
    // A file that the API overrules: what would run if both the API and the cache were gone.
    let also = if group.in_file && group.origin != Some(GroupSource::File) {
        " (and file)"
    } else {
        ""
    };
    format!("{origin}{also}")
}

fn addresses(addresses: &[String], shown: usize) -> String {
    let more = addresses.len().saturating_sub(shown);
    let mut text = addresses
        .iter()
        .take(shown)
        .cloned()
        .collect::<Vec<_>>()
        .join(" ");
    if more > 0 {
        // Writing to a String does not fail.
        let _ = write!(text, " +{more}");
    }
    text
}

fn reason(group: &GroupStatus) -> String {
    let outage = group
        .last_transition
        .as_ref()
        .and_then(|last| last.duration)
        .and_then(|duration| Duration::try_from(duration).ok())
        .map(|duration| format!(" after {}", words::outage(duration)));
    format!("{}{}", group.reason, outage.unwrap_or_default())
}

fn drops(group: &GroupStatus) -> String {
    if group.drops.is_empty() {
        return "0".to_owned();
    }
    group
        .drops
        .iter()
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// What is wrong with one group, in sentences; empty if nothing is.
fn details(group: &GroupStatus, now: Timestamp, paint: Paint) -> String {
    let mut text = String::new();
    if !is_plain(&group.priority_explained) {
        let _ = writeln!(
            text,
            "  priority {}: {}",
            group.effective_priority, group.priority_explained
        );
    }
    if let Some(until) = group.held_back_until {
        let left = words::duration(Duration::try_from(until.duration_since(now)).unwrap_or_default());
        let held_back = paint.paint(Tone::Warning, "HeldBack:");
        let _ = writeln!(
            text,
            "  {held_back} until {until:.0} ({left} from now), because the node came and went; a node that is well goes first"
        );
    }
    text.push_str(&probes::details(group, paint));
    for fault in &group.faults {
        let _ = writeln!(
            text,
            "  {} {}",
            paint.paint(Tone::Bad, &format!("{}:", fault.reason)),
            fault.message
        );
    }
    for warning in &group.warnings {
        let reason = paint.paint(Tone::Warning, &format!("{}:", warning.reason));
        let _ = writeln!(text, "  {reason} {}", warning.message);
        if let Some(known) = Reason::find(&warning.reason) {
            let _ = writeln!(text, "    {}", known.remedy());
        }
    }
    for notice in &group.notices {
        let kind = paint.paint(Tone::Warning, &format!("{}:", notice.kind));
        let seen = format!(
            "({}, last {} ago)",
            times(notice.count),
            age(notice.last_seen, now)
        );
        let _ = writeln!(
            text,
            "  {kind} {} {}",
            notice.message,
            paint.paint(Tone::Faint, &seen)
        );
    }
    if text.is_empty() {
        return text;
    }
    format!("\n{}\n{text}", paint.paint(Tone::Strong, &group.name))
}

/// Whether a priority needs no explanation: `200 base`.
fn is_plain(explained: &str) -> bool {
    explained
        .strip_suffix(" base")
        .is_some_and(|base| base.parse::<u8>().is_ok())
}

fn section(title: &str, lines: &[String], paint: Paint) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}\n", paint.paint(Tone::Strong, title));
    for line in lines {
        let _ = writeln!(text, "  {line}");
    }
    text
}

fn times(count: u64) -> String {
    if count == 1 {
        "once".to_owned()
    } else {
        format!("{count} times")
    }
}

fn age(since: Timestamp, now: Timestamp) -> String {
    // A wall clock that was set back must not show an age below zero.
    words::duration(Duration::try_from(now.duration_since(since)).unwrap_or_default())
}

fn dash() -> String {
    "-".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    fn shown(status: &AgentStatus, wide: bool) -> String {
        render(status, wide, example::now(), Paint::PLAIN)
    }

    #[test]
    fn the_table_says_who_holds_what_and_what_is_wrong() {
        insta::assert_snapshot!(shown(&example::agent(), false));
    }

    #[test]
    fn the_wide_table_explains() {
        insta::assert_snapshot!(shown(&example::agent(), true));
    }

    #[test]
    fn a_line_a_probe_says_what_it_found_and_below_is_what_that_does() {
        insta::assert_snapshot!(shown(&example::probed(), false));
    }

    #[test]
    fn in_a_cluster_it_says_where_each_group_came_from_and_whether_the_api_server_is_reached() {
        insta::assert_snapshot!(shown(&example::clustered(), false));
    }

    #[test]
    fn an_api_server_that_is_reached_takes_one_line() {
        let mut status = example::clustered();
        status.groups.truncate(1);
        status.limitations.clear();
        status.configuration_problems.clear();
        status.api = Some(ApiStatus {
            reached: true,
            last_answer: Some(example::now()),
            observed_generation: Some(7),
            ..ApiStatus::default()
        });
        insta::assert_snapshot!(shown(&status, false));
    }

    #[test]
    fn a_standby_says_what_it_waits_for() {
        let status = AgentStatus {
            role: Role::Standby,
            groups: Vec::new(),
            limitations: Vec::new(),
            configuration_problems: Vec::new(),
            ..example::agent()
        };
        insta::assert_snapshot!(shown(&status, false), @"cp-1  holdfast-agent 0.1.0  standby: another agent runs the groups; this one takes over when that one ends");
    }

    #[test]
    fn who_stands_by_and_why_is_shown_on_both_sides() {
        let nobody = AgentStatus {
            groups: Vec::new(),
            limitations: Vec::new(),
            configuration_problems: Vec::new(),
            ..example::agent()
        };
        let running = AgentStatus {
            standbys: vec![StandbyStatus {
                process: 4242,
                version: Some("0.1.0".to_owned()),
                take_over: true,
                message: "it takes over as soon as it has every group of the agent that runs: group web: …"
                    .to_owned(),
            }],
            ..nobody.clone()
        };
        insta::assert_snapshot!(shown(&running, false), @r"
        cp-1  holdfast-agent 0.1.0  running, no groups

        standing by
          holdfast-agent 0.1.0 (process 4242) with --take-over: it takes over as soon as it has every group of the agent that runs: group web: …
        ");
        let waiting = AgentStatus {
            role: Role::Standby,
            waits_for: Some(WaitStatus {
                process: 0,
                version: None,
                message: "it takes over when the agent that runs ends".to_owned(),
            }),
            ..nobody
        };
        insta::assert_snapshot!(shown(&waiting, false), @r"
        cp-1  holdfast-agent 0.1.0  standby: another agent runs the groups; this one takes over when that one ends

        waiting for the agent that runs
          holdfast-agent of an older version: it takes over when the agent that runs ends
        ");
    }

    #[test]
    fn many_addresses_do_not_push_the_columns_off_the_screen() {
        let many: Vec<String> = (1..=64).map(|n| format!("10.0.0.{n}/24")).collect();
        assert_eq!(addresses(&many, 2), "10.0.0.1/24 10.0.0.2/24 +62");
    }

    #[test]
    fn a_clock_that_was_set_back_shows_no_negative_age() {
        assert_eq!(
            age(example::now(), "2026-03-14T02:59:00Z".parse().unwrap()),
            "0.0ms"
        );
    }
}
