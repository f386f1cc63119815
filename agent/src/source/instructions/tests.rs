//! Instructions that come in any order: from the API, from Secrets, from the disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_api::model::probe::{self, Material, Trust};
use holdfast_api::render::NodeFacts;
use serde_json::json;

use super::super::api::SecretNews;
use super::super::told::Told;
use super::*;

fn instructions(stored: Option<Stored>) -> Instructions {
    Instructions::of_cluster(None, stored, "holdfast-system", Access::default()).0
}

fn told(version: i32) -> Heard {
    let spec = json!({ "clusterUID": "c", "groups": [{
        "name": "web",
        "generation": 3,
        "virtualRouterID": 7,
        "addresses": [{ "address": "192.0.2.7/24" }],
        "priority": 100,
        "advertisement": {
            "version": version, "interval": "1s", "family": "IPv4", "mode": "Multicast", "multicastGroup": "224.0.0.18",
        },
        "authentication": { "type": "Password", "secretRef": { "name": "vrrp", "key": "password" } },
        "mayBecomeActive": true,
    }] });
    Heard::Told(Arc::new(Told::read(spec, 5).unwrap()))
}

fn data(value: &[u8]) -> SecretNews {
    SecretNews::Data(BTreeMap::from([("password".to_owned(), value.to_vec())]))
}

impl Instructions {
    fn learn(&mut self, object: Heard, secret: Option<SecretNews>) {
        let cluster = self.cluster.as_mut().unwrap();
        cluster.news.object = object;
        cluster.news.secrets = secret
            .map(|secret| ("vrrp".to_owned(), secret))
            .into_iter()
            .collect();
        self.take_in();
    }

    fn refusal(&self) -> Option<&str> {
        self.merged.groups["web"].refused.as_deref()
    }
}

#[test]
fn a_secret_that_is_not_there_refuses_its_group_by_name() {
    let mut node = instructions(None);
    node.learn(told(2), None);
    assert!(
        node.refusal()
            .unwrap()
            .contains("holdfast-system/vrrp has not been read yet")
    );
    node.learn(told(2), Some(SecretNews::Absent));
    assert!(
        node.refusal()
            .unwrap()
            .contains("holdfast-system/vrrp does not exist")
    );
    node.learn(told(2), Some(SecretNews::Data(BTreeMap::new())));
    assert!(node.refusal().unwrap().contains("no key `password`"));
    node.learn(told(2), Some(data(b"opensesame")));
    assert!(node.refusal().unwrap().contains("10 bytes"));
    assert!(node.merged.spec.groups.is_empty());
    node.learn(told(2), Some(data(b"opensesa\n")));
    assert_eq!(node.refusal(), None);
    assert_eq!(node.merged.spec.groups.len(), 1);
}

#[test]
fn with_the_cache_a_start_without_the_api_runs_the_same_passwords_included() {
    let mut node = instructions(None);
    node.learn(told(2), Some(data(b"opensesa")));
    let restarted = instructions(node.stored());
    assert_eq!(restarted.merged.spec, node.merged.spec);
    assert_eq!(restarted.merged.groups["web"].source, GroupSource::Cache);
    assert_eq!(restarted.stored(), node.stored(), "nothing to write");
    assert_eq!(restarted.observed_generation(), None, "nothing was heard yet");
    assert_eq!(node.observed_generation(), Some(5));
}

#[test]
fn what_the_disk_says_counts_until_the_api_was_heard() {
    let mut node = instructions(None);
    node.learn(told(2), Some(data(b"opensesa")));
    let mut standby = instructions(None);
    standby.recall(node.stored());
    assert_eq!(standby.merged.spec, node.merged.spec);
    let older = Stored::default();
    node.recall(Some(older));
    assert_eq!(node.merged.spec, standby.merged.spec);
}

/// This node's object when it says this of its groups.
fn told_of(groups: &serde_json::Value) -> Heard {
    Heard::Told(Arc::new(
        Told::read(json!({ "clusterUID": "c", "groups": groups }), 6).unwrap(),
    ))
}

#[test]
fn what_is_kept_may_go_when_the_api_has_taken_everything_back() {
    let mut node = instructions(None);
    assert!(!node.are_forgettable(), "another version may have kept something");
    node.learn(told(3), Some(data(b"opensesa")));
    assert!(!node.are_forgettable());
    node.learn(told_of(&json!([])), None);
    assert!(!node.are_forgettable(), "absence is not an instruction");
    let withdrawn = told_of(&json!([{ "name": "web", "generation": 4, "deleted": true }]));
    node.learn(withdrawn, None);
    assert!(node.are_forgettable());
    node.learn(told_of(&json!([])), None);
    assert!(node.are_forgettable());
    assert!(
        !instructions(node.stored()).are_forgettable(),
        "nothing was heard since"
    );
}

#[test]
fn what_was_withdrawn_is_kept_where_a_file_may_name_it() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::new(folder.path(), NodeFacts::default());
    let mut node = Instructions::of_cluster(Some(files), None, "holdfast-system", Access::default()).0;
    node.learn(told_of(&json!([])), None);
    assert!(node.are_forgettable());
    node.learn(
        told_of(&json!([{ "name": "web", "generation": 4, "deleted": true }])),
        None,
    );
    assert!(!node.are_forgettable());
}

#[test]
fn a_secret_that_is_deleted_goes_on_and_one_that_cannot_be_used_does_not_replace_the_one_that_can() {
    let mut node = instructions(None);
    node.learn(told(2), Some(data(b"opensesa")));
    let runs = node.merged.spec.clone();
    node.learn(told(2), Some(SecretNews::Absent));
    assert_eq!((&node.merged.spec, node.refusal()), (&runs, None));
    node.learn(told(2), Some(data(b"too long a password")));
    assert_eq!(node.merged.spec, runs);
    assert!(node.refusal().unwrap().contains("19 bytes"));
    assert_eq!(instructions(node.stored()).merged.spec, runs, "nor in the cache");
}

#[test]
fn a_cache_without_its_passwords_keeps_its_groups_for_when_they_come() {
    let mut node = instructions(None);
    node.learn(told(2), Some(data(b"opensesa")));
    let runs = node.merged.spec.clone();
    let mut stored = node.stored().unwrap();
    stored.passwords = Passwords::default();
    let mut restarted = instructions(Some(stored));
    assert!(restarted.merged.spec.groups.is_empty());
    assert!(restarted.refusal().unwrap().contains("vrrp"));
    assert_eq!(restarted.stored().unwrap().groups.len(), 1);
    restarted.learn(Heard::Nothing, Some(data(b"opensesa")));
    assert_eq!(restarted.merged.spec, runs);
}

/// The group, with probes that show a certificate of the Secret `probe` and log in with a password of it.
fn told_with_probes() -> Heard {
    let spec = json!({ "clusterUID": "c", "groups": [{
        "name": "web",
        "generation": 3,
        "virtualRouterID": 7,
        "addresses": [{ "address": "192.0.2.7/24" }],
        "priority": 100,
        "advertisement": {
            "version": 3, "interval": "1s", "family": "IPv4", "mode": "Multicast", "multicastGroup": "224.0.0.18",
        },
        "probes": [
            {
                "name": "https",
                "httpGet": {
                    "scheme": "HTTPS", "port": 8443,
                    "tls": { "caSecretRef": { "name": "ca", "key": "ca.crt" }, "certificateSecret": "client" },
                },
            },
            {
                "name": "db",
                "mysql": { "credentials": {
                    "user": "prober", "passwordSecretRef": { "name": "db", "key": "password" },
                } },
            },
        ],
        "mayBecomeActive": true,
    }] });
    Heard::Told(Arc::new(Told::read(spec, 5).unwrap()))
}

fn probe_secrets(certificate: &str) -> BTreeMap<String, SecretNews> {
    let secret = |entries: &[(&str, &str)]| {
        let entry = |(key, value): &(&str, &str)| ((*key).to_owned(), value.as_bytes().to_vec());
        SecretNews::Data(entries.iter().map(entry).collect())
    };
    BTreeMap::from([
        ("ca".to_owned(), secret(&[("ca.crt", "one\ntwo\n")])),
        (
            "client".to_owned(),
            secret(&[("tls.crt", certificate), ("tls.key", "key\nof it\n")]),
        ),
        ("db".to_owned(), secret(&[("password", "open sesame\n")])),
    ])
}

/// What the checks of the group have in place of Secrets.
fn materials(node: &Instructions) -> Vec<String> {
    let group = &node.merged.spec.groups["web"];
    let checks = group.probes.iter().flat_map(|probe| &probe.checks);
    let found = checks.flat_map(|check| match check {
        probe::Check::Http(http) => {
            let tls = http.tls.as_ref().unwrap();
            let Trust::Authorities(authorities) = &tls.trust else {
                panic!("{tls:?}")
            };
            let (chain, key) = tls.client.as_ref().unwrap();
            vec![authorities, chain, key]
        }
        probe::Check::Mysql(mysql) => mysql.password.iter().collect(),
        other => panic!("{other:?}"),
    });
    let text = |material: &Material| match material {
        Material::Bytes(secret) => String::from_utf8_lossy(&secret.0).into_owned(),
        Material::File(path) => path.clone(),
    };
    found.map(text).collect()
}

#[test]
fn the_secrets_of_probes_are_followed_used_whole_or_by_their_first_line_and_kept() {
    let mut node = instructions(None);
    let learn = |node: &mut Instructions, secrets| {
        let cluster = node.cluster.as_mut().unwrap();
        cluster.news.object = told_with_probes();
        cluster.news.secrets = secrets;
        node.take_in();
    };
    learn(&mut node, BTreeMap::new());
    assert_eq!(
        node.named_secrets(),
        ["ca", "client", "db"].map(str::to_owned).into()
    );
    assert!(node.refusal().unwrap().contains("has not been read yet"));
    learn(&mut node, probe_secrets("certificate\n1\n"));
    assert_eq!(node.refusal(), None);
    let first = ["one\ntwo\n", "certificate\n1\n", "key\nof it\n", "open sesame"];
    assert_eq!(materials(&node), first);
    learn(&mut node, probe_secrets("certificate\n2\n"));
    let second = ["one\ntwo\n", "certificate\n2\n", "key\nof it\n", "open sesame"];
    assert_eq!(materials(&node), second);
    let restarted = instructions(node.stored());
    assert_eq!(materials(&restarted), second);
    assert_eq!(restarted.stored(), node.stored(), "nothing to write");
    learn(&mut node, BTreeMap::new());
    assert_eq!(materials(&node), second, "what is missing is no instruction");
}

#[test]
fn a_host_that_is_not_dialed_is_a_problem_with_what_to_do() {
    let mut node = instructions(None);
    assert!(!node.is_reportable());
    node.cluster.as_mut().unwrap().news.refused_host = Some("192.0.2.7".to_owned());
    let problems = node.problems();
    assert_eq!(problems[0].reason, "APIServerBehindOwnVIP");
    assert!(problems[0].message.contains("192.0.2.7") && problems[0].message.contains("--api-server"));
    assert!(node.is_reportable());
}
