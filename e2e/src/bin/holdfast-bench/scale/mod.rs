//! The operator beside a real API server in a large cluster without agents: how long it takes, what it writes, what it
//! costs, and what it asks while nothing changes.

mod audit;
mod objects;
mod page;

use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use holdfast_api::v1alpha1::{AGENT_FIELD_MANAGER, VirtualIPGroup, VirtualIPNode};
use holdfast_lab::{
    Lab, command,
    kubernetes::{ControlPlane, ControlPlaneOptions, NAMESPACE, Operator, OperatorOptions, operator_binary},
};
use k8s_openapi::api::core::v1::Node;
use kube::{
    Api, Client, Config,
    api::{Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    runtime::watcher::{self, watcher},
};

use crate::{
    Progress,
    usage::{self, Memory},
};
use audit::Audit;
pub use page::page;

/// The user as whom the operator under test asks, so that its requests can be told from all others.
const USER: &str = "operator";
/// Requests that the bench has under way at a time.
pub const PARALLEL: usize = 16;
/// How long the operator may take to write everything.
const PATIENCE: Duration = Duration::from_mins(10);
/// Nothing is asked for so long: the operator has finished.
const SETTLED: Duration = Duration::from_secs(5);

/// How large a cluster is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size {
    /// How many groups.
    pub groups: usize,
    /// How many members each of them has; no node is a member of two.
    pub members: usize,
}

impl Size {
    /// How many nodes the cluster has.
    pub const fn nodes(self) -> usize {
        self.groups * self.members
    }
}

/// What was measured.
#[derive(Clone, Debug)]
pub struct Scale {
    /// The cluster.
    pub size: Size,
    /// What `holdfast-operator --version` says.
    pub operator: String,
    /// The API server's version.
    pub kubernetes: String,
    /// From the first `apply` of a group until the last one was answered: what the API server bore.
    pub applied: Duration,
    /// From the first `apply` of a group until the last VirtualIPNode was written.
    pub written: Duration,
    /// From the first `apply` until the operator had nothing left to do.
    pub settled: Duration,
    /// How often a VirtualIPNode was written meanwhile.
    pub node_writes: usize,
    /// How often anything else was.
    pub other_writes: usize,
    /// The operator's CPU time until then.
    pub cpu: Duration,
    /// The operator's memory afterwards.
    pub memory: Memory,
    /// How long nothing changed.
    pub quiet: Duration,
    /// What the operator asked for meanwhile.
    pub quiet_requests: usize,
    /// How many of these were for its own Lease.
    pub quiet_leases: usize,
    /// How many of these were watches that ended, as each does after a few minutes.
    pub quiet_watches: usize,
    /// The operator's CPU time meanwhile.
    pub quiet_cpu: Duration,
    /// One node reported another address: how often a VirtualIPNode was written because of it.
    pub change_node_writes: usize,
    /// How often anything else was, Leases left out.
    pub change_other_writes: usize,
}

/// Makes the cluster, starts the operator, and measures.
pub fn run(size: Size, quiet: Duration, progress: Progress) -> Result<Scale> {
    let lab = Lab::new()?;
    let audit = Audit::new(&lab.folder().join("audit"), USER)?;
    let options = ControlPlaneOptions {
        arguments: audit.arguments(),
        ..ControlPlaneOptions::default()
    };
    let cluster = ControlPlane::start_with(&lab, &options)?;
    cluster.install_crds()?;
    cluster.add_namespace(NAMESPACE)?;
    progress.say(&format!("the operator: making {} nodes", size.nodes()));
    inside(&cluster, |client| make_nodes(client, size))?;
    let kubeconfig = cluster.kubeconfig_for_user(USER, Some("system:masters"))?;
    let operator = Operator::start(cluster.node(), &kubeconfig, &OperatorOptions::default())?;
    let processes = usage::family(operator.process.pid())?;
    thread::sleep(SETTLED);

    progress.say(&format!("the operator: applying {} groups", size.groups));
    let before = audit.read()?;
    let start = Instant::now();
    let (applied, written) = inside(&cluster, |client| apply_and_watch(client, size))?;
    let settled = audit.wait_until_quiet(SETTLED, PATIENCE)?.duration_since(start);
    let cpu = usage::cpu_time(&processes)?;
    let first = audit.read()?.since(&before);

    progress.say(&format!(
        "the operator: nothing changes for {} s",
        quiet.as_secs()
    ));
    let before = audit.read()?;
    thread::sleep(quiet);
    let still = audit.read()?.since(&before);
    let quiet_cpu = usage::cpu_time(&processes)?.saturating_sub(cpu);
    let memory = usage::memory(&processes)?;

    progress.say("the operator: one node takes part from another address");
    let before = audit.read()?;
    inside(&cluster, change_one_node)?;
    audit.wait_until_quiet(SETTLED, PATIENCE)?;
    let change = audit.read()?.since(&before);
    let operator_binary = operator_binary()?.display().to_string();
    let server: serde_json::Value = serde_json::from_str(&cluster.kubectl(&["get", "--raw", "/version"])?)?;
    Ok(Scale {
        size,
        operator: command::run(&operator_binary, &["--version"])?.trim().to_owned(),
        kubernetes: server["gitVersion"].as_str().unwrap_or("unknown").to_owned(),
        applied,
        written,
        settled,
        node_writes: first.writes_of("virtualipnodes"),
        other_writes: first.writes() - first.writes_of("virtualipnodes") - first.writes_of("leases"),
        cpu,
        memory,
        quiet,
        quiet_requests: still.requests(),
        quiet_leases: still.requests_for("leases"),
        quiet_watches: still.watches(),
        quiet_cpu,
        change_node_writes: change.writes_of("virtualipnodes"),
        change_other_writes: change.writes()
            - change.writes_of("virtualipnodes")
            - change.writes_of("leases"),
    })
}

/// Runs `work` with a client of the API server, on a thread in the control plane's network namespace.
fn inside<T, F>(cluster: &ControlPlane, work: impl FnOnce(Client) -> F + Send) -> Result<T>
where
    T: Send,
    F: Future<Output = Result<T>>,
{
    let path = cluster.admin_kubeconfig();
    let mut outcome = Err(anyhow!("the thread did not run"));
    cluster.node().netns().run(|| {
        outcome = (|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let kubeconfig = Kubeconfig::read_from(path)?;
                let config =
                    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
                work(Client::try_from(config)?).await
            })
        })();
        Ok(())
    })?;
    outcome
}

async fn make_nodes(client: Client, size: Size) -> Result<()> {
    let api: Api<Node> = Api::all(client);
    let nodes = (0..size.nodes()).map(|index| objects::node(index, size));
    in_parallel(nodes, |node| {
        let api = api.clone();
        async move { api.create(&PostParams::default(), &node).await.map(drop) }
    })
    .await
    .context("make the Nodes")
}

/// Applies every group and watches until every node is told of its own. Answers when the last group was applied and when
/// the last node was written.
async fn apply_and_watch(client: Client, size: Size) -> Result<(Duration, Duration)> {
    let start = Instant::now();
    let groups: Api<VirtualIPGroup> = Api::all(client.clone());
    let apply = async {
        in_parallel((0..size.groups).map(objects::group), |group| {
            let groups = groups.clone();
            async move {
                let name = group.metadata.name.clone().unwrap_or_default();
                let params = PatchParams::apply("bench");
                groups
                    .patch(&name, &params, &Patch::Apply(&group))
                    .await
                    .map(drop)
            }
        })
        .await
        .context("apply the groups")?;
        anyhow::Ok(start.elapsed())
    };
    let watch = async {
        let mut told = BTreeSet::new();
        let nodes: Api<VirtualIPNode> = Api::all(client);
        let mut events = watcher(nodes, watcher::Config::default()).boxed();
        while told.len() < size.nodes() {
            let event = tokio::time::timeout(PATIENCE, events.try_next())
                .await
                .map_err(|_| {
                    anyhow!(
                        "{} of {} nodes were written, then no more",
                        told.len(),
                        size.nodes()
                    )
                })??;
            match event {
                Some(watcher::Event::Apply(node) | watcher::Event::InitApply(node)) => {
                    if !node.spec.groups.is_empty() {
                        told.extend(node.metadata.name);
                    }
                }
                Some(_) => {}
                None => bail!("the watch of the VirtualIPNodes ended"),
            }
        }
        anyhow::Ok(start.elapsed())
    };
    futures::try_join!(apply, watch)
}

async fn change_one_node(client: Client) -> Result<()> {
    let api: Api<VirtualIPNode> = Api::all(client);
    let name = objects::node_name(0);
    let report = Patch::Apply(objects::report_of_node_0(&api.get(&name).await?));
    api.patch_status(&name, &PatchParams::apply(AGENT_FIELD_MANAGER), &report)
        .await
        .context("report another address of a node")?;
    Ok(())
}

async fn in_parallel<T, F>(items: impl Iterator<Item = T>, send: impl Fn(T) -> F) -> Result<(), kube::Error>
where
    F: Future<Output = Result<(), kube::Error>>,
{
    stream::iter(items.map(Ok))
        .try_for_each_concurrent(PARALLEL, send)
        .await
}
