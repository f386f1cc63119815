//! What the operator measures, for Prometheus. Every label has few values, fixed here; only `group` follows what users
//! write, and goes when the group goes.

use std::time::Instant;

use holdfast_api::v1alpha1::VirtualIPGroup;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{MetricFamily, MetricType};
use prometheus::{
    Encoder as _, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder,
};

use crate::error::{Category, Error};
use crate::world::{Controller, Kind, World};

/// The types of conditions, as `holdfast_operator_groups` names them.
const CONDITIONS: [&str; 6] = [
    "Accepted",
    "Ready",
    "Degraded",
    "SplitBrain",
    "Reconciling",
    "Stalled",
];
/// The statuses a condition can have; a group that has not been reconciled is `Unknown`.
const STATUSES: [&str; 3] = ["True", "False", "Unknown"];

/// All metrics. See the module.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    reconcile_seconds: HistogramVec,
    reconcile_errors: IntCounterVec,
    writes: IntCounterVec,
    watch_errors: IntCounterVec,
    transitions: IntCounterVec,
    split_brains: IntCounter,
    events_dropped: IntCounter,
    groups: GaugeVec,
    agents: GaugeVec,
    orphans: IntGauge,
    leader: IntGauge,
}

impl Metrics {
    /// All metrics, at nought.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let metrics = Self {
            reconcile_seconds: HistogramVec::new(
                HistogramOpts::new(
                    "holdfast_operator_reconcile_duration_seconds",
                    "How long one reconciliation took, writes included.",
                )
                .buckets(vec![0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0]),
                &["controller"],
            )?,
            reconcile_errors: counters(
                "holdfast_operator_reconcile_errors_total",
                "Reconciliations that failed and will be tried again, by category.",
                &["controller", "category"],
            )?,
            writes: counters(
                "holdfast_operator_writes_total",
                "Objects written, by what was written.",
                &["what"],
            )?,
            watch_errors: counters(
                "holdfast_operator_watch_errors_total",
                "Watches that failed and began anew, by kind and category.",
                &["kind", "category"],
            )?,
            transitions: counters(
                "holdfast_operator_transitions_total",
                "Times a group's addresses moved to another node, as its status said.",
                &["group"],
            )?,
            split_brains: IntCounter::new(
                "holdfast_operator_split_brains_total",
                "Times a group was found with more than one active node.",
            )?,
            events_dropped: IntCounter::new(
                "holdfast_operator_events_dropped_total",
                "Events that were not published because too many waited.",
            )?,
            groups: GaugeVec::new(
                Opts::new(
                    "holdfast_operator_groups",
                    "Groups, by what each of their conditions says.",
                ),
                &["condition", "status"],
            )?,
            agents: GaugeVec::new(
                Opts::new("holdfast_operator_agents", "Nodes, by the state of their agent."),
                &["state"],
            )?,
            orphans: IntGauge::new(
                "holdfast_operator_orphans",
                "Groups that nodes keep running although there is no such VirtualIPGroup.",
            )?,
            leader: IntGauge::new(
                "holdfast_operator_leader",
                "1 if this replica leads, 0 if it stands by.",
            )?,
            registry,
        };
        metrics.register()?;
        Ok(metrics)
    }

    fn register(&self) -> Result<(), prometheus::Error> {
        for collector in self.collectors() {
            self.registry.register(collector)?;
        }
        Ok(())
    }

    fn collectors(&self) -> [Box<dyn Collector>; 11] {
        [
            Box::new(self.leader.clone()),
            Box::new(self.groups.clone()),
            Box::new(self.agents.clone()),
            Box::new(self.orphans.clone()),
            Box::new(self.transitions.clone()),
            Box::new(self.split_brains.clone()),
            Box::new(self.reconcile_seconds.clone()),
            Box::new(self.reconcile_errors.clone()),
            Box::new(self.writes.clone()),
            Box::new(self.watch_errors.clone()),
            Box::new(self.events_dropped.clone()),
        ]
    }

    /// Every metric there is: whether it has samples depends on what has happened.
    pub fn described(&self) -> Vec<(Desc, MetricType)> {
        let collectors = self.collectors();
        let described = collectors.iter().flat_map(|collector| {
            let kinds = collector.collect();
            let descs = collector.desc().into_iter().cloned();
            descs
                .zip(kinds.iter().map(MetricFamily::get_field_type))
                .collect::<Vec<_>>()
        });
        described.collect()
    }

    /// Measures one reconciliation until what is answered is dropped.
    pub fn reconciling(&self, controller: Controller) -> Measurer<'_> {
        Measurer {
            metrics: self,
            controller,
            began: Instant::now(),
        }
    }

    /// A reconciliation failed.
    pub fn failed(&self, controller: Controller, error: &Error) {
        self.reconcile_errors
            .with_label_values(&[controller.as_str(), error.category().as_str()])
            .inc();
    }

    /// Something was written.
    pub fn wrote(&self, what: &'static str) {
        self.writes.with_label_values(&[what]).inc();
    }

    /// A watch failed.
    pub fn watch_failed(&self, kind: Kind, category: Category) {
        self.watch_errors
            .with_label_values(&[kind.as_str(), category.as_str()])
            .inc();
    }

    /// A group's addresses moved.
    pub fn moved(&self, group: &str) {
        self.transitions.with_label_values(&[group]).inc();
    }

    /// A group was found with more than one active node.
    pub fn split(&self) {
        self.split_brains.inc();
    }

    /// An Event could not be published.
    pub fn event_dropped(&self) {
        self.events_dropped.inc();
    }

    /// A group is no more.
    pub fn forget_group(&self, group: &str) {
        // It may never have had one.
        let _ = self.transitions.remove_label_values(&[group]);
    }

    /// Everything in Prometheus' text format.
    pub fn render(&self, world: &World, leading: bool) -> Result<String, prometheus::Error> {
        self.leader.set(i64::from(leading));
        world.read(|index| {
            self.count_groups(index.groups());
            let orphans = i64::try_from(index.orphans()).unwrap_or(i64::MAX);
            self.orphans.set(orphans);
            for (state, count) in ["never", "alive", "silent"].into_iter().zip(index.agents()) {
                self.agents.with_label_values(&[state]).set(size(count));
            }
        });
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    fn count_groups<'a>(&self, groups: impl Iterator<Item = &'a VirtualIPGroup>) {
        let mut counts = [[0_usize; STATUSES.len()]; CONDITIONS.len()];
        for group in groups {
            let conditions = group.status.as_ref().map(|status| status.conditions.as_slice());
            for (type_, counts) in CONDITIONS.iter().zip(&mut counts) {
                let mut conditions = conditions.unwrap_or_default().iter();
                let status = conditions.find(|condition| condition.type_ == *type_);
                let status = status.map_or("Unknown", |condition| condition.status.as_str());
                if let Some(at) = STATUSES.iter().position(|known| *known == status) {
                    counts[at] += 1;
                }
            }
        }
        for (type_, counts) in CONDITIONS.iter().zip(counts) {
            for (status, count) in STATUSES.iter().zip(counts) {
                self.groups.with_label_values(&[*type_, *status]).set(size(count));
            }
        }
    }
}

/// Observes how long a reconciliation took when it is dropped, however that ended.
#[derive(Debug)]
pub struct Measurer<'a> {
    metrics: &'a Metrics,
    controller: Controller,
    began: Instant,
}

impl Drop for Measurer<'_> {
    fn drop(&mut self) {
        self.metrics
            .reconcile_seconds
            .with_label_values(&[self.controller.as_str()])
            .observe(self.began.elapsed().as_secs_f64());
    }
}

fn counters(name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
    IntCounterVec::new(Opts::new(name, help), labels)
}

#[allow(clippy::cast_precision_loss, reason = "counts of objects are far below 2^52")]
fn size(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Cluster;

    #[tokio::test]
    async fn metrics_follow_the_conventions_and_count_groups_by_condition() {
        let cluster = Cluster::new();
        cluster.group("web", |_| {});
        cluster.settle().await;
        let metrics = &cluster.context.metrics;
        drop(metrics.reconciling(Controller::Group));
        metrics.failed(Controller::Node, &Error::NotLeading);
        metrics.watch_failed(Kind::Lease, Category::Forbidden);
        metrics.moved("web");
        let text = metrics.render(&cluster.context.world, true).unwrap();
        assert!(
            text.contains(r#"holdfast_operator_groups{condition="Accepted",status="True"} 1"#),
            "{text}"
        );
        assert!(text.contains(r#"holdfast_operator_groups{condition="Ready",status="False"} 1"#));
        assert!(text.contains(r#"holdfast_operator_agents{state="never"} 3"#));
        assert!(text.contains("holdfast_operator_leader 1"));
        let lines = text.lines().filter(|line| line.starts_with('#'));
        insta::assert_snapshot!("metrics", lines.collect::<Vec<_>>().join("\n"));
        metrics.forget_group("web");
        let text = metrics.render(&cluster.context.world, true).unwrap();
        assert!(!text.contains(r#"group="web""#));
    }
}
