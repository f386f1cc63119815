//! What the presets of probes mean: each is one ordinary probe, or two that both have to pass.

use crate::v1alpha1::{
    EtcdReadiness, HTTPGetAction, HTTPScheme, HTTPVersion, MySQLAction, PresetOptions, Probe, ProbePreset,
    ProbeTLS, ProcessAction, TCPSocketAction,
};

/// The name for which every API server of a cluster has a certificate. kubeadm's names neither localhost nor 127.0.0.1.
pub const API_SERVER_NAME: &str = "kubernetes.default.svc";
/// Where kubeadm keeps the CA of the cluster; what the preset looks for first is [`crate::model::probe::Trust::Cluster`].
const CLUSTER_CA: &str = "/etc/kubernetes/pki/ca.crt";
/// What an API server asks itself, its etcd among it.
const READYZ: &str = "/readyz";
/// Where all API servers share an etcd, one that is lost must not fail all of them at once.
const READYZ_WITHOUT_ETCD: &str = "/readyz?exclude=etcd&exclude=etcd-readiness";
/// One that does not let strangers ask is alive.
const READYZ_STATUSES: [&str; 3] = ["200", "401", "403"];

/// HAProxy's answer to `show info` says its process identifier.
const HAPROXY_EXPECT: &str = "(?m)^Pid: [0-9]+";
/// The header of a packet with the number 0, protocol version 10, the server's version. What is no greeting begins with 255:
/// `Too many connections`, `Host is blocked`.
const MYSQL_EXPECT: &str = r"(?s-u)^.{3}\x00\x0a[^\x00]+\x00";
/// A server that asks for a password answers too.
const REDIS_EXPECT: &str = r"^(?:\+PONG|-NOAUTH)";
/// `StartupMessage`: its length, protocol version 3.0, and pairs that an empty name ends.
const POSTGRESQL_SEND: &str = "\0\0\0\x29\0\x03\0\0user\0postgres\0database\0postgres\0\0";
/// It asks for credentials, or refuses these (SQLSTATE class 28) or has no such database (3D): it takes connections. While it
/// starts up it says 57P03, and when it is full 53300.
const POSTGRESQL_EXPECT: &str = r"(?s-u)^(?:R|E.{4}(?:[^\x00]+\x00)*?C(?:28|3D)[0-9A-Z]{3}\x00)";

impl ProbePreset {
    /// The service's usual port; HAProxy has none.
    pub const fn port(self) -> Option<i32> {
        Some(match self {
            Self::KubeAPIServer => 6443,
            Self::HAProxy => return None,
            Self::Nginx => 80,
            Self::MySQL => 3306,
            Self::Redis => 6379,
            Self::PostgreSQL => 5432,
        })
    }

    /// Whether the service stands in front of others, and so may listen at the group's addresses alone.
    pub const fn is_proxy(self) -> bool {
        matches!(self, Self::HAProxy | Self::Nginx)
    }
}

/// The ordinary probes that `probe` stands for; `probe` itself if it has no preset. All of them have to pass: the agent runs
/// them as one.
///
/// Two things cannot be written in an ordinary probe, and `KubeAPIServer` does them: it also dials the address that the API
/// server's static pod binds, and it finds the cluster's CA in a pod, too.
pub fn expand(probe: &Probe) -> Vec<Probe> {
    let Some(preset) = probe.preset else {
        return vec![probe.clone()];
    };
    let options = probe.preset_options.clone().unwrap_or_default();
    let plain = Probe {
        preset: None,
        preset_options: None,
        ..probe.clone()
    };
    let port = options.port.or(preset.port());
    match preset {
        ProbePreset::KubeAPIServer => vec![Probe {
            http_get: Some(readyz(options)),
            ..plain
        }],
        ProbePreset::HAProxy if options.socket.is_some() => {
            vec![tcp(
                plain,
                options,
                None,
                Some("show info\n"),
                Some(HAPROXY_EXPECT),
            )]
        }
        ProbePreset::HAProxy => port_and_process(&plain, options, port, "haproxy"),
        ProbePreset::Nginx => port_and_process(&plain, options, port, "nginx"),
        ProbePreset::MySQL => match options.credentials {
            Some(credentials) => vec![Probe {
                mysql: Some(MySQLAction {
                    host: options.host,
                    port: port.unwrap_or_default(),
                    credentials,
                    writable: true,
                }),
                ..plain
            }],
            None => vec![tcp(plain, options, port, None, Some(MYSQL_EXPECT))],
        },
        ProbePreset::Redis => vec![tcp(plain, options, port, Some("PING\r\n"), Some(REDIS_EXPECT))],
        ProbePreset::PostgreSQL => {
            let (send, expect) = (Some(POSTGRESQL_SEND), Some(POSTGRESQL_EXPECT));
            vec![tcp(plain, options, port, send, expect)]
        }
    }
}

fn readyz(options: PresetOptions) -> HTTPGetAction {
    let mut tls = options.tls.unwrap_or_default();
    tls.server_name.get_or_insert_with(|| API_SERVER_NAME.to_owned());
    if trusts_the_cluster(&tls) {
        tls.ca_file = Some(CLUSTER_CA.to_owned());
    }
    let path = match options.etcd.unwrap_or_default() {
        EtcdReadiness::Exclude => READYZ_WITHOUT_ETCD,
        EtcdReadiness::Include => READYZ,
    };
    HTTPGetAction {
        scheme: HTTPScheme::HTTPS,
        host: options.host,
        port: options
            .port
            .or(ProbePreset::KubeAPIServer.port())
            .unwrap_or_default(),
        path: path.to_owned(),
        version: HTTPVersion::HTTP1,
        http_headers: Vec::new(),
        statuses: READYZ_STATUSES.map(str::to_owned).to_vec(),
        body: None,
        tls: Some(tls),
    }
}

/// Whether these options of `KubeAPIServer` leave it to the agent whom to believe.
pub(crate) fn trusts_the_cluster(tls: &ProbeTLS) -> bool {
    tls.ca_file.is_none() && tls.ca_secret_ref.is_none() && !tls.insecure_skip_verify
}

/// A port that somebody listens on may be another program's, and a process that runs may have lost its port.
fn port_and_process(plain: &Probe, options: PresetOptions, port: Option<i32>, process: &str) -> Vec<Probe> {
    let named = |part: &str| Probe {
        name: format!("{}-{part}", plain.name),
        ..plain.clone()
    };
    let process = Probe {
        process: Some(ProcessAction {
            name: process.to_owned(),
            user: None,
        }),
        ..named("process")
    };
    vec![tcp(named("port"), options, port, None, None), process]
}

fn tcp(
    plain: Probe,
    options: PresetOptions,
    port: Option<i32>,
    send: Option<&str>,
    expect: Option<&str>,
) -> Probe {
    Probe {
        tcp_socket: Some(TCPSocketAction {
            host: options.host,
            port: if options.socket.is_some() { None } else { port },
            socket: options.socket,
            send: send.map(str::to_owned),
            expect: expect.map(str::to_owned),
        }),
        ..plain
    }
}

#[cfg(test)]
mod tests;
