//! What an agent says about itself, looked at from a test.

use std::{fs, thread, time::Duration};

use holdfast_lab::{Agent, wait_until};
use serde_json::Value;

use crate::Result;

/// How often a status that is waited for is asked again: each answer costs a process.
const PAUSE: Duration = Duration::from_millis(30);

/// One group of the agent's status.
///
/// # Errors
/// When the agent does not answer, or has no such group.
pub fn group(agent: &Agent, name: &str) -> Result<Value> {
    let status = agent.status()?;
    let found = status["groups"]
        .as_array()
        .and_then(|groups| groups.iter().find(|group| group["name"] == name));
    found
        .cloned()
        .ok_or_else(|| format!("{} runs no group `{name}`: {status}", agent.node().name()).into())
}

/// Waits until the agent's group `name` is such that `accept` says yes, and returns it.
///
/// # Errors
/// After `patience`, with `what` and the status as it was last.
pub fn wait_for_group(
    agent: &Agent,
    name: &str,
    what: &str,
    patience: Duration,
    mut accept: impl FnMut(&Value) -> bool,
) -> Result<Value> {
    let mut last = Err("never asked".to_owned());
    let waited = wait_until(what, patience, || {
        last = group(agent, name).map_err(|error| error.to_string());
        if last.as_ref().is_ok_and(&mut accept) {
            return Ok(true);
        }
        thread::sleep(PAUSE);
        Ok(false)
    });
    match (waited, last) {
        (Ok(_), Ok(group)) => Ok(group),
        (Ok(_), Err(error)) => Err(error.into()),
        (Err(error), last) => Err(format!("{error}; the last status: {last:?}").into()),
    }
}

/// Waits until the agent's group `name` is in `state`, and returns it.
///
/// # Errors
/// Like [`wait_for_group`].
pub fn wait_for_state(agent: &Agent, name: &str, state: &str, patience: Duration) -> Result<Value> {
    let what = format!("{} is {state} for {name}", agent.node().name());
    wait_for_group(agent, name, &what, patience, |group| group["state"] == state)
}

/// Waits until the agent's group `name` is Backup of an Active router that it hears, and returns it.
///
/// # Errors
/// Like [`wait_for_group`].
pub fn wait_for_peer(agent: &Agent, name: &str, patience: Duration) -> Result<Value> {
    let what = format!("{} hears who is Active for {name}", agent.node().name());
    wait_for_group(agent, name, &what, patience, |group| {
        group["state"] == "Backup" && group["activePeer"].is_string()
    })
}

/// Waits until the agent's group `name` is out of the election for these reasons and no others, and returns it. What happens to a
/// node may be seen in steps, each with a reason of its own.
///
/// # Errors
/// Like [`wait_for_group`].
pub fn wait_for_faults(agent: &Agent, name: &str, reasons: &[&str], patience: Duration) -> Result<Value> {
    let what = format!("{} has the faults {reasons:?} for {name}", agent.node().name());
    wait_for_group(agent, name, &what, patience, |group| {
        group["state"] == "Fault" && faults(group) == reasons
    })
}

/// Waits until the agent has said `words` in its log, which may be a moment after its status has them.
///
/// # Errors
/// After `patience`, with the log.
pub fn wait_for_log(agent: &Agent, words: &str, patience: Duration) -> Result<()> {
    let what = format!("the agent on {} says {words:?}", agent.node().name());
    let waited = wait_until(&what, patience, || Ok(agent.process.log()?.contains(words)));
    match waited {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{error}:\n{}", agent.process.log()?).into()),
    }
}

/// Waits until the agent has noticed something of this kind, and returns the sentence.
///
/// # Errors
/// Like [`wait_for_group`].
pub fn wait_for_notice(agent: &Agent, name: &str, kind: &str, patience: Duration) -> Result<Value> {
    let of_kind = |group: &Value| {
        let notices = group["notices"].as_array()?;
        notices.iter().find(|notice| notice["kind"] == kind).cloned()
    };
    let what = format!("{} notices {kind}", agent.node().name());
    let group = wait_for_group(agent, name, &what, patience, |group| of_kind(group).is_some())?;
    of_kind(&group).ok_or_else(|| "the notice is gone again".into())
}

/// Waits until it is written down in the agent's run folder that its node is Active for the group `name`, which is what an agent
/// that comes after a crash goes by.
///
/// # Errors
/// After `patience`, with what is written there.
pub fn wait_until_noted(agent: &Agent, name: &str, patience: Duration) -> Result<()> {
    let file = agent.run_folder().join("state.json");
    let read = || fs::read_to_string(&file).unwrap_or_default();
    let what = format!("{} notes that it is Active for {name}", agent.node().name());
    let waited = wait_until(&what, patience, || {
        let noted: Value = serde_json::from_str(&read()).unwrap_or_default();
        Ok(noted["active"][name].is_object())
    });
    match waited {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{error}: {}", read()).into()),
    }
}

/// The reasons of the group's present faults.
pub fn faults(group: &Value) -> Vec<&str> {
    let faults = group["faults"].as_array().map(Vec::as_slice).unwrap_or_default();
    faults
        .iter()
        .filter_map(|fault| fault["reason"].as_str())
        .collect()
}

/// One of the group's counters.
pub fn counter(group: &Value, name: &str) -> u64 {
    group["counters"][name].as_u64().unwrap_or(0)
}
