//! The generated parts of the repository, and the check that nobody has edited or forgotten them.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;
use crate::{chart, deps, process};

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
    // The examples are tested; what the README shows is one of them.
    Section {
        file: "README.md",
        name: "two-nodes",
        content: |workspace| example(workspace, "two-nodes.yaml"),
    },
    Section {
        file: "charts/holdfast/README.md",
        name: "values",
        content: chart::values_table,
    },
];

/// Writes every generated part; with `check`, only compares, and fails if something differs.
pub fn run(workspace: &Workspace, check: bool) -> Result<()> {
    // The chart holds copies of what the API's crate writes.
    api_files(workspace, check)
        .and(chart::run(workspace, check))
        .and(sections(workspace, check))
}

/// The CustomResourceDefinitions and docs/reference. The API's crate writes them, so that this tool builds without it.
fn api_files(workspace: &Workspace, check: bool) -> Result<()> {
    let mut api = workspace.cargo(&["run", "--quiet", "--locked", "-p", "holdfast-api"]);
    api.args(["--example", "generate", "--"]);
    process::run(api.args(check.then_some("--check")))
}

fn sections(workspace: &Workspace, check: bool) -> Result<()> {
    let mut stale = Vec::new();
    for section in SECTIONS {
        let path = workspace.root().join(section.file);
        let old = fs::read_to_string(&path).with_context(|| format!("cannot read {}", section.file))?;
        let new = replace(&old, section.name, &(section.content)(workspace)?)
            .with_context(|| format!("{} has no generated part called {}", section.file, section.name))?;
        if old == new {
            println!("  {} ({}) is up to date", section.file, section.name);
        } else if check {
            stale.push(section.file);
        } else {
            fs::write(&path, new).with_context(|| format!("cannot write {}", section.file))?;
            println!("  {} ({}) is written anew", section.file, section.name);
        }
    }
    if !stale.is_empty() {
        bail!(
            "{} is not what `make generate` writes; run it and commit the result",
            stale.join(", ")
        );
    }
    Ok(())
}

/// A manifest of examples/ as a block of code.
fn example(workspace: &Workspace, name: &str) -> Result<String> {
    let path = workspace.root().join("examples").join(name);
    let manifest = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(format!("```yaml\n{manifest}```\n"))
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
    fn a_part_that_is_not_there_is_not_invented() {
        assert_eq!(replace(TEXT, "y", "new\n"), None);
    }
}
