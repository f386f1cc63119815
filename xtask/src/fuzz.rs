//! Runs every fuzz target of fuzz/ in turn, with nightly Rust and cargo-fuzz.

use std::fs;
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::cargo_tool::CargoTool;
use crate::workspace::Workspace;
use crate::{process, system};

const CARGO_FUZZ: CargoTool = CargoTool {
    name: "cargo-fuzz",
    version: "0.13.2",
    features: None,
};

/// Fuzzes each target for `seconds`.
pub fn run(workspace: &Workspace, seconds: u32) -> Result<()> {
    let targets = targets(workspace)?;
    ensure_nightly()?;
    let program = CARGO_FUZZ.ensure(workspace)?;
    for target in &targets {
        println!("== {target}");
        // What the fuzzer finds worth keeping goes into the first folder; the committed corpus is only read.
        let found = workspace.root().join("fuzz/target/corpus").join(target);
        fs::create_dir_all(&found).with_context(|| format!("cannot make {}", found.display()))?;
        let mut fuzz = system::command(&program);
        fuzz.current_dir(workspace.root())
            .env("RUSTUP_TOOLCHAIN", "nightly")
            .env_remove("CARGO")
            .env_remove("RUSTC");
        fuzz.args(["run", target])
            .arg(&found)
            .arg(format!("fuzz/corpus/{target}"));
        fuzz.args(["--", &format!("-max_total_time={seconds}")]);
        process::run(&mut fuzz)
            .with_context(|| format!("the input that broke {target} is in fuzz/artifacts/{target}"))?;
    }
    println!("{} targets, {seconds} s each: nothing broke", targets.len());
    Ok(())
}

/// The names of the targets: one a file in fuzz/fuzz_targets.
fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = workspace.root().join("fuzz/fuzz_targets");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut targets = Vec::new();
    for entry in entries {
        let path = entry
            .with_context(|| format!("cannot list {}", folder.display()))?
            .path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            targets.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    if targets.is_empty() {
        bail!("there is no fuzz target in {}", folder.display());
    }
    targets.sort();
    Ok(targets)
}

/// Fuzzing needs compiler flags that only nightly Rust accepts.
fn ensure_nightly() -> Result<()> {
    let present = system::command("rustup")
        .args(["run", "nightly", "rustc", "--version"])
        .stdout(Stdio::null())
        .status();
    if present
        .context("cannot start rustup, which fuzzing needs for nightly Rust")?
        .success()
    {
        return Ok(());
    }
    process::run(system::command("rustup").args(["toolchain", "install", "nightly", "--profile", "minimal"]))
        .context("cannot install nightly Rust, which fuzzing needs")
}
