//! What has to be true of a group beyond its shape: one table, used by files, by `check`, and by the operator. The bounds
//! of single values (lengths, ranges, choices) stand in the schema.

mod addresses;
pub mod cel;
mod duty;
mod election;
mod handlers;
mod members;
mod neighbors;
mod places;
mod presets;
mod probes;
mod quorum;
mod table;
mod targets;
#[cfg(test)]
mod tests;
mod trust;

pub use cel::Server;
pub use table::TABLE;

use core::net::IpAddr;

use ipnet::IpNet;

use crate::v1alpha1::{Family, NodeGroup, VirtualIPGroup, VirtualIPGroupSpec};

/// One rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// What it is called in documents and tests.
    pub id: &'static str,
    /// The field it is about; `[]` stands for any entry of a list.
    pub field: &'static str,
    /// What is wrong and what to write instead; `{value}` and `{other}` stand for what a [`Finding`] says.
    pub sentence: &'static str,
    /// Where it holds.
    pub scope: Scope,
    /// What becomes of a group that breaks it.
    pub severity: Severity,
    /// Finds the places that break it.
    pub check: Check,
    /// Whether the API server finds them too.
    pub server: Server,
}

/// Where a rule holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// For every group.
    Everywhere,
    /// For groups from files only: nobody is there who could fill in what is missing.
    Files,
}

/// What becomes of a group that breaks a rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// It is refused.
    Refuse,
    /// It runs, and somebody should know.
    Warn,
}

/// How a rule is checked. A check never panics and keeps quiet about what another rule refuses.
#[derive(Clone, Copy, Debug)]
pub enum Check {
    /// On a group as written.
    Group(fn(&VirtualIPGroup) -> Vec<Finding>),
    /// On a group as one node sees it.
    Node(fn(&NodeGroup) -> Vec<Finding>),
    /// On two groups that the same node runs, once for both.
    Pair(fn(&NodeGroup, &NodeGroup) -> Vec<Finding>),
    /// On a group and each other one that the same node runs.
    Against(fn(&NodeGroup, &NodeGroup) -> Vec<Finding>),
}

/// One place that breaks a rule.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Finding {
    /// Its path, such as `spec.addresses[0].address`.
    pub path: String,
    /// The value that stands there.
    pub value: String,
    /// What it is to be compared with.
    pub other: String,
}

impl Rule {
    /// The rule's sentence about `finding`.
    pub fn sentence(&self, finding: &Finding) -> String {
        self.sentence
            .replace("{value}", &finding.value)
            .replace("{other}", &finding.other)
    }

    /// Whether the rule holds in a place that is (or is not) a file.
    pub fn holds(&self, in_file: bool) -> bool {
        in_file || self.scope == Scope::Everywhere
    }
}

impl Finding {
    fn at(path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            ..Self::default()
        }
    }

    #[allow(
        clippy::needless_pass_by_value,
        reason = "a check gives addresses, numbers and texts alike"
    )]
    fn value(mut self, value: impl ToString) -> Self {
        self.value = value.to_string();
        self
    }

    #[allow(
        clippy::needless_pass_by_value,
        reason = "a check gives addresses, numbers and texts alike"
    )]
    fn other(mut self, other: impl ToString) -> Self {
        self.other = other.to_string();
        self
    }
}

/// The rules that a group as written breaks, with the places.
pub fn check_group(group: &VirtualIPGroup, in_file: bool) -> Vec<(&'static Rule, Finding)> {
    find(in_file, |check| match check {
        Check::Group(check) => check(group),
        _ => Vec::new(),
    })
}

/// The rules that the group at `index` of those that run on one node breaks there: alone, and with each of the others.
/// Each finding comes with the index of the other group that it is about, if it is about one.
pub fn check_node(
    groups: &[&NodeGroup],
    index: usize,
    in_file: bool,
) -> Vec<(&'static Rule, Finding, Option<usize>)> {
    let Some(group) = groups.get(index) else {
        return Vec::new();
    };
    let mut found: Vec<_> = find(in_file, |check| match check {
        Check::Node(check) => check(group),
        _ => Vec::new(),
    })
    .into_iter()
    .map(|(rule, finding)| (rule, finding, None))
    .collect();
    for (nth, other) in groups.iter().enumerate().filter(|(nth, _)| *nth != index) {
        let with = find(in_file, |check| match check {
            // Said once, at the later of the two.
            Check::Pair(check) if nth < index => check(group, other),
            Check::Against(check) => check(group, other),
            _ => Vec::new(),
        });
        found.extend(with.into_iter().map(|(rule, finding)| (rule, finding, Some(nth))));
    }
    found
}

fn find(in_file: bool, run: impl Fn(Check) -> Vec<Finding>) -> Vec<(&'static Rule, Finding)> {
    let rules = TABLE.iter().filter(|rule| rule.holds(in_file));
    rules
        .flat_map(|rule| run(rule.check).into_iter().map(move |finding| (rule, finding)))
        .collect()
}

/// The family of a group's election: as written, or the first address's. `None` if no address can be read.
pub(crate) fn election_family(spec: &VirtualIPGroupSpec) -> Option<Family> {
    spec.advertisement.family.or_else(|| {
        networks(spec)
            .next()
            .map(|(_, network)| Family::of(network.addr()))
    })
}

/// The addresses that can be read, each with its place in the list.
fn networks(spec: &VirtualIPGroupSpec) -> impl Iterator<Item = (usize, IpNet)> + '_ {
    spec.addresses
        .iter()
        .enumerate()
        .filter_map(|(index, address)| Some((index, address.address.parse().ok()?)))
}

fn is_virtual(spec: &VirtualIPGroupSpec, address: IpAddr) -> bool {
    networks(spec).any(|(_, network)| network.addr() == address)
}

/// Whether a router can send from `address` and be sent to it.
fn is_usable(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    !(is_mapped(address)
        || address.is_unspecified()
        || address.is_loopback()
        || address.is_multicast()
        || broadcast)
}

/// Whether `text` is a label as RFC 1123 has it, which names of Kubernetes are made of.
fn is_label(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&text.len())
        && text.chars().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Whether `address` is an IPv4 address written as IPv6.
fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some())
}
