//! The command line: what it accepts, what it says about itself, and which code it ends with.

mod check;
mod columns;
mod exit;
mod manifest;
mod paint;
mod privilege;
mod run;
mod status;
mod table;

use core::net::SocketAddr;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use holdfast_logging::{Format, Level};

use crate::probe::access::{self, Access};
use crate::report::protocol::{Request, Response, socket_path};
use crate::report::{LOG_MODULE, client};
use crate::status::Role;
use exit::Failure;

const ABOUT: &str = "The agent of one node: takes part in the elections of the groups it is given (VRRP), and holds \
    the virtual addresses of those it wins. Each group is a VirtualIPGroup document, the same that `kubectl apply` takes.";

const EXAMPLES: &str = "\
Examples:
  Is this configuration right, and what would node cp-1 do with it?
    holdfast-agent check --config /etc/holdfast --node cp-1

  Run it (as root, or with CAP_NET_ADMIN and CAP_NET_RAW):
    holdfast-agent run --node cp-1 --config /etc/holdfast

  Run what the cluster says, wherever the API server may be:
    holdfast-agent run --node cp-1 --kubernetes

  Who holds what, and why?
    holdfast-agent status -o wide";

/// `holdfast-agent`.
#[derive(Parser, Debug)]
#[command(name = "holdfast-agent", version, about = ABOUT, after_help = help_end(EXAMPLES), max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run the agent until SIGTERM or SIGINT
    ///
    /// On SIGTERM every address is handed to another node without a hole; a second signal ends the agent at once.
    /// A changed configuration file, or SIGHUP, is applied as a difference: groups that did not change are not
    /// touched, and a configuration with a mistake changes nothing. In each network namespace one agent runs; a
    /// second one stands by and takes over where the first one ends.
    ///
    /// With --kubernetes the agent runs what its VirtualIPNode says. It starts at once with what that said last, and
    /// with files if --config is given; the API server may come and go.
    #[command(after_help = help_end(RUN_EXAMPLES))]
    Run(Box<RunArgs>),

    /// Show what the running agent does: state, priority, addresses, faults
    #[command(after_help = STATUS_EXAMPLES)]
    Status(StatusArgs),

    /// Check a configuration without running it
    ///
    /// Prints every problem with its file, line and field, and what to write instead. Ends with code 0 if there is
    /// none and 1 if there is any.
    #[command(after_help = CHECK_EXAMPLES)]
    Check(CheckArgs),

    /// Print what runs the agent where there is no cluster yet
    Manifest(manifest::ManifestArgs),

    /// Change what the running agent logs, until it ends
    LogLevel(LogLevelArgs),

    /// Print the version
    Version,
}

const RUN_EXAMPLES: &str = "\
Examples:
  All groups in a folder, metrics and probes at http://127.0.0.1:9414/:
    holdfast-agent run --node cp-1 --config /etc/holdfast

  One file with a nodeSelector, no HTTP, more words:
    holdfast-agent run --node web-2 --node-label role=web --config web.yaml \\
      --metrics-address off --log-level debug

  Apply a changed password file now:
    kill -HUP $(pidof holdfast-agent)

  A control plane node whose kubeconfig leads to the virtual address that it holds itself:
    holdfast-agent run --node cp-1 --kubernetes --kubeconfig /etc/kubernetes/kubelet.conf \\
      --api-server https://127.0.0.1:6443";

const STATUS_EXAMPLES: &str = "\
Examples:
  holdfast-agent status                     one line a group, and what is wrong in plain words
  holdfast-agent status -o wide             with interface, source address, version, interval, reason and drops
  holdfast-agent status -o json | jq '.groups[] | select(.state != \"Active\").name'";

const CHECK_EXAMPLES: &str = "\
Examples:
  holdfast-agent check --config /etc/holdfast
  holdfast-agent check --config web.yaml --node web-2 --node-label role=web

  What does `preset: KubeAPIServer` look at?
    holdfast-agent check --config vip.yaml --node cp-1 -o probes";

/// Which node this is.
#[derive(Args, Clone, Debug)]
struct LabelArgs {
    /// A label of this node, matched against each group's nodeSelector; repeat it for more
    #[arg(long = "node-label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
}

#[derive(Args, Clone, Debug)]
struct RunArgs {
    /// This node's name, as nodeOverrides and peers write it
    #[arg(long, value_name = "NAME", env = "HOLDFAST_NODE", value_parser = node_name)]
    node: String,

    #[command(flatten)]
    labels: LabelArgs,

    /// A file of VirtualIPGroup documents, or a folder of such files (*.yaml, *.yml, *.json)
    #[arg(long, value_name = "PATH", required_unless_present = "kubernetes")]
    config: Option<PathBuf>,

    #[command(flatten)]
    cluster: ClusterArgs,

    #[command(flatten)]
    access: AccessArgs,

    #[command(flatten)]
    run_dir: RunDirArgs,

    /// Where to serve /metrics, /healthz and /readyz; `off` for nowhere
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9414", value_parser = metrics_address)]
    metrics_address: MetricsAddress,

    /// Leave connections of addresses that leave this node alone, instead of closing them so that their clients reconnect
    #[arg(long)]
    keep_connections: bool,

    /// If another agent runs in this network namespace, end with code 5 instead of standing by
    #[arg(long)]
    no_wait: bool,

    /// Ask an agent that runs here without this flag (a static pod's) for its groups, once this one has every one of them
    #[arg(long, conflicts_with = "no_wait")]
    take_over: bool,

    /// error, warn, info, debug, trace or off; or by module: info,holdfast_agent::netlink=debug
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = Level::parser(LOG_MODULE))]
    log_level: Level,

    /// How log lines look; auto is text on a terminal and json otherwise
    #[arg(long, value_name = "FORMAT", default_value = "auto", value_enum)]
    log_format: Format,
}

/// How the agent has to do with a cluster.
#[derive(Args, Clone, Debug)]
struct ClusterArgs {
    /// Run what this node's VirtualIPNode says
    #[arg(long)]
    kubernetes: bool,

    /// How to reach the API server; without it, the service account of the pod
    #[arg(long, value_name = "PATH", requires = "kubernetes")]
    kubeconfig: Option<PathBuf>,

    /// Where to connect instead, if the kubeconfig leads through an address that this node may hold
    #[arg(long, value_name = "URL", requires = "kubernetes", value_parser = server_url)]
    api_server: Option<http::Uri>,

    /// The namespace of Holdfast, its Leases and Secrets
    #[arg(
        long,
        value_name = "NAME",
        env = "POD_NAMESPACE",
        default_value = "holdfast-system"
    )]
    namespace: String,

    /// The folder that keeps what the API said last
    #[arg(long, value_name = "FOLDER", default_value = "/var/lib/holdfast")]
    cache_dir: PathBuf,
}

/// What of its node the agent can see and is allowed to run.
#[derive(Args, Clone, Debug)]
struct AccessArgs {
    /// The agent runs as a pod, which by itself sees neither the node's files nor its processes
    #[arg(long)]
    pod: bool,

    /// The pod shares the node's process identifiers (the chart's agent.hostPID)
    #[arg(long, requires = "pod")]
    host_pid: bool,

    /// A file or folder of the node that the pod has at the same path (agent.hostPaths); repeat it for more
    #[arg(long = "host-path", value_name = "PATH", requires = "pod", value_parser = absolute)]
    host_paths: Vec<PathBuf>,

    /// A program, or a folder of programs, that groups from the API may run; repeat it for more. Without it they run none
    #[arg(long, value_name = "PATH", value_parser = absolute)]
    exec_allow: Vec<PathBuf>,

    /// Run programs that others than root could change
    #[arg(long)]
    exec_insecure: bool,
}

#[derive(Args, Clone, Debug)]
struct RunDirArgs {
    /// The folder of the local socket and the state file
    #[arg(long, value_name = "FOLDER", default_value = "/run/holdfast")]
    run_dir: PathBuf,
}

#[derive(Args, Clone, Debug)]
struct StatusArgs {
    /// How to show it
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    output: status::Output,

    #[command(flatten)]
    run_dir: RunDirArgs,
}

#[derive(Args, Clone, Debug)]
struct CheckArgs {
    /// A file of VirtualIPGroup documents, or a folder of such files (*.yaml, *.yml, *.json)
    #[arg(long, value_name = "PATH")]
    config: PathBuf,

    /// Also show what this node would run
    #[arg(long, value_name = "NAME", env = "HOLDFAST_NODE", value_parser = node_name)]
    node: Option<String>,

    /// What to show
    #[arg(
        short,
        long,
        value_name = "WHAT",
        value_enum,
        default_value_t,
        requires_if("probes", "node")
    )]
    output: check::Output,

    #[command(flatten)]
    labels: LabelArgs,
}

#[derive(Args, Clone, Debug)]
struct LogLevelArgs {
    /// error, warn, info, debug, trace or off; or by module: info,holdfast_agent::netlink=debug
    #[arg(value_parser = Level::parser(LOG_MODULE))]
    level: Level,

    #[command(flatten)]
    run_dir: RunDirArgs,
}

/// Where HTTP is served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum MetricsAddress {
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
        Command::Run(args) => run::run(*args),
        Command::Status(args) => status::status(&args),
        Command::Check(args) => return check::check(&args),
        Command::Manifest(args) => manifest::manifest(args),
        Command::LogLevel(args) => log_level(&args),
        Command::Version => {
            say(&format!("holdfast-agent {}\n", env!("CARGO_PKG_VERSION")));
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&format!("holdfast-agent: {failure}\n"));
            failure.code()
        }
    }
}

fn log_level(args: &LogLevelArgs) -> Result<(), Failure> {
    let request = Request::SetLogLevel {
        level: args.level.to_string(),
    };
    let path = socket_path(&args.run_dir.run_dir, Role::Running);
    match client::ask(&path, &request).map_err(anyhow::Error::from)? {
        Response::LogLevel { level } => {
            say(&format!("the running agent now logs at {level}\n"));
            Ok(())
        }
        other => Err(anyhow::anyhow!("the agent answered something else: {other:?}").into()),
    }
}

impl LabelArgs {
    fn to_map(&self) -> BTreeMap<String, String> {
        self.labels.iter().cloned().collect()
    }
}

impl AccessArgs {
    fn to_access(&self) -> Access {
        Access {
            pod: self.pod,
            host_pid: self.host_pid,
            host_paths: self.host_paths.clone(),
            exec_allow: self.exec_allow.clone(),
            exec_insecure: self.exec_insecure,
            set_user: access::may_set_user(),
        }
    }
}

/// Writes to standard output. Whoever reads it may have seen enough, which is no failure.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Writes to standard error, which may be closed.
fn complain(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

fn help_end(examples: &str) -> String {
    format!("{examples}\n\n{}", exit::HELP)
}

fn node_name(text: &str) -> Result<String, String> {
    // Kubernetes' rule for node names: a DNS subdomain (RFC 1123).
    let part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    if text.len() <= 253 && text.split('.').all(part) {
        Ok(text.to_owned())
    } else {
        Err(
            "a node's name has lower-case letters, digits, `-` and `.`, as in cp-1 or node7.example.org"
                .to_owned(),
        )
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE, as in role=web".to_owned()),
    }
}

fn absolute(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_absolute() {
        Ok(path)
    } else {
        Err("write an absolute path, as in /etc/holdfast/checks".to_owned())
    }
}

fn metrics_address(text: &str) -> Result<MetricsAddress, String> {
    if text == "off" {
        return Ok(MetricsAddress::Off);
    }
    text.parse().map(MetricsAddress::At).map_err(|_| {
        "write an address and a port, as in 127.0.0.1:9414, 0.0.0.0:9414 or [::1]:9414, or off".to_owned()
    })
}

fn server_url(text: &str) -> Result<http::Uri, String> {
    let url: Option<http::Uri> = text.parse().ok();
    url.filter(|url| matches!(url.scheme_str(), Some("https" | "http")) && url.host().is_some())
        .ok_or_else(|| "write the URL of the API server, as in https://127.0.0.1:6443".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_teaches_with_examples_and_exit_codes() {
        let mut command = Cli::command().term_width(100);
        command.build();
        insta::assert_snapshot!("help", command.render_long_help());
        let run = command.find_subcommand_mut("run").unwrap();
        insta::assert_snapshot!("help_run", run.render_long_help());
    }

    #[test]
    fn arguments_that_make_no_sense_are_refused_with_what_to_write() {
        let refused = [
            ["--node", "CP_1", "lower-case letters"],
            ["--node-label", "role", "KEY=VALUE"],
            ["--metrics-address", "9414", "127.0.0.1:9414"],
            ["--log-level", "loud", "write error, warn"],
            ["--api-server", "127.0.0.1:6443", "https://127.0.0.1:6443"],
            ["--kubeconfig", "/k", "--kubernetes"],
        ];
        for [flag, value, sentence] in refused {
            let line = [
                "holdfast-agent",
                "run",
                "--node",
                "a",
                "--config",
                "/c",
                flag,
                value,
            ];
            // --node may stand only once, and the refusal of its value comes first.
            let line: Vec<&str> = if flag == "--node" {
                [&line[..2], &line[4..]].concat()
            } else {
                line.to_vec()
            };
            let error = Cli::try_parse_from(line).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(sentence), "{error}");
        }
    }
}
