//! What is watched on each node, and what its failure does there.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SecretKeyReference, defaults};
use crate::duration::GatewayDuration;

/// What is watched on each node: a node whose service fails hands over. Exactly one of `preset`, `httpGet`, `tcpSocket`,
/// `grpc`, `exec`, `process`, `file`, `interface`, `route`, `peer`, `mysql` and `quorum` is given.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// The probe's name, unique in its group.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// A service that Holdfast knows how to ask without further words. `holdfast-agent check` prints the ordinary probes that
    /// it stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<ProbePreset>,
    /// Where the service of `preset` differs from what is usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset_options: Option<PresetOptions>,
    /// Asks by HTTP or HTTPS. Redirects are not followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_get: Option<HTTPGetAction>,
    /// Connects by TCP and, if asked to, says something and reads the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp_socket: Option<TCPSocketAction>,
    /// Asks by gRPC's health protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc: Option<GRPCAction>,
    /// Runs a program: status 0 passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exec: Option<ExecAction>,
    /// A process runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessAction>,
    /// A file exists, or holds a number that is added to the priority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileAction>,
    /// Another interface is up and has a carrier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<InterfaceAction>,
    /// A route exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<RouteAction>,
    /// An address answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerAction>,
    /// A MySQL or MariaDB server takes a login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mysql: Option<MySQLAction>,
    /// So many of other probes pass. Those act through this one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum: Option<QuorumAction>,
    /// How often it runs, at least 100ms. Of a quorum this and the other times and thresholds mean nothing.
    #[serde(default = "defaults::probe_period")]
    pub period: GatewayDuration,
    /// How long a run may take. It may be longer than the period; runs never overlap.
    #[serde(default = "defaults::probe_timeout")]
    pub timeout: GatewayDuration,
    /// How long after its start the agent waits for the service before the first run.
    #[serde(default)]
    pub initial_delay: GatewayDuration,
    /// By how much each run is delayed at random at most, so that many nodes do not ask at the same moment. Less than the
    /// period.
    #[serde(default)]
    pub jitter: GatewayDuration,
    /// How many failures in a row make it fail (keepalived's `fall`).
    #[serde(default = "defaults::failure_threshold")]
    #[schemars(range(min = 1, max = 255))]
    pub failure_threshold: i32,
    /// How many successes in a row make it pass again (keepalived's `rise`).
    #[serde(default = "defaults::success_threshold")]
    #[schemars(range(min = 1, max = 255))]
    pub success_threshold: i32,
    /// What a failure does to the node.
    #[serde(default)]
    pub on_failure: FailureAction,
    /// What is tried before the node is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recover: Option<Recover>,
}

impl Probe {
    /// What proves who answers and who asks, if the probe speaks TLS; of a preset, as it is written.
    pub fn tls(&self) -> Option<&ProbeTLS> {
        let options = self.preset_options.as_ref();
        let http = self.http_get.as_ref().and_then(|http| http.tls.as_ref());
        let grpc = self.grpc.as_ref().and_then(|grpc| grpc.tls.as_ref());
        http.or(grpc)
            .or_else(|| options.and_then(|options| options.tls.as_ref()))
    }

    /// Whether a quorum among `probes` names the probe of this name: then it acts through that quorum and not by itself.
    pub fn is_in_quorum(name: &str, probes: &[Self]) -> bool {
        let mut quorums = probes.iter().filter_map(|probe| probe.quorum.as_ref());
        quorums.any(|quorum| quorum.probes.iter().any(|named| named == name))
    }

    /// Who logs in, if the probe does; of a preset, as it is written.
    pub fn credentials(&self) -> Option<&Credentials> {
        let options = self.preset_options.as_ref();
        let mysql = self.mysql.as_ref().map(|mysql| &mysql.credentials);
        mysql.or_else(|| options.and_then(|options| options.credentials.as_ref()))
    }
}

/// The services that Holdfast knows how to ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub enum ProbePreset {
    /// The Kubernetes API server on this node, at port 6443: that `/readyz`, without etcd unless `etcd: Include` is written,
    /// answers 200, 401 or 403, with a certificate of the cluster for `kubernetes.default.svc`.
    KubeAPIServer,
    /// HAProxy: that its stats socket answers `show info`, or that its port is open and its process runs.
    HAProxy,
    /// nginx: that port 80 is open and its process runs.
    Nginx,
    /// MySQL or MariaDB, at port 3306: that it greets; with credentials that it takes the login and writes.
    MySQL,
    /// Redis or Valkey, at port 6379: that it answers `PING`.
    Redis,
    /// PostgreSQL, at port 5432: that it takes connections, without a login.
    PostgreSQL,
}

/// Where the service of a preset differs from what is usual.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PresetOptions {
    /// The host. Default: this node, at 127.0.0.1 or ::1; for `KubeAPIServer` also the address that its static pod binds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub host: Option<String>,
    /// The port. Default: the service's usual one; HAProxy has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
    /// HAProxy's stats socket. Exactly one of `port` and `socket` is given for HAProxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 107))]
    pub socket: Option<String>,
    /// What proves who answers, and who asks, for `KubeAPIServer`. Default: the cluster's own CA and the name
    /// `kubernetes.default.svc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ProbeTLS>,
    /// Whether a lost etcd fails the probe, for `KubeAPIServer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etcd: Option<EtcdReadiness>,
    /// Who logs in, for `MySQL`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
}

/// Whether a lost etcd fails the probe, for `KubeAPIServer`: `Include` where each API server has a member of etcd of its own,
/// as kubeadm sets it up; `Exclude` where all of them share one. Default: `Exclude`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize, JsonSchema)]
pub enum EtcdReadiness {
    /// It does not: all API servers share it, and its loss says nothing about one of them.
    #[default]
    Exclude,
    /// It does: each has its own, and one that has lost it is of no use while others are.
    Include,
}

/// Asks by HTTP or HTTPS.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HTTPGetAction {
    /// `HTTP` or `HTTPS`.
    #[serde(default)]
    pub scheme: HTTPScheme,
    /// The host to connect to, best by its address: a name is looked up each time. Default: this node, at 127.0.0.1 or ::1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub host: Option<String>,
    /// The port.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// The path and query, beginning with `/`.
    #[serde(default = "defaults::path")]
    #[schemars(length(min = 1, max = 1024))]
    pub path: String,
    /// The version of HTTP: `HTTP1`, or `HTTP2` (without TLS: by prior knowledge).
    #[serde(default)]
    pub version: HTTPVersion,
    /// Headers to send; `Host` may be among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub http_headers: Vec<HTTPHeader>,
    /// The statuses that pass, each a number or a range: `200`, `200-399`.
    #[serde(default = "defaults::statuses")]
    #[schemars(
        length(min = 1, max = 16),
        inner(length(min = 3, max = 7)),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub statuses: Vec<String>,
    /// A regular expression that the first 64 KiB of the body have to match somewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub body: Option<String>,
    /// What proves who answers, and who asks. For HTTPS only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ProbeTLS>,
}

/// Without or with TLS.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize, JsonSchema)]
pub enum HTTPScheme {
    /// Without TLS.
    #[default]
    HTTP,
    /// With TLS.
    HTTPS,
}

/// The version of HTTP.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize, JsonSchema)]
pub enum HTTPVersion {
    /// HTTP/1.1.
    #[default]
    HTTP1,
    /// HTTP/2.
    HTTP2,
}

/// One header to send.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct HTTPHeader {
    /// Its name.
    #[schemars(length(min = 1, max = 128))]
    pub name: String,
    /// Its value.
    #[schemars(length(max = 1024))]
    pub value: String,
}

/// What proves who answers, and who asks.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProbeTLS {
    /// The name or address that the certificate has to have. Default: the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub server_name: Option<String>,
    /// A file on the node with the CA's certificates. At most one of `caFile` and `caSecretRef` is given; default: those that
    /// the node trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub ca_file: Option<String>,
    /// The key of a Secret in Holdfast's own namespace with the CA's certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretKeyReference>,
    /// A file on the node with the client's certificate and those that sign it. Needs `keyFile`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub certificate_file: Option<String>,
    /// A file on the node with the client's private key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub key_file: Option<String>,
    /// The name of a Secret of type `kubernetes.io/tls` in Holdfast's own namespace with the client's certificate and key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub certificate_secret: Option<String>,
    /// Believe whoever answers: the probe says then that somebody answers, and not who.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub insecure_skip_verify: bool,
}

/// Connects by TCP and, if asked to, says something and reads the answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TCPSocketAction {
    /// The host to connect to, best by its address: a name is looked up each time. Default: this node, at 127.0.0.1 or ::1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub host: Option<String>,
    /// The port. Exactly one of `port` and `socket` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
    /// The path of a Unix socket on the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 107))]
    pub socket: Option<String>,
    /// What is sent after connecting, byte for character (U+0000 to U+00FF).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub send: Option<String>,
    /// A regular expression, over bytes, that the beginning of the answer (64 KiB at most) has to match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub expect: Option<String>,
}

/// Asks by gRPC's health protocol.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GRPCAction {
    /// The host to connect to, best by its address: a name is looked up each time. Default: this node, at 127.0.0.1 or ::1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub host: Option<String>,
    /// The port.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// The service to ask about. Default: the server as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub service: Option<String>,
    /// What proves who answers, and who asks. Default: no TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ProbeTLS>,
}

/// Runs a program.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExecAction {
    /// The program, by its absolute path, and its arguments. There is no shell unless it is the program.
    #[schemars(
        length(min = 1, max = 32),
        inner(length(min = 1, max = 4096)),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub command: Vec<String>,
    /// The user it runs as, by name or number. Default: the agent's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    pub user: Option<String>,
}

/// A process runs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProcessAction {
    /// The name of its program, as `ps -o comm` shows it or as the last part of its path; not a path.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    /// The user it has to run as, by name or number. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    pub user: Option<String>,
}

/// A file exists, or holds a number that is added to the priority.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FileAction {
    /// Its absolute path.
    #[schemars(length(min = 2, max = 4096))]
    pub path: String,
    /// `Exists`: that it is there passes. `Priority`: the number in it, from -253 to 253, is added to the priority; a file that
    /// is missing or holds something else fails.
    #[serde(default)]
    pub value: FileValue,
}

/// What is made of a file.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize, JsonSchema)]
pub enum FileValue {
    /// That it exists.
    #[default]
    Exists,
    /// The number in it.
    Priority,
}

/// Another interface is up and has a carrier.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InterfaceAction {
    /// The interface.
    #[schemars(length(min = 1, max = 15))]
    pub name: String,
}

/// A route exists.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouteAction {
    /// The destination with its prefix length: `0.0.0.0/0` for the default route.
    #[schemars(length(min = 4, max = 43))]
    pub destination: String,
    /// The interface it leads through. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 15))]
    pub interface: Option<String>,
    /// The gateway it leads to. Default: any, or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 39))]
    pub gateway: Option<String>,
    /// The routing table. Default: 254, the main one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub table: Option<i32>,
}

/// An address answers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PeerAction {
    /// The address: a gateway, say.
    #[schemars(length(min = 2, max = 39))]
    pub address: String,
    /// How it is asked.
    #[serde(default)]
    pub method: PeerMethod,
    /// The interface to ask on. Default: the group's for `Neighbor`, the one that routes lead through for `ICMP`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 15))]
    pub interface: Option<String>,
}

/// How an address is asked whether it is there.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize, JsonSchema)]
pub enum PeerMethod {
    /// By ARP or neighbor discovery: it has to be on the same link.
    #[default]
    Neighbor,
    /// By an ICMP echo, as `ping` does.
    ICMP,
}

/// A MySQL or MariaDB server takes a login.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MySQLAction {
    /// The host to connect to, best by its address: a name is looked up each time. Default: this node, at 127.0.0.1 or ::1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub host: Option<String>,
    /// The port.
    #[serde(default = "defaults::mysql_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// Who logs in.
    pub credentials: Credentials,
    /// Whether it also has to take writes (`read_only` is off).
    #[serde(default = "defaults::yes")]
    pub writable: bool,
}

/// Who logs in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// The user's name.
    #[schemars(length(min = 1, max = 80))]
    pub user: String,
    /// A file on the node whose first line is the password. At most one of `passwordFile` and `passwordSecretRef` is given;
    /// default: no password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub password_file: Option<String>,
    /// The key of a Secret in Holdfast's own namespace that holds the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_secret_ref: Option<SecretKeyReference>,
}

/// So many of other probes pass.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuorumAction {
    /// The names of the other probes: each in one quorum only, none of them a quorum.
    #[schemars(
        length(min = 2, max = 15),
        inner(length(min = 1, max = 63)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub probes: Vec<String>,
    /// How many of them have to pass.
    #[schemars(range(min = 1, max = 15))]
    pub at_least: i32,
}

/// What a failing probe does to its node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailureAction {
    /// `Hold`: hand over, and serve only if every member fails. `Fault`: leave the election. `Weight`: change the priority by
    /// `weight`. `None`: only show it.
    #[serde(rename = "type", default)]
    pub type_: FailureActionType,
    /// By how much the priority changes: a negative number is added while the probe fails, a positive one while it passes.
    /// Required with `Weight`, not allowed otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -253, max = 253))]
    pub weight: Option<i32>,
}

/// The kinds of [`FailureAction`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub enum FailureActionType {
    /// Hand over, and serve only if every member fails.
    #[default]
    Hold,
    /// Leave the election.
    Fault,
    /// Change the priority.
    Weight,
    /// Only show it.
    None,
}

/// What is tried before a node is given up: a program that heals the service, such as one that restarts it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Recover {
    /// The program, by its absolute path, and its arguments. What holds for `exec` probes holds for it.
    #[schemars(
        length(min = 1, max = 32),
        inner(length(min = 1, max = 4096)),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub exec: Vec<String>,
    /// How often it is tried in a row. After each time the probe has `failureThreshold` runs to pass.
    #[serde(default = "defaults::recover_attempts")]
    #[schemars(range(min = 1, max = 10))]
    pub attempts: i32,
    /// For how long after the last attempt no healing is begun anew: a service that dies again and again is not restarted for
    /// ever.
    #[serde(default = "defaults::recover_cooldown")]
    pub cooldown: GatewayDuration,
    /// How long one attempt may take.
    #[serde(default = "defaults::recover_timeout")]
    pub timeout: GatewayDuration,
}
