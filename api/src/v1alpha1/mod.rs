//! The objects of `vip.holdfast.dev/v1alpha1`, one to one with their YAML. Nothing here is checked beyond its shape: the
//! rules are in [`crate::rules`], and everything behind the edge sees [`crate::model`] instead.

mod common;
pub mod defaults;
mod group;
mod node;
mod status;

pub use common::{
    Address, Announcement, Authentication, AuthenticationType, Bind, Checksum, FailureAction,
    FailureActionType, Family, Mode, Peer, Preemption, PreemptionType, Probe, ProbePreset,
    SecretKeyReference,
};
pub use group::{Advertisement, NodeOverride, VirtualIPGroup, VirtualIPGroupSpec};
pub use node::{
    NodeAdvertisement, NodeGroup, NodeGroupStatus, VirtualIPNode, VirtualIPNodeSpec, VirtualIPNodeStatus,
};
pub use status::{Fault, Member, MemberState, Transition, VirtualIPGroupStatus};

/// The API group of every object of Holdfast.
pub const GROUP: &str = "vip.holdfast.dev";
/// The version of this module's objects.
pub const VERSION: &str = "v1alpha1";
/// What stands in `apiVersion`.
pub const API_VERSION: &str = "vip.holdfast.dev/v1alpha1";
