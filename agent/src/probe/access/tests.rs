use core::time::Duration;
use std::sync::Arc;

use holdfast_api::model::probe::{File, Host, Http, Mysql, Process, Recover, Secret, Tcp, Timing};

use super::*;

const FROM_API: bool = true;
const FROM_FILE: bool = false;

fn host() -> Access {
    Access {
        set_user: true,
        ..Access::default()
    }
}

fn pod() -> Access {
    Access {
        pod: true,
        ..Access::default()
    }
}

fn paths(paths: &[&str]) -> Vec<PathBuf> {
    paths.iter().map(PathBuf::from).collect()
}

fn probe(check: Check) -> Probe {
    Probe {
        name: "web".into(),
        checks: vec![check],
        timing: Timing {
            period: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            initial_delay: Duration::ZERO,
            jitter: Duration::ZERO,
        },
        recover: None,
        may_bind: Vec::new(),
    }
}

fn program(program: &str, user: Option<&str>) -> Exec {
    Exec {
        program: program.into(),
        arguments: Vec::new(),
        user: user.map(Into::into),
    }
}

fn exec(path: &str) -> Probe {
    probe(Check::Exec(program(path, None)))
}

fn file(path: &str) -> Probe {
    probe(Check::File(File {
        path: path.into(),
        adds: false,
    }))
}

fn process(user: Option<&str>) -> Probe {
    probe(Check::Process(Process {
        name: "nginx".into(),
        user: user.map(Into::into),
    }))
}

fn https(trust: Trust, client: Option<(Material, Material)>) -> Probe {
    probe(Check::Http(Http {
        target: Target::Host {
            host: Host::ThisNode,
            port: 443,
        },
        tls: Some(Tls {
            server_name: None,
            trust,
            client,
            asked_at: Vec::new(),
        }),
        http2: false,
        path: "/".into(),
        headers: Vec::new(),
        statuses: Vec::new(),
        body: None,
    }))
}

/// The refusal names all of `words`.
fn refused(access: &Access, probe: &Probe, from_api: bool, words: &[&str]) {
    let sentence = access
        .refuses(probe, from_api)
        .unwrap_or_else(|| panic!("{probe:?} is accepted, though it needs {words:?}"));
    for word in words {
        assert!(sentence.contains(word), "{sentence:?} does not name {word}");
    }
    assert!(sentence.starts_with("probe `web` "), "{sentence}");
}

fn accepted(access: &Access, probe: &Probe, from_api: bool) {
    assert_eq!(access.refuses(probe, from_api), None, "{probe:?}");
}

#[test]
fn a_group_from_the_api_runs_only_programs_that_the_node_allows_by_name() {
    let words = ["/opt/checks/web", "`agent.exec.allow`", "`--exec-allow`"];
    refused(
        &host(),
        &exec("/opt/checks/web"),
        FROM_API,
        &["`agent.exec.enabled`", words[1], words[2]],
    );
    accepted(&host(), &exec("/opt/checks/web"), FROM_FILE);
    for allow in ["/opt/checks", "/opt/checks/", "/opt/checks/web"] {
        let access = Access {
            exec_allow: paths(&["/usr/bin/true", allow]),
            ..host()
        };
        accepted(&access, &exec("/opt/checks/web"), FROM_API);
    }
    let access = Access {
        exec_allow: paths(&["/opt/check", "/opt/checks/web2", "/usr"]),
        ..host()
    };
    refused(&access, &exec("/opt/checks/web"), FROM_API, &words);
}

#[test]
fn a_path_that_goes_up_again_is_in_no_folder() {
    let access = Access {
        exec_allow: paths(&["/opt/checks"]),
        host_paths: paths(&["/opt/checks"]),
        ..pod()
    };
    for path in [
        "/opt/checks/../../bin/sh",
        "/opt/checks/..",
        "opt/checks/web",
        "",
        "/opt/checks/a/../web",
    ] {
        refused(&access, &exec(path), FROM_API, &["`agent.exec.allow`"]);
        refused(&access, &file(path), FROM_FILE, &["`agent.hostPaths`"]);
    }
    accepted(&access, &exec("/opt/checks/a..b"), FROM_API);
    accepted(&access, &file("/opt/checks//web"), FROM_FILE);
}

#[test]
fn what_heals_is_refused_as_what_looks_is() {
    let mut probe = probe(Check::Interface("eth1".into()));
    probe.recover = Some(Recover {
        exec: program("/usr/bin/systemctl", None),
        timeout: Duration::from_secs(1),
    });
    refused(
        &host(),
        &probe,
        FROM_API,
        &["/usr/bin/systemctl", "`agent.exec.enabled`"],
    );
    accepted(&host(), &probe, FROM_FILE);
}

#[test]
fn a_pod_runs_what_it_is_allowed_or_what_it_sees_of_its_node() {
    refused(
        &pod(),
        &exec("/opt/checks/web"),
        FROM_FILE,
        &["`agent.hostPaths`", "`--host-path`"],
    );
    for access in [
        Access {
            host_paths: paths(&["/opt"]),
            ..pod()
        },
        Access {
            exec_allow: paths(&["/opt"]),
            ..pod()
        },
    ] {
        accepted(&access, &exec("/opt/checks/web"), FROM_FILE);
    }
}

#[test]
fn another_user_takes_the_right_to_become_one_and_in_a_pod_a_number_or_the_nodes_users() {
    let run_as = |user| probe(Check::Exec(program("/bin/true", Some(user))));
    let cannot = Access {
        set_user: false,
        ..host()
    };
    refused(
        &cannot,
        &run_as("www-data"),
        FROM_FILE,
        &["www-data", "`agent.capabilities.setUser`"],
    );
    accepted(&host(), &run_as("www-data"), FROM_FILE);
    let in_a_pod = Access {
        set_user: true,
        exec_allow: paths(&["/bin/true"]),
        host_pid: true,
        ..pod()
    };
    let words = ["www-data", "number", "/etc/passwd", "`agent.hostPaths`"];
    refused(&in_a_pod, &run_as("www-data"), FROM_API, &words);
    refused(&in_a_pod, &process(Some("www-data")), FROM_API, &words);
    accepted(&in_a_pod, &run_as("33"), FROM_API);
    accepted(&in_a_pod, &process(Some("33")), FROM_API);
    let that_knows = Access {
        host_paths: paths(&["/etc/passwd"]),
        ..in_a_pod
    };
    accepted(&that_knows, &run_as("www-data"), FROM_API);
    accepted(&that_knows, &process(Some("www-data")), FROM_API);
}

#[test]
fn a_pod_that_sees_no_processes_looks_for_none() {
    refused(
        &pod(),
        &process(None),
        FROM_API,
        &["nginx", "`agent.hostPID`", "`--host-pid`"],
    );
    accepted(&host(), &process(Some("www-data")), FROM_API);
    let access = Access {
        host_pid: true,
        ..pod()
    };
    accepted(&access, &process(None), FROM_API);
}

#[test]
fn every_file_of_the_node_that_a_pod_does_not_see_is_found() {
    let here = || Material::Bytes(Secret(Arc::from(&b"pem"[..])));
    let there = || Material::File("/etc/pki/one.pem".into());
    let socket = || Target::Socket("/etc/pki/one.pem".into());
    let mysql = |target, password| {
        probe(Check::Mysql(Mysql {
            target,
            user: "holdfast".into(),
            password,
            writable: true,
        }))
    };
    let address = || Target::Host {
        host: Host::ThisNode,
        port: 3306,
    };
    let needing = [
        file("/etc/pki/one.pem"),
        https(Trust::Authorities(there()), None),
        https(Trust::System, Some((there(), here()))),
        https(Trust::Cluster, Some((here(), there()))),
        probe(Check::Tcp(Tcp {
            target: socket(),
            send: None,
            expect: None,
        })),
        mysql(socket(), None),
        mysql(address(), Some(there())),
    ];
    let seeing = Access {
        host_paths: paths(&["/etc/pki"]),
        ..pod()
    };
    for probe in &needing {
        let words = ["/etc/pki/one.pem", "`agent.hostPaths`", "`--host-path`"];
        refused(&pod(), probe, FROM_API, &words);
        refused(&pod(), probe, FROM_FILE, &words);
        accepted(&host(), probe, FROM_API);
        accepted(&seeing, probe, FROM_API);
    }
    for probe in [
        https(Trust::Authorities(here()), Some((here(), here()))),
        https(Trust::Anybody, None),
        mysql(address(), Some(here())),
        mysql(address(), None),
    ] {
        accepted(&pod(), &probe, FROM_API);
    }
}

#[test]
fn the_kernel_says_who_may_become_another_user() {
    let status = |mask: &str| format!("Name:\tagent\nCapInh:\t0\nCapEff:\t{mask}\n");
    assert!(has_set_user(&status("00000000000000e0")));
    for missing in ["00000000000000c0", "00000000000000a0", "0000000000000060"] {
        assert!(!has_set_user(&status(missing)), "{missing}");
    }
    assert!(has_set_user("nothing known"));
}
