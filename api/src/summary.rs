//! A status's lists in one line each. `kubectl get` prints no more than the first entry of a list.

use core::fmt::Write as _;

use crate::v1alpha1::{GroupSummary, Member, MemberState, NodeGroupStatus, NodeSummary, VirtualIPGroupSpec};

/// How many entries a line has; of the others it says how many they are, as `kubectl get endpointslices` does.
const ENTRIES: usize = 3;

/// The lines of a group with these members.
pub fn of_group(spec: &VirtualIPGroupSpec, members: &[Member]) -> GroupSummary {
    // Whom clients ask has no prefix length.
    let addresses = spec.addresses.iter().map(|address| {
        let written = &*address.address;
        written.split_once('/').map_or(written, |(address, _)| address)
    });
    let mut interfaces: Vec<&str> = members
        .iter()
        .filter_map(|member| member.interface.as_deref())
        .chain(spec.interface.as_deref())
        .collect();
    interfaces.sort_unstable();
    interfaces.dedup();
    GroupSummary {
        addresses: line(addresses),
        interfaces: line(interfaces.into_iter()),
        members: line(members.iter().map(|member| &*member.node)),
    }
}

/// The lines of a node that does this with its groups.
pub fn of_node(groups: &[NodeGroupStatus]) -> NodeSummary {
    let active = groups.iter().filter(|group| group.state == MemberState::Active);
    NodeSummary {
        groups: line(groups.iter().map(|group| &*group.name)),
        active: line(active.map(|group| &*group.name)),
    }
}

fn line<'a>(mut entries: impl Iterator<Item = &'a str>) -> String {
    let mut line = String::new();
    for entry in entries.by_ref().take(ENTRIES) {
        let comma = if line.is_empty() { "" } else { "," };
        let _ = write!(line, "{comma}{entry}");
    }
    let more = entries.count();
    if more > 0 {
        let _ = write!(line, " + {more} more");
    }
    line
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(addresses: &[&str], interface: Option<&str>) -> VirtualIPGroupSpec {
        let addresses: Vec<_> = addresses.iter().map(|a| json!({ "address": a })).collect();
        serde_json::from_value(json!({ "addresses": addresses, "interface": interface })).unwrap()
    }

    fn member(node: &str, interface: Option<&str>) -> Member {
        serde_json::from_value(json!({ "node": node, "state": "Backup", "interface": interface })).unwrap()
    }

    #[test]
    fn addresses_are_those_that_clients_ask_for() {
        let summary = of_group(&spec(&["10.0.0.1/24", "fd00::1/64"], None), &[]);
        assert_eq!(summary.addresses, "10.0.0.1,fd00::1");
    }

    #[test]
    fn an_interface_is_named_once_and_known_before_a_member_says_it() {
        let spec = spec(&["10.0.0.1/24"], Some("eth1"));
        assert_eq!(of_group(&spec, &[]).interfaces, "eth1");
        let members = [
            member("a", Some("eth1")),
            member("b", Some("eth0")),
            member("c", None),
        ];
        assert_eq!(of_group(&spec, &members).interfaces, "eth0,eth1");
    }

    #[test]
    fn a_long_list_says_how_many_more_there_are() {
        let spec = spec(&["10.0.0.1/24"], None);
        let members = ["a", "b", "c", "d", "e"].map(|node| member(node, None));
        assert_eq!(of_group(&spec, &members[..3]).members, "a,b,c");
        assert_eq!(of_group(&spec, &members).members, "a,b,c + 2 more");
    }

    #[test]
    fn a_node_names_the_groups_that_it_serves() {
        let groups = [("a", "Backup"), ("b", "Active"), ("c", "Active")]
            .map(|(name, state)| serde_json::from_value(json!({ "name": name, "state": state })).unwrap());
        let summary = of_node(&groups);
        assert_eq!((&*summary.groups, &*summary.active), ("a,b,c", "b,c"));
        assert_eq!(of_node(&[]), NodeSummary::default());
    }
}
