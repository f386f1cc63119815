//! Groups that are refused or deleted, and addresses that two nodes have.

use core::time::Duration;

use super::*;

pub(super) const SITUATIONS: &[Situation] = &[
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
