//! `make e2e`: real clusters, brought up and broken step by step, with Holdfast's own images.

use anyhow::{Result, bail};

use crate::deps::{self, Purpose};
use crate::workspace::Workspace;
use crate::{assets, images, previous, process, system};

/// The tests, one after the other; the tiers of `make test` leave them out.
const TESTS: [&str; 2] = ["real_cluster", "real_guide"];

/// Runs the scenario; `previous` is the revision that agents and operator are also taken from, and `write` replaces the table in
/// docs/reliability.md by the one of this run.
pub fn run(
    workspace: &Workspace,
    kubernetes: assets::Kubernetes,
    previous: Option<&str>,
    write: bool,
) -> Result<()> {
    if !system::is_root() {
        bail!("make e2e runs kubelets and containers, which needs root: sudo make e2e");
    }
    deps::ensure(&[Purpose::Cluster])?;
    assets::ensure_with(workspace, assets::Set::E2e, kubernetes)?;
    let arch = images::Arch::of_this_machine();
    images::run(workspace, arch, None)?;
    let previous = previous.map(|revision| previous::build(workspace, arch, revision));
    let previous = previous.transpose()?;
    let build = workspace.build_folder();
    let (variable, version) = kubernetes.environment();
    let mut test = workspace.cargo(&["test", "--locked", "--no-fail-fast", "-p", "holdfast-e2e"]);
    test.args(TESTS.iter().flat_map(|name| ["--test", name]))
        .args(["--", "--nocapture"])
        .env(variable, version)
        .env("HOLDFAST_IMAGES", build.join("images"))
        // The very program that is in the image.
        .env(
            "HOLDFAST_AGENT",
            build.join(arch.target()).join("dist/holdfast-agent"),
        );
    if let Some(previous) = previous {
        test.env("HOLDFAST_PREVIOUS", previous.commit)
            .env("HOLDFAST_PREVIOUS_IMAGES", previous.images);
    }
    if write {
        test.env("HOLDFAST_E2E_WRITE", workspace.root().join("docs/reliability.md"));
    }
    // A signal of the terminal's reaches the test, whose sandbox takes everything down.
    process::become_command(&mut test)
}
