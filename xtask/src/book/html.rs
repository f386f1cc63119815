//! Checks the built book: whatever its pages link to or show is in it, down to the heading.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::links;

/// What matters about one page: where its links lead, and which parts of it others may name.
#[derive(Default)]
struct Page {
    targets: BTreeSet<String>,
    ids: BTreeSet<String>,
}

impl Page {
    fn parse(html: &str) -> Self {
        let values = |attributes: &[&str]| {
            let found = attributes
                .iter()
                .flat_map(|attribute| html.split(attribute).skip(1));
            found
                .filter_map(|rest| rest.split_once('"'))
                .map(|(value, _)| value.replace("&amp;", "&"))
                .collect()
        };
        Self {
            targets: values(&[" href=\"", " src=\""]),
            ids: values(&[" id=\"", " name=\""]),
        }
    }
}

/// Fails if a page of `book` links to what is not there, and names each such link.
pub fn check(book: &Path) -> Result<()> {
    let mut files = BTreeSet::new();
    list(book, Path::new(""), &mut files)?;
    let mut pages = BTreeMap::new();
    // The page of errors is for servers, and its links begin at their top.
    let is_page = |file: &&PathBuf| {
        file.extension().is_some_and(|extension| extension == "html") && !file.ends_with("404.html")
    };
    for file in files.iter().filter(is_page) {
        let html =
            fs::read_to_string(book.join(file)).with_context(|| format!("cannot read {}", file.display()))?;
        pages.insert(file.clone(), Page::parse(&html));
    }
    let broken = broken(&pages, &files);
    for problem in &broken {
        println!("  {problem}");
    }
    if !broken.is_empty() {
        bail!("{} broken links in the book", broken.len());
    }
    println!("  {} pages of the book link to what is there", pages.len());
    Ok(())
}

fn broken(pages: &BTreeMap<PathBuf, Page>, files: &BTreeSet<PathBuf>) -> Vec<String> {
    let mut broken = Vec::new();
    for (file, page) in pages {
        for target in page
            .targets
            .iter()
            .filter(|target| !links::is_external(target) && !target.starts_with("//"))
        {
            if let Err(why) = follow(pages, files, file, target) {
                broken.push(format!("{}: ({target}) {why}", file.display()));
            }
        }
    }
    broken
}

fn follow(
    pages: &BTreeMap<PathBuf, Page>,
    files: &BTreeSet<PathBuf>,
    from: &Path,
    target: &str,
) -> Result<(), String> {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let file = if path.is_empty() {
        from.to_owned()
    } else {
        links::resolve(from, path).ok_or("leads out of the book")?
    };
    if !files.contains(&file) {
        return Err(format!("there is no {}", file.display()));
    }
    match pages.get(&file) {
        Some(page) if !anchor.is_empty() && !page.ids.contains(anchor) => {
            Err(format!("there is no #{anchor} in {}", file.display()))
        }
        _ => Ok(()),
    }
}

fn list(top: &Path, folder: &Path, files: &mut BTreeSet<PathBuf>) -> Result<()> {
    let unreadable = || format!("cannot list {}", top.join(folder).display());
    for entry in fs::read_dir(top.join(folder)).with_context(unreadable)? {
        let entry = entry.with_context(unreadable)?;
        let path = folder.join(entry.file_name());
        if entry.file_type().with_context(unreadable)?.is_dir() {
            list(top, &path, files)?;
        } else {
            files.insert(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(files: &[(&str, &str)]) -> Vec<String> {
        let pages = files
            .iter()
            .map(|(path, html)| (PathBuf::from(path), Page::parse(html)))
            .collect();
        let files = files.iter().map(|(path, _)| PathBuf::from(path)).collect();
        broken(&pages, &files)
    }

    #[test]
    fn links_to_pages_headings_pictures_and_other_sites_are_fine() {
        let a = "<h1 id=\"top\"> <a href=\"deep/b.html#part\"> <img src=\"p.svg\"> <a href=\"#top\"> \
                 <a href=\"https://example.org/\">";
        let files = [("a.html", a), ("deep/b.html", "<h2 id=\"part\">"), ("p.svg", "")];
        assert_eq!(problems(&files), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_there_is_named() {
        let files = [
            ("a.html", "<a href=\"c.html\"> <a href=\"b.html#gone\">"),
            ("b.html", "<img src=\"../p.svg\">"),
        ];
        assert_eq!(
            problems(&files),
            [
                "a.html: (b.html#gone) there is no #gone in b.html",
                "a.html: (c.html) there is no c.html",
                "b.html: (../p.svg) leads out of the book"
            ]
        );
    }

    #[test]
    fn code_that_shows_a_link_is_none() {
        assert!(problems(&[("a.html", "<code>&lt;a href=&quot;b.html&quot;&gt;</code>")]).is_empty());
    }
}
