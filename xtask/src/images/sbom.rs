//! A bill of materials for a program, in CycloneDX 1.5: what was put into it, in which version, under which licence. The same
//! for the same sources, so without the number and the moment that other tools write into it.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::Serialize;

use super::arch::Arch;
use super::busybox::Busybox;
use super::crates::{Crate, Crates, Facts};
use super::layer::hexadecimal_sha256;

/// What the Rust target carries into each program beside the crates.
const RUNTIME: [(&str, &str, &str); 2] = [
    ("rust-std", "MIT OR Apache-2.0", "Rust's standard library"),
    ("musl", "MIT", "The C library that comes with the Rust target"),
];

/// The bill of `program`, one of our crates, which `linked` are part of; it was compiled by `rust`, a version.
pub fn of_program(
    program: &str,
    linked: &BTreeSet<Crate>,
    crates: &Crates,
    arch: Arch,
    rust: &str,
    time: Timestamp,
) -> Result<Vec<u8>> {
    let root = linked.iter().find(|linked| linked.name == program);
    let root = root.with_context(|| format!("{program} is not among its own crates"))?;
    let mut components = Vec::new();
    let mut dependencies = Vec::new();
    for linked_crate in linked {
        let facts = crates.facts(linked_crate)?;
        // An unchosen feature's crates are needed by nobody here.
        let needs = facts.needs.intersection(linked);
        dependencies.push(Dependency {
            name: reference(linked_crate),
            depends_on: needs.map(reference).collect(),
        });
        if linked_crate != root {
            components.push(component(linked_crate, facts));
        }
    }
    for (name, license, description) in RUNTIME {
        components.push(Component {
            version: (name == "rust-std").then(|| rust.to_owned()),
            ..Component::new("library", name.to_owned(), name, Some(license), Some(description))
        });
        if let Some(of_root) = dependencies
            .iter_mut()
            .find(|entry| entry.name == reference(root))
        {
            of_root.depends_on.insert(name.to_owned());
        }
    }
    let mut subject = component(root, crates.facts(root)?);
    subject.kind = "application";
    subject.properties.push(Property {
        name: "holdfast:target",
        value: arch.target().to_owned(),
    });
    Bill::new(subject, time, components, dependencies).to_json()
}

/// The bill of BusyBox, which is one program of Debian's.
pub fn of_busybox(busybox: &Busybox, arch: Arch, time: Timestamp) -> Result<Vec<u8>> {
    let purl = format!(
        "pkg:deb/debian/busybox-static@{}?arch={}",
        busybox.version.replace('+', "%2B"),
        arch.name()
    );
    let mut subject = Component::new(
        "application",
        purl.clone(),
        "busybox-static",
        Some("GPL-2.0-only"),
        Some("Debian's build of BusyBox, linked statically; a program of its own"),
    );
    subject.version = Some(busybox.version.clone());
    subject
        .hashes
        .push(Hash::sha256(hexadecimal_sha256(busybox.program())));
    subject.purl = Some(purl);
    subject.properties.push(Property {
        name: "holdfast:debian-sources",
        value: busybox.sources.clone(),
    });
    Bill::new(subject, time, Vec::new(), Vec::new()).to_json()
}

fn reference(of: &Crate) -> String {
    format!("{}@{}", of.name, of.version)
}

fn component(of: &Crate, facts: &Facts) -> Component {
    let (license, description) = (facts.license.as_deref(), facts.description.as_deref());
    Component {
        version: Some(of.version.clone()),
        hashes: facts.checksum.iter().cloned().map(Hash::sha256).collect(),
        // What is published nowhere has no address.
        purl: (!facts.ours).then(|| format!("pkg:cargo/{}@{}", of.name, of.version.replace('+', "%2B"))),
        external_references: facts
            .repository
            .iter()
            .map(|url| Address {
                kind: "vcs",
                url: url.clone(),
            })
            .collect(),
        ..Component::new("library", reference(of), &of.name, license, description)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bill {
    bom_format: &'static str,
    spec_version: &'static str,
    version: u8,
    metadata: Metadata,
    components: Vec<Component>,
    dependencies: Vec<Dependency>,
}

impl Bill {
    fn new(
        subject: Component,
        timestamp: Timestamp,
        components: Vec<Component>,
        dependencies: Vec<Dependency>,
    ) -> Self {
        Self {
            bom_format: "CycloneDX",
            spec_version: "1.5",
            version: 1,
            metadata: Metadata {
                timestamp,
                component: subject,
            },
            components,
            dependencies,
        }
    }

    fn to_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self).context("cannot write a bill of materials")
    }
}

#[derive(Serialize)]
struct Metadata {
    timestamp: Timestamp,
    component: Component,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Component {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "bom-ref")]
    reference: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    licenses: Vec<License>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purl: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_references: Vec<Address>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    properties: Vec<Property>,
}

impl Component {
    fn new(
        kind: &'static str,
        reference: String,
        name: &str,
        license: Option<&str>,
        description: Option<&str>,
    ) -> Self {
        Self {
            kind,
            reference,
            name: name.to_owned(),
            version: None,
            // Some crates break theirs into lines.
            description: description.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")),
            hashes: Vec::new(),
            licenses: license
                .iter()
                .map(|license| License {
                    expression: (*license).to_owned(),
                })
                .collect(),
            purl: None,
            external_references: Vec::new(),
            properties: Vec::new(),
        }
    }
}

#[derive(Serialize)]
struct Hash {
    alg: &'static str,
    content: String,
}

impl Hash {
    fn sha256(content: String) -> Self {
        Self {
            alg: "SHA-256",
            content,
        }
    }
}

#[derive(Serialize)]
struct License {
    expression: String,
}

#[derive(Serialize)]
struct Address {
    #[serde(rename = "type")]
    kind: &'static str,
    url: String,
}

#[derive(Serialize)]
struct Property {
    name: &'static str,
    value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Dependency {
    #[serde(rename = "ref")]
    name: String,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    depends_on: BTreeSet<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::linked::Linked;
    use super::super::recipe::{AGENT, OPERATOR};
    use super::*;
    use crate::workspace::Workspace;

    fn bill(program: &str) -> (Value, BTreeSet<Crate>) {
        let workspace = Workspace::open().unwrap();
        let crates = Crates::of(&workspace, Arch::Amd64).unwrap();
        let both = Linked::into_programs(&workspace, &[OPERATOR.name, AGENT.name], Arch::Amd64).unwrap();
        let linked = both.of(program);
        let write = || {
            let time = Timestamp::from_second(1_700_000_000).unwrap();
            of_program(program, &linked, &crates, Arch::Amd64, "1.95.0", time).unwrap()
        };
        assert!(
            write() == write(),
            "the bill of {program} differs from one time to the next"
        );
        (serde_json::from_slice(&write()).unwrap(), linked)
    }

    fn texts<'v>(list: &'v Value, field: &str) -> BTreeSet<&'v str> {
        let list = list.as_array().unwrap();
        list.iter().map(|entry| entry[field].as_str().unwrap()).collect()
    }

    #[test]
    fn a_bill_names_each_crate_that_is_linked_once_and_what_the_target_brings_and_nothing_else() {
        for program in ["holdfast-agent", "holdfast-operator"] {
            let (bill, linked) = bill(program);
            let components = &bill["components"];
            let mut expected: BTreeSet<_> = linked.iter().map(reference).collect();
            assert!(expected.remove(&format!("{program}@{}", env!("CARGO_PKG_VERSION"))));
            expected.extend(RUNTIME.map(|(name, ..)| name.to_owned()));
            let references = texts(components, "bom-ref");
            assert_eq!(references, expected.iter().map(String::as_str).collect());
            assert_eq!(references.len(), components.as_array().unwrap().len());

            let names = texts(components, "name");
            for part in ["ring", "tokio", "kube-client", "holdfast-api"] {
                assert!(names.contains(part), "{program} without {part}");
            }
            for helper in ["cc", "serde_derive", "insta", "holdfast-lab"] {
                assert!(!names.contains(helper), "{helper} is no part of {program}");
            }
        }
    }

    #[test]
    fn every_component_has_a_licence_and_one_from_a_registry_its_hash_and_address() {
        let (bill, _) = bill("holdfast-agent");
        for component in bill["components"].as_array().unwrap() {
            let name = component["name"].as_str().unwrap();
            let licence = component["licenses"][0]["expression"].as_str();
            assert!(
                licence.is_some_and(|text| !text.contains('/')),
                "{name}: {licence:?}"
            );
            if name.starts_with("holdfast-") || RUNTIME.iter().any(|(runtime, ..)| *runtime == name) {
                assert_eq!(component["purl"], Value::Null, "{name}");
                continue;
            }
            let hash = component["hashes"][0]["content"].as_str().unwrap_or_default();
            assert_eq!(hash.len(), 64, "{name}: {hash:?}");
            let version = component["version"].as_str().unwrap().replace('+', "%2B");
            assert_eq!(component["purl"], format!("pkg:cargo/{name}@{version}"));
        }
    }

    #[test]
    fn every_component_is_reached_from_the_program() {
        let (bill, linked) = bill("holdfast-agent");
        let dependencies = bill["dependencies"].as_array().unwrap();
        let needs = |name: &str| -> BTreeSet<String> {
            let of = dependencies.iter().find(|entry| entry["ref"] == name);
            let of = of.and_then(|entry| entry["dependsOn"].as_array());
            of.into_iter()
                .flatten()
                .map(|need| need.as_str().unwrap().to_owned())
                .collect()
        };
        let root = bill["metadata"]["component"]["bom-ref"]
            .as_str()
            .unwrap()
            .to_owned();
        let mut reached = BTreeSet::from([root.clone()]);
        let mut next = vec![root];
        while let Some(name) = next.pop() {
            next.extend(
                needs(&name)
                    .into_iter()
                    .filter(|need| reached.insert(need.clone())),
            );
        }
        assert_eq!(reached.len(), linked.len() + RUNTIME.len());
    }
}
