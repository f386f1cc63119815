//! The virtual router identifier of a group that names none.

use super::NodeRecord;

/// How many identifiers there are: 1 to 255.
const IDENTIFIERS: u64 = 255;

/// The first free identifier from a place that the cluster and the group's name decide, so that clusters on one link and
/// a group that is applied again tend to agree with themselves. `None` if all 255 are taken.
pub fn virtual_router_id(cluster_uid: &str, group: &str, taken: &dyn Fn(u8) -> bool) -> Option<u8> {
    let start = fnv1a(cluster_uid.bytes().chain([b'/']).chain(group.bytes()));
    (0..IDENTIFIERS)
        .map(|step| (start % IDENTIFIERS + step) % IDENTIFIERS + 1)
        .filter_map(|id| u8::try_from(id).ok())
        .find(|id| !taken(*id))
}

/// The identifier with which nodes run a group already, as their stored entries say: a group that was lost and is applied
/// again without one is to be the same virtual router, or nothing could be handed from the old to the new.
pub fn remembered_virtual_router_id<'a>(
    group: &str,
    members: impl IntoIterator<Item = &'a NodeRecord>,
) -> Option<u8> {
    let entries = members.into_iter().filter_map(|member| member.stored(group));
    entries
        .filter(|entry| !entry.deleted)
        .find_map(|entry| u8::try_from(entry.virtual_router_id).ok())
}

/// FNV-1a with 64 bits. Written here because another hash would number the groups of the next release differently.
fn fnv1a(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
