//! What is in the dependency tree: licences, sources and bans always, advisories when their database can be had.

use anyhow::{Context, Result};

use crate::cargo_tool::CargoTool;
use crate::workspace::Workspace;
use crate::{process, system};

const CARGO_DENY: CargoTool = CargoTool {
    name: "cargo-deny",
    version: "0.20.2",
    features: None,
};

/// Checks the tree against deny.toml.
pub fn run(workspace: &Workspace) -> Result<()> {
    let program = CARGO_DENY.ensure(workspace)?;
    let cargo_deny = |arguments: &[&str]| {
        let mut command = system::command(&program);
        command
            .current_dir(workspace.root())
            .args(["--locked"])
            .args(arguments);
        command
    };
    // A licence is read from the crate itself, also of a crate that this machine has no use for.
    process::run(&mut workspace.cargo(&["fetch", "--locked"]))?;
    process::run(&mut cargo_deny(&[
        "--offline",
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ]))?;

    let fetched = cargo_deny(&["fetch", "db"])
        .output()
        .context("cannot start cargo-deny")?;
    if !fetched.status.success() {
        // Nothing in the checkout is wrong when the network is: say so, and do not pretend to have looked.
        let complaint = String::from_utf8_lossy(&fetched.stderr);
        let why = first_cause(&complaint);
        println!("  advisories: skipped, the advisory database could not be fetched ({why})");
        return Ok(());
    }
    process::run(&mut cargo_deny(&["check", "advisories"]))
}

/// The line that says most in cargo-deny's and git's complaints: git's own last word if there is one.
fn first_cause(complaint: &str) -> &str {
    let lines = || complaint.lines().map(str::trim).filter(|line| !line.is_empty());
    lines()
        .find_map(|line| line.strip_prefix("fatal: "))
        .or_else(|| lines().next())
        .unwrap_or("no reason was given")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_what_git_said() {
        let complaint =
            "2026-01-01 [ERROR] failed to fetch database\nCloning into 'x'...\nfatal: no such host\n";
        assert_eq!(first_cause(complaint), "no such host");
    }

    #[test]
    fn without_git_the_cause_is_the_first_line() {
        assert_eq!(first_cause("\nfailed to fetch\nmore\n"), "failed to fetch");
        assert_eq!(first_cause(""), "no reason was given");
    }
}
