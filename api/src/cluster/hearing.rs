//! Whether two members hear each other: what of an entry has to fit another's.

use core::net::IpAddr;

use crate::v1alpha1::{Family, Mode, NodeAdvertisement, NodeGroup};

/// The only version in which routers drop each other's advertisements for another interval.
const STRICT_ABOUT_INTERVALS: i32 = 2;

/// Whether a node that changes from one entry to the other stays the same for everybody who listens to it.
pub(super) fn same_identity(a: &NodeGroup, b: &NodeGroup) -> bool {
    same_voice(a, b) && a.interface == b.interface && a.source_addresses == b.source_addresses
}

/// Whether two members with these entries and at these addresses hear each other.
pub(super) fn hear_each_other(a: (&NodeGroup, Option<IpAddr>), b: (&NodeGroup, Option<IpAddr>)) -> bool {
    let listed =
        |entry: &NodeGroup, address: Option<IpAddr>| address.is_some_and(|address| lists(entry, address));
    same_voice(a.0, b.0)
        && (a.0.advertisement.mode == Mode::Multicast || listed(a.0, b.1) && listed(b.0, a.1))
}

/// The address of the election's family that an entry has its node take part from, if it says so.
pub(super) fn written_source(entry: &NodeGroup) -> Option<IpAddr> {
    of_family(&entry.source_addresses, entry.advertisement.family)
}

/// The first of some addresses that is of that family.
pub(super) fn of_family<'a>(
    addresses: impl IntoIterator<Item = &'a String>,
    family: Family,
) -> Option<IpAddr> {
    let mut readable = addresses.into_iter().filter_map(|address| address.parse().ok());
    readable.find(|address| Family::of(*address) == family)
}

fn lists(entry: &NodeGroup, address: IpAddr) -> bool {
    let mut listed = entry.peers.iter().flat_map(|peer| &peer.addresses);
    listed.any(|written| written.parse() == Ok(address))
}

/// Whether what one of two members says has the form that the other one listens for.
pub(super) fn same_voice(a: &NodeGroup, b: &NodeGroup) -> bool {
    a.virtual_router_id == b.virtual_router_id
        && a.authentication == b.authentication
        && same_form(&a.advertisement, &b.advertisement)
}

fn same_form(a: &NodeAdvertisement, b: &NodeAdvertisement) -> bool {
    a.version == b.version
        && a.family == b.family
        && a.mode == b.mode
        && a.multicast_group == b.multicast_group
        && (a.version != STRICT_ABOUT_INTERVALS || a.interval == b.interval)
}
