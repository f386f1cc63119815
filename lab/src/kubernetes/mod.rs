//! A real Kubernetes API server in a node of the lab: etcd, kube-apiserver, kubectl, and what can go wrong with them.
//!
//! There is no kubelet, scheduler or controller manager: Nodes, namespaces and Pods are written by the test
//! ([`objects`](ControlPlane::add_node)), and nothing happens to them by itself. Agents in other nodes reach the API
//! server over the lab's switch.
//!
//! ```no_run
//! # fn case() -> holdfast_lab::Result<()> {
//! use holdfast_lab::{Lab, kubernetes::ControlPlane};
//!
//! let lab = Lab::new()?;
//! let worker = lab.node("w1")?;
//! let cluster = ControlPlane::start(&lab)?;
//! cluster.install_crds()?;
//! cluster.add_node(&worker, &[("role", "edge")])?;
//! cluster.apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: here}\n")?;
//! println!("{}", cluster.kubectl(&["get", "namespaces,nodes"])?);
//! # Ok(())
//! # }
//! ```

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    error::{Doing as _, Error, Result},
    lab::{Lab, wait_until},
    node::Node,
    process::Process,
};

pub mod assets;
mod etcd;
mod kubeconfig;
mod kubectl;
mod objects;
mod operator;
mod pki;

use self::{
    assets::KUBE_APISERVER,
    etcd::{Etcd, is_listening, still_running},
    kubeconfig::Identity,
    pki::{Pair, Pki, TokenKeys},
};
pub use self::{
    objects::AGENT_ACCOUNT,
    operator::{OPERATOR_VARIABLE, Operator, OperatorOptions, operator_binary},
};

/// The namespace of Holdfast's own objects.
pub const NAMESPACE: &str = "holdfast-system";
/// The control plane's node in the lab.
pub const NODE_NAME: &str = "apiserver";
/// Where the API server listens unless a test moves it.
pub const PORT: u16 = 6443;
/// How long the API server may take to become ready, on a machine that is busy with other cases.
const PATIENCE: Duration = Duration::from_mins(1);
/// Members of this group may do anything.
const MASTERS: &str = "system:masters";

/// How to start a control plane, where it differs from the usual one.
#[derive(Clone, Default, Debug)]
pub struct ControlPlaneOptions {
    /// Addresses besides its own under which the API server is reached, such as a virtual one.
    pub more_addresses: Vec<IpAddr>,
    /// More arguments for kube-apiserver.
    pub arguments: Vec<String>,
    /// Whether its certificate leaves out 127.0.0.1, as kubeadm's does.
    pub without_loopback: bool,
}

/// etcd and kube-apiserver, running in a node of their own. They end when this is dropped.
#[derive(Debug)]
pub struct ControlPlane {
    /// `None` while it is stopped.
    api_server: Option<Process>,
    /// `None` only while a snapshot is restored.
    etcd: Option<Etcd>,
    node: Node,
    folder: PathBuf,
    pki: Pki,
    serving: Pair,
    token_keys: TokenKeys,
    admin: PathBuf,
    arguments: Vec<String>,
    port: u16,
}

impl ControlPlane {
    /// Starts etcd and the API server in a new node of `lab`, and waits until the API server is ready.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the programs were not built, or with the log of one that ended.
    pub fn start(lab: &Lab) -> Result<Self> {
        Self::start_with(lab, &ControlPlaneOptions::default())
    }

    /// The same with options.
    ///
    /// # Errors
    /// Like [`start`](Self::start).
    pub fn start_with(lab: &Lab, options: &ControlPlaneOptions) -> Result<Self> {
        Self::start_on(lab.node(NODE_NAME)?, options)
    }

    /// The same in a node that is there, each a cluster of its own.
    ///
    /// # Errors
    /// Like [`start`](Self::start).
    pub fn start_on(node: Node, options: &ControlPlaneOptions) -> Result<Self> {
        let folder = node.folder().join("kubernetes");
        fs::create_dir(&folder).doing(|| format!("create {}", folder.display()))?;
        let etcd = Etcd::start(&node, &folder.join("etcd"))?;
        let pki = Pki::create(folder.join("pki"))?;
        let mut addresses = vec![node.ipv4().into(), node.ipv6().into()];
        if !options.without_loopback {
            addresses.push(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        addresses.extend(&options.more_addresses);
        let serving = pki.server(&addresses)?;
        let token_keys = pki.token_keys()?;
        let mut control_plane = Self {
            api_server: None,
            etcd: Some(etcd),
            admin: folder.join("admin.kubeconfig"),
            serving,
            token_keys,
            pki,
            folder,
            node,
            arguments: options.arguments.clone(),
            port: PORT,
        };
        control_plane.admin = control_plane.kubeconfig_for_user("admin", Some(MASTERS))?;
        control_plane.start_api_server()?;
        // The API server makes these by itself, some time after it has called itself ready for the first time.
        let own = ["get", "namespaces", "default", "kube-system", "kube-public"];
        wait_until("the API server has made its namespaces", PATIENCE, || {
            Ok(control_plane.kubectl(&own).is_ok())
        })?;
        Ok(control_plane)
    }

    /// The node that it runs in.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The API server's address on the lab's switch.
    pub fn url(&self) -> String {
        format!("https://{}:{}", self.node.ipv4(), self.port)
    }

    /// A kubeconfig that may do anything, good anywhere in the lab.
    pub fn admin_kubeconfig(&self) -> &Path {
        &self.admin
    }

    /// Replaces the API server's certificate by one for these addresses and the names that Pods use, as `kubeadm init phase
    /// certs apiserver` does. The API server notices by itself.
    ///
    /// # Errors
    /// [`Error::System`] when it cannot be written.
    pub fn renew_certificate(&mut self, addresses: &[IpAddr]) -> Result<()> {
        self.serving = self.pki.server(addresses)?;
        Ok(())
    }

    /// The certificate that proves the API server to its clients.
    pub fn authority(&self) -> PathBuf {
        self.pki.authority_file()
    }

    /// A kubeconfig for a user of this name, in one group or in none.
    ///
    /// # Errors
    /// [`Error::System`] when it cannot be written.
    pub fn kubeconfig_for_user(&self, name: &str, group: Option<&str>) -> Result<PathBuf> {
        let pair = self.pki.client(name, group)?;
        self.kubeconfig(name, &self.url(), &Identity::Certificate(&pair))
    }

    /// A kubeconfig for whoever has this token, naming another server than the API server itself if one is given.
    ///
    /// # Errors
    /// [`Error::System`] when it cannot be written.
    pub fn kubeconfig_for_token(&self, name: &str, token: &str, server: Option<&str>) -> Result<PathBuf> {
        let own = self.url();
        self.kubeconfig(name, server.unwrap_or(&own), &Identity::Token(token))
    }

    fn kubeconfig(&self, name: &str, server: &str, identity: &Identity<'_>) -> Result<PathBuf> {
        let path = self
            .folder
            .join(format!("{}.kubeconfig", name.replace([':', '/'], "_")));
        kubeconfig::write(path, server, &self.pki.authority_file(), identity)
    }

    /// Starts the API server again and waits until it is ready; returns how long that took.
    ///
    /// # Errors
    /// [`Error::Invalid`] with its log if it ends instead, or if it is running.
    pub fn start_api_server(&mut self) -> Result<Duration> {
        if self.api_server.is_some() {
            return Err(Error::Invalid("the API server is running already".to_owned()));
        }
        let (address, port) = (self.node.ipv4().to_string(), self.port.to_string());
        let file = |path: &Path| path.display().to_string();
        let ca = file(&self.pki.authority_file());
        let (private, public) = (file(&self.token_keys.private), file(&self.token_keys.public));
        let (certificate, certificate_key) = (file(&self.serving.certificate), file(&self.serving.key));
        let arguments = [
            ("--etcd-servers", etcd::ENDPOINT),
            ("--bind-address", "0.0.0.0"),
            ("--advertise-address", &*address),
            ("--secure-port", &port),
            ("--tls-cert-file", &certificate),
            ("--tls-private-key-file", &certificate_key),
            ("--client-ca-file", &ca),
            ("--authorization-mode", "Node,RBAC"),
            ("--service-account-key-file", &public),
            ("--service-account-signing-key-file", &private),
            (
                "--service-account-issuer",
                "https://kubernetes.default.svc.cluster.local",
            ),
            ("--service-cluster-ip-range", "10.96.0.0/16"),
            // There is one API server, and nobody asks for the Service that leads to it.
            ("--endpoint-reconciler-type", "none"),
        ];
        let mut words: Vec<String> = arguments
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        words.extend(self.arguments.iter().cloned());
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut process = self.node.spawn(KUBE_APISERVER.find()?, &words)?;
        let ready = self.wait_until_ready(&mut process)?;
        self.api_server = Some(process);
        Ok(ready)
    }

    fn wait_until_ready(&self, process: &mut Process) -> Result<Duration> {
        let mut listening = false;
        wait_until("the API server is ready", PATIENCE, || {
            still_running(process, "kube-apiserver")?;
            // Asking costs a process; a port that is closed need not be asked.
            listening = listening || is_listening(&self.node, self.port);
            let ready = listening && self.kubectl(&["get", "--raw", "/readyz"]).is_ok();
            if !ready {
                std::thread::sleep(Duration::from_millis(50));
            }
            Ok(ready)
        })
    }

    /// Kills the API server: connections break, and nobody answers until it is started again.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it does not run.
    pub fn kill_api_server(&mut self) -> Result<()> {
        let mut process = self.api_server.take().ok_or_else(not_running)?;
        process.kill()
    }

    /// Kills the API server and starts it on another port. Kubeconfigs written before lead nowhere then, but for
    /// [`admin_kubeconfig`](Self::admin_kubeconfig).
    ///
    /// # Errors
    /// Like [`start_api_server`](Self::start_api_server).
    pub fn move_api_server(&mut self, port: u16) -> Result<()> {
        self.kill_api_server()?;
        self.port = port;
        self.admin = self.kubeconfig_for_user("admin", Some(MASTERS))?;
        self.start_api_server().map(drop)
    }

    /// The API server's process, for signals and its log.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it does not run.
    pub fn api_server(&self) -> Result<&Process> {
        self.api_server.as_ref().ok_or_else(not_running)
    }

    /// Stops etcd in its tracks: whoever asks the API server waits in vain.
    ///
    /// # Errors
    /// [`Error::System`] when it has ended.
    pub fn freeze_etcd(&self) -> Result<()> {
        self.etcd()?.process().freeze()
    }

    /// Lets etcd run again.
    ///
    /// # Errors
    /// [`Error::System`] when it has ended.
    pub fn thaw_etcd(&self) -> Result<()> {
        self.etcd()?.process().thaw()
    }

    /// Keeps what the cluster knows now under `name`.
    ///
    /// # Errors
    /// [`Error::System`] when there is a snapshot of this name.
    pub fn snapshot(&self, name: &str) -> Result<()> {
        self.etcd()?.snapshot(&self.snapshot_folder(name))
    }

    /// Sets the cluster back to what it knew when the snapshot was made: the API server is killed, and started again.
    ///
    /// # Errors
    /// [`Error::System`] when there is no such snapshot.
    pub fn restore(&mut self, name: &str) -> Result<()> {
        self.kill_api_server()?;
        let etcd = self.etcd.take().ok_or_else(not_running)?;
        self.etcd = Some(etcd.restore(&self.node, &self.snapshot_folder(name))?);
        self.start_api_server().map(drop)
    }

    fn etcd(&self) -> Result<&Etcd> {
        self.etcd.as_ref().ok_or_else(not_running)
    }

    fn snapshot_folder(&self, name: &str) -> PathBuf {
        self.folder.join(format!("snapshot-{name}"))
    }
}

fn not_running() -> Error {
    Error::Invalid("the control plane does not run".to_owned())
}
