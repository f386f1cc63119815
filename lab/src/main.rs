//! `holdfast-lab`: the demo, and a lab to look around in.

use std::{process::ExitCode, thread, time::Duration};

use clap::{Parser, Subcommand, ValueEnum};
use holdfast_lab::{Lab, Result, demo, sandbox};

/// Networks out of namespaces, with virtual IPs that fail over in them.
///
/// Needs no privilege where the machine allows user namespaces; otherwise says how to run it as root. Nothing is left
/// behind, however it ends.
#[derive(Parser)]
#[command(name = "holdfast-lab", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show two virtual IPs failing over between three nodes, and measure it (about half a minute).
    ///
    /// Exits with 1 if any virtual IP was not served as promised.
    Demo {
        /// The daemon in the nodes; keepalived is there for comparison.
        #[arg(long, value_enum, default_value_t = Daemon::Holdfast)]
        daemon: Daemon,
    },
    /// Keep a network of nodes and a client up until Ctrl-C, and say how to look inside.
    Up {
        /// The nodes' names.
        #[arg(default_values = ["a", "b", "c"])]
        nodes: Vec<String>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Daemon {
    Holdfast,
    Keepalived,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    run(arguments.command).unwrap_or_else(|error| {
        eprintln!("holdfast-lab: {error}");
        ExitCode::FAILURE
    })
}

fn run(command: Command) -> Result<ExitCode> {
    sandbox::enter()?;
    match command {
        Command::Demo { daemon } => {
            let daemon = match daemon {
                Daemon::Holdfast => demo::Daemon::Holdfast,
                Daemon::Keepalived => demo::Daemon::Keepalived,
            };
            Ok(if demo::run(daemon)? {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
        Command::Up { nodes } => up(&nodes),
    }
}

fn up(names: &[String]) -> Result<ExitCode> {
    let lab = Lab::new()?;
    let mut nodes = vec![lab.client()?];
    for name in names {
        nodes.push(lab.node(name)?);
    }
    println!("A lab is up until Ctrl-C. Enter it with:\n");
    println!("    {}\n", sandbox::enter_command());
    println!("and look around there:\n");
    for node in &nodes {
        let name = node.netns().name();
        println!(
            "    nsenter --net=/run/netns/{name} sh    # {}, {}, {}",
            node.name(),
            node.ipv4(),
            node.ipv6()
        );
    }
    println!("    bridge -n {} link", lab.switch().name());
    loop {
        thread::sleep(Duration::from_hours(1));
    }
}
