//! Another revision of Holdfast, which a cluster is upgraded from: its images, built in a checkout of its own below the build
//! folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::workspace::Workspace;
use crate::{images, process, system};

/// A revision whose images are there.
pub struct Previous {
    /// The abbreviated commit, which is the images' tag.
    pub commit: String,
    /// The folder with their archives.
    pub images: PathBuf,
}

/// Builds the images of `revision`, as git names it, without the tools.
///
/// All revisions are checked out into one folder and built into one: the crates that two of them have in common are built once.
pub fn build(workspace: &Workspace, arch: images::Arch, revision: &str) -> Result<Previous> {
    let wanted = format!("{revision}^{{commit}}");
    let commit = git(
        workspace.root(),
        &["rev-parse", "--verify", "--quiet", "--short", &wanted],
    )
    .with_context(|| format!("{revision} names no commit of this repository"))?;
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
        .with_context(|| format!("cannot build the images of {revision} ({commit})"))?;
    Ok(Previous { commit, images })
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
    fn what_names_no_commit_is_refused_before_anything_is_built() {
        let workspace = Workspace::open().unwrap();
        let arch = images::Arch::of_this_machine();
        let error = build(&workspace, arch, "no-such-revision").map(drop).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no-such-revision names no commit of this repository"
        );
    }
}
