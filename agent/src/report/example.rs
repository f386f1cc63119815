//! One status that shows everything, for the tests of whatever shows a status.

use core::net::IpAddr;
use std::collections::BTreeMap;

use holdfast_api::v1alpha1::GroupSource;
use jiff::{SignedDuration, Timestamp};

use crate::status::{
    AgentStatus, ApiCounters, ApiStatus, Counters, FaultStatus, GroupStatus, HealingStatus, Notice,
    ProbeStatus, Refusal, Role, RunStatus, TransitionStatus,
};

/// The time at which the example is looked at.
pub fn now() -> Timestamp {
    Timestamp::constant(1_773_457_200, 0)
}

fn address(host: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, host])
}

fn ago(secs: i64) -> Timestamp {
    now() - SignedDuration::from_secs(secs)
}

/// Three groups: Active, Backup with a notice, and Fault.
pub fn agent() -> AgentStatus {
    AgentStatus {
        node: "cp-1".to_owned(),
        version: "0.1.0".to_owned(),
        role: Role::Running,
        limitations: vec!["real-time priority was refused: grant CAP_SYS_NICE".to_owned()],
        configuration_problems: vec![
            "/etc/holdfast/web.yaml:7: spec.priority: 300 is not a priority: write 1 to 255".to_owned(),
        ],
        api: None,
        standbys: Vec::new(),
        waits_for: None,
        groups: vec![active(), backup(), fault()],
    }
}

fn active() -> GroupStatus {
    GroupStatus {
        name: "control-plane".to_owned(),
        virtual_router_id: 51,
        version: "VRRPv3".to_owned(),
        family: "IPv4".to_owned(),
        interface: Some("eth0".to_owned()),
        source_address: Some(address(11)),
        addresses: vec!["10.0.0.100/24".to_owned(), "fd00::100/64".to_owned()],
        state: "Active".to_owned(),
        since: Some(ago(192)),
        reason: "ActiveSilent".to_owned(),
        faults: Vec::new(),
        effective_priority: 200,
        priority_explained: "200 base".to_owned(),
        probes: Vec::new(),
        warnings: Vec::new(),
        held_back_until: None,
        active_peer: None,
        active_peer_name: None,
        interval: "100ms".to_owned(),
        releasing: false,
        last_transition: Some(taken_over()),
        last_move: Some(taken_over()),
        generation: 0,
        origin: None,
        in_file: false,
        conflicts: Vec::new(),
        counters: Counters {
            advertisements_sent: 1920,
            became_active: 1,
            announcements_sent: 20,
            ..Counters::default()
        },
        drops: BTreeMap::new(),
        notices: Vec::new(),
    }
}

/// The same agent with probes: one that fails, one that is being healed, one that could not be run, and a quorum.
pub fn probed() -> AgentStatus {
    let mut status = agent();
    let control_plane = &mut status.groups[0];
    control_plane.priority_explained =
        "200 base \u{2212} 50 haproxy (connection refused, 3 of 3) = 150".to_owned();
    control_plane.effective_priority = 150;
    control_plane.probes = vec![failing(), passing("kube-apiserver"), recovering()];
    control_plane.warnings = vec![FaultStatus {
        reason: "CertificateDoesNotCoverVIP".to_owned(),
        message: "the certificate of the API server on this node is for kubernetes.default.svc, 10.96.0.1 and not for 10.0.0.100, \
                  so that clients which ask there refuse it"
            .to_owned(),
    }];
    let web = &mut status.groups[1];
    web.priority_explained = "held back at 22 of 100 base (3 changes within 3m)".to_owned();
    web.effective_priority = 22;
    web.held_back_until = Some(now() + SignedDuration::from_secs(95));
    web.probes = vec![
        ProbeStatus {
            on_failure: "Quorum".to_owned(),
            quorum: Some("resolvers".to_owned()),
            ..passing("dns-1")
        },
        ProbeStatus {
            verdict: "NotYetKnown".to_owned(),
            outcome: Some("CouldNotRun".to_owned()),
            message: "there is no /usr/local/bin/check-dns".to_owned(),
            since: None,
            streak: "2 of 3".to_owned(),
            on_failure: "Quorum".to_owned(),
            quorum: Some("resolvers".to_owned()),
            ..passing("dns-2")
        },
        ProbeStatus {
            outcome: None,
            message: "1 of 2 pass, 1 have to".to_owned(),
            streak: "1 of 1".to_owned(),
            latest: None,
            runs: BTreeMap::new(),
            time: SignedDuration::ZERO,
            ..passing("resolvers")
        },
    ];
    status
}

fn passing(name: &str) -> ProbeStatus {
    ProbeStatus {
        name: name.to_owned(),
        on_failure: "Hold".to_owned(),
        quorum: None,
        verdict: "Passing".to_owned(),
        outcome: Some("Passed".to_owned()),
        message: String::new(),
        since: Some(ago(190)),
        streak: "0 of 3".to_owned(),
        latest: Some(RunStatus {
            outcome: "Passed".to_owned(),
            message: String::new(),
        }),
        healing: None,
        runs: BTreeMap::from([
            ("Passed".to_owned(), 190),
            ("Failed".to_owned(), 0),
            ("TimedOut".to_owned(), 1),
            ("CouldNotRun".to_owned(), 0),
        ]),
        time: SignedDuration::from_millis(2_345),
    }
}

fn failing() -> ProbeStatus {
    ProbeStatus {
        on_failure: "Weight \u{2212}50".to_owned(),
        verdict: "Failing".to_owned(),
        outcome: Some("Failed".to_owned()),
        message: "connection refused".to_owned(),
        since: Some(ago(12)),
        streak: "0 of 2".to_owned(),
        ..passing("haproxy")
    }
}

fn recovering() -> ProbeStatus {
    ProbeStatus {
        verdict: "Recovering".to_owned(),
        outcome: Some("TimedOut".to_owned()),
        message: "no answer within 1s: connected, no answer".to_owned(),
        since: Some(ago(3)),
        streak: "1 of 3".to_owned(),
        healing: Some(HealingStatus {
            attempt: 1,
            of: 2,
            running: true,
            ended: None,
            result: None,
        }),
        ..passing("nginx")
    }
}

/// The same agent as a client of an API server that has not answered for a while.
pub fn clustered() -> AgentStatus {
    let mut status = agent();
    let origins = [GroupSource::API, GroupSource::Cache, GroupSource::File];
    for (group, origin) in status.groups.iter_mut().zip(origins) {
        group.origin = Some(origin);
    }
    status.groups[0].in_file = true;
    status.api = Some(ApiStatus {
        reached: false,
        last_answer: Some(ago(125)),
        error: Some(
            "reporting this node's status: the API server is not reached: connection refused".to_owned(),
        ),
        observed_generation: Some(7),
        unreported_since: Some(ago(90)),
        problems: vec![FaultStatus {
            reason: "UnknownFeature".to_owned(),
            message: "the operator asks for BFD, which this agent does not know; update the agent".to_owned(),
        }],
        refusals: vec![Refusal {
            group: "web".to_owned(),
            message: "its secret web-password is not there yet; what ran before keeps running".to_owned(),
        }],
        counters: ApiCounters {
            reports: 12,
            lease_renewals: 340,
            failures: BTreeMap::from([("unreachable".to_owned(), 14), ("timeout".to_owned(), 2)]),
        },
    });
    status
}

fn taken_over() -> TransitionStatus {
    TransitionStatus {
        from: "Backup".to_owned(),
        to: "Active".to_owned(),
        reason: "ActiveSilent".to_owned(),
        time: ago(192),
        duration: Some(SignedDuration::from_millis(361)),
    }
}

fn backup() -> GroupStatus {
    GroupStatus {
        name: "web".to_owned(),
        virtual_router_id: 52,
        version: "VRRPv2".to_owned(),
        addresses: vec!["10.0.0.101/24".to_owned()],
        state: "Backup".to_owned(),
        since: Some(ago(5)),
        reason: "HigherPriority".to_owned(),
        effective_priority: 100,
        priority_explained: "100 base".to_owned(),
        active_peer: Some(address(12)),
        active_peer_name: Some("cp-2".to_owned()),
        interval: "1s".to_owned(),
        releasing: true,
        last_transition: None,
        last_move: None,
        counters: Counters {
            advertisements_received: 5,
            ..Counters::default()
        },
        drops: BTreeMap::from([("version_mismatch".to_owned(), 12), ("ttl".to_owned(), 1)]),
        notices: vec![Notice {
            kind: "version_mismatch".to_owned(),
            peer: address(13),
            message: "10.0.0.13 speaks VRRPv3, this group VRRPv2: set spec.advertisement.version alike"
                .to_owned(),
            last_seen: ago(1),
            count: 12,
        }],
        ..active()
    }
}

fn fault() -> GroupStatus {
    GroupStatus {
        name: "storage".to_owned(),
        virtual_router_id: 7,
        interface: Some("bond0".to_owned()),
        source_address: None,
        addresses: vec!["10.1.0.7/16".to_owned()],
        state: "Fault".to_owned(),
        since: Some(ago(90_000)),
        reason: "Faulted".to_owned(),
        faults: vec![FaultStatus {
            reason: "InterfaceMissing".to_owned(),
            message: "there is no interface bond0 yet; the group starts when it appears".to_owned(),
        }],
        active_peer: None,
        active_peer_name: None,
        releasing: false,
        last_transition: None,
        last_move: None,
        drops: BTreeMap::new(),
        notices: Vec::new(),
        counters: Counters::default(),
        ..active()
    }
}
