//! Every reason that a condition, a member or an Event of Holdfast can have: one word each, with its meaning and what to
//! do. One table; docs/reference/conditions.md is made of it.

mod agents;

pub use agents::{Heard, WORDS};
pub(crate) use agents::{of_fault, of_state};

use core::fmt;

/// Where a reason can stand.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Place {
    /// The condition `Accepted`.
    Accepted,
    /// The condition `Ready`.
    Ready,
    /// The condition `Degraded`.
    Degraded,
    /// The condition `SplitBrain`.
    SplitBrain,
    /// The condition `Reconciling`.
    Reconciling,
    /// The condition `Stalled`.
    Stalled,
    /// An entry of `status.members`.
    Member,
    /// An Event that is not about a condition.
    Event,
}

impl Place {
    /// The places that are conditions, in the order in which a status has them.
    pub const CONDITIONS: [Self; 6] = [
        Self::Accepted,
        Self::Ready,
        Self::Degraded,
        Self::SplitBrain,
        Self::Reconciling,
        Self::Stalled,
    ];

    /// Its name: for a condition, its type.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::Ready => "Ready",
            Self::Degraded => "Degraded",
            Self::SplitBrain => "SplitBrain",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
            Self::Member => "Member",
            Self::Event => "Event",
        }
    }
}

/// Writes the enum and everything that is known of each variant; the doc comment of a variant is its meaning.
macro_rules! reasons {
    ($($(#[doc = $meaning:literal])+ $reason:ident in $($place:ident)|+; $remedy:literal)+) => {
        /// A reason in one word.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Reason {
            $($(#[doc = $meaning])+ $reason,)+
        }

        impl Reason {
            /// All reasons.
            pub const ALL: &'static [Self] = &[$(Self::$reason),+];

            /// The word, as it stands in a condition.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$reason => stringify!($reason),)+
                }
            }

            /// What it means.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$reason => concat!($($meaning),+).trim_ascii(),)+
                }
            }

            /// What to do about it; empty if nothing is to be done.
            pub const fn remedy(self) -> &'static str {
                match self {
                    $(Self::$reason => $remedy,)+
                }
            }

            /// Where it can stand.
            pub const fn places(self) -> &'static [Place] {
                match self {
                    $(Self::$reason => &[$(Place::$place),+],)+
                }
            }
        }
    };
}

reasons! {
    // The verdict on a group.

    /// The group is valid beside all others, and its members are told of it.
    Accepted in Accepted; ""
    /// The group breaks a rule that it can break alone. What ran keeps running.
    Invalid in Accepted | Stalled; "Change what the message names; [the rules](rules.md) has each of them."
    /// Another group has the virtual router identifier on a common node and interface, and comes first. What ran keeps
    /// running.
    VirtualRouterIDConflict in Accepted | Stalled;
        "Give one of the two groups another `virtualRouterID`, or leave it out and get a free one."
    /// Another group has one of the addresses, and comes first. What ran keeps running.
    AddressConflict in Accepted | Stalled; "Take the address out of one of the two groups."
    /// One of the addresses is a Node's own and its only one: served elsewhere, it would cut that Node off. What ran keeps
    /// running.
    AddressOfNode in Accepted | Stalled; "Use an address that no Node has as its own."
    /// The selector matches no node. What ran keeps running: a group is not withdrawn from its last node because labels
    /// vanished.
    NoNodeMatches in Accepted | Stalled;
        "Label a node, or change `nodeSelector`. To withdraw the addresses, delete the group."
    /// The selector matches more than 32 nodes. What ran keeps running.
    TooManyNodes in Accepted | Stalled; "Narrow `nodeSelector`."
    /// `spec.advertisement.peers` is written and leaves out nodes that are selected. What ran keeps running.
    PeersMissing in Accepted | Stalled;
        "Add the nodes to `peers`, narrow `nodeSelector`, or leave `peers` out and have them found."
    /// No virtual router identifier is free: all 255 are taken.
    NoFreeVirtualRouterID in Accepted | Stalled;
        "Delete a group, or write a `virtualRouterID` that only groups on other links have."

    /// `spec.placement` prefers a node that is no member. What ran keeps running. A node that ceases to be a member later is
    /// only warned about.
    PlacementNotAMember in Accepted | Stalled; "Name a node that `nodeSelector` selects, or remove `placement`."
    /// Another group has the same `syncGroup` and comes first, and the two differ in something that decides where they go.
    /// What ran keeps running.
    SyncGroupMismatch in Accepted | Stalled;
        "Write the field that the message names alike in both groups, or take one of them out of the sync group."

    // Whether the addresses are served.

    /// One node is Active, and all live members run this generation.
    Serving in Ready; ""
    /// The group is refused (see the condition `Accepted`). What ran keeps running.
    NotAccepted in Ready; "See the condition `Accepted`."
    /// More than one node has the addresses (see the condition `SplitBrain`).
    SplitBrain in Ready | Event; "See the condition `SplitBrain`."
    /// No member says that it serves the addresses. For a moment that is normal, while a group starts or its addresses move.
    NoActiveNode in Ready; "If it stays: the message says of each member why it does not serve."
    /// The node that served the addresses last has not been heard of lately, and no other member took over. The message says
    /// whether the other members still hear it on the wire: then the addresses are served, and only its agent's way to the
    /// API server is broken.
    ActiveNodeUnreachable in Ready;
        "Look at that node first: is it up, does its agent run, does it reach the API server?"
    /// Live members do not run this generation yet.
    NotApplied in Ready | Reconciling;
        "Usually over in a second. If it stays: the message names the members, and `status.members` says why."
    /// The group is being deleted: its members let go of the addresses.
    Deleting in Ready | Reconciling;
        "Nothing, unless it stays: then bring the nodes named back, or wait until they are no longer waited for (5 minutes \
         after their agents were last heard of)."

    // Redundancy.

    /// As it should be.
    AsExpected in Degraded | SplitBrain | Reconciling | Stalled; ""
    /// The group has one member, which can serve: nobody takes over if it fails.
    SingleMember in Degraded; "If somebody should take over, let `nodeSelector` match another node."
    /// No node takes part in the group.
    NoMembers in Degraded; "See the condition `Accepted`."
    /// The service fails on every member that could take over, and so the addresses are served by the best of those on which
    /// it fails.
    ServedByFailingMember in Degraded | Event;
        "Repair the service on any member: the message says for each what was found, and where to look."
    /// Only one member can serve, or none: nobody takes over if it fails.
    NoRedundancy in Degraded; "Repair the other members; the message says what is wrong with each."
    /// A member has not been heard of: its agent's Lease has run out, or no agent has ever run there. It may still take part.
    MemberUnreachable in Degraded | Member;
        "Look at the node: is it up, does its agent run, does it reach the API server? If it is gone for good, delete its \
         Node object."
    /// A live member cannot take part, or cannot use what it was told.
    MemberFault in Degraded; "Repair what the message says of the member."
    /// A probe of a live member fails. What follows from that its `onFailure` says; as long as one member is healthy, the
    /// addresses are served.
    ProbeFailing in Degraded | Event; "Repair what the probe looks at: the message says what was found, and where to look."
    /// A member is well again, and is held back because it came and went too often: every other healthy member goes first
    /// until it has stayed well for a while.
    MemberHeldBack in Degraded | Event;
        "Find out why it came and went: its Events say which probe it was. `flapDamping` says how long it waits."
    /// A member's node is being worked on: cordoned, tainted or annotated, and `spec.maintenance` or the annotation asks for
    /// something then; or the node shuts down.
    MemberInMaintenance in Degraded | Event; "Nothing while the work lasts. The message says what ends it."
    /// The API server on a member shows a certificate that does not name an address of the group: clients that ask at that
    /// address refuse it, although it is served. Only the addresses of the group are looked for; who reaches the API server by
    /// a name says so in `presetOptions.tls.serverName`, and then that name is looked for instead.
    CertificateDoesNotCoverVIP in Degraded | Event;
        "Add the address to `apiServer.certSANs` of kubeadm's configuration; then, on each node named, delete \
         `/etc/kubernetes/pki/apiserver.crt` and `apiserver.key`, and run \
         `kubeadm init phase certs apiserver --config FILE`. The API server takes the new certificate by itself."
    /// A Node says that an address of the group is its own: its kubelet found it on the node and was not told which address to
    /// take. Whoever asks the Node where it is, is then sent to wherever the group's addresses are.
    NodeReportsVIP in Degraded | Event;
        "Start that node's kubelet with `--node-ip` and the node's own address (kubeadm: `nodeRegistration.kubeletExtraArgs`; \
         otherwise `KUBELET_EXTRA_ARGS` in `/etc/default/kubelet` or `/etc/sysconfig/kubelet`), and restart it."
    /// An agent cannot do all that it should on its node.
    AgentProblem in Degraded; "Do what the message says."

    // More than one holder.

    /// Two members serve the addresses at the same time: both said so, and both were heard of after that. Clients reach one
    /// or the other.
    SeveralActive in SplitBrain;
        "The members named do not hear each other: look for a cable, VLAN or firewall (IP protocol 112) between them."
    /// The node that serves has seen on the wire that somebody else has an address of the group.
    ConflictOnTheWire in SplitBrain;
        "Find who it is; the message names the address or the hardware address. It may be no member at all: a host with the \
         address configured, or another VRRP router with the same identifier."

    // Getting there.

    /// A member may not become Active yet, or keeps a former version, until others have acknowledged it: so no two can be
    /// Active because one has not yet heard of the other.
    WaitingForMembers in Reconciling | Stalled;
        "If it stays: bring the members named back. If one is gone for good, delete its Node object."
    /// A member is no longer selected and has not let go of the group yet.
    MemberLeaving in Reconciling | Stalled;
        "If it stays: bring the node back. If it is gone for good, delete its Node object."
    /// The group was deleted but carries the address at which the cluster's API server is reached. Nothing is withdrawn.
    DeletionProtected in Stalled;
        "If it is to go, see to another way to the API server and then annotate the group: \
         `vip.holdfast.dev/allow-delete=true`."
    /// A member cannot use what it was told; its former version keeps running.
    ConfigurationRefused in Stalled | Member;
        "Change what the message says, in the group or on the node."
    /// An agent does not know something that its spec requires, and keeps what it runs.
    UnknownFeature in Stalled; "Upgrade the agent on the nodes named."

    // What a member is doing, where its agent does not say.

    /// The member has not yet been told of the group, or has not answered yet.
    NotHeardYet in Member; "If it stays: see `kubectl describe vipn` and the log of the agent on that node."
    /// The member was Active when it was last heard of, or another one has said since that it took over.
    LastSeenActive in Member; "Look at the node, if nothing is heard of it."
    /// The member was Backup when it was last heard of.
    LastSeenBackup in Member; "Look at the node."
    /// The member was in Fault when it was last heard of.
    LastSeenFault in Member; "Look at the node."
    /// The member had not started, or had stopped, when it was last heard of.
    LastSeenInitialize in Member; "Look at the node: its agent was stopped, or did not come up."
    /// Another agent on the node had the group when the member was last heard of.
    LastSeenStandby in Member; "Look at the node."

    // Events.

    /// The addresses are served by another node, or again.
    Moved in Event; ""
    /// No two nodes have the addresses any more.
    SplitBrainEnded in Event; ""
    /// The group is deleted, and every member has let go of its addresses.
    Withdrawn in Event; ""
    /// The group is deleted, and these nodes have not confirmed that they let go of its addresses. They do so when they are
    /// back and hear of it.
    WithdrawnUnconfirmed in Event;
        "Before the addresses are used elsewhere, make sure that these nodes are down, or wait until they are back."
    /// A probe of a member passes again.
    ProbePassing in Event; ""
    /// A member's node is no longer being worked on.
    MaintenanceEnded in Event; ""
    /// All weights of the group's probes together change nothing in the order of its members.
    WeightWithoutEffect in Event; "Change the weight or the priorities."
    /// Another member stands as high as the one that `spec.placement` prefers, or higher.
    PlacementWithoutEffect in Event; "Give the other member a priority below 254."
    /// Something is allowed but rarely meant.
    Unusual in Event; "Read the message, and change the group if it was not meant."
}

impl Reason {
    /// The reason of which this is the word.
    pub fn find(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == word)
    }

    /// Where docs/reference/conditions.md explains it.
    pub fn anchor(self) -> String {
        format!("reason-{}", self.as_str().to_ascii_lowercase())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
