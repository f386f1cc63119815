//! Every metric of the agent but the engine's counters: its name, kind, labels and meaning.

use prometheus::core::Desc;
use prometheus::proto::MetricType;

/// A metric, of which there is a sample for each combination of the labels' values.
#[derive(Debug)]
pub struct Family<const LABELS: usize> {
    /// As it is served.
    pub name: &'static str,
    /// Counter, gauge or summary.
    pub kind: MetricType,
    /// The names of the labels.
    pub labels: [&'static str; LABELS],
    /// What it means, in a sentence.
    pub help: &'static str,
}

impl<const LABELS: usize> Family<LABELS> {
    /// Something that is counted since the agent started.
    pub const fn counter(name: &'static str, labels: [&'static str; LABELS], help: &'static str) -> Self {
        Self {
            name,
            kind: MetricType::COUNTER,
            labels,
            help,
        }
    }

    /// Something that goes up and down.
    const fn gauge(name: &'static str, labels: [&'static str; LABELS], help: &'static str) -> Self {
        Self {
            name,
            kind: MetricType::GAUGE,
            labels,
            help,
        }
    }

    /// How many there were, and how much all of them came to.
    const fn summary(name: &'static str, labels: [&'static str; LABELS], help: &'static str) -> Self {
        Self {
            name,
            kind: MetricType::SUMMARY,
            labels,
            help,
        }
    }

    /// The same, as a registry would describe it.
    pub fn describe(&self) -> Result<(Desc, MetricType), prometheus::Error> {
        let labels = self.labels.iter().map(ToString::to_string).collect();
        let desc = Desc::new(self.name.to_owned(), self.help.to_owned(), labels, [].into())?;
        Ok((desc, self.kind))
    }
}

/// All of them, in the order in which they are served.
pub fn all() -> Result<Vec<(Desc, MetricType)>, prometheus::Error> {
    [
        AGENT_INFO.describe(),
        AGENT_STANDBY.describe(),
        AGENT_CONFIGURATION_PROBLEMS.describe(),
        AGENT_LIMITATIONS.describe(),
        AGENT_ENGINE_HEARTBEAT_AGE.describe(),
        AGENT_API_REACHED.describe(),
        AGENT_API_LAST_ANSWER_AGE.describe(),
        AGENT_API_UNREPORTED.describe(),
        AGENT_API_PROBLEMS.describe(),
        AGENT_API_REFUSED_GROUPS.describe(),
        AGENT_API_REPORTS.describe(),
        AGENT_API_LEASE_RENEWALS.describe(),
        AGENT_API_FAILURES.describe(),
        CONNECTIONS_CLOSED.describe(),
        GROUP_INFO.describe(),
        STATE.describe(),
        EFFECTIVE_PRIORITY.describe(),
        FAULTS.describe(),
        NOTICES.describe(),
        GROUP_HELD_BACK.describe(),
        PROBE_PASSING.describe(),
        PROBE_RUNS.describe(),
        PROBE_DURATION.describe(),
        PACKETS_DROPPED.describe(),
        TRANSITIONS.describe(),
    ]
    .into_iter()
    .collect()
}

pub const AGENT_INFO: Family<2> = Family::gauge(
    "holdfast_agent_info",
    ["node", "version"],
    "Always 1; the labels say which agent this is.",
);

pub const AGENT_STANDBY: Family<0> = Family::gauge(
    "holdfast_agent_standby",
    [],
    "1 if another agent in this network namespace runs the groups, 0 if this one does.",
);

pub const AGENT_CONFIGURATION_PROBLEMS: Family<0> = Family::gauge(
    "holdfast_agent_configuration_problems",
    [],
    "Problems of the configuration last offered; above 0, what ran before keeps running.",
);

pub const AGENT_LIMITATIONS: Family<0> = Family::gauge(
    "holdfast_agent_limitations",
    [],
    "Things the process could not get and does without, such as real-time priority.",
);

pub const AGENT_ENGINE_HEARTBEAT_AGE: Family<0> = Family::gauge(
    "holdfast_agent_engine_heartbeat_age_seconds",
    [],
    "How long ago the engine went round its loop; above 3 /healthz fails.",
);

pub const AGENT_API_REACHED: Family<0> = Family::gauge(
    "holdfast_agent_api_reached",
    [],
    "1 if the API server answered the last request, 0 if not. Serving does not depend on it.",
);

pub const AGENT_API_LAST_ANSWER_AGE: Family<0> = Family::gauge(
    "holdfast_agent_api_last_answer_age_seconds",
    [],
    "How long ago the API server last answered; in quiet times the Lease is renewed every 10 s.",
);

pub const AGENT_API_UNREPORTED: Family<0> = Family::gauge(
    "holdfast_agent_api_unreported_seconds",
    [],
    "How long something has been waiting to be reported; 0 if the API server knows everything.",
);

pub const AGENT_API_PROBLEMS: Family<0> = Family::gauge(
    "holdfast_agent_api_problems",
    [],
    "Problems of this node beyond single groups, as `holdfast-agent status` shows them.",
);

pub const AGENT_API_REFUSED_GROUPS: Family<0> = Family::gauge(
    "holdfast_agent_api_refused_groups",
    [],
    "Groups of which the last word could not be put into force; what ran before keeps running.",
);

pub const AGENT_API_REPORTS: Family<0> = Family::counter(
    "holdfast_agent_api_reports_total",
    [],
    "Reports of this node's status that were written.",
);

pub const AGENT_API_LEASE_RENEWALS: Family<0> = Family::counter(
    "holdfast_agent_api_lease_renewals_total",
    [],
    "Renewals of this node's Lease.",
);

pub const AGENT_API_FAILURES: Family<1> = Family::counter(
    "holdfast_agent_api_failures_total",
    ["reason"],
    "Reports and renewals that failed, by reason; each is tried again.",
);

pub const CONNECTIONS_CLOSED: Family<1> = Family::counter(
    "holdfast_agent_connections_closed_total",
    ["kind"],
    "Connections that were closed because their address left this node: sockets (tcp, udp) and entries of conntrack (tracked).",
);

pub const GROUP_INFO: Family<5> = Family::gauge(
    "holdfast_vrrp_group_info",
    ["group", "vrid", "version", "family", "interface"],
    "Always 1; the labels describe the group's virtual router.",
);

pub const STATE: Family<2> = Family::gauge(
    "holdfast_vrrp_state",
    ["group", "state"],
    "1 for the state the group is in on this node, 0 for the others.",
);

pub const EFFECTIVE_PRIORITY: Family<1> = Family::gauge(
    "holdfast_vrrp_effective_priority",
    ["group"],
    "The priority with which this node stands in the group's election.",
);

pub const FAULTS: Family<1> = Family::gauge(
    "holdfast_vrrp_faults",
    ["group"],
    "Facts that keep this node out of the group's election.",
);

pub const NOTICES: Family<1> = Family::gauge(
    "holdfast_vrrp_notices",
    ["group"],
    "Things on the wire that do not fit the group's configuration, such as another version or password.",
);

pub const GROUP_HELD_BACK: Family<1> = Family::gauge(
    "holdfast_group_held_back",
    ["group"],
    "1 while this node may show less than it could, because it came and went too often.",
);

pub const PROBE_PASSING: Family<2> = Family::gauge(
    "holdfast_probe_passing",
    ["group", "probe"],
    "1 if the probe passes on this node, 0 if it fails or is being healed; absent while nothing is known.",
);

pub const PROBE_RUNS: Family<3> = Family::counter(
    "holdfast_probe_runs_total",
    ["group", "probe", "outcome"],
    "Runs of the probe, by how they ended.",
);

pub const PROBE_DURATION: Family<2> = Family::summary(
    "holdfast_probe_duration_seconds",
    ["group", "probe"],
    "How long runs of the probe took.",
);

pub const PACKETS_DROPPED: Family<2> = Family::counter(
    "holdfast_vrrp_packets_dropped_total",
    ["group", "reason"],
    "VRRP packets that were not believed, by reason.",
);

pub const TRANSITIONS: Family<3> = Family::counter(
    "holdfast_vrrp_transitions_total",
    ["group", "to", "reason"],
    "Changes of state, by the state entered and the reason.",
);
