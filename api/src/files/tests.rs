use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const GROUP_A: &str = "\
apiVersion: vip.holdfast.dev/v1alpha1
kind: VirtualIPGroup
metadata: {name: a}
spec:
  addresses:
  - address: 192.0.2.100/24
  virtualRouterID: 51
  advertisement: {mode: Multicast}
";

fn node(name: &str) -> NodeFacts {
    NodeFacts {
        name: name.to_owned(),
        labels: BTreeMap::new(),
    }
}

fn no_secrets(_: &render::SecretSource) -> Result<Vec<u8>, String> {
    Err("there are no secrets here".to_owned())
}

fn load_text(text: &str) -> Result<Loaded, Vec<Problem>> {
    load(&[("a.yaml".into(), text.to_owned())], &node("alpha"), &no_secrets)
}

fn problems(text: &str) -> Vec<String> {
    load_text(text)
        .expect_err("refused")
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn a_group_for_this_node_is_loaded() {
    let loaded = load_text(GROUP_A).unwrap();
    assert_eq!(loaded.spec.groups.keys().collect::<Vec<_>>(), ["a"]);
    assert_eq!(loaded.rendered.groups[0].name, "a");
    assert_eq!(loaded.warnings, []);
}

#[test]
fn files_without_documents_are_nothing_and_no_mistake() {
    for text in ["", "---\n", "# only a comment\n", "---\n---\n"] {
        assert_eq!(load_text(text).unwrap(), Loaded::default(), "{text:?}");
    }
}

#[test]
fn a_group_for_other_nodes_is_named_but_not_run() {
    let text = format!("{GROUP_A}  nodeSelector: {{matchLabels: {{role: edge}}}}\n");
    let loaded = load_text(&text).unwrap();
    assert_eq!(loaded.not_here, ["a"]);
    assert!(loaded.spec.groups.is_empty());

    let facts = NodeFacts {
        labels: BTreeMap::from([("role".into(), "edge".into())]),
        ..node("alpha")
    };
    let loaded = load(&[("a.yaml".into(), text)], &facts, &no_secrets).unwrap();
    assert!(loaded.spec.groups.contains_key("a"));
}

#[test]
fn documents_of_other_kinds_are_refused_with_a_sentence() {
    for (text, expected) in [
        (
            "just words",
            "a.yaml:1:1: this is not a VirtualIPGroup: write `apiVersion: vip.holdfast.dev/v1alpha1` and `kind: VirtualIPGroup`",
        ),
        (
            "spec: {}",
            "a.yaml:1:1: kind: this is missing: write `kind: VirtualIPGroup`",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap",
            "a.yaml:2:7: kind: a node on its own cannot do anything with a ConfigMap: keep it out of here, or write `kind: VirtualIPGroup`",
        ),
        (
            "apiVersion: vip.holdfast.dev/v1alpha1\nkind: VirtualIPNode",
            "a.yaml:2:7: kind: a VirtualIPNode is made from groups and not read from files: write a VirtualIPGroup",
        ),
        (
            "apiVersion: vip.holdfast.dev/v2\nkind: VirtualIPGroup",
            "a.yaml:1:13: apiVersion: this agent does not know `vip.holdfast.dev/v2`: write `vip.holdfast.dev/v1alpha1`, or run an agent that knows it",
        ),
        (
            "apiVersion: v1\nkind: VirtualIPGroup",
            "a.yaml:1:13: apiVersion: `v1` has no VirtualIPGroup: write `vip.holdfast.dev/v1alpha1`",
        ),
        (
            "kind: VirtualIPGroup",
            "a.yaml:1:1: apiVersion: this is missing: write `apiVersion: vip.holdfast.dev/v1alpha1`",
        ),
    ] {
        assert_eq!(problems(text), [expected], "{text}");
    }
}

#[test]
fn an_unknown_field_is_refused_at_its_line_with_what_was_probably_meant() {
    let text = GROUP_A.replace("virtualRouterID", "virtual_router_id");
    assert_eq!(
        problems(&text),
        [
            "a.yaml:7:3: spec.virtual_router_id: `virtual_router_id` is not a field of `spec`: did you mean `virtualRouterID`?"
        ]
    );
    let text = format!("{GROUP_A}  interval: 1s\n");
    assert_eq!(
        problems(&text),
        [
            "a.yaml:9:3: spec.interval: `interval` is not a field of `spec`: did you mean `spec.advertisement.interval`?"
        ]
    );
}

#[test]
fn what_kubectl_prints_is_read_with_its_status_and_server_fields() {
    let text = GROUP_A.replace(
        "metadata: {name: a}",
        "metadata: {name: a, uid: x, generation: 3, creationTimestamp: null, managedFields: [{manager: m, fieldsV1: {'f:spec': {}}}]}\n\
         status: {anything: [1]}",
    );
    let loaded = load_text(&text).unwrap();
    assert_eq!(loaded.spec.groups["a"].generation, 3);
}

#[test]
fn every_mistake_of_every_document_and_file_is_reported_in_order() {
    let bad = GROUP_A
        .replace("51", "0")
        .replace("192.0.2.100/24", "192.0.2.100")
        + "  priority: 256\n";
    let files = [
        ("b.yaml".into(), bad.replace("name: a", "name: b")),
        ("a.yaml".into(), format!("{bad}---\nkind: Pod\n")),
        ("c.yaml".into(), "a: [".into()),
        ("d.yaml".into(), GROUP_A.replace("name: a", "name: d")),
    ];
    let found = load(&files, &node("alpha"), &no_secrets).unwrap_err();
    let places: Vec<_> = found
        .iter()
        .map(|problem| {
            (
                problem.file.to_str().unwrap(),
                problem.position.unwrap().line,
                &*problem.field,
            )
        })
        .collect();
    assert_eq!(
        places,
        [
            ("a.yaml", 6, "spec.addresses[0].address"),
            ("a.yaml", 7, "spec.virtualRouterID"),
            ("a.yaml", 9, "spec.priority"),
            ("a.yaml", 11, "kind"),
            ("b.yaml", 6, "spec.addresses[0].address"),
            ("b.yaml", 7, "spec.virtualRouterID"),
            ("b.yaml", 9, "spec.priority"),
            ("c.yaml", 1, ""),
        ]
    );
}

#[test]
fn one_mistake_is_said_once() {
    let found = problems(&GROUP_A.replace("Multicast", "Unicast"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("a.yaml:8:3: spec.advertisement.peers: these are missing"),
        "{found:?}"
    );
}

#[test]
fn what_is_not_yaml_is_refused_with_its_place() {
    for (text, expected) in [
        (
            "spec: [1, 2\n",
            "a.yaml:1:7: unclosed bracket '[': close it, or put a text that begins with it in quotes",
        ),
        (
            "spec:\n\tx: 1\n",
            "a.yaml:2:2: tabs disallowed within this context (block indentation): indent with spaces",
        ),
        (
            "a: b: c\n",
            "a.yaml:1:5: mapping values are not allowed in this context: write one `name: value` a line, and values with `: ` in them in quotes",
        ),
        (
            "a: *nowhere\n",
            "a.yaml:1:4: `*` refers to an anchor (`&`) that is not written above: put a text that begins with `*` in quotes",
        ),
        (
            "a: 'open\n",
            "a.yaml:2:1: invalid indentation in multiline quoted scalar",
        ),
        (
            "a: 1\na: 2\n",
            "a.yaml:2:1: `a` is written twice in the same mapping: keep one of them",
        ),
        ("x: .inf\n", "a.yaml:1:4: value `.inf` is not a finite number"),
    ] {
        assert_eq!(problems(text), [expected], "{text:?}");
    }
}

#[test]
fn two_groups_of_one_name_are_refused_with_both_places() {
    let files = [
        ("a.yaml".into(), GROUP_A.to_owned()),
        ("b.yaml".into(), GROUP_A.to_owned()),
    ];
    let found = load(&files, &node("alpha"), &no_secrets).unwrap_err();
    assert_eq!(
        found[0].to_string(),
        "b.yaml:3:18: metadata.name: a group of this name is also written as `a` (a.yaml:3): rename or remove one"
    );
    assert_eq!(found.len(), 1);
}

#[test]
fn groups_that_collide_on_this_node_are_refused_with_both_names() {
    let other = GROUP_A.replace("name: a", "name: b");
    assert_eq!(
        problems(&format!("{GROUP_A}---\n{other}")),
        [
            "a.yaml:15:14: spec.addresses[0].address: 192.0.2.100 is also an address of group `a` (a.yaml:3): remove it from one of them",
            "a.yaml:16:20: spec.virtualRouterID: 51 is also the virtual router of group `a` (a.yaml:3) on the same interface and in the same family: write another number in one of them",
        ]
    );
}

#[test]
fn groups_that_would_collide_on_other_nodes_are_none_of_this_nodes_business() {
    let other = GROUP_A.replace("name: a", "name: b") + "  nodeSelector: {matchLabels: {role: edge}}\n";
    let loaded = load_text(&format!("{GROUP_A}---\n{other}")).unwrap();
    assert_eq!(loaded.spec.groups.len(), 1);
}

#[test]
fn one_virtual_router_id_serves_on_two_interfaces_and_in_two_families() {
    let other = GROUP_A
        .replace("name: a", "name: b")
        .replace("192.0.2.100/24", "198.51.100.1/24");
    assert!(load_text(&format!("{GROUP_A}---\n{other}")).is_ok());
    let other = GROUP_A
        .replace("name: a", "name: b")
        .replace("192.0.2.100/24", "fe80::100/64");
    let eth0 = "  interface: eth0\n";
    assert!(load_text(&format!("{GROUP_A}{eth0}---\n{other}{eth0}")).is_ok());
    let (first, second) = (
        format!("{GROUP_A}  interface: eth0\n"),
        GROUP_A.replace("name: a", "name: b"),
    );
    let second = second.replace("2.100", "2.101");
    assert!(load_text(&format!("{first}---\n{second}  interface: eth1\n")).is_ok());
    assert!(load_text(&format!("{first}---\n{second}  interface: eth0\n")).is_err());
}

#[test]
fn a_password_is_read_from_its_file_and_never_shown() {
    let text = GROUP_A.replace("{mode: Multicast}", "{mode: Multicast, version: 2}")
        + "  authentication: {type: Password, file: /etc/holdfast/password}\n";
    let load_with = |secret: Result<&str, &str>| {
        load(&[("a.yaml".into(), text.clone())], &node("alpha"), &|source| {
            assert_eq!(
                source,
                &render::SecretSource::File("/etc/holdfast/password".into())
            );
            secret
                .map(|secret| secret.as_bytes().to_vec())
                .map_err(ToOwned::to_owned)
        })
    };
    let refusal = |secret| load_with(secret).unwrap_err()[0].to_string();

    let loaded = load_with(Ok("secret")).unwrap();
    assert_eq!(
        loaded.spec.groups["a"].authentication,
        holdfast_vrrp::Authentication::Password(*b"secret\0\0")
    );
    assert!(!format!("{loaded:?}").contains("secret\0"));
    assert_eq!(
        refusal(Ok("123456789")),
        "a.yaml:9:3: spec.authentication: the password has 9 bytes and VRRPv2 carries 8: shorten it on all members (keepalived uses the first 8)"
    );
    assert_eq!(
        refusal(Ok("")),
        "a.yaml:9:3: spec.authentication: the password is empty: write 1 to 8 bytes"
    );
    assert_eq!(
        refusal(Err("cannot read /etc/holdfast/password: no such file")),
        "a.yaml:9:3: spec.authentication: cannot read /etc/holdfast/password: no such file"
    );
}

#[test]
fn a_warning_does_not_keep_a_group_from_running() {
    let owner = format!("{GROUP_A}  priority: 255\n  preemption: {{type: Never}}\n");
    let loaded = load_text(&owner).unwrap();
    assert_eq!(loaded.spec.groups.len(), 1);
    assert_eq!(loaded.warnings.len(), 1);
    assert_eq!(loaded.warnings[0].field, "spec.preemption.type");
}

/// Pieces that make documents which come close to groups.
fn near_groups() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "apiVersion: vip.holdfast.dev/v1alpha1\n",
        "kind: VirtualIPGroup\n",
        "metadata: {name: a}\n",
        "spec:\n",
        "  addresses:\n",
        "  - address: 10.0.0.1/24\n",
        "  - {address: fd00::1/64, label: é}\n",
        "  virtualRouterID: 0\n",
        "  virtualRouterID: 5\n",
        "  priority: 99999999999999999999\n",
        "  priority: -1\n",
        "  advertisement: {}\n",
        "  advertisement: {version: 2, interval: 99999h, family: IPv6}\n",
        "  advertisement: {peers: [{name: '', addresses: []}]}\n",
        "  nodeOverrides: [{nodes: [], sourceAddress: '::'}]\n",
        "  preemption: {type: Delayed}\n",
        "---\n",
        "  x: &a [*a]\n",
        "  authentication: {type: Password, secretRef: {name: a, key: b}}\n",
        "  nodeSelector: {matchExpressions: [{key: '', operator: X}]}\n",
        "  addresses: null\n",
        "  interface: [\n",
        "\t",
    ]);
    prop::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_makes_loading_panic(text in "\\PC{0,100}") {
        let _ = load_text(&text);
    }

    #[test]
    fn nothing_that_comes_close_to_a_group_makes_loading_panic(text in near_groups()) {
        let _ = load_text(&text);
        let _ = load_text(&format!("{GROUP_A}{text}"));
    }
}
