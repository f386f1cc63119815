//! The CustomResourceDefinitions in a real API server: what it makes of them, what `kubectl explain` and `kubectl get`
//! print of them, and what it fills in.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

use std::{fs, path::Path, time::Duration};

use holdfast_api::{
    crd, summary,
    v1alpha1::{Member, NodeGroupStatus, VirtualIPGroupSpec, VirtualIPNodeSpec},
};
use holdfast_e2e::{Result, cluster::SETTLED};
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
        Case::new(
            "the_definitions_are_established_structural_and_small",
            established,
        )
        .timeout(long),
        Case::new("kubectl_explains_every_field", explained).timeout(long),
        Case::new("kubectl_get_answers_what_a_person_asks", printed).timeout(long),
        Case::new("the_api_server_fills_in_what_serde_fills_in", filled_in).timeout(long),
    ])
}

/// What the API server stores of one definition; clients fetch it whole.
const LIMIT: usize = 200 * 1024;

fn plane() -> Result<(Lab, ControlPlane)> {
    let lab = Lab::new()?;
    let plane = ControlPlane::start(&lab)?;
    plane.install_crds()?;
    Ok((lab, plane))
}

fn established() -> Outcome {
    let (_lab, plane) = plane()?;
    for definition in crd::crds() {
        let name = definition.metadata.name.unwrap();
        let stored = plane.get(&["crd", &name])?;
        let size = stored.to_string().len();
        assert!(size < LIMIT, "{name} has {size} bytes");
        let file = format!("../crds/vip.holdfast.dev_{}.yaml", definition.spec.names.plural);
        let size = fs::metadata(Path::new(env!("CARGO_MANIFEST_DIR")).join(file))?.len();
        assert!(
            usize::try_from(size)? < LIMIT,
            "the file of {name} has {size} bytes"
        );
        let conditions = stored["status"]["conditions"].as_array().unwrap();
        let of = |kind: &str| conditions.iter().find(|condition| condition["type"] == kind);
        for kind in ["Established", "NamesAccepted"] {
            assert_eq!(of(kind).unwrap()["status"], "True", "{name}: {kind}");
        }
        assert_eq!(of("NonStructuralSchema"), None, "{name}");
    }
    Ok(())
}

fn explained() -> Outcome {
    let (_lab, plane) = plane()?;
    // What it explains is published a moment after the definition is served.
    wait_until("the definitions are explained", SETTLED, || {
        let explained = |name| plane.kubectl(&["explain", name]).is_ok();
        Ok(explained("vipg") && explained("vipn"))
    })?;
    let mut fields = 0;
    for definition in crd::crds() {
        let kind = definition.spec.names.kind.to_lowercase();
        for path in mappings(&crd::schema(&definition), &kind) {
            let page = plane.kubectl(&["explain", &path])?;
            assert!(
                !page.contains("<no description>"),
                "kubectl explain {path}:\n{page}"
            );
            let (_, listed) = page.split_once("FIELDS:").ok_or_else(|| page.clone())?;
            fields += listed.lines().filter(|line| line.contains("\t<")).count();
        }
    }
    println!("{fields} fields are explained");
    assert!(fields > 150, "only {fields} fields were looked at");
    let page = plane.kubectl(&["explain", "vipg.spec.advertisement.interval"])?;
    assert!(page.contains("Version 3: a multiple of 10ms"), "{page}");
    Ok(())
}

/// The paths of everything below `schema` that has fields of its own; `metadata` is Kubernetes'.
fn mappings(schema: &Value, path: &str) -> Vec<String> {
    let mapping = if schema["items"].is_object() {
        &schema["items"]
    } else {
        schema
    };
    let Some(properties) = mapping["properties"].as_object() else {
        return Vec::new();
    };
    let inner = properties
        .iter()
        .filter(|(name, _)| *name != "metadata")
        .flat_map(|(name, property)| mappings(property, &format!("{path}.{name}")));
    [path.to_owned()].into_iter().chain(inner).collect()
}

fn group() -> Value {
    json!({
        "apiVersion": "vip.holdfast.dev/v1alpha1",
        "kind": "VirtualIPGroup",
        "metadata": { "name": "control-plane" },
        "spec": { "addresses": [{ "address": "10.0.0.100/24" }, { "address": "fd00::100/64" }], "virtualRouterID": 51 },
    })
}

fn node() -> Value {
    json!({
        "apiVersion": "vip.holdfast.dev/v1alpha1",
        "kind": "VirtualIPNode",
        "metadata": { "name": "cp-1" },
        "spec": { "groups": [{
            "name": "control-plane",
            "virtualRouterID": 51,
            "addresses": [{ "address": "10.0.0.100/24" }],
            "priority": 100,
            "advertisement": { "version": 3, "interval": "1s", "family": "IPv4", "mode": "Unicast" },
            "mayBecomeActive": true,
        }] },
    })
}

fn printed() -> Outcome {
    let (_lab, plane) = plane()?;
    plane.apply(&group().to_string())?;
    plane.apply(&node().to_string())?;
    // What nobody has looked at yet has empty columns, not wrong ones.
    assert_eq!(
        table(&plane, &["vipg"])?,
        [
            words("NAME VRID ADDRESSES ACTIVE READY AGE"),
            words("control-plane 51 AGE")
        ]
    );

    let spec: VirtualIPGroupSpec = serde_json::from_value(group()["spec"].clone())?;
    let members = ["cp-1", "cp-2", "cp-3", "cp-4"].map(|node| {
        serde_json::from_value::<Member>(json!({ "node": node, "state": "Backup", "interface": "eth0" }))
            .unwrap()
    });
    let ready = json!({
        "type": "Ready",
        "status": "True",
        "reason": "Serving",
        "message": "cp-1 serves the addresses",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    });
    let status = json!({ "status": {
        "activeNode": "cp-1",
        "conditions": [ready],
        "members": members,
        "summary": summary::of_group(&spec, &members),
    } });
    report(&plane, "vipg/control-plane", &status)?;
    assert_eq!(
        table(&plane, &["virtualipgroups"])?,
        [
            words("NAME VRID ADDRESSES ACTIVE READY AGE"),
            words("control-plane 51 10.0.0.100,fd00::100 cp-1 True AGE"),
        ]
    );
    assert_eq!(
        table(&plane, &["vipg", "-o", "wide"])?,
        [
            words("NAME VRID ADDRESSES ACTIVE READY REASON INTERFACE MEMBERS AGE"),
            words("control-plane 51 10.0.0.100,fd00::100 cp-1 True Serving eth0 cp-1,cp-2,cp-3 + 1 more AGE"),
        ]
    );

    let groups: Vec<NodeGroupStatus> =
        serde_json::from_value(json!([{ "name": "control-plane", "state": "Active" }]))?;
    let status = json!({ "status": {
        "observedGeneration": 1,
        "agentVersion": "0.1.0",
        "problems": [{ "reason": "UnknownFeature", "message": "the operator is newer than this agent" }],
        "groups": groups,
        "summary": summary::of_node(&groups),
    } });
    report(&plane, "vipn/cp-1", &status)?;
    assert_eq!(
        table(&plane, &["vipn"])?,
        [
            words("NAME GROUPS ACTIVE PROBLEM AGE"),
            words("cp-1 control-plane control-plane UnknownFeature AGE"),
        ]
    );
    assert_eq!(
        table(&plane, &["vipn", "-o", "wide"])?,
        [
            words("NAME GROUPS ACTIVE PROBLEM GENERATION APPLIED AGENT AGE"),
            words("cp-1 control-plane control-plane UnknownFeature 1 1 0.1.0 AGE"),
        ]
    );
    // Both kinds by the name of the project.
    let all = plane.kubectl(&["get", "holdfast"])?;
    for name in [
        "virtualipgroup.vip.holdfast.dev/control-plane",
        "virtualipnode.vip.holdfast.dev/cp-1",
    ] {
        assert!(all.contains(name), "{all}");
    }
    plane.kubectl(&[
        "wait",
        "--for=condition=Ready",
        "--timeout=5s",
        "vipg/control-plane",
    ])?;
    println!("{}", plane.kubectl(&["describe", "vipg", "control-plane"])?);
    Ok(())
}

/// Writes a status as the operator or an agent would.
fn report(plane: &ControlPlane, object: &str, status: &Value) -> Result<()> {
    let status = status.to_string();
    plane.kubectl(&[
        "patch",
        object,
        "--subresource=status",
        "--type=merge",
        "-p",
        &status,
    ])?;
    Ok(())
}

/// What `kubectl get` prints, in words, with `AGE` for how old an object is.
fn table(plane: &ControlPlane, what: &[&str]) -> Result<Vec<Vec<String>>> {
    let text = plane.kubectl(&[&["get"], what].concat())?;
    println!("{text}");
    let rows = text.lines().map(|line| {
        let mut row = words(line);
        "AGE".clone_into(row.last_mut().unwrap());
        row
    });
    Ok(rows.collect())
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(ToOwned::to_owned).collect()
}

fn filled_in() -> Outcome {
    let (_lab, plane) = plane()?;
    let mut group = group();
    // Each mapping that is written gets its own defaults.
    group["spec"]["nodeOverrides"] = json!([{ "nodes": ["cp-1"], "priority": 200 }]);
    group["spec"]["advertisement"] = json!({ "peers": [{ "name": "cp-2", "addresses": ["10.0.0.2"] }] });
    group["spec"]["preemption"] = json!({});
    group["spec"]["authentication"] = json!({});
    group["spec"]["announcement"] = json!({});
    // A field without a value gets its default too.
    group["spec"]["startupDelay"] = Value::Null;
    plane.apply(&group.to_string())?;
    plane.apply(&node().to_string())?;
    let stored = plane.get(&["vipg", "control-plane"])?["spec"].take();
    let object = group["spec"].as_object_mut().unwrap();
    object.retain(|_, value| !value.is_null());
    let read: VirtualIPGroupSpec = serde_json::from_value(group["spec"].take())?;
    assert_eq!(stored, serde_json::to_value(read)?);
    let stored = plane.get(&["vipn", "cp-1"])?["spec"].take();
    let read: VirtualIPNodeSpec = serde_json::from_value(node()["spec"].take())?;
    assert_eq!(stored, serde_json::to_value(read)?);
    Ok(())
}
