//! Runs the system's tools (`ip`, `bridge`, `nft`) to their end and turns failure into a sentence.

use std::{
    env,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use crate::{
    error::{Doing as _, Error, Result},
    sandbox,
};

/// Where Debian keeps administrators' tools; not on an ordinary user's `PATH`.
const ADMIN_FOLDERS: &str = "/usr/local/sbin:/usr/sbin:/sbin";

/// Which Debian package brings which tool.
const PACKAGES: &[(&str, &str)] = &[
    ("ip", "iproute2"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("chrt", "util-linux"),
    ("runc", "runc"),
    ("tar", "tar"),
    ("bridge", "iproute2"),
    ("nft", "nftables"),
    ("keepalived", "keepalived"),
    ("dumpcap", "wireshark-common"),
    ("tshark", "tshark"),
    ("zebra", "frr"),
    ("vrrpd", "frr"),
    ("nginx", "nginx-light"),
    ("haproxy", "haproxy"),
    ("mariadb", "mariadb-client"),
    ("mariadbd", "mariadb-server"),
    ("mariadb-install-db", "mariadb-server"),
];

/// Fails with one sentence naming the package unless each of `tools` is installed.
///
/// # Errors
/// [`Error::MissingTool`] for the first one that is not.
pub fn require_tools(tools: &[&str]) -> Result<()> {
    match tools.iter().find(|tool| find_tool(tool).is_none()) {
        Some(tool) => Err(missing(tool)),
        None => Ok(()),
    }
}

/// The path of an installed tool; administrators' folders are searched too, whatever `PATH` says.
pub fn find_tool(tool: &str) -> Option<PathBuf> {
    env::split_paths(&search_path())
        .map(|folder| folder.join(tool))
        .find(|path| path.is_file())
}

/// Runs `command` to its end and returns its standard output.
///
/// # Errors
/// [`Error::MissingTool`] when it is not installed, [`Error::Command`] when it ends with anything but success.
pub fn run(command: &str, args: &[&str]) -> Result<String> {
    let output = prepare(command, args).stdin(Stdio::null()).output();
    checked(command, args, output)
}

/// Runs `command` with `input` on its standard input and returns its standard output.
///
/// # Errors
/// Like [`run`].
pub fn run_with_input(command: &str, args: &[&str], input: &str) -> Result<String> {
    let mut child = prepare(command, args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| not_started(command, args, error))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A tool that refuses its first line closes the pipe; its own message says more than ours would.
        match stdin.write_all(input.as_bytes()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                return Err(error).doing(|| format!("write to `{command}`"));
            }
            _ => {}
        }
    }
    checked(command, args, child.wait_with_output())
}

/// A command with the lab's search path and without the lab's own variables.
pub(crate) fn prepare(command: impl AsRef<Path>, args: &[&str]) -> Command {
    let name = command.as_ref();
    let program = name
        .to_str()
        .and_then(find_tool)
        .unwrap_or_else(|| name.to_owned());
    let mut prepared = Command::new(program);
    prepared
        .args(args)
        .env("PATH", search_path())
        .env_remove(sandbox::STAGE);
    prepared
}

/// The sentence for a command that could not even be started.
pub(crate) fn not_started(command: &str, args: &[&str], error: io::Error) -> Error {
    // A folder on the path that this user may not enter makes it "permission denied" instead of "not found".
    if !command.contains('/') && find_tool(command).is_none() {
        return missing(command);
    }
    Error::System {
        doing: format!("start `{}`", line(command, args)),
        source: error,
    }
}

pub(crate) fn checked(command: &str, args: &[&str], output: io::Result<Output>) -> Result<String> {
    let output = output.map_err(|error| not_started(command, args, error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Error::Command {
        command: line(command, args),
        status: output.status.to_string(),
        stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

/// The sentence for a tool that is not installed.
pub(crate) fn missing(tool: &str) -> Error {
    let package = PACKAGES
        .iter()
        .find(|(name, _)| *name == tool)
        .map_or(tool, |(_, package)| package);
    let sudo = if nix::unistd::Uid::effective().is_root() {
        ""
    } else {
        "sudo "
    };
    Error::MissingTool {
        tool: tool.to_owned(),
        install: format!("{sudo}apt-get install -y {package}"),
    }
}

fn search_path() -> String {
    match env::var("PATH") {
        Ok(path) if !path.is_empty() => format!("{path}:{ADMIN_FOLDERS}"),
        _ => format!("{ADMIN_FOLDERS}:/usr/local/bin:/usr/bin:/bin"),
    }
}

fn line(command: &str, args: &[&str]) -> String {
    [&[command], args].concat().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_says_its_line_its_exit_code_and_its_complaint() {
        let error = run("sh", &["-c", "echo no such thing >&2; exit 3"])
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "`sh -c echo no such thing >&2; exit 3` failed (exit status: 3): no such thing"
        );
    }

    #[test]
    fn a_missing_tool_is_one_sentence_with_the_command_that_installs_it() {
        let error = missing("bridge").to_string();
        assert!(
            error.starts_with("the lab needs the command `bridge`; install it with: "),
            "{error}"
        );
        assert!(error.ends_with("apt-get install -y iproute2"), "{error}");
    }

    #[test]
    fn input_reaches_the_command() {
        assert_eq!(run_with_input("cat", &[], "link show\n").unwrap(), "link show\n");
    }
}
