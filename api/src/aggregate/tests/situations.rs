//! What is said in which situation: all that differs from a group that serves as it should.

use core::time::Duration;
use std::collections::BTreeSet;

use super::*;

/// One situation: how it comes to be, and what is said. Conditions that are not named are as in a group that serves.
struct Situation {
    name: &'static str,
    happens: fn(&mut Stage),
    /// Type, status and reason.
    conditions: &'static [&'static str],
    active: Option<&'static str>,
    /// Node, state and reason of each.
    members: &'static [&'static str],
    /// What messages say: a condition or a member, and a part of its message.
    says: &'static [(&'static str, &'static str)],
}

const FINE: [&str; 6] = [
    "Accepted=True Accepted",
    "Ready=True Serving",
    "Degraded=False AsExpected",
    "SplitBrain=False AsExpected",
    "Reconciling=False AsExpected",
    "Stalled=False AsExpected",
];

const SITUATIONS: &[Situation] = &[
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
    Situation {
        name: "a generation is refused, and the one before it keeps running",
        happens: |stage| {
            stage.edit();
            stage.refuse(
                Reason::VirtualRouterIDConflict,
                "spec.virtualRouterID: 51 is taken by group `db`",
            );
            stage.add("cp-4");
        },
        conditions: &[
            "Accepted=False VirtualRouterIDConflict",
            "Ready=False NotAccepted",
            "Stalled=True VirtualRouterIDConflict",
        ],
        active: Some("cp-1"),
        members: &[
            "cp-1: Active ActiveSilent",
            "cp-2: Backup HigherPriority",
            "cp-3: Backup HigherPriority",
        ],
        says: &[
            (
                "Ready",
                "Generation 4 is refused: spec.virtualRouterID: 51 is taken by group `db`. What ran before keeps running: \
                 cp-1 serves the addresses.",
            ),
            ("Stalled", "51 is taken by group `db`."),
        ],
    },
    Situation {
        name: "a group that selects no node never ran",
        happens: |stage| {
            stage.records.clear();
            stage.refuse(Reason::NoNodeMatches, "spec.nodeSelector matches no node");
        },
        conditions: &[
            "Accepted=False NoNodeMatches",
            "Ready=False NotAccepted",
            "Degraded=False NoMembers",
            "Stalled=True NoNodeMatches",
        ],
        active: None,
        members: &[],
        says: &[(
            "Ready",
            "Generation 3 is refused: spec.nodeSelector matches no node.",
        )],
    },
    Situation {
        name: "the deletion is under way",
        happens: |stage| {
            stage.delete(Withdrawal::Waiting {
                nodes: vec!["cp-1".into(), "cp-2".into()],
                look_again: Some(Duration::from_secs(7)),
            });
            stage.told("cp-2").deleted = true;
            stage.told("cp-3").deleted = true;
            stage.object("cp-3").status.groups.clear();
            stage.lost("cp-2");
        },
        conditions: &["Ready=False Deleting", "Reconciling=True Deleting"],
        active: Some("cp-1"),
        members: &["cp-1: Active ActiveSilent", "cp-2: Unknown LastSeenBackup"],
        says: &[
            (
                "Ready",
                "Waiting until the addresses are let go by cp-1 and cp-2. cp-2: its agent was last heard of at",
            ),
            ("cp-1", "has not let go of the group yet"),
        ],
    },
    Situation {
        name: "the deletion ends without a member's word",
        happens: |stage| {
            stage.delete(Withdrawal::Done {
                unconfirmed: vec!["cp-2".into()],
            });
            stage.records.clear();
        },
        conditions: &["Ready=False Deleting", "Reconciling=True Deleting"],
        active: None,
        members: &[],
        says: &[("Ready", "The group goes without a confirmation by cp-2.")],
    },
    Situation {
        name: "the deletion is over",
        happens: |stage| {
            stage.delete(Withdrawal::Done { unconfirmed: vec![] });
            stage.records.clear();
        },
        conditions: &["Ready=False Deleting", "Reconciling=True Deleting"],
        active: None,
        members: &[],
        says: &[("Ready", "All members have let go of the addresses.")],
    },
    Situation {
        name: "the deletion is refused for the sake of the API endpoint",
        happens: |stage| {
            let why = "node cp-1 reaches the API server through it";
            stage.delete(Withdrawal::Protected(why.into()));
        },
        conditions: &["Stalled=True DeletionProtected"],
        active: Some("cp-1"),
        members: &[
            "cp-1: Active ActiveSilent",
            "cp-2: Backup HigherPriority",
            "cp-3: Backup HigherPriority",
        ],
        says: &[(
            "Stalled",
            "although it was deleted: node cp-1 reaches the API server through it.",
        )],
    },
    Situation {
        name: "two are Active and were both heard after both had said so",
        happens: |stage| {
            stage.says("cp-2", MemberState::Active, 90);
        },
        conditions: &["Ready=False SplitBrain", "SplitBrain=True SeveralActive"],
        active: Some("cp-2"),
        members: &[
            "cp-1: Active ActiveSilent",
            "cp-2: Active ActiveSilent",
            "cp-3: Backup HigherPriority",
        ],
        says: &[
            (
                "SplitBrain",
                "cp-1 and cp-2 are Active at the same time: they do not hear each other.",
            ),
            ("Ready", "cp-1 and cp-2 are Active at the same time"),
        ],
    },
    Situation {
        name: "the Active one sees on the wire that it is not alone",
        happens: |stage| {
            let conflict = fault("AddressClaimed", "02:00:00:00:00:09 says that it has 10.0.0.100");
            stage.report("cp-1").conflicts = vec![conflict];
        },
        conditions: &["Ready=False SplitBrain", "SplitBrain=True ConflictOnTheWire"],
        active: Some("cp-1"),
        members: &[
            "cp-1: Active ActiveSilent",
            "cp-2: Backup HigherPriority",
            "cp-3: Backup HigherPriority",
        ],
        says: &[(
            "SplitBrain",
            "cp-1 is Active and sees on the wire: AddressClaimed: 02:00:00:00:00:09 says that it has 10.0.0.100.",
        )],
    },
];

#[test]
fn every_situation_is_told_as_it_is() {
    for situation in SITUATIONS {
        let mut stage = Stage::serving();
        (situation.happens)(&mut stage);
        let seen = stage.settle();
        let name = situation.name;
        let expected = FINE.map(|fine| {
            let type_ = |condition: &str| condition.split('=').next().map(str::to_owned);
            let other = situation
                .conditions
                .iter()
                .find(|other| type_(other) == type_(fine));
            (*other.unwrap_or(&fine)).to_owned()
        });
        assert_eq!(
            Place::CONDITIONS.map(|place| condition(&seen, place)),
            expected,
            "{name}: {:#?}",
            seen.status
        );
        assert_eq!(seen.status.active_node.as_deref(), situation.active, "{name}");
        assert_eq!(members(&seen), situation.members, "{name}");
        for (whose, part) in situation.says {
            let condition = seen
                .status
                .conditions
                .iter()
                .find(|condition| condition.type_ == *whose);
            let member = seen.status.members.iter().find(|member| member.node == *whose);
            let message = condition
                .map(|condition| condition.message.clone())
                .or_else(|| member.and_then(|member| member.message.clone()))
                .unwrap_or_default();
            assert!(message.contains(part), "{name}: {whose} says: {message}");
        }
    }
}

#[test]
fn the_situations_show_every_reason_that_this_module_gives() {
    let mut shown = BTreeSet::new();
    for situation in SITUATIONS {
        let mut stage = Stage::serving();
        (situation.happens)(&mut stage);
        let status = stage.settle().status;
        shown.extend(
            status
                .conditions
                .iter()
                .map(|c| (c.type_.clone(), c.reason.clone())),
        );
        let members = status.members.into_iter().filter_map(|member| member.reason);
        shown.extend(members.map(|reason| ("Member".to_owned(), reason)));
    }
    for state in [MemberState::Fault, MemberState::Initialize, MemberState::Standby] {
        let mut stage = Stage::serving();
        stage.says("cp-2", state, 20);
        stage.lost("cp-2");
        let reason = stage.settle().status.members[1].reason.clone().unwrap();
        assert_eq!(reason, format!("LastSeen{state:?}"));
        shown.insert(("Member".into(), reason));
    }
    for reason in Reason::ALL {
        let is_verdict = reason.places().contains(&Place::Accepted);
        let mut places = reason
            .places()
            .iter()
            .filter(|place| **place != Place::Event && !is_verdict);
        // An agent's own word, shown with what else the member says.
        let passed_through = *reason == Reason::ConfigurationRefused;
        let missing = places.find(|place| {
            let place = place.as_str().to_owned();
            !(shown.contains(&(place.clone(), reason.to_string())) || place == "Member" && passed_through)
        });
        assert_eq!(missing, None, "{reason} is given nowhere");
    }
}

#[test]
fn warnings_are_said_with_the_verdict() {
    let mut stage = Stage::serving();
    stage.verdict.warnings.push(crate::cluster::Warning {
        reason: Reason::Unusual,
        message: "the interval is very short".into(),
    });
    let seen = stage.settle();
    assert_eq!(condition(&seen, Place::Accepted), "Accepted=True Accepted");
    assert!(message(&seen, Place::Accepted).ends_with("3 nodes. the interval is very short."));
}

#[test]
fn a_status_fits_into_what_the_api_server_takes() {
    let nodes: Vec<String> = (0..70).map(|n| format!("node-{n:02}")).collect();
    let names: Vec<&str> = nodes.iter().map(|name| &**name).collect();
    let mut stage = Stage::of(&names);
    for node in &names {
        stage.says(node, MemberState::Backup, 5);
        stage.report(node).faults = vec![fault(&"R".repeat(64), &"ü".repeat(1024)); 32];
    }
    stage.says("node-69", MemberState::Active, 10);
    let seen = stage.settle();
    assert_eq!(seen.status.members.len(), 32);
    assert_eq!(seen.status.active_node.as_deref(), Some("node-69"));
    assert_eq!(seen.status.members[31].node, "node-69");
    for member in &seen.status.members {
        assert!(
            member
                .message
                .iter()
                .all(|message| message.chars().count() <= 1024)
        );
        assert!(member.reason.iter().all(|reason| reason.chars().count() <= 64));
    }
    for condition in &seen.status.conditions {
        assert!(condition.message.chars().count() <= 32768);
    }
}
