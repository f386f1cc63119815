//! The table of rules. A sentence is read after the field's path and says what is wrong and what to write instead.

use super::cel::Server::{self, Cannot, Checks};
use super::{Check, Rule, Scope, Severity, addresses, election, members, neighbors};

/// Why the API server leaves a rule to Holdfast.
const WARNS: &str = "its rules can only refuse, and this one warns";
const TWO_GROUPS: &str = "it looks at one group at a time";
const FILES: &str = "it never sees a file";

/// All rules, in the order of the fields they are about.
pub const TABLE: &[Rule] = &[
    rule(
        "name",
        "metadata.name",
        "`{value}` cannot name a group: write at most 63 lower-case letters, digits and `-`, a letter or digit first and last",
        Check::Group(election::name),
        Checks(election::NAME),
    ),
    rule(
        "address",
        "spec.addresses[].address",
        "`{value}` is not an address with its prefix length: write it like 10.0.0.100/24 or fd00::100/64",
        Check::Group(addresses::readable),
        Checks(addresses::READABLE),
    ),
    rule(
        "address-unicast",
        "spec.addresses[].address",
        "{value} is a multicast address, which cannot belong to a node: write a unicast address",
        Check::Group(addresses::not_multicast),
        Checks(addresses::NOT_MULTICAST),
    ),
    rule(
        "address-loopback",
        "spec.addresses[].address",
        "{value} is a loopback address, which nobody else can reach: write an address of the subnet that clients use",
        Check::Group(addresses::not_loopback),
        Checks(addresses::NOT_LOOPBACK),
    ),
    rule(
        "address-unspecified",
        "spec.addresses[].address",
        "{value} means no address at all: write an address of the subnet that clients use",
        Check::Group(addresses::not_unspecified),
        Checks(addresses::NOT_UNSPECIFIED),
    ),
    rule(
        "address-mapped",
        "spec.addresses[].address",
        "{value} is an IPv4 address written as IPv6: write it as IPv4, like 10.0.0.100/24",
        Check::Group(addresses::not_mapped),
        Checks(addresses::NOT_MAPPED),
    ),
    rule(
        "address-network",
        "spec.addresses[].address",
        "{value} is the address of the network itself: write an address inside it, or correct the prefix length",
        Check::Group(addresses::not_network),
        Checks(addresses::NOT_NETWORK),
    ),
    rule(
        "address-broadcast",
        "spec.addresses[].address",
        "{value} is the broadcast address of its network: write an address inside it, or correct the prefix length",
        Check::Group(addresses::not_broadcast),
        Checks(addresses::NOT_BROADCAST),
    ),
    rule(
        "address-once",
        "spec.addresses[].address",
        "{value} repeats the address of an earlier entry: remove one of the two",
        Check::Group(addresses::once),
        Checks(addresses::ONCE),
    ),
    rule(
        "label",
        "spec.addresses[].label",
        "`{value}` has more than 15 bytes, and the kernel takes no more: shorten it",
        Check::Group(addresses::label),
        Checks(addresses::LABEL),
    ),
    rule(
        "label-ipv4",
        "spec.addresses[].label",
        "labels exist for IPv4 addresses only, and {value} is IPv6: remove the label",
        Check::Group(addresses::label_family),
        Checks(addresses::LABEL_FAMILY),
    ),
    rule(
        "interface",
        "spec.interface",
        "`{value}` cannot name an interface: write at most 15 bytes without spaces and slashes, as `ip link` shows it",
        Check::Group(addresses::interface),
        Checks(addresses::INTERFACE),
    ),
    rule(
        "interface-link-local",
        "spec.interface",
        "this is missing: a link-local address is at home on every interface, so write the one it is meant for",
        Check::Node(addresses::interface_of_link_local),
        Checks(addresses::INTERFACE_OF_LINK_LOCAL),
    ),
    in_files(rule(
        "vrid",
        "spec.virtualRouterID",
        "this is missing: in a file, write a number from 1 to 255 that no other virtual router on the link uses",
        Check::Group(election::virtual_router_id),
        Cannot(FILES),
    )),
    rule(
        "selector",
        "spec.nodeSelector",
        "this cannot be used: {other}",
        Check::Group(members::selectors),
        Checks(members::SELECTORS),
    ),
    rule(
        "override-nodes",
        "spec.nodeOverrides[]",
        "this says {value}: write exactly one of `nodes` and `selector`",
        Check::Group(members::override_nodes),
        Checks(members::OVERRIDE_NODES),
    ),
    rule(
        "override-changes",
        "spec.nodeOverrides[]",
        "this changes nothing on its nodes: write `priority`, `interface` or `sourceAddress`, or remove the entry",
        Check::Group(members::override_changes),
        Checks(members::OVERRIDE_CHANGES),
    ),
    rule(
        "source-address",
        "spec.nodeOverrides[].sourceAddress",
        "`{value}` is not an address that a node can send {other} advertisements from: write the node's own {other} address, without a prefix length",
        Check::Group(members::source_address),
        Checks(members::SOURCE_ADDRESS),
    ),
    rule(
        "source-not-virtual",
        "spec.nodeOverrides[].sourceAddress",
        "{value} is one of this group's virtual addresses: write an address that the node keeps",
        Check::Group(members::source_not_virtual),
        Checks(members::SOURCE_NOT_VIRTUAL),
    ),
    rule(
        "version-2-ipv4",
        "spec.advertisement.version",
        "VRRPv2 speaks IPv4 only and this election is IPv6: write `version: 3`, or `family: IPv4` if there is an IPv4 address",
        Check::Group(election::version_family),
        Checks(election::VERSION_FAMILY),
    ),
    rule(
        "interval-3",
        "spec.advertisement.interval",
        "VRRPv3 cannot say this interval: write a multiple of 10ms from 10ms to 40950ms",
        Check::Group(election::interval_v3),
        Checks(election::INTERVAL_V3),
    ),
    rule(
        "interval-2",
        "spec.advertisement.interval",
        "VRRPv2 cannot say this interval: write whole seconds from 1s to 255s, or `version: 3`",
        Check::Group(election::interval_v2),
        Checks(election::INTERVAL_V2),
    ),
    rule(
        "family-address",
        "spec.advertisement.family",
        "none of the addresses is {value}: add one, or write the family of those there are",
        Check::Group(election::family),
        Checks(election::FAMILY),
    ),
    rule(
        "multicast-group",
        "spec.advertisement.multicastGroup",
        "`{value}` is not an {other} multicast address: remove the field for the usual one, or write one",
        Check::Group(election::multicast_group),
        Checks(election::MULTICAST_GROUP),
    ),
    rule(
        "multicast-group-mode",
        "spec.advertisement.multicastGroup",
        "with `mode: Unicast` nothing is sent to a multicast group: remove the field, or write `mode: Multicast`",
        Check::Group(election::multicast_group_mode),
        Checks(election::MULTICAST_GROUP_MODE),
    ),
    rule(
        "peers-mode",
        "spec.advertisement.peers",
        "with `mode: Multicast` members find each other without peers: remove them, or write `mode: Unicast`",
        Check::Group(members::peers_mode),
        Checks(members::PEERS_MODE),
    ),
    in_files(rule(
        "peers",
        "spec.advertisement.peers",
        "these are missing: in a file, `mode: Unicast` needs the other members' names and addresses; or write `mode: Multicast`",
        Check::Group(members::peers),
        Cannot(FILES),
    )),
    in_files(rule(
        "peers-others",
        "spec.advertisement.peers",
        "only this node itself is listed: add the other members",
        Check::Node(members::peers_others),
        Cannot(FILES),
    )),
    rule(
        "peer-name-once",
        "spec.advertisement.peers[].name",
        "`{value}` is listed twice: put the addresses into one entry",
        Check::Group(members::peer_name_once),
        Checks(members::PEER_NAME_ONCE),
    ),
    rule(
        "peer-address",
        "spec.advertisement.peers[].addresses[]",
        "`{value}` is not an address that a member can have: write the node's own address, without a prefix length",
        Check::Group(members::peer_address),
        Checks(members::PEER_ADDRESS),
    ),
    rule(
        "peer-family",
        "spec.advertisement.peers[].addresses",
        "none of them is {other}, in which this election is held: add the member's {other} address",
        Check::Group(members::peer_family),
        Checks(members::PEER_FAMILY),
    ),
    rule(
        "peer-one-each",
        "spec.advertisement.peers[].addresses",
        "two of them are {other}, and a member advertises from one: keep that one",
        Check::Group(members::peer_one_each),
        Checks(members::PEER_ONE_EACH),
    ),
    rule(
        "peer-address-once",
        "spec.advertisement.peers[].addresses[]",
        "`{value}` has an address that an earlier member has: each has its own",
        Check::Group(members::peer_address_once),
        Checks(members::PEER_ADDRESS_ONCE),
    ),
    rule(
        "peer-not-virtual",
        "spec.advertisement.peers[].addresses[]",
        "`{value}` is given one of this group's virtual addresses: write an address that the node keeps",
        Check::Group(members::peer_not_virtual),
        Checks(members::PEER_NOT_VIRTUAL),
    ),
    rule(
        "preemption-delay",
        "spec.preemption.delay",
        "this is missing: `type: Delayed` needs to know for how long, for example `delay: 30s`",
        Check::Group(election::preemption_delay),
        Checks(election::PREEMPTION_DELAY),
    ),
    rule(
        "preemption-no-delay",
        "spec.preemption.delay",
        "`type: {value}` does not wait: remove the delay, or write `type: Delayed`",
        Check::Group(election::preemption_no_delay),
        Checks(election::PREEMPTION_NO_DELAY),
    ),
    warning(rule(
        "owner-preempts",
        "spec.preemption.type",
        "the owner of the addresses (priority 255) always takes over at once: `{value}` holds for the other members only",
        Check::Group(election::owner_preempts),
        Cannot(WARNS),
    )),
    rule(
        "authentication-built",
        "spec.authentication.type",
        "{value} is not supported yet: use Password with `version: 2`, or None",
        Check::Group(election::authentication_built),
        Checks(election::AUTHENTICATION_BUILT),
    ),
    rule(
        "password-version",
        "spec.authentication.type",
        "VRRPv3 has no passwords (RFC 9568 §9): write `type: None`, or `version: 2` under advertisement",
        Check::Group(election::password_version),
        Checks(election::PASSWORD_VERSION),
    ),
    rule(
        "password-source",
        "spec.authentication",
        "Password needs exactly one place to read it from: write `file` for a node on its own, `secretRef` in a cluster",
        Check::Group(election::password_source),
        Checks(election::PASSWORD_SOURCE),
    ),
    in_files(rule(
        "password-file",
        "spec.authentication.secretRef",
        "a node on its own has no Secrets: write `file: /path/of/the/password` instead",
        Check::Group(election::password_file),
        Cannot(FILES),
    )),
    rule(
        "password-path",
        "spec.authentication.file",
        "`{value}` depends on where the agent was started: write the whole path, beginning with `/`",
        Check::Group(election::password_path),
        Checks(election::PASSWORD_PATH),
    ),
    rule(
        "password-unused",
        "spec.authentication",
        "`type: None` uses no password: write `type: Password`, or remove {value}",
        Check::Group(election::password_unused),
        Checks(election::PASSWORD_UNUSED),
    ),
    rule(
        "probes-built",
        "spec.probes",
        "probes are not built yet: remove them, or the group would promise to watch a service that nobody watches",
        Check::Group(election::probes),
        Checks(election::PROBES),
    ),
    rule(
        "ipv6-link-local",
        "spec.addresses",
        "an IPv6 election advertises a link-local address first (RFC 9568 §5.2.9), and routers drop what does not: add one of your choice, such as fe80::100/64",
        Check::Group(addresses::link_local),
        Checks(addresses::LINK_LOCAL),
    ),
    rule(
        "vrid-neighbor",
        "spec.virtualRouterID",
        "{value} is also the virtual router of group {other} on the same interface and in the same family: write another number in one of them",
        Check::Pair(neighbors::virtual_router_id),
        Cannot(TWO_GROUPS),
    ),
    rule(
        "address-neighbor",
        "spec.addresses[].address",
        "{value} is also an address of group {other}: remove it from one of them",
        Check::Pair(neighbors::addresses),
        Cannot(TWO_GROUPS),
    ),
    rule(
        "peer-neighbor",
        "spec.advertisement.peers",
        "{value} is a virtual address of group {other}: write an address that the node keeps",
        Check::Against(neighbors::peers),
        Cannot(TWO_GROUPS),
    ),
];

const fn rule(
    id: &'static str,
    field: &'static str,
    sentence: &'static str,
    check: Check,
    server: Server,
) -> Rule {
    Rule {
        id,
        field,
        sentence,
        scope: Scope::Everywhere,
        severity: Severity::Refuse,
        check,
        server,
    }
}

const fn in_files(rule: Rule) -> Rule {
    Rule {
        scope: Scope::Files,
        ..rule
    }
}

const fn warning(rule: Rule) -> Rule {
    Rule {
        severity: Severity::Warn,
        ..rule
    }
}
