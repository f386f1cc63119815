//! The way to a file, entry by entry from the root folder down, with every link that is followed on it.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Component, Path, PathBuf};

/// As many links as the kernel follows in one path.
const MOST_LINKS: usize = 40;

/// One entry on the way: a folder, a link, or what the way leads to. The entry's path has no link in it but perhaps itself.
pub type Entry = (PathBuf, io::Result<Metadata>);

/// Goes along `path`, which begins at the root folder whether it says so or not. Ends with the first entry that is not there.
pub fn walk(path: &Path) -> impl Iterator<Item = Entry> {
    let mut way = Way {
        at: PathBuf::new(),
        rest: parts(&Path::new("/").join(path)),
        links: 0,
    };
    std::iter::from_fn(move || way.next())
}

struct Way {
    at: PathBuf,
    rest: VecDeque<OsString>,
    links: usize,
}

impl Way {
    fn next(&mut self) -> Option<Entry> {
        loop {
            let part = self.rest.pop_front()?;
            if part == ".." {
                // Every link that led here was followed, so that this is the folder above.
                self.at.pop();
                continue;
            }
            let entry = self.at.join(&part);
            let found = fs::symlink_metadata(&entry).and_then(|found| {
                if found.is_symlink() {
                    self.follow(&entry)?;
                } else {
                    self.at.clone_from(&entry);
                }
                Ok(found)
            });
            if found.is_err() {
                self.rest.clear();
            }
            return Some((entry, found));
        }
    }

    fn follow(&mut self, link: &Path) -> io::Result<()> {
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err(io::Error::from_raw_os_error(libc::ELOOP));
        }
        for part in parts(&fs::read_link(link)?).into_iter().rev() {
            self.rest.push_front(part);
        }
        Ok(())
    }
}

/// The parts of a path that lead somewhere; the root folder is one of them.
fn parts(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter(|part| *part != Component::CurDir)
        .map(|part| part.as_os_str().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_entry_on_the_way_is_met_in_its_order_links_before_what_they_lead_to() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        fs::create_dir(base.join("real")).unwrap();
        fs::write(base.join("real/file"), "").unwrap();
        symlink("real", base.join("relative")).unwrap();
        symlink(base.join("relative"), base.join("absolute")).unwrap();
        let met = |path: &str| -> Vec<String> {
            walk(&base.join(path))
                .filter(|(entry, _)| entry.starts_with(&base) && *entry != base)
                .map(|(entry, found)| {
                    let name = entry.strip_prefix(&base).unwrap().display().to_string();
                    if found.is_ok() { name } else { format!("no {name}") }
                })
                .collect()
        };
        assert_eq!(met("real/./file"), ["real", "real/file"]);
        assert_eq!(
            met("absolute/file"),
            ["absolute", "relative", "real", "real/file"]
        );
        assert_eq!(
            met("relative/../real/file"),
            ["relative", "real", "real", "real/file"]
        );
        assert_eq!(met("real/none/file"), ["real", "no real/none"]);
        assert_eq!(walk(Path::new("/")).count(), 1);
    }

    #[test]
    fn links_in_a_circle_end() {
        let folder = tempfile::tempdir().unwrap();
        symlink("b", folder.path().join("a")).unwrap();
        symlink("a", folder.path().join("b")).unwrap();
        let (_, last) = walk(&folder.path().join("a")).last().unwrap();
        assert_eq!(last.unwrap_err().raw_os_error(), Some(libc::ELOOP));
    }
}
