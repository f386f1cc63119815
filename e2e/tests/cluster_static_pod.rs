//! What `examples/kubeadm` has for kubelets, read by a real API server: fields that it does not know are refused, and so are
//! values that no kubelet would take.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

use std::{fs, path::Path, time::Duration};

use holdfast_lab::{
    Lab,
    harness::{Case, Outcome, main as run},
    kubernetes::ControlPlane,
};

fn main() -> std::process::ExitCode {
    run(&[Case::new(
        "the_api_server_takes_every_static_pod_and_the_group_as_they_are",
        taken,
    )
    .timeout(Duration::from_mins(3))])
}

fn taken() -> Outcome {
    let lab = Lab::new()?;
    let plane = ControlPlane::start(&lab)?;
    plane.install_crds()?;
    // No controller of a cluster runs here, which would make it. A static Pod does not ask for it.
    plane.kubectl(&["-n", "kube-system", "create", "serviceaccount", "default"])?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/kubeadm");
    let (mut pods, mut groups) = (0, 0);
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let text = fs::read_to_string(&path)?;
        let is_pod = text.contains("\nkind: Pod\n");
        if !is_pod && !text.starts_with("apiVersion: vip.holdfast.dev/") {
            continue;
        }
        let file = path.display().to_string();
        let said = plane.kubectl(&[
            "apply",
            "--dry-run=server",
            "--validate=strict",
            "-o",
            "json",
            "-f",
            &file,
        ])?;
        let stored: serde_json::Value = serde_json::from_str(&said)?;
        if is_pod {
            pods += 1;
            assert_eq!(stored["metadata"]["namespace"], "kube-system", "{file}");
            // What the scheduler would count among the node's ports keeps another agent away from it.
            let ports = &stored["spec"]["containers"][0]["ports"];
            assert_eq!(ports, &serde_json::Value::Null, "{file}");
            // The API server computes the priority anew and refuses another one.
            assert_eq!(stored["spec"]["priority"], 2_000_001_000, "{file}");
        } else {
            groups += 1;
            assert_eq!(stored["spec"]["virtualRouterID"], 100, "{file}");
        }
    }
    assert!(pods >= 3 && groups >= 1, "{pods} Pods and {groups} groups");
    Ok(())
}
