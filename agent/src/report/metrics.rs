//! Prometheus metrics out of one snapshot: pure, and built one family at a time, so that a scrape stays small.
//!
//! Labels are bounded: groups and probes by the configuration, states, reasons, outcomes and drop reasons by their enums.
//! Every metric is listed in docs/agent.md; a test compares the two.

use core::time::Duration;
use std::collections::BTreeMap;

use jiff::Timestamp;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType, Summary};
use prometheus::{Encoder as _, TextEncoder};

use super::TransitionKey;
use crate::connections::Counts;
use crate::status::{AgentStatus, ApiStatus, Counters, GroupStatus, ProbeStatus, Role};

/// The states that `holdfast_vrrp_state` names.
const STATES: [&str; 4] = ["Initialize", "Backup", "Active", "Fault"];

/// What is measured beside the status.
#[derive(Clone, Debug, Default)]
pub struct Extra {
    /// The time from which ages count.
    pub now: Timestamp,
    /// How long ago the engine went round its loop; `None` for a standby.
    pub heartbeat_age: Option<Duration>,
    /// How often each kind of transition happened.
    pub transitions: BTreeMap<TransitionKey, u64>,
    /// Connections that were closed because their address left this node.
    pub closed: Counts,
}

/// The metrics in Prometheus' text format.
pub fn render(status: &AgentStatus, extra: &Extra) -> Result<String, prometheus::Error> {
    let mut text = Text::default();
    agent_metrics(&mut text, status, extra)?;
    if let Some(api) = &status.api {
        api_metrics(&mut text, api, extra.now)?;
    }
    connection_metrics(&mut text, extra.closed)?;
    group_metrics(&mut text, &status.groups)?;
    probe_metrics(&mut text, &status.groups)?;
    for counter in COUNTERS {
        let samples = status.groups.iter().map(|group| {
            (
                vec![("group", group.name.as_str())],
                (counter.value)(&group.counters),
            )
        });
        text.counter(counter.name, counter.help, samples)?;
    }
    text.counter(
        "holdfast_vrrp_packets_dropped_total",
        "VRRP packets that were not believed, by reason.",
        status.groups.iter().flat_map(|group| {
            group.drops.iter().map(|(reason, count)| {
                (
                    vec![("group", group.name.as_str()), ("reason", reason.as_str())],
                    *count,
                )
            })
        }),
    )?;
    text.counter(
        "holdfast_vrrp_transitions_total",
        "Changes of state, by the state entered and the reason.",
        extra.transitions.iter().map(|((group, to, reason), count)| {
            (
                vec![("group", group.as_str()), ("to", *to), ("reason", *reason)],
                *count,
            )
        }),
    )?;
    Ok(text.0)
}

fn agent_metrics(text: &mut Text, status: &AgentStatus, extra: &Extra) -> Result<(), prometheus::Error> {
    text.gauge(
        "holdfast_agent_info",
        "Always 1; the labels say which agent this is.",
        [(
            vec![
                ("node", status.node.as_str()),
                ("version", status.version.as_str()),
            ],
            1.0,
        )],
    )?;
    text.gauge(
        "holdfast_agent_standby",
        "1 if another agent in this network namespace runs the groups, 0 if this one does.",
        [(vec![], flag(status.role == Role::Standby))],
    )?;
    text.gauge(
        "holdfast_agent_configuration_problems",
        "Problems of the configuration last offered; above 0, what ran before keeps running.",
        [(vec![], size(status.configuration_problems.len()))],
    )?;
    text.gauge(
        "holdfast_agent_limitations",
        "Things the process could not get and does without, such as real-time priority.",
        [(vec![], size(status.limitations.len()))],
    )?;
    text.gauge(
        "holdfast_agent_engine_heartbeat_age_seconds",
        "How long ago the engine went round its loop; above 3 /healthz fails.",
        extra.heartbeat_age.map(|age| (vec![], age.as_secs_f64())),
    )
}

fn connection_metrics(text: &mut Text, closed: Counts) -> Result<(), prometheus::Error> {
    text.counter(
        "holdfast_agent_connections_closed_total",
        "Connections that were closed because their address left this node: sockets (tcp, udp) and entries of conntrack (tracked).",
        [
            (vec![("kind", "tcp")], closed.tcp),
            (vec![("kind", "udp")], closed.udp),
            (vec![("kind", "tracked")], closed.tracked),
        ],
    )
}

fn api_metrics(text: &mut Text, api: &ApiStatus, now: Timestamp) -> Result<(), prometheus::Error> {
    let age = |since: Timestamp| now.duration_since(since).as_secs_f64().max(0.0);
    text.gauge(
        "holdfast_agent_api_reached",
        "1 if the API server answered the last request, 0 if not. Serving does not depend on it.",
        [(vec![], flag(api.reached))],
    )?;
    text.gauge(
        "holdfast_agent_api_last_answer_age_seconds",
        "How long ago the API server last answered; in quiet times the Lease is renewed every 10 s.",
        api.last_answer.map(|answer| (vec![], age(answer))),
    )?;
    text.gauge(
        "holdfast_agent_api_unreported_seconds",
        "How long something has been waiting to be reported; 0 if the API server knows everything.",
        [(vec![], api.unreported_since.map_or(0.0, age))],
    )?;
    text.gauge(
        "holdfast_agent_api_problems",
        "Problems of this node beyond single groups, as `holdfast-agent status` shows them.",
        [(vec![], size(api.problems.len()))],
    )?;
    text.gauge(
        "holdfast_agent_api_refused_groups",
        "Groups of which the last word could not be put into force; what ran before keeps running.",
        [(vec![], size(api.refusals.len()))],
    )?;
    text.counter(
        "holdfast_agent_api_reports_total",
        "Reports of this node's status that were written.",
        [(vec![], api.counters.reports)],
    )?;
    text.counter(
        "holdfast_agent_api_lease_renewals_total",
        "Renewals of this node's Lease.",
        [(vec![], api.counters.lease_renewals)],
    )?;
    text.counter(
        "holdfast_agent_api_failures_total",
        "Reports and renewals that failed, by reason; each is tried again.",
        api.counters
            .failures
            .iter()
            .map(|(reason, count)| (vec![("reason", reason.as_str())], *count)),
    )
}

fn group_metrics(text: &mut Text, groups: &[GroupStatus]) -> Result<(), prometheus::Error> {
    let ids: Vec<String> = groups
        .iter()
        .map(|group| group.virtual_router_id.to_string())
        .collect();
    text.gauge(
        "holdfast_vrrp_group_info",
        "Always 1; the labels describe the group's virtual router.",
        groups.iter().zip(&ids).map(|(group, id)| {
            let labels = vec![
                ("group", group.name.as_str()),
                ("vrid", id.as_str()),
                ("version", group.version.as_str()),
                ("family", group.family.as_str()),
                ("interface", group.interface.as_deref().unwrap_or_default()),
            ];
            (labels, 1.0)
        }),
    )?;
    text.gauge(
        "holdfast_vrrp_state",
        "1 for the state the group is in on this node, 0 for the others.",
        groups.iter().flat_map(|group| {
            STATES.map(|state| {
                (
                    vec![("group", group.name.as_str()), ("state", state)],
                    flag(group.state == state),
                )
            })
        }),
    )?;
    text.gauge(
        "holdfast_vrrp_effective_priority",
        "The priority with which this node stands in the group's election.",
        groups
            .iter()
            .map(|group| (by_group(group), f64::from(group.effective_priority))),
    )?;
    text.gauge(
        "holdfast_vrrp_faults",
        "Facts that keep this node out of the group's election.",
        groups
            .iter()
            .map(|group| (by_group(group), size(group.faults.len()))),
    )?;
    text.gauge(
        "holdfast_vrrp_notices",
        "Things on the wire that do not fit the group's configuration, such as another version or password.",
        groups
            .iter()
            .map(|group| (by_group(group), size(group.notices.len()))),
    )
}

fn probe_metrics(text: &mut Text, groups: &[GroupStatus]) -> Result<(), prometheus::Error> {
    let probes = || {
        groups
            .iter()
            .flat_map(|group| group.probes.iter().map(move |probe| (group, probe)))
    };
    text.gauge(
        "holdfast_group_held_back",
        "1 while this node may show less than it could, because it came and went too often.",
        groups
            .iter()
            .map(|group| (by_group(group), flag(group.held_back_until.is_some()))),
    )?;
    text.gauge(
        "holdfast_probe_passing",
        "1 if the probe passes on this node, 0 if it fails or is being healed; absent while nothing is known.",
        probes()
            .filter(|(_, probe)| probe.verdict != "NotYetKnown")
            .map(|(group, probe)| (by_probe(group, probe), flag(probe.verdict == "Passing"))),
    )?;
    text.counter(
        "holdfast_probe_runs_total",
        "Runs of the probe, by how they ended.",
        probes().flat_map(|(group, probe)| {
            probe.runs.iter().map(move |(outcome, count)| {
                let mut labels = by_probe(group, probe);
                labels.push(("outcome", outcome));
                (labels, *count)
            })
        }),
    )?;
    text.summary(
        "holdfast_probe_duration_seconds",
        "How long runs of the probe took.",
        probes()
            .filter(|(_, probe)| !probe.runs.is_empty())
            .map(|(group, probe)| {
                let runs = probe.runs.values().sum();
                (by_probe(group, probe), probe.time.as_secs_f64(), runs)
            }),
    )
}

/// One of the engine's counters.
struct CounterMetric {
    name: &'static str,
    help: &'static str,
    value: fn(&Counters) -> u64,
}

const COUNTERS: &[CounterMetric] = &[
    CounterMetric {
        name: "holdfast_vrrp_advertisements_sent_total",
        help: "Advertisements sent, one for each destination.",
        value: |counters| counters.advertisements_sent,
    },
    CounterMetric {
        name: "holdfast_vrrp_advertisements_received_total",
        help: "Advertisements received and believed.",
        value: |counters| counters.advertisements_received,
    },
    CounterMetric {
        name: "holdfast_vrrp_send_errors_total",
        help: "Advertisements that could not be sent.",
        value: |counters| counters.send_errors,
    },
    CounterMetric {
        name: "holdfast_vrrp_became_active_total",
        help: "Times this node became Active.",
        value: |counters| counters.became_active,
    },
    CounterMetric {
        name: "holdfast_vrrp_resignations_sent_total",
        help: "Priority-0 advertisements sent.",
        value: |counters| counters.resignations_sent,
    },
    CounterMetric {
        name: "holdfast_vrrp_resignations_received_total",
        help: "Priority-0 advertisements received.",
        value: |counters| counters.resignations_received,
    },
    CounterMetric {
        name: "holdfast_vrrp_announcements_sent_total",
        help: "Gratuitous ARPs and unsolicited neighbor advertisements sent.",
        value: |counters| counters.announcements_sent,
    },
    CounterMetric {
        name: "holdfast_vrrp_addresses_restored_total",
        help: "Addresses put back after somebody else deleted them.",
        value: |counters| counters.addresses_restored,
    },
    CounterMetric {
        name: "holdfast_vrrp_conflicts_total",
        help: "Times another station claimed one of the addresses while this node was Active.",
        value: |counters| counters.conflicts,
    },
];

type Labels<'a> = Vec<(&'a str, &'a str)>;

/// The text so far.
#[derive(Default)]
struct Text(String);

impl Text {
    fn gauge<'a>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'a>, f64)>,
    ) -> Result<(), prometheus::Error> {
        let samples = samples.into_iter().map(|(labels, value)| {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            let mut metric = labelled(labels);
            metric.set_gauge(gauge);
            metric
        });
        self.family(name, help, MetricType::GAUGE, samples.collect())
    }

    fn counter<'a>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'a>, u64)>,
    ) -> Result<(), prometheus::Error> {
        let samples = samples.into_iter().map(|(labels, value)| {
            let mut counter = Counter::default();
            // Prometheus stores floats; above 2^53 the last digits are lost, there as here.
            #[allow(clippy::cast_precision_loss)]
            counter.set_value(value as f64);
            let mut metric = labelled(labels);
            metric.set_counter(counter);
            metric
        });
        self.family(name, help, MetricType::COUNTER, samples.collect())
    }

    /// Of each how much all have come to, and how many there were.
    fn summary<'a>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'a>, f64, u64)>,
    ) -> Result<(), prometheus::Error> {
        let samples = samples.into_iter().map(|(labels, sum, count)| {
            let mut summary = Summary::default();
            summary.set_sample_sum(sum);
            summary.set_sample_count(count);
            let mut metric = labelled(labels);
            metric.set_summary(summary);
            metric
        });
        self.family(name, help, MetricType::SUMMARY, samples.collect())
    }

    fn family(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        samples: Vec<Metric>,
    ) -> Result<(), prometheus::Error> {
        // The encoder takes a family without samples for a mistake.
        if samples.is_empty() {
            return Ok(());
        }
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        family.set_metric(samples);
        TextEncoder::new().encode_utf8(&[family], &mut self.0)
    }
}

/// The content type of [`render`]'s text.
pub fn content_type() -> String {
    TextEncoder::new().format_type().to_owned()
}

fn labelled(labels: Labels<'_>) -> Metric {
    let pairs = labels.into_iter().map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value.to_owned());
        pair
    });
    Metric::from_label(pairs.collect())
}

fn by_group(group: &GroupStatus) -> Labels<'_> {
    vec![("group", &group.name)]
}

fn by_probe<'a>(group: &'a GroupStatus, probe: &'a ProbeStatus) -> Labels<'a> {
    vec![("group", &group.name), ("probe", &probe.name)]
}

fn flag(set: bool) -> f64 {
    if set { 1.0 } else { 0.0 }
}

fn size(length: usize) -> f64 {
    f64::from(u32::try_from(length).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    fn rendered() -> String {
        let extra = Extra {
            now: example::now(),
            heartbeat_age: Some(Duration::from_millis(250)),
            transitions: BTreeMap::from([(("control-plane".to_owned(), "Active", "ActiveSilent"), 2)]),
            closed: Counts {
                tcp: 12,
                udp: 0,
                tracked: 3,
            },
        };
        let mut status = example::clustered();
        status.groups = example::probed().groups;
        render(&status, &extra).unwrap()
    }

    #[test]
    fn metrics_follow_the_conventions() {
        insta::assert_snapshot!(rendered());
    }

    #[test]
    fn a_standby_without_groups_has_metrics_too() {
        let status = AgentStatus {
            role: Role::Standby,
            groups: Vec::new(),
            ..example::agent()
        };
        let text = render(&status, &Extra::default()).unwrap();
        assert!(text.contains("\nholdfast_agent_standby 1\n"), "{text}");
        assert!(!text.contains("heartbeat"), "{text}");
    }

    #[test]
    fn an_agent_without_an_api_server_has_no_metrics_of_one() {
        let text = render(&example::agent(), &Extra::default()).unwrap();
        assert!(!text.contains("_api_"), "{text}");
    }

    #[test]
    fn the_guide_lists_every_metric_and_no_other() {
        let guide = include_str!("../../../docs/agent.md");
        let listed: Vec<&str> = guide
            .lines()
            .filter_map(|line| line.strip_prefix("| `holdfast_")?.split_once(['`', '{']))
            .map(|(name, _)| name)
            .collect();
        let text = rendered();
        let mut served: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE holdfast_")?.split_once(' '))
            .map(|(name, _)| name)
            .collect();
        let mut listed = listed.clone();
        listed.sort_unstable();
        served.sort_unstable();
        assert_eq!(listed, served);
    }
}
