//! Whether a group may run beside the others: what no object can decide alone.

use core::net::IpAddr;
use std::sync::LazyLock;

use ipnet::IpNet;
use kube::CustomResourceExt;
use serde_json::Value;

use super::hearing::{of_family, written_source};
use super::members::{is_selected, written_share};
use super::reported::{self, Reported, Reporter};
use super::{NodeRecord, placement, sync, weight};
use crate::reason::Reason;
use crate::rules::{self, Finding, Rule, Severity};
use crate::v1alpha1::{Mode, NodeGroup, VirtualIPGroup};
use crate::{crd, shape};

/// The API server took a group under the schema of its time; what runs has to fit this one.
static SPEC_SCHEMA: LazyLock<Value> =
    LazyLock::new(|| crd::schema(&VirtualIPGroup::crd())["properties"]["spec"].clone());

/// How many nodes may be selected: what the lists of peers and of members hold.
const MOST_MEMBERS: usize = 32;

/// How many mistakes of a kind one message names.
const NAMED_AT_ONCE: usize = 5;

/// Whether a group runs, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// Whether this generation may run. If not, what ran keeps running.
    pub accepted: bool,
    /// Why, in one word: the reason of the condition `Accepted`.
    pub reason: Reason,
    /// Why, in a sentence that says what to write instead.
    pub message: String,
    /// What should be known and keeps nothing from running.
    pub warnings: Vec<Warning>,
    /// What is amiss in the cluster although the group is as it should be: of a group that is accepted, causes of `Degraded`.
    pub amiss: Vec<Warning>,
}

/// Something about a group that its author should know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Warning {
    /// In one word.
    pub reason: Reason,
    /// In a sentence with what to do.
    pub message: String,
}

/// An accepted group that comes first and shares a virtual router identifier or an address with the one that is judged.
#[derive(Clone, Copy, Debug)]
pub struct Rival<'a> {
    /// The group.
    pub group: &'a VirtualIPGroup,
    /// Its members.
    pub members: &'a [&'a NodeRecord],
}

/// Whether `group` comes before `other` when only one of them can run: one whose present generation was accepted already,
/// then one that runs and has been edited since, then the older one, then by name. What was fine is never disturbed by
/// what is new.
pub fn outranks(group: &VirtualIPGroup, other: &VirtualIPGroup) -> bool {
    let rank = |group: &VirtualIPGroup| {
        let created = group.metadata.creation_timestamp.as_ref().map(|time| time.0);
        // One without a time has not been created yet.
        (core::cmp::Reverse(standing(group)), created.is_none(), created)
    };
    (rank(group), &group.metadata.name) < (rank(other), &other.metadata.name)
}

/// Judges `group` with these `members` (see [`super::is_member`]) beside its `rivals`. `reporters_of` names the Nodes that say
/// that an address is their own.
///
/// A group without an identifier is refused as one for which none was free: whoever hands out identifiers comes first.
pub fn judge(
    group: &VirtualIPGroup,
    members: &[&NodeRecord],
    rivals: &[Rival<'_>],
    reporters_of: &dyn Fn(IpAddr) -> Vec<Reporter>,
) -> Verdict {
    let selected: Vec<&NodeRecord> = members
        .iter()
        .copied()
        .filter(|member| is_selected(group, member))
        .collect();
    let shares: Vec<(&str, NodeGroup)> = selected
        .iter()
        .filter_map(|member| Some((&*member.name, written_share(group, member)?)))
        .collect();
    let (mut broken, mut warnings) = against_the_rules(group, &shares);
    warnings.extend(weight::without_effect(group, &shares));
    warnings.extend(placement::without_effect(group, &shares));
    let reported = reported::reported(addresses(group), &shares, reporters_of);
    let refusal = joined(&mut broken)
        .map(|message| (Reason::Invalid, message))
        .or_else(|| address_conflict(group, rivals))
        .or_else(|| no_identifier(group))
        .or_else(|| identifier_conflict(&shares, rivals))
        .or_else(|| address_of_node(group, members, &reported))
        .or_else(|| wrong_number_of_nodes(&selected))
        .or_else(|| peers_missing(group, &shares))
        .or_else(|| preferred_node(group, &selected, &mut warnings))
        .or_else(|| sync::mismatch(group, rivals));
    let (accepted, (reason, message)) = match refusal {
        Some(refusal) => (false, refusal),
        None => (true, (Reason::Accepted, accepted(selected.len()))),
    };
    let amiss = reported::amiss(&reported).filter(|_| accepted);
    Verdict {
        accepted,
        reason,
        message,
        warnings,
        amiss: amiss.into_iter().collect(),
    }
}

fn accepted(nodes: usize) -> String {
    match nodes {
        1 => "the group is valid and selects 1 node".to_owned(),
        nodes => format!("the group is valid and selects {nodes} nodes"),
    }
}

/// What the group's status says of its acceptance, from the weakest to the strongest claim.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Standing {
    /// It is refused, or has not been judged.
    New,
    /// An earlier generation was accepted, and so it runs; this one has not been judged.
    Edited,
    /// This generation was accepted.
    Accepted,
}

fn standing(group: &VirtualIPGroup) -> Standing {
    let conditions = group.status.iter().flat_map(|status| &status.conditions);
    let mut accepted = conditions
        .into_iter()
        .filter(|c| c.type_ == "Accepted" && c.status == "True");
    match accepted.next() {
        None => Standing::New,
        Some(c) if c.observed_generation == group.metadata.generation => Standing::Accepted,
        Some(_) => Standing::Edited,
    }
}

/// The sentences of the rules that refuse the group, and those that only warn.
fn against_the_rules(group: &VirtualIPGroup, shares: &[(&str, NodeGroup)]) -> (Vec<String>, Vec<Warning>) {
    let mut spec = serde_json::to_value(&group.spec).unwrap_or_default();
    let misfits = shape::check(&mut spec, &SPEC_SCHEMA);
    let mut broken: Vec<String> = misfits
        .into_iter()
        .map(|misfit| format!("spec.{}: {}", misfit.path, misfit.sentence))
        .collect();
    let mut warnings = Vec::new();
    let mut note = |rule: &Rule, finding: &Finding| {
        let message = format!("{}: {}", finding.path, rule.sentence(finding));
        match rule.severity {
            Severity::Refuse if broken.contains(&message) => {}
            Severity::Refuse => broken.push(message),
            Severity::Warn => warnings.push(Warning {
                reason: Reason::Unusual,
                message,
            }),
        }
    };
    for (rule, finding) in rules::check_group(group, false) {
        note(rule, &finding);
    }
    for (_, share) in shares {
        for (rule, finding, _) in rules::check_node(&[share], 0, false) {
            note(rule, &finding);
        }
    }
    (broken, warnings)
}

/// Any two groups: the same address on two virtual routers is two holders, whoever their members are.
fn address_conflict(group: &VirtualIPGroup, rivals: &[Rival<'_>]) -> Option<(Reason, String)> {
    let mut conflicts: Vec<String> = Vec::new();
    for (index, address) in addresses(group) {
        let has = |rival: &&Rival<'_>| addresses(rival.group).any(|(_, theirs)| theirs == address);
        if let Some(rival) = rivals.iter().find(has) {
            conflicts.push(format!(
                "spec.addresses[{index}].address: {address} is also an address of group `{}`: remove it from one of them",
                name(rival.group)
            ));
        }
    }
    Some((Reason::AddressConflict, joined(&mut conflicts)?))
}

fn no_identifier(group: &VirtualIPGroup) -> Option<(Reason, String)> {
    let message = "spec.virtualRouterID: none of the numbers from 1 to 255 is free in this cluster: delete a group, or \
                   write a number here that is used by groups on other nodes or interfaces only";
    let missing = group.spec.virtual_router_id.is_none();
    missing.then(|| (Reason::NoFreeVirtualRouterID, message.to_owned()))
}

/// Two groups that have a member in common, as the rules about two groups on one node see them there.
fn identifier_conflict(shares: &[(&str, NodeGroup)], rivals: &[Rival<'_>]) -> Option<(Reason, String)> {
    let mut found = None;
    for rival in rivals {
        let common = |node: &&NodeRecord| shares.iter().find(|(name, _)| *name == node.name);
        for node in rival.members {
            let (Some((_, ours)), Some(theirs)) = (common(node), written_share(rival.group, node)) else {
                continue;
            };
            for (rule, finding, _) in rules::check_node(&[&theirs, ours], 1, false) {
                let reason = match rule.id {
                    "vrid-neighbor" => Reason::VirtualRouterIDConflict,
                    "peer-neighbor" => Reason::Invalid,
                    _ => continue,
                };
                let message = format!(
                    "{}: {} (node {})",
                    finding.path,
                    rule.sentence(&finding),
                    node.name
                );
                let first = found.get_or_insert((reason, message.clone()));
                if first.0 == Reason::Invalid && reason == Reason::VirtualRouterIDConflict {
                    *first = (reason, message);
                }
            }
        }
    }
    found
}

/// Serving a Node's only address elsewhere cuts the Node off. One that is served already is the Node's mistake: kubelets take a
/// virtual address for the node's own when they find it there.
fn address_of_node(
    group: &VirtualIPGroup,
    members: &[&NodeRecord],
    reported: &[Reported],
) -> Option<(Reason, String)> {
    if standing(group) == Standing::Accepted {
        return None;
    }
    let mut refusals: Vec<String> = reported
        .iter()
        .filter(|reported| !is_told(group, members, reported.address))
        .filter_map(|reported| {
            let (index, address) = (reported.index, reported.address);
            let sole = reported.reporters.iter().find(|reporter| reporter.sole)?;
            Some(format!(
                "spec.addresses[{index}].address: {address} is the only address that Node {} tells: write an address that no \
                 Node has, or give that node `priority: 255` in nodeOverrides if the address is to be its own; if its kubelet \
                 took a virtual address for the node's own, start the kubelet with --node-ip",
                sole.node
            ))
        })
        .collect();
    Some((Reason::AddressOfNode, joined(&mut refusals)?))
}

/// Whether a member was told of the group with this address: an edit of something else takes nothing from anybody.
fn is_told(group: &VirtualIPGroup, members: &[&NodeRecord], address: IpAddr) -> bool {
    let told = members.iter().filter_map(|member| member.stored(name(group)));
    let addresses = told
        .filter(|entry| !entry.deleted)
        .flat_map(|entry| &entry.addresses);
    let mut parsed = addresses.filter_map(|told| told.address.parse::<IpNet>().ok());
    parsed.any(|told| told.addr() == address)
}

/// A node that has ceased to be a member since is nobody's mistake: the wish stays without effect.
fn preferred_node(
    group: &VirtualIPGroup,
    selected: &[&NodeRecord],
    warnings: &mut Vec<Warning>,
) -> Option<(Reason, String)> {
    let (reason, message) = placement::not_a_member(group, selected)?;
    if standing(group) == Standing::Accepted {
        warnings.push(Warning { reason, message });
        return None;
    }
    Some((reason, message))
}

fn wrong_number_of_nodes(selected: &[&NodeRecord]) -> Option<(Reason, String)> {
    match selected.len() {
        0 => Some((
            Reason::NoNodeMatches,
            "spec.nodeSelector: no node has these labels: change the selector, or label the nodes that are to take part"
                .to_owned(),
        )),
        1..=MOST_MEMBERS => None,
        many => Some((
            Reason::TooManyNodes,
            format!(
                "spec.nodeSelector: {many} nodes have these labels, and a group has at most {MOST_MEMBERS} members: select \
                 fewer"
            ),
        )),
    }
}

/// Where the user lists the members, all of them have to be there, and at the address that they use.
fn peers_missing(group: &VirtualIPGroup, shares: &[(&str, NodeGroup)]) -> Option<(Reason, String)> {
    let advertisement = &group.spec.advertisement;
    if advertisement.mode == Mode::Multicast || advertisement.peers.is_empty() {
        return None;
    }
    let mut mistakes = Vec::new();
    for (node, share) in shares {
        let family = share.advertisement.family;
        let Some(listed) = advertisement.peers.iter().find(|peer| peer.name == *node) else {
            mistakes.push(format!(
                "spec.advertisement.peers: node {node} is selected and not listed, so that the others would not hear it: \
                 add it with its address, or remove all peers to have them found"
            ));
            continue;
        };
        let (source, listed) = (written_source(share), of_family(&listed.addresses, family));
        if let (Some(source), Some(listed)) = (source, listed)
            && source != listed
        {
            mistakes.push(format!(
                "spec.advertisement.peers: node {node} is listed with {listed} and has sourceAddress {source} in \
                 nodeOverrides: write the same address in both"
            ));
        }
    }
    Some((Reason::PeersMissing, joined(&mut mistakes)?))
}

pub(super) fn joined(sentences: &mut Vec<String>) -> Option<String> {
    let more = sentences.len().saturating_sub(NAMED_AT_ONCE);
    sentences.truncate(NAMED_AT_ONCE);
    if more > 0 {
        sentences.push(format!("and {more} more"));
    }
    (!sentences.is_empty()).then(|| sentences.join("; "))
}

fn addresses(group: &VirtualIPGroup) -> impl Iterator<Item = (usize, IpAddr)> + '_ {
    let written = group.spec.addresses.iter().enumerate();
    written.filter_map(|(index, address)| Some((index, address.address.parse::<IpNet>().ok()?.addr())))
}

fn name(group: &VirtualIPGroup) -> &str {
    group.metadata.name.as_deref().unwrap_or_default()
}
