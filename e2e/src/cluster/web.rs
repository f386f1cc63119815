//! The group of most cases: one address, which node a serves as long as it can.

use std::net::{IpAddr, Ipv4Addr};

use holdfast_lab::Meter;
use serde_json::Value;

use super::{Cluster, SETTLED, group_preferring};
use crate::{Result, pair::settle_on};

/// Its address.
pub const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 100));

/// The group.
pub fn web() -> Value {
    group_preferring("web", &["10.77.0.100/24"], "a")
}

/// Applies the group, and waits until it is Ready and a client has its answers from a.
///
/// # Errors
/// When that does not happen.
pub fn serve(cluster: &Cluster) -> Result<Meter> {
    let meter = cluster.meter(&[VIP])?;
    cluster.apply(&web())?;
    cluster.console.wait_until_ready("web", "a", SETTLED)?;
    settle_on(&meter, &[VIP], "a")?;
    Ok(meter)
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
