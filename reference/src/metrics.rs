//! The page of metrics: name, kind, labels and meaning of each, as the programs' registries have them.

use core::fmt::Write as _;

use prometheus::core::Desc;
use prometheus::proto::MetricType;

use crate::{GENERATED, cell};

const INTRODUCTION: &str = "\
Prometheus' text format, at `/metrics`. Labels have few values each: groups, probes and nodes are what you named, everything else \
comes from a fixed list. Metrics of which there is nothing to say are left out, such as those of probes where no group has one. \
A counter begins at 0 with its program.";

const AGENT: &str = "\
Served by each agent at `--metrics-address`, `127.0.0.1:9414` by default. Those with `_api_` in their names exist with \
`--kubernetes` only. What is worth an alarm is in [the agent's guide](../agent.md#http).";

const OPERATOR: &str = "\
Served by each replica at `--metrics-address`, `0.0.0.0:8080` by default. What is worth an alarm is in \
[the operator's guide](../operator.md#metrics).";

/// The page, from what describes the metrics of each program.
pub fn page(agent: &[(Desc, MetricType)], operator: &[(Desc, MetricType)]) -> String {
    let mut page = format!("# Metrics\n\n{GENERATED}\n\n{INTRODUCTION}\n");
    for (title, introduction, metrics) in [("The agent", AGENT, agent), ("The operator", OPERATOR, operator)]
    {
        let _ = writeln!(page, "\n## {title}\n\n{introduction}\n");
        page.push_str("| Metric | Kind | Labels | Meaning |\n|---|---|---|---|\n");
        for (desc, kind) in metrics {
            let labels: Vec<String> = desc
                .variable_labels
                .iter()
                .map(|label| format!("`{label}`"))
                .collect();
            let _ = writeln!(
                page,
                "| `{}` | {} | {} | {} |",
                desc.fq_name,
                word(*kind),
                labels.join(", "),
                cell(&desc.help)
            );
        }
    }
    page
}

const fn word(kind: MetricType) -> &'static str {
    match kind {
        MetricType::COUNTER => "counter",
        MetricType::GAUGE => "gauge",
        MetricType::SUMMARY => "summary",
        MetricType::HISTOGRAM => "histogram",
        MetricType::UNTYPED => "untyped",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_a_row() {
        let desc = Desc::new(
            "holdfast_x_total".to_owned(),
            "Xs, a|b.".to_owned(),
            vec!["group".to_owned(), "to".to_owned()],
            [].into(),
        );
        let page = page(&[(desc.unwrap(), MetricType::COUNTER)], &[]);
        let row = "\n| `holdfast_x_total` | counter | `group`, `to` | Xs, a\\|b. |\n";
        assert!(page.contains(row), "{page}");
    }
}
