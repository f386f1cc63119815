//! Probes, work on nodes, and members that come and go.

use super::super::*;
use super::Situation;

/// HAProxy has to answer, or the node hands over.
fn watching(stage: &mut Stage, on_failure: &serde_json::Value) {
    stage.probes(&json!([
        { "name": "haproxy", "httpGet": { "port": 8404, "path": "/ready" }, "onFailure": on_failure },
        { "name": "disk", "exec": { "command": ["/usr/local/bin/check-disk", "-w"] }, "onFailure": { "type": "None" } },
    ]));
}

/// The service on a node fails, and the node stands behind every healthy one.
fn fails(stage: &mut Stage, node: &str) {
    stage.verdict_of(node, "haproxy", "Failing", "Failed", "connection refused", 90);
    stage.stands(
        node,
        6,
        "floor 6 of 100 base: haproxy fails (connection refused, 3 of 3)",
    );
}

const BACKUPS: &[&str] = &[
    "cp-1: Active ActiveSilent",
    "cp-2: Backup HigherPriority",
    "cp-3: Backup HigherPriority",
];

pub(super) const SITUATIONS: &[Situation] = &[
    Situation {
        name: "probes pass",
        happens: |stage| watching(stage, &json!({})),
        conditions: &[],
        active: Some("cp-1"),
        members: BACKUPS,
        says: &[("cp-2", "")],
    },
    Situation {
        name: "a probe fails on a Backup",
        happens: |stage| {
            watching(stage, &json!({}));
            fails(stage, "cp-2");
        },
        conditions: &["Degraded=True ProbeFailing"],
        active: Some("cp-1"),
        members: BACKUPS,
        says: &[
            (
                "Degraded",
                "cp-2: Backup, probe `haproxy` fails since 2027-01-15T08:01:30Z: connection refused (look at what should answer \
                 http://localhost:8404/ready on cp-2); until it passes, every healthy member goes before it.",
            ),
            ("cp-2", "probe `haproxy` fails since"),
            (
                "Ready",
                "cp-1 serves the addresses; all 3 live members run generation 3.",
            ),
        ],
    },
    Situation {
        name: "a probe that changes the priority has no answer in time",
        happens: |stage| {
            watching(stage, &json!({ "type": "Weight", "weight": -50 }));
            stage.verdict_of("cp-2", "haproxy", "Failing", "TimedOut", "", 90);
            stage.stands(
                "cp-2",
                50,
                "100 base \u{2212} 50 haproxy (timed out, 3 of 3) = 50",
            );
        },
        conditions: &["Degraded=True ProbeFailing"],
        active: Some("cp-1"),
        members: BACKUPS,
        says: &[(
            "Degraded",
            "probe `haproxy` times out since 2027-01-15T08:01:30Z (look at what should answer http://localhost:8404/ready on cp-2); \
             it has priority 50 instead of 100 meanwhile.",
        )],
    },
    Situation {
        name: "a probe whose failure is only shown cannot be run",
        happens: |stage| {
            watching(stage, &json!({}));
            stage.verdict_of(
                "cp-3",
                "disk",
                "Failing",
                "CouldNotRun",
                "no such file\nsecond line",
                90,
            );
        },
        conditions: &["Degraded=True ProbeFailing"],
        active: Some("cp-1"),
        members: BACKUPS,
        says: &[(
            "Degraded",
            "probe `disk` cannot be run since 2027-01-15T08:01:30Z: no such file (look at what `/usr/local/bin/check-disk -w` \
             says on cp-3); nothing follows from that.",
        )],
    },
    Situation {
        name: "a node leaves the election because a probe fails",
        happens: |stage| {
            watching(stage, &json!({ "type": "Fault" }));
            stage.says("cp-3", MemberState::Fault, 90);
            stage.verdict_of("cp-3", "haproxy", "Failing", "Failed", "answered 503", 90);
            stage.report("cp-3").faults = vec![fault(
                "ProbeFailed",
                "probe `haproxy` fails: answered 503 (3 of 3 runs)",
            )];
        },
        conditions: &["Degraded=True ProbeFailing"],
        active: Some("cp-1"),
        members: &[
            "cp-1: Active ActiveSilent",
            "cp-2: Backup HigherPriority",
            "cp-3: Fault ProbeFailed",
        ],
        says: &[(
            "Degraded",
            "cp-3: Fault, probe `haproxy` fails since 2027-01-15T08:01:30Z: answered 503 (look at what should answer \
             http://localhost:8404/ready on cp-3); until it passes, the node is out of the election.",
        )],
    },
    Situation {
        name: "an agent has only its own words for a failed probe",
        happens: |stage| {
            stage.says("cp-3", MemberState::Fault, 90);
            stage.report("cp-3").faults = vec![fault("ProbeFailed", "the check of haproxy says no")];
        },
        conditions: &["Degraded=True ProbeFailing"],
        active: Some("cp-1"),
        members: &[
            "cp-1: Active ActiveSilent",
            "cp-2: Backup HigherPriority",
            "cp-3: Fault ProbeFailed",
        ],
        says: &[(
            "Degraded",
            "cp-3: Fault, ProbeFailed: the check of haproxy says no.",
        )],
    },
    Situation {
        name: "only one of three is healthy",
        happens: |stage| {
            watching(stage, &json!({}));
            fails(stage, "cp-2");
            fails(stage, "cp-3");
        },
        conditions: &["Degraded=True NoRedundancy"],
        active: Some("cp-1"),
        members: BACKUPS,
        says: &[(
            "Degraded",
            "Only cp-1 of 3 members can serve. cp-2: Backup, probe `haproxy` fails",
        )],
    },
    Situation {
        name: "all fail, and the best of them serves",
        happens: |stage| {
            watching(stage, &json!({}));
            for node in ["cp-1", "cp-2", "cp-3"] {
                fails(stage, node);
            }
        },
        conditions: &["Degraded=True ServedByFailingMember"],
        active: Some("cp-1"),
        members: BACKUPS,
        says: &[
            (
                "Degraded",
                "cp-1 serves the addresses although its service fails, because no other member is better off. cp-1: Active, \
                 probe `haproxy` fails",
            ),
            ("Ready", "But the service behind them fails: see Degraded."),
        ],
    },
    Situation {
        name: "nothing is known of the probes yet",
        happens: |stage| {
            watching(stage, &json!({}));
            for node in ["cp-1", "cp-2", "cp-3"] {
                stage.verdict_of(node, "haproxy", "NotYetKnown", "Passed", "", 90);
                stage.stands(node, 6, "floor 6 of 100 base: haproxy is not known yet");
            }
        },
        conditions: &[],
        active: Some("cp-1"),
        members: BACKUPS,
        says: &[("cp-2", "probe `haproxy` has not passed yet")],
    },
    Situation {
        name: "recovery is tried",
        happens: |stage| {
            watching(stage, &json!({}));
            stage.verdict_of(
                "cp-1",
                "haproxy",
                "Recovering",
                "Failed",
                "connection refused",
                90,
            );
        },
        conditions: &[],
        active: Some("cp-1"),
        members: BACKUPS,
        says: &[(
            "cp-1",
            "probe `haproxy` does not pass, and its recovery is being tried",
        )],
    },
    Situation {
        name: "a probe of a quorum fails, and the quorum passes",
        happens: |stage| {
            stage.probes(&json!([
                { "name": "a", "process": { "name": "nginx" } },
                { "name": "b", "peer": { "address": "10.0.0.254" } },
                { "name": "both", "quorum": { "probes": ["a", "b"], "atLeast": 1 } },
            ]));
            stage.verdict_of("cp-2", "b", "Failing", "TimedOut", "no answer", 90);
            for node in ["cp-1", "cp-3"] {
                stage.verdict_of(node, "b", "Failing", "TimedOut", "no answer", 90);
            }
        },
        conditions: &["Degraded=True ProbeFailing"],
        active: Some("cp-1"),
        members: BACKUPS,
        says: &[(
            "Degraded",
            "probe `b` times out since 2027-01-15T08:01:30Z: no answer (look at 10.0.0.254, and the way to it from cp-1); \
             nothing follows from that.",
        )],
    },
    Situation {
        name: "a node is demoted because it is cordoned",
        happens: |stage| {
            stage.work_on(
                "cp-2",
                NodeDutyType::Demote,
                "cordoned: kubectl uncordon cp-2 ends it",
            );
            stage.stands(
                "cp-2",
                6,
                "floor 6 of 100 base: node is being worked on (cordoned)",
            );
        },
        conditions: &["Degraded=True MemberInMaintenance"],
        active: Some("cp-1"),
        members: BACKUPS,
        says: &[(
            "Degraded",
            "cp-2: Backup, its node is being worked on (cordoned: kubectl uncordon cp-2 ends it): it serves only if nobody else \
             can.",
        )],
    },
    Situation {
        name: "the one that serves is demoted, for nobody else can",
        happens: |stage| {
            stage.work_on("cp-1", NodeDutyType::Demote, "cordoned");
            stage.stands(
                "cp-1",
                6,
                "floor 6 of 100 base: node is being worked on (cordoned)",
            );
        },
        conditions: &["Degraded=True MemberInMaintenance"],
        active: Some("cp-1"),
        members: BACKUPS,
        says: &[("Degraded", "cp-1: Active, its node is being worked on (cordoned)")],
    },
    Situation {
        name: "a node has given up the addresses because it is worked on, and its service is stopped",
        happens: |stage| {
            watching(stage, &json!({}));
            stage.work_on(
                "cp-3",
                NodeDutyType::Release,
                "annotation vip.holdfast.dev/maintenance=true",
            );
            stage.says("cp-3", MemberState::Fault, 90);
            stage.report("cp-3").faults = vec![fault("Maintenance", "the node is being worked on")];
            stage.verdict_of("cp-3", "haproxy", "Failing", "Failed", "connection refused", 95);
        },
        conditions: &["Degraded=True MemberInMaintenance"],
        active: Some("cp-1"),
        members: &[
            "cp-1: Active ActiveSilent",
            "cp-2: Backup HigherPriority",
            "cp-3: Fault Maintenance",
        ],
        says: &[(
            "Degraded",
            "its node is being worked on (annotation vip.holdfast.dev/maintenance=true): it takes no part meanwhile.",
        )],
    },
    Situation {
        name: "all but one have given up the addresses",
        happens: |stage| {
            for node in ["cp-2", "cp-3"] {
                stage.work_on(node, NodeDutyType::Release, "cordoned");
                stage.says(node, MemberState::Fault, 90);
                stage.report(node).faults = vec![fault("Maintenance", "the node is being worked on")];
            }
        },
        conditions: &["Degraded=True NoRedundancy"],
        active: Some("cp-1"),
        members: &[
            "cp-1: Active ActiveSilent",
            "cp-2: Fault Maintenance",
            "cp-3: Fault Maintenance",
        ],
        says: &[(
            "Degraded",
            "Only cp-1 of 3 members can serve. cp-2: Fault, its node is being worked on",
        )],
    },
    Situation {
        name: "a node shuts down",
        happens: |stage| {
            stage.says("cp-3", MemberState::Fault, 104);
            stage.report("cp-3").faults = vec![fault("Maintenance", "the node shuts down")];
        },
        conditions: &["Degraded=True MemberInMaintenance"],
        active: Some("cp-1"),
        members: &[
            "cp-1: Active ActiveSilent",
            "cp-2: Backup HigherPriority",
            "cp-3: Fault Maintenance",
        ],
        says: &[("Degraded", "cp-3: Fault, the node shuts down.")],
    },
    Situation {
        name: "a node that is being worked on is down",
        happens: |stage| {
            stage.work_on("cp-3", NodeDutyType::Release, "cordoned");
            stage.lost("cp-3");
        },
        conditions: &["Degraded=True MemberUnreachable"],
        active: Some("cp-1"),
        members: &[
            "cp-1: Active ActiveSilent",
            "cp-2: Backup HigherPriority",
            "cp-3: Unknown LastSeenBackup",
        ],
        says: &[("Degraded", "; its node is being worked on (cordoned).")],
    },
    Situation {
        name: "a node cannot take part, and is being worked on too",
        happens: |stage| {
            stage.work_on("cp-3", NodeDutyType::Release, "cordoned");
            stage.says("cp-3", MemberState::Fault, 104);
            stage.report("cp-3").faults = vec![
                fault("LinkDown", "eth0 has no carrier"),
                fault("Maintenance", "the node is being worked on"),
            ];
        },
        conditions: &["Degraded=True MemberFault"],
        active: Some("cp-1"),
        members: &[
            "cp-1: Active ActiveSilent",
            "cp-2: Backup HigherPriority",
            "cp-3: Fault LinkDown",
        ],
        says: &[("cp-3", "LinkDown: eth0 has no carrier")],
    },
    Situation {
        name: "a member goes with the others of its sync group",
        happens: |stage| {
            stage.says("cp-3", MemberState::Fault, 104);
            stage.report("cp-3").faults = vec![fault(
                "SyncGroup",
                "group `db` of the same sync group cannot take part",
            )];
        },
        conditions: &["Degraded=True MemberFault"],
        active: Some("cp-1"),
        members: &[
            "cp-1: Active ActiveSilent",
            "cp-2: Backup HigherPriority",
            "cp-3: Fault SyncGroup",
        ],
        says: &[(
            "Degraded",
            "cp-3: Fault, SyncGroup: group `db` of the same sync group cannot take part.",
        )],
    },
    Situation {
        name: "a member came and went too often",
        happens: |stage| {
            watching(stage, &json!({}));
            stage.report("cp-2").held_back_until = Some(micro(185));
            stage.stands("cp-2", 21, "held back at 21 of 100 base (3 changes within 3m)");
        },
        conditions: &["Degraded=True MemberHeldBack"],
        active: Some("cp-1"),
        members: BACKUPS,
        says: &[(
            "Degraded",
            "cp-2: Backup, it came and went too often and is held back: other healthy members go first until \
             2027-01-15T08:03:05Z.",
        )],
    },
];
