//! What is built once and kept outside the checkout.

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context, Result};

/// Where cargo subcommands are kept.
pub fn tools() -> Result<PathBuf> {
    Ok(folder()?.join("tools"))
}

/// Where the programs that the API tier runs are kept.
pub fn assets() -> Result<PathBuf> {
    Ok(folder()?.join("assets"))
}

/// Deletes all of it.
pub fn clean() -> Result<()> {
    for folder in [tools()?, assets()?] {
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot delete {}", folder.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

fn folder() -> Result<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME")
        .filter(|folder| !folder.is_empty())
        .map(PathBuf::from);
    let cache = cache.or_else(|| env::home_dir().map(|home| home.join(".cache")));
    let cache = cache.context("no folder to cache programs in: neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(cache.join("holdfast"))
}
