//! Where in a probe hosts, paths, secrets and programs stand, whatever its handler.

use crate::v1alpha1::{Credentials, Probe, ProbeTLS, VirtualIPGroup};

/// The group's probes, each with its path.
pub(super) fn probes(group: &VirtualIPGroup) -> impl Iterator<Item = (String, &Probe)> {
    let probes = group.spec.probes.iter().enumerate();
    probes.map(|(index, probe)| (format!("spec.probes[{index}]"), probe))
}

/// The hosts that `probe` names.
pub(super) fn hosts(probe: &Probe) -> Vec<(&'static str, &str)> {
    let options = probe.preset_options.as_ref();
    written([
        (
            "httpGet.host",
            probe.http_get.as_ref().and_then(|http| http.host.as_ref()),
        ),
        (
            "tcpSocket.host",
            probe.tcp_socket.as_ref().and_then(|tcp| tcp.host.as_ref()),
        ),
        (
            "grpc.host",
            probe.grpc.as_ref().and_then(|grpc| grpc.host.as_ref()),
        ),
        (
            "mysql.host",
            probe.mysql.as_ref().and_then(|mysql| mysql.host.as_ref()),
        ),
        (
            "presetOptions.host",
            options.and_then(|options| options.host.as_ref()),
        ),
    ])
}

/// What `probe` says of TLS.
pub(super) fn tls(probe: &Probe) -> Vec<(&'static str, &ProbeTLS)> {
    let http = probe.http_get.as_ref().and_then(|http| http.tls.as_ref());
    let grpc = probe.grpc.as_ref().and_then(|grpc| grpc.tls.as_ref());
    let options = probe.preset_options.as_ref();
    let all = [
        ("httpGet.tls", http),
        ("grpc.tls", grpc),
        (
            "presetOptions.tls",
            options.and_then(|options| options.tls.as_ref()),
        ),
    ];
    all.into_iter()
        .filter_map(|(place, tls)| Some((place, tls?)))
        .collect()
}

/// Who logs in for `probe`.
pub(super) fn credentials(probe: &Probe) -> Vec<(&'static str, &Credentials)> {
    let mysql = probe.mysql.as_ref().map(|mysql| &mysql.credentials);
    let options = probe.preset_options.as_ref();
    let all = [
        ("mysql.credentials", mysql),
        (
            "presetOptions.credentials",
            options.and_then(|options| options.credentials.as_ref()),
        ),
    ];
    all.into_iter()
        .filter_map(|(place, credentials)| Some((place, credentials?)))
        .collect()
}

/// The paths of files that `probe` names, those of programs left out.
pub(super) fn paths(probe: &Probe) -> Vec<(String, &str)> {
    let options = probe.preset_options.as_ref();
    let own = written([
        ("file.path", probe.file.as_ref().map(|file| &file.path)),
        (
            "tcpSocket.socket",
            probe.tcp_socket.as_ref().and_then(|tcp| tcp.socket.as_ref()),
        ),
        (
            "presetOptions.socket",
            options.and_then(|options| options.socket.as_ref()),
        ),
    ]);
    let own = own.into_iter().map(|(place, path)| (place.to_owned(), path));
    let tls = tls(probe).into_iter().flat_map(|(place, tls)| {
        let paths = written([
            ("caFile", tls.ca_file.as_ref()),
            ("certificateFile", tls.certificate_file.as_ref()),
            ("keyFile", tls.key_file.as_ref()),
        ]);
        paths
            .into_iter()
            .map(move |(field, path)| (format!("{place}.{field}"), path))
    });
    let login = credentials(probe).into_iter().filter_map(|(place, credentials)| {
        let path = credentials.password_file.as_deref()?;
        Some((format!("{place}.passwordFile"), path))
    });
    own.chain(tls).chain(login).collect()
}

/// The Secrets that `probe` names, each with the field to write instead in a file; not where that is written already.
pub(super) fn secrets(probe: &Probe) -> Vec<(String, &'static str)> {
    let tls = tls(probe).into_iter().flat_map(|(place, tls)| {
        let is_known = tls.ca_file.is_some() || tls.insecure_skip_verify;
        let has_files = tls.certificate_file.is_some() || tls.key_file.is_some();
        let named = [
            (
                "caSecretRef",
                "`caFile`",
                tls.ca_secret_ref.is_some() && !is_known,
            ),
            (
                "certificateSecret",
                "`certificateFile` and `keyFile`",
                tls.certificate_secret.is_some() && !has_files,
            ),
        ];
        let named = named.into_iter().filter(|(.., is_named)| *is_named);
        named.map(move |(field, instead, _)| (format!("{place}.{field}"), instead))
    });
    let login = credentials(probe).into_iter().filter_map(|(place, credentials)| {
        let is_named = credentials.password_secret_ref.is_some() && credentials.password_file.is_none();
        is_named.then(|| (format!("{place}.passwordSecretRef"), "`passwordFile`"))
    });
    tls.chain(login).collect()
}

/// The programs that `probe` runs.
pub(super) fn programs(probe: &Probe) -> Vec<(&'static str, &str)> {
    written([
        (
            "exec.command",
            probe.exec.as_ref().and_then(|exec| exec.command.first()),
        ),
        (
            "recover.exec",
            probe.recover.as_ref().and_then(|recover| recover.exec.first()),
        ),
    ])
}

/// The regular expressions in `probe`.
pub(super) fn patterns(probe: &Probe) -> Vec<(&'static str, &str)> {
    written([
        (
            "httpGet.body",
            probe.http_get.as_ref().and_then(|http| http.body.as_ref()),
        ),
        (
            "tcpSocket.expect",
            probe.tcp_socket.as_ref().and_then(|tcp| tcp.expect.as_ref()),
        ),
    ])
}

/// The interfaces that `probe` names.
pub(super) fn interfaces(probe: &Probe) -> Vec<(&'static str, &str)> {
    written([
        ("interface.name", probe.interface.as_ref().map(|link| &link.name)),
        (
            "route.interface",
            probe.route.as_ref().and_then(|route| route.interface.as_ref()),
        ),
        (
            "peer.interface",
            probe.peer.as_ref().and_then(|peer| peer.interface.as_ref()),
        ),
    ])
}

fn written<'a, const N: usize>(
    places: [(&'static str, Option<&'a String>); N],
) -> Vec<(&'static str, &'a str)> {
    let there = places.into_iter();
    there
        .filter_map(|(place, text)| Some((place, text?.as_str())))
        .collect()
}
