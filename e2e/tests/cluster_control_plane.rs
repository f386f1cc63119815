//! What a cluster's status says of a control plane's address: a certificate that does not name it, and a Node that takes it for its
//! own. Each goes when its cause does, and moves nothing.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use holdfast_api::v1alpha1::VirtualIPGroup;
use holdfast_e2e::{
    Result,
    cluster::{Cluster, SETTLED, VIP, conditions, group, serving},
    pair::{settle_on, unnoticed},
};
use holdfast_lab::{
    harness::{Case, Outcome, main as run},
    kubernetes::{ControlPlane, ControlPlaneOptions, NODE_NAME, OperatorOptions, PORT},
    wait_until,
};
use serde_json::{Value, json};

const GROUP: &str = "control-plane";
/// The label of nodes on which an API server runs.
const CONTROL_PLANE: (&str, &str) = ("node-role.kubernetes.io/control-plane", "");

fn main() -> std::process::ExitCode {
    let long = Duration::from_mins(3);
    run(&[
        Case::new(
            "a_certificate_that_does_not_name_the_address_is_told_of_until_it_is_replaced",
            certificate,
        )
        .timeout(long),
        Case::new(
            "a_node_that_reports_the_address_is_told_of_until_its_kubelet_is_right",
            node_ip,
        )
        .timeout(long),
    ])
}

fn wait_for(
    cluster: &Cluster,
    name: &str,
    what: &str,
    accept: impl FnMut(&VirtualIPGroup) -> bool,
) -> Result<VirtualIPGroup> {
    cluster.console.wait_for_group(name, what, SETTLED, accept)
}

/// `kubectl describe` of a group; fails if one of these words is not in it.
fn described(cluster: &Cluster, name: &str, words: &[&str]) -> Result<String> {
    let text = cluster.plane.kubectl(&["describe", "vipg", name])?;
    println!("{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is not in\n{text}");
    }
    Ok(text)
}

/// Waits until an Event with this reason says this.
fn wait_for_event(cluster: &Cluster, reason: &str, words: &str) -> Outcome {
    let what = format!("an Event says {reason}");
    wait_until(&what, SETTLED, || {
        let events = cluster.plane.get(&["events.events.k8s.io", "-n", "default"])?;
        let events = events["items"].as_array().cloned().unwrap_or_default();
        let says = |event: &Value| {
            event["reason"] == reason && event["note"].as_str().is_some_and(|note| note.contains(words))
        };
        Ok(events.iter().any(says))
    })?;
    Ok(())
}

/// A cluster whose API server's own node has the address in front of it, with kubeadm's kind of certificate.
fn with_a_control_plane() -> Result<Cluster> {
    let options = ControlPlaneOptions {
        without_loopback: true,
        ..ControlPlaneOptions::default()
    };
    let mut cluster = Cluster::without_programs(&["worker"], &options)?;
    let node = cluster.plane.node().clone();
    cluster.plane.add_node(&node, &[CONTROL_PLANE])?;
    cluster.nodes.push(node);
    cluster.start_operator(&OperatorOptions::default())?;
    cluster.start_agent(NODE_NAME)?;
    Ok(cluster)
}

fn control_plane(cluster: &Cluster) -> Value {
    let mut group = group(GROUP, &["10.77.0.100/24"]);
    group["spec"]["nodeSelector"] = json!({"matchLabels": {CONTROL_PLANE.0: CONTROL_PLANE.1}});
    group["spec"]["probes"] = json!([{
        "name": "apiserver",
        "preset": "KubeAPIServer",
        "presetOptions": {"tls": {"caFile": cluster.plane.authority()}},
        "period": "200ms",
    }]);
    group
}

/// What a person gets who asks for the API server at the address.
fn asked_at_the_address(plane: &ControlPlane) -> Result<String> {
    let server = format!("--server=https://{VIP}:{PORT}");
    Ok(plane.kubectl(&["get", "--raw", "/readyz", &server])?)
}

fn certificate() -> Outcome {
    let mut cluster = with_a_control_plane()?;
    let meter = cluster.meter(&[VIP])?;
    cluster.apply(&control_plane(&cluster))?;
    cluster.console.wait_until_ready(GROUP, NODE_NAME, SETTLED)?;
    settle_on(&meter, &[VIP], NODE_NAME)?;
    let start = Instant::now();
    wait_for(&cluster, GROUP, "the certificate is told of", |group| {
        conditions::reason(group, "Degraded") == "CertificateDoesNotCoverVIP"
            && conditions::is_true(group, "Degraded")
            && conditions::is_true(group, "Ready")
    })?;
    described(
        &cluster,
        GROUP,
        &[
            "CertificateDoesNotCoverVIP",
            "apiserver: the certificate of the API server on this node is for localhost, kubernetes, kubernetes.default, \
             kubernetes.default.svc,",
            "and not for 10.77.0.100, so that clients which ask there refuse it. Add the address to `apiServer.certSANs`",
            "kubeadm init phase certs apiserver",
        ],
    )?;
    wait_for_event(&cluster, "CertificateDoesNotCoverVIP", "not for 10.77.0.100")?;
    // What is said is so.
    let refused = asked_at_the_address(&cluster.plane).unwrap_err().to_string();
    assert!(refused.contains("certificate is valid for"), "{refused}");

    let own: IpAddr = cluster.plane.node().ipv4().into();
    cluster.plane.renew_certificate(&[own, VIP])?;
    let replaced = Instant::now();
    wait_for(&cluster, GROUP, "nothing is said of the certificate", |group| {
        conditions::is_false(group, "Degraded")
    })?;
    println!("told of no more {:?} after it was replaced", replaced.elapsed());
    assert_eq!(asked_at_the_address(&cluster.plane)?, "ok");
    unnoticed(&meter, VIP, start);
    Ok(())
}

/// What the kubelet of `node` says are its addresses.
fn report(cluster: &Cluster, node: &str, addresses: &[(&str, IpAddr)]) -> Outcome {
    let addresses: Vec<Value> = addresses
        .iter()
        .map(|(type_, address)| json!({"type": type_, "address": address}))
        .collect();
    let mut object = cluster.plane.get(&["node", node])?;
    object["status"]["addresses"] = json!(addresses);
    let file = cluster.plane.node().folder().join("node.json");
    std::fs::write(&file, object.to_string())?;
    let file = file.display().to_string();
    cluster
        .plane
        .kubectl(&["replace", "--subresource=status", "-f", &file])?;
    Ok(())
}

fn node_ip() -> Outcome {
    let (cluster, meter) = serving()?;
    let own: IpAddr = cluster.node("b")?.ipv4().into();
    let told = |node: &str| {
        cluster
            .plane
            .get(&["vipn", node])
            .map(|object| object["spec"].clone())
    };
    let before = (told("a")?, told("b")?);
    let start = Instant::now();
    for addresses in [
        // A kubelet without --node-ip on the node that held the address when it started.
        vec![("InternalIP", VIP), ("InternalIP", own)],
        vec![("InternalIP", own), ("ExternalIP", VIP)],
    ] {
        report(&cluster, "b", &addresses)?;
        wait_for(&cluster, "web", "the Node is told of", |group| {
            conditions::reason(group, "Degraded") == "NodeReportsVIP"
                && conditions::is_true(group, "Ready")
                && conditions::is_true(group, "Accepted")
        })?;
        let sentence = format!(
            "Node b reports 10.77.0.100 as its own address, which is a virtual address of this group: start the kubelet on b \
             with --node-ip={own} (KUBELET_EXTRA_ARGS, or kubeadm's nodeRegistration.kubeletExtraArgs), and restart it."
        );
        described(&cluster, "web", &["NodeReportsVIP", &sentence])?;
        wait_for_event(&cluster, "NodeReportsVIP", "--node-ip")?;
        assert_eq!(
            (told("a")?, told("b")?),
            before,
            "its peers are told nothing of it"
        );
        report(&cluster, "b", &[("InternalIP", own)])?;
        wait_for(&cluster, "web", "nothing is said of the Node", |group| {
            conditions::is_false(group, "Degraded") && conditions::is_true(group, "Ready")
        })?;
    }
    unnoticed(&meter, VIP, start);
    Ok(())
}
