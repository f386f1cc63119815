//! The project's test programs: which there are, and how they are built and run.
//!
//! They are built all at once and run without cargo: with which features a library is built depends on what else is built with it, and
//! cargo, asked for the tests of one crate, builds most libraries once more.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::workspace::Workspace;
use crate::{process, system};

/// A file or a folder of a crate's tests/, which is a program of its own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TestProgram {
    /// The crate's name.
    pub package: String,
    /// Its own name, which no other one has: cargo selects by it.
    pub name: String,
    /// The crate's Cargo.toml.
    manifest: PathBuf,
}

/// All of them, built: each with its executable.
#[derive(Debug)]
pub struct Built(Vec<(TestProgram, PathBuf)>);

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
    name: String,
}

/// What cargo says of a thing that it has built.
#[derive(Deserialize)]
struct Artifact {
    manifest_path: PathBuf,
    target: Target,
    executable: Option<PathBuf>,
}

impl Target {
    fn is_test(&self) -> bool {
        self.kind.iter().any(|kind| kind == "test")
    }
}

/// Runs tests of the whole workspace with cargo; which ones, the caller adds.
pub fn cargo(workspace: &Workspace) -> Command {
    workspace.cargo(&["test", "--locked", "--no-fail-fast", "--workspace"])
}

/// All of them, sorted.
pub fn all(workspace: &Workspace) -> Result<Vec<TestProgram>> {
    let mut metadata = workspace.cargo(&["metadata", "--locked", "--no-deps", "--format-version", "1"]);
    list(&process::output(&mut metadata)?)
}

/// Builds all of them.
pub fn build(workspace: &Workspace) -> Result<Built> {
    let programs = all(workspace)?;
    let mut build = cargo(workspace);
    build.args([
        "--tests",
        "--no-run",
        "--message-format",
        "json-render-diagnostics",
    ]);
    Built::find(programs, &process::output(&mut build)?)
}

/// Has each of `programs` run, also when one has failed. That there are none is a failure too.
pub fn run_all(
    programs: impl Iterator<Item = Command>,
    mut run: impl FnMut(&mut Command) -> Result<()>,
) -> Result<()> {
    let mut programs = programs.peekable();
    if programs.peek().is_none() {
        bail!("there is no test program to run");
    }
    let failed = programs.filter_map(|mut program| run(&mut program).err());
    let failed: Vec<_> = failed.map(|error| error.to_string()).collect();
    if !failed.is_empty() {
        bail!("{}", failed.join("; "));
    }
    Ok(())
}

fn list(metadata: &str) -> Result<Vec<TestProgram>> {
    let metadata: Metadata =
        serde_json::from_str(metadata).context("cannot read what `cargo metadata` says")?;
    let mut programs = BTreeMap::new();
    for package in metadata.packages {
        for test in package.targets.into_iter().filter(Target::is_test) {
            let program = TestProgram {
                package: package.name.clone(),
                name: test.name.clone(),
                manifest: package.manifest_path.clone(),
            };
            if let Some(other) = programs.insert(test.name, program) {
                bail!(
                    "{} and {} both have a test {}: rename one, because tests are selected by their names alone",
                    other.package,
                    package.name,
                    other.name
                );
            }
        }
    }
    let mut programs: Vec<_> = programs.into_values().collect();
    programs.sort();
    Ok(programs)
}

impl Built {
    /// One that is not found is an error: it would never run, and nobody would miss it.
    fn find(programs: Vec<TestProgram>, said: &str) -> Result<Self> {
        // What is not about a thing that was built has none of these fields.
        let artifacts = said.lines().filter_map(|line| serde_json::from_str(line).ok());
        let mut executables: BTreeMap<_, _> = artifacts
            .filter(|artifact: &Artifact| artifact.target.is_test())
            .filter_map(|artifact| {
                Some((
                    (artifact.manifest_path, artifact.target.name),
                    artifact.executable?,
                ))
            })
            .collect();
        let built = programs.into_iter().map(|program| {
            let executable = executables
                .remove(&(program.manifest.clone(), program.name.clone()))
                .with_context(|| format!("cargo has not said where it built the test {}", program.name))?;
            Ok((program, executable))
        });
        Ok(Self(built.collect::<Result<_>>()?))
    }

    /// Those that are `wanted`, sorted by crate and name.
    pub fn select(&self, wanted: impl Fn(&TestProgram) -> bool) -> impl Iterator<Item = Command> {
        let selected = self.0.iter().filter(move |(program, _)| wanted(program));
        selected.map(|(program, executable)| {
            // As cargo starts it.
            let mut command = system::command(executable);
            command.current_dir(program.manifest.parent().unwrap_or(Path::new("/")));
            command
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGENT: &str = r#"{"name": "agent", "manifest_path": "/w/agent/Cargo.toml", "targets": [
        {"name": "agent", "kind": ["lib"]}, {"name": "socket", "kind": ["test"]}, {"name": "cli", "kind": ["test"]}
    ]}"#;

    fn list_packages(packages: &str) -> Result<Vec<TestProgram>> {
        list(&format!(r#"{{"packages": [{packages}]}}"#))
    }

    #[test]
    fn tests_are_found_with_their_crates() {
        let found = list_packages(AGENT).unwrap();
        let found: Vec<_> = found.iter().map(|test| [&*test.package, &*test.name]).collect();
        assert_eq!(found, [["agent", "cli"], ["agent", "socket"]]);
    }

    #[test]
    fn two_tests_of_the_same_name_are_refused() {
        let lab = AGENT.replace("agent", "lab");
        let error = list_packages(&format!("{AGENT}, {lab}")).unwrap_err().to_string();
        assert!(error.contains("agent and lab both have a test socket"), "{error}");
    }

    #[test]
    fn a_program_runs_in_the_folder_of_its_crate_and_one_that_was_not_built_is_missed() {
        let said = r#"
            {"reason": "build-script-executed", "package_id": "p"}
            {"manifest_path": "/w/agent/Cargo.toml", "target": {"name": "socket", "kind": ["lib"]}, "executable": "/t/unit"}
            {"manifest_path": "/w/agent/Cargo.toml", "target": {"name": "socket", "kind": ["test"]}, "executable": "/t/socket-1"}
            {"manifest_path": "/w/lab/Cargo.toml", "target": {"name": "cli", "kind": ["test"]}, "executable": "/t/cli-1"}
            {"reason": "build-finished", "success": true}
        "#;
        let programs = || list_packages(AGENT).unwrap();
        let error = Built::find(programs(), said).unwrap_err().to_string();
        assert!(error.contains("built the test cli"), "{error}");

        let built = Built::find(programs(), &said.replace("/w/lab", "/w/agent")).unwrap();
        assert_eq!(built.select(|_| true).count(), 2);
        let socket = built.select(|program| program.name == "socket").next().unwrap();
        assert_eq!(socket.get_program(), "/t/socket-1");
        assert_eq!(socket.get_current_dir(), Some(Path::new("/w/agent")));
    }

    #[test]
    fn all_run_and_each_that_fails_is_named() {
        let mut run = Vec::new();
        let programs = ["one", "two", "three"].into_iter().map(Command::new);
        let error = run_all(programs, |program| {
            let name = program.get_program().to_string_lossy().into_owned();
            run.push(name.clone());
            if name != "two" {
                bail!("{name} failed");
            }
            Ok(())
        });
        assert_eq!(error.unwrap_err().to_string(), "one failed; three failed");
        assert_eq!(run, ["one", "two", "three"]);
        run_all(std::iter::empty(), |_| Ok(())).unwrap_err();
    }
}
