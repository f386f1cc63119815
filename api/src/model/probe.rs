//! The validated form of probes: what is run, and when. What is made of the results is [`holdfast_health::Policy`].

use core::fmt;
use core::net::IpAddr;
use core::ops::RangeInclusive;
use core::time::Duration;
use std::sync::Arc;

use holdfast_vrrp::Family;
use ipnet::IpNet;

/// A probe that is run. A quorum is none: it lives on the results of others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Probe {
    /// Its name, unique in its group.
    pub name: String,
    /// What is looked at, one after the other; all of it has to be as it should. More than one for some presets.
    pub checks: Vec<Check>,
    /// When it is run.
    pub timing: Timing,
    /// What is run to heal what it watches; how often is in the policy.
    pub recover: Option<Recover>,
    /// The families of the group's addresses, if the probe watches a proxy: one that binds such an address itself cannot start
    /// where the address is not, and its failure is to be explained so.
    pub may_bind: Vec<Family>,
}

/// When a probe is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timing {
    /// How often, at least 100 ms.
    pub period: Duration,
    /// How long a run may take; more than the period is legal.
    pub timeout: Duration,
    /// How long after the agent's start it is run first.
    pub initial_delay: Duration,
    /// By how much each run is delayed at random at most; less than the period.
    pub jitter: Duration,
}

/// What is run to heal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recover {
    /// The program.
    pub exec: Exec,
    /// How long it may take.
    pub timeout: Duration,
}

/// One thing to look at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Check {
    /// HTTP or HTTPS.
    Http(Http),
    /// TCP or a Unix socket.
    Tcp(Tcp),
    /// gRPC's health protocol.
    Grpc(Grpc),
    /// A program.
    Exec(Exec),
    /// A process.
    Process(Process),
    /// A file.
    File(File),
    /// Another interface.
    Interface(String),
    /// A route.
    Route(Route),
    /// An address.
    Peer(Peer),
    /// MySQL's or MariaDB's protocol.
    Mysql(Mysql),
}

/// Where a service is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// A host and a port.
    Host {
        /// The host.
        host: Host,
        /// The port.
        port: u16,
    },
    /// A Unix socket on the node.
    Socket(String),
}

/// A host to connect to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Host {
    /// This node: 127.0.0.1 or ::1, whichever answers.
    ThisNode,
    /// This node's API server: as [`Host::ThisNode`], or the address that its static pod binds.
    ThisApiServer,
    /// An address.
    Address(IpAddr),
    /// A name to look up.
    Name(String),
}

impl Host {
    /// The host that `written` means: an address, with or without the brackets of a URL, or a name; `None` if it is neither.
    /// `localhost` is this node and is not looked up.
    pub fn read(written: &str) -> Option<Self> {
        let bare = written
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(written);
        match bare.parse::<IpAddr>() {
            Ok(address) => Some(Self::Address(address.to_canonical())),
            Err(_) if written.eq_ignore_ascii_case("localhost") => Some(Self::ThisNode),
            Err(_) => is_name(written).then(|| Self::Name(written.to_owned())),
        }
    }
}

/// Whether `text` can be looked up: labels with dots between them, the last of which is no number.
fn is_name(text: &str) -> bool {
    let labels = text.strip_suffix('.').unwrap_or(text);
    let is_inner = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let is_label = |label: &str| !label.is_empty() && label.chars().all(is_inner);
    let last = labels.rsplit('.').next().unwrap_or_default();
    labels.split('.').all(is_label) && !last.chars().all(|c| c.is_ascii_digit())
}

/// Asks by HTTP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Http {
    /// Whom.
    pub target: Target,
    /// With TLS if given.
    pub tls: Option<Tls>,
    /// Whether by HTTP/2.
    pub http2: bool,
    /// The path and query.
    pub path: String,
    /// Headers to send.
    pub headers: Vec<(String, String)>,
    /// The statuses that pass.
    pub statuses: Vec<RangeInclusive<u16>>,
    /// What the body has to match, as a regular expression over bytes ([`regex::bytes`]) that compiles.
    pub body: Option<String>,
}

/// What proves who answers, and who asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tls {
    /// The name that the certificate has to have; `None`: the host.
    pub server_name: Option<String>,
    /// Who is believed.
    pub trust: Trust,
    /// The client's certificate chain and key.
    pub client: Option<(Material, Material)>,
    /// The addresses at which clients ask for the same server: one that its certificate does not name is told of, and fails
    /// nothing.
    pub asked_at: Vec<IpAddr>,
}

/// Which certificates are believed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Trust {
    /// Those signed by the CAs that the node trusts.
    System,
    /// Those signed by the cluster's own CA, as the agent finds it: its pod's service account, or kubeadm's file.
    Cluster,
    /// Those signed by these CAs.
    Authorities(Material),
    /// Any.
    Anybody,
}

/// PEM, in a file that is read anew when it changes, or at hand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Material {
    /// The file's path on the node.
    File(String),
    /// The text.
    Bytes(Secret),
}

/// Bytes that are not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub Arc<[u8]>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Connects, and perhaps says something and reads the answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tcp {
    /// To whom.
    pub target: Target,
    /// What is said.
    pub send: Option<Vec<u8>>,
    /// What the beginning of the answer has to match, as a regular expression over bytes ([`regex::bytes`]) that compiles.
    pub expect: Option<String>,
}

/// Asks by gRPC's health protocol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grpc {
    /// Whom.
    pub target: Target,
    /// With TLS if given.
    pub tls: Option<Tls>,
    /// The service; empty for the server as a whole.
    pub service: String,
}

/// Runs a program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exec {
    /// The program, by its absolute path.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The user it runs as, by name or number; `None`: the agent's.
    pub user: Option<String>,
}

/// Looks for a process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Process {
    /// The name of its program.
    pub name: String,
    /// The user it has to run as.
    pub user: Option<String>,
}

/// Looks at a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct File {
    /// Its absolute path.
    pub path: String,
    /// Whether the number in it is added to the priority.
    pub adds: bool,
}

/// Looks for a route.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// The destination.
    pub destination: IpNet,
    /// The interface it leads through.
    pub interface: Option<String>,
    /// The gateway it leads to.
    pub gateway: Option<IpAddr>,
    /// The routing table.
    pub table: u32,
}

/// Asks an address whether it is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    /// The address.
    pub address: IpAddr,
    /// How.
    pub method: PeerMethod,
    /// The interface to ask on; `None`: the group's for `Neighbor`, whatever routes say for `Icmp`.
    pub interface: Option<String>,
}

/// How an address is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PeerMethod {
    /// By ARP or neighbor discovery.
    Neighbor,
    /// By an ICMP echo.
    Icmp,
}

/// Logs in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mysql {
    /// To whom.
    pub target: Target,
    /// As whom.
    pub user: String,
    /// The password: of a file its first line, of bytes all; `None`: none.
    pub password: Option<Material>,
    /// Whether it also has to take writes.
    pub writable: bool,
}
