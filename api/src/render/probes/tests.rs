use core::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::model::probe::{
    Check, Exec, File, Grpc, Host, Http, Material, Mysql, Peer, PeerMethod, Process, Route, Secret, Target,
    Tcp, Tls, Trust,
};
use crate::render::{SecretPart, SecretSource, model_group, named_secrets};

fn group(probes: &Value) -> NodeGroup {
    let group = json!({
        "name": "web",
        "virtualRouterID": 51,
        "addresses": [{ "address": "10.0.0.100/24" }],
        "priority": 100,
        "advertisement": {
            "version": 3, "interval": "1s", "family": "IPv4", "mode": "Multicast", "multicastGroup": "224.0.0.18",
        },
        "probes": probes,
        "mayBecomeActive": true,
    });
    serde_json::from_value(group).unwrap()
}

/// A password is the name of its key, everything else that and what is meant of it.
fn secrets(source: &SecretSource) -> Result<Vec<u8>, String> {
    match source {
        SecretSource::Secret { name, key, part } => Ok(format!("{name} {key} {part:?}").into_bytes()),
        SecretSource::File(path) => Err(format!("{path} is read when it is needed")),
    }
}

fn model(probes: &Value) -> Result<crate::model::NodeGroup, String> {
    model_group(&group(probes), &secrets).map_err(|error| error.to_string())
}

fn checks(probe: &Value) -> Vec<Check> {
    let mut named = json!({ "name": "it" });
    for (field, value) in probe.as_object().unwrap() {
        named[field] = value.clone();
    }
    model(&json!([named])).unwrap().probes.remove(0).checks
}

fn here(port: u16) -> Target {
    Target::Host {
        host: Host::ThisNode,
        port,
    }
}

fn in_secret(name: &str, key: &str, part: SecretPart) -> Material {
    Material::Bytes(Secret(format!("{name} {key} {part:?}").into_bytes().into()))
}

#[test]
fn http_is_asked_as_written_and_of_this_node_by_default() {
    let usual = Http {
        target: here(8080),
        tls: None,
        http2: false,
        path: "/".into(),
        headers: Vec::new(),
        statuses: vec![200..=399],
        body: None,
    };
    assert_eq!(
        checks(&json!({ "httpGet": { "port": 8080 } })),
        [Check::Http(usual.clone())]
    );
    let written = json!({ "httpGet": {
        "scheme": "HTTPS", "host": "[fd00::5]", "port": 443, "path": "/healthz?full", "version": "HTTP2",
        "httpHeaders": [{ "name": "Host", "value": "web" }], "statuses": ["204", "301-302"], "body": "^ok",
        "tls": { "serverName": "web", "caFile": "/ca", "certificateFile": "/c", "keyFile": "/k" },
    } });
    let expected = Http {
        target: Target::Host {
            host: Host::Address("fd00::5".parse().unwrap()),
            port: 443,
        },
        tls: Some(Tls {
            server_name: Some("web".into()),
            trust: Trust::Authorities(Material::File("/ca".into())),
            client: Some((Material::File("/c".into()), Material::File("/k".into()))),
            asked_at: Vec::new(),
        }),
        http2: true,
        path: "/healthz?full".into(),
        headers: vec![("Host".into(), "web".into())],
        statuses: vec![204..=204, 301..=302],
        body: Some("^ok".into()),
    };
    assert_eq!(checks(&written), [Check::Http(expected)]);
    let tls = |check: &Value| match checks(check).remove(0) {
        Check::Http(http) => http.tls.unwrap().trust,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        tls(&json!({ "httpGet": { "scheme": "HTTPS", "port": 1 } })),
        Trust::System
    );
    let anybody =
        json!({ "httpGet": { "scheme": "HTTPS", "port": 1, "tls": { "insecureSkipVerify": true } } });
    assert_eq!(tls(&anybody), Trust::Anybody);
}

#[test]
fn every_other_handler_is_what_it_says() {
    let cases = [
        (
            json!({ "tcpSocket": { "host": "localhost", "port": 25, "send": "\u{ff}HELO\r\n", "expect": "^220" } }),
            Check::Tcp(Tcp {
                target: here(25),
                send: Some(b"\xffHELO\r\n".to_vec()),
                expect: Some("^220".into()),
            }),
        ),
        (
            json!({ "tcpSocket": { "socket": "/run/web" } }),
            Check::Tcp(Tcp {
                target: Target::Socket("/run/web".into()),
                send: None,
                expect: None,
            }),
        ),
        (
            json!({ "grpc": { "host": "web.example", "port": 50051, "service": "web" } }),
            Check::Grpc(Grpc {
                target: Target::Host {
                    host: Host::Name("web.example".into()),
                    port: 50051,
                },
                tls: None,
                service: "web".into(),
            }),
        ),
        (
            json!({ "exec": { "command": ["/bin/check", "-x", "a b"], "user": "nobody" } }),
            Check::Exec(Exec {
                program: "/bin/check".into(),
                arguments: vec!["-x".into(), "a b".into()],
                user: Some("nobody".into()),
            }),
        ),
        (
            json!({ "process": { "name": "nginx", "user": "root" } }),
            Check::Process(Process {
                name: "nginx".into(),
                user: Some("root".into()),
            }),
        ),
        (
            json!({ "file": { "path": "/run/priority", "value": "Priority" } }),
            Check::File(File {
                path: "/run/priority".into(),
                adds: true,
            }),
        ),
        (
            json!({ "interface": { "name": "eth1" } }),
            Check::Interface("eth1".into()),
        ),
        (
            json!({ "route": { "destination": "10.1.2.3/16", "gateway": "10.0.0.1" } }),
            Check::Route(Route {
                destination: "10.1.0.0/16".parse().unwrap(),
                interface: None,
                gateway: Some("10.0.0.1".parse().unwrap()),
                table: 254,
            }),
        ),
        (
            json!({ "peer": { "address": "10.0.0.1", "method": "ICMP", "interface": "eth0" } }),
            Check::Peer(Peer {
                address: "10.0.0.1".parse().unwrap(),
                method: PeerMethod::Icmp,
                interface: Some("eth0".into()),
            }),
        ),
        (
            json!({ "mysql": { "credentials": { "user": "a", "passwordFile": "/p" }, "writable": false } }),
            Check::Mysql(Mysql {
                target: here(3306),
                user: "a".into(),
                password: Some(Material::File("/p".into())),
                writable: false,
            }),
        ),
    ];
    for (written, expected) in cases {
        assert_eq!(checks(&written), [expected], "{written}");
    }
}

#[test]
fn the_api_servers_certificate_is_to_name_the_groups_addresses_unless_somebody_says_by_what_it_is_known() {
    let asked_at = |options: &Value| {
        let probe = json!([{ "name": "it", "preset": "KubeAPIServer", "presetOptions": options }]);
        let mut group = group(&probe);
        group
            .addresses
            .push(serde_json::from_value(json!({ "address": "fd00::100/64" })).unwrap());
        let mut model = model_group(&group, &secrets).unwrap();
        let Check::Http(http) = model.probes.remove(0).checks.remove(0) else {
            panic!("{model:?}")
        };
        let addresses = http.tls.unwrap().asked_at;
        addresses.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(asked_at(&json!({})), ["10.0.0.100", "fd00::100"]);
    assert_eq!(asked_at(&json!({ "tls": { "caFile": "/ca" } })).len(), 2);
    for elsewhere_or_by_name in [
        json!({ "host": "10.0.0.1" }),
        json!({ "tls": { "serverName": "api.example" } }),
        json!({ "tls": { "insecureSkipVerify": true } }),
    ] {
        assert_eq!(asked_at(&elsewhere_or_by_name), [""; 0], "{elsewhere_or_by_name}");
    }
}

#[test]
fn only_a_proxy_on_this_node_may_bind_the_groups_addresses() {
    let may_bind = |probe: &Value| model(&json!([probe])).unwrap().probes.remove(0).may_bind;
    let preset =
        |preset: &str, options: Value| json!({ "name": "it", "preset": preset, "presetOptions": options });
    assert_eq!(
        may_bind(&preset("HAProxy", json!({ "port": 8443 }))),
        [Family::V4]
    );
    assert_eq!(may_bind(&preset("Nginx", json!({}))), [Family::V4]);
    assert_eq!(may_bind(&preset("Nginx", json!({ "host": "10.0.0.1" }))), []);
    assert_eq!(may_bind(&preset("Redis", json!({}))), []);
    assert_eq!(
        may_bind(&json!({ "name": "it", "tcpSocket": { "port": 8443 } })),
        []
    );
}

#[test]
fn the_api_server_is_dialled_where_its_static_pod_binds_and_believed_by_the_clusters_ca() {
    let asked =
        |options: &Value| match checks(&json!({ "preset": "KubeAPIServer", "presetOptions": options }))
            .remove(0)
        {
            Check::Http(http) => (http.target, http.tls.unwrap()),
            other => panic!("{other:?}"),
        };
    let (target, tls) = asked(&json!({}));
    let usual = Target::Host {
        host: Host::ThisApiServer,
        port: 6443,
    };
    assert_eq!(target, usual);
    assert_eq!(
        (tls.server_name.as_deref(), tls.trust),
        (Some("kubernetes.default.svc"), Trust::Cluster)
    );

    let (target, tls) =
        asked(&json!({ "host": "10.0.0.1", "port": 443, "tls": { "certificateSecret": "probe" } }));
    let written = Target::Host {
        host: Host::Address("10.0.0.1".parse().unwrap()),
        port: 443,
    };
    assert_eq!((target, tls.trust), (written, Trust::Cluster));
    let [certificate, key] = ["tls.crt", "tls.key"].map(|key| in_secret("probe", key, SecretPart::Whole));
    assert_eq!(tls.client, Some((certificate, key)));

    let (_, tls) = asked(&json!({ "tls": { "caFile": "/ca" } }));
    assert_eq!(tls.trust, Trust::Authorities(Material::File("/ca".into())));
    let (_, tls) = asked(&json!({ "tls": { "insecureSkipVerify": true } }));
    assert_eq!(tls.trust, Trust::Anybody);
}

#[test]
fn a_preset_of_two_ordinary_probes_is_run_as_one_with_two_checks() {
    let checks = checks(&json!({ "preset": "HAProxy", "presetOptions": { "port": 8080 } }));
    assert!(matches!(&checks[..], [Check::Tcp(tcp), Check::Process(process)]
        if tcp.target == here(8080) && process.name == "haproxy"));
}

#[test]
fn passwords_are_first_lines_and_certificates_are_whole() {
    let password = json!({ "user": "a", "passwordSecretRef": { "name": "db", "key": "password" } });
    let authority =
        json!({ "caSecretRef": { "name": "ca", "key": "ca.crt" }, "certificateSecret": "client" });
    let probes = json!([
        { "name": "db", "preset": "MySQL", "presetOptions": { "credentials": password } },
        { "name": "web", "httpGet": { "scheme": "HTTPS", "port": 443, "tls": authority } },
        { "name": "rpc", "grpc": { "port": 50051, "tls": authority } },
    ]);
    let found = model(&probes).unwrap().probes;
    let Check::Mysql(mysql) = &found[0].checks[0] else {
        panic!("{found:?}");
    };
    assert_eq!(
        mysql.password,
        Some(in_secret("db", "password", SecretPart::FirstLine))
    );
    let Check::Grpc(grpc) = &found[2].checks[0] else {
        panic!("{found:?}");
    };
    let whole = in_secret("ca", "ca.crt", SecretPart::Whole);
    assert_eq!(grpc.tls.as_ref().unwrap().trust, Trust::Authorities(whole));

    let at = |name: &str, key: &str, part| SecretSource::Secret {
        name: name.into(),
        key: key.into(),
        part,
    };
    let mut group = group(&probes);
    group.authentication = serde_json::from_value(json!({
        "type": "Password", "secretRef": { "name": "vrrp", "key": "password" },
    }))
    .unwrap();
    let named = [
        at("ca", "ca.crt", SecretPart::Whole),
        at("client", "tls.crt", SecretPart::Whole),
        at("client", "tls.key", SecretPart::Whole),
        at("db", "password", SecretPart::FirstLine),
        at("vrrp", "password", SecretPart::FirstLine),
    ];
    assert_eq!(named_secrets(&group), named);
}

#[test]
fn a_secret_that_is_not_there_refuses_the_group_with_the_probes_name() {
    let probes = json!([{ "name": "db", "mysql": {
        "credentials": { "user": "a", "passwordSecretRef": { "name": "db", "key": "password" } },
    } }]);
    let error = model_group(&group(&probes), &|_| {
        Err("the Secret db does not exist".to_owned())
    })
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "group web: spec.probes: probe `db`: the Secret db does not exist"
    );
}

#[test]
fn times_thresholds_and_effects_arrive_where_they_count() {
    let probes = json!([
        {
            "name": "a", "process": { "name": "nginx" }, "period": "500ms", "timeout": "2s", "initialDelay": "10s",
            "jitter": "50ms", "failureThreshold": 4, "successThreshold": 5,
            "onFailure": { "type": "Weight", "weight": -50 },
            "recover": { "exec": ["/bin/systemctl", "restart", "nginx"], "attempts": 3, "cooldown": "1m", "timeout": "20s" },
        },
        { "name": "b", "file": { "path": "/run/b" }, "onFailure": { "type": "None" } },
        { "name": "c", "file": { "path": "/run/c" } },
        { "name": "q", "quorum": { "probes": ["b", "c"], "atLeast": 1 }, "onFailure": { "type": "Fault" } },
    ]);
    let group = model(&probes).unwrap();
    let names: Vec<&str> = group.probes.iter().map(|probe| &*probe.name).collect();
    assert_eq!(names, ["a", "b", "c"], "a quorum is not run");
    assert_eq!(
        group.probes[0].timing,
        Timing {
            period: Duration::from_millis(500),
            timeout: Duration::from_secs(2),
            initial_delay: Duration::from_secs(10),
            jitter: Duration::from_millis(50),
        }
    );
    let recover = group.probes[0].recover.as_ref().unwrap();
    assert_eq!(
        (&*recover.exec.program, recover.timeout.as_secs()),
        ("/bin/systemctl", 20)
    );
    assert_eq!(recover.exec.arguments, ["restart", "nginx"]);

    let five = |number| NonZeroU8::new(number).unwrap();
    let [a, b, c, q] = &group.health.probes[..] else {
        panic!("{:?}", group.health);
    };
    let kind = Kind::Runs {
        thresholds: Thresholds {
            failure: five(4),
            success: five(5),
        },
        recovery: Some(Recovery {
            attempts: five(3),
            cooldown: Duration::from_mins(1),
        }),
    };
    assert_eq!((&a.kind, a.on_failure), (&kind, OnFailure::Weight(-50)));
    assert_eq!((b.on_failure, c.on_failure), (OnFailure::None, OnFailure::Hold));
    let quorum = Kind::Quorum {
        of: vec!["b".into(), "c".into()],
        at_least: 1,
    };
    assert_eq!((&q.kind, q.on_failure), (&quorum, OnFailure::Fault));
}

#[test]
fn duty_and_damping_come_from_the_nodes_entry() {
    let mut group = group(&json!([]));
    let policy = |group: &NodeGroup| model_group(group, &secrets).unwrap().health;
    let usual = policy(&group);
    assert_eq!(
        (usual.duty, usual.damping.changes, usual.preferred),
        (Duty::Serve, 3, false)
    );
    assert_eq!(
        (usual.damping.window.as_secs(), usual.damping.longest.as_secs()),
        (180, 1800)
    );

    group.duty = serde_json::from_value(json!({ "type": "Release", "reason": "cordoned" })).unwrap();
    group.flap_damping.changes = 0;
    let asked = policy(&group);
    assert_eq!(
        (asked.duty, asked.damping.changes),
        (Duty::Release("cordoned".into()), 0)
    );
    group.flap_damping.changes = 256;
    let error = model_group(&group, &secrets).unwrap_err();
    assert_eq!(error.field, "spec.flapDamping");
}

#[test]
fn what_the_rules_would_have_refused_is_refused_here_too() {
    let wrong = [
        (
            json!({}),
            "it does not say what is looked at, or this agent does not know it",
        ),
        (
            json!({ "httpGet": { "port": 0 } }),
            "port 0 is not a number from 1 to 65535",
        ),
        (
            json!({ "httpGet": { "port": 80, "host": "a b" } }),
            "`a b` is neither an address nor a name",
        ),
        (
            json!({ "httpGet": { "port": 80, "statuses": ["20"] } }),
            "`20` is not a status from 100 to 599 or a range of them",
        ),
        (
            json!({ "httpGet": { "port": 80, "tls": {} } }),
            "`tls` needs `scheme: HTTPS`",
        ),
        (
            json!({ "httpGet": { "port": 80, "body": "[" } }),
            "`[` is not a regular expression: unclosed character class",
        ),
        (
            json!({ "tcpSocket": {} }),
            "exactly one of `port` and `socket` is needed",
        ),
        (
            json!({ "preset": "HAProxy" }),
            "exactly one of `port` and `socket` is needed",
        ),
        (
            json!({ "tcpSocket": { "port": 1, "send": "€" } }),
            "`€` is not one byte: write bytes as U+0000 to U+00FF",
        ),
        (json!({ "exec": { "command": [] } }), "the program is missing"),
        (
            json!({ "exec": { "command": ["true"] } }),
            "`true` is not a whole path, beginning with `/`",
        ),
        (
            json!({ "route": { "destination": "10.0.0.0" } }),
            "`10.0.0.0` is not a destination with its prefix length",
        ),
        (
            json!({ "peer": { "address": "gateway" } }),
            "`gateway` is not an address",
        ),
        (
            json!({ "file": { "path": "/a" }, "period": "50ms" }),
            "period 50ms is too short: write 100ms or more",
        ),
        (
            json!({ "file": { "path": "/a" }, "timeout": "0s" }),
            "timeout 0s leaves no time for an answer: write 100ms or more",
        ),
        (
            json!({ "file": { "path": "/a" }, "jitter": "1s" }),
            "jitter 1s is not less than the period 1s",
        ),
        (
            json!({ "file": { "path": "/a" }, "failureThreshold": 0 }),
            "failureThreshold 0 is not a number from 1 to 255",
        ),
        (
            json!({ "file": { "path": "/a" }, "onFailure": { "type": "Weight" } }),
            "onFailure: the weight is missing",
        ),
        (
            json!({ "file": { "path": "/a" }, "onFailure": { "type": "Weight", "weight": 0 } }),
            "weight 0 is not a number from -253 to 253 other than 0",
        ),
        (
            json!({ "quorum": { "probes": ["a"], "atLeast": 2 } }),
            "atLeast 2 is not a number from 1 to 1, of which the quorum is",
        ),
    ];
    for (mut probe, sentence) in wrong {
        probe["name"] = json!("it");
        let error = model(&json!([probe])).unwrap_err();
        assert_eq!(error, format!("group web: spec.probes: probe `it`: {sentence}"));
    }
}

#[test]
fn hosts_are_addresses_names_or_this_node() {
    let address = |text: &str| Some(Host::Address(text.parse().unwrap()));
    assert_eq!(Host::read("10.0.0.5"), address("10.0.0.5"));
    assert_eq!(Host::read("[fd00::5]"), address("fd00::5"));
    assert_eq!(Host::read("::ffff:10.0.0.5"), address("10.0.0.5"));
    assert_eq!(Host::read("LocalHost"), Some(Host::ThisNode));
    for name in ["web", "web.example.", "db_1.example", "node-1"] {
        assert_eq!(Host::read(name), Some(Host::Name(name.into())));
    }
    for wrong in [
        "",
        ".",
        "a..b",
        "http://web",
        "web:80",
        "10.0.0.300",
        "10.0.0.5/24",
        "fe80::1%eth0",
        "a b",
        "[web]",
    ] {
        assert_eq!(Host::read(wrong), None, "{wrong}");
    }
}
