//! Cargo subcommands in pinned versions, built once into a cache outside the checkout.

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::workspace::Workspace;
use crate::{process, system};

/// A Rust program that checks or tests this project.
pub struct CargoTool {
    /// The crate's and the program's name.
    pub name: &'static str,
    /// The version that is used, whatever newer ones there are.
    pub version: &'static str,
}

impl CargoTool {
    /// The program's path; builds it first if it is not in the cache yet.
    pub fn ensure(&self, workspace: &Workspace) -> Result<PathBuf> {
        let folder = cache_folder()?.join(format!("{}-{}", self.name, self.version));
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
                "--version",
                self.version,
                "--root",
            ]);
            process::run(install.arg(&folder).arg(self.name))
                .with_context(|| format!("cannot install {} {}", self.name, self.version))?;
        }
        Ok(program)
    }
}

/// Deletes every tool that was built into the cache.
pub fn clean_cache() -> Result<()> {
    let folder = cache_folder()?;
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot delete {}", folder.display()))
        }
        _ => Ok(()),
    }
}

fn cache_folder() -> Result<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME")
        .filter(|folder| !folder.is_empty())
        .map(PathBuf::from);
    let cache = cache.or_else(|| env::home_dir().map(|home| home.join(".cache")));
    let cache = cache.context("no folder to cache tools in: neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(cache.join("holdfast/tools"))
}
