//! A failing probe in words: what was found, since when, and where to look.

use super::words::{at, cut};
use crate::v1alpha1::{Probe, ProbePreset, ProbeStatus};

/// How much of what was found is repeated; the whole stands in the `VirtualIPNode`.
const FOUND_CHARS: usize = 200;

/// ``probe `web` fails since 2026-01-01T00:00:00Z: connection refused (look at …)``
pub(super) fn failing(said: &ProbeStatus, written: Option<&Probe>, node: &str) -> String {
    let how = match said.outcome.as_deref() {
        Some("TimedOut") => "times out",
        Some("CouldNotRun") => "cannot be run",
        _ => "fails",
    };
    let since = said.since.as_ref().map(|since| format!(" since {}", at(since.0)));
    let found = said.message.as_deref().and_then(first_line);
    let found = found.map(|found| format!(": {}", cut(found, FOUND_CHARS)));
    let look = written.and_then(|probe| where_to_look(probe, node));
    let look = look.map(|place| format!(" (look at {place})"));
    format!(
        "probe `{}` {how}{}{}{}",
        said.name,
        since.unwrap_or_default(),
        found.unwrap_or_default(),
        look.unwrap_or_default()
    )
}

fn first_line(text: &str) -> Option<&str> {
    text.lines().map(str::trim).find(|line| !line.is_empty())
}

/// What the probe asks, on its node. `None` for a quorum: its own probes say it.
fn where_to_look(probe: &Probe, node: &str) -> Option<String> {
    if let Some(preset) = probe.preset {
        return Some(format!("{} on {node}", service(preset)));
    }
    if let Some(http) = &probe.http_get {
        let scheme = format!("{:?}", http.scheme).to_ascii_lowercase();
        let (at, on) = asked(http.host.as_ref(), http.port, node);
        return Some(format!("what should answer {scheme}://{at}{} {on}", http.path));
    }
    if let Some(tcp) = &probe.tcp_socket {
        let (at, on) = match (&tcp.socket, tcp.port) {
            (Some(socket), _) => (socket.clone(), format!("on {node}")),
            (None, port) => asked(tcp.host.as_ref(), port?, node),
        };
        return Some(format!("what should answer at {at} {on}"));
    }
    if let Some(grpc) = &probe.grpc {
        let (at, on) = asked(grpc.host.as_ref(), grpc.port, node);
        return Some(format!("what should answer gRPC health checks at {at} {on}"));
    }
    if let Some(mysql) = &probe.mysql {
        let (at, on) = asked(mysql.host.as_ref(), mysql.port, node);
        return Some(format!("the MySQL server at {at} {on}"));
    }
    if let Some(exec) = &probe.exec {
        return Some(format!("what `{}` says on {node}", exec.command.join(" ")));
    }
    if let Some(process) = &probe.process {
        return Some(format!("the process `{}` on {node}", process.name));
    }
    if let Some(file) = &probe.file {
        return Some(format!("the file {} on {node}", file.path));
    }
    if let Some(interface) = &probe.interface {
        return Some(format!("`ip link show {}` on {node}", interface.name));
    }
    if let Some(route) = &probe.route {
        return Some(format!("`ip route` on {node}, for {}", route.destination));
    }
    let peer = probe.peer.as_ref()?;
    Some(format!("{}, and the way to it from {node}", peer.address))
}

fn service(preset: ProbePreset) -> &'static str {
    match preset {
        ProbePreset::KubeAPIServer => "kube-apiserver",
        ProbePreset::HAProxy => "HAProxy",
        ProbePreset::Nginx => "nginx",
        ProbePreset::MySQL => "MySQL",
        ProbePreset::Redis => "Redis",
        ProbePreset::PostgreSQL => "PostgreSQL",
    }
}

/// Which host and port is asked, and on or from which node.
fn asked(host: Option<&String>, port: i32, node: &str) -> (String, String) {
    match host {
        Some(host) if host.contains(':') => (format!("[{host}]:{port}"), format!("from {node}")),
        Some(host) => (format!("{host}:{port}"), format!("from {node}")),
        None => (format!("localhost:{port}"), format!("on {node}")),
    }
}
