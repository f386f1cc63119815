//! `holdfast-agent manifest`: prints what runs the agent where there is no cluster yet, or puts it in place.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::exit::Failure;
use super::{complain, node_name, say};
use crate::durable;
use crate::manifest::{self, Complaint, Container, ControlPlane, Member, Preemption, Proxy, PullPolicy};

/// Where kubeadm's kubelet looks for static Pods.
const PLACE: &str = "/etc/kubernetes/manifests/holdfast.yaml";

/// The image that belongs to this program, named as the chart names it.
const IMAGE: &str = concat!("holdfast-agent:", env!("CARGO_PKG_VERSION"));

pub const EXAMPLES: &str = "\
Examples:
  The address 10.0.0.100 for three control-plane nodes; on each of them, before `kubeadm init` or `kubeadm join`:
    holdfast-agent manifest kubeadm --address 10.0.0.100/24 --interface eth0 \\
      --peers cp-1=10.0.0.11,cp-2=10.0.0.12,cp-3=10.0.0.13 --write

  With HAProxy on each node, which serves at port 8443 (`kubeadm init --control-plane-endpoint 10.0.0.100:8443`):
    holdfast-agent manifest kubeadm --address 10.0.0.100/24 --interface eth0 \\
      --peers cp-1=10.0.0.11,cp-2=10.0.0.12,cp-3=10.0.0.13 --proxy haproxy --write

  The same group for the cluster that has come up, which then takes over without a failover:
    holdfast-agent manifest kubeadm … --output group | kubectl apply -f -";

#[derive(Args, Debug)]
pub struct ManifestArgs {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Subcommand, Debug)]
enum Kind {
    /// A static Pod that holds the address of a kubeadm control plane, from before there is one
    ///
    /// The Pod needs no API server, no kubeconfig and no token. The same flags give the same bytes, on every node: each agent
    /// finds itself among the peers by its node's name. With --write nothing is touched that is right already, and the
    /// one line that is printed begins with `changed` or `unchanged`.
    #[command(after_help = EXAMPLES)]
    Kubeadm(Box<KubeadmArgs>),
}

#[derive(Args, Clone, Debug)]
struct KubeadmArgs {
    /// The virtual address, best with the prefix length of its subnet; repeat it for more
    #[arg(long = "address", value_name = "ADDRESS[/LENGTH]", required = true)]
    addresses: Vec<String>,

    /// The interface that carries it, the same on each node; without it, the one whose subnet holds the address
    #[arg(long, value_name = "NAME")]
    interface: Option<String>,

    /// Every control-plane node, this one too: its name in the cluster and the address it keeps. A node that is named
    /// twice has both addresses
    #[arg(long, value_name = "NODE=ADDRESS,…", required = true, value_delimiter = ',', value_parser = peer)]
    peers: Vec<(String, String)>,

    /// The group's name
    #[arg(long, value_name = "NAME", default_value = "control-plane")]
    name: String,

    /// The virtual router that nobody else on the link is, 1 to 255; without it, the last byte of the address
    #[arg(long, value_name = "NUMBER")]
    virtual_router_id: Option<i32>,

    /// The priority of each node, 1 to 255; without it, 100
    #[arg(long, value_name = "NUMBER")]
    priority: Option<i32>,

    /// How often the active node advertises; a lost one is replaced after a little more than three times that
    #[arg(long, value_name = "DURATION", default_value = "1s")]
    interval: String,

    /// When a better node takes the address from a worse one that is well: Never, Immediate, or how long it waits first
    #[arg(long, value_name = "WHEN", default_value = "Never", value_parser = preemption)]
    preemption: Preemption,

    /// What serves at the address on each node, and so has to be well on the one that has it
    #[arg(long, value_enum, default_value_t)]
    proxy: Proxy,

    /// Its port; without it, 6443 for the API server and 8443 for a proxy
    #[arg(long, value_name = "NUMBER")]
    port: Option<i32>,

    /// The agent's image
    #[arg(long, value_name = "REFERENCE", default_value = IMAGE, value_parser = image)]
    image: String,

    /// When the image is pulled
    #[arg(long, value_enum, default_value_t)]
    image_pull_policy: PullPolicy,

    /// What to print
    #[arg(short, long, value_name = "WHAT", value_enum, default_value_t)]
    output: Output,

    /// Put it where the kubelet finds it, at /etc/kubernetes/manifests/holdfast.yaml, or at PATH, instead of printing it
    #[arg(
        long,
        value_name = "PATH",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = PLACE
    )]
    write: Option<PathBuf>,
}

/// What is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
enum Output {
    /// The static Pod, its group included
    #[default]
    Pod,
    /// The VirtualIPGroup alone, for `kubectl apply`
    Group,
}

/// Prints a manifest, or puts it in place.
pub fn manifest(args: ManifestArgs) -> Result<(), Failure> {
    let Kind::Kubeadm(args) = args.kind;
    if args.output == Output::Group && args.write.as_deref() == Some(Path::new(PLACE)) {
        return Err(Failure::Usage(
            "--write: the kubelet takes Pods only: leave out `--output group`, or name another file, as in \
             --write=control-plane.yaml"
                .to_owned(),
        ));
    }
    let text = args.text()?;
    match &args.write {
        None => say(&text),
        Some(path) => say(&match put(path, &text)? {
            Put::Changed => format!("changed: {}\n", path.display()),
            Put::Unchanged => format!("unchanged: {}\n", path.display()),
        }),
    }
    Ok(())
}

impl KubeadmArgs {
    fn text(&self) -> Result<String, Failure> {
        let plane = self.plane();
        let failed = |error| anyhow::anyhow!("writing the manifest as YAML: {error}");
        let group = plane.text().map_err(failed)?;
        let warnings = manifest::check(&plane, &group).map_err(|complaints| refused(&complaints))?;
        for warning in warnings {
            complain(&format!("warning: {warning}\n"));
        }
        Ok(match self.output {
            Output::Group => group,
            Output::Pod => {
                let container = Container {
                    image: self.image.clone(),
                    pull_policy: self.image_pull_policy,
                };
                manifest::pod(&plane, &group, &container).map_err(failed)?
            }
        })
    }

    fn plane(&self) -> ControlPlane {
        ControlPlane {
            name: self.name.clone(),
            addresses: self.addresses.clone(),
            interface: self.interface.clone(),
            members: members(&self.peers),
            virtual_router_id: self.virtual_router_id,
            priority: self.priority,
            interval: self.interval.clone(),
            preemption: self.preemption.clone(),
            proxy: self.proxy,
            port: self.port,
        }
    }
}

/// A node that is named more than once has more than one address.
fn members(peers: &[(String, String)]) -> Vec<Member> {
    let mut members: Vec<Member> = Vec::new();
    for (name, address) in peers {
        match members.iter_mut().find(|member| member.name == *name) {
            Some(member) => member.addresses.push(address.clone()),
            None => members.push(Member {
                name: name.clone(),
                addresses: vec![address.clone()],
            }),
        }
    }
    members
}

fn refused(complaints: &[Complaint]) -> Failure {
    let lines: Vec<String> = complaints.iter().map(ToString::to_string).collect();
    Failure::Usage(format!("these flags make no manifest:\n  {}", lines.join("\n  ")))
}

fn peer(text: &str) -> Result<(String, String), String> {
    let (name, address) = text.split_once('=').ok_or(
        "write the node's name too, as in cp-1=10.0.0.11: each agent finds itself among the peers by its node's name",
    )?;
    Ok((node_name(name)?, address.to_owned()))
}

fn preemption(text: &str) -> Result<Preemption, String> {
    match text {
        "Never" => Ok(Preemption::Never),
        "Immediate" => Ok(Preemption::Immediate),
        delay if delay.starts_with(|first: char| first.is_ascii_digit()) => {
            Ok(Preemption::Delayed(delay.to_owned()))
        }
        _ => Err("write Never, Immediate, or how long to wait, as in 30s".to_owned()),
    }
}

fn image(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        Ok(text.to_owned())
    } else {
        Err("write the reference of an image, as in registry.example.com/holdfast-agent:0.1.0".to_owned())
    }
}

/// What became of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Put {
    Changed,
    Unchanged,
}

/// Makes sure that the file at `path` says `text`; one that does is left alone.
fn put(path: &Path, text: &str) -> anyhow::Result<Put> {
    match fs::read(path) {
        Ok(found) if found == text.as_bytes() => return Ok(Put::Unchanged),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(unwritten(path, &error)),
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        // The kubelet's package makes it, and this may come first.
        durable::create_folder(folder).map_err(|error| unwritten(folder, &error))?;
    }
    durable::write_hidden(path, text.as_bytes()).map_err(|error| unwritten(path, &error))?;
    Ok(Put::Changed)
}

fn unwritten(path: &Path, error: &io::Error) -> anyhow::Error {
    let advice = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "; run this as root, or leave out --write and put the output there yourself"
        }
        io::ErrorKind::ReadOnlyFilesystem => "; name a place that can be written, as in --write=PATH",
        io::ErrorKind::IsADirectory => "; name a file in it, as in --write=PATH",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "; a part of the path is a file: name another place, as in --write=PATH"
        }
        _ => "",
    };
    anyhow::anyhow!("writing {}: {error}{advice}", path.display())
}

#[cfg(test)]
mod tests;
