//! What one group by itself can get wrong, shown to a real API server: it is refused before it is stored, with the
//! sentence that a file is answered with.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use holdfast_api::{
    crd::crds,
    rules::{Server, TABLE},
    yaml,
};
use holdfast_e2e::{Result, pair::PATIENCE};
use holdfast_lab::{
    Lab,
    harness::{Case, Outcome, main as run},
    kubernetes::ControlPlane,
    wait_until,
};
use serde_json::{Value, json};

fn main() -> std::process::ExitCode {
    let long = Duration::from_mins(3);
    run(&[
        Case::new("the_api_server_says_what_a_file_is_told", mistakes).timeout(long),
        Case::new("every_example_and_the_largest_group_are_taken", good_groups).timeout(long),
        Case::new("a_refused_edit_leaves_what_was_stored", edits).timeout(long),
    ])
}

/// What the API server itself says beside a rule, where the schema or Kubernetes has a bound of its own.
const OWN_WORDS: [&str; 3] = ["in body should match", "Duplicate value", "RFC 1123"];

/// An API server with the definitions, and what `kubectl` says to a manifest.
struct Scene {
    plane: ControlPlane,
    lab: Lab,
}

impl Scene {
    fn new() -> Result<Self> {
        let lab = Lab::new()?;
        let plane = ControlPlane::start(&lab)?;
        plane.install_crds()?;
        Ok(Self { plane, lab })
    }

    /// What `kubectl VERB… -f` is refused with, line by line; `None` if it is not.
    fn refusal(&self, verb: &[&str], manifest: &Value) -> Result<Option<Vec<String>>> {
        let file = self.lab.folder().join("manifest.json");
        fs::write(&file, manifest.to_string())?;
        let file = file.display().to_string();
        let admin = self.plane.admin_kubeconfig();
        let output = self.plane.kubectl_as(admin, &[verb, &["-f", &file]].concat())?;
        let said = String::from_utf8(output.stderr)?;
        let (_, said) = said.split_once(" is invalid: ").unwrap_or(("", &said));
        let lines = said.lines().map(|line| line.trim_start_matches("* ").to_owned());
        Ok((!output.status.success()).then(|| lines.filter(|line| !line.is_empty()).collect()))
    }

    fn try_create(&self, manifest: &Value) -> Result<Option<Vec<String>>> {
        self.refusal(&["create", "--dry-run=server"], manifest)
    }
}

/// The group without a mistake, and the cases, of the table that the unit tests read too.
fn table() -> (Value, Vec<Value>) {
    let documents = yaml::read(include_str!("../../api/tests/invalid.yaml")).unwrap();
    let [group, cases] = documents.try_into().unwrap();
    (group.value, cases.value.as_array().unwrap().clone())
}

fn merge(into: &mut Value, change: &Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) => {
            for (key, value) in change {
                if value.is_null() {
                    into.remove(key);
                } else {
                    merge(into.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (into, change) => *into = change.clone(),
    }
}

fn mistakes() -> Outcome {
    let scene = Scene::new()?;
    let (group, cases) = table();
    assert_eq!(scene.try_create(&group)?, None);
    let (mut same, mut own, mut left) = (0, 0, 0);
    for case in &cases {
        let mut manifest = group.clone();
        merge(&mut manifest, &case["change"]);
        let refusal = scene.try_create(&manifest)?;
        let rule = TABLE.iter().find(|rule| case["rule"] == rule.id);
        if rule.is_some_and(|rule| matches!(rule.server, Server::Cannot(_))) {
            left += 1;
            assert_eq!(refusal, None, "{case}");
            continue;
        }
        let lines = refusal.ok_or_else(|| format!("the API server takes {case}"))?;
        if let Some(words) = case["server"]["says"].as_str() {
            own += 1;
            assert!(
                lines.iter().any(|line| line.contains(words)),
                "{case}: {lines:#?}"
            );
            continue;
        }
        same += 1;
        let field = case["server"]["field"]
            .as_str()
            .or(case["field"].as_str())
            .unwrap();
        let sentence = case["says"].as_str().unwrap();
        let is_ours = |line: &String| {
            line.starts_with(&format!("{field}: ")) && line.ends_with(&format!(": {sentence}"))
        };
        let (ours, others): (Vec<String>, Vec<String>) = lines.into_iter().partition(is_ours);
        assert_eq!(ours.len(), 1, "{case}: {others:#?}");
        let is_own = |line: &String| OWN_WORDS.iter().any(|words| line.contains(words));
        assert!(others.iter().all(is_own), "{case}: {others:#?}");
    }
    println!(
        "{same} mistakes with the same sentence, {own} in the API server's words, {left} left to Holdfast"
    );
    let checked = TABLE
        .iter()
        .filter(|rule| matches!(rule.server, Server::Checks(_)));
    assert!(same > checked.count());
    Ok(())
}

fn good_groups() -> Outcome {
    let scene = Scene::new()?;
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut files = manifests(&examples)?;
    files.extend(manifests(&examples.join("kubernetes"))?);
    files.extend(manifests(&examples.join("probes"))?);
    files.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("../api/tests/probes.yaml"));
    assert!(files.len() > 7, "{files:?}");
    for file in &files {
        let file = file.display().to_string();
        scene
            .plane
            .kubectl(&["create", "--dry-run=server", "-f", &file])?;
    }
    // What each list may hold, all at once: the rules together stay within what the API server spends on one object.
    for ipv6 in [false, true] {
        let start = Instant::now();
        assert_eq!(scene.try_create(&largest(ipv6))?, None);
        println!("the largest group took {:?}", start.elapsed());
    }
    Ok(())
}

fn manifests(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>()?;
    let paths = entries.iter().map(fs::DirEntry::path);
    Ok(paths
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .collect())
}

/// A group whose lists are full of texts that are as long as they may be.
fn largest(ipv6: bool) -> Value {
    let long = |prefix: &str, length: usize, number: usize| {
        let number = number.to_string();
        format!(
            "{prefix}{}{number}",
            "x".repeat(length - prefix.len() - number.len())
        )
    };
    // The same family everywhere, so that each rule looks at every entry.
    let address = |subnet: u16, host: usize| {
        if ipv6 {
            format!(
                "fe80:1111:2222:3333:4444:5555:{:x}:{:x}",
                0x1000 + subnet,
                0x1000 + host
            )
        } else {
            format!("192.168.{}.{}", 100 + subnet, 100 + host)
        }
    };
    let length = if ipv6 { 64 } else { 16 };
    let labels: Vec<String> = (0..64).map(|n| long("v", 63, n)).collect();
    let expressions: Vec<Value> = (0..32)
        .map(|n| json!({ "key": long("k", 317, n), "operator": "NotIn", "values": labels }))
        .collect();
    let selector = json!({ "matchExpressions": expressions });
    let addresses: Vec<Value> = (0..64)
        .map(|n| json!({ "address": format!("{}/{length}", address(0, n)), "interface": long("if", 15, n) }))
        .collect();
    let overrides: Vec<Value> = (0..32)
        .map(|n| {
            let nodes: Vec<String> = (0..32).map(|m| long(&format!("n{n}-"), 253, m)).collect();
            json!({ "nodes": nodes, "interface": long("if", 15, n), "sourceAddress": address(1, n) })
        })
        .collect();
    let peers: Vec<Value> = (0..32)
        .map(|n| {
            let other = if ipv6 {
                format!("192.168.7.{n}")
            } else {
                format!("fe80::{n:x}:1")
            };
            json!({ "name": long("peer", 253, n), "addresses": [address(2, n), other] })
        })
        .collect();
    json!({
        "apiVersion": "vip.holdfast.dev/v1alpha1",
        "kind": "VirtualIPGroup",
        "metadata": { "name": "largest" },
        "spec": {
            "addresses": addresses,
            "interface": "eth0",
            "nodeSelector": selector,
            "nodeOverrides": overrides,
            "advertisement": { "peers": peers },
            "probes": most_probes(&address(3, 0), long),
        },
    })
}

/// As many probes as there may be, with as much in them as there may be.
fn most_probes(host: &str, long: impl Fn(&str, usize, usize) -> String) -> Value {
    let headers: Vec<Value> = (0..16)
        .map(|n| json!({ "name": long("h", 128, n), "value": long("v", 1024, n) }))
        .collect();
    let names: Vec<String> = (0..15).map(|n| long("p", 63, n)).collect();
    let probe = |name: &String| {
        json!({
            "name": name,
            "httpGet": {
                "scheme": "HTTPS", "host": host, "port": 443, "path": long("/", 1024, 0), "httpHeaders": headers,
                "statuses": vec!["200-399"; 16], "body": long("b", 1024, 0),
                "tls": {
                    "serverName": long("s", 253, 0), "caFile": long("/ca", 4096, 0),
                    "certificateFile": long("/c", 4096, 0), "keyFile": long("/k", 4096, 0),
                },
            },
            "recover": { "exec": [long("/r", 4096, 0)] },
        })
    };
    let mut probes: Vec<Value> = names.iter().map(probe).collect();
    probes.push(json!({ "name": long("q", 63, 0), "quorum": { "probes": names, "atLeast": 15 } }));
    json!(probes)
}

fn edits() -> Outcome {
    let scene = Scene::new()?;
    let (mut group, _) = table();
    assert_eq!(scene.refusal(&["apply"], &group)?, None);
    let stored = || scene.plane.get(&["vipg", "web"]);
    let before = stored()?;

    let good = group.clone();
    group["spec"]["addresses"][0]["address"] = json!("10.0.0.0/24");
    let lines = scene.refusal(&["apply"], &group)?.unwrap();
    assert!(
        lines[0].contains("is the address of the network itself"),
        "{lines:#?}"
    );
    let after = stored()?;
    assert_eq!(after["spec"], before["spec"]);
    assert_eq!(after["metadata"]["generation"], before["metadata"]["generation"]);

    // A group that was stored before there was the rule: all but what is wrong may change, so that it can be reported
    // on, labelled and deleted.
    let definition = "virtualipgroups.vip.holdfast.dev";
    let as_installed = yaml::write(&crds()[0])?;
    let rules = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/addresses/items/properties/\
                 address/x-kubernetes-validations";
    let patch = json!([{ "op": "remove", "path": rules }]).to_string();
    scene
        .plane
        .kubectl(&["patch", "crd", definition, "--type=json", "-p", &patch])?;
    holdfast_lab::wait_until(
        "a group is taken without the rule",
        std::time::Duration::from_secs(30),
        || {
            Ok(scene
                .refusal(&["apply"], &group)
                .is_ok_and(|refusal| refusal.is_none()))
        },
    )?;
    scene.plane.apply(&as_installed)?;
    wait_until("the rule is back", PATIENCE, || {
        let mut other = group.clone();
        other["metadata"]["name"] = json!("other");
        Ok(scene.try_create(&other).is_ok_and(|refusal| refusal.is_some()))
    })?;
    let status = json!({ "status": { "activeNode": "a" } }).to_string();
    scene.plane.kubectl(&["label", "vipg", "web", "a=b"])?;
    scene.plane.kubectl(&[
        "patch",
        "vipg",
        "web",
        "--subresource=status",
        "--type=merge",
        "-p",
        &status,
    ])?;
    let priority = json!({ "spec": { "priority": 7 } }).to_string();
    scene
        .plane
        .kubectl(&["patch", "vipg", "web", "--type=merge", "-p", &priority])?;
    group["spec"]["addresses"][0]["address"] = json!("10.0.1.0/24");
    assert!(
        scene.refusal(&["apply"], &group)?.is_some(),
        "it may not change to what is as wrong"
    );
    assert_eq!(scene.refusal(&["apply"], &good)?, None);
    scene.plane.kubectl(&["delete", "vipg", "web"])?;
    Ok(())
}
