//! Groups that are applied and changed, members that come and go.

use super::*;

pub(super) const SITUATIONS: &[Situation] = &[
    Situation {
        name: "a group that was just applied waits for its members",
        happens: |stage| {
            stage.records.clear();
            for node in ["cp-1", "cp-2"] {
                stage.add(node);
                stage.heard(node, 100);
                stage.object(node).status.observed_generation = Some(0);
            }
        },
        conditions: &["Ready=False NoActiveNode", "Reconciling=True NotApplied"],
        active: None,
        members: &["cp-1: Initialize NotHeardYet", "cp-2: Initialize NotHeardYet"],
        says: &[("Ready", "cp-1: Initialize, has not been told of the group yet")],
    },
    Situation {
        name: "a member has not applied the new generation",
        happens: |stage| {
            stage.edit();
            for node in ["cp-1", "cp-2", "cp-3"] {
                stage.tell(node);
            }
            for node in ["cp-1", "cp-2"] {
                stage.report(node).applied_generation = Some(GENERATION + 1);
            }
        },
        conditions: &["Ready=False NotApplied", "Reconciling=True NotApplied"],
        active: Some("cp-1"),
        members: &[
            "cp-1: Active ActiveSilent",
            "cp-2: Backup HigherPriority",
            "cp-3: Backup HigherPriority",
        ],
        says: &[(
            "Ready",
            "Generation 4 does not run on all live members yet. cp-3: still runs generation 3.",
        )],
    },
    Situation {
        name: "nobody has been told of the new generation",
        happens: Stage::edit,
        conditions: &["Ready=False NotApplied", "Reconciling=True NotApplied"],
        active: Some("cp-1"),
        members: &[
            "cp-1: Active ActiveSilent",
            "cp-2: Backup HigherPriority",
            "cp-3: Backup HigherPriority",
        ],
        says: &[(
            "Reconciling",
            "cp-1: still runs generation 3, and has not been told another one.",
        )],
    },
    Situation {
        name: "a member that is not heard has not applied the new generation, and is not waited for",
        happens: |stage| {
            stage.edit();
            stage.lost("cp-3");
            for node in ["cp-1", "cp-2", "cp-3"] {
                stage.tell(node);
            }
            for node in ["cp-1", "cp-2"] {
                stage.report(node).applied_generation = Some(GENERATION + 1);
            }
        },
        conditions: &["Degraded=True MemberUnreachable"],
        active: Some("cp-1"),
        members: &[
            "cp-1: Active ActiveSilent",
            "cp-2: Backup HigherPriority",
            "cp-3: Unknown LastSeenBackup",
        ],
        says: &[("Ready", "all 2 live members run generation 4")],
    },
    Situation {
        name: "a group of the same name was deleted and applied again",
        happens: |stage| stage.group.metadata.uid = Some("uid-2".into()),
        conditions: &["Ready=False NotApplied", "Reconciling=True NotApplied"],
        active: Some("cp-1"),
        members: &[
            "cp-1: Active ActiveSilent",
            "cp-2: Backup HigherPriority",
            "cp-3: Backup HigherPriority",
        ],
        says: &[(
            "Ready",
            "cp-1: does not run generation 3 yet, and has not been told another one.",
        )],
    },
    Situation {
        name: "a member runs what a file says",
        happens: |stage| {
            stage.report("cp-3").source = GroupSource::File;
            stage.report("cp-3").applied_generation = None;
        },
        conditions: &["Ready=False NotApplied", "Reconciling=True NotApplied"],
        active: Some("cp-1"),
        members: &[
            "cp-1: Active ActiveSilent",
            "cp-2: Backup HigherPriority",
            "cp-3: Backup HigherPriority",
        ],
        says: &[("cp-3", "runs what a file on the node says")],
    },
    Situation {
        name: "a member cannot use what it was told",
        happens: |stage| {
            stage.report("cp-3").applied_generation = Some(2);
            stage.report("cp-3").faults = vec![fault(
                "ConfigurationRefused",
                "the Secret web-password does not exist",
            )];
        },
        conditions: &[
            "Ready=False NotApplied",
            "Degraded=True MemberFault",
            "Reconciling=True NotApplied",
            "Stalled=True ConfigurationRefused",
        ],
        active: Some("cp-1"),
        members: &[
            "cp-1: Active ActiveSilent",
            "cp-2: Backup HigherPriority",
            "cp-3: Backup HigherPriority",
        ],
        says: &[(
            "Stalled",
            "cp-3: Backup, ConfigurationRefused: the Secret web-password does not exist",
        )],
    },
    Situation {
        name: "a member's agent is too old for what it was told",
        happens: |stage| {
            stage.object("cp-3").status.problems = vec![fault("UnknownFeature", "upgrade the agent")];
            stage.report("cp-3").applied_generation = Some(2);
        },
        conditions: &[
            "Ready=False NotApplied",
            "Degraded=True AgentProblem",
            "Reconciling=True NotApplied",
            "Stalled=True UnknownFeature",
        ],
        active: Some("cp-1"),
        members: &[
            "cp-1: Active ActiveSilent",
            "cp-2: Backup HigherPriority",
            "cp-3: Backup HigherPriority",
        ],
        says: &[("Stalled", "UnknownFeature: upgrade the agent")],
    },
    Situation {
        name: "a newcomer may not become Active before the others know it",
        happens: |stage| {
            stage.told("cp-3").may_become_active = false;
            stage.object("cp-2").generation = 2;
        },
        conditions: &["Reconciling=True WaitingForMembers"],
        active: Some("cp-1"),
        members: &[
            "cp-1: Active ActiveSilent",
            "cp-2: Backup HigherPriority",
            "cp-3: Backup HigherPriority",
        ],
        says: &[(
            "Reconciling",
            "cp-3: may become Active when it is acknowledged by cp-2.",
        )],
    },
    Situation {
        name: "a newcomer waits for a member that is not heard",
        happens: |stage| {
            stage.told("cp-3").may_become_active = false;
            stage.object("cp-2").generation = 2;
            stage.lost("cp-2");
        },
        conditions: &[
            "Degraded=True MemberUnreachable",
            "Reconciling=True WaitingForMembers",
            "Stalled=True WaitingForMembers",
        ],
        active: Some("cp-1"),
        members: &[
            "cp-1: Active ActiveSilent",
            "cp-2: Unknown LastSeenBackup",
            "cp-3: Backup HigherPriority",
        ],
        says: &[
            (
                "Stalled",
                "Nothing is heard of cp-2, which may still run what it was told before: bring it back, or delete",
            ),
            ("cp-3", "may become Active when it is acknowledged by cp-2"),
        ],
    },
    Situation {
        name: "a change of identity waits for a member that is not heard",
        happens: |stage| {
            stage.group.spec.virtual_router_id = Some(52);
            stage.edit();
            stage.lost("cp-3");
        },
        conditions: &[
            "Ready=False NotApplied",
            "Degraded=True MemberUnreachable",
            "Reconciling=True WaitingForMembers",
            "Stalled=True WaitingForMembers",
        ],
        active: Some("cp-1"),
        members: &[
            "cp-1: Active ActiveSilent",
            "cp-2: Backup HigherPriority",
            "cp-3: Unknown LastSeenBackup",
        ],
        says: &[
            (
                "Reconciling",
                "keep the former version until the change is acknowledged by cp-3.",
            ),
            (
                "cp-2",
                "keeps its former version until the change is acknowledged by cp-3",
            ),
        ],
    },
    Situation {
        name: "a node is no longer selected and has not let go",
        happens: |stage| {
            stage.select("edge");
            for node in ["cp-1", "cp-2"] {
                stage.label(node, "edge");
            }
            // It is told no new generation, and nobody waits for it to run one.
            stage.edit();
            for node in ["cp-1", "cp-2"] {
                stage.tell(node);
                stage.report(node).applied_generation = Some(GENERATION + 1);
            }
            stage.told("cp-3").deleted = true;
        },
        conditions: &["Reconciling=True MemberLeaving"],
        active: Some("cp-1"),
        members: &[
            "cp-1: Active ActiveSilent",
            "cp-2: Backup HigherPriority",
            "cp-3: Backup HigherPriority",
        ],
        says: &[
            ("Reconciling", "Waiting until the group is let go by cp-3."),
            ("cp-3", "has not let go of the group yet"),
            ("Degraded", "All 2 members can serve."),
        ],
    },
    Situation {
        name: "a node that is no longer selected is not heard",
        happens: |stage| {
            stage.told("cp-3").deleted = true;
            stage.lost("cp-3");
        },
        conditions: &["Reconciling=True MemberLeaving", "Stalled=True MemberLeaving"],
        active: Some("cp-1"),
        members: &[
            "cp-1: Active ActiveSilent",
            "cp-2: Backup HigherPriority",
            "cp-3: Unknown LastSeenBackup",
        ],
        says: &[("Stalled", "Nothing is heard of cp-3")],
    },
    Situation {
        name: "a node that has let go is no member",
        happens: |stage| {
            stage.told("cp-3").deleted = true;
            stage.object("cp-3").status.groups.clear();
        },
        conditions: &[],
        active: Some("cp-1"),
        members: &["cp-1: Active ActiveSilent", "cp-2: Backup HigherPriority"],
        says: &[("Degraded", "All 2 members can serve.")],
    },
];
