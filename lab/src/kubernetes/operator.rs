//! The operator, running in a node of the lab.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::NAMESPACE;
use crate::{agent::binary, error::Result, node::Node, process::Process};

/// The variable that names the operator's binary.
pub const OPERATOR_VARIABLE: &str = "HOLDFAST_OPERATOR";

/// How to start an operator, where it differs from the only one of its node.
#[derive(Clone, Default, Debug)]
pub struct OperatorOptions {
    /// What it calls itself in the election; its node's name where nothing is said.
    pub identity: Option<String>,
    /// The port for metrics and health on its loopback; 8080 where nothing is said.
    pub port: Option<u16>,
    /// More arguments after `run` and the usual ones.
    pub arguments: Vec<String>,
}

/// A running operator. It ends, without a last word, when this is dropped.
#[derive(Debug)]
pub struct Operator {
    /// The daemon: its log, its signals.
    pub process: Process,
    node: Node,
    address: SocketAddr,
}

impl Operator {
    /// Starts an operator in `node`, asking the API server as the kubeconfig says.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) when there is no operator binary.
    pub fn start(node: &Node, kubeconfig: &Path, options: &OperatorOptions) -> Result<Self> {
        let address = SocketAddr::from(([127, 0, 0, 1], options.port.unwrap_or(8080)));
        let identity = options.identity.as_deref().unwrap_or(node.name());
        let (listen, kubeconfig) = (address.to_string(), kubeconfig.display().to_string());
        let mut arguments = vec![
            "run",
            "--namespace",
            NAMESPACE,
            "--identity",
            identity,
            "--kubeconfig",
            &kubeconfig,
            "--metrics-address",
            &listen,
        ];
        arguments.extend(options.arguments.iter().map(String::as_str));
        Ok(Self {
            process: node.spawn(operator_binary()?, &arguments)?,
            node: node.clone(),
            address,
        })
    }

    /// The node it runs in.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The address of its metrics and health endpoints; reachable only inside of its node.
    pub fn metrics_address(&self) -> SocketAddr {
        self.address
    }
}

/// The operator's binary: what `HOLDFAST_OPERATOR` names, or `holdfast-operator` beside this program or in the folder
/// above.
///
/// # Errors
/// [`Error::Invalid`](crate::Error::Invalid) that says how to build it.
pub fn operator_binary() -> Result<PathBuf> {
    binary("holdfast-operator", OPERATOR_VARIABLE)
}
