//! `holdfast-agent status`.

use std::path::Path;

use anyhow::{Context as _, anyhow};
use jiff::Timestamp;

use super::exit::Failure;
use super::paint::Paint;
use super::table;
use super::{StatusArgs, say};
use crate::report::client::{self, ClientError};
use crate::report::protocol::{Request, Response, socket_path};
use crate::status::{AgentStatus, Role};

/// How a status is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum Output {
    /// One line a group, then what is wrong.
    #[default]
    Table,
    /// The table with interface, source address, version, interval, reason and drops.
    Wide,
    /// Everything, counters included.
    Json,
    /// Everything, counters included.
    Yaml,
}

/// Asks the running agent and prints its answer.
pub fn status(args: &StatusArgs) -> Result<(), Failure> {
    let status = ask(&args.run_dir.run_dir)?;
    say(&show(&status, args.output)?);
    Ok(())
}

/// The running agent answers if there is one, otherwise the one that stands by.
fn ask(run_dir: &Path) -> anyhow::Result<AgentStatus> {
    let running = client::ask(&socket_path(run_dir, Role::Running), &Request::Status {});
    let response = match running {
        Err(ClientError::NotRunning(path)) => {
            let standby = client::ask(&socket_path(run_dir, Role::Standby), &Request::Status {});
            standby.map_err(|_| ClientError::NotRunning(path))
        }
        other => other,
    }?;
    match response {
        Response::Status(status) => Ok(*status),
        other => Err(anyhow!("the agent answered something else: {other:?}")),
    }
}

fn show(status: &AgentStatus, output: Output) -> anyhow::Result<String> {
    let now = Timestamp::now();
    match output {
        Output::Table => Ok(table::render(status, false, now, Paint::for_stdout())),
        Output::Wide => Ok(table::render(status, true, now, Paint::for_stdout())),
        Output::Json => {
            let text = serde_json::to_string_pretty(status).context("writing the status as JSON")?;
            Ok(text + "\n")
        }
        Output::Yaml => {
            holdfast_api::yaml::write(status).map_err(|error| anyhow!("writing the status as YAML: {error}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn json_and_yaml_say_the_same() {
        let status = example::agent();
        let json: serde_json::Value = serde_json::from_str(&show(&status, Output::Json).unwrap()).unwrap();
        let yaml = holdfast_api::yaml::read(&show(&status, Output::Yaml).unwrap()).unwrap();
        assert_eq!(yaml[0].value, json);
        assert_eq!(json["groups"][0]["virtualRouterID"], 51);
    }
}
