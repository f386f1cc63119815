//! What an agent may do: its token is good for its own node's status and Lease, whatever roles it has.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

use std::{path::Path, time::Duration};

use holdfast_e2e::cluster::Cluster;
use holdfast_lab::{
    harness::{Case, Outcome, main as run},
    kubernetes::{AGENT_ACCOUNT, ControlPlane, ControlPlaneOptions, NAMESPACE},
    wait_until,
};

fn main() -> std::process::ExitCode {
    run(&[Case::new(
        "an_agent_writes_its_own_status_and_lease_and_nothing_else",
        own_only,
    )
    .timeout(Duration::from_mins(2))])
}

/// One thing to try, named as in the test's complaint about it.
#[derive(Clone, Copy)]
enum Attempt {
    /// What somebody types.
    Kubectl(&'static str, &'static [&'static str]),
    /// To write the status of this node's object, as its agent does.
    Status(&'static str),
    /// To write this node's Lease, as its agent does.
    Lease(&'static str),
    /// To write an object of this API version, kind and `namespace/name`.
    Object(&'static str, &'static str, &'static str),
}

use Attempt::{Kubectl, Lease, Object, Status};

const DELETE_ITS_LEASE: Attempt = Kubectl(
    "delete its own Lease",
    &["delete", "lease", "holdfast-agent.a", "-n", NAMESPACE],
);
const DELETE_ITS_OBJECT: Attempt = Kubectl("delete its own object", &["delete", "vipn", "a"]);

/// What the agent of node a does all day.
const ITS_OWN: &[Attempt] = &[
    Kubectl("read its own object", &["get", "vipn", "a"]),
    Kubectl("read another node's object", &["get", "vipn", "b"]),
    Status("a"),
    Lease("a"),
    Kubectl("read a password", &["get", "secret", "password", "-n", NAMESPACE]),
    Kubectl(
        "ask what it may do",
        &["auth", "can-i", "get", "secrets", "-n", NAMESPACE],
    ),
];

/// What its roles do not allow.
const BEYOND_ITS_ROLES: &[Attempt] = &[
    Kubectl(
        "read another namespace's secrets",
        &["get", "secrets", "-n", "kube-system"],
    ),
    Kubectl("read Nodes", &["get", "nodes"]),
    Kubectl("read groups", &["get", "vipg"]),
    Kubectl(
        "act as an administrator",
        &["get", "nodes", "--as=admin", "--as-group=system:masters"],
    ),
    Object("events.k8s.io/v1", "Event", "default/mine"),
    Object("vip.holdfast.dev/v1alpha1", "VirtualIPGroup", "mine"),
    DELETE_ITS_OBJECT,
    DELETE_ITS_LEASE,
];

/// What only the policy refuses, once somebody has made the agents administrators of the cluster.
const BEYOND_ITS_NODE: &[Attempt] = &[
    Status("b"),
    Lease("b"),
    Object(
        "coordination.k8s.io/v1",
        "Lease",
        "holdfast-system/holdfast-operator",
    ),
    Object("coordination.k8s.io/v1", "Lease", "default/holdfast-agent.a"),
    Object("vip.holdfast.dev/v1alpha1", "VirtualIPNode", "mine"),
    Object("v1", "ServiceAccount", "holdfast-system/mine"),
    Kubectl(
        "run a program in its own Pod",
        &["exec", "holdfast-agent-a", "-n", NAMESPACE, "--", "true"],
    ),
    Kubectl(
        "write its own spec",
        &[
            "patch",
            "vipn",
            "a",
            "--type=merge",
            "-p",
            r#"{"spec": {"requiredFeatures": ["x"]}}"#,
        ],
    ),
    DELETE_ITS_OBJECT,
    DELETE_ITS_LEASE,
    Kubectl("make a namespace", &["create", "namespace", "mine"]),
    Kubectl("label its own Node", &["label", "node", "a", "mine=yes"]),
    Kubectl(
        "write a password",
        &["create", "secret", "generic", "mine", "-n", NAMESPACE],
    ),
    Kubectl(
        "get another token",
        &["create", "token", "holdfast-operator", "-n", NAMESPACE],
    ),
];

impl Attempt {
    fn what(self) -> String {
        match self {
            Kubectl(what, _) => what.to_owned(),
            Status(node) => format!("write the status of {node}"),
            Lease(node) => format!("write the Lease of {node}"),
            Object(_, kind, name) => format!("write the {kind} {name}"),
        }
    }

    /// Whether it succeeded for whom the kubeconfig says, and what kubectl said.
    fn tried(self, plane: &ControlPlane, kubeconfig: &Path) -> holdfast_lab::Result<(bool, String)> {
        let output = match self {
            Kubectl(_, args) => plane.kubectl_as(kubeconfig, args)?,
            Status(node) => plane.apply_as(kubeconfig, &status(node), &["--subresource=status"])?,
            Lease(node) => plane.apply_as(kubeconfig, &lease(node), &[])?,
            Object(version, kind, name) => plane.apply_as(kubeconfig, &object(version, kind, name), &[])?,
        };
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok((output.status.success(), said))
    }
}

fn status(node: &str) -> String {
    format!(
        "apiVersion: vip.holdfast.dev/v1alpha1\nkind: VirtualIPNode\nmetadata: {{name: {node}}}\nstatus: \
         {{agentVersion: test}}\n"
    )
}

fn lease(node: &str) -> String {
    format!(
        "apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {{name: holdfast-agent.{node}, namespace: \
         {NAMESPACE}}}\nspec: {{leaseDurationSeconds: 40}}\n"
    )
}

fn object(version: &str, kind: &str, name: &str) -> String {
    let metadata = match name.split_once('/') {
        Some((namespace, name)) => format!("{{name: {name}, namespace: {namespace}}}"),
        None => format!("{{name: {name}}}"),
    };
    let mut text = format!("apiVersion: {version}\nkind: {kind}\nmetadata: {metadata}\n");
    // No more than the schema asks for.
    match kind {
        "VirtualIPGroup" => text.push_str("spec: {addresses: [{address: 192.0.2.9/24}]}\n"),
        "VirtualIPNode" => text.push_str("spec: {}\n"),
        _ => {}
    }
    text
}

fn own_only() -> Outcome {
    let cluster = Cluster::without_programs(&["a", "b"], &ControlPlaneOptions::default())?;
    let plane = &cluster.plane;
    for node in ["a", "b"] {
        plane.apply(&format!(
            "apiVersion: vip.holdfast.dev/v1alpha1\nkind: VirtualIPNode\nmetadata: {{name: {node}}}\nspec: {{}}\n"
        ))?;
    }
    plane.kubectl(&["create", "secret", "generic", "password", "-n", NAMESPACE])?;
    let agent = plane.agent_kubeconfig("a")?;
    let unbound = plane.token(NAMESPACE, AGENT_ACCOUNT)?;
    let unbound = plane.kubeconfig_for_token("unbound", &unbound, None)?;

    // A policy is enforced some time after it was written.
    let refusal = "the agent of node a writes the status of VirtualIPNode a only, not of b";
    let mut last = String::new();
    let enforced = wait_until("the policy is enforced", Duration::from_secs(30), || {
        let (done, said) = Status("b").tried(plane, &agent)?;
        last = said;
        std::thread::sleep(Duration::from_millis(100));
        Ok(!done && last.contains(refusal))
    });
    assert!(enforced.is_ok(), "{last}");

    for attempt in ITS_OWN {
        let (done, said) = attempt.tried(plane, &agent)?;
        assert!(done, "{}: {said}", attempt.what());
    }
    for attempt in BEYOND_ITS_ROLES {
        let (done, said) = attempt.tried(plane, &agent)?;
        assert!(
            !done && said.to_lowercase().contains("forbidden"),
            "{}: {said}",
            attempt.what()
        );
    }
    // With its status it can change nothing else of its object.
    let more = status("a").replace(
        "{name: a}",
        "{name: a, labels: {mine: yes}, finalizers: [example.com/mine]}",
    );
    plane.apply_as(&agent, &more, &["--subresource=status"])?;
    let written = plane.get(&["vipn", "a"])?;
    for field in ["labels", "finalizers"] {
        assert!(written["metadata"][field].is_null(), "{written}");
    }
    let (done, said) = Status("a").tried(plane, &unbound)?;
    assert!(
        !done && said.contains("does not say which node it was issued for"),
        "{said}"
    );

    plane.kubectl(&[
        "create",
        "clusterrolebinding",
        "too-much",
        "--clusterrole=cluster-admin",
        "--serviceaccount=holdfast-system:holdfast-agent",
    ])?;
    wait_until("the agents are administrators", Duration::from_secs(20), || {
        Ok(plane.kubectl_as(&agent, &["get", "nodes"])?.status.success())
    })?;
    for attempt in BEYOND_ITS_NODE {
        let (done, said) = attempt.tried(plane, &agent)?;
        assert!(
            !done && said.contains("ValidatingAdmissionPolicy 'holdfast-agent'"),
            "{}: {said}",
            attempt.what()
        );
    }
    // Others are not meant.
    plane.kubectl(&["label", "node", "a", "ours=yes"])?;
    Ok(())
}
