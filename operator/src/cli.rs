//! The command line: what it accepts, what it says about itself, and which code it ends with.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _, Parser, Subcommand};
use holdfast_api::duration::GatewayDuration;
use holdfast_logging::{Format, Level};

use crate::{connect, run, uninstall};

const ABOUT: &str = "The operator: turns VirtualIPGroups into what each node's agent is told, and what the agents \
    report into each group's status. Addresses are served and moved without it.";

const EXIT_CODES: &str = "\
Exit codes:
  0  ended as asked
  1  failed, or does not lead any more; the last line says why
  2  the command line is not understood";

/// `holdfast-operator`.
#[derive(Parser, Debug)]
#[command(name = "holdfast-operator", version, about = ABOUT, after_help = EXIT_CODES, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run the operator until SIGTERM or SIGINT
    ///
    /// Any number of replicas may run: one leads, the others watch and take over when it ends. A replica that
    /// cannot renew its Lease for ten seconds ends with code 1.
    Run(RunArgs),

    /// Say whether Holdfast may be taken out of the cluster
    ///
    /// Ends with code 0 if there is no VirtualIPGroup; otherwise names them, says what to do, and ends with code 1.
    UninstallCheck(Connect),

    /// Print the version
    Version,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Connect {
    /// How to reach the API server; default: as a pod does, or as kubectl does
    #[arg(long, value_name = "PATH")]
    pub kubeconfig: Option<PathBuf>,
}

/// How the operator runs.
#[derive(Args, Clone, Debug)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub connect: Connect,

    /// The namespace of Holdfast's Leases
    #[arg(
        long,
        value_name = "NAME",
        env = "POD_NAMESPACE",
        default_value = "holdfast-system"
    )]
    pub namespace: String,

    /// This replica's name, which no other one has; default: the host's name and the process
    #[arg(long, value_name = "NAME", env = "POD_NAME")]
    pub identity: Option<String>,

    /// Lead without asking: for an operator that is certainly alone
    #[arg(long)]
    pub no_leader_election: bool,

    /// Where to serve /metrics, /healthz and /readyz; `off` for nowhere
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:8080", value_parser = metrics_address)]
    pub metrics_address: MetricsAddress,

    /// How long a silent agent is waited for: when a group is deleted, and when its Node object is gone
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    pub member_patience: Duration,

    /// A host or address of the cluster's API endpoint; a group that has it is not deleted by accident. Repeat it for
    /// more. Known without it: the host that the operator itself asks, and the one in kube-public/cluster-info
    #[arg(long = "api-endpoint", value_name = "HOST")]
    pub api_endpoints: Vec<String>,

    /// error, warn, info, debug, trace or off; or by module: info,holdfast_operator::watch=debug
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = Level::parser("holdfast_operator::watch"))]
    pub log_level: Level,

    /// How log lines look; auto is text on a terminal and json otherwise
    #[arg(long, value_name = "FORMAT", default_value = "auto", value_enum)]
    pub log_format: Format,
}

/// Where HTTP is served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum MetricsAddress {
    Off,
    At(SocketAddr),
}

/// What the command line accepts.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Reads the command line, does what it says, and answers the exit code.
pub fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(args) => {
            holdfast_logging::init(&args.log_level, args.log_format);
            in_runtime(run::run(args))
        }
        Command::UninstallCheck(connect) => in_runtime(uninstall_check(connect)),
        Command::Version => {
            say(&format!("holdfast-operator {}\n", env!("CARGO_PKG_VERSION")));
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "holdfast-operator: {failure:#}");
            ExitCode::FAILURE
        }
    }
}

async fn uninstall_check(args: Connect) -> anyhow::Result<()> {
    let connection = connect::connect(args.kubeconfig.as_ref()).await?;
    let names = uninstall::groups_in_the_way(connection.client).await?;
    anyhow::ensure!(names.is_empty(), "{}", uninstall::refusal(&names));
    say("there is no VirtualIPGroup: Holdfast may be uninstalled\n");
    Ok(())
}

fn in_runtime(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let outcome = runtime.block_on(work);
    // A name server that hangs must not keep the process.
    runtime.shutdown_background();
    outcome
}

/// Writes to standard output. Whoever reads it may have seen enough, which is no failure.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn metrics_address(text: &str) -> Result<MetricsAddress, String> {
    if text == "off" {
        return Ok(MetricsAddress::Off);
    }
    text.parse().map(MetricsAddress::At).map_err(|_| {
        "write an address and a port, as in 0.0.0.0:8080, 127.0.0.1:8080 or [::1]:8080, or off".to_owned()
    })
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration: GatewayDuration = text
        .parse()
        .map_err(|_| format!("`{text}` is not a duration: write 30s, 5m or 1h30m"))?;
    Ok(duration.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_says_what_there_is() {
        let mut command = Cli::command().term_width(100);
        command.build();
        insta::assert_snapshot!("help", command.render_long_help());
        let run = command.find_subcommand_mut("run").unwrap();
        insta::assert_snapshot!("help_run", run.render_long_help());
    }

    #[test]
    fn arguments_that_make_no_sense_are_refused_with_what_to_write() {
        for [flag, value, sentence] in [
            ["--metrics-address", "8080", "0.0.0.0:8080"],
            ["--member-patience", "long", "write 30s"],
            ["--log-level", "loud", "write error, warn"],
        ] {
            let error = Cli::try_parse_from(["holdfast-operator", "run", flag, value]).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(sentence), "{error}");
        }
    }
}
