//! From the texts of configuration files to what a node runs, or every mistake in them with its place.

use core::fmt;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use crate::render::{self, NodeFacts};
use crate::rules::{self, Severity};
use crate::shape::{self, MisfitKind};
use crate::v1alpha1::{API_VERSION, GROUP, NodeGroup, VirtualIPGroup, VirtualIPNodeSpec};
use crate::yaml::{self, Document, Position};
use crate::{crd, model};

const KIND: &str = "VirtualIPGroup";

/// What the files of a node mean.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Loaded {
    /// What the engine is to do.
    pub spec: model::NodeSpec,
    /// The same as the API writes it; secrets are named in it, not contained.
    pub rendered: VirtualIPNodeSpec,
    /// What runs and should be known.
    pub warnings: Vec<Problem>,
    /// The names of the groups that do not select this node.
    pub not_here: Vec<String>,
}

/// One mistake and its place.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// Where in it, if that is known.
    pub position: Option<Position>,
    /// The field's path; empty if the mistake is not about one.
    pub field: String,
    /// What is wrong and what to write instead.
    pub sentence: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(Position { line, column }) = self.position {
            write!(f, "{line}:{column}:")?;
        }
        if !self.field.is_empty() {
            write!(f, " {}:", self.field)?;
        }
        write!(f, " {}", self.sentence)
    }
}

/// Reads the files of a node, each given by its path and text: streams of `VirtualIPGroup` documents.
///
/// # Errors
///
/// Every mistake in every file, in the order of files and lines. One bad document refuses all: half of a configuration
/// is a configuration that nobody wrote.
pub fn load(
    files: &[(PathBuf, String)],
    facts: &NodeFacts,
    secrets: render::Secrets<'_>,
) -> Result<Loaded, Vec<Problem>> {
    let (mut groups, mut problems, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
    for (path, text) in files {
        match yaml::read(text) {
            Ok(documents) => {
                for document in documents {
                    let (group, found) = read_group(path, document);
                    groups.extend(group);
                    sort_out(found, &mut problems, &mut warnings);
                }
            }
            Err(error) => problems.push(Problem {
                file: path.clone(),
                position: error.position,
                field: String::new(),
                sentence: error.sentence,
            }),
        }
    }
    problems.extend(refuse_names_twice(&mut groups));
    let (here, not_here): (Vec<Written>, Vec<Written>) = groups
        .into_iter()
        .partition(|written| render::selects(&written.group, facts));
    let nodes: Vec<(Written, NodeGroup)> = here
        .into_iter()
        .filter_map(|written| render::node_group(&written.group, facts).map(|node| (written, node)))
        .collect();
    sort_out(check_nodes(&nodes), &mut problems, &mut warnings);

    let mut loaded = Loaded {
        warnings,
        ..Loaded::default()
    };
    for (written, node) in nodes.into_iter().filter(|(written, _)| written.is_sound) {
        match render::model_group(&node, secrets) {
            Ok(group) => drop(loaded.spec.groups.insert(group.name.clone(), group)),
            Err(error) => problems.push(written.problem(error.field, error.sentence)),
        }
        loaded.rendered.groups.push(node);
    }
    if !problems.is_empty() {
        problems.sort();
        return Err(problems);
    }
    loaded.rendered.groups.sort_by(|a, b| a.name.cmp(&b.name));
    loaded.warnings.sort();
    loaded.not_here = not_here.iter().map(|written| written.name().to_owned()).collect();
    loaded.not_here.sort();
    Ok(loaded)
}

/// A group that could be read, and where it is written.
struct Written {
    file: PathBuf,
    document: Document,
    group: VirtualIPGroup,
    /// Whether no rule refuses it.
    is_sound: bool,
}

impl Written {
    fn name(&self) -> &str {
        self.group.metadata.name.as_deref().unwrap_or_default()
    }

    fn problem(&self, field: &str, sentence: String) -> Problem {
        problem(&self.file, &self.document, field, sentence)
    }

    /// How a sentence about another group says which one is meant.
    fn reference(&self) -> String {
        let line = self.document.position("metadata.name").line;
        format!("`{}` ({}:{line})", self.name(), self.file.display())
    }
}

type Found = (Severity, Problem);

/// What one document says, as far as it can be read, and what is wrong with it.
fn read_group(file: &Path, mut document: Document) -> (Option<Written>, Vec<Found>) {
    if let Some((field, sentence)) = not_a_group(&document.value) {
        return (
            None,
            vec![(Severity::Refuse, problem(file, &document, field, sentence))],
        );
    }
    let mut value = core::mem::take(&mut document.value);
    let misfits = shape::check(&mut value, &FILE_SCHEMA);
    let readable = misfits.iter().all(|misfit| misfit.kind == MisfitKind::Bounds);
    let mut found: Vec<Found> = misfits
        .into_iter()
        .map(|misfit| {
            let mut problem = problem(file, &document, &misfit.path, misfit.sentence);
            if misfit.kind == MisfitKind::Unknown {
                problem.position = Some(document.key_position(&misfit.path));
            }
            (Severity::Refuse, problem)
        })
        .collect();
    if !readable {
        return (None, found);
    }
    let group: VirtualIPGroup = match serde_json::from_value(value) {
        Ok(group) => group,
        Err(error) => {
            found.push((Severity::Refuse, problem(file, &document, "", error.to_string())));
            return (None, found);
        }
    };
    for (rule, finding) in rules::check_group(&group, true) {
        found.push((
            rule.severity,
            problem(file, &document, &finding.path, rule.sentence(&finding)),
        ));
    }
    let is_sound = found.iter().all(|(severity, _)| *severity == Severity::Warn);
    (
        Some(Written {
            file: file.to_owned(),
            document,
            group,
            is_sound,
        }),
        found,
    )
}

/// Why a document is not a group at all: the field that says so, and a sentence.
fn not_a_group(value: &Value) -> Option<(&'static str, String)> {
    let Some(map) = value.as_object() else {
        return Some((
            "",
            format!("this is not a {KIND}: write `apiVersion: {API_VERSION}` and `kind: {KIND}`"),
        ));
    };
    let text = |field: &str| map.get(field).and_then(Value::as_str);
    match (text("kind"), text("apiVersion")) {
        (Some(KIND), Some(API_VERSION)) => None,
        (Some(KIND), Some(other)) if other.starts_with(GROUP) => Some((
            "apiVersion",
            format!(
                "this agent does not know `{other}`: write `{API_VERSION}`, or run an agent that knows it"
            ),
        )),
        (Some(KIND), Some(other)) => Some((
            "apiVersion",
            format!("`{other}` has no {KIND}: write `{API_VERSION}`"),
        )),
        (Some(KIND), None) => Some((
            "apiVersion",
            format!("this is missing: write `apiVersion: {API_VERSION}`"),
        )),
        (Some("VirtualIPNode"), _) => Some((
            "kind",
            format!("a VirtualIPNode is made from groups and not read from files: write a {KIND}"),
        )),
        (Some(other), _) => Some((
            "kind",
            format!(
                "a node on its own cannot do anything with a {other}: keep it out of here, or write `kind: {KIND}`"
            ),
        )),
        (None, _) => Some(("kind", format!("this is missing: write `kind: {KIND}`"))),
    }
}

/// Leaves the first group of each name, so that the others are not compared with their own first version.
fn refuse_names_twice(groups: &mut Vec<Written>) -> Vec<Problem> {
    let mut first: BTreeMap<String, String> = BTreeMap::new();
    let mut twice = Vec::new();
    groups.retain(|written| {
        let Some(earlier) = first.get(written.name()) else {
            first.insert(written.name().to_owned(), written.reference());
            return true;
        };
        let sentence = format!("a group of this name is also written as {earlier}: rename or remove one");
        twice.push(written.problem("metadata.name", sentence));
        false
    });
    twice
}

fn check_nodes(nodes: &[(Written, NodeGroup)]) -> Vec<Found> {
    let groups: Vec<&NodeGroup> = nodes.iter().map(|(_, node)| node).collect();
    let mut found = Vec::new();
    for (index, (written, _)) in nodes.iter().enumerate() {
        for (rule, mut finding, other) in rules::check_node(&groups, index, true) {
            if other.is_none() && !written.is_sound {
                // A rule about the group as written has already said what is behind this.
                continue;
            }
            if let Some((other, _)) = other.and_then(|other| nodes.get(other)) {
                finding.other = other.reference();
            }
            found.push((
                rule.severity,
                written.problem(&finding.path, rule.sentence(&finding)),
            ));
        }
    }
    found
}

fn sort_out(found: Vec<Found>, problems: &mut Vec<Problem>, warnings: &mut Vec<Problem>) {
    for (severity, problem) in found {
        match severity {
            Severity::Refuse => problems.push(problem),
            Severity::Warn => warnings.push(problem),
        }
    }
}

fn problem(file: &Path, document: &Document, field: &str, sentence: String) -> Problem {
    Problem {
        file: file.to_owned(),
        position: Some(document.position(field)),
        field: field.to_owned(),
        sentence,
    }
}

/// The schema of a document in a file: the custom resource's, with Kubernetes' own schema of `metadata`.
static FILE_SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let [group, _] = crd::crds();
    let mut schema = crd::schema(&group);
    let settings = SchemaSettings::openapi3().with(|settings| settings.inline_subschemas = true);
    let mut metadata = settings
        .into_generator()
        .into_root_schema_for::<ObjectMeta>()
        .to_value();
    metadata["required"] = json!(["name"]);
    schema["properties"]["apiVersion"] = json!({ "type": "string" });
    schema["properties"]["kind"] = json!({ "type": "string" });
    schema["properties"]["metadata"] = metadata;
    // What `kubectl get -o yaml` printed may be used as a file; nobody reads the status in it.
    schema["properties"]["status"] =
        json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    schema["required"] = json!(["metadata", "spec"]);
    schema
});

#[cfg(test)]
mod tests;
