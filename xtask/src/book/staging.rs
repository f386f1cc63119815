//! What becomes of a page on its way into the book, whose top folder is docs/: pages from elsewhere move below it, and links to
//! files that are no pages become the names of these files.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::DOCS;
use crate::links;
use crate::markdown::{self, Rewrite};

/// Where pages from outside docs/ are in the book.
const OUTSIDE: &str = "docs/repository";

/// All pages of the book.
pub struct Site<'p> {
    pages: &'p [PathBuf],
}

/// A page as mdBook is to read it.
pub struct Staged {
    /// In Markdown.
    pub text: String,
    /// The pictures that it shows, from the repository's top folder.
    pub pictures: BTreeSet<PathBuf>,
}

impl<'p> Site<'p> {
    /// A book of these pages, named from the repository's top folder.
    pub const fn new(pages: &'p [PathBuf]) -> Self {
        Self { pages }
    }

    /// Where a file is in what mdBook reads. A README elsewhere gets its folder's name, because mdBook has a meaning of its own
    /// for that name.
    pub fn path(&self, file: &Path) -> PathBuf {
        if file.starts_with(DOCS) || !self.is_page(file) {
            return file.to_owned();
        }
        let file = match file.parent() {
            Some(folder) if file.ends_with("README.md") => folder.with_extension("md"),
            _ => file.to_owned(),
        };
        Path::new(OUTSIDE).join(file)
    }

    /// The page `file`, of which `text` is in the repository.
    pub fn stage(&self, file: &Path, text: &str) -> Staged {
        let mut pictures = BTreeSet::new();
        let text = markdown::rewrite_links(text, |link| {
            if links::is_external(link.target) || link.target.starts_with('#') {
                return Rewrite::Keep;
            }
            let (path, anchor) = match link.target.split_once('#') {
                Some((path, anchor)) => (path, format!("#{anchor}")),
                None => (link.target, String::new()),
            };
            let Some(leads_to) = links::resolve(file, path) else {
                return Rewrite::Keep;
            };
            if link.is_picture {
                let target = self.between(file, &leads_to);
                pictures.insert(leads_to);
                Rewrite::Target(target)
            } else if self.is_page(&leads_to) {
                Rewrite::Target(self.between(file, &leads_to) + &anchor)
            } else {
                Rewrite::Name(leads_to.display().to_string())
            }
        });
        Staged { text, pictures }
    }

    fn is_page(&self, file: &Path) -> bool {
        self.pages.iter().any(|page| page == file)
    }

    /// How a page says where another file is.
    fn between(&self, from: &Path, to: &Path) -> String {
        let (from, to) = (self.path(from), self.path(to));
        let folder = from.parent().unwrap_or(Path::new(""));
        let common = folder
            .components()
            .zip(to.components())
            .take_while(|(here, there)| here == there)
            .count();
        let up = folder.components().skip(common).map(|_| Component::ParentDir);
        let path: PathBuf = up.chain(to.components().skip(common)).collect();
        path.display().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn staged(file: &str, text: &str) -> (String, Vec<String>) {
        let pages = ["docs/a.md", "docs/deep/b.md", "MAP.md", "charts/x/README.md"].map(PathBuf::from);
        let staged = Site::new(&pages).stage(Path::new(file), text);
        let pictures = staged.pictures.iter().map(|path| path.display().to_string());
        (staged.text, pictures.collect())
    }

    #[test]
    fn links_between_pages_of_docs_stay_as_they_are() {
        let text = "[b](deep/b.md#here) [out](https://example.org) [here](#b)";
        assert_eq!(staged("docs/a.md", text).0, text);
        assert_eq!(staged("docs/deep/b.md", "[a](../a.md)").0, "[a](../a.md)");
    }

    #[test]
    fn pages_from_elsewhere_are_found_below_docs_and_find_back() {
        assert_eq!(
            staged("docs/a.md", "[map](../MAP.md#top)").0,
            "[map](repository/MAP.md#top)"
        );
        assert_eq!(staged("MAP.md", "[a](docs/a.md)").0, "[a](../a.md)");
    }

    #[test]
    fn a_readme_elsewhere_has_its_folders_name() {
        let (text, _) = staged("docs/deep/b.md", "[values](../../charts/x/README.md#values)");
        assert_eq!(text, "[values](../repository/charts/x.md#values)");
        let (text, _) = staged("charts/x/README.md", "[a](../../docs/a.md)");
        assert_eq!(text, "[a](../../a.md)");
    }

    #[test]
    fn what_is_no_page_is_named_instead() {
        let (text, _) = staged("docs/a.md", "see [the chart](../charts/x/values.yaml)");
        assert_eq!(text, "see the chart (`charts/x/values.yaml`)");
    }

    #[test]
    fn pictures_are_taken_along() {
        let (text, pictures) = staged("docs/deep/b.md", "![flow](../pictures/flow.svg)");
        assert_eq!(text, "![flow](../pictures/flow.svg)");
        assert_eq!(pictures, ["docs/pictures/flow.svg"]);
    }
}
