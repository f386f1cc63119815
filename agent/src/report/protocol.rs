//! What the local socket speaks: one JSON object in one line each way, then the connection ends.
//!
//! `{"status":{}}` answers `{"status":{…}}`; `{"setLogLevel":{"level":"debug"}}` answers `{"logLevel":{…}}`; what
//! cannot be done answers `{"error":{"message":"…"}}`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::status::{AgentStatus, Role};

/// The longest request in bytes; every real one is far shorter.
pub const MAX_REQUEST: u64 = 4096;

/// What a client asks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Request {
    /// What is the agent doing?
    Status {},
    /// Log at this level from now on.
    SetLogLevel {
        /// As for `--log-level`.
        level: String,
    },
}

/// What the agent answers.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Response {
    /// To [`Request::Status`].
    Status(Box<AgentStatus>),
    /// To [`Request::SetLogLevel`]: done.
    LogLevel {
        /// The level now in force.
        level: String,
    },
    /// It could not be done.
    Error {
        /// Why, in a sentence.
        message: String,
    },
}

/// The socket's path in the run directory. A standby has one of its own, because the running agent may share the
/// directory with it.
pub fn socket_path(run_dir: &Path, role: Role) -> PathBuf {
    run_dir.join(match role {
        Role::Running => "agent.sock",
        Role::Standby => "standby.sock",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_written_as_documented() {
        let status: Request = serde_json::from_str(r#"{"status":{}}"#).unwrap();
        assert_eq!(status, Request::Status {});
        let level: Request = serde_json::from_str(r#"{"setLogLevel":{"level":"debug"}}"#).unwrap();
        assert_eq!(
            level,
            Request::SetLogLevel {
                level: "debug".to_owned()
            }
        );
        assert!(serde_json::from_str::<Request>(r#"{"reboot":{}}"#).is_err());
    }
}
