use core::fmt::Write as _;

use regex::bytes::Regex;
use serde_json::{Value, json};

use super::*;

fn probe(preset: &str, options: &Value) -> Probe {
    let probe = json!({ "name": "it", "preset": preset, "presetOptions": options, "period": "5s" });
    serde_json::from_value(probe).unwrap()
}

/// What `preset` expects to be answered, and whether it is.
fn expects(preset: &str, options: &Value) -> impl Fn(&[u8]) -> bool + use<> {
    let expanded = expand(&probe(preset, options));
    let expect = expanded[0].tcp_socket.as_ref().unwrap().expect.as_ref().unwrap();
    let expect = Regex::new(expect).unwrap();
    move |answer| expect.is_match(answer)
}

#[test]
fn each_preset_stands_for_ordinary_probes_that_keep_all_but_the_handler() {
    let credentials = json!({ "credentials": { "user": "holdfast", "passwordFile": "/etc/holdfast/mysql" } });
    let cases = [
        ("KubeAPIServer", json!({})),
        ("KubeAPIServer", json!({ "etcd": "Include" })),
        ("HAProxy", json!({ "port": 8080 })),
        ("HAProxy", json!({ "socket": "/run/haproxy/admin.sock" })),
        ("Nginx", json!({ "host": "10.0.0.10", "port": 81 })),
        ("MySQL", json!({})),
        ("MySQL", credentials),
        ("Redis", json!({})),
        ("PostgreSQL", json!({})),
    ];
    let mut shown = String::new();
    for (preset, options) in cases {
        let expanded = expand(&probe(preset, &options));
        assert!(
            expanded
                .iter()
                .all(|ordinary| ordinary.preset.is_none() && ordinary.period.get().as_secs() == 5)
        );
        let handlers: Vec<Value> = expanded
            .into_iter()
            .map(|ordinary| {
                let Value::Object(mut fields) = serde_json::to_value(ordinary).unwrap() else {
                    panic!("a probe is a mapping");
                };
                let same = [
                    "period",
                    "timeout",
                    "initialDelay",
                    "jitter",
                    "failureThreshold",
                    "successThreshold",
                    "onFailure",
                ];
                fields.retain(|name, _| !same.contains(&name.as_str()));
                Value::Object(fields)
            })
            .collect();
        let _ = writeln!(
            shown,
            "# {preset} {options}\n{}",
            crate::yaml::write(&handlers).unwrap()
        );
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn a_probe_without_a_preset_stands_for_itself() {
    let plain: Probe = serde_json::from_value(json!({ "name": "a", "process": { "name": "b" } })).unwrap();
    assert_eq!(expand(&plain), [plain]);
}

#[test]
fn what_is_written_of_the_api_server_replaces_what_is_usual() {
    let tls =
        json!({ "tls": { "serverName": "api", "caFile": "/ca", "certificateFile": "/c", "keyFile": "/k" } });
    let http = expand(&probe("KubeAPIServer", &tls)).remove(0).http_get.unwrap();
    assert_eq!(serde_json::to_value(http.tls).unwrap(), tls["tls"]);
    let anybody = json!({ "tls": { "insecureSkipVerify": true } });
    let http = expand(&probe("KubeAPIServer", &anybody))
        .remove(0)
        .http_get
        .unwrap();
    let tls = http.tls.unwrap();
    assert_eq!((tls.insecure_skip_verify, tls.ca_file), (true, None));
}

#[test]
fn the_api_server_is_asked_about_etcd_only_where_that_is_written() {
    let path = |options: Value| {
        expand(&probe("KubeAPIServer", &options))
            .remove(0)
            .http_get
            .unwrap()
            .path
    };
    let without = path(json!({ "etcd": "Exclude" }));
    assert_eq!(without, "/readyz?exclude=etcd&exclude=etcd-readiness");
    assert_eq!(
        path(json!({})),
        without,
        "as it was asked before there was a choice"
    );
    assert_eq!(path(json!({ "etcd": "Include" })), "/readyz");
}

#[test]
fn an_option_that_is_not_written_stays_unwritten() {
    let written = json!({ "port": 6443 });
    let options = probe("KubeAPIServer", &written).preset_options.unwrap();
    assert_eq!(serde_json::to_value(options).unwrap(), written);
}

#[test]
fn haproxys_stats_socket_has_to_say_who_it_is() {
    let answers = expects("HAProxy", &json!({ "socket": "/run/haproxy/admin.sock" }));
    assert!(answers(
        b"Name: HAProxy\nVersion: 2.6.12\nNbthread: 2\nPid: 4711\nUptime: 0d\n"
    ));
    assert!(!answers(b"Unknown command: show info\n"));
    assert!(!answers(b""));
}

#[test]
fn mysqls_greeting_passes_and_its_refusals_do_not() {
    let answers = expects("MySQL", &json!({}));
    assert!(answers(
        b"\x63\0\0\0\x0a5.5.5-10.11.14-MariaDB-0+deb12u2\0\x2a\0\0\0abcdefgh\0\xfe\xf7"
    ));
    assert!(answers(b"\x4a\0\0\0\x0a8.0.39\0\x0b\0\0\0"));
    assert!(!answers(b"\x17\0\0\0\xff\x10\x04Too many connections"));
    assert!(!answers(
        b"\x45\0\0\0\xff\x69\x04Host '10.0.0.1' is blocked because of many connection errors"
    ));
    assert!(!answers(b"HTTP/1.1 400 Bad Request\r\n"));
}

#[test]
fn redis_is_alive_if_it_wants_a_password_and_is_not_while_it_loads() {
    let answers = expects("Redis", &json!({}));
    assert!(answers(b"+PONG\r\n"));
    assert!(answers(b"-NOAUTH Authentication required.\r\n"));
    assert!(!answers(b"-LOADING Redis is loading the dataset in memory\r\n"));
    assert!(!answers(b"-MASTERDOWN Link with MASTER is down\r\n"));
}

#[test]
fn postgresql_is_alive_if_it_asks_who_it_is_or_does_not_know_us_and_is_not_while_it_starts() {
    let answers = expects("PostgreSQL", &json!({}));
    let refusal = |code: &str| {
        let fields = format!("SFATAL\0VFATAL\0C{code}\0Mno C28000 here\0Fauth.c\0L494\0\0");
        let length = u32::try_from(fields.len() + 4).unwrap().to_be_bytes();
        [b"E", &length[..], fields.as_bytes()].concat()
    };
    assert!(answers(b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0"));
    assert!(answers(&refusal("28000")) && answers(&refusal("28P01")) && answers(&refusal("3D000")));
    assert!(!answers(&refusal("57P03")) && !answers(&refusal("53300")));
    assert!(!answers(b"HTTP/1.1 400 Bad Request\r\n"));

    let expanded = expand(&probe("PostgreSQL", &json!({})));
    let sent = expanded[0].tcp_socket.as_ref().unwrap().send.as_ref().unwrap();
    assert_eq!(
        sent.as_bytes()[3],
        u8::try_from(sent.len()).unwrap(),
        "its own length"
    );
}
