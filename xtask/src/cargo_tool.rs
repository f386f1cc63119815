//! Cargo subcommands in pinned versions, built once into a cache outside the checkout.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::workspace::Workspace;
use crate::{cache, process, system};

/// A Rust program that checks or tests this project.
pub struct CargoTool {
    /// The crate's and the program's name.
    pub name: &'static str,
    /// The version that is used, whatever newer ones there are.
    pub version: &'static str,
    /// The parts of it that are built; `None` for those that its makers chose.
    pub features: Option<&'static [&'static str]>,
}

impl CargoTool {
    /// The program's path; builds it first if it is not in the cache yet.
    pub fn ensure(&self, workspace: &Workspace) -> Result<PathBuf> {
        let folder = cache::tools()?.join(format!("{}-{}", self.name, self.version));
        let program = folder.join("bin").join(self.name);
        if !system::is_executable(&program) {
            println!(
                "building {} {}, once, into {}",
                self.name,
                self.version,
                folder.display()
            );
            let mut install = workspace.cargo(&[
                "install",
                "--quiet",
                "--locked",
                // It runs for seconds, and to optimise it takes minutes.
                "--debug",
                "--version",
                self.version,
                "--root",
            ]);
            install.arg(&folder).env("CARGO_PROFILE_DEV_DEBUG", "false");
            if let Some(features) = self.features {
                install.args(["--no-default-features", "--features", &features.join(",")]);
            }
            process::run(install.arg(self.name))
                .with_context(|| format!("cannot install {} {}", self.name, self.version))?;
        }
        Ok(program)
    }
}
