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
            let written = share.as_ref().and_then(written_source);
            let reported = reported(seat, share.as_ref(), family, is_virtual);
            Source {
                address: written
                    .or(reported)
                    .or_else(|| listed(&seat.record.name, seats, family, is_virtual))
                    .or_else(|| guessed(seat, family, &subnets, is_virtual)),
                certain: written.is_some() || reported.is_some() && seat.is_certain(),
            }
        })
        .collect()
}

/// What its agent says, if that is about the interface from which the member is to take part.
fn reported(
    seat: &Seat<'_>,
    share: Option<&NodeGroup>,
    family: Family,
    is_virtual: &dyn Fn(IpAddr) -> bool,
) -> Option<IpAddr> {
    let entry = seat.entry()?;
    let told = share.unwrap_or(entry);
    let elsewhere = entry.interface != told.interface || entry.source_addresses != told.source_addresses;
    let address = of_family(&seat.reported?.source_address, family).filter(|_| !elsewhere)?;
    // An agent takes a virtual address for its own only if it owns it.
    (told.priority == defaults::OWNER_PRIORITY || !is_virtual(address)).then_some(address)
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
    if share.advertisement.mode == Mode::Unicast {
        let written = !group.spec.advertisement.peers.is_empty();
        let others = seats.iter().enumerate().filter(|(place, seat)| {
            // Whoever may still serve is heard, also when the user's list has lost it already.
            let serves = !seat.is_quiet();
            *place != own && (serves || !written && (shares[*place].is_some() || !seat.has_let_go()))
        });
        let others = others.map(|(place, seat)| (seat, sources[place].address));
        add(&mut peers, sources[own].address, others);
    }
    peers
}

/// The peers that the member at `own` was told, and those that could serve and are not among them, such as one that was
/// given up and has come back.
pub(super) fn kept_peers(entry: &NodeGroup, own: usize, seats: &[Seat<'_>]) -> Vec<Peer> {
    let mut peers = entry.peers.clone();
    if entry.advertisement.mode == Mode::Unicast {
        let family = entry.advertisement.family;
        let runs_at = |seat: &Seat<'_>| {
            let reported = || of_family(&seat.reported?.source_address, family);
            seat.entry().and_then(written_source).or_else(reported)
        };
        let others = seats
            .iter()
            .enumerate()
            .filter(|(place, seat)| *place != own && !seat.is_quiet());
        add(
            &mut peers,
            runs_at(&seats[own]),
            others.map(|(_, seat)| (seat, runs_at(seat))),
        );
    }
    peers
}

/// Adds those of `others` that are at a known address and not there yet.
fn add<'a>(
    peers: &mut Vec<Peer>,
    own: Option<IpAddr>,
    others: impl Iterator<Item = (&'a Seat<'a>, Option<IpAddr>)>,
) {
    let listed = peers.iter().flat_map(|peer| &peer.addresses);
    let mut taken: BTreeSet<IpAddr> = listed.filter_map(|address| address.parse().ok()).collect();
    taken.extend(own);
    for (seat, address) in others {
        let name = &seat.record.name;
        if let Some(address) = address
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
}
