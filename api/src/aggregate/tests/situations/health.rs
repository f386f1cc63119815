//! Members that serve, stand by, fail and are lost.

use super::*;

pub(super) const SITUATIONS: &[Situation] = &[
    Situation {
        name: "one serves and two stand by",
        happens: |_| {},
        conditions: &[],
        active: Some("cp-1"),
        members: &[
            "cp-1: Active ActiveSilent",
            "cp-2: Backup HigherPriority",
            "cp-3: Backup HigherPriority",
        ],
        says: &[
            ("Accepted", "selects 3 nodes."),
            (
                "Ready",
                "cp-1 serves the addresses; all 3 live members run generation 3.",
            ),
            ("Degraded", "All 3 members can serve."),
        ],
    },
    Situation {
        name: "a lost node that another has replaced is unknown, and known as lost when its Lease has run out",
        happens: |stage| {
            stage.says("cp-2", MemberState::Active, 104);
            stage.report("cp-3").active_peer = Some("10.0.0.2".into());
        },
        conditions: &[],
        active: Some("cp-2"),
        members: &[
            "cp-1: Unknown LastSeenActive",
            "cp-2: Active ActiveSilent",
            "cp-3: Backup HigherPriority",
        ],
        says: &[("cp-1", "and cp-2 after it; its next word is awaited")],
    },
    Situation {
        name: "the lost node's Lease has run out",
        happens: |stage| {
            stage.says("cp-2", MemberState::Active, 104);
            stage.report("cp-3").active_peer = Some("10.0.0.2".into());
            stage.lost("cp-1");
        },
        conditions: &["Degraded=True MemberUnreachable"],
        active: Some("cp-2"),
        members: &[
            "cp-1: Unknown LastSeenActive",
            "cp-2: Active ActiveSilent",
            "cp-3: Backup HigherPriority",
        ],
        says: &[
            (
                "Degraded",
                "cp-1: its agent was last heard of at 2027-01-15T08:01:40Z, Active since 2027-01-15T08:00:10Z.",
            ),
            ("Ready", "all 2 live members"),
        ],
    },
    Situation {
        name: "the Active node's agent is not heard, and its addresses are served all the same",
        happens: |stage| stage.lost("cp-1"),
        conditions: &[
            "Ready=False ActiveNodeUnreachable",
            "Degraded=True MemberUnreachable",
        ],
        active: Some("cp-1"),
        members: &[
            "cp-1: Unknown LastSeenActive",
            "cp-2: Backup HigherPriority",
            "cp-3: Backup HigherPriority",
        ],
        says: &[(
            "Ready",
            "still heard on the wire by cp-2 and cp-3, so the addresses are served",
        )],
    },
    Situation {
        name: "the Active node's agent is not heard, and the others hear somebody else",
        happens: |stage| {
            stage.lost("cp-1");
            for node in ["cp-2", "cp-3"] {
                stage.report(node).active_peer = Some("10.0.0.9".into());
            }
        },
        conditions: &[
            "Ready=False ActiveNodeUnreachable",
            "Degraded=True MemberUnreachable",
        ],
        active: Some("cp-1"),
        members: &[
            "cp-1: Unknown LastSeenActive",
            "cp-2: Backup HigherPriority",
            "cp-3: Backup HigherPriority",
        ],
        says: &[(
            "Ready",
            "No other member says that it took over. cp-2: Backup, hears 10.0.0.9, which is no member, as the Active router.",
        )],
    },
    Situation {
        name: "the Active node's agent is not heard, and nobody took over",
        happens: |stage| {
            stage.lost("cp-1");
            for node in ["cp-2", "cp-3"] {
                stage.says(node, MemberState::Fault, 104);
                stage.report(node).faults = vec![fault("LinkDown", "eth0 has no carrier")];
            }
        },
        conditions: &["Ready=False ActiveNodeUnreachable", "Degraded=True NoRedundancy"],
        active: Some("cp-1"),
        members: &[
            "cp-1: Unknown LastSeenActive",
            "cp-2: Fault LinkDown",
            "cp-3: Fault LinkDown",
        ],
        says: &[
            (
                "Ready",
                "No other member says that it took over. cp-2: Fault, LinkDown: eth0 has no carrier. cp-3:",
            ),
            ("Degraded", "No member of 3 members can serve."),
        ],
    },
    Situation {
        name: "a Backup's agent is not heard",
        happens: |stage| stage.lost("cp-3"),
        conditions: &["Degraded=True MemberUnreachable"],
        active: Some("cp-1"),
        members: &[
            "cp-1: Active ActiveSilent",
            "cp-2: Backup HigherPriority",
            "cp-3: Unknown LastSeenBackup",
        ],
        says: &[(
            "cp-3",
            "its agent was last heard of at 2027-01-15T08:01:40Z, Backup since",
        )],
    },
    Situation {
        name: "a Backup's node is gone for good",
        happens: |stage| {
            stage.lost("cp-3");
            stage.record("cp-3").node = None;
        },
        conditions: &["Degraded=True MemberUnreachable"],
        active: Some("cp-1"),
        members: &[
            "cp-1: Active ActiveSilent",
            "cp-2: Backup HigherPriority",
            "cp-3: Unknown LastSeenBackup",
        ],
        says: &[("cp-3", "its Node object is gone")],
    },
    Situation {
        name: "a Backup cannot take part",
        happens: |stage| {
            stage.says("cp-3", MemberState::Fault, 104);
            stage.report("cp-3").faults = vec![fault("NoSourceAddress", "eth0 has no IPv4 address")];
        },
        conditions: &["Degraded=True MemberFault"],
        active: Some("cp-1"),
        members: &[
            "cp-1: Active ActiveSilent",
            "cp-2: Backup HigherPriority",
            "cp-3: Fault NoSourceAddress",
        ],
        says: &[
            (
                "Degraded",
                "cp-3: Fault, NoSourceAddress: eth0 has no IPv4 address.",
            ),
            ("cp-3", "has no IPv4"),
        ],
    },
    Situation {
        name: "only one of three can serve",
        happens: |stage| {
            stage.says("cp-2", MemberState::Fault, 104);
            stage.report("cp-2").faults = vec![fault("LinkDown", "eth0 has no carrier")];
            stage.lost("cp-3");
        },
        conditions: &["Degraded=True NoRedundancy"],
        active: Some("cp-1"),
        members: &[
            "cp-1: Active ActiveSilent",
            "cp-2: Fault LinkDown",
            "cp-3: Unknown LastSeenBackup",
        ],
        says: &[(
            "Degraded",
            "Only cp-1 of 3 members can serve. cp-2: Fault, LinkDown",
        )],
    },
    Situation {
        name: "an agent has a problem on its node",
        happens: |stage| {
            stage.object("cp-2").status.problems = vec![fault("CacheNotWritable", "the disk is full")];
        },
        conditions: &["Degraded=True AgentProblem"],
        active: Some("cp-1"),
        members: &[
            "cp-1: Active ActiveSilent",
            "cp-2: Backup HigherPriority",
            "cp-3: Backup HigherPriority",
        ],
        says: &[
            ("Degraded", "cp-2: CacheNotWritable: the disk is full."),
            ("cp-2", "the disk is full"),
        ],
    },
    Situation {
        name: "certificates that leave an address out are told of on each node, and what to do once",
        happens: |stage| {
            for node in ["cp-1", "cp-3"] {
                let message = "the certificate is for kubernetes and not for 10.0.0.100";
                stage.report(node).warnings = vec![fault("CertificateDoesNotCoverVIP", message)];
            }
            stage.object("cp-2").status.problems = vec![fault("CacheNotWritable", "the disk is full")];
        },
        conditions: &["Degraded=True CertificateDoesNotCoverVIP"],
        active: Some("cp-1"),
        members: &[
            "cp-1: Active ActiveSilent",
            "cp-2: Backup HigherPriority",
            "cp-3: Backup HigherPriority",
        ],
        says: &[
            (
                "Degraded",
                "cp-1: the certificate is for kubernetes and not for 10.0.0.100. cp-3: the certificate is for kubernetes and not \
                 for 10.0.0.100. Add the address to `apiServer.certSANs`",
            ),
            ("Degraded", "by itself. cp-2: CacheNotWritable: the disk is full."),
        ],
    },
    Situation {
        name: "what a newer agent warns of is passed on as it is",
        happens: |stage| stage.report("cp-2").warnings = vec![fault("ClockIsWrong", "by 3 minutes")],
        conditions: &["Degraded=True AgentProblem"],
        active: Some("cp-1"),
        members: &[
            "cp-1: Active ActiveSilent",
            "cp-2: Backup HigherPriority",
            "cp-3: Backup HigherPriority",
        ],
        says: &[("Degraded", "cp-2: ClockIsWrong: by 3 minutes.")],
    },
    Situation {
        name: "a Node that reports an address of the group is told of, after what takes redundancy away",
        happens: |stage| {
            stage.verdict.amiss = vec![Warning {
                reason: Reason::NodeReportsVIP,
                message: "Node cp-2 reports 10.0.0.100 as its own address".into(),
            }];
            stage.lost("cp-3");
        },
        conditions: &["Degraded=True MemberUnreachable"],
        active: Some("cp-1"),
        members: &[
            "cp-1: Active ActiveSilent",
            "cp-2: Backup HigherPriority",
            "cp-3: Unknown LastSeenBackup",
        ],
        says: &[
            ("Degraded", "Node cp-2 reports 10.0.0.100 as its own address."),
            ("Accepted", "the group is valid"),
        ],
    },
    Situation {
        name: "a Node that reports an address of the group is reason enough",
        happens: |stage| {
            stage.verdict.amiss = vec![Warning {
                reason: Reason::NodeReportsVIP,
                message: "Node cp-2 reports 10.0.0.100 as its own address".into(),
            }];
        },
        conditions: &["Degraded=True NodeReportsVIP"],
        active: Some("cp-1"),
        members: &[
            "cp-1: Active ActiveSilent",
            "cp-2: Backup HigherPriority",
            "cp-3: Backup HigherPriority",
        ],
        says: &[("Degraded", "Node cp-2 reports 10.0.0.100 as its own address.")],
    },
    Situation {
        name: "nobody is Active",
        happens: |stage| stage.says("cp-1", MemberState::Backup, 104),
        conditions: &["Ready=False NoActiveNode"],
        active: None,
        members: &[
            "cp-1: Backup HigherPriority",
            "cp-2: Backup HigherPriority",
            "cp-3: Backup HigherPriority",
        ],
        says: &[(
            "Ready",
            "No member serves the addresses. cp-1: Backup. cp-2: Backup. cp-3: Backup.",
        )],
    },
    Situation {
        name: "a router that is no member is Active",
        happens: |stage| {
            stage.says("cp-1", MemberState::Backup, 104);
            for node in ["cp-1", "cp-2", "cp-3"] {
                stage.report(node).active_peer = Some("10.0.0.9".into());
            }
        },
        conditions: &["Ready=False NoActiveNode"],
        active: None,
        members: &[
            "cp-1: Backup HigherPriority",
            "cp-2: Backup HigherPriority",
            "cp-3: Backup HigherPriority",
        ],
        says: &[(
            "Ready",
            "cp-1: Backup, hears 10.0.0.9, which is no member, as the Active router.",
        )],
    },
    Situation {
        name: "the one member of a group serves",
        happens: |stage| {
            stage.records.remove("cp-2");
            stage.records.remove("cp-3");
        },
        conditions: &["Degraded=False SingleMember"],
        active: Some("cp-1"),
        members: &["cp-1: Active ActiveSilent"],
        says: &[
            ("Degraded", "cp-1 is the only member"),
            ("Ready", "cp-1 serves the addresses and runs generation 3."),
        ],
    },
    Situation {
        name: "the one member of a group is lost",
        happens: |stage| {
            stage.records.remove("cp-2");
            stage.records.remove("cp-3");
            stage.lost("cp-1");
        },
        conditions: &[
            "Ready=False ActiveNodeUnreachable",
            "Degraded=True MemberUnreachable",
        ],
        active: Some("cp-1"),
        members: &["cp-1: Unknown LastSeenActive"],
        says: &[("Ready", "No other member says that it took over.")],
    },
    Situation {
        name: "no agent has ever run on the members",
        happens: |stage| {
            stage.records.clear();
            stage.add("cp-1");
            stage.add("cp-2");
        },
        conditions: &["Ready=False NoActiveNode", "Degraded=True NoRedundancy"],
        active: None,
        members: &[
            "cp-1: Unknown MemberUnreachable",
            "cp-2: Unknown MemberUnreachable",
        ],
        says: &[("Ready", "cp-1: no agent has ever run on this node.")],
    },
];

#[test]
fn the_certificate_of_a_node_that_is_not_heard_is_not_known_any_more() {
    let mut stage = Stage::serving();
    stage.report("cp-3").warnings = vec![fault("CertificateDoesNotCoverVIP", "it is for kubernetes")];
    stage.lost("cp-3");
    let conditions = stage.settle().status.conditions;
    let degraded = conditions.iter().find(|it| it.type_ == "Degraded").unwrap();
    assert_eq!(degraded.reason, "MemberUnreachable");
    assert!(!degraded.message.contains("kubernetes"), "{}", degraded.message);
}
