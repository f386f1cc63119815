//! `make e2e`: real clusters, brought up and broken step by step, with Holdfast's own images.

use anyhow::{Result, bail};

use crate::assets::Kubernetes;
use crate::deps::{self, Purpose};
use crate::previous::Revision;
use crate::workspace::Workspace;
use crate::{assets, images, process, system, test_programs};

/// The tests, one after the other; the tiers of `make test` leave them out.
const TESTS: [&str; 2] = ["real_cluster", "real_guide"];

/// Which clusters are brought up, and what becomes of their figures.
#[derive(Debug)]
pub struct Run {
    kubernetes: Kubernetes,
    previous: Option<String>,
    write: bool,
}

impl Run {
    /// A run with this Kubernetes; `previous` is the revision that agents and operator are also taken from, and `write` replaces the
    /// tables in docs/reliability.md, unless they are of other runs than this one.
    pub fn new(kubernetes: Kubernetes, previous: Option<String>, write: bool) -> Result<Self> {
        let mismatch = match (kubernetes, &previous) {
            (Kubernetes::Oldest, _) => Some(
                "with the newest Kubernetes, and this is one with the oldest: leave out --kubernetes oldest or \
                 HOLDFAST_KUBERNETES=oldest",
            ),
            (Kubernetes::Newest, Some(_)) => {
                Some("of this revision alone, and this is one of two revisions: leave out --previous")
            }
            (Kubernetes::Newest, None) => None,
        };
        if let Some(mismatch) = mismatch.filter(|_| write) {
            bail!(
                "docs/reliability.md keeps the tables of a run {mismatch}; or leave out --write, and take the tables from what \
                 the run prints"
            );
        }
        Ok(Self {
            kubernetes,
            previous,
            write,
        })
    }
}

/// Brings up the clusters of `run`.
pub fn run(workspace: &Workspace, run: &Run) -> Result<()> {
    if !system::is_root() {
        bail!("make e2e runs kubelets and containers, which needs root: sudo make e2e");
    }
    // Before anything is built: a name can be mistyped.
    let previous = run.previous.as_deref();
    let previous = previous
        .map(|name| Revision::named(workspace, name))
        .transpose()?;
    deps::ensure(&[Purpose::Cluster])?;
    assets::ensure_with(workspace, assets::Set::E2e, run.kubernetes)?;
    let arch = images::Arch::of_this_machine();
    images::run(workspace, arch, None)?;
    let previous = previous
        .map(|revision| revision.build(workspace, arch))
        .transpose()?;
    let build = workspace.build_folder();
    let (variable, version) = run.kubernetes.environment();
    let programs = test_programs::build(workspace)?;
    let tests = programs.select(|program| TESTS.contains(&&*program.name));
    // The terminal's signals reach the tests too, whose sandboxes take everything down.
    test_programs::run_all(tests, |test| {
        test.arg("--nocapture")
            .env(variable, version)
            .env("HOLDFAST_IMAGES", build.join("images"))
            // The very program that is in the image.
            .env(
                "HOLDFAST_AGENT",
                build.join(arch.target()).join("dist/holdfast-agent"),
            );
        if let Some(previous) = &previous {
            test.env("HOLDFAST_PREVIOUS", &previous.commit)
                .env("HOLDFAST_PREVIOUS_IMAGES", &previous.images);
        }
        if run.write {
            test.env("HOLDFAST_E2E_WRITE", workspace.root().join("docs/reliability.md"));
        }
        process::run(test)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_the_newest_kubernetes_and_of_this_revision_alone_are_kept() {
        Run::new(Kubernetes::Newest, None, true).unwrap();
    }

    #[test]
    fn tables_of_another_run_are_not_kept_and_the_refusal_says_what_to_do() {
        for (kubernetes, previous, way_out) in [
            (Kubernetes::Oldest, None, "leave out --kubernetes oldest"),
            (
                Kubernetes::Oldest,
                Some("HEAD~9"),
                "leave out --kubernetes oldest",
            ),
            (Kubernetes::Newest, Some("HEAD~9"), "leave out --previous"),
        ] {
            let run = |write| Run::new(kubernetes, previous.map(ToOwned::to_owned), write);
            run(false).unwrap();
            let error = run(true).unwrap_err().to_string();
            for words in ["docs/reliability.md keeps", way_out, "or leave out --write"] {
                assert!(error.contains(words), "{words:?} is not in: {error}");
            }
        }
    }
}
