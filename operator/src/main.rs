//! The `holdfast-operator` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    holdfast_operator::cli::main()
}
