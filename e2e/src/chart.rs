//! The Helm chart: rendered and read, and used against an API server.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use holdfast_api::yaml;
use holdfast_lab::kubernetes::{ControlPlane, NAMESPACE, assets::HELM};
use serde_json::Value;

use crate::Result;

/// The name of the release in the tests.
pub const RELEASE: &str = "holdfast";
/// The oldest Kubernetes that the chart supports.
const KUBERNETES: &str = "1.33.0";

/// The chart's folder in this checkout.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/holdfast")
}

/// Helm with `args`, not yet started. It keeps nothing in anybody's home.
///
/// # Errors
/// When there is no Helm; the error says how to get it.
pub fn helm(args: &[&str]) -> Result<Command> {
    let mut command = Command::new(HELM.find()?);
    command.args(args);
    for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        command.env(variable, "/nonexistent");
    }
    Ok(command)
}

/// What becomes of `helm ARGS` in the API server's node, asked by somebody who may do anything.
///
/// # Errors
/// When there is no Helm; the error says how to get it.
pub fn helm_in(plane: &ControlPlane, args: &[&str]) -> Result<Output> {
    let program = HELM.find()?.display().to_string();
    // What it has learned about the API is kept in the lab, not in somebody's home.
    let home = format!("HOME={}", plane.node().folder().display());
    let kubeconfig = format!("--kubeconfig={}", plane.admin_kubeconfig().display());
    let words = [&[&*home, &program, &kubeconfig, "--namespace", NAMESPACE], args].concat();
    Ok(plane.node().exec("env", &words)?)
}

/// The chart's objects with these values, each as `path=JSON`.
///
/// # Errors
/// With Helm's complaint when it refuses the values.
pub fn render(values: &[&str]) -> Result<Objects> {
    Objects::read(&template(values, &[])?)
}

/// The text of the chart's objects with these values, each as `path=JSON`, and with more of `helm template`'s options.
///
/// # Errors
/// Like [`render`].
pub fn template(values: &[&str], options: &[&str]) -> Result<String> {
    let mut command = helm(&["template", RELEASE, "--namespace", NAMESPACE])?;
    command
        .arg(folder())
        .args(["--kube-version", KUBERNETES])
        .args(values.iter().flat_map(|value| ["--set-json", value]))
        .args(options);
    said(&command.output()?)
}

/// What a command wrote to its standard output.
///
/// # Errors
/// With what it wrote to its standard error if it failed.
pub fn said(output: &Output) -> Result<String> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().into())
}

/// Objects of Kubernetes.
#[derive(Clone, PartialEq, Debug)]
pub struct Objects(pub Vec<Value>);

impl Objects {
    /// Reads a stream of YAML documents.
    ///
    /// # Errors
    /// When it is not YAML.
    pub fn read(text: &str) -> Result<Self> {
        let documents = yaml::read(text).map_err(|error| error.sentence)?;
        Ok(Self(
            documents.into_iter().map(|document| document.value).collect(),
        ))
    }

    /// The object of this kind and name; `Null` if there is none.
    pub fn get(&self, kind: &str, name: &str) -> &Value {
        let found = self
            .0
            .iter()
            .find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
        found.unwrap_or(&Value::Null)
    }

    /// Every object of this kind.
    pub fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |object| object["kind"] == kind)
    }

    /// Name and pod of everything that makes pods.
    pub fn pods(&self) -> Vec<(&str, &Value)> {
        self.0
            .iter()
            .filter(|object| object["spec"]["template"]["spec"].is_object())
            .map(|object| {
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                (name, &object["spec"]["template"])
            })
            .collect()
    }
}
