//! The `holdfast-agent` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    holdfast_agent::cli::main()
}
