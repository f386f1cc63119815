//! The generated files of the Helm chart: its copy of the definitions, its versions, and what values.schema.json says
//! about each value, as values.yaml and as a table. None of it needs Helm.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::workspace::Workspace;

mod schema;
mod values;

use schema::Schema;

/// The chart, from the top folder.
const FOLDER: &str = "charts/holdfast";
/// The one source of everything that is said about values.
const SCHEMA: &str = "charts/holdfast/values.schema.json";

/// A file and what it has to hold.
struct File {
    /// From the top folder.
    path: PathBuf,
    content: String,
}

/// Writes each generated file of the chart; with `check`, only compares, and fails if something differs.
pub fn run(workspace: &Workspace, check: bool) -> Result<()> {
    let mut files = definitions(workspace)?;
    files.push(versions(workspace)?);
    files.push(File {
        path: Path::new(FOLDER).join("values.yaml"),
        content: values::yaml(&schema(workspace)?)?,
    });
    let stale = settle(workspace.root(), &files, check)?;
    ensure!(
        stale.is_empty(),
        "{} is not what `make generate` writes; run it and commit the result",
        stale.join(", ")
    );
    no_strangers(workspace, &files)
}

/// The table of values for the chart's README.
pub fn values_table(workspace: &Workspace) -> Result<String> {
    values::markdown(&schema(workspace)?)
}

/// Writes those of `files` below `root` that differ, or with `check` returns their names.
fn settle(root: &Path, files: &[File], check: bool) -> Result<Vec<String>> {
    let mut stale = Vec::new();
    for File { path, content } in files {
        let name = path.display();
        let file = root.join(path);
        if fs::read_to_string(&file).is_ok_and(|old| old == *content) {
            println!("  {name} is up to date");
        } else if check {
            stale.push(name.to_string());
        } else {
            fs::write(&file, content).with_context(|| format!("cannot write {name}"))?;
            println!("  {name} is written anew");
        }
    }
    Ok(stale)
}

/// Exact copies of crds/: a chart cannot hold a file that lies outside of it.
fn definitions(workspace: &Workspace) -> Result<Vec<File>> {
    let mut files = Vec::new();
    for name in file_names(&workspace.root().join("crds"))? {
        let source = Path::new("crds").join(&name);
        files.push(File {
            content: read(workspace, &source)?,
            path: Path::new(FOLDER).join("files/crds").join(name),
        });
    }
    Ok(files)
}

/// The chart installs whatever lies in its folder: a definition that crds/ no longer has must not stay there.
fn no_strangers(workspace: &Workspace, files: &[File]) -> Result<()> {
    let folder = Path::new(FOLDER).join("files/crds");
    for name in file_names(&workspace.root().join(&folder))? {
        let path = folder.join(name);
        if files.iter().all(|file| file.path != path) {
            bail!("{} has no counterpart in crds/; delete it", path.display());
        }
    }
    Ok(())
}

fn file_names(folder: &Path) -> Result<Vec<String>> {
    let cannot = || format!("cannot list {}", folder.display());
    let entries: Vec<_> = fs::read_dir(folder)
        .and_then(Iterator::collect)
        .with_context(cannot)?;
    let mut names: Vec<_> = entries
        .iter()
        .map(|entry: &fs::DirEntry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Ok(names)
}

/// Chart.yaml with the workspace's version in both its places.
fn versions(workspace: &Workspace) -> Result<File> {
    let version = workspace_version(&read(workspace, Path::new("Cargo.toml"))?)
        .context("Cargo.toml has no version below [workspace.package]")?;
    let path = Path::new(FOLDER).join("Chart.yaml");
    let content = with_version(&read(workspace, &path)?, &version);
    Ok(File { path, content })
}

fn workspace_version(manifest: &str) -> Option<String> {
    let (_, package) = manifest.split_once("[workspace.package]\n")?;
    let line = package
        .lines()
        .take_while(|line| !line.starts_with('['))
        .find_map(|line| line.strip_prefix("version = "))?;
    Some(line.trim_matches('"').to_owned())
}

fn with_version(chart: &str, version: &str) -> String {
    let lines = chart.lines().map(|line| match line.split_once(": ") {
        Some((key @ ("version" | "appVersion"), _)) => format!("{key}: {version}\n"),
        _ => format!("{line}\n"),
    });
    lines.collect()
}

fn schema(workspace: &Workspace) -> Result<Schema> {
    Schema::parse(&read(workspace, Path::new(SCHEMA))?).with_context(|| format!("reading {SCHEMA}"))
}

fn read(workspace: &Workspace, path: &Path) -> Result<String> {
    fs::read_to_string(workspace.root().join(path)).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_charts_versions_are_the_workspaces() {
        let manifest = "[workspace]\n[workspace.package]\nedition = \"2024\"\nversion = \"1.2.3\"\n";
        assert_eq!(workspace_version(manifest).as_deref(), Some("1.2.3"));
        assert_eq!(
            workspace_version("[workspace.package]\n[other]\nversion = \"1\"\n"),
            None
        );
        let chart = "apiVersion: v2\nversion: 0.1.0\nappVersion: 0.1.0\nkubeVersion: \">=1.33\"\n";
        assert_eq!(
            with_version(chart, "1.2.3"),
            "apiVersion: v2\nversion: 1.2.3\nappVersion: 1.2.3\nkubeVersion: \">=1.33\"\n"
        );
    }

    #[test]
    fn a_check_names_what_differs_and_writes_nothing() {
        let folder = std::env::temp_dir().join(format!("holdfast-chart-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("same"), "a").unwrap();
        fs::write(folder.join("other"), "b").unwrap();
        let file = |name: &str| File {
            path: name.into(),
            content: "a".to_owned(),
        };
        let files = [file("same"), file("other"), file("missing")];
        let stale = settle(&folder, &files, true).unwrap();
        let untouched = fs::read_to_string(folder.join("other")).unwrap();
        let written = settle(&folder, &files, false).unwrap();
        let now = fs::read_to_string(folder.join("missing")).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(stale, ["other", "missing"]);
        assert_eq!(untouched, "b");
        assert!(written.is_empty());
        assert_eq!(now, "a");
    }
}
