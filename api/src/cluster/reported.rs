//! Virtual addresses that Nodes say are their own: a kubelet that is not told which address to take may take one that it finds
//! on the node, and tells the whole cluster to find the node there.

use core::net::IpAddr;

use super::accept::{Warning, joined};
use crate::reason::Reason;
use crate::v1alpha1::{NodeGroup, defaults};

/// A Node that says that an address is its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reporter {
    /// The Node's name.
    pub node: String,
    /// Whether it tells no other internal address of that family.
    pub sole: bool,
    /// Another address of that family, which is nobody's virtual address: its own, as far as anybody can tell.
    pub own: Option<IpAddr>,
}

/// A virtual address that Nodes say is their own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Reported {
    /// Its place in `spec.addresses`.
    pub index: usize,
    /// The address.
    pub address: IpAddr,
    /// Who says so, in the order of their names.
    pub reporters: Vec<Reporter>,
}

/// Which of these addresses Nodes say are their own. A Node that is to own them (priority 255) is right.
pub(super) fn reported(
    addresses: impl Iterator<Item = (usize, IpAddr)>,
    shares: &[(&str, NodeGroup)],
    reporters_of: &dyn Fn(IpAddr) -> Vec<Reporter>,
) -> Vec<Reported> {
    let owns = |reporter: &Reporter| {
        let share = shares.iter().find(|(name, _)| *name == reporter.node);
        share.is_some_and(|(_, share)| share.priority == defaults::OWNER_PRIORITY)
    };
    let reported = addresses.map(|(index, address)| {
        let mut reporters = reporters_of(address);
        reporters.retain(|reporter| !owns(reporter));
        Reported {
            index,
            address,
            reporters,
        }
    });
    reported
        .filter(|reported| !reported.reporters.is_empty())
        .collect()
}

/// What is to be said of them, each Node with what to do about it.
pub(super) fn amiss(reported: &[Reported]) -> Option<Warning> {
    let mut sentences: Vec<String> = reported
        .iter()
        .flat_map(|reported| {
            let address = reported.address;
            reported
                .reporters
                .iter()
                .map(move |reporter| sentence(address, reporter))
        })
        .collect();
    Some(Warning {
        reason: Reason::NodeReportsVIP,
        message: joined(&mut sentences)?,
    })
}

fn sentence(address: IpAddr, reporter: &Reporter) -> String {
    let node = &reporter.node;
    let own = reporter.own.map_or_else(
        || "ADDRESS, the node's own address".to_owned(),
        |own| own.to_string(),
    );
    format!(
        "Node {node} reports {address} as its own address, which is a virtual address of this group: start the kubelet on {node} \
         with --node-ip={own} (KUBELET_EXTRA_ARGS, or kubeadm's nodeRegistration.kubeletExtraArgs), and restart it"
    )
}
