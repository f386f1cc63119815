//! Prometheus metrics out of one snapshot: pure, and built one family at a time, so that a scrape stays small.
//!
//! Labels are bounded: groups and probes by the configuration, states, reasons, outcomes and drop reasons by their enums.
//! Which metrics there are, [`described`] says.

mod families;

use core::time::Duration;
use std::collections::BTreeMap;

use jiff::Timestamp;
use prometheus::core::Desc;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType, Summary};
use prometheus::{Encoder as _, TextEncoder};

use self::families::Family;
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
        let samples = status
            .groups
            .iter()
            .map(|group| ([group.name.as_str()], (counter.value)(&group.counters)));
        text.counter(&counter.family(), samples)?;
    }
    text.counter(
        &families::PACKETS_DROPPED,
        status.groups.iter().flat_map(|group| {
            group
                .drops
                .iter()
                .map(|(reason, count)| ([group.name.as_str(), reason.as_str()], *count))
        }),
    )?;
    text.counter(
        &families::TRANSITIONS,
        extra
            .transitions
            .iter()
            .map(|((group, to, reason), count)| ([group.as_str(), *to, *reason], *count)),
    )?;
    Ok(text.0)
}

fn agent_metrics(text: &mut Text, status: &AgentStatus, extra: &Extra) -> Result<(), prometheus::Error> {
    text.gauge(
        &families::AGENT_INFO,
        [([status.node.as_str(), status.version.as_str()], 1.0)],
    )?;
    text.gauge(
        &families::AGENT_STANDBY,
        [([], flag(status.role == Role::Standby))],
    )?;
    text.gauge(
        &families::AGENT_CONFIGURATION_PROBLEMS,
        [([], size(status.configuration_problems.len()))],
    )?;
    text.gauge(
        &families::AGENT_LIMITATIONS,
        [([], size(status.limitations.len()))],
    )?;
    text.gauge(
        &families::AGENT_ENGINE_HEARTBEAT_AGE,
        extra.heartbeat_age.map(|age| ([], age.as_secs_f64())),
    )
}

fn connection_metrics(text: &mut Text, closed: Counts) -> Result<(), prometheus::Error> {
    text.counter(
        &families::CONNECTIONS_CLOSED,
        [
            (["tcp"], closed.tcp),
            (["udp"], closed.udp),
            (["tracked"], closed.tracked),
        ],
    )
}

fn api_metrics(text: &mut Text, api: &ApiStatus, now: Timestamp) -> Result<(), prometheus::Error> {
    let age = |since: Timestamp| now.duration_since(since).as_secs_f64().max(0.0);
    text.gauge(&families::AGENT_API_REACHED, [([], flag(api.reached))])?;
    text.gauge(
        &families::AGENT_API_LAST_ANSWER_AGE,
        api.last_answer.map(|answer| ([], age(answer))),
    )?;
    text.gauge(
        &families::AGENT_API_UNREPORTED,
        [([], api.unreported_since.map_or(0.0, age))],
    )?;
    text.gauge(&families::AGENT_API_PROBLEMS, [([], size(api.problems.len()))])?;
    text.gauge(
        &families::AGENT_API_REFUSED_GROUPS,
        [([], size(api.refusals.len()))],
    )?;
    text.counter(&families::AGENT_API_REPORTS, [([], api.counters.reports)])?;
    text.counter(
        &families::AGENT_API_LEASE_RENEWALS,
        [([], api.counters.lease_renewals)],
    )?;
    text.counter(
        &families::AGENT_API_FAILURES,
        api.counters
            .failures
            .iter()
            .map(|(reason, count)| ([reason.as_str()], *count)),
    )
}

fn group_metrics(text: &mut Text, groups: &[GroupStatus]) -> Result<(), prometheus::Error> {
    let ids: Vec<String> = groups
        .iter()
        .map(|group| group.virtual_router_id.to_string())
        .collect();
    text.gauge(
        &families::GROUP_INFO,
        groups.iter().zip(&ids).map(|(group, id)| {
            let labels = [
                group.name.as_str(),
                id.as_str(),
                group.version.as_str(),
                group.family.as_str(),
                group.interface.as_deref().unwrap_or_default(),
            ];
            (labels, 1.0)
        }),
    )?;
    text.gauge(
        &families::STATE,
        groups
            .iter()
            .flat_map(|group| STATES.map(|state| ([group.name.as_str(), state], flag(group.state == state)))),
    )?;
    text.gauge(
        &families::EFFECTIVE_PRIORITY,
        groups
            .iter()
            .map(|group| (by_group(group), f64::from(group.effective_priority))),
    )?;
    text.gauge(
        &families::FAULTS,
        groups
            .iter()
            .map(|group| (by_group(group), size(group.faults.len()))),
    )?;
    text.gauge(
        &families::NOTICES,
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
        &families::GROUP_HELD_BACK,
        groups
            .iter()
            .map(|group| (by_group(group), flag(group.held_back_until.is_some()))),
    )?;
    text.gauge(
        &families::PROBE_PASSING,
        probes()
            .filter(|(_, probe)| probe.verdict != "NotYetKnown")
            .map(|(group, probe)| (by_probe(group, probe), flag(probe.verdict == "Passing"))),
    )?;
    text.counter(
        &families::PROBE_RUNS,
        probes().flat_map(|(group, probe)| {
            probe.runs.iter().map(move |(outcome, count)| {
                let labels = [&*group.name, &*probe.name, outcome];
                (labels, *count)
            })
        }),
    )?;
    text.summary(
        &families::PROBE_DURATION,
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

impl CounterMetric {
    const fn family(&self) -> Family<1> {
        Family::counter(self.name, ["group"], self.help)
    }
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

/// Every metric there is, as a registry would describe it: whether it has samples depends on what the agent runs.
pub fn described() -> Result<Vec<(Desc, MetricType)>, prometheus::Error> {
    let mut all = families::all()?;
    for counter in COUNTERS {
        all.push(counter.family().describe()?);
    }
    Ok(all)
}

/// The text so far.
#[derive(Default)]
struct Text(String);

impl Text {
    fn gauge<'a, const N: usize>(
        &mut self,
        family: &Family<N>,
        samples: impl IntoIterator<Item = ([&'a str; N], f64)>,
    ) -> Result<(), prometheus::Error> {
        let samples = samples.into_iter().map(|(labels, value)| {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            let mut metric = labelled(family, labels);
            metric.set_gauge(gauge);
            metric
        });
        self.family(family, samples.collect())
    }

    fn counter<'a, const N: usize>(
        &mut self,
        family: &Family<N>,
        samples: impl IntoIterator<Item = ([&'a str; N], u64)>,
    ) -> Result<(), prometheus::Error> {
        let samples = samples.into_iter().map(|(labels, value)| {
            let mut counter = Counter::default();
            // Prometheus stores floats; above 2^53 the last digits are lost, there as here.
            #[allow(clippy::cast_precision_loss)]
            counter.set_value(value as f64);
            let mut metric = labelled(family, labels);
            metric.set_counter(counter);
            metric
        });
        self.family(family, samples.collect())
    }

    /// Of each how much all have come to, and how many there were.
    fn summary<'a, const N: usize>(
        &mut self,
        family: &Family<N>,
        samples: impl IntoIterator<Item = ([&'a str; N], f64, u64)>,
    ) -> Result<(), prometheus::Error> {
        let samples = samples.into_iter().map(|(labels, sum, count)| {
            let mut summary = Summary::default();
            summary.set_sample_sum(sum);
            summary.set_sample_count(count);
            let mut metric = labelled(family, labels);
            metric.set_summary(summary);
            metric
        });
        self.family(family, samples.collect())
    }

    fn family<const N: usize>(
        &mut self,
        family: &Family<N>,
        samples: Vec<Metric>,
    ) -> Result<(), prometheus::Error> {
        // The encoder takes a family without samples for a mistake.
        if samples.is_empty() {
            return Ok(());
        }
        let mut proto = MetricFamily::default();
        proto.set_name(family.name.to_owned());
        proto.set_help(family.help.to_owned());
        proto.set_field_type(family.kind);
        proto.set_metric(samples);
        TextEncoder::new().encode_utf8(&[proto], &mut self.0)
    }
}

/// The content type of [`render`]'s text.
pub fn content_type() -> String {
    TextEncoder::new().format_type().to_owned()
}

fn labelled<const N: usize>(family: &Family<N>, values: [&str; N]) -> Metric {
    let pairs = family.labels.iter().zip(values).map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value(value.to_owned());
        pair
    });
    Metric::from_label(pairs.collect())
}

fn by_group(group: &GroupStatus) -> [&str; 1] {
    [&group.name]
}

fn by_probe<'a>(group: &'a GroupStatus, probe: &'a ProbeStatus) -> [&'a str; 2] {
    [&group.name, &probe.name]
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
    fn every_metric_is_described_and_no_other() {
        let text = rendered();
        let mut served: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
            .map(|(name, _)| name)
            .collect();
        let all = described().unwrap();
        let mut described: Vec<&str> = all.iter().map(|(desc, _)| &*desc.fq_name).collect();
        described.sort_unstable();
        served.sort_unstable();
        assert_eq!(described, served);
    }
}
