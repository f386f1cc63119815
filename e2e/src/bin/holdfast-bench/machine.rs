//! Where and when it was measured, and which versions.

use std::fs;

use anyhow::Result;
use holdfast_lab::{agent::agent_binary, command, sandbox};
use jiff::Timestamp;
use nix::sys::utsname::uname;

/// The machine, the day, and the programs.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The date, in UTC.
    pub date: String,
    /// The processors' model, and whether they are a virtual machine's.
    pub processor: String,
    /// How many there are.
    pub cores: usize,
    /// The kernel's release.
    pub kernel: String,
    /// The load average over a minute before it began.
    pub load: String,
    /// What `holdfast-agent --version` says.
    pub holdfast: String,
    /// What `keepalived --version` says first.
    pub keepalived: String,
    /// Whether an ordinary user ran it.
    pub rootless: bool,
}

impl Machine {
    /// Looks around.
    pub fn look() -> Result<Self> {
        let agent = agent_binary()?.display().to_string();
        let information = fs::read_to_string("/proc/cpuinfo")?;
        Ok(Self {
            date: Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string(),
            processor: processor(&information),
            cores: std::thread::available_parallelism()?.get(),
            kernel: uname()?.release().to_string_lossy().into_owned(),
            load: load()?,
            holdfast: command::run(&agent, &["--version"])?.trim().to_owned(),
            keepalived: keepalived_version()?,
            rootless: sandbox::is_rootless(),
        })
    }
}

/// The load average over the last minute.
pub fn load() -> Result<String> {
    let text = fs::read_to_string("/proc/loadavg")?;
    Ok(text.split_whitespace().next().unwrap_or("unknown").to_owned())
}

/// keepalived says its version on standard error.
fn keepalived_version() -> Result<String> {
    command::require_tools(&["keepalived"])?;
    let output = std::process::Command::new("keepalived")
        .arg("--version")
        .output()?;
    let text = [output.stderr, output.stdout].concat();
    Ok(version_line(&String::from_utf8_lossy(&text)))
}

/// The first line, without the date in parentheses.
fn version_line(text: &str) -> String {
    let line = text
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("unknown");
    line.split('(').next().unwrap_or(line).trim().to_owned()
}

fn processor(information: &str) -> String {
    let value = |name: &str| {
        let line = information.lines().find(|line| line.starts_with(name))?;
        line.split_once(':').map(|(_, value)| value.trim())
    };
    let model = value("model name").unwrap_or("unknown processor");
    let flags = value("flags").unwrap_or_default();
    if flags.split(' ').any(|flag| flag == "hypervisor") {
        format!("{model}, in a virtual machine")
    } else {
        model.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_virtual_machine_is_called_one() {
        let virtual_machine = "processor : 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu hypervisor vme\n";
        assert_eq!(processor(virtual_machine), "AMD EPYC, in a virtual machine");
        assert_eq!(processor("model name : X\nflags : fpu\n"), "X");
        assert_eq!(processor(""), "unknown processor");
    }

    #[test]
    fn a_version_is_the_first_line_without_its_date() {
        let text = "Keepalived v2.2.7 (01/16,2022)\n\nCopyright";
        assert_eq!(version_line(text), "Keepalived v2.2.7");
    }
}
