//! Kubeconfig files: who asks which API server.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::pki::Pair;
use crate::error::{Doing as _, Result};

/// What proves who asks.
#[derive(Debug)]
pub(super) enum Identity<'a> {
    /// A client certificate.
    Certificate(&'a Pair),
    /// A ServiceAccount's token.
    Token(&'a str),
}

/// Writes a kubeconfig for the API server at `server` to `path`, at one stroke.
pub(super) fn write(
    path: PathBuf,
    server: &str,
    authority: &Path,
    identity: &Identity<'_>,
) -> Result<PathBuf> {
    let user = match identity {
        Identity::Certificate(pair) => {
            json!({"client-certificate": pair.certificate, "client-key": pair.key})
        }
        Identity::Token(token) => json!({"token": token}),
    };
    // JSON is YAML.
    let content = config(server, authority, &user).to_string();
    let beside = path.with_extension("new");
    fs::write(&beside, content).doing(|| format!("write {}", beside.display()))?;
    fs::rename(&beside, &path).doing(|| format!("rename {} to {}", beside.display(), path.display()))?;
    Ok(path)
}

fn config(server: &str, authority: &Path, user: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "lab", "cluster": {"server": server, "certificate-authority": authority}}],
        "users": [{"name": "user", "user": user}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "user"}}],
        "current-context": "lab",
    })
}
