//! The page about the operator, as Markdown, and what it promises.

use std::time::Duration;

use super::{Scale, Size};
use crate::{
    figures::{megabytes, millis},
    machine::Machine,
    report::{head, line, targets_table},
    targets::Target,
};

/// The most memory of an operator with a thousand groups over five thousand nodes, in bytes.
const MEMORY: u64 = 150_000_000;

/// The whole page.
pub fn page(machine: &Machine, scale: &Scale, took: Duration, load_after: &str) -> String {
    let mut text = head(
        "Benchmarks of the operator",
        "What the operator does, and what it costs, where there are many groups and nodes. How fast addresses fail over does \
         not depend on it, and is on [another page](benchmarks.md).",
        machine,
        &[("operator", &scale.operator), ("Kubernetes", &scale.kubernetes)],
        (took, load_after),
    );
    targets_table(&mut text, "measured", &judge(scale));
    section(&mut text, scale);
    text
}

fn judge(scale: &Scale) -> [Target; 3] {
    let resident = scale.memory.resident;
    // It is told itself that it may serve now that it has spoken.
    let members = scale.size.members;
    let asked = scale.quiet_requests - scale.quiet_leases;
    [
        Target {
            promise: "The operator's memory: at most 150 MB",
            measured: format!("{} MB", megabytes(resident)),
            met: resident <= MEMORY,
        },
        Target {
            promise: "One node's change: one write for each member of its group, and one status",
            measured: format!(
                "{} for {members} members, and {}",
                scale.change_node_writes, scale.change_other_writes
            ),
            met: (members - 1..=members).contains(&scale.change_node_writes)
                && scale.change_other_writes <= 1,
        },
        Target {
            promise: "The operator asks for nothing but its Lease and watches while nothing changes",
            measured: format!("{asked} other requests in {} s", scale.quiet.as_secs()),
            met: asked == scale.quiet_watches,
        },
    ]
}

fn section(text: &mut String, scale: &Scale) {
    let Size { groups, members } = scale.size;
    line(
        text,
        &format!(
            "\n## In a large cluster\n\n\
             One operator beside a real kube-apiserver and etcd on the same machine, no agents: {groups} groups of \
             {members} members over {} nodes, applied {} at a time. Requests are what the API server's audit log has \
             from the operator. *Other writes* are the groups' finalizers and status, and Events.\n\n| | |\n|---|---|",
            scale.size.nodes(),
            super::PARALLEL,
        ),
    );
    let seconds = |duration: Duration| format!("{:.1} s", duration.as_secs_f64());
    let rows = [
        (
            "groups applied, as fast as the API server takes them",
            seconds(scale.applied),
        ),
        (
            "from the first apply until every VirtualIPNode is written",
            seconds(scale.written),
        ),
        (
            "until the operator has nothing left to do",
            seconds(scale.settled),
        ),
        (
            "writes of VirtualIPNodes, for each node",
            ratio(scale.node_writes, scale.size.nodes()),
        ),
        ("other writes, for each group", ratio(scale.other_writes, groups)),
        ("the operator's CPU time until then", seconds(scale.cpu)),
        (
            "its memory afterwards (RSS)",
            format!("{} MB", megabytes(scale.memory.resident)),
        ),
        (
            "its memory at most (RSS)",
            format!("{} MB", megabytes(scale.memory.peak)),
        ),
        (
            "requests while nothing changes",
            format!(
                "{} in {} ({} for its Lease, {} watches)",
                scale.quiet_requests,
                seconds(scale.quiet),
                scale.quiet_leases,
                scale.quiet_watches
            ),
        ),
        (
            "its CPU time meanwhile",
            format!("{} ms", millis(scale.quiet_cpu)),
        ),
        (
            "one node reports another address: writes of VirtualIPNodes",
            scale.change_node_writes.to_string(),
        ),
        ("and other writes", scale.change_other_writes.to_string()),
    ];
    for (what, figure) in rows {
        line(text, &format!("| {what} | {figure} |"));
    }
}

fn ratio(count: usize, of: usize) -> String {
    #[expect(clippy::cast_precision_loss, reason = "two decimals are shown")]
    let ratio = count as f64 / of as f64;
    format!("{ratio:.2}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{report::tests::machine, usage::Memory};

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn scale() -> Scale {
        Scale {
            operator: "holdfast-operator 1".to_owned(),
            kubernetes: "v1".to_owned(),
            size: Size {
                groups: 1000,
                members: 5,
            },
            applied: ms(10_000),
            written: ms(20_000),
            settled: ms(20_000),
            node_writes: 5000,
            other_writes: 2000,
            cpu: ms(9000),
            memory: Memory {
                resident: 100_000_000,
                ..Memory::default()
            },
            quiet: ms(60_000),
            quiet_requests: 30,
            quiet_leases: 30,
            quiet_watches: 0,
            quiet_cpu: ms(60),
            change_node_writes: 5,
            change_other_writes: 1,
        }
    }

    #[test]
    fn a_kept_promise_is_met_and_a_broken_one_missed() {
        let page = |scale: &Scale| page(&machine(), scale, ms(9000), "0.2");
        assert!(!page(&scale()).contains("**missed**"), "{}", page(&scale()));
        for broken in [
            Scale {
                change_node_writes: 6,
                ..scale()
            },
            Scale {
                change_node_writes: 3,
                ..scale()
            },
            Scale {
                change_other_writes: 2,
                ..scale()
            },
            Scale {
                quiet_requests: 31,
                ..scale()
            },
        ] {
            assert_eq!(page(&broken).matches("**missed**").count(), 1, "{broken:?}");
        }
    }
}
