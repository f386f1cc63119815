use holdfast_api::yaml;
use serde_json::Value;

use super::*;

fn plane() -> ControlPlane {
    let member = |number: u8| Member {
        name: format!("cp-{number}"),
        addresses: vec![format!("10.0.0.1{number}")],
    };
    ControlPlane {
        name: "control-plane".to_owned(),
        addresses: vec!["10.0.0.100/24".to_owned()],
        interface: Some("eth0".to_owned()),
        members: [1, 2, 3].map(member).to_vec(),
        virtual_router_id: None,
        priority: None,
        interval: "1s".to_owned(),
        preemption: Preemption::Never,
        proxy: Proxy::None,
        port: None,
    }
}

fn container() -> Container {
    Container {
        image: "holdfast-agent:0.1.0".to_owned(),
        pull_policy: PullPolicy::IfNotPresent,
    }
}

fn read(text: &str) -> Value {
    let mut documents = yaml::read(text).unwrap();
    assert_eq!(documents.len(), 1, "the kubelet wants one object a file");
    documents.remove(0).value
}

fn pod_of(plane: &ControlPlane) -> Value {
    read(&pod(plane, &plane.text().unwrap(), &container()).unwrap())
}

fn group_of(plane: &ControlPlane) -> Value {
    read(&plane.text().unwrap())
}

fn complaints(plane: &ControlPlane) -> Vec<String> {
    let complaints = check(plane, &plane.text().unwrap()).unwrap_err();
    complaints.iter().map(ToString::to_string).collect()
}

#[test]
fn the_pod_carries_exactly_the_group_that_is_printed_alone() {
    let plane = plane();
    let text = plane.text().unwrap();
    assert_eq!(
        pod_of(&plane)["metadata"]["annotations"][GROUP_ANNOTATION],
        text.as_str()
    );
    assert_eq!(check(&plane, &text), Ok(Vec::new()));
}

#[test]
fn the_kubelet_lays_the_annotation_out_where_the_agent_reads() {
    let plane = ControlPlane {
        name: "api".to_owned(),
        ..plane()
    };
    let pod = pod_of(&plane);
    let volumes = pod["spec"]["volumes"].as_array().unwrap();
    let group = volumes.iter().find(|volume| volume["name"] == "group").unwrap();
    let item = &group["downwardAPI"]["items"][0];
    assert_eq!(item["path"], "api.yaml");
    assert_eq!(
        item["fieldRef"]["fieldPath"],
        "metadata.annotations['vip.holdfast.dev/group']"
    );
    let agent = &pod["spec"]["containers"][0];
    let mounts = agent["volumeMounts"].as_array().unwrap();
    let mount = mounts.iter().find(|mount| mount["name"] == "group").unwrap();
    let argument = format!("--config={}", mount["mountPath"].as_str().unwrap());
    assert!(agent["args"].as_array().unwrap().contains(&argument.into()));
}

#[test]
fn the_pod_needs_nothing_of_a_cluster_and_nobody_elses_port() {
    let spec = &pod_of(&plane())["spec"];
    assert_eq!(spec["automountServiceAccountToken"], false);
    assert_eq!(spec["serviceAccountName"], Value::Null);
    assert_eq!(spec["hostNetwork"], true);
    assert_eq!(
        spec["priority"], NODE_CRITICAL,
        "no admission fills it in for the kubelet"
    );
    let agent = &spec["containers"][0];
    assert!(!agent["args"].as_array().unwrap().contains(&"--kubernetes".into()));
    // A port would be one of the node's, and the scheduler would keep the chart's agent away from it.
    assert_eq!(agent["ports"], Value::Null);
    for probe in ["livenessProbe", "readinessProbe"] {
        assert_eq!(agent[probe]["httpGet"]["port"], METRICS_PORT, "{probe}");
    }
    for volume in spec["volumes"].as_array().unwrap() {
        for kind in ["secret", "configMap", "projected"] {
            assert_eq!(
                volume[kind],
                Value::Null,
                "the kubelet refuses a static Pod with {kind}"
            );
        }
    }
}

const NODE_CRITICAL: i32 = 2_000_001_000;

#[test]
fn the_agent_has_two_capabilities_and_writes_nowhere_but_in_its_run_folder() {
    let agent = &pod_of(&plane())["spec"]["containers"][0];
    let capabilities = &agent["securityContext"]["capabilities"];
    assert_eq!(capabilities["drop"], serde_json::json!(["ALL"]));
    assert_eq!(capabilities["add"], serde_json::json!(["NET_ADMIN", "NET_RAW"]));
    assert_eq!(agent["securityContext"]["readOnlyRootFilesystem"], true);
    let mounts = agent["volumeMounts"].as_array().unwrap();
    let writable = mounts.iter().filter(|mount| mount["readOnly"] != true);
    let writable: Vec<&Value> = writable.map(|mount| &mount["mountPath"]).collect();
    assert_eq!(writable, ["/run/holdfast"]);
}

#[test]
fn what_a_proxy_needs_is_asked_for_and_what_it_does_not_need_is_not() {
    for (proxy, name, preset) in [
        (Proxy::Haproxy, "haproxy", "HAProxy"),
        (Proxy::Nginx, "nginx", "Nginx"),
    ] {
        let plane = ControlPlane { proxy, ..plane() };
        let probe = &group_of(&plane)["spec"]["probes"][0];
        assert_eq!((&probe["name"], &probe["preset"]), (&name.into(), &preset.into()));
        assert_eq!(probe["presetOptions"], serde_json::json!({ "port": 8443 }));
        assert_eq!(check(&plane, &plane.text().unwrap()), Ok(Vec::new()));
        let spec = &pod_of(&plane)["spec"];
        assert_eq!(spec["hostPID"], true, "its process is looked for");
        let arguments = spec["containers"][0]["args"].as_array().unwrap();
        assert!(arguments.contains(&"--host-pid".into()));
        assert!(
            !spec.to_string().contains("/etc/kubernetes"),
            "no key of the cluster is in its reach"
        );
    }
    assert_eq!(pod_of(&plane())["spec"]["hostPID"], Value::Null);
}

#[test]
fn the_api_server_beside_a_lost_etcd_member_is_not_ready() {
    let probe = &group_of(&plane())["spec"]["probes"][0];
    assert_eq!(
        probe["presetOptions"],
        serde_json::json!({ "etcd": "Include", "port": 6443 })
    );
    assert_eq!(
        probe["onFailure"]["type"], "Hold",
        "the loss of all of them takes the address from nobody"
    );
}

#[test]
fn the_virtual_router_follows_from_the_address_unless_it_is_named() {
    let router = |address: &str, named| {
        let plane = ControlPlane {
            addresses: vec![address.to_owned()],
            virtual_router_id: named,
            ..plane()
        };
        group_of(&plane)["spec"]["virtualRouterID"].as_i64().unwrap()
    };
    assert_eq!(router("10.0.0.100/24", None), 100);
    assert_eq!(router("10.0.1.0/16", None), 255);
    assert_eq!(router("fe80::51/64", None), 0x51);
    assert_eq!(router("10.0.0.100/24", Some(7)), 7);
}

#[test]
fn an_address_without_a_prefix_length_needs_an_interface() {
    let bare = ControlPlane {
        addresses: vec!["10.0.0.100".to_owned()],
        ..plane()
    };
    assert_eq!(
        group_of(&bare)["spec"]["addresses"][0]["address"],
        "10.0.0.100/32"
    );
    assert_eq!(check(&bare, &bare.text().unwrap()), Ok(Vec::new()));
    let nowhere = ControlPlane {
        interface: None,
        ..bare
    };
    let [sentence] = &complaints(&nowhere)[..] else {
        panic!()
    };
    assert!(sentence.starts_with("--interface: this is missing"), "{sentence}");
}

#[test]
fn a_rule_names_the_flag_that_breaks_it() {
    type Change = fn(&mut ControlPlane);
    let broken: [(&str, &str, Change); 10] = [
        ("--name", "cannot name a group", |plane| {
            plane.name = "Control_Plane".to_owned();
        }),
        ("--address", "is not an address", |plane| {
            plane.addresses = vec!["10.0.0.300/24".to_owned()];
        }),
        ("--address", "broadcast", |plane| {
            plane.addresses = vec!["10.0.0.255/24".to_owned()];
        }),
        ("--interface", "cannot name an interface", |plane| {
            plane.interface = Some("a b".to_owned());
        }),
        ("--virtual-router-id", "255", |plane| {
            plane.virtual_router_id = Some(256);
        }),
        ("--priority", "255", |plane| plane.priority = Some(300)),
        ("--interval", "multiple of 10ms", |plane| {
            plane.interval = "15ms".to_owned();
        }),
        ("--peers", "add the other members", |plane| {
            plane.members.truncate(1);
        }),
        ("--peers", "keeps", |plane| {
            plane.members[1].addresses = vec!["10.0.0.100".to_owned()];
        }),
        ("--port", "65535", |plane| plane.port = Some(70_000)),
    ];
    for (flag, words, change) in broken {
        let mut plane = plane();
        change(&mut plane);
        let said = complaints(&plane);
        assert!(
            said.iter()
                .any(|said| said.starts_with(&format!("{flag}: ")) && said.contains(words)),
            "{flag}: {said:?}"
        );
        assert!(said.iter().all(|said| !said.starts_with("--output")), "{said:?}");
    }
}

#[test]
fn every_mistake_is_said_once_however_many_nodes_would_find_it() {
    let mut plane = plane();
    plane.priority = Some(300);
    plane.interval = "15ms".to_owned();
    assert_eq!(complaints(&plane).len(), 2, "{:?}", complaints(&plane));
    plane.addresses = vec!["10.0.0.300/24".to_owned()];
    assert_eq!(
        complaints(&plane).len(),
        3,
        "what follows from the address is not a mistake too"
    );
}
