//! A cluster in the lab: a real API server, an operator, and an agent on each of a few nodes.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use holdfast_lab::{
    Agent, AgentOptions, Lab, Meter, Node,
    kubernetes::{ControlPlane, ControlPlaneOptions, NAMESPACE, Operator, OperatorOptions},
};
use serde_json::{Value, json};

pub mod conditions;
mod console;
mod last_words;
mod manifest;
mod web;

pub use self::{
    console::{Console, Recording},
    web::{VIP, serve, serving, wait_until_all_share, web},
};
use crate::{Result, pair::PATIENCE};

/// The label of the nodes that share in the groups of [`group`].
pub const LABEL: (&str, &str) = ("vip.example.com/edge", "yes");
/// The operators' ServiceAccount.
const OPERATOR_ACCOUNT: &str = "holdfast-operator";
/// How long it may take from an edit to its end in the status, on a machine that is busy with other cases.
pub const SETTLED: Duration = Duration::from_secs(20);

/// A cluster with an operator in the API server's node and an agent in every other.
#[derive(Debug)]
pub struct Cluster {
    /// The agents that run, by node.
    pub agents: BTreeMap<String, Agent>,
    /// The operators that run.
    pub operators: Vec<Operator>,
    /// The test's own eyes.
    pub console: Console,
    /// etcd and the API server.
    pub plane: ControlPlane,
    /// Asks for virtual addresses.
    pub client: Node,
    /// The nodes, each with a Node object.
    pub nodes: Vec<Node>,
    operator_kubeconfig: PathBuf,
    /// Last, because it can go only when all that is in it is gone.
    pub lab: Lab,
}

impl Cluster {
    /// Starts everything: nodes of these names with [`LABEL`], the API server with what the manifest installs, one
    /// operator, and an agent on each node.
    ///
    /// # Errors
    /// When a program was not built, or ends at once.
    pub fn start(names: &[&str]) -> Result<Self> {
        let mut cluster = Self::without_programs(names, &ControlPlaneOptions::default())?;
        cluster.start_operator(&OperatorOptions::default())?;
        for name in names {
            cluster.start_agent(name)?;
        }
        Ok(cluster)
    }

    /// Starts the API server with what the manifest installs and the Nodes, but neither operator nor agents.
    ///
    /// # Errors
    /// Like [`start`](Self::start).
    pub fn without_programs(names: &[&str], options: &ControlPlaneOptions) -> Result<Self> {
        let lab = Lab::new()?;
        let client = lab.client()?;
        let nodes = names
            .iter()
            .map(|name| lab.node(name))
            .collect::<holdfast_lab::Result<Vec<_>>>()?;
        let plane = ControlPlane::start_with(&lab, options)?;
        plane.install_crds()?;
        manifest::install_access(&plane)?;
        let labels = [LABEL];
        let labelled: Vec<(&Node, &[(&str, &str)])> = nodes.iter().map(|node| (node, &labels[..])).collect();
        plane.add_nodes(&labelled)?;
        Ok(Self {
            agents: BTreeMap::new(),
            operators: Vec::new(),
            console: Console::new(plane.node(), plane.admin_kubeconfig())?,
            operator_kubeconfig: operator_kubeconfig(&plane)?,
            plane,
            client,
            nodes,
            lab,
        })
    }

    /// The node of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn node(&self, name: &str) -> Result<&Node> {
        let found = self.nodes.iter().find(|node| node.name() == name);
        found.ok_or_else(|| format!("the cluster has no node {name}").into())
    }

    /// The agent on this node.
    ///
    /// # Errors
    /// When none runs.
    pub fn agent(&self, name: &str) -> Result<&Agent> {
        let found = self.agents.get(name);
        found.ok_or_else(|| format!("no agent runs on {name}").into())
    }

    /// Adds a node without labels and without an agent.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn add_node(&mut self, name: &str) -> Result<()> {
        let node = self.lab.node(name)?;
        self.plane.add_node(&node, &[])?;
        self.nodes.push(node);
        Ok(())
    }

    /// Writes the operators' kubeconfig anew, for an API server that has moved.
    ///
    /// # Errors
    /// When the API server gives no token.
    pub fn renew_operator_kubeconfig(&mut self) -> Result<()> {
        self.operator_kubeconfig = operator_kubeconfig(&self.plane)?;
        Ok(())
    }

    /// Starts one more operator, in the API server's node.
    ///
    /// # Errors
    /// When there is no operator binary.
    pub fn start_operator(&mut self, options: &OperatorOptions) -> Result<()> {
        let operator = Operator::start(self.plane.node(), &self.operator_kubeconfig, options)?;
        self.operators.push(operator);
        Ok(())
    }

    /// Starts the agent of a node, with a token as its kubelet gets it, and waits until it answers.
    ///
    /// # Errors
    /// When there is no agent binary, or it ends at once.
    pub fn start_agent(&mut self, name: &str) -> Result<()> {
        let kubeconfig = self.plane.agent_kubeconfig(name)?;
        self.start_agent_with(name, &kubeconfig, None, &AgentOptions::default())
    }

    /// Starts the agent of a node with a kubeconfig, a file and options of the test's choice.
    ///
    /// # Errors
    /// Like [`start_agent`](Self::start_agent).
    pub fn start_agent_with(
        &mut self,
        name: &str,
        kubeconfig: &Path,
        file: Option<&str>,
        options: &AgentOptions,
    ) -> Result<()> {
        let mut agent = Agent::start_in_cluster(self.node(name)?, kubeconfig, file, options)?;
        agent.wait_until_answering(PATIENCE)?;
        self.agents.insert(name.to_owned(), agent);
        Ok(())
    }

    /// Applies an object.
    ///
    /// # Errors
    /// With the API server's refusal.
    pub fn apply(&self, object: &Value) -> Result<()> {
        self.plane.apply(&object.to_string())?;
        Ok(())
    }

    /// Waits until the object of a node does not know a group any more, neither what it is told nor what it says.
    ///
    /// # Errors
    /// With the object as it was last.
    pub fn wait_until_forgotten(&self, node: &str, group: &str) -> Result<()> {
        let what = format!("{node} has forgotten {group}");
        self.console.wait_for_node(node, &what, SETTLED, |object| {
            let told = object.spec.groups.iter().any(|entry| entry.name == group);
            let said = object.status.as_ref();
            !told && !said.is_some_and(|status| status.groups.iter().any(|entry| entry.name == group))
        })?;
        Ok(())
    }

    /// Starts to measure these addresses on all nodes.
    ///
    /// # Errors
    /// When a socket cannot be made.
    pub fn meter(&self, vips: &[IpAddr]) -> Result<Meter> {
        Ok(Meter::start(&self.client, &self.nodes, vips)?)
    }

    /// Cuts a node off from the API server, and from nobody else.
    ///
    /// # Errors
    /// When nftables is missing.
    pub fn cut_off(&self, name: &str) -> Result<()> {
        Ok(self.node(name)?.lose_frames_to(self.plane.node())?)
    }

    /// Ends all of [`cut_off`](Self::cut_off).
    ///
    /// # Errors
    /// When nftables is missing.
    pub fn reconnect(&self) -> Result<()> {
        Ok(self.plane.node().heal_losses()?)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        last_words::write(&self.plane);
    }
}

fn operator_kubeconfig(plane: &ControlPlane) -> Result<PathBuf> {
    let token = plane.token(NAMESPACE, OPERATOR_ACCOUNT)?;
    Ok(plane.kubeconfig_for_token(OPERATOR_ACCOUNT, &token, None)?)
}

/// A group of these addresses on the nodes with [`LABEL`], advertised every 100 ms by unicast.
pub fn group(name: &str, addresses: &[&str]) -> Value {
    let addresses: Vec<Value> = addresses
        .iter()
        .map(|address| json!({"address": address}))
        .collect();
    json!({
        "apiVersion": "vip.holdfast.dev/v1alpha1",
        "kind": "VirtualIPGroup",
        "metadata": {"name": name},
        "spec": {
            "addresses": addresses,
            "nodeSelector": {"matchLabels": {LABEL.0: LABEL.1}},
            "advertisement": {"interval": "100ms"},
        },
    })
}

/// The same with one node that is preferred.
pub fn group_preferring(name: &str, addresses: &[&str], node: &str) -> Value {
    let mut group = group(name, addresses);
    group["spec"]["nodeOverrides"] = json!([{"nodes": [node], "priority": 200}]);
    group
}
