//! What two agents on one node tell each other of a group: everything by which others know it, so that one of them can go on
//! where the other one was without anybody's notice. Pure.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use holdfast_api::model::{Address, Mode, NodeGroup, NodeSpec};
use holdfast_api::v1alpha1::GroupSource;
use holdfast_vrrp::{Authentication, Version};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::engine::{RouterIdentity, bound_prefix_length};
use crate::source::Provenance;

/// A group as one agent shows it to the other. Its priority, probes and intervals may differ: a change of these moves
/// nothing by itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Card {
    /// The group's name.
    pub name: String,
    /// Which virtual router it is.
    pub router: RouterIdentity,
    /// The interface of the election; `None`: the one whose subnet holds an address.
    pub interface: Option<String>,
    /// The addresses as they are bound, each with its interface if that is another one: `10.0.0.100/32 on eth1`.
    pub addresses: BTreeSet<String>,
    /// To whom it speaks: `Unicast`, or `Multicast` with the group.
    pub mode: String,
    /// The other members of a unicast group.
    pub peers: BTreeSet<IpAddr>,
    /// What its advertisements prove themselves with; a password as a digest.
    pub authentication: String,
    /// The interval in milliseconds, where routers drop each other's advertisements for another one.
    pub strict_interval: Option<u64>,
    /// Whether it may become Active on this node.
    pub may_become_active: bool,
    /// From where its configuration comes.
    pub source: GroupSource,
}

impl Card {
    /// Every group of `spec`, which come from where `provenance` says.
    pub fn all(spec: &NodeSpec, provenance: &BTreeMap<String, Provenance>) -> Vec<Self> {
        let groups = spec.groups.values().filter(|group| !group.deleted);
        groups
            .map(|group| {
                let from = provenance.get(&group.name);
                Self::of(group, from.map(|from| from.source).unwrap_or_default())
            })
            .collect()
    }

    /// One group.
    pub fn of(group: &NodeGroup, source: GroupSource) -> Self {
        let advertisement = &group.advertisement;
        let (mode, peers) = match &advertisement.mode {
            Mode::Multicast(group) => (format!("Multicast to {group}"), BTreeSet::new()),
            Mode::Unicast(peers) => {
                let peers = peers.iter().map(|named| named.peer.address).collect();
                ("Unicast".to_owned(), peers)
            }
        };
        let strict = advertisement.version == Version::V2;
        let interval = u64::try_from(advertisement.interval.get().as_millis()).unwrap_or(u64::MAX);
        Self {
            name: group.name.clone(),
            router: RouterIdentity::of(group),
            interface: group.interface.clone(),
            addresses: group.addresses.iter().map(binding).collect(),
            mode,
            peers,
            authentication: proof(group.authentication),
            strict_interval: strict.then_some(interval),
            may_become_active: group.may_become_active,
            source,
        }
    }
}

/// What keeps `ours` from going on where `theirs` are, a sentence for each group; empty if nothing does.
pub fn obstacles(theirs: &[Card], ours: &[Card]) -> Vec<String> {
    theirs
        .iter()
        .filter_map(|theirs| {
            let ours = ours.iter().find(|ours| ours.name == theirs.name);
            obstacle(theirs, ours).map(|sentence| format!("group {}: {sentence}", theirs.name))
        })
        .collect()
}

/// What keeps our version of a group from going on where theirs is.
pub fn obstacle(theirs: &Card, ours: Option<&Card>) -> Option<String> {
    let Some(ours) = ours else {
        return Some(format!(
            "this agent knows nothing of it; apply a VirtualIPGroup named {} with {}",
            theirs.name,
            theirs.in_yaml()
        ));
    };
    let differs = theirs.voice().into_iter().zip(ours.voice());
    if let Some(((field, there), (_, here))) = differs.into_iter().find(|(there, here)| there != here) {
        return Some(format!(
            "{field} is {here} here and {there} in the agent that runs; apply the group with {field}: {there}"
        ));
    }
    if theirs.authentication != ours.authentication {
        return Some(
            "its authentication is another one here than in the agent that runs; give both the same type and password"
                .to_owned(),
        );
    }
    let missing: Vec<String> = theirs
        .peers
        .difference(&ours.peers)
        .map(ToString::to_string)
        .collect();
    (!missing.is_empty()).then(|| {
        format!(
            "the agent that runs also speaks to {}, and this one would not: whoever is there would no longer hear this node; \
             add it to advertisement.peers, or remove it from the file of the agent that runs",
            missing.join(" and ")
        )
    })
}

impl Card {
    /// What a listener knows the group by, field by field.
    fn voice(&self) -> [(&'static str, String); 7] {
        let or_not = |value: Option<String>| value.unwrap_or_else(|| "not set".to_owned());
        [
            ("virtualRouterID", self.router.virtual_router_id.to_string()),
            ("advertisement.version", self.router.version.to_string()),
            ("advertisement.family", format!("{:?}", self.router.family)),
            ("interface", or_not(self.interface.clone())),
            ("addresses", list(&self.addresses)),
            ("advertisement.mode", self.mode.clone()),
            (
                "advertisement.interval",
                or_not(self.strict_interval.map(|millis| format!("{millis}ms"))),
            ),
        ]
    }

    /// What has to be written to have the same virtual router.
    fn in_yaml(&self) -> String {
        let interface = self
            .interface
            .iter()
            .map(|interface| format!(", interface: {interface}"));
        let addresses = self
            .addresses
            .iter()
            .map(|address| address.split('/').next().unwrap_or(address));
        format!(
            "virtualRouterID: {}{} and the address {}",
            self.router.virtual_router_id,
            interface.collect::<String>(),
            addresses.collect::<Vec<_>>().join(" and ")
        )
    }
}

fn list(addresses: &BTreeSet<String>) -> String {
    addresses.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}

fn binding(address: &Address) -> String {
    let on = address.interface.as_ref();
    let on = on.map(|interface| format!(" on {interface}")).unwrap_or_default();
    format!("{}/{}{on}", address.address, bound_prefix_length(address))
}

fn proof(authentication: Authentication) -> String {
    match authentication {
        Authentication::None => "None".to_owned(),
        Authentication::Password(password) => {
            format!("Password {:x}", Sha256::digest(password))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use holdfast_api::render::NodeFacts;

    use super::*;

    fn card(yaml: &str) -> Card {
        let text = format!(
            "apiVersion: vip.holdfast.dev/v1alpha1\nkind: VirtualIPGroup\nmetadata: {{name: control-plane}}\nspec:\n{yaml}"
        );
        let files = [(PathBuf::from("group.yaml"), text)];
        let facts = NodeFacts {
            name: "cp-1".to_owned(),
            ..NodeFacts::default()
        };
        let loaded = holdfast_api::files::load(&files, &facts, &|_| Ok(b"sesame".to_vec())).unwrap();
        Card::of(&loaded.spec.groups["control-plane"], GroupSource::File)
    }

    const UNICAST: &str = "  virtualRouterID: 100
  interface: eth0
  addresses: [{address: 10.0.0.100/24}]
  advertisement:
    mode: Unicast
    peers:
    - {name: cp-1, addresses: [10.0.0.11]}
    - {name: cp-2, addresses: [10.0.0.12]}
    - {name: cp-3, addresses: [10.0.0.13]}
";

    fn obstacle_to(change: &[(&str, &str)]) -> Option<String> {
        let changed = change
            .iter()
            .fold(UNICAST.to_owned(), |yaml, (from, to)| yaml.replace(from, to));
        assert!(
            change.is_empty() || changed != UNICAST,
            "{change:?} changes nothing"
        );
        obstacle(&card(UNICAST), Some(&card(&changed)))
    }

    #[test]
    fn what_nobody_on_the_wire_sees_is_no_obstacle() {
        let quiet: [&[(&str, &str)]; 6] = [
            &[],
            &[("  interface", "  priority: 200\n  interface")],
            &[("  interface", "  preemption: {type: Never}\n  interface")],
            &[("    mode", "    interval: 300ms\n    mode")],
            &[("/24", "/16")],
            &[(
                "    - {name: cp-3",
                "    - {name: cp-4, addresses: [10.0.0.14]}\n    - {name: cp-3",
            )],
        ];
        for change in quiet {
            assert_eq!(obstacle_to(change), None, "{change:?}");
        }
        let probed = "  probes: [{name: api, tcpSocket: {port: 6443}}]\n  interface";
        assert_eq!(obstacle_to(&[("  interface", probed)]), None);
    }

    #[test]
    fn whatever_makes_it_another_one_for_others_is_named_with_what_to_write() {
        let found = [
            (
                ("virtualRouterID: 100", "virtualRouterID: 17"),
                "apply the group with virtualRouterID: 100",
            ),
            (
                ("  interface: eth0\n", ""),
                "interface is not set here and eth0 in the agent that runs",
            ),
            (
                ("10.0.0.100/24", "10.0.0.101/24"),
                "addresses is 10.0.0.101/32 here and 10.0.0.100/32",
            ),
            (
                ("    mode", "    version: 2\n    mode"),
                "advertisement.version is 2 here and 3",
            ),
            (("10.0.0.13", "10.0.0.14"), "also speaks to 10.0.0.13"),
        ];
        for ((from, to), sentence) in found {
            let said = obstacle_to(&[(from, to)]).unwrap();
            assert!(said.contains(sentence), "{said}");
        }
        let multicast = UNICAST.split("    mode").next().unwrap().to_owned() + "    mode: Multicast\n";
        let said = obstacle(&card(UNICAST), Some(&card(&multicast))).unwrap();
        assert!(
            said.contains("advertisement.mode is Multicast to 224.0.0.18 here and Unicast"),
            "{said}"
        );
    }

    #[test]
    fn another_password_is_an_obstacle_and_is_not_told() {
        let with = |more: &str| {
            let yaml = UNICAST.replace("    mode", "    version: 2\n    mode");
            card(&(yaml + more))
        };
        let open = with("");
        let guarded = with("  authentication: {type: Password, file: /etc/password}\n");
        let said = obstacle(&open, Some(&guarded)).unwrap();
        assert!(said.contains("authentication"), "{said}");
        assert_eq!(obstacle(&guarded, Some(&guarded)), None);
        assert!(!serde_json::to_string(&guarded).unwrap().contains("sesame"));
        // Where routers are strict about intervals, another one is another voice.
        let slower = Card {
            strict_interval: Some(2000),
            ..open.clone()
        };
        let said = obstacle(&open, Some(&slower)).unwrap();
        assert!(said.contains("advertisement.interval: 1000ms"), "{said}");
    }

    #[test]
    fn each_group_of_the_other_is_to_be_known_here_and_more_may_be() {
        let theirs = card(UNICAST);
        let more = Card {
            name: "web".to_owned(),
            ..theirs.clone()
        };
        assert_eq!(obstacles(&[], std::slice::from_ref(&more)), [""; 0]);
        assert_eq!(
            obstacles(std::slice::from_ref(&theirs), &[theirs.clone(), more.clone()]),
            [""; 0]
        );
        let said = obstacles(&[theirs.clone(), more], &[theirs]);
        assert_eq!(
            said,
            [
                "group web: this agent knows nothing of it; apply a VirtualIPGroup named web with virtualRouterID: 100, \
              interface: eth0 and the address 10.0.0.100"
            ]
        );
    }
}
