//! Another revision of Holdfast, which a cluster is upgraded from: its images, built in a checkout of its own below the build
//! folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::workspace::Workspace;
use crate::{images, process, system};

/// A revision of this repository.
#[derive(Debug)]
pub struct Revision {
    /// As a person names it, and git.
    name: String,
    /// The abbreviated commit, which is the images' tag.
    commit: String,
}

/// A revision whose images are there.
pub struct Previous {
    /// The abbreviated commit, which is the images' tag.
    pub commit: String,
    /// The folder with their archives.
    pub images: PathBuf,
}

impl Revision {
    /// The one that git calls `name`.
    pub fn named(workspace: &Workspace, name: &str) -> Result<Self> {
        let wanted = format!("{name}^{{commit}}");
        let commit = git(
            workspace.root(),
            &["rev-parse", "--verify", "--quiet", "--short", &wanted],
        )
        .with_context(|| format!("{name} names no commit of this repository"))?;
        Ok(Self {
            name: name.to_owned(),
            commit,
        })
    }

    /// Builds its images, without the tools.
    ///
    /// All revisions are checked out into one folder and built into one: the crates that two of them have in common are built once.
    pub fn build(self, workspace: &Workspace, arch: images::Arch) -> Result<Previous> {
        let Self { name, commit } = self;
        let folder = workspace.build_folder().join("previous");
        let checkout = folder.join("checkout");
        if checkout.join(".git").exists() {
            git(
                &checkout,
                &["checkout", "--quiet", "--force", "--detach", &commit],
            )?;
        } else {
            // By force: git remembers a checkout that went with the build folder.
            let place = checkout.display().to_string();
            git(
                workspace.root(),
                &["worktree", "add", "--force", "--detach", &place, &commit],
            )?;
        }
        let previous = Workspace::elsewhere(checkout, folder.join("build"));
        let images = images::tagged(&previous, arch, &commit)
            .with_context(|| format!("cannot build the images of {name} ({commit})"))?;
        Ok(Previous { commit, images })
    }
}

fn git(folder: &Path, arguments: &[&str]) -> Result<String> {
    let mut git = system::command("git");
    git.current_dir(folder).args(arguments);
    Ok(process::output(&mut git)?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_no_commit_is_refused() {
        let workspace = Workspace::open().unwrap();
        let error = Revision::named(&workspace, "no-such-revision").unwrap_err();
        assert_eq!(
            error.to_string(),
            "no-such-revision names no commit of this repository"
        );
        assert!(!Revision::named(&workspace, "HEAD").unwrap().commit.is_empty());
    }
}
