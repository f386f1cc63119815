//! The group that holds a control plane's address, written as a person would write it: what is not asked for is left to the
//! defaults of the API.

use core::net::IpAddr;

use holdfast_api::v1alpha1::API_VERSION;
use holdfast_api::yaml;
use serde_json::{Value, json};

/// The label that kubeadm gives to control-plane nodes. The group selects it, so that it means the same in a cluster.
pub const NODE_LABEL: &str = "node-role.kubernetes.io/control-plane";

/// What a control plane's address is to be, as the flags say it. Nothing of it is checked yet, see [`super::check()`].
#[derive(Clone, Debug)]
pub struct ControlPlane {
    /// The group's name.
    pub name: String,
    /// The virtual addresses, with or without a prefix length.
    pub addresses: Vec<String>,
    /// The interface of the election; `None`: the one whose subnet holds the first address.
    pub interface: Option<String>,
    /// Every control-plane node, this one too.
    pub members: Vec<Member>,
    /// The virtual router; `None`: what follows from the first address.
    pub virtual_router_id: Option<i32>,
    /// The priority of every node; `None`: the API's default.
    pub priority: Option<i32>,
    /// How often the active node advertises.
    pub interval: String,
    /// When a better node takes the address from a worse one.
    pub preemption: Preemption,
    /// What serves at the address on each node.
    pub proxy: Proxy,
    /// Its port; `None`: the usual one.
    pub port: Option<i32>,
}

/// A control-plane node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// The name under which its kubelet registers it.
    pub name: String,
    /// The addresses that it keeps.
    pub addresses: Vec<String>,
}

/// When a better node takes the address from a healthy worse one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Preemption {
    /// Only when that one is failing or gone.
    Never,
    /// As soon as it hears that one.
    Immediate,
    /// After it has heard that one for so long.
    Delayed(String),
}

/// What stands between the address and the API servers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum Proxy {
    /// Nothing: the node's API server serves at the address
    #[default]
    None,
    /// HAProxy on each control-plane node
    Haproxy,
    /// nginx on each control-plane node
    Nginx,
}

impl Proxy {
    /// The name of the probe, and the preset that is looked at.
    fn probe(self) -> (&'static str, &'static str) {
        match self {
            Self::None => ("apiserver", "KubeAPIServer"),
            Self::Haproxy => ("haproxy", "HAProxy"),
            Self::Nginx => ("nginx", "Nginx"),
        }
    }

    /// What the preset is told. An API server of kubeadm's knows the member of etcd beside it and no other.
    fn options(self, port: i32) -> Value {
        match self {
            Self::None => json!({ "etcd": "Include", "port": port }),
            Self::Haproxy | Self::Nginx => json!({ "port": port }),
        }
    }

    /// Whether the probe looks for a process of the node.
    pub fn is_process(self) -> bool {
        self != Self::None
    }

    /// A proxy beside an API server cannot have its port.
    fn usual_port(self) -> i32 {
        match self {
            Self::None => 6443,
            Self::Haproxy | Self::Nginx => 8443,
        }
    }
}

impl ControlPlane {
    /// The group as YAML, ending with a line break.
    pub fn text(&self) -> Result<String, String> {
        yaml::write(&self.document())
    }

    fn document(&self) -> Value {
        let addresses = self
            .addresses
            .iter()
            .map(|address| json!({ "address": whole(address) }));
        let peers = self
            .members
            .iter()
            .map(|member| json!({ "name": member.name, "addresses": member.addresses }));
        let (probe, preset) = self.proxy.probe();
        let port = self.port.unwrap_or_else(|| self.proxy.usual_port());
        let mut spec = json!({
            "addresses": addresses.collect::<Vec<_>>(),
            "virtualRouterID": self.virtual_router_id.unwrap_or_else(|| self.usual_router()),
            "nodeSelector": { "matchLabels": { NODE_LABEL: "" } },
            "advertisement": {
                "interval": self.interval,
                "mode": "Unicast",
                "peers": peers.collect::<Vec<_>>(),
            },
            "preemption": match &self.preemption {
                Preemption::Never => json!({ "type": "Never" }),
                Preemption::Immediate => json!({ "type": "Immediate" }),
                Preemption::Delayed(delay) => json!({ "type": "Delayed", "delay": delay }),
            },
            "probes": [{
                "name": probe,
                "preset": preset,
                "presetOptions": self.proxy.options(port),
                "onFailure": { "type": "Hold" },
            }],
        });
        if let Some(interface) = &self.interface {
            spec["interface"] = json!(interface);
        }
        if let Some(priority) = self.priority {
            spec["priority"] = json!(priority);
        }
        json!({
            "apiVersion": API_VERSION,
            "kind": "VirtualIPGroup",
            "metadata": { "name": self.name },
            "spec": spec,
        })
    }

    /// The last byte of the first address, which most likely nobody else on the link uses; 255 for 0, which is no identifier,
    /// and for what is no address, of which more has to be said than this.
    fn usual_router(&self) -> i32 {
        let last = match self.addresses.first().and_then(|address| host(address)) {
            Some(IpAddr::V4(address)) => address.octets()[3],
            Some(IpAddr::V6(address)) => address.octets()[15],
            None => 0,
        };
        match last {
            0 => 255,
            last => i32::from(last),
        }
    }
}

/// The address without its prefix length.
fn host(written: &str) -> Option<IpAddr> {
    let address = written.split_once('/').map_or(written, |(address, _)| address);
    address.parse().ok()
}

/// Whether an address leaves open to which subnet it belongs.
pub(super) fn is_bare(written: &str) -> bool {
    written.parse::<IpAddr>().is_ok()
}

/// The address with a prefix length: where an interface is named, a subnet is not needed to find it.
fn whole(written: &str) -> String {
    match written.parse() {
        Ok(IpAddr::V4(_)) => format!("{written}/32"),
        Ok(IpAddr::V6(_)) => format!("{written}/128"),
        Err(_) => written.to_owned(),
    }
}
