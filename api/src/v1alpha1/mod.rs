//! The objects of `vip.holdfast.dev/v1alpha1`, one to one with their YAML. Nothing here is checked beyond its shape: the
//! rules are in [`crate::rules`], and everything behind the edge sees [`crate::model`] instead.

mod common;
pub mod defaults;
mod duty;
mod group;
mod node;
mod probe;
mod status;

pub use common::{
    Address, Announcement, Authentication, AuthenticationType, Bind, Checksum, Family, Mode, Peer,
    Preemption, PreemptionType, SecretKeyReference,
};
pub use duty::{
    CordonAction, FlapDamping, Maintenance, NodeDuty, NodeDutyType, NodePreference, Placement, TaintAction,
    TaintPolicy,
};
pub use group::{Advertisement, NodeOverride, VirtualIPGroup, VirtualIPGroupSpec};
pub use node::{
    GroupSource, NodeAdvertisement, NodeGroup, NodeGroupStatus, NodeSummary, NodeTransition, ProbeStatus,
    ProbeVerdict, VirtualIPNode, VirtualIPNodeSpec, VirtualIPNodeStatus,
};
pub use probe::{
    Credentials, EtcdReadiness, ExecAction, FailureAction, FailureActionType, FileAction, FileValue,
    GRPCAction, HTTPGetAction, HTTPHeader, HTTPScheme, HTTPVersion, InterfaceAction, MySQLAction, PeerAction,
    PeerMethod, PresetOptions, Probe, ProbePreset, ProbeTLS, ProcessAction, QuorumAction, Recover,
    RouteAction, TCPSocketAction,
};
pub use status::{Fault, GroupSummary, Member, MemberState, Transition, VirtualIPGroupStatus};

/// The API group of every object of Holdfast.
pub const GROUP: &str = "vip.holdfast.dev";
/// The version of this module's objects.
pub const VERSION: &str = "v1alpha1";
/// What stands in `apiVersion`.
pub const API_VERSION: &str = "vip.holdfast.dev/v1alpha1";

/// On a `VirtualIPGroup`: its deletion is held until every member has let go of its addresses.
pub const FINALIZER: &str = "vip.holdfast.dev/withdraw";
/// On a `VirtualIPGroup` that carries the cluster's own API endpoint: `"true"` allows its deletion.
pub const ALLOW_DELETE: &str = "vip.holdfast.dev/allow-delete";
/// On a Node: `"true"` has its members hand over and give up their addresses, whatever `spec.maintenance` says.
pub const MAINTENANCE: &str = "vip.holdfast.dev/maintenance";
/// Writes `VirtualIPNode.spec` and `VirtualIPGroup.status`.
pub const OPERATOR_FIELD_MANAGER: &str = "holdfast-operator";
/// Writes `VirtualIPGroup.spec.virtualRouterID` where it was left out.
pub const ALLOCATOR_FIELD_MANAGER: &str = "holdfast-allocator";
/// Writes `VirtualIPNode.status`.
pub const AGENT_FIELD_MANAGER: &str = "holdfast-agent";
/// What the name of an agent's Lease begins with; the node's name follows.
pub const AGENT_LEASE_PREFIX: &str = "holdfast-agent.";
/// How long an agent's Lease is good for without renewal, in seconds; it is renewed every ten.
pub const AGENT_LEASE_SECONDS: i32 = 40;
