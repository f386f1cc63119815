//! Checks that relative links between the repository's Markdown files lead somewhere: to a file, and to a heading in it.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::markdown::{Document, Link};
use crate::workspace::Workspace;

/// Fails if a link is broken, and names each that is.
pub fn run(workspace: &Workspace) -> Result<()> {
    let root = workspace.root();
    let mut documents = HashMap::new();
    for path in markdown_files(root)? {
        let text = fs::read_to_string(root.join(&path))
            .with_context(|| format!("cannot read {}", path.display()))?;
        documents.insert(path, Document::parse(&text));
    }
    let broken = broken_links(&documents, |path| root.join(path).exists());
    for problem in &broken {
        println!("  {problem}");
    }
    if !broken.is_empty() {
        bail!("{} broken links in Markdown files", broken.len());
    }
    let links: usize = documents.values().map(|document| document.links.len()).sum();
    println!("  {links} links in {} files lead somewhere", documents.len());
    Ok(())
}

/// One link that leads nowhere.
struct Broken<'d> {
    file: &'d Path,
    link: &'d Link,
    why: String,
}

impl fmt::Display for Broken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: ({}) {}",
            self.file.display(),
            self.link.line,
            self.link.target,
            self.why
        )
    }
}

fn broken_links(documents: &HashMap<PathBuf, Document>, exists: impl Fn(&Path) -> bool) -> Vec<Broken<'_>> {
    let mut broken = Vec::new();
    for (file, document) in documents {
        for link in &document.links {
            if let Err(why) = check(documents, file, &link.target, &exists) {
                broken.push(Broken { file, link, why });
            }
        }
    }
    broken.sort_by_key(|problem| (problem.file, problem.link.line));
    broken
}

fn check(
    documents: &HashMap<PathBuf, Document>,
    from: &Path,
    target: &str,
    exists: impl Fn(&Path) -> bool,
) -> Result<(), String> {
    if is_external(target) {
        return Ok(());
    }
    let (path, anchor) = target
        .split_once('#')
        .map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let file = if path.is_empty() {
        from.to_owned()
    } else {
        resolve(from, path).ok_or("leads out of the repository; write it relative to this file")?
    };
    if !exists(&file) {
        return Err(format!("there is no {}", file.display()));
    }
    match (anchor, documents.get(&file)) {
        (Some(anchor), Some(document)) if !document.anchors.contains(anchor) => {
            Err(format!("there is no heading #{anchor} in {}", file.display()))
        }
        _ => Ok(()),
    }
}

/// Whether `target` has a scheme (`https:`, `mailto:`) and thus lies outside what can be checked here.
pub fn is_external(target: &str) -> bool {
    target.split_once(':').is_some_and(|(scheme, _)| {
        scheme.len() > 1
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    })
}

/// The path from the repository's top folder; `None` if it lies outside.
pub fn resolve(from: &Path, path: &str) -> Option<PathBuf> {
    let mut resolved = from.parent()?.to_owned();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => resolved.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !resolved.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(resolved)
}

/// Every Markdown file below `root`, relative to it, but for build folders and hidden ones.
pub fn markdown_files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let entries =
            fs::read_dir(root.join(&folder)).with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
            let name = entry.file_name();
            let path = folder.join(&name);
            if entry
                .file_type()
                .with_context(|| format!("cannot look at {}", path.display()))?
                .is_dir()
            {
                if name != "target" && !name.as_encoded_bytes().starts_with(b".") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "md") {
                files.push(path);
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(files: &[(&str, &str)]) -> Vec<String> {
        let documents: HashMap<_, _> = files
            .iter()
            .map(|(path, text)| (PathBuf::from(path), Document::parse(text)))
            .collect();
        let problems = broken_links(&documents, |path| documents.contains_key(path));
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_link_to_a_file_that_exists_is_fine() {
        assert!(
            problems(&[
                ("README.md", "[a](docs/a.md)"),
                ("docs/a.md", "[up](../README.md)")
            ])
            .is_empty()
        );
    }

    #[test]
    fn a_link_to_a_missing_file_is_named_with_its_line() {
        let problems = problems(&[("docs/a.md", "first\n[b](b.md)")]);
        assert_eq!(problems, ["docs/a.md:2: (b.md) there is no docs/b.md"]);
    }

    #[test]
    fn a_link_to_a_missing_heading_is_named() {
        let files = [
            ("a.md", "[x](b.md#what-it-is) [y](b.md#what-it-was) [z](#own)"),
            ("b.md", "# What it *is*?"),
        ];
        assert_eq!(
            problems(&files),
            [
                "a.md:1: (b.md#what-it-was) there is no heading #what-it-was in b.md",
                "a.md:1: (#own) there is no heading #own in a.md"
            ]
        );
    }

    #[test]
    fn a_link_out_of_the_repository_is_refused() {
        for target in ["../b.md", "/b.md"] {
            let problems = problems(&[("a.md", &format!("[x]({target})")), ("b.md", "")]);
            assert!(
                problems.len() == 1 && problems[0].contains("leads out"),
                "{target}: {problems:?}"
            );
        }
    }

    #[test]
    fn external_links_are_not_followed() {
        assert!(
            problems(&[(
                "a.md",
                "[x](https://example.org/a#b) <mailto:a@example.org> [y](mailto:a@b)"
            )])
            .is_empty()
        );
    }
}
