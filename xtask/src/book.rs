//! The book: docs/ with the pages of docs/SUMMARY.md, built by mdBook into target/book, in which every link leads somewhere.

mod html;
mod staging;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::cargo_tool::CargoTool;
use crate::links;
use crate::markdown::Document;
use crate::workspace::Workspace;
use crate::{process, system};

/// Its licence (MPL-2.0) is no concern of Holdfast's: it is a tool, and nothing of it is linked.
const MDBOOK: CargoTool = CargoTool {
    name: "mdbook",
    version: "0.5.4",
    // What watches files and serves pages is left out, which halves the time of its build.
    features: Some(&["search"]),
};

/// The folder of the pages.
const DOCS: &str = "docs";
/// The table of contents, which is also what mdBook reads.
const SUMMARY: &str = "docs/SUMMARY.md";
/// What a forge shows of the folder; it repeats the table of contents, which the book has on every page.
const INDEX: &str = "docs/README.md";
/// What mdBook is given beside the pages.
const SETTINGS: &[&str] = &["book.toml", "docs/book.css"];

/// Builds the book. Fails if a page is missing in the table of contents, or a link of the built pages leads nowhere.
pub fn run(workspace: &Workspace) -> Result<()> {
    let program = MDBOOK.ensure(workspace)?;
    let root = workspace.root();
    let pages = listed(&read(root, SUMMARY)?)?;
    let forgotten = forgotten(&pages, links::markdown_files(root)?);
    if !forgotten.is_empty() {
        bail!(
            "{SUMMARY} does not name {}: add a line for each",
            forgotten.join(", ")
        );
    }

    let source = workspace.build_folder().join("book-source");
    let book = workspace.build_folder().join("book");
    stage(root, &source, &pages)?;
    process::run(
        system::command(&program)
            .env("MDBOOK_LOG", "warn")
            .arg("build")
            .arg("--dest-dir")
            .args([&book, &source]),
    )?;
    html::check(&book)?;
    println!("  the book is at {}", book.join("index.html").display());
    Ok(())
}

/// The table of contents for a forge, which shows README.md where somebody looks at the folder.
pub fn contents(workspace: &Workspace) -> Result<String> {
    Ok(as_index(&read(workspace.root(), SUMMARY)?))
}

/// The table of contents with its parts as headings below the page's own, and every page an entry of a list.
fn as_index(summary: &str) -> String {
    let lines = summary.lines().skip_while(|line| !line.starts_with('['));
    let mut index = String::new();
    for line in lines {
        if let Some(part) = line.strip_prefix("# ") {
            index.push_str("## ");
            index.push_str(part);
        } else {
            if line.starts_with('[') {
                index.push_str("- ");
            }
            index.push_str(line);
        }
        index.push('\n');
    }
    index
}

/// The pages that the table of contents names, from the top folder, in order.
fn listed(summary: &str) -> Result<Vec<PathBuf>> {
    let mut pages = Vec::new();
    for link in Document::parse(summary).links {
        let page = links::resolve(Path::new(SUMMARY), &link.target)
            .with_context(|| format!("{SUMMARY}:{}: {} is no page", link.line, link.target))?;
        if pages.contains(&page) {
            bail!("{SUMMARY}:{}: {} is there twice", link.line, link.target);
        }
        pages.push(page);
    }
    Ok(pages)
}

/// The pages in docs/ that the table of contents does not name.
fn forgotten(listed: &[PathBuf], files: impl IntoIterator<Item = PathBuf>) -> Vec<String> {
    let no_pages = [Path::new(SUMMARY), Path::new(INDEX)];
    let forgotten: BTreeSet<String> = files
        .into_iter()
        .filter(|file| {
            file.starts_with(DOCS) && !no_pages.contains(&file.as_path()) && !listed.contains(file)
        })
        .map(|file| file.display().to_string())
        .collect();
    forgotten.into_iter().collect()
}

/// Writes what mdBook reads: the pages as [`staging`] turns them, and the files that these show.
fn stage(root: &Path, source: &Path, pages: &[PathBuf]) -> Result<()> {
    if source.exists() {
        fs::remove_dir_all(source).with_context(|| format!("cannot delete {}", source.display()))?;
    }
    let site = staging::Site::new(pages);
    let mut shown = BTreeSet::new();
    for page in pages.iter().map(PathBuf::as_path).chain([Path::new(SUMMARY)]) {
        let staged = site.stage(page, &read(root, page)?);
        write(&source.join(site.path(page)), staged.text.as_bytes())?;
        shown.extend(staged.pictures);
    }
    let settings = SETTINGS.iter().map(PathBuf::from);
    for file in settings.chain(shown) {
        let bytes = fs::read(root.join(&file)).with_context(|| format!("cannot read {}", file.display()))?;
        write(&source.join(site.path(&file)), &bytes)?;
    }
    Ok(())
}

fn read(root: &Path, file: impl AsRef<Path>) -> Result<String> {
    let file = file.as_ref();
    fs::read_to_string(root.join(file)).with_context(|| format!("cannot read {}", file.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let written = path.parent().map_or(Ok(()), fs::create_dir_all);
    written
        .and_then(|()| fs::write(path, bytes))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENTS: &str =
        "# Book\n\n[First](first.md)\n\n# Part\n\n- [A](a.md)\n  - [B](deep/b.md)\n- [C](../C.md)\n";

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn the_table_of_contents_names_pages_in_docs_and_beside_it() {
        let pages = listed(CONTENTS).unwrap();
        assert_eq!(
            pages,
            paths(&["docs/first.md", "docs/a.md", "docs/deep/b.md", "C.md"])
        );
    }

    #[test]
    fn a_page_that_is_named_twice_is_refused() {
        let error = listed("[A](a.md)\n[B](deep/../a.md)\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "docs/SUMMARY.md:2: deep/../a.md is there twice"
        );
    }

    #[test]
    fn a_page_that_nobody_finds_is_named_and_others_than_docs_are_free() {
        let files = [
            "docs/SUMMARY.md",
            "docs/README.md",
            "docs/a.md",
            "docs/deep/lost.md",
            "vrrp/README.md",
        ];
        assert_eq!(
            forgotten(&paths(&["docs/a.md"]), paths(&files)),
            ["docs/deep/lost.md"]
        );
    }

    #[test]
    fn a_forge_shows_the_same_contents() {
        let index = "- [First](first.md)\n\n## Part\n\n- [A](a.md)\n  - [B](deep/b.md)\n- [C](../C.md)\n";
        assert_eq!(as_index(CONTENTS), index);
    }
}
