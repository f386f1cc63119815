//! Static programs, built so that neither the checkout's place nor the machine's linker shows in them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::arch::Arch;
use super::crates::{Crate, Crates};
use super::elf;
use super::linked::Linked;
use crate::workspace::Workspace;
use crate::{process, system};

/// The profile in Cargo.toml.
const PROFILE: &str = "dist";
/// What separates flags in cargo's variable, because a path may hold a space.
const SEPARATOR: &str = "\u{1f}";

/// A program as it is shipped, and what it is made of.
pub struct Program {
    pub bytes: Vec<u8>,
    pub crates: BTreeSet<Crate>,
}

/// Programs that were built together.
pub struct Programs {
    arch: Arch,
    /// Where they lie.
    folder: PathBuf,
    linked: Linked,
}

/// Builds programs, each of the crate of the same name.
///
/// In one call of cargo: what they have in common is compiled once, in the features that they ask for together, and the
/// optimisation across all crates, which keeps one core busy for minutes, is done for one while another is still compiled.
pub fn build(workspace: &Workspace, names: &[&str], arch: Arch, crates: &Crates) -> Result<Programs> {
    let target = arch.target();
    ensure_installed(workspace, target)?;
    let mut build = workspace.cargo(&["build", "--locked", "--profile", PROFILE, "--target", target]);
    build.args(names.iter().flat_map(|name| ["--package", name, "--bin", name]));
    build.arg("--message-format=json-render-diagnostics");
    let compiler_of_target = target.replace('-', "_");
    build
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            rust_flags(workspace, crates).join(SEPARATOR),
        )
        .env(format!("CC_{compiler_of_target}"), arch.c_compiler())
        .env(
            format!("CFLAGS_{compiler_of_target}"),
            c_flags(workspace, crates).join(" "),
        );
    let messages = process::output(&mut build)?;

    let linked = Linked::into_programs(workspace, names, arch)?;
    let folder = workspace.build_folder().join(target);
    let (compiled, all) = (compiled(&messages, crates, &folder)?, linked.all());
    if compiled != all {
        let differing: Vec<_> = compiled.symmetric_difference(&all).collect();
        bail!(
            "cargo compiled for {} what `cargo tree` does not name, or the other way round: {differing:?}",
            names.join(" and ")
        );
    }
    Ok(Programs {
        arch,
        folder: folder.join(PROFILE),
        linked,
    })
}

impl Programs {
    /// The one called `name`.
    pub fn program(&self, name: &str) -> Result<Program> {
        let file = self.folder.join(name);
        let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        elf::ensure_static(&bytes, self.arch)
            .with_context(|| format!("{} is not fit for an image", file.display()))?;
        Ok(Program {
            bytes,
            crates: self.linked.of(name),
        })
    }
}

/// Gets Rust's library for `target` if it is not there.
fn ensure_installed(workspace: &Workspace, target: &str) -> Result<()> {
    let mut rustc = system::command("rustc");
    rustc.current_dir(workspace.root());
    let library = process::output(rustc.args(["--print", "target-libdir", "--target", target]))?;
    if Path::new(library.trim()).is_dir() {
        return Ok(());
    }
    let mut rustup = system::command("rustup");
    process::run(
        rustup
            .current_dir(workspace.root())
            .args(["target", "add", target]),
    )
    .with_context(|| format!("cannot install Rust's library for {target}"))
}

/// Rust's own linker, which comes in the version of rust-toolchain.toml; no path of this machine in messages; and the places
/// to be moved when the program is loaded as a bitmap, which is half a megabyte less.
fn rust_flags(workspace: &Workspace, crates: &Crates) -> Vec<String> {
    let mut flags = ["-Clinker=rust-lld", "-Clink-arg=--pack-dyn-relocs=relr"]
        .map(ToOwned::to_owned)
        .to_vec();
    let renamed = renamed_folders(workspace, crates);
    flags.extend(renamed.map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display())));
    flags
}

fn c_flags(workspace: &Workspace, crates: &Crates) -> Vec<String> {
    renamed_folders(workspace, crates)
        .map(|(from, to)| format!("-ffile-prefix-map={}={to}", from.display()))
        .collect()
}

/// Folders whose names would tell where a program was built. The last that fits counts: the build folder may be in the
/// checkout.
fn renamed_folders<'a>(
    workspace: &'a Workspace,
    crates: &'a Crates,
) -> impl Iterator<Item = (&'a Path, &'static str)> {
    let ours = [
        (workspace.root(), "/holdfast"),
        (workspace.build_folder(), "/build"),
    ];
    let foreign = crates.unpacked_in().into_iter().map(|folder| (folder, "/crates"));
    ours.into_iter().chain(foreign)
}

/// The crates that cargo says it compiled into `folder`, where those for the target go, or found there up to date.
fn compiled(messages: &str, crates: &Crates, folder: &Path) -> Result<BTreeSet<Crate>> {
    let mut compiled = BTreeSet::new();
    for line in messages.lines() {
        let message: Message = serde_json::from_str(line).context("cannot read what `cargo build` says")?;
        if let Message::CompilerArtifact {
            package_id,
            filenames,
        } = message
            && filenames.iter().any(|file| Path::new(file).starts_with(folder))
        {
            let found = crates.by_id(&package_id);
            compiled.insert(
                found
                    .with_context(|| format!("cargo compiled an unknown {package_id}"))?
                    .clone(),
            );
        }
    }
    Ok(compiled)
}

#[derive(Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Message {
    CompilerArtifact {
        package_id: String,
        filenames: Vec<String>,
    },
    #[serde(other)]
    Other,
}
