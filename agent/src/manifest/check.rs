//! Whether the flags make a group that every one of its nodes would run: the rules of files, said about flags.

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use holdfast_api::files::{self, Problem};
use holdfast_api::render::{NodeFacts, SecretSource};

use super::group::{ControlPlane, NODE_LABEL, is_bare};

/// What is wrong with a flag, and what to write instead.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Complaint {
    /// The flag.
    pub flag: &'static str,
    /// What a rule says about it.
    pub sentence: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.flag, self.sentence)
    }
}

/// Which flag says what stands in a field; the first that the field's path begins with.
const FLAGS: [(&str, &str); 9] = [
    ("metadata.name", "--name"),
    ("spec.addresses", "--address"),
    ("spec.interface", "--interface"),
    ("spec.virtualRouterID", "--virtual-router-id"),
    ("spec.priority", "--priority"),
    ("spec.advertisement.interval", "--interval"),
    ("spec.advertisement", "--peers"),
    ("spec.preemption", "--preemption"),
    ("spec.probes", "--port"),
];

/// Checks `text`, the group of `plane`, as each of its nodes would.
///
/// # Errors
///
/// Everything that is wrong, each once. What is merely worth knowing is returned.
pub fn check(plane: &ControlPlane, text: &str) -> Result<Vec<Complaint>, Vec<Complaint>> {
    let mut refused: BTreeSet<Complaint> = subnet(plane).into_iter().collect();
    let mut warned = BTreeSet::new();
    let file = [(PathBuf::from("--output group"), text.to_owned())];
    // A group of nobody is checked all the same.
    let nobody = [String::new()];
    let names: Vec<&String> = plane.members.iter().map(|member| &member.name).collect();
    for name in if names.is_empty() {
        nobody.iter().collect()
    } else {
        names
    } {
        let facts = NodeFacts {
            name: name.clone(),
            labels: BTreeMap::from([(NODE_LABEL.to_owned(), String::new())]),
        };
        match files::load(&file, &facts, &no_secrets) {
            Ok(loaded) => warned.extend(loaded.warnings.iter().map(complaint)),
            Err(problems) => refused.extend(problems.iter().map(complaint)),
        }
    }
    if refused.is_empty() {
        Ok(warned.into_iter().collect())
    } else {
        Err(refused.into_iter().collect())
    }
}

/// An address without a prefix length says nothing about the interface it belongs to, which a file never leaves open.
fn subnet(plane: &ControlPlane) -> Option<Complaint> {
    let bare = plane.addresses.iter().find(|address| is_bare(address))?;
    plane.interface.is_none().then(|| Complaint {
        flag: "--interface",
        sentence: format!(
            "this is missing, and `{bare}` does not say which subnet it belongs to: name the interface, or write the address \
             with the subnet's prefix length, like 10.0.0.100/24"
        ),
    })
}

fn complaint(problem: &Problem) -> Complaint {
    let flag = FLAGS.iter().find(|(field, _)| problem.field.starts_with(field));
    Complaint {
        flag: flag.map_or("--output group", |(_, flag)| flag),
        sentence: problem.sentence.clone(),
    }
}

/// No flag makes a group that needs one.
fn no_secrets(source: &SecretSource) -> Result<Vec<u8>, String> {
    Err(format!("{source:?} is not known here"))
}
