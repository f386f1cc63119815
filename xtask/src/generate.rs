//! The generated parts of the repository, and the check that nobody has edited or forgotten them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;
use crate::{book, chart, deps, figures, process};

/// A part of a Markdown file that is written by a program, between two comments that name it.
struct Section {
    /// The file, from the top folder.
    file: &'static str,
    /// The name in the comments.
    name: &'static str,
    /// What stands between them.
    content: fn(&Workspace) -> Result<String>,
}

const SECTIONS: &[Section] = &[
    Section {
        file: "CONTRIBUTING.md",
        name: "programs",
        content: |_| Ok(deps::markdown()),
    },
    Section {
        file: "charts/holdfast/README.md",
        name: "values",
        content: chart::values_table,
    },
    Section {
        file: "README.md",
        name: "failovers",
        content: figures::failovers,
    },
    Section {
        file: "docs/README.md",
        name: "contents",
        content: book::contents,
    },
];

/// Files that show manifests, each between comments that name it: `<!-- generated: examples/two-nodes.yaml -->`. The examples
/// are tested, so that what a reader copies is.
const SHOWING_EXAMPLES: &[&str] = &[
    "README.md",
    "docs/quick-start.md",
    "docs/kubeadm.md",
    "docs/probes.md",
];

/// Writes every generated part; with `check`, only compares, and fails if something differs.
pub fn run(workspace: &Workspace, check: bool) -> Result<()> {
    // The chart holds copies of what the API's crate writes.
    written_by_crates(workspace, check)
        .and(chart::run(workspace, check))
        .and(sections(workspace, check))
        .and(shown_examples(workspace, check))
}

/// What other crates write of themselves, so that this tool builds without them: the API's the CustomResourceDefinitions and their
/// reference, holdfast-reference that of command lines and metrics. Tests of theirs compare it, because tests build them anyway and
/// this check would build them once more.
fn written_by_crates(workspace: &Workspace, check: bool) -> Result<()> {
    if check {
        println!("  crds and docs/reference are compared by tests of holdfast-api and holdfast-reference");
        return Ok(());
    }
    let run = ["run", "--quiet", "--locked", "-p"];
    let mut api = workspace.cargo(&run);
    process::run(api.args(["holdfast-api", "--example", "generate"]))?;
    process::run(workspace.cargo(&run).arg("holdfast-reference"))
}

fn sections(workspace: &Workspace, check: bool) -> Result<()> {
    let mut stale = Vec::new();
    for section in SECTIONS {
        let content = (section.content)(workspace)?;
        stale.extend(write(
            workspace,
            section.file,
            &[(section.name.to_owned(), content)],
            check,
        )?);
    }
    refuse_stale(&stale)
}

fn shown_examples(workspace: &Workspace, check: bool) -> Result<()> {
    let mut stale = Vec::new();
    for file in SHOWING_EXAMPLES {
        let text = read(workspace, file)?;
        let examples = names(&text).filter(|name| name.starts_with("examples/"));
        let blocks = examples.map(|name| {
            // What is not YAML is a program's own format.
            let is_yaml = Path::new(name)
                .extension()
                .is_some_and(|extension| extension == "yaml");
            let language = if is_yaml { "yaml" } else { "text" };
            Ok((
                name.to_owned(),
                format!("```{language}\n{}```\n", read(workspace, name)?),
            ))
        });
        stale.extend(write(
            workspace,
            file,
            &blocks.collect::<Result<Vec<_>>>()?,
            check,
        )?);
    }
    refuse_stale(&stale)
}

fn read(workspace: &Workspace, file: &str) -> Result<String> {
    fs::read_to_string(workspace.root().join(file)).with_context(|| format!("cannot read {file}"))
}

/// Writes the parts of a file anew where they differ; with `check`, answers the file instead if any does.
fn write(
    workspace: &Workspace,
    file: &'static str,
    parts: &[(String, String)],
    check: bool,
) -> Result<Option<&'static str>> {
    let old = read(workspace, file)?;
    let mut new = old.clone();
    for (name, content) in parts {
        new = replace(&new, name, content)
            .with_context(|| format!("{file} has no generated part called {name}"))?;
    }
    let names: Vec<&str> = parts.iter().map(|(name, _)| &**name).collect();
    let names = names.join(", ");
    if old == new {
        println!("  {file} ({names}) is up to date");
    } else if check {
        return Ok(Some(file));
    } else {
        fs::write(workspace.root().join(file), new).with_context(|| format!("cannot write {file}"))?;
        println!("  {file} ({names}) is written anew");
    }
    Ok(None)
}

fn refuse_stale(stale: &[&str]) -> Result<()> {
    if stale.is_empty() {
        return Ok(());
    }
    bail!(
        "{} is not what `make generate` writes; run it and commit the result",
        stale.join(", ")
    );
}

/// The names of the generated parts of `text`.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let begins = text
        .lines()
        .filter_map(|line| line.strip_prefix("<!-- generated: "));
    begins.filter_map(|line| line.strip_suffix(" -->"))
}

/// `text` with `content` between the comments of the part called `name`; `None` if it has no such part.
fn replace(text: &str, name: &str, content: &str) -> Option<String> {
    let begin = format!("<!-- generated: {name} -->\n");
    let (before, rest) = text.split_once(&begin)?;
    let (_, after) = rest.split_once("<!-- /generated -->")?;
    Some(format!("{before}{begin}{content}<!-- /generated -->{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a\n<!-- generated: x -->\nold\n<!-- /generated -->\nb\n";

    #[test]
    fn only_the_named_part_is_replaced() {
        let new = "a\n<!-- generated: x -->\nnew\n<!-- /generated -->\nb\n";
        assert_eq!(replace(TEXT, "x", "new\n").as_deref(), Some(new));
    }

    #[test]
    fn what_is_up_to_date_stays_as_it_is() {
        assert_eq!(replace(TEXT, "x", "old\n").as_deref(), Some(TEXT));
    }

    #[test]
    fn generated_parts_are_found_by_their_first_comment() {
        assert_eq!(names(TEXT).collect::<Vec<_>>(), ["x"]);
    }

    #[test]
    fn a_part_that_is_not_there_is_not_invented() {
        assert_eq!(replace(TEXT, "y", "new\n"), None);
    }
}
