//! What kubelets, administrators and controllers would write: Nodes, namespaces, Pods, tokens, CustomResourceDefinitions.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::{ControlPlane, NAMESPACE};
use crate::{error::Result, node::Node};

/// The agents' ServiceAccount.
pub const AGENT_ACCOUNT: &str = "holdfast-agent";

impl ControlPlane {
    /// Installs the CustomResourceDefinitions of this checkout, and waits until they are served.
    ///
    /// # Errors
    /// [`Error::Command`](crate::Error::Command) with the API server's refusal.
    pub fn install_crds(&self) -> Result<()> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds");
        let folder = folder.display().to_string();
        self.kubectl(&["apply", "--server-side", "-f", &folder])?;
        self.kubectl(&[
            "wait",
            "--for=condition=Established",
            "--timeout=30s",
            "-f",
            &folder,
        ])
        .map(drop)
    }

    /// Writes the Node of a node of the lab, as its kubelet would: with its name, these labels and its addresses.
    ///
    /// # Errors
    /// [`Error::Command`](crate::Error::Command) with the API server's refusal.
    pub fn add_node(&self, node: &Node, labels: &[(&str, &str)]) -> Result<()> {
        self.add_nodes(&[(node, labels)])
    }

    /// Writes several Nodes at once.
    ///
    /// # Errors
    /// Like [`add_node`](Self::add_node).
    pub fn add_nodes(&self, nodes: &[(&Node, &[(&str, &str)])]) -> Result<()> {
        let list = |with_status: bool| {
            let items: Vec<Value> = nodes
                .iter()
                .map(|(node, labels)| node_manifest(node, labels, with_status))
                .collect();
            json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
        };
        self.apply(&list(false))?;
        // A kubelet's part. Server-side apply knows one address of a type.
        self.with_manifest(&list(true), |file| {
            self.kubectl(&["replace", "--subresource=status", "-f", file])
        })
        .map(drop)
    }

    /// Makes a namespace if it is not there.
    ///
    /// # Errors
    /// [`Error::Command`](crate::Error::Command) with the API server's refusal.
    pub fn add_namespace(&self, name: &str) -> Result<()> {
        self.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}).to_string())
            .map(drop)
    }

    /// Makes a ServiceAccount if it is not there.
    ///
    /// # Errors
    /// [`Error::Command`](crate::Error::Command) when there is no such namespace.
    pub fn add_service_account(&self, namespace: &str, name: &str) -> Result<()> {
        let metadata = json!({"name": name, "namespace": namespace});
        self.apply(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}).to_string())
            .map(drop)
    }

    /// A token of a ServiceAccount that is bound to nothing.
    ///
    /// # Errors
    /// [`Error::Command`](crate::Error::Command) when there is no such account.
    pub fn token(&self, namespace: &str, account: &str) -> Result<String> {
        let token = self.kubectl(&["create", "token", account, "-n", namespace])?;
        Ok(token.trim().to_owned())
    }

    /// A token as the kubelet of `node` requests it for a Pod of `account` there: bound to the Pod, and so naming the
    /// node. The Pod is written if it is not there.
    ///
    /// # Errors
    /// [`Error::Command`](crate::Error::Command) when there is no such namespace or account.
    pub fn pod_token(&self, namespace: &str, account: &str, node: &str) -> Result<String> {
        let pod = format!("{account}-{node}");
        self.apply(&pod_manifest(namespace, account, &pod, node).to_string())?;
        let created = self.get(&["pod", &pod, "-n", namespace])?;
        let uid = created["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        let token = self.kubectl(&[
            "create",
            "token",
            account,
            "-n",
            namespace,
            "--bound-object-kind=Pod",
            &format!("--bound-object-name={pod}"),
            &format!("--bound-object-uid={uid}"),
        ])?;
        Ok(token.trim().to_owned())
    }

    /// A kubeconfig for the agent of a node: its ServiceAccount's token as [`pod_token`](Self::pod_token) has it.
    ///
    /// # Errors
    /// Like [`pod_token`](Self::pod_token).
    pub fn agent_kubeconfig(&self, node: &str) -> Result<PathBuf> {
        let token = self.pod_token(NAMESPACE, AGENT_ACCOUNT, node)?;
        self.kubeconfig_for_token(&format!("agent-{node}"), &token, None)
    }
}

fn node_manifest(node: &Node, labels: &[(&str, &str)], with_status: bool) -> Value {
    let mut all = Map::new();
    all.insert("kubernetes.io/hostname".to_owned(), json!(node.name()));
    all.extend(
        labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), json!(value))),
    );
    let mut manifest = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name(), "labels": all},
    });
    if with_status {
        manifest["status"] = json!({
            "addresses": [
                {"type": "InternalIP", "address": node.ipv4()},
                {"type": "InternalIP", "address": node.ipv6()},
                {"type": "Hostname", "address": node.name()},
            ],
            "conditions": [{"type": "Ready", "status": "True"}],
        });
    }
    manifest
}

fn pod_manifest(namespace: &str, account: &str, pod: &str, node: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": pod, "namespace": namespace},
        "spec": {
            "nodeName": node,
            "serviceAccountName": account,
            "automountServiceAccountToken": false,
            "containers": [{"name": "main", "image": "none"}],
        },
    })
}
