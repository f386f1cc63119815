//! Every manifest in `examples/` is valid and renders to what its snapshot says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use holdfast_api::files::{self, Loaded};
use holdfast_api::render::{self, NodeFacts, SecretSource};
use holdfast_api::v1alpha1::VirtualIPGroup;
use holdfast_api::yaml;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");

/// An example, and the name and labels of the node it is rendered for.
type Case = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

const CASES: [Case; 19] = [
    (
        "control-plane",
        "cp-2",
        &[("node-role.kubernetes.io/control-plane", "")],
    ),
    ("dual-active", "beta", &[]),
    ("dual-stack", "beta", &[]),
    ("fast-failover", "alpha", &[]),
    ("ipv6", "alpha", &[]),
    ("keepalived", "alpha", &[]),
    (
        "kubeadm/control-plane",
        "cp-2",
        &[("node-role.kubernetes.io/control-plane", "")],
    ),
    (
        "probes/control-plane",
        "cp-2",
        &[("node-role.kubernetes.io/control-plane", "")],
    ),
    ("probes/databases", "alpha", &[]),
    ("probes/flapping", "alpha", &[]),
    ("probes/handlers", "alpha", &[]),
    ("probes/haproxy", "alpha", &[]),
    ("probes/mirrored", "beta", &[]),
    ("probes/nginx", "alpha", &[]),
    ("probes/placement", "beta", &[]),
    ("probes/quorum", "alpha", &[]),
    ("probes/sync-group", "alpha", &[]),
    ("probes/weights", "alpha", &[]),
    ("two-nodes", "alpha", &[]),
];

/// What is said about examples that are meant for a cluster when a file has them: the example and the field.
const WARNINGS: [(&str, &str); 1] = [("probes/control-plane", "spec.maintenance")];

fn load(example: &str, node: &str, labels: &[(&str, &str)]) -> Result<Loaded, String> {
    let path = Path::new(EXAMPLES).join(example).with_extension("yaml");
    let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
    let facts = NodeFacts {
        name: node.to_owned(),
        labels: owned(labels),
    };
    let secrets = |source: &SecretSource| {
        assert_eq!(
            source,
            &SecretSource::File("/etc/holdfast/web.password".to_owned())
        );
        Ok(b"s3cret".to_vec())
    };
    files::load(&[(path, text)], &facts, &secrets).map_err(|problems| problems[0].to_string())
}

fn owned(labels: &[(&str, &str)]) -> BTreeMap<String, String> {
    labels
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn every_example_renders_to_its_snapshot_and_warns_of_nothing_but_what_needs_a_cluster() {
    for (example, node, labels) in CASES {
        let loaded = load(example, node, labels).unwrap();
        let said: Vec<_> = loaded
            .warnings
            .iter()
            .map(|warning| (example, &*warning.field))
            .collect();
        let expected = WARNINGS.iter().filter(|(of, _)| *of == example);
        assert_eq!(said, expected.copied().collect::<Vec<_>>(), "{example}");
        assert_eq!(
            loaded.spec.groups.len(),
            loaded.rendered.groups.len(),
            "{example}"
        );
        insta::assert_snapshot!(
            format!("{}-on-{node}", example.replace('/', "-")),
            yaml::write(&loaded.rendered).unwrap()
        );
    }
}

#[test]
fn an_example_means_the_same_from_a_file_and_from_the_api_and_survives_being_written() {
    for (example, node, labels) in CASES {
        let text = std::fs::read_to_string(Path::new(EXAMPLES).join(example).with_extension("yaml")).unwrap();
        let read = |value| serde_json::from_value::<VirtualIPGroup>(value).unwrap();
        let groups: Vec<VirtualIPGroup> = yaml::read(&text)
            .unwrap()
            .into_iter()
            .map(|document| read(document.value))
            .collect();
        let facts = NodeFacts {
            name: node.to_owned(),
            labels: owned(labels),
        };
        assert_eq!(
            render::node_spec(&groups, &facts),
            load(example, node, labels).unwrap().rendered,
            "{example}"
        );
        for group in groups {
            assert_eq!(read(serde_json::to_value(&group).unwrap()), group, "{example}");
        }
    }
}

#[test]
fn every_file_in_examples_is_one_of_the_cases() {
    let of_folder = |folder: &str, prefix: &str| -> Vec<String> {
        let entries = std::fs::read_dir(Path::new(EXAMPLES).join(folder)).unwrap();
        entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
            .map(|path| format!("{prefix}{}", path.file_stem().unwrap().to_str().unwrap()))
            .collect()
    };
    // The other files of its folder are for kubelets and kubeadm.
    let kubeadm = vec!["kubeadm/control-plane".to_owned()];
    let files: BTreeSet<String> = [of_folder("", ""), kubeadm, of_folder("probes", "probes/")]
        .concat()
        .into_iter()
        .collect();
    assert_eq!(
        files,
        CASES
            .iter()
            .map(|(example, _, _)| (*example).to_owned())
            .collect()
    );
}

#[test]
fn the_control_plane_example_is_for_labeled_nodes_only() {
    assert_eq!(
        load("control-plane", "worker-1", &[]).unwrap().not_here,
        ["control-plane"]
    );
}

#[test]
fn every_kind_of_probe_means_the_same_from_a_file_and_from_the_api_and_survives_being_written() {
    let text = include_str!("probes.yaml");
    let group: VirtualIPGroup = serde_json::from_value(yaml::read(text).unwrap().remove(0).value).unwrap();
    let facts = NodeFacts {
        name: "alpha".to_owned(),
        ..NodeFacts::default()
    };
    let no_secrets = |source: &SecretSource| Err(format!("{source:?} is no secret of a file"));
    let loaded = files::load(&[("probes.yaml".into(), text.to_owned())], &facts, &no_secrets).unwrap();
    assert_eq!(loaded.warnings, []);
    assert_eq!(render::node_spec([&group], &facts), loaded.rendered);
    insta::assert_snapshot!("every-kind-of-probe", yaml::write(&loaded.rendered).unwrap());

    let written = yaml::write(&group).unwrap();
    let again = serde_json::from_value::<VirtualIPGroup>(yaml::read(&written).unwrap().remove(0).value);
    assert_eq!(again.unwrap(), group);
    let modelled = &loaded.spec.groups["services"];
    assert_eq!(modelled.probes.len(), 14, "all but the quorum are run");
    assert_eq!(modelled.health.probes.len(), 15);
    assert_eq!(
        modelled.preferred.unwrap().unwrap().to_string(),
        "2026-12-01T00:00:00Z"
    );
}
