//! `holdfast-agent check`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

use holdfast_api::model::{Mode, NodeGroup};
use holdfast_api::presets;
use holdfast_api::render::NodeFacts;
use holdfast_api::v1alpha1::Probe;

use super::{CheckArgs, complain, say};
use crate::report::words;
use crate::source::{Files, Offer, Refusal};

/// The name under which a configuration is checked if none is given; no node is called so.
const NO_NODE: &str = "";

/// What is shown of a configuration that is right.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum Output {
    /// One line a group.
    #[default]
    Summary,
    /// The probes that the node would run as YAML, with presets as the ordinary probes that they are.
    Probes,
}

/// Prints every problem, or what a node would run. Code 0 without a problem, 1 with any.
pub fn check(args: &CheckArgs) -> ExitCode {
    let node = args.node.as_deref().unwrap_or(NO_NODE);
    let facts = NodeFacts {
        name: node.to_owned(),
        labels: args.labels.to_map(),
    };
    match Files::new(&args.config, facts).load() {
        Ok(offer) => {
            let shown = match args.output {
                Output::Summary => Ok(accepted(&offer, args.node.as_deref())),
                Output::Probes => probes(&offer),
            };
            match shown {
                Ok(shown) => {
                    say(&shown);
                    ExitCode::SUCCESS
                }
                Err(error) => {
                    complain(&format!("holdfast-agent: writing the probes as YAML: {error}\n"));
                    ExitCode::FAILURE
                }
            }
        }
        Err(refusal) => {
            complain(&refused(&refusal));
            ExitCode::FAILURE
        }
    }
}

fn refused(refusal: &Refusal) -> String {
    let mut lines = refusal.problems.clone();
    lines.push(words::count(refusal.problems.len(), "problem"));
    text(&lines)
}

fn accepted(offer: &Offer, node: Option<&str>) -> String {
    let mut lines: Vec<String> = offer
        .warnings
        .iter()
        .map(|warning| format!("warning: {warning}"))
        .collect();
    let here = offer.spec.groups.len();
    let all = words::count(here + offer.not_here.len(), "group");
    let Some(node) = node else {
        lines.push(format!("valid: {all} (--node NAME shows what a node would run)"));
        return text(&lines);
    };
    lines.push(format!("valid: {all}, of which node {node} runs {here}"));
    lines.extend(
        offer
            .spec
            .groups
            .values()
            .map(|group| format!("  {}", line(group))),
    );
    if !offer.not_here.is_empty() {
        lines.push(format!(
            "  not on this node, by their nodeSelector: {}",
            offer.not_here.join(", ")
        ));
    }
    text(&lines)
}

/// The probes of each group as YAML, presets as the ordinary probes that they are.
fn probes(offer: &Offer) -> Result<String, String> {
    let mut text = String::new();
    for group in offer.rendered.iter().filter(|group| !group.probes.is_empty()) {
        let probes: Vec<Probe> = group.probes.iter().flat_map(presets::expand).collect();
        let probes = BTreeMap::from([("probes", probes)]);
        let yaml = holdfast_api::yaml::write(&probes)?;
        // Writing to a String does not fail.
        let _ = writeln!(text, "# {}\n{yaml}", group.name);
    }
    Ok(text)
}

fn text(lines: &[String]) -> String {
    lines.join("\n") + "\n"
}

/// What the node would do for one group.
fn line(group: &NodeGroup) -> String {
    let addresses: Vec<String> = group
        .addresses
        .iter()
        .map(|one| format!("{}/{}", one.address, one.prefix_length))
        .collect();
    let interface = group
        .interface
        .as_deref()
        .unwrap_or("the interface of its subnet");
    let to = match &group.advertisement.mode {
        Mode::Multicast(address) => format!("multicast {address}"),
        Mode::Unicast(peers) => {
            let names: Vec<&str> = peers.iter().map(|peer| peer.name.as_str()).collect();
            format!("unicast to {}", names.join(", "))
        }
    };
    format!(
        "{}: VRID {}, priority {}, {}/{} every {} by {to}, on {interface}: {}",
        group.name,
        group.virtual_router_id,
        group.priority,
        group.advertisement.version,
        group.family,
        words::interval(group.advertisement.interval.get()),
        addresses.join(" ")
    )
}
