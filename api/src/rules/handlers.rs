//! Checks of what a probe says and expects: HTTP, bytes, files, programs, processes.

use super::Finding;
use super::cel::Cel;
use super::places::{paths, patterns, probes, programs};
use super::probes::each;
use crate::render::checks;
use crate::v1alpha1::{HTTPHeader, HTTPScheme, VirtualIPGroup};

pub(super) const HTTP_PATH: Cel = Cel::new(
    &["spec.probes[].httpGet.path"],
    "self.startsWith('/') && !self.matches('[^!-~]')",
)
.value("self");

pub(super) fn http_path(group: &VirtualIPGroup) -> Vec<Finding> {
    each(group, "httpGet.path", |probe| {
        let path = &probe.http_get.as_ref()?.path;
        let is_good = path.starts_with('/') && path.chars().all(|c| c.is_ascii_graphic());
        (!is_good).then(|| Finding::default().value(path))
    })
}

pub(super) const STATUSES: Cel = Cel::new(
    &["spec.probes[].httpGet.statuses[]"],
    "self.matches('^[1-5][0-9][0-9](-[1-5][0-9][0-9])?$') \
     && (self.size() == 3 || self.substring(0, 3) <= self.substring(4, 7))",
)
.value("self");

pub(super) fn statuses(group: &VirtualIPGroup) -> Vec<Finding> {
    let mut found = Vec::new();
    for (path, probe) in probes(group) {
        let written = probe.http_get.iter().flat_map(|http| &http.statuses).enumerate();
        let wrong = written.filter(|(_, status)| checks::statuses(status).is_err());
        found.extend(
            wrong.map(|(nth, status)| Finding::at(format!("{path}.httpGet.statuses[{nth}]")).value(status)),
        );
    }
    found
}

pub(super) const HEADER: Cel = Cel::new(
    &["spec.probes[].httpGet.httpHeaders[]"],
    "self.name.matches('^[A-Za-z0-9_.-]+$') && !self.value.matches('[^ -~]')",
)
.value("self.name");

pub(super) fn header(group: &VirtualIPGroup) -> Vec<Finding> {
    let mut found = Vec::new();
    for (path, probe) in probes(group) {
        let written = probe.http_get.iter().flat_map(|http| &http.http_headers);
        let wrong = written.enumerate().filter(|(_, header)| !can_be_sent(header));
        found.extend(wrong.map(|(nth, header)| {
            Finding::at(format!("{path}.httpGet.httpHeaders[{nth}]")).value(&header.name)
        }));
    }
    found
}

fn can_be_sent(header: &HTTPHeader) -> bool {
    let of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let of_value = |c: char| c == ' ' || c.is_ascii_graphic();
    let is_named = !header.name.is_empty() && header.name.chars().all(of_name);
    is_named && header.value.chars().all(of_value)
}

pub(super) const TLS: Cel = Cel::new(
    &["spec.probes[].httpGet"],
    "self.scheme == 'HTTPS' || !has(self.tls)",
)
.field(".tls");

pub(super) fn tls(group: &VirtualIPGroup) -> Vec<Finding> {
    each(group, "httpGet.tls", |probe| {
        let http = probe.http_get.as_ref()?;
        (http.scheme == HTTPScheme::HTTP && http.tls.is_some()).then(Finding::default)
    })
}

pub(super) fn pattern(group: &VirtualIPGroup) -> Vec<Finding> {
    let mut found = Vec::new();
    for (path, probe) in probes(group) {
        found.extend(patterns(probe).into_iter().filter_map(|(place, text)| {
            let why = checks::not_a_pattern(text)?;
            Some(Finding::at(format!("{path}.{place}")).value(text).other(why))
        }));
    }
    found
}

pub(super) const SEND: Cel = Cel::new(
    &["spec.probes[].tcpSocket.send"],
    r"!self.matches('[^\\x00-\\x{ff}]')",
);

pub(super) fn send(group: &VirtualIPGroup) -> Vec<Finding> {
    each(group, "tcpSocket.send", |probe| {
        let send = probe.tcp_socket.as_ref()?.send.as_ref()?;
        checks::bytes(send).err().map(|_| Finding::default())
    })
}

pub(super) const PATH: Cel = Cel::new(
    &[
        "spec.probes[].file.path",
        "spec.probes[].tcpSocket.socket",
        "spec.probes[].presetOptions.socket",
        "spec.probes[].httpGet.tls.caFile",
        "spec.probes[].httpGet.tls.certificateFile",
        "spec.probes[].httpGet.tls.keyFile",
        "spec.probes[].grpc.tls.caFile",
        "spec.probes[].grpc.tls.certificateFile",
        "spec.probes[].grpc.tls.keyFile",
        "spec.probes[].presetOptions.tls.caFile",
        "spec.probes[].presetOptions.tls.certificateFile",
        "spec.probes[].presetOptions.tls.keyFile",
        "spec.probes[].mysql.credentials.passwordFile",
        "spec.probes[].presetOptions.credentials.passwordFile",
    ],
    "$whole(self)",
)
.value("self");

pub(super) fn path(group: &VirtualIPGroup) -> Vec<Finding> {
    let mut found = Vec::new();
    for (at, probe) in probes(group) {
        let wrong = paths(probe).into_iter().filter(|(_, written)| !is_whole(written));
        found.extend(wrong.map(|(place, written)| Finding::at(format!("{at}.{place}")).value(written)));
    }
    found
}

pub(super) const PROGRAM: Cel = Cel::new(
    &["spec.probes[].exec.command", "spec.probes[].recover.exec"],
    "self.size() == 0 || $whole(self[0])",
)
.value("self[0]");

pub(super) fn program(group: &VirtualIPGroup) -> Vec<Finding> {
    let mut found = Vec::new();
    for (path, probe) in probes(group) {
        let wrong = programs(probe)
            .into_iter()
            .filter(|(_, written)| !is_whole(written));
        found.extend(wrong.map(|(place, written)| Finding::at(format!("{path}.{place}")).value(written)));
    }
    found
}

/// Whether a path means the same wherever the agent was started, and nothing above itself.
fn is_whole(path: &str) -> bool {
    path.starts_with('/') && !path.contains("/../") && !path.ends_with("/..")
}

pub(super) const PROCESS: Cel =
    Cel::new(&["spec.probes[].process.name"], "!self.contains('/')").value("self");

pub(super) fn process(group: &VirtualIPGroup) -> Vec<Finding> {
    each(group, "process.name", |probe| {
        let name = &probe.process.as_ref()?.name;
        name.contains('/').then(|| Finding::default().value(name))
    })
}
