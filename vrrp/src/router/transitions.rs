//! The state diagram: every change of state that a virtual router makes, and why.

use crate::state::{Reason, State};

/// Every change of state that a virtual router makes, with every reason it has for it. docs/pictures/states.svg draws it.
pub const TRANSITIONS: &[(State, State, Reason)] = {
    use Reason::{
        ActiveResigned, ActiveSilent, ActiveUnfit, AddressOwner, Demoted, Faulted, HigherAddress,
        HigherPriority, Preempted, Reconfigured, Recovered, Resumed, ServiceFailing, Shutdown, Started,
        TimeGap, ToldToHandOver,
    };
    use State::{Active, Backup, Fault, Initialize};
    &[
        (Initialize, Backup, Started),
        (Initialize, Active, AddressOwner),
        (Initialize, Active, Resumed),
        (Initialize, Fault, Faulted),
        (Backup, Active, ActiveSilent),
        (Backup, Active, ActiveResigned),
        (Backup, Active, Preempted),
        (Backup, Active, ActiveUnfit),
        (Backup, Fault, Faulted),
        (Backup, Initialize, Shutdown),
        (Backup, Initialize, Reconfigured),
        (Active, Backup, HigherPriority),
        (Active, Backup, HigherAddress),
        (Active, Backup, ServiceFailing),
        (Active, Backup, Demoted),
        (Active, Backup, ToldToHandOver),
        (Active, Backup, TimeGap),
        (Active, Fault, Faulted),
        (Active, Initialize, Shutdown),
        (Active, Initialize, Reconfigured),
        (Fault, Backup, Recovered),
        (Fault, Initialize, Shutdown),
        (Fault, Initialize, Reconfigured),
    ]
};
