//! The demo's two groups: who serves what, how that is written for each daemon, and what the protocol promises.

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use crate::keepalived::VrrpInstance;

/// The nodes' names.
pub(super) const NODES: [&str; 3] = ["a", "b", "c"];
/// Their own addresses, in the same order.
pub(super) type Members = [Ipv4Addr; NODES.len()];
/// The advertisement interval of both groups.
pub(super) const INTERVAL: Duration = Duration::from_millis(100);
/// Both groups; each is preferred on one node, and the other group's node stands in for it.
pub(super) const GROUPS: [Group; 2] = [
    Group {
        name: "blue",
        virtual_router_id: 51,
        ipv4: "10.77.0.100",
        ipv6: "fd77::100",
        priorities: [200, 150, 100],
        unicast: false,
    },
    Group {
        name: "green",
        virtual_router_id: 52,
        ipv4: "10.77.0.200",
        ipv6: "fd77::200",
        priorities: [150, 200, 100],
        unicast: true,
    },
];

/// A group: an elected IPv4 address, and an IPv6 address that rides along.
pub(super) struct Group {
    pub(super) name: &'static str,
    virtual_router_id: u8,
    pub(super) ipv4: &'static str,
    pub(super) ipv6: &'static str,
    /// In the order of [`NODES`].
    priorities: [u8; 3],
    /// One group speaks to its peers one by one, the other to all at once, so that both are seen.
    unicast: bool,
}

impl Group {
    /// Both addresses.
    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        [self.ipv4, self.ipv6]
            .iter()
            .filter_map(|address| address.parse().ok())
            .collect()
    }

    /// The longest a group's backup takes to notice that its Active router is lost: three intervals and the skew of
    /// the priority of the node at `index` in [`NODES`] (RFC 9568 §6.1).
    pub(super) fn active_down_interval(&self, index: usize) -> Duration {
        3 * INTERVAL + self.skew(index)
    }

    /// How long the node at `index` waits after an advertisement of priority 0 (RFC 9568 §6.4.2).
    pub(super) fn skew(&self, index: usize) -> Duration {
        INTERVAL * (256 - u32::from(self.priorities[index])) / 256
    }

    fn yaml(&self, members: &Members) -> String {
        let mut text = format!(
            "apiVersion: vip.holdfast.dev/v1alpha1\n\
             kind: VirtualIPGroup\n\
             metadata:\n  name: {}\n\
             spec:\n  addresses:\n  - address: {}/24\n  - address: {}/64\n  virtualRouterID: {}\n  nodeOverrides:\n",
            self.name, self.ipv4, self.ipv6, self.virtual_router_id
        );
        // Writing to a String cannot fail.
        for (name, priority) in NODES.iter().zip(self.priorities) {
            let _ = writeln!(text, "  - nodes: [{name}]\n    priority: {priority}");
        }
        let mode = if self.unicast { "Unicast" } else { "Multicast" };
        let interval = INTERVAL.as_millis();
        let _ = writeln!(
            text,
            "  advertisement:\n    version: 3\n    interval: {interval}ms\n    mode: {mode}"
        );
        if self.unicast {
            text.push_str("    peers:\n");
            for (name, address) in NODES.iter().zip(members) {
                let _ = writeln!(
                    text,
                    "    - name: {name}
      addresses: [{address}]"
                );
            }
        }
        text
    }

    fn keepalived(&self, members: &Members, index: usize) -> VrrpInstance {
        let instance = VrrpInstance::new(self.virtual_router_id)
            .interval(INTERVAL)
            .priority(self.priorities[index])
            .address(&format!("{}/24", self.ipv4))
            .excluded_address(&format!("{}/64", self.ipv6));
        if !self.unicast {
            return instance;
        }
        let others = members.iter().enumerate().filter(|(other, _)| *other != index);
        let peers: Vec<IpAddr> = others.map(|(_, address)| IpAddr::V4(*address)).collect();
        instance.unicast(members[index].into(), &peers)
    }
}

/// Both groups as an agent's file; the same on all nodes.
pub(super) fn yaml(members: &Members) -> String {
    GROUPS
        .iter()
        .map(|group| group.yaml(members))
        .collect::<Vec<_>>()
        .join("---\n")
}

/// Both groups as keepalived's configuration for the node at `index`.
pub(super) fn keepalived(members: &Members, index: usize) -> Vec<VrrpInstance> {
    GROUPS
        .iter()
        .map(|group| group.keepalived(members, index))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use holdfast_api::{
        files::load,
        render::{NodeFacts, SecretSource},
    };

    use super::*;
    use crate::Segment;

    #[test]
    fn the_bound_of_a_lost_node_is_three_intervals_and_the_skew_of_who_takes_over() {
        let bound = GROUPS[0].active_down_interval(1);
        assert_eq!(bound, Duration::from_micros(341_406) + Duration::from_nanos(250));
        assert_eq!(GROUPS[1].skew(1), Duration::from_micros(21_875));
    }

    #[test]
    fn every_node_accepts_the_file_and_finds_its_priorities_in_it() {
        let members = [1, 2, 3].map(|number| Segment::FIRST.ipv4(number));
        let file = (PathBuf::from("demo.yaml"), yaml(&members));
        for (index, name) in NODES.iter().enumerate() {
            let facts = NodeFacts {
                name: (*name).to_owned(),
                ..NodeFacts::default()
            };
            let no_secrets = |_: &SecretSource| Err("the demo has no secrets".to_owned());
            let loaded = load(std::slice::from_ref(&file), &facts, &no_secrets).unwrap();
            assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
            let priorities: Vec<i32> = loaded
                .rendered
                .groups
                .iter()
                .map(|group| group.priority)
                .collect();
            assert_eq!(priorities, GROUPS.map(|group| i32::from(group.priorities[index])));
        }
    }

    #[test]
    fn each_group_is_preferred_where_the_other_is_second() {
        let ranks = |group: &Group| {
            let mut order = [0, 1, 2];
            order.sort_by_key(|index| std::cmp::Reverse(group.priorities[*index]));
            order
        };
        assert_eq!(ranks(&GROUPS[0]), [0, 1, 2]);
        assert_eq!(ranks(&GROUPS[1]), [1, 0, 2]);
    }
}
