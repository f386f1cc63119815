//! deploy/holdfast.yaml, the chart in a single file for people without Helm: rendered by Helm, checked in the API tier.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;
use crate::{assets, process, system};

/// The manifest, from the top folder.
const FILE: &str = "deploy/holdfast.yaml";
/// The oldest Kubernetes that the chart supports: what is rendered for it is good for all.
const KUBERNETES: &str = "1.33.0";
/// Lines that only Helm reads.
const HELMS_OWN: [&str; 3] = [
    "# Source: ",
    "helm.sh/chart: ",
    "app.kubernetes.io/managed-by: Helm",
];
const HEADER: &str = "\
# Holdfast in one file, for clusters without Helm. Written by `make manifest` from charts/holdfast; changes here would be
# lost. How to install, upgrade and uninstall it: docs/install.md. Deleting this file's objects deletes every VirtualIPGroup.
";

/// Writes the manifest; with `check`, only compares, and fails if it differs.
pub fn run(workspace: &Workspace, check: bool) -> Result<()> {
    assets::ensure(workspace, assets::Set::Api)?;
    let mut helm = system::command(assets::program(workspace, "helm")?);
    helm.args(["template", "holdfast", "charts/holdfast"])
        .args(["--namespace", "holdfast-system", "--set", "createNamespace=true"])
        .args(["--no-hooks", "--kube-version", KUBERNETES])
        .current_dir(workspace.root());
    let rendered = process::output(&mut helm)?;
    settle(&workspace.root().join(FILE), &without_helm(&rendered), check)
}

fn settle(path: &Path, manifest: &str, check: bool) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == manifest) {
        println!("  {FILE} is up to date");
    } else if check {
        bail!("{FILE} is not what `make manifest` writes; run it and commit the result");
    } else {
        fs::write(path, manifest).with_context(|| format!("cannot write {FILE}"))?;
        println!("  {FILE} is written anew");
    }
    Ok(())
}

/// The rendered chart without what means something to Helm alone.
fn without_helm(rendered: &str) -> String {
    let lines = rendered
        .lines()
        .filter(|line| !HELMS_OWN.iter().any(|own| line.trim_start().starts_with(own)))
        .map(|line| format!("{}\n", line.trim_end()));
    std::iter::once(HEADER.to_owned()).chain(lines).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_helm_reads_is_left_out() {
        let rendered = "---\n# Source: holdfast/templates/agent.yaml\n# Kept.\nmetadata:\n  labels:\n    \
            helm.sh/chart: holdfast-0.1.0\n    app.kubernetes.io/managed-by: Helm\n    \
            app.kubernetes.io/name: holdfast\n";
        assert_eq!(
            without_helm(rendered).strip_prefix(HEADER),
            Some("---\n# Kept.\nmetadata:\n  labels:\n    app.kubernetes.io/name: holdfast\n")
        );
    }
}
