//! One machine of a cluster and the programs that its operating system starts: containerd, the kubelet, kube-proxy.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use super::{ADMIN_CONF, Invitation, KUBE_PROXY_CONF, Machine, PORT, config};
use crate::{
    error::{Error, Result},
    kubernetes::assets::{
        Asset, CONTAINERD, CONTAINERD_SHIM, CTR, ETCD, HELM, KUBE_PROXY, KUBEADM, KUBECTL, KUBELET,
    },
    lab::wait_until,
    process::Process,
};

/// How long containerd may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a node is in a cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NodeRole {
    /// Runs etcd, an API server, a controller manager and a scheduler.
    ControlPlane,
    /// Runs pods only.
    Worker,
}

/// The machine of a node and the programs that its operating system starts.
#[derive(Debug)]
pub struct Member {
    // Services end before the machine that they run in.
    containerd: Option<Process>,
    kubelet: Option<Process>,
    kube_proxy: Option<Process>,
    machine: Machine,
    role: NodeRole,
    programs: Programs,
}

/// Where the programs are, as words of a command line.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    containerd: String,
    ctr: String,
    kubelet: String,
    pub(super) kubeadm: String,
    kubectl: String,
    kube_proxy: String,
    helm: String,
    pub(super) folders: Vec<PathBuf>,
}

impl Programs {
    pub(super) fn find() -> Result<Self> {
        let path = |asset: &Asset| asset.built().map(|path| path.display().to_string());
        let mut folders = Vec::new();
        for asset in [&CONTAINERD, &CONTAINERD_SHIM, &KUBELET, &ETCD, &HELM] {
            let program = asset.built()?;
            let folder = program.parent().unwrap_or(Path::new("/")).to_owned();
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
        Ok(Self {
            containerd: path(&CONTAINERD)?,
            ctr: path(&CTR)?,
            kubelet: path(&KUBELET)?,
            kubeadm: path(&KUBEADM)?,
            kubectl: path(&KUBECTL)?,
            kube_proxy: path(&KUBE_PROXY)?,
            helm: path(&HELM)?,
            folders,
        })
    }
}

impl Member {
    /// Starts what the machine's operating system starts before it is in a cluster: containerd, with all that a kubelet will
    /// look for.
    pub(super) fn boot(machine: Machine, role: NodeRole, programs: Programs, pause: &str) -> Result<Self> {
        machine.write("/etc/containerd/config.toml", config::containerd(pause))?;
        let network = config::cni(machine.node().number());
        machine.write("/etc/cni/net.d/10-lab.conflist", network)?;
        let service = config::kubelet_service(&programs.kubelet);
        machine.write("/usr/local/bin/kubelet-service", service)?;
        machine.write(config::KUBELET_DROP_IN, config::kubelet(&machine.cgroup()))?;
        let mut member = Self {
            containerd: None,
            kubelet: None,
            kube_proxy: None,
            machine,
            role,
            programs,
        };
        member.install_programs()?;
        member.start_containerd()?;
        Ok(member)
    }

    /// The machine.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.machine.name()
    }

    /// Its own address.
    pub fn ipv4(&self) -> Ipv4Addr {
        self.machine.node().ipv4()
    }

    /// What it is in the cluster.
    pub fn role(&self) -> NodeRole {
        self.role
    }

    /// `kubeadm join`, through the control plane's endpoint.
    ///
    /// # Errors
    /// [`Error::Command`] with what kubeadm said.
    pub fn join(&mut self, invitation: &Invitation) -> Result<()> {
        let machine = &self.machine;
        let (name, own) = (machine.name().to_owned(), machine.node().ipv4());
        let file = "/etc/kubernetes/kubeadm.yaml";
        let join = config::join(invitation.endpoint, &invitation.ca_hash, self.role, &name, own);
        machine.write(file, join)?;
        machine.write(KUBE_PROXY_CONF, &invitation.kube_proxy)?;
        self.start_kubelet()?;
        self.kubeadm(&["join", "--config", file, "--skip-phases=preflight"])?;
        self.start_kube_proxy()
    }

    /// Routes to the pods of other nodes.
    ///
    /// # Errors
    /// [`Error::Command`] when `ip` fails.
    pub fn route_to_pods_of(&self, other: &Self) -> Result<()> {
        let (network, via) = (
            config::pod_network(other.machine.node().number()),
            other.ipv4().to_string(),
        );
        self.machine
            .node()
            .ip(&["route", "replace", &network, "via", &via])
            .map(drop)
    }

    /// Processes of this name, by their numbers in the machine.
    ///
    /// # Errors
    /// [`Error::Invalid`] while the machine is off.
    pub fn pids_of(&self, name: &str) -> Result<Vec<u32>> {
        let output = self.machine.exec("pidof", &[name])?;
        let pids = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(pids
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .collect())
    }

    /// Sends a signal (`KILL`, `STOP`, …) to all processes of this name, and says how many there were.
    ///
    /// # Errors
    /// [`Error::Command`] when one of them has ended meanwhile.
    pub fn signal(&self, name: &str, signal: &str) -> Result<usize> {
        let pids = self.pids_of(name)?;
        if !pids.is_empty() {
            let listed: Vec<String> = pids.iter().map(ToString::to_string).collect();
            let line = format!("kill -{signal} {}", listed.join(" "));
            self.machine.run("sh", &["-c", &line])?;
        }
        Ok(pids.len())
    }

    /// Helm, by this node's administrator.
    ///
    /// # Errors
    /// [`Error::Command`] with Helm's complaint.
    pub fn helm(&self, args: &[&str]) -> Result<String> {
        let usual = ["--kubeconfig", ADMIN_CONF];
        self.machine.run(&self.programs.helm, &[&usual, args].concat())
    }

    /// Imports an archive of images.
    ///
    /// # Errors
    /// [`Error::Command`] with what ctr said.
    pub fn import(&self, archive: &Path) -> Result<()> {
        self.machine
            .run_with_file(
                &self.programs.ctr,
                &["-n", "k8s.io", "images", "import", "-"],
                archive,
            )
            .map(drop)
    }

    /// `kubectl`, by this node's administrator, who asks the control plane at its endpoint.
    ///
    /// # Errors
    /// [`Error::Command`] with kubectl's complaint.
    pub fn kubectl(&self, args: &[&str]) -> Result<String> {
        let usual = ["--kubeconfig", ADMIN_CONF];
        self.machine.run(&self.programs.kubectl, &[&usual, args].concat())
    }

    /// Waits until this node's own API server is ready.
    ///
    /// # Errors
    /// [`Error::TimedOut`] after `patience`.
    pub fn wait_for_api_server(&self, patience: Duration) -> Result<()> {
        let server = format!("--server=https://{}:{PORT}", self.ipv4());
        let ask = ["get", "--raw", "/readyz", "--request-timeout=5s", &server];
        let what = format!("the API server of {} is ready", self.name());
        wait_until(&what, patience, || {
            let ready = self.kubectl(&ask).is_ok();
            if !ready {
                thread::sleep(Duration::from_millis(500));
            }
            Ok(ready)
        })
        .map(drop)
    }

    pub(super) fn kubeadm(&self, args: &[&str]) -> Result<String> {
        self.machine.run(&self.programs.kubeadm, args)
    }

    /// Puts the programs of a Kubernetes node where a person finds them who types their names.
    fn install_programs(&self) -> Result<()> {
        for (name, program) in [
            ("ctr", &self.programs.ctr),
            ("kubectl", &self.programs.kubectl),
            ("kubelet", &self.programs.kubelet),
        ] {
            let place = format!("/usr/local/bin/{name}");
            self.machine
                .run("ln", &["--symbolic", "--force", program, &place])?;
        }
        let kubeadm = "/usr/local/bin/kubeadm";
        self.machine
            .write(kubeadm, config::typed_kubeadm(&self.programs.kubeadm))?;
        self.machine.run("chmod", &["755", kubeadm]).map(drop)
    }

    fn start_containerd(&mut self) -> Result<()> {
        let containerd = self.machine.spawn(&self.programs.containerd, &[])?;
        let containerd = self.containerd.insert(containerd);
        let (machine, ctr) = (&self.machine, &self.programs.ctr);
        let what = format!("containerd on {} answers", machine.name());
        wait_until(&what, PATIENCE, || {
            if let Some(status) = containerd.ended()? {
                return Err(Error::Invalid(format!(
                    "containerd ended ({status}) and said:\n{}",
                    containerd.log()?
                )));
            }
            let answers = machine.exec(ctr, &["version"])?.status.success();
            if !answers {
                thread::sleep(Duration::from_millis(100));
            }
            Ok(answers)
        })?;
        Ok(())
    }

    /// Starts the kubelet's service.
    ///
    /// # Errors
    /// [`Error::Invalid`] while the machine is off.
    pub fn start_kubelet(&mut self) -> Result<()> {
        self.kubelet = Some(self.machine.spawn("sh", &["/usr/local/bin/kubelet-service"])?);
        Ok(())
    }

    /// Stops the kubelet and its service, as `systemctl stop kubelet` does: its pods run on.
    ///
    /// # Errors
    /// [`Error::System`] when it does not run.
    pub fn stop_kubelet(&mut self) -> Result<()> {
        match self.kubelet.take() {
            Some(mut kubelet) => kubelet.kill(),
            None => Ok(()),
        }
    }

    pub(super) fn start_kube_proxy(&mut self) -> Result<()> {
        let file = "/etc/kubernetes/kube-proxy.yaml";
        self.machine
            .write(file, config::kube_proxy(self.machine.name()))?;
        let kube_proxy = self
            .machine
            .spawn(&self.programs.kube_proxy, &["--config", file])?;
        self.kube_proxy = Some(kube_proxy);
        Ok(())
    }

    /// Pulls the machine's cable, and then its plug: its neighbors hear nothing more of it.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is off.
    pub fn lose(&mut self) -> Result<()> {
        self.machine.node().unplug()?;
        self.power_off()
    }

    /// Undoes [`Member::lose`].
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is on.
    pub fn bring_back(&mut self) -> Result<()> {
        self.machine.node().plug()?;
        self.power_on()
    }

    /// Pulls the machine's plug.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is off.
    pub fn power_off(&mut self) -> Result<()> {
        self.machine.power_off()?;
        (self.containerd, self.kubelet, self.kube_proxy) = (None, None, None);
        Ok(())
    }

    /// Boots the machine again, and what its operating system starts.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is on.
    pub fn power_on(&mut self) -> Result<()> {
        self.machine.power_on()?;
        self.start_containerd()?;
        self.start_kubelet()?;
        if self.machine.path(KUBE_PROXY_CONF)?.exists() {
            self.start_kube_proxy()?;
        }
        Ok(())
    }
}
