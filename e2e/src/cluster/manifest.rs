//! What a user of the single manifest installs beside the programs: accounts, roles and the admission policy.

use std::{fs, path::Path};

use holdfast_lab::kubernetes::ControlPlane;

use crate::Result;

/// What a cluster needs before operator and agents may do anything; the programs themselves are started by the test.
const KINDS: [&str; 8] = [
    "Namespace",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "ClusterRole",
    "ClusterRoleBinding",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
];

/// Installs the accounts, roles and the policy of `deploy/holdfast.yaml`.
///
/// # Errors
/// With the API server's complaint about it.
pub(super) fn install_access(plane: &ControlPlane) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/holdfast.yaml");
    let manifest = fs::read_to_string(&path).map_err(|error| format!("read {}: {error}", path.display()))?;
    let wanted: Vec<&str> = manifest
        .split("\n---")
        .filter(|object| kind(object).is_some_and(|kind| KINDS.contains(&kind)))
        .collect();
    plane.apply(&wanted.join("\n---"))?;
    Ok(())
}

/// The kind of an object of the manifest.
fn kind(object: &str) -> Option<&str> {
    object.lines().find_map(|line| line.strip_prefix("kind: "))
}
