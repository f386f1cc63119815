//! What probes say and warn of, as the API has it: words change with verdicts and never with runs, and a node with very many of
//! them says less about each. Pure.

use holdfast_api::v1alpha1::{NodeGroupStatus, ProbeStatus, ProbeVerdict};
use jiff::SignedDuration;

use super::status::micros;
use crate::status;

/// The longest message that the API server takes.
const MESSAGE_CHARS: usize = 4096;

/// How many bytes what is said of all probes, their warnings and the priorities of a node may have. An object has 1.5 MiB at most (etcd's default),
/// and there is more in this one.
const MOST_BYTES: usize = 384 << 10;

/// What one probe costs beside its name and its message.
const PROBE_BYTES: usize = 120;

/// What one warning costs beside its reason and its message.
const WARNING_BYTES: usize = 30;

/// For how long a verdict has to have lasted for its change to be reported at once: what changes all the time is reported like
/// everything else that nobody waits for.
const LASTING: SignedDuration = SignedDuration::from_secs(10);

/// How much is said.
struct Detail {
    message: usize,
    explained: usize,
    passing: bool,
    failing: bool,
    /// So many warnings of each group, the first ones.
    warnings: usize,
    /// So much of each; its reason is always there.
    warning: usize,
}

/// From everything to as much as fits whatever there is.
const DETAILS: [Detail; 4] = [
    Detail {
        message: MESSAGE_CHARS,
        explained: 1024,
        passing: true,
        failing: true,
        warnings: 16,
        warning: 1024,
    },
    Detail {
        message: 256,
        explained: 256,
        passing: true,
        failing: true,
        warnings: 4,
        warning: 256,
    },
    Detail {
        message: 64,
        explained: 128,
        passing: false,
        failing: true,
        warnings: 1,
        warning: 64,
    },
    Detail {
        message: 0,
        explained: 128,
        passing: false,
        failing: false,
        warnings: 1,
        warning: 0,
    },
];

/// What one probe says. What one has found that passes is of interest to nobody far away.
pub fn status(probe: &status::ProbeStatus) -> ProbeStatus {
    let verdict = match probe.verdict.as_str() {
        "Passing" => ProbeVerdict::Passing,
        "Failing" => ProbeVerdict::Failing,
        "Recovering" => ProbeVerdict::Recovering,
        _ => ProbeVerdict::NotYetKnown,
    };
    let message = (verdict != ProbeVerdict::Passing && !probe.message.is_empty())
        .then(|| probe.message.chars().take(MESSAGE_CHARS).collect());
    ProbeStatus {
        name: probe.name.clone(),
        verdict,
        outcome: probe.outcome.clone(),
        message,
        since: probe.since.map(micros),
    }
}

/// Says as much of all probes and warnings as there is room for.
pub fn fit(groups: &mut [NodeGroupStatus]) {
    for detail in &DETAILS {
        for group in &mut *groups {
            detail.apply(group);
        }
        if groups.iter().map(bytes).sum::<usize>() <= MOST_BYTES {
            return;
        }
    }
}

/// Whether somebody may be waiting to hear how `new` differs from `old`.
pub fn is_urgent(old: &NodeGroupStatus, new: &NodeGroupStatus) -> bool {
    let has_changed = |probe: &ProbeStatus| {
        let known = old.probes.iter().find(|known| known.name == probe.name);
        known.is_some_and(|known| known.verdict != probe.verdict && had_lasted(known, probe))
    };
    old.held_back_until.is_some() != new.held_back_until.is_some() || new.probes.iter().any(has_changed)
}

fn had_lasted(before: &ProbeStatus, now: &ProbeStatus) -> bool {
    match (&before.since, &now.since) {
        (Some(before), Some(now)) => now.0.duration_since(before.0) >= LASTING,
        _ => true,
    }
}

impl Detail {
    fn apply(&self, group: &mut NodeGroupStatus) {
        group.probes.retain(|probe| match probe.verdict {
            ProbeVerdict::Passing => self.passing,
            ProbeVerdict::NotYetKnown | ProbeVerdict::Failing | ProbeVerdict::Recovering => self.failing,
        });
        for message in group.probes.iter_mut().filter_map(|probe| probe.message.as_mut()) {
            cut(message, self.message);
        }
        if let Some(explained) = &mut group.priority_explained {
            cut(explained, self.explained);
        }
        group.warnings.truncate(self.warnings);
        for warning in &mut group.warnings {
            if let Some(message) = &mut warning.message {
                cut(message, self.warning);
            }
            warning.message.take_if(|message| message.is_empty());
        }
    }
}

fn bytes(group: &NodeGroupStatus) -> usize {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let probes = group
        .probes
        .iter()
        .map(|probe| PROBE_BYTES + probe.name.len() + text(&probe.message));
    let warnings = group
        .warnings
        .iter()
        .map(|warning| WARNING_BYTES + warning.reason.len() + text(&warning.message));
    probes.sum::<usize>() + warnings.sum::<usize>() + text(&group.priority_explained)
}

fn cut(text: &mut String, chars: usize) {
    if let Some((end, _)) = text.char_indices().nth(chars) {
        text.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::status::node_status;
    use super::*;
    use crate::report::example;
    use crate::status::{Applied, GroupStatus};

    fn node(groups: &[GroupStatus]) -> Vec<NodeGroupStatus> {
        node_status(groups, &Applied::default(), None, example::now()).groups
    }

    fn many(groups: usize, probes: usize, message: &str) -> Vec<GroupStatus> {
        let failing = example::probed().groups[0].probes[0].clone();
        let group = |number: usize| {
            let mut group = example::agent().groups[0].clone();
            group.name = format!("group-{number}");
            let probe = |number: usize| status::ProbeStatus {
                name: format!("probe-{number}"),
                message: message.to_owned(),
                verdict: if number == 0 { "Failing" } else { "Passing" }.to_owned(),
                ..failing.clone()
            };
            group.probes = (0..probes).map(probe).collect();
            group
        };
        (0..groups).map(group).collect()
    }

    #[test]
    fn what_probes_that_pass_have_found_stays_on_the_node() {
        let groups = node(&many(1, 2, "connection refused"));
        let messages: Vec<Option<&str>> = groups[0]
            .probes
            .iter()
            .map(|probe| probe.message.as_deref())
            .collect();
        assert_eq!(messages, [Some("connection refused"), None]);
    }

    #[test]
    fn a_long_message_is_cut_at_what_the_api_server_takes() {
        let groups = node(&many(1, 1, &"ä".repeat(5000)));
        let message = groups[0].probes[0].message.as_ref().unwrap();
        assert_eq!(message.chars().count(), 4096);
    }

    #[test]
    fn however_many_probes_there_are_the_status_fits() {
        let long = "x".repeat(5000);
        for (groups, probes, shown, message) in [
            (10, 16, 160, 4096),
            (100, 16, 1600, 256),
            (1024, 16, 1024, 64),
            (1024, 1, 1024, 64),
        ] {
            let said = node(&many(groups, probes, &long));
            let all: Vec<&ProbeStatus> = said.iter().flat_map(|group| &group.probes).collect();
            assert_eq!(all.len(), shown, "{groups} groups with {probes} probes");
            let failing = all.iter().find(|probe| probe.verdict == ProbeVerdict::Failing);
            assert_eq!(failing.unwrap().message.as_ref().unwrap().len(), message);
            assert!(said.iter().map(bytes).sum::<usize>() <= MOST_BYTES);
            let json = serde_json::to_vec(&said).unwrap();
            assert!(json.len() < 1 << 20, "{} bytes", json.len());
        }
    }

    #[test]
    fn even_if_every_probe_of_very_many_fails() {
        let mut groups = many(1024, 16, &"x".repeat(5000));
        for probe in groups.iter_mut().flat_map(|group| &mut group.probes) {
            probe.verdict = "Failing".to_owned();
        }
        let said = node(&groups);
        assert!(said.iter().map(bytes).sum::<usize>() <= MOST_BYTES);
        assert_eq!(said[0].priority_explained.as_deref(), Some("200 base"));
    }

    #[test]
    fn warnings_have_to_fit_too_and_one_of_each_group_stays() {
        let warning = status::FaultStatus {
            reason: "CertificateDoesNotCoverVIP".to_owned(),
            message: "x".repeat(5000),
        };
        for (groups, failing, shown, message) in [
            (10, 0, 16, Some(1024)),
            (100, 0, 4, Some(256)),
            (1024, 0, 1, Some(64)),
            (1024, 16, 1, None),
        ] {
            let mut node_groups = many(groups, failing, "gone");
            for group in &mut node_groups {
                group.warnings = vec![warning.clone(); 20];
                for probe in &mut group.probes {
                    probe.verdict = "Failing".to_owned();
                }
            }
            let said = node(&node_groups);
            for group in &said {
                assert_eq!(group.warnings.len(), shown, "{groups} groups");
                assert_eq!(group.warnings[0].reason, warning.reason);
                assert_eq!(group.warnings[0].message.as_ref().map(String::len), message);
            }
            assert!(said.iter().map(bytes).sum::<usize>() <= MOST_BYTES);
            let json = serde_json::to_vec(&said).unwrap();
            assert!(json.len() < 1 << 20, "{} bytes", json.len());
        }
    }

    #[test]
    fn a_verdict_that_had_lasted_is_told_at_once_and_what_changes_all_the_time_is_not() {
        let at = |verdict: &str, since: &str| {
            let mut groups = many(1, 1, "gone");
            groups[0].probes[0].verdict = verdict.to_owned();
            groups[0].probes[0].since = Some(since.parse::<Timestamp>().unwrap());
            node(&groups).remove(0)
        };
        let passing = at("Passing", "2026-11-21T12:00:00Z");
        assert!(is_urgent(&passing, &at("Failing", "2026-11-21T12:00:10Z")));
        assert!(!is_urgent(&passing, &at("Failing", "2026-11-21T12:00:09Z")));
        assert!(!is_urgent(&passing, &at("Passing", "2026-11-21T12:00:30Z")));
    }

    #[test]
    fn a_run_alone_writes_nothing() {
        let before = many(1, 2, "gone");
        let mut after = before.clone();
        for probe in &mut after[0].probes {
            probe.streak = "2 of 3".to_owned();
            probe.runs.insert("Failed".to_owned(), 4711);
            probe.time = SignedDuration::from_secs(9);
            probe.latest = None;
        }
        assert_eq!(node(&before), node(&after));
    }
}
