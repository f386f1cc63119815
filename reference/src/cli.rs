//! The page of command lines: every command with its flags, their defaults and variables, as clap parses them.

use core::fmt::Write as _;

use clap::builder::StyledStr;
use clap::{Arg, ArgAction, Command};

use crate::{GENERATED, cell};

const INTRODUCTION: &str = "\
What `--help` says. A flag counts before the variable that stands beside it. Every command also takes `--help`.";

/// The page, from the command line of each program.
pub fn page(programs: [Command; 2]) -> String {
    let mut page = format!("# Command lines\n\n{GENERATED}\n\n{INTRODUCTION}\n");
    for mut program in programs {
        program.build();
        section(&mut page, &program, program.get_name(), 2);
    }
    page
}

fn section(page: &mut String, command: &Command, title: &str, level: usize) {
    let _ = writeln!(page, "\n{} {title}\n", "#".repeat(level));
    // Made from the name: rendering the usage would need a command of its own.
    if !command.has_subcommands() {
        let usage = command.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ");
        let _ = writeln!(page, "```text\n{}\n```\n", usage.trim());
    }
    let about = command.get_long_about().or(command.get_about());
    let _ = writeln!(page, "{}", sentences(about));

    arguments(page, command);
    if let Some(end) = command.get_after_help() {
        let _ = writeln!(page, "\n```text\n{}\n```", end.to_string().trim());
    }
    for command in commands(command) {
        // Below the program's name all stand side by side, however deep they are.
        section(page, command, &format!("{title} {}", command.get_name()), 3);
    }
}

fn arguments(page: &mut String, command: &Command) {
    let arguments: Vec<&Arg> = command.get_arguments().filter(|arg| is_ours(arg)).collect();
    if arguments.is_empty() {
        return;
    }
    page.push_str("\n| Argument | Default | Variable | Meaning |\n|---|---|---|---|\n");
    for arg in arguments {
        let variable = arg.get_env().map(|name| format!("`{}`", name.display()));
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} |",
            name(arg),
            default(arg),
            variable.unwrap_or_default(),
            meaning(arg)
        );
    }
}

/// Commands but for those that clap adds.
fn commands(command: &Command) -> impl Iterator<Item = &Command> {
    command
        .get_subcommands()
        .filter(|command| command.get_name() != "help" && !command.is_hide_set())
}

/// Whether clap did not add it, and people are to see it.
fn is_ours(arg: &Arg) -> bool {
    let added = matches!(
        arg.get_action(),
        ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
    );
    !added && !arg.is_hide_set()
}

/// As one would type it: `-o, --output FORMAT`, or `--write[=PATH]` where the value may be left out.
fn name(arg: &Arg) -> String {
    let short = arg.get_short().map(|short| format!("-{short}"));
    let long = arg.get_long().map(|long| format!("--{long}"));
    let names: Vec<String> = short.into_iter().chain(long).collect();
    let names = names.join(", ");
    let values = arg.get_value_names().unwrap_or_default().join(" ");
    let takes_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    let may_be_left_out = arg.get_num_args().is_some_and(|range| range.min_values() == 0);
    match (takes_value, may_be_left_out, arg.is_require_equals_set()) {
        _ if names.is_empty() => values,
        (false, _, _) => names,
        (true, false, false) => format!("{names} {values}"),
        (true, false, true) => format!("{names}={values}"),
        (true, true, false) => format!("{names} [{values}]"),
        (true, true, true) => format!("{names}[={values}]"),
    }
}

fn default(arg: &Arg) -> String {
    if arg.is_required_set() {
        return "required".to_owned();
    }
    // What a switch is without being written goes without saying.
    if matches!(arg.get_action(), ArgAction::SetTrue | ArgAction::SetFalse) {
        return String::new();
    }
    let values = arg.get_default_values().iter();
    let values: Vec<String> = values.map(|value| format!("`{}`", value.display())).collect();
    values.join(", ")
}

fn meaning(arg: &Arg) -> String {
    let mut meaning = sentences(arg.get_long_help().or(arg.get_help()));
    if matches!(arg.get_action(), ArgAction::Set | ArgAction::Append) {
        let choices: Vec<String> = arg
            .get_possible_values()
            .iter()
            .filter(|value| !value.is_hide_set())
            .map(|value| match value.get_help() {
                Some(help) => format!("`{}` ({help})", value.get_name()),
                None => format!("`{}`", value.get_name()),
            })
            .collect();
        if !choices.is_empty() {
            let _ = write!(meaning, ": {}", choices.join(", "));
        }
    }
    cell(&meaning)
}

fn sentences(text: Option<&StyledStr>) -> String {
    text.map(ToString::to_string)
        .unwrap_or_default()
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use clap::{arg, value_parser};

    use super::*;

    fn rows(command: &Command) -> Vec<String> {
        let mut page = String::new();
        arguments(&mut page, command);
        page.lines().skip(3).map(str::to_owned).collect()
    }

    #[test]
    fn an_argument_is_a_row_with_default_and_variable() {
        let command = Command::new("x")
            .arg(
                arg!(-o --output <FORMAT> "How")
                    .default_value("table")
                    .required(false),
            )
            .arg(arg!(--node <NAME> "Which node").required(true))
            .arg(arg!(--fast "No | waiting"))
            .arg(arg!(<FILE> "What to read"));
        assert_eq!(
            rows(&command),
            [
                "| `-o, --output FORMAT` | `table` |  | How |",
                "| `--node NAME` | required |  | Which node |",
                "| `--fast` |  |  | No \\| waiting |",
                "| `FILE` | required |  | What to read |",
            ]
        );
    }

    #[test]
    fn a_value_is_written_as_the_help_of_clap_writes_it() {
        for (values, equals, typed) in [
            (1..=1, false, "--to PATH"),
            (1..=1, true, "--to=PATH"),
            (0..=1, false, "--to [PATH]"),
            (0..=1, true, "--to[=PATH]"),
        ] {
            let to = Arg::new("to").long("to").value_name("PATH");
            let mut command = Command::new("x").arg(to.num_args(values).require_equals(equals));
            let help = command.render_help().to_string().replace(['<', '>'], "");
            assert!(help.lines().any(|line| line.trim() == typed), "{typed}: {help}");
            assert_eq!(rows(&command), [format!("| `{typed}` |  |  |  |")]);
        }
    }

    #[test]
    fn choices_are_listed_with_what_they_mean() {
        let flag = arg!(--how <HOW> "How")
            .value_parser(["fast", "slow"])
            .required(false);
        let row = "| `--how HOW` |  |  | How: `fast`, `slow` |";
        assert_eq!(rows(&Command::new("x").arg(flag)), [row]);
    }

    #[test]
    fn what_clap_adds_and_what_is_hidden_is_left_out() {
        let mut command = Command::new("x")
            .version("1")
            .arg(arg!(--secret <N>).value_parser(value_parser!(u8)).hide(true))
            .subcommand(Command::new("y"));
        command.build();
        assert_eq!(rows(&command), Vec::<String>::new());
        assert_eq!(
            commands(&command).map(Command::get_name).collect::<Vec<_>>(),
            ["y"]
        );
    }
}
