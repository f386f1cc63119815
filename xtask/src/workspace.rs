//! Where things are in this checkout and its build folder, and how cargo is called in it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{process, system};

/// The crates whose binaries the lab runs.
const RELEASE_CRATES: [&str; 3] = ["holdfast-agent", "holdfast-operator", "holdfast-lab"];

/// This checkout.
pub struct Workspace {
    root: PathBuf,
    builds: PathBuf,
}

impl Workspace {
    /// The checkout that this program was built from, and the build folder that it was built into.
    pub fn open() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("xtask's folder has no parent")?;
        // <build folder>/debug/xtask; asking our own path obeys CARGO_TARGET_DIR and cargo's configuration alike.
        let this = env::current_exe().context("cannot find out where this program lies")?;
        let builds = this
            .parent()
            .and_then(Path::parent)
            .context("this program lies outside a build folder")?;
        Ok(Self {
            root: root.to_owned(),
            builds: builds.to_owned(),
        })
    }

    /// Another checkout, which is built into `builds`.
    pub const fn elsewhere(root: PathBuf, builds: PathBuf) -> Self {
        Self { root, builds }
    }

    /// The checkout's top folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where [`Workspace::build_release`] puts the binary `name`.
    pub fn release_binary(&self, name: &str) -> PathBuf {
        self.builds.join("release").join(name)
    }

    /// Where everything is that is built.
    pub fn build_folder(&self) -> &Path {
        &self.builds
    }

    /// Cargo, in the checkout's top folder, in the version that rust-toolchain.toml names.
    pub fn cargo(&self, arguments: &[&str]) -> Command {
        let mut cargo = system::command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.builds)
            .args(arguments);
        cargo
    }

    /// Builds agent, operator and lab as they are shipped.
    pub fn build_release(&self) -> Result<()> {
        let mut build = self.cargo(&["build", "--locked", "--release"]);
        for name in RELEASE_CRATES {
            build.args(["-p", name]);
        }
        process::run(&mut build)
    }

    /// Tells the lab in `command` to run agent and operator as they are shipped.
    pub fn with_release_binaries<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command
            .env("HOLDFAST_AGENT", self.release_binary("holdfast-agent"))
            .env("HOLDFAST_OPERATOR", self.release_binary("holdfast-operator"))
    }
}
