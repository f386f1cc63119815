//! What the cluster knew when a case ended, as a log beside those of its programs: shown when the case has failed.

use std::fs;

use holdfast_lab::kubernetes::{ControlPlane, NAMESPACE};
use serde_json::Value;

/// Writes every object of Holdfast, one a line, and the Events about them.
pub(super) fn write(plane: &ControlPlane) {
    let mut lines = Vec::new();
    for (kinds, namespace) in [
        ("vipg,vipn", NAMESPACE),
        ("leases", NAMESPACE),
        ("events.events.k8s.io", "default"),
    ] {
        match plane.get(&[kinds, "-n", namespace, "--request-timeout=2s"]) {
            Ok(list) => lines.extend(list["items"].as_array().into_iter().flatten().map(brief)),
            Err(error) => lines.push(error.to_string()),
        }
    }
    // Nothing can be done about a log that cannot be written, and the case has said what it has to say.
    fs::write(plane.node().folder().join("objects.log"), lines.join("\n")).ok();
}

/// An object without what nobody asks about.
fn brief(object: &Value) -> String {
    let metadata = &object["metadata"];
    let mut brief = object.clone();
    brief["metadata"] = serde_json::json!({
        "name": metadata["name"],
        "generation": metadata["generation"],
        "deletionTimestamp": metadata["deletionTimestamp"],
        "finalizers": metadata["finalizers"],
    });
    brief.to_string()
}
