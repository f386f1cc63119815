//! A real cluster: kubeadm, kubelet, containerd and what they start, each node a machine of the lab.
//!
//! Every step is one that a person takes: prepare machines, put a static Pod in its place, `kubeadm init`,
//! `kubeadm join`. The cluster's own programs are built by `cargo xtask assets --for e2e`; images are made of them here,
//! since nothing in the lab reaches a registry.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    thread,
};

use crate::{
    command,
    error::{Error, Result},
    kubernetes::assets::{
        Asset, ETCD, KUBE_APISERVER, KUBE_CONTROLLER_MANAGER, KUBE_SCHEDULER, KUBEADM, PAUSE,
    },
    lab::Lab,
    node::Node,
};

mod cgroup;
mod config;
mod image;
mod machine;
mod member;

pub(crate) use self::{
    cgroup::sweep as sweep_cgroups,
    machine::{STAGE as MACHINE_STAGE, init as machine_init},
};
use self::{image::Image, member::Programs};
pub use self::{
    image::{architecture, holdfast_images, write_haproxy, write_nginx},
    machine::Machine,
    member::{Member, NodeRole},
};

/// Where API servers listen.
pub const PORT: u16 = 6443;
/// kubeadm's kubeconfig on a control-plane node.
pub const ADMIN_CONF: &str = "/etc/kubernetes/admin.conf";
/// Where a kubelet looks for static Pods.
pub const MANIFESTS: &str = "/etc/kubernetes/manifests";
const KUBE_PROXY_CONF: &str = "/etc/kubernetes/kube-proxy.conf";

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
        let member = Member::boot(machine, role, self.programs.clone(), &self.pause)?;
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
        let machine = member.machine();
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
        member.machine().write(KUBE_PROXY_CONF, kubeconfig)?;
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
            kube_proxy: first.machine().read(KUBE_PROXY_CONF)?,
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
