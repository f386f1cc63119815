//! The group of most cases: one address, which node a serves as long as it can.

use std::net::{IpAddr, Ipv4Addr};

use holdfast_api::v1alpha1::MemberState;
use holdfast_lab::Meter;
use serde_json::Value;

use super::{Cluster, SETTLED, conditions, group_preferring};
use crate::{Result, pair::settle_on};

/// Its address.
pub const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 100));

/// The group.
pub fn web() -> Value {
    group_preferring("web", &["10.77.0.100/24"], "a")
}

/// Applies the group, and waits until it is Ready, nobody waits for anybody, and a client has its answers from a.
///
/// # Errors
/// When that does not happen.
pub fn serve(cluster: &Cluster) -> Result<Meter> {
    let meter = cluster.meter(&[VIP])?;
    cluster.apply(&web())?;
    cluster.console.wait_until_ready("web", "a", SETTLED)?;
    wait_until_all_share(cluster, "web")?;
    settle_on(&meter, &[VIP], "a")?;
    Ok(meter)
}

/// Waits until every member of a group that is served may take over, and has said that it is there to do so. That one is active
/// says nothing of the others.
///
/// # Errors
/// When that does not happen.
pub fn wait_until_all_share(cluster: &Cluster, name: &str) -> Result<()> {
    let what = format!("all members of {name} share in it");
    cluster.console.wait_for_group(name, &what, SETTLED, |group| {
        let ready = [MemberState::Active, MemberState::Backup];
        conditions::is_false(group, "Reconciling")
            && conditions::members(group)
                .iter()
                .all(|(_, state)| ready.contains(state))
    })?;
    Ok(())
}

/// A cluster of the nodes a and b that serves the group.
///
/// # Errors
/// When a program was not built, or the group is not served.
pub fn serving() -> Result<(Cluster, Meter)> {
    let cluster = Cluster::start(&["a", "b"])?;
    let meter = serve(&cluster)?;
    Ok((cluster, meter))
}
