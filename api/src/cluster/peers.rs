//! The members' addresses, and from these each one's peers in a unicast group.

use core::net::IpAddr;
use std::collections::BTreeSet;

use ipnet::IpNet;

use super::hearing::{of_family, written_source};
use super::seat::Seat;
use crate::v1alpha1::{Family, Mode, NodeGroup, Peer, VirtualIPGroup, defaults};

/// From where a member takes part, as far as it is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Source {
    pub address: Option<IpAddr>,
    /// Whether the user or the agent says so. What is guessed is good for listing a member, not for relying on it.
    pub certain: bool,
}

/// The members' addresses in the order of `seats`; `shares` is what each of them is to be told, without peers.
pub(super) fn sources(
    group: &VirtualIPGroup,
    seats: &[Seat<'_>],
    shares: &[Option<NodeGroup>],
    is_virtual: &dyn Fn(IpAddr) -> bool,
) -> Vec<Source> {
    let Some(family) = crate::rules::election_family(&group.spec) else {
        return vec![Source::default(); seats.len()];
    };
    let subnets: Vec<IpNet> = group
        .spec
        .addresses
        .iter()
        .filter_map(|address| address.address.parse().ok())
        .filter(|subnet: &IpNet| Family::of(subnet.addr()) == family)
        .collect();
    let members = seats.iter().zip(shares);
    members
        .map(|(seat, share)| {
            let certain = said(seat, share.as_ref(), family, is_virtual);
            Source {
                address: certain
                    .or_else(|| listed(&seat.record.name, seats, family, is_virtual))
                    .or_else(|| guessed(seat, family, &subnets, is_virtual)),
                certain: certain.is_some(),
            }
        })
        .collect()
}

fn said(
    seat: &Seat<'_>,
    share: Option<&NodeGroup>,
    family: Family,
    is_virtual: &dyn Fn(IpAddr) -> bool,
) -> Option<IpAddr> {
    let owner = share
        .or(seat.entry())
        .is_some_and(|share| share.priority == defaults::OWNER_PRIORITY);
    let reported = || {
        let reports = seat.reported.and_then(|report| report.source_address.as_ref());
        // An agent takes a virtual address for its own only if it owns it.
        of_family(reports, family).filter(|address| owner || !is_virtual(*address))
    };
    share.and_then(written_source).or_else(reported)
}

/// What other members were told of it, so that nobody forgets a member that is there because its report is not.
fn listed(
    name: &str,
    seats: &[Seat<'_>],
    family: Family,
    is_virtual: &dyn Fn(IpAddr) -> bool,
) -> Option<IpAddr> {
    let entries = seats.iter().filter_map(Seat::entry);
    let peers = entries
        .flat_map(|entry| &entry.peers)
        .filter(|peer| peer.name == name);
    peers
        .filter_map(|peer| of_family(&peer.addresses, family))
        .find(|address| !is_virtual(*address))
}

/// The Node's own address in the subnet of one of the group's. An IPv6 election is held from link-local addresses, which
/// no Node object tells.
fn guessed(
    seat: &Seat<'_>,
    family: Family,
    subnets: &[IpNet],
    is_virtual: &dyn Fn(IpAddr) -> bool,
) -> Option<IpAddr> {
    let addresses = &seat.record.node.as_ref()?.internal_ips;
    let near = |address: &IpAddr| subnets.iter().any(|subnet| subnet.contains(address));
    addresses
        .iter()
        .copied()
        .filter(|_| family == Family::IPv4)
        .find(|address| near(address) && !is_virtual(*address))
}

/// The peers of the member at `own`, one of those with a share: as written, or else the other members.
pub(super) fn peers(
    own: usize,
    group: &VirtualIPGroup,
    seats: &[Seat<'_>],
    shares: &[Option<NodeGroup>],
    sources: &[Source],
) -> Vec<Peer> {
    let Some(share) = shares[own].as_ref() else {
        return Vec::new();
    };
    let mut peers = share.peers.clone();
    if share.advertisement.mode == Mode::Multicast {
        return peers;
    }
    let written = !group.spec.advertisement.peers.is_empty();
    let mut taken: BTreeSet<IpAddr> = sources[own].address.into_iter().collect();
    taken.extend(addresses(&peers));
    for (place, seat) in seats.iter().enumerate().filter(|(place, _)| *place != own) {
        // Whoever may still serve is heard, also when the user's list has lost it already.
        let wanted = !seat.is_quiet() || !written && (shares[place].is_some() || !seat.has_let_go());
        let name = &seat.record.name;
        if let Some(address) = sources[place].address
            && wanted
            && !peers.iter().any(|peer| peer.name == *name)
            && taken.insert(address)
        {
            peers.push(Peer {
                name: name.clone(),
                addresses: vec![address.to_string()],
                min_ttl: defaults::MIN_TTL,
            });
        }
    }
    peers
}

fn addresses(peers: &[Peer]) -> Vec<IpAddr> {
    let written = peers.iter().flat_map(|peer| &peer.addresses);
    written.filter_map(|address| address.parse().ok()).collect()
}
