//! A real cluster: kubeadm, kubelet, containerd and what they start, each node a machine of the lab.
//!
//! Every step is one that a person takes: prepare machines, put a static Pod in its place, `kubeadm init`,
//! `kubeadm join`. The cluster's own programs are built by `cargo xtask assets --for e2e`; images are made of them here,
//! since nothing in the lab reaches a registry.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crate::{
    command,
    error::{Error, Result},
    kubernetes::assets::{
        Asset, CONTAINERD, CONTAINERD_SHIM, CTR, ETCD, HELM, KUBE_APISERVER, KUBE_CONTROLLER_MANAGER,
        KUBE_PROXY, KUBE_SCHEDULER, KUBEADM, KUBECTL, KUBELET, PAUSE,
    },
    lab::{Lab, wait_until},
    node::Node,
    process::Process,
};

mod cgroup;
mod config;
mod image;
mod machine;

use self::image::Image;
pub(crate) use self::{
    cgroup::sweep as sweep_cgroups,
    machine::{STAGE as MACHINE_STAGE, init as machine_init},
};
pub use self::{
    image::{architecture, holdfast_images, write_haproxy},
    machine::Machine,
};

/// Where API servers listen.
pub const PORT: u16 = 6443;
/// kubeadm's kubeconfig on a control-plane node.
pub const ADMIN_CONF: &str = "/etc/kubernetes/admin.conf";
/// Where a kubelet looks for static Pods.
pub const MANIFESTS: &str = "/etc/kubernetes/manifests";
const KUBE_PROXY_CONF: &str = "/etc/kubernetes/kube-proxy.conf";
const PATIENCE: Duration = Duration::from_secs(30);

/// What a cluster is to be like.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The Kubernetes version, as in `v1.36.3`.
    pub version: String,
    /// The address of the control plane as a whole.
    pub endpoint: IpAddr,
}

impl Plan {
    /// A cluster of the Kubernetes that the environment names, or of the newest, reached at `endpoint`.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the environment names none that there is.
    pub fn new(endpoint: IpAddr) -> Result<Self> {
        Ok(Self {
            version: KUBEADM.version()?.to_owned(),
            endpoint,
        })
    }
}

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
    pause: String,
}

/// Where the programs are, as words of a command line.
#[derive(Clone, Debug)]
struct Programs {
    containerd: String,
    ctr: String,
    kubelet: String,
    kubeadm: String,
    kubectl: String,
    kube_proxy: String,
    helm: String,
    folders: Vec<PathBuf>,
}

impl Programs {
    fn find() -> Result<Self> {
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

/// Machines that are about to become a cluster, and the images that they start from.
#[derive(Debug)]
pub struct Site {
    plan: Plan,
    programs: Programs,
    folder: PathBuf,
    /// Every node needs it.
    pause: String,
    worker_images: PathBuf,
    control_plane_images: PathBuf,
}

impl Site {
    /// Makes the images of the cluster's own programs. The machines see the folders `visible`, even where these are mounts.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the programs were not built.
    pub fn prepare(lab: &Lab, plan: Plan, visible: &[PathBuf]) -> Result<Self> {
        command::require_tools(&["runc", "tar", "sha256sum"])?;
        if !Path::new(config::CNI_PROGRAMS).join("bridge").exists() {
            return Err(Error::MissingTool {
                tool: format!("{}/bridge", config::CNI_PROGRAMS),
                install: "apt-get install -y containernetworking-plugins".to_owned(),
            });
        }
        let mut programs = Programs::find()?;
        programs.folders.extend_from_slice(visible);
        let arguments = ["config", "images", "list", "--kubernetes-version", &plan.version];
        let listed = command::run(&programs.kubeadm, &arguments)?;
        let name = |program: &str| {
            let found = listed.lines().find(|line| line.contains(&format!("/{program}:")));
            found
                .map(str::to_owned)
                .ok_or_else(|| Error::Invalid(format!("kubeadm names no image of {program} among: {listed}")))
        };
        let image = |asset: &Asset| Image::of_static_program(name(asset.program)?, asset.built()?);
        let folder = lab.folder().to_owned();
        let worker_images = folder.join("images-of-all-nodes.tar");
        image::write_archive(&[image(&PAUSE)?], &worker_images)?;
        let control_plane_images = folder.join("images-of-the-control-plane.tar");
        let images = [&KUBE_APISERVER, &KUBE_CONTROLLER_MANAGER, &KUBE_SCHEDULER, &ETCD].map(image);
        let mut images = images.into_iter().collect::<Result<Vec<_>>>()?;
        // kubeadm's checks look for these too, and would pull what is not there; no container is made of them.
        for absent in ["kube-proxy", "coredns"] {
            images.push(Image::of_static_program(name(absent)?, PAUSE.built()?)?);
        }
        image::write_archive(&images, &control_plane_images)?;
        Ok(Self {
            plan,
            programs,
            folder,
            pause: name("pause")?,
            worker_images,
            control_plane_images,
        })
    }

    /// Boots a machine in `node`, with containerd running and all images there; `more_images` are archives of others.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an ordinary user.
    pub fn boot(&self, node: &Node, role: NodeRole, more_images: &[PathBuf]) -> Result<Member> {
        let netns = node.netns();
        netns.set_sysctl("ipv4/ip_forward", "1")?;
        netns.set_sysctl("ipv6/conf/all/forwarding", "1")?;
        let machine = Machine::start(node, &self.programs.folders)?;
        let mut member = Member {
            containerd: None,
            kubelet: None,
            kube_proxy: None,
            machine,
            role,
            programs: self.programs.clone(),
            pause: self.pause.clone(),
        };
        let machine = &member.machine;
        machine.write("/etc/containerd/config.toml", config::containerd(&member.pause))?;
        machine.write("/etc/cni/net.d/10-lab.conflist", config::cni(node.number()))?;
        let service = config::kubelet_service(&self.programs.kubelet);
        machine.write("/usr/local/bin/kubelet-service", service)?;
        machine.write(config::KUBELET_DROP_IN, config::kubelet(&machine.cgroup()))?;
        member.install_programs()?;
        member.start_containerd()?;
        let mut archives = vec![self.worker_images.clone()];
        if role == NodeRole::ControlPlane {
            archives.push(self.control_plane_images.clone());
        }
        archives.extend_from_slice(more_images);
        for archive in archives {
            member.import(&archive)?;
        }
        Ok(member)
    }

    /// Boots all of these, two at a time: importing images is work for one processor each.
    ///
    /// # Errors
    /// As [`Site::boot`].
    pub fn boot_all(&self, nodes: &[(Node, NodeRole)], more_images: &[PathBuf]) -> Result<Vec<Member>> {
        let mut members = Vec::new();
        for pair in nodes.chunks(2) {
            let booted: Vec<Result<Member>> = thread::scope(|scope| {
                let boots: Vec<_> = pair
                    .iter()
                    .map(|(node, role)| scope.spawn(|| self.boot(node, *role, more_images)))
                    .collect();
                boots
                    .into_iter()
                    .map(|boot| {
                        let panicked = |_| Err(Error::Invalid("a boot panicked".to_owned()));
                        boot.join().unwrap_or_else(panicked)
                    })
                    .collect()
            });
            for member in booted {
                members.push(member?);
            }
        }
        Ok(members)
    }

    /// `kubeadm init` on the first control-plane node.
    ///
    /// # Errors
    /// [`Error::Command`] with what kubeadm said.
    pub fn init(&self, member: &mut Member) -> Result<()> {
        let machine = &member.machine;
        let (name, own) = (machine.name().to_owned(), machine.node().ipv4());
        let file = "/etc/kubernetes/kubeadm.yaml";
        machine.write(file, config::init(&self.plan, &name, own))?;
        member.start_kubelet()?;
        // The checks before the flight want to pull images; CoreDNS and kube-proxy's DaemonSet are not needed here.
        let arguments = [
            "init",
            "--config",
            file,
            "--upload-certs",
            "--skip-phases=preflight,addon",
        ];
        member.kubeadm(&arguments)?;
        let arguments = [
            "kubeconfig",
            "user",
            "--config",
            file,
            "--client-name",
            "system:kube-proxy",
        ];
        let kubeconfig = member.kubeadm(&arguments)?;
        member.machine.write(KUBE_PROXY_CONF, kubeconfig)?;
        member.start_kube_proxy()
    }

    /// What `kubeadm join` needs of the first node.
    ///
    /// # Errors
    /// [`Error::Command`] with what kubeadm said.
    pub fn invitation(&self, first: &Member) -> Result<Invitation> {
        let arguments = ["token", "create", "--print-join-command", "--ttl", "2h0m0s"];
        let said = first.kubeadm(&arguments)?;
        let ca_hash = said.split_whitespace().find(|word| word.starts_with("sha256:"));
        Ok(Invitation {
            endpoint: self.plan.endpoint,
            ca_hash: ca_hash
                .ok_or_else(|| Error::Invalid(format!("kubeadm printed no hash: {said}")))?
                .to_owned(),
            kube_proxy: first.machine.read(KUBE_PROXY_CONF)?,
        })
    }

    /// Where the lab keeps files for the cluster.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// What a node must know to join.
#[derive(Clone, Debug)]
pub struct Invitation {
    endpoint: IpAddr,
    ca_hash: String,
    kube_proxy: String,
}

impl Member {
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

    fn kubeadm(&self, args: &[&str]) -> Result<String> {
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

    fn start_kube_proxy(&mut self) -> Result<()> {
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
