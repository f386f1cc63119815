//! Builds and checks the project: every Makefile target is one call of this program.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::deps::Purpose;
use crate::tiers::Tier;
use crate::workspace::Workspace;

mod assets;
mod book;
mod cache;
mod cargo_tool;
mod chart;
mod deny;
mod deps;
mod e2e;
mod figures;
mod fuzz;
mod generate;
mod images;
mod links;
#[cfg(test)]
mod makefile;
mod manifest;
mod markdown;
mod previous;
mod process;
mod system;
mod tally;
mod test_programs;
mod tiers;
mod workspace;

/// Builds and checks Holdfast. `make help` shows the same in fewer words.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Watch two virtual IPs fail over between three nodes, and how long it took
    Demo {
        /// Passed on to `holdfast-lab demo`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run the tests: all tiers, one, or single steps
    Test {
        /// Only this tier
        #[arg(long, value_enum)]
        tier: Option<Tier>,
        /// Only the steps of this name, from any tier; may be repeated
        #[arg(long = "step", conflicts_with = "tier", value_name = "NAME")]
        steps: Vec<String>,
    },
    /// Measure Holdfast beside keepalived, and the operator at scale, and write docs/benchmarks*.md
    Bench {
        /// Passed on to `holdfast-bench`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Fuzz every parser with nightly Rust
    Fuzz {
        /// How long each target runs, in seconds
        #[arg(long, default_value_t = 60)]
        seconds: u32,
    },
    /// Format the code
    Fmt,
    /// Write the generated parts of the repository anew
    Generate {
        /// Write nothing; fail if anything differs from what would be written
        #[arg(long)]
        check: bool,
    },
    /// Build the book of docs/ and check its links
    Book,
    /// Write deploy/holdfast.yaml, the chart for people without Helm
    Manifest {
        /// Write nothing; fail if it differs from what would be written
        #[arg(long)]
        check: bool,
    },
    /// Build the programs of a real API server or of a real cluster, once, into a cache outside the checkout
    Assets {
        /// For which tests
        #[arg(long = "for", value_enum, default_value_t = assets::Set::Api)]
        set: assets::Set,
        /// Of which supported Kubernetes [default: what HOLDFAST_KUBERNETES says, or newest]
        #[arg(long, value_enum, value_name = "VERSION")]
        kubernetes: Option<assets::Kubernetes>,
    },
    /// Write container images of operator and agent to target/images, without a container engine
    Images {
        /// For which processor [default: this machine's]
        #[arg(long, value_enum)]
        arch: Option<images::Arch>,
        /// Where the sources are published, for the images' label
        #[arg(long, value_name = "URL")]
        source: Option<String>,
    },
    /// Bring up a real cluster with kubeadm, break it step by step, and measure what each step costs; needs root
    E2e {
        /// Write the outages into docs/reliability.md
        #[arg(long)]
        write: bool,
        /// Of which supported Kubernetes [default: what HOLDFAST_KUBERNETES says, or newest]
        #[arg(long, value_enum, value_name = "VERSION")]
        kubernetes: Option<assets::Kubernetes>,
        /// Also run its agents under this operator, and its operator over these agents; as git names it, such as HEAD~9
        #[arg(long, value_name = "REVISION")]
        previous: Option<String>,
    },
    /// Delete what these commands built for themselves outside the checkout
    CleanCache,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("holdfast: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    let workspace = Workspace::open()?;
    match command {
        Command::Demo { arguments } => {
            deps::ensure(&[Purpose::Demo])?;
            workspace.build_release()?;
            process::become_command(
                system::command(workspace.release_binary("holdfast-lab"))
                    .arg("demo")
                    .args(arguments),
            )
        }
        Command::Test { tier, steps } => tiers::run(&workspace, tier, &steps),
        Command::Bench { arguments } => {
            deps::ensure(&[Purpose::Bench])?;
            assets::ensure(&workspace, assets::Set::Api)?;
            workspace.build_release()?;
            let mut bench = workspace.cargo(&["run", "--locked", "--release", "-p", "holdfast-e2e"]);
            bench.args(["--bin", "holdfast-bench", "--"]).args(arguments);
            process::become_command(workspace.with_release_binaries(&mut bench))
        }
        Command::Fuzz { seconds } => {
            deps::ensure(&[Purpose::Fuzz])?;
            fuzz::run(&workspace, seconds)
        }
        Command::Fmt => process::run(&mut workspace.cargo(&["fmt", "--all"])),
        Command::Book => book::run(&workspace),
        Command::Generate { check } => generate::run(&workspace, check),
        Command::Assets { set, kubernetes } => assets::ensure_with(&workspace, set, wanted(kubernetes)?),
        Command::Manifest { check } => manifest::run(&workspace, check),
        Command::Images { arch, source } => images::run(
            &workspace,
            arch.unwrap_or_else(images::Arch::of_this_machine),
            source,
        ),
        Command::E2e {
            write,
            kubernetes,
            previous,
        } => e2e::run(&workspace, &e2e::Run::new(wanted(kubernetes)?, previous, write)?),
        Command::CleanCache => cache::clean(),
    }
}

/// The Kubernetes that a switch asks for, or the environment.
fn wanted(kubernetes: Option<assets::Kubernetes>) -> Result<assets::Kubernetes> {
    kubernetes.map_or_else(assets::Kubernetes::from_environment, Ok)
}
