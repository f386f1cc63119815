//! Running one command: shown before it starts, and judged by how it ends.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

use crate::tally::Tally;

/// Runs `command` with our own standard streams, but without input.
pub fn run(command: &mut Command) -> Result<()> {
    show(command);
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| cannot_start(command))?;
    judge(command, status)
}

/// Runs `command` like [`run`] and returns what it wrote to its standard output.
pub fn output(command: &mut Command) -> Result<String> {
    show(command);
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| cannot_start(command))?;
    judge(command, output.status)?;
    String::from_utf8(output.stdout)
        .with_context(|| format!("`{}` wrote something that is not text", describe(command)))
}

/// Runs `command` like [`run`] and adds the tests that it reports on its standard output to `tally`, also if it fails.
pub fn run_tests(command: &mut Command, tally: &mut Tally) -> Result<()> {
    show(command);
    run_tests_to(&mut io::stdout().lock(), command, tally)
}

/// Turns this process into `command`, which keeps the terminal and its signals. Returns only if that fails.
pub fn become_command(command: &mut Command) -> Result<()> {
    show(command);
    Err(command.exec()).with_context(|| cannot_start(command))
}

/// `command` as one would type it, without its environment.
pub fn describe(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let words = std::iter::once(program)
        .chain(command.get_args())
        .map(OsStr::to_string_lossy);
    words.collect::<Vec<_>>().join(" ")
}

fn run_tests_to(screen: &mut impl Write, command: &mut Command, tally: &mut Tally) -> Result<()> {
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().with_context(|| cannot_start(command))?;
    let mut counted = Tally::default();
    if let Some(output) = child.stdout.take() {
        counted = forward(output, screen).context("reading the output of the tests")?;
    }
    *tally += counted;
    let status = child.wait().context("waiting for the tests to end")?;
    judge(command, status)?;
    if counted.passed == 0 {
        bail!("`{}` ran no test at all", describe(command));
    }
    Ok(())
}

/// Copies lines as they come and counts the tests they report.
fn forward(output: impl Read, to: &mut impl Write) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut reader = BufReader::new(output);
    let mut line = Vec::new();
    // Bytes, not strings: a test may print anything.
    while reader.read_until(b'\n', &mut line)? > 0 {
        to.write_all(&line)?;
        to.flush()?;
        tally.add_line(&String::from_utf8_lossy(&line));
        line.clear();
    }
    Ok(tally)
}

fn show(command: &Command) {
    println!("  $ {}", describe(command));
}

fn cannot_start(command: &Command) -> String {
    format!("cannot start `{}`", command.get_program().to_string_lossy())
}

fn judge(command: &Command, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("`{}` failed: {status}", describe(command));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_command_that_fails_is_an_error_that_names_it() {
        let error = run(&mut shell("exit 3")).unwrap_err().to_string();
        assert!(error.contains("sh -c exit 3") && error.contains('3'), "{error}");
    }

    #[test]
    fn the_output_of_a_command_counts_only_if_it_succeeds() {
        assert_eq!(output(&mut shell("echo yes")).unwrap(), "yes\n");
        assert!(output(&mut shell("echo no; exit 1")).is_err());
    }

    #[test]
    fn tests_are_counted_over_all_binaries_even_if_one_fails() {
        let script = "echo 'test result: ok. 2 passed; 0 failed; 0 ignored'; \
                      echo 'test result: FAILED. 3 passed; 1 failed; 1 ignored'; exit 1";
        let mut tally = Tally::default();
        assert!(run_tests_to(&mut io::sink(), &mut shell(script), &mut tally).is_err());
        assert_eq!(
            tally,
            Tally {
                passed: 5,
                failed: 1,
                ignored: 1
            }
        );
    }

    #[test]
    fn a_test_command_that_runs_nothing_does_not_pass() {
        let mut nothing = shell("echo 'test result: ok. 0 passed; 0 failed; 0 ignored'");
        let error = run_tests_to(&mut io::sink(), &mut nothing, &mut Tally::default()).unwrap_err();
        assert!(error.to_string().contains("ran no test"), "{error}");
    }

    #[test]
    fn output_that_is_not_text_is_passed_on_unchanged() {
        let mut copy = Vec::new();
        forward(&b"\xff\xfe\nlast line without end"[..], &mut copy).unwrap();
        assert_eq!(copy, b"\xff\xfe\nlast line without end");
    }
}
