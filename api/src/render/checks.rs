//! From the handler of a probe as written to what is looked at.

use core::net::IpAddr;
use core::ops::RangeInclusive;

use ipnet::IpNet;
use regex::bytes::Regex;

use super::model::parse;
use super::secrets::{SecretSource, Secrets};
use crate::model::probe::{
    Check, Exec, File, Grpc, Host, Http, Material, Mysql, Peer, PeerMethod, Process, Route, Secret, Target,
    Tcp, Tls, Trust,
};
use crate::presets;
use crate::v1alpha1::{
    self, Credentials, FileValue, GRPCAction, HTTPGetAction, HTTPScheme, HTTPVersion, MySQLAction, Probe,
    ProbePreset, ProbeTLS, RouteAction, TCPSocketAction,
};

/// The routing table of a route that names none: the main one.
const MAIN_TABLE: u32 = 254;

/// What is looked at for `ordinary`, which is `written` or one of those that its preset stands for, in a group with these
/// virtual addresses.
pub(super) fn check(
    written: &Probe,
    ordinary: &Probe,
    addresses: &[IpAddr],
    secrets: Secrets<'_>,
) -> Result<Check, String> {
    if let Some(action) = &ordinary.http_get {
        let http = http(action, secrets)?;
        let is_api_server = written.preset == Some(ProbePreset::KubeAPIServer);
        Ok(Check::Http(if is_api_server {
            api_server(written, http, addresses)
        } else {
            http
        }))
    } else if let Some(action) = &ordinary.tcp_socket {
        Ok(Check::Tcp(tcp(action)?))
    } else if let Some(action) = &ordinary.grpc {
        Ok(Check::Grpc(grpc(action, secrets)?))
    } else if let Some(action) = &ordinary.exec {
        Ok(Check::Exec(program(&action.command, action.user.as_ref())?))
    } else if let Some(action) = &ordinary.process {
        Ok(Check::Process(Process {
            name: action.name.clone(),
            user: action.user.clone(),
        }))
    } else if let Some(action) = &ordinary.file {
        Ok(Check::File(File {
            path: absolute(&action.path)?,
            adds: action.value == FileValue::Priority,
        }))
    } else if let Some(action) = &ordinary.interface {
        Ok(Check::Interface(action.name.clone()))
    } else if let Some(action) = &ordinary.route {
        Ok(Check::Route(route(action)?))
    } else if let Some(action) = &ordinary.peer {
        Ok(Check::Peer(Peer {
            address: parse(&action.address, "an address")?,
            method: match action.method {
                v1alpha1::PeerMethod::Neighbor => PeerMethod::Neighbor,
                v1alpha1::PeerMethod::ICMP => PeerMethod::Icmp,
            },
            interface: action.interface.clone(),
        }))
    } else if let Some(action) = &ordinary.mysql {
        Ok(Check::Mysql(mysql(action, secrets)?))
    } else {
        Err("it does not say what is looked at, or this agent does not know it".to_owned())
    }
}

/// The program and arguments in `command`.
pub(super) fn program(command: &[String], user: Option<&String>) -> Result<Exec, String> {
    let (program, arguments) = command
        .split_first()
        .ok_or_else(|| "the program is missing".to_owned())?;
    Ok(Exec {
        program: absolute(program)?,
        arguments: arguments.to_vec(),
        user: user.cloned(),
    })
}

/// What an ordinary probe cannot say: that the address that the static pod binds is meant too, the cluster's CA wherever it is
/// found, and at which addresses clients ask for this node's API server. Who says by which name they do is taken at his word.
fn api_server(written: &Probe, http: Http, addresses: &[IpAddr]) -> Http {
    let target = match http.target {
        Target::Host {
            host: Host::ThisNode,
            port,
        } => Target::Host {
            host: Host::ThisApiServer,
            port,
        },
        other => other,
    };
    let told = written.tls();
    let is_here = matches!(
        target,
        Target::Host {
            host: Host::ThisApiServer,
            ..
        }
    );
    let is_named = told.is_some_and(|told| told.server_name.is_some() || told.insecure_skip_verify);
    let tls = http.tls.map(|tls| Tls {
        trust: if told.is_none_or(presets::trusts_the_cluster) {
            Trust::Cluster
        } else {
            tls.trust
        },
        asked_at: if is_here && !is_named {
            addresses.to_vec()
        } else {
            Vec::new()
        },
        ..tls
    });
    Http { target, tls, ..http }
}

fn http(action: &HTTPGetAction, secrets: Secrets<'_>) -> Result<Http, String> {
    let tls = match (action.scheme, &action.tls) {
        (HTTPScheme::HTTP, None) => None,
        (HTTPScheme::HTTP, Some(_)) => return Err("`tls` needs `scheme: HTTPS`".to_owned()),
        (HTTPScheme::HTTPS, written) => Some(tls(&written.clone().unwrap_or_default(), secrets)?),
    };
    Ok(Http {
        target: host_and_port(action.host.as_ref(), action.port)?,
        tls,
        http2: action.version == HTTPVersion::HTTP2,
        path: action.path.clone(),
        headers: action
            .http_headers
            .iter()
            .map(|header| (header.name.clone(), header.value.clone()))
            .collect(),
        statuses: action
            .statuses
            .iter()
            .map(|written| statuses(written))
            .collect::<Result<_, _>>()?,
        body: action.body.as_deref().map(pattern).transpose()?,
    })
}

/// The statuses that `written` means, one or a range; also what the rule asks.
pub(crate) fn statuses(written: &str) -> Result<RangeInclusive<u16>, String> {
    let (first, last) = written.split_once('-').unwrap_or((written, written));
    let number = |text: &str| {
        let is_plain = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>()
            .ok()
            .filter(|status| is_plain && (100..=599).contains(status))
    };
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => Ok(first..=last),
        _ => Err(format!(
            "`{written}` is not a status from 100 to 599 or a range of them"
        )),
    }
}

fn tcp(action: &TCPSocketAction) -> Result<Tcp, String> {
    let target = match (action.port, &action.socket) {
        (Some(port), None) => host_and_port(action.host.as_ref(), port)?,
        (None, Some(path)) => Target::Socket(absolute(path)?),
        _ => return Err("exactly one of `port` and `socket` is needed".to_owned()),
    };
    Ok(Tcp {
        target,
        send: action.send.as_deref().map(bytes).transpose()?,
        expect: action.expect.as_deref().map(pattern).transpose()?,
    })
}

fn grpc(action: &GRPCAction, secrets: Secrets<'_>) -> Result<Grpc, String> {
    Ok(Grpc {
        target: host_and_port(action.host.as_ref(), action.port)?,
        tls: action
            .tls
            .as_ref()
            .map(|written| tls(written, secrets))
            .transpose()?,
        service: action.service.clone().unwrap_or_default(),
    })
}

fn route(action: &RouteAction) -> Result<Route, String> {
    Ok(Route {
        destination: parse::<IpNet>(&action.destination, "a destination with its prefix length")?.trunc(),
        interface: action.interface.clone(),
        gateway: action
            .gateway
            .as_ref()
            .map(|written| parse(written, "an address"))
            .transpose()?,
        table: match action.table {
            None => MAIN_TABLE,
            Some(table) => u32::try_from(table)
                .map_err(|_| format!("{table} is not a routing table: write a number of 1 or more"))?,
        },
    })
}

fn mysql(action: &MySQLAction, secrets: Secrets<'_>) -> Result<Mysql, String> {
    Ok(Mysql {
        target: host_and_port(action.host.as_ref(), action.port)?,
        user: action.credentials.user.clone(),
        password: password(&action.credentials, secrets)?,
        writable: action.writable,
    })
}

fn password(written: &Credentials, secrets: Secrets<'_>) -> Result<Option<Material>, String> {
    match (&written.password_file, &written.password_secret_ref) {
        (None, None) => Ok(None),
        (Some(path), None) => Ok(Some(Material::File(absolute(path)?))),
        (None, Some(secret)) => in_secret(&SecretSource::password(secret), secrets).map(Some),
        (Some(_), Some(_)) => {
            Err("at most one of `passwordFile` and `passwordSecretRef` is possible".to_owned())
        }
    }
}

fn tls(written: &ProbeTLS, secrets: Secrets<'_>) -> Result<Tls, String> {
    let trust = match (&written.ca_file, &written.ca_secret_ref) {
        _ if written.insecure_skip_verify => Trust::Anybody,
        (None, None) => Trust::System,
        (Some(path), None) => Trust::Authorities(Material::File(absolute(path)?)),
        (None, Some(secret)) => Trust::Authorities(in_secret(&SecretSource::certificates(secret), secrets)?),
        (Some(_), Some(_)) => return Err("at most one of `caFile` and `caSecretRef` is possible".to_owned()),
    };
    let client = match (
        &written.certificate_file,
        &written.key_file,
        &written.certificate_secret,
    ) {
        (None, None, None) => None,
        (Some(certificate), Some(key), None) => Some((
            Material::File(absolute(certificate)?),
            Material::File(absolute(key)?),
        )),
        (None, None, Some(name)) => {
            let [certificate, key] = SecretSource::key_pair(name);
            Some((in_secret(&certificate, secrets)?, in_secret(&key, secrets)?))
        }
        _ => {
            return Err(
                "a client needs `certificateFile` and `keyFile`, or `certificateSecret` alone".to_owned(),
            );
        }
    };
    Ok(Tls {
        server_name: written.server_name.clone(),
        trust,
        client,
        asked_at: Vec::new(),
    })
}

fn in_secret(source: &SecretSource, secrets: Secrets<'_>) -> Result<Material, String> {
    secrets(source).map(|bytes| Material::Bytes(Secret(bytes.into())))
}

fn host_and_port(host: Option<&String>, port: i32) -> Result<Target, String> {
    let host = host.map_or(Ok(Host::ThisNode), |written| {
        Host::read(written).ok_or_else(|| format!("`{written}` is neither an address nor a name"))
    })?;
    let port = u16::try_from(port)
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| format!("port {port} is not a number from 1 to 65535"))?;
    Ok(Target::Host { host, port })
}

fn absolute(path: &str) -> Result<String, String> {
    if path.starts_with('/') {
        Ok(path.to_owned())
    } else {
        Err(format!("`{path}` is not a whole path, beginning with `/`"))
    }
}

/// The bytes that `text` stands for, character by character; also what the rule asks.
pub(crate) fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let byte = |c: char| {
        u8::try_from(u32::from(c))
            .map_err(|_| format!("`{c}` is not one byte: write bytes as U+0000 to U+00FF"))
    };
    text.chars().map(byte).collect()
}

fn pattern(text: &str) -> Result<String, String> {
    match not_a_pattern(text) {
        None => Ok(text.to_owned()),
        Some(why) => Err(format!("`{text}` is not a regular expression: {why}")),
    }
}

/// Why `text` is not a regular expression, in a few words; `None` if it is one. Also what the rule asks.
pub(crate) fn not_a_pattern(text: &str) -> Option<String> {
    let error = Regex::new(text).err()?.to_string();
    // The library draws the place with an arrow; its last line says what is wrong there.
    let last = error.lines().last().unwrap_or_default();
    Some(last.trim_start_matches("error: ").to_owned())
}
