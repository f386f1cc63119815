//! kubectl, as a person types it.

use std::{fs, path::Path, process::Output};

use super::{ControlPlane, assets::KUBECTL};
use crate::{
    command,
    error::{Doing as _, Error, Result},
};

/// How long kubectl waits for an API server that does not answer.
const TIMEOUT: &str = "--request-timeout=20s";

impl ControlPlane {
    /// What `kubectl ARGS` prints, asked by somebody who may do anything.
    ///
    /// # Errors
    /// [`Error::Command`] with kubectl's own complaint.
    pub fn kubectl(&self, args: &[&str]) -> Result<String> {
        let output = self.kubectl_as(self.admin_kubeconfig(), args)?;
        command::checked("kubectl", args, Ok(output))
    }

    /// What becomes of `kubectl ARGS`, asked by whom the kubeconfig says.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no kubectl.
    pub fn kubectl_as(&self, kubeconfig: &Path, args: &[&str]) -> Result<Output> {
        let program = KUBECTL.find()?.display().to_string();
        let kubeconfig = format!("--kubeconfig={}", kubeconfig.display());
        // What it has learned about the API is kept in the lab, not in somebody's home.
        let cache = format!("--cache-dir={}", self.folder.join("kubectl-cache").display());
        // Watching and waiting take as long as the test says.
        let timeout: &[&str] = if args.contains(&"wait") || args.contains(&"-w") {
            &[]
        } else {
            &[TIMEOUT]
        };
        self.node()
            .exec(&program, &[&[&*kubeconfig, &cache], timeout, args].concat())
    }

    /// `kubectl apply` of a manifest; server-side, so that it says no more than the test does.
    ///
    /// # Errors
    /// [`Error::Command`] with the API server's refusal.
    pub fn apply(&self, yaml: &str) -> Result<String> {
        self.with_manifest(yaml, |file| {
            self.kubectl(&[
                "apply",
                "--server-side",
                "--field-manager=test",
                "--force-conflicts",
                "-f",
                file,
            ])
        })
    }

    /// What becomes of `kubectl apply` of a manifest, with more arguments, by whom the kubeconfig says.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no kubectl.
    pub fn apply_as(&self, kubeconfig: &Path, yaml: &str, more: &[&str]) -> Result<Output> {
        let usual = ["apply", "--server-side", "--field-manager=test", "-f"];
        self.with_manifest(yaml, |file| {
            self.kubectl_as(kubeconfig, &[&usual[..], &[file], more].concat())
        })
    }

    /// One object, or a list of them, as JSON.
    ///
    /// # Errors
    /// [`Error::Command`] when there is none.
    pub fn get(&self, args: &[&str]) -> Result<serde_json::Value> {
        let text = self.kubectl(&[&["get"], args, &["-o", "json"]].concat())?;
        serde_json::from_str(&text)
            .map_err(|error| Error::Invalid(format!("`kubectl get` printed no JSON: {error}: {text}")))
    }

    pub(super) fn with_manifest<T>(&self, yaml: &str, action: impl FnOnce(&str) -> Result<T>) -> Result<T> {
        let path = self
            .folder
            .join(format!("manifest-{}.yaml", self.node().next_number()));
        fs::write(&path, yaml).doing(|| format!("write {}", path.display()))?;
        action(&path.display().to_string())
    }
}
