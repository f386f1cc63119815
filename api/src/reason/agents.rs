//! The reasons that agents report, which pass through as text: why a member is in its state, what keeps it out of the
//! election, what it sees on the wire, and what is wrong on its node.

use holdfast_vrrp::{Fault, Reason};

/// A word that agents say, and what it means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Heard {
    /// The word.
    pub word: &'static str,
    /// What it means and, if something is to be done, what.
    pub meaning: &'static str,
}

/// What agents say that is no reason of the protocol: their own state, evidence from the wire, problems of the node.
pub const WORDS: &[Heard] = &[
    Heard {
        word: "Starting",
        meaning: "The agent was told of the group and is about to run it.",
    },
    Heard {
        word: super::Reason::ConfigurationRefused.as_str(),
        meaning: "The agent cannot use what it was told of the group; what ran keeps running. Do what the message says.",
    },
    Heard {
        word: "OtherActive",
        meaning: "While this node is Active, another router advertises itself for the same virtual router. The message names \
                  its address.",
    },
    Heard {
        word: "OtherOwner",
        meaning: "Another router advertises priority 255 as this node does: two nodes own the addresses. Give one of them \
                  another priority.",
    },
    Heard {
        word: "AddressClaimed",
        meaning: "While this node is Active, another station said by ARP or neighbor discovery that it has an address of the \
                  group. Find that station.",
    },
    Heard {
        word: super::Reason::UnknownFeature.as_str(),
        meaning: "The spec requires something that the agent does not know; what ran keeps running. Upgrade the agent.",
    },
    Heard {
        word: "APIServerBehindOwnVIP",
        meaning: "The agent's way to the API server leads through an address that this node may hold, so the agent does not \
                  take it. Give it a way of the node's own with `--api-server`.",
    },
    Heard {
        word: "CacheNotWritable",
        meaning: "The agent cannot keep on disk what it was told, and would forget it with its next start. Look at the disk and \
                  at `--cache-dir`.",
    },
];

/// Why a member is in its state, as VRRP decides it.
pub(crate) const fn of_state(reason: Reason) -> &'static str {
    match reason {
        Reason::Started => "The member takes part in the election since its start.",
        Reason::AddressOwner => "The member owns the addresses (priority 255).",
        Reason::ActiveSilent => {
            "The Active router has not been heard for three advertisement intervals and a little."
        }
        Reason::ActiveResigned => "The Active router said that it leaves.",
        Reason::Preempted => {
            "The member has a higher priority than the Active router, and preemption allows it."
        }
        Reason::ActiveUnfit => "The Active router's service fails, and this member's does not.",
        Reason::HigherPriority => "A router with a higher priority advertises itself.",
        Reason::HigherAddress => "A router with the same priority and a higher address advertises itself.",
        Reason::ServiceFailing => "The member's service fails: it stands behind every healthy member.",
        Reason::Demoted => {
            "The member's node is being worked on: it stands behind every other member that can serve."
        }
        Reason::ToldToHandOver => {
            "Another group of the member's sync group has left, and this one goes with it."
        }
        Reason::Faulted => "The member cannot take part; its faults say why.",
        Reason::Recovered => "The member's last fault went away.",
        Reason::Shutdown => "The agent was told to stop.",
        Reason::Reconfigured => "The member was told another configuration, and began anew.",
        Reason::TimeGap => {
            "The agent had not run for too long to know whether it still holds the addresses: its process was stopped, or got \
             no processor."
        }
        Reason::Resumed => "The agent was restarted and goes on where the one before it ended.",
    }
}

/// What keeps a member out of the election.
pub(crate) const fn of_fault(fault: Fault) -> &'static str {
    match fault {
        Fault::InterfaceMissing => {
            "The interface does not exist, or none fits. Check `interface` and its overrides."
        }
        Fault::LinkDown => {
            "The interface is down or has no carrier. Look at cable, switch port and `ip link`."
        }
        Fault::NoSourceAddress => {
            "The interface has no address to take part from. Give it one, or name one with `sourceAddress`."
        }
        Fault::BindFailed => "The kernel refuses the addresses. The message has its words.",
        Fault::ProbeFailed => "A probe with `onFailure: Fault` fails. Repair what it watches.",
        Fault::IdentifierInUse => {
            "Another group on the node has the same `virtualRouterID` on the same interface. Change one."
        }
        Fault::Maintenance => {
            "The node is being worked on or shuts down, and gave up the addresses. The message says who asked for it."
        }
        Fault::SyncGroup => {
            "Another group of the same `syncGroup` cannot take part on this node. Repair what its entry says."
        }
    }
}
