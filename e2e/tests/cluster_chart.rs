//! What the chart renders: each value has its effect, wrong ones are refused, and rights and privileges are those that
//! are promised. How the default looks in full is deploy/holdfast.yaml.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::{collections::BTreeSet, fs, path::Path};

use holdfast_e2e::chart::{self, Objects, render};
use serde_json::{Value, json};

fn rendered(values: &[&str]) -> Objects {
    render(values).unwrap_or_else(|error| panic!("{values:?}: {error}"))
}

#[test]
fn the_chart_passes_helms_linter() {
    let mut lint = chart::helm(&["lint", "--strict", "--kube-version", "1.33.0"]).unwrap();
    chart::said(&lint.arg(chart::folder()).output().unwrap()).unwrap();
}

/// Each value (several with `; ` between them), and what stands where when it is set: equal to (`=`), among (`has`), or no such object (`absent`).
const EFFECTS: &str = r#"
image.registry="r.example/x" => operator container/image = "r.example/x/holdfast-operator:VERSION"
image.registry="r.example/x" => check container/image = "r.example/x/holdfast-operator:VERSION"
image.tag="v9" => agent container/image = "holdfast-agent:v9"
image.pullPolicy="Never" => agent container/imagePullPolicy = "Never"
image.pullPolicy="Never" => operator container/imagePullPolicy = "Never"
image.pullPolicy="Never" => check container/imagePullPolicy = "Never"
image.pullSecrets=[{"name":"s"}] => agent pod/imagePullSecrets = [{"name":"s"}]
image.pullSecrets=[{"name":"s"}] => operator pod/imagePullSecrets = [{"name":"s"}]
image.pullSecrets=[{"name":"s"}] => check pod/imagePullSecrets = [{"name":"s"}]
crds.install=false => CustomResourceDefinition/virtualipgroups.vip.holdfast.dev absent
crds.install=false => CustomResourceDefinition/virtualipnodes.vip.holdfast.dev absent
createNamespace=true => Namespace/holdfast-system metadata/name = "holdfast-system"
log.level="a=debug,b" => agent container/args has "--log-level=a=debug,b"
log.level="a=debug,b" => operator container/args has "--log-level=a=debug,b"
log.format="text" => agent container/args has "--log-format=text"
log.format="text" => operator container/args has "--log-format=text"
operator.replicas=3 => operator spec/replicas = 3
operator.memberPatience="1m30s" => operator container/args has "--member-patience=1m30s"
operator.apiEndpoints=["a.example","::1"] => operator container/args has "--api-endpoint=::1"
operator.image.repository="op" => operator container/image = "op:VERSION"
operator.image.repository="op" => check container/image = "op:VERSION"
operator.image.digest="DIGEST" => operator container/image = "holdfast-operator@DIGEST"
operator.metrics.address="::" => operator container/args has "--metrics-address=[::]:8080"
operator.metrics.port=1234 => operator container/args has "--metrics-address=0.0.0.0:1234"
operator.metrics.port=1234 => operator container/ports/0/containerPort = 1234
operator.podDisruptionBudget=false => PodDisruptionBudget/holdfast-operator absent
operator.resources.requests.cpu="1" => operator container/resources/requests/cpu = "1"
operator.priorityClassName="p" => operator pod/priorityClassName = "p"
operator.priorityClassName="" => operator pod/priorityClassName = null
operator.nodeSelector={"a":"b"} => operator pod/nodeSelector = {"a":"b"}
operator.nodeSelector={"a":"b"} => check pod/nodeSelector = {"a":"b"}
operator.tolerations=[{"key":"k"}] => operator pod/tolerations = [{"key":"k"}]
operator.tolerations=[{"key":"k"}] => check pod/tolerations = [{"key":"k"}]
operator.affinity={"nodeAffinity":{}} => operator pod/affinity = {"nodeAffinity":{}}
operator.podLabels={"a":"b"} => operator spec/template/metadata/labels/a = "b"
operator.podLabels={"app.kubernetes.io/name":"b"} => operator spec/template/metadata/labels/app.kubernetes.io~1name = "holdfast"
operator.podAnnotations={"a":"b"} => operator spec/template/metadata/annotations = {"a":"b"}
operator.extraArgs=["--x","y z"] => operator container/args has "y z"
agent.apiServer="https://127.0.0.1:6443" => agent container/args has "--api-server=https://127.0.0.1:6443"
agent.configFolder="/f" => agent container/args has "--config=/f"
agent.configFolder="/f" => agent container/volumeMounts has {"name":"config","mountPath":"/f","readOnly":true}
agent.configFolder="/f" => agent pod/volumes has {"name":"config","hostPath":{"path":"/f","type":"DirectoryOrCreate"}}
agent.cacheFolder="/f" => agent container/args has "--cache-dir=/f"
agent.cacheFolder="/f" => agent container/volumeMounts has {"name":"cache","mountPath":"/f"}
agent.cacheFolder="/f" => agent pod/volumes has {"name":"cache","hostPath":{"path":"/f","type":"DirectoryOrCreate"}}
agent.runFolder="/f" => agent container/args has "--run-dir=/f"
agent.runFolder="/f" => agent container/volumeMounts has {"name":"run","mountPath":"/f"}
agent.runFolder="/f" => agent pod/volumes has {"name":"run","hostPath":{"path":"/f","type":"DirectoryOrCreate"}}
agent.capabilities.sysNice=true => agent container/securityContext/capabilities/add has "SYS_NICE"
agent.capabilities.ipcLock=true => agent container/securityContext/capabilities/add has "IPC_LOCK"
agent.capabilities.setUser=true => agent container/securityContext/capabilities/add has "SETUID"
agent.capabilities.setUser=true => agent container/securityContext/capabilities/add has "SETGID"
agent.capabilities.setUser=true => agent container/securityContext/capabilities/add has "KILL"
agent.hostPID=true => agent pod/hostPID = true
agent.hostPID=true => agent container/args has "--host-pid"
agent.hostPaths=["/a","/b"] => agent container/args has "--host-path=/b"
agent.hostPaths=["/a","/b"] => agent container/volumeMounts has {"name":"host-1","mountPath":"/b","readOnly":true,"mountPropagation":"HostToContainer"}
agent.hostPaths=["/a","/b"] => agent pod/volumes has {"name":"host-1","hostPath":{"path":"/b"}}
agent.exec.enabled=true; agent.exec.allow=["/a"] => agent container/args has "--exec-allow=/a"
agent.exec.enabled=true; agent.exec.allow=["/a"]; agent.exec.insecure=true => agent container/args has "--exec-insecure"
agent.keepConnections=true => agent container/args has "--keep-connections"
agent.dbusSocket="/s" => agent container/env has {"name":"DBUS_SYSTEM_BUS_ADDRESS","value":"unix:path=/s"}
agent.dbusSocket="/s" => agent container/volumeMounts has {"name":"dbus","mountPath":"/s"}
agent.dbusSocket="/s" => agent pod/volumes has {"name":"dbus","hostPath":{"path":"/s","type":"Socket"}}
agent.seLinuxOptions={"type":"spc_t"} => agent container/securityContext/seLinuxOptions = {"type":"spc_t"}
agent.image.repository="ag" => agent container/image = "ag:VERSION"
agent.image.digest="DIGEST" => agent container/image = "holdfast-agent@DIGEST"
agent.metrics.address="::" => agent container/args has "--metrics-address=[::]:9414"
agent.metrics.address="::" => agent container/livenessProbe/httpGet/host = "::1"
agent.metrics.address="192.0.2.1" => agent container/args has "--metrics-address=192.0.2.1:9414"
agent.metrics.address="192.0.2.1" => agent container/readinessProbe/httpGet/host = "192.0.2.1"
agent.metrics.port=1234 => agent container/args has "--metrics-address=127.0.0.1:1234"
agent.metrics.port=1234 => agent container/ports/0/hostPort = 1234
agent.terminationGracePeriodSeconds=90 => agent pod/terminationGracePeriodSeconds = 90
agent.maxUnavailable="10%" => agent spec/updateStrategy/rollingUpdate/maxUnavailable = "10%"
agent.resources.limits.memory="1Gi" => agent container/resources/limits/memory = "1Gi"
agent.priorityClassName="p" => agent pod/priorityClassName = "p"
agent.priorityClassName="" => agent pod/priorityClassName = null
agent.nodeSelector={"a":"b"} => agent pod/nodeSelector = {"a":"b"}
agent.tolerations=[] => agent pod/tolerations = null
agent.affinity={"nodeAffinity":{}} => agent pod/affinity = {"nodeAffinity":{}}
agent.podLabels={"a":"b"} => agent spec/template/metadata/labels/a = "b"
agent.podAnnotations={"a":"b"} => agent spec/template/metadata/annotations = {"a":"b"}
agent.extraArgs=["--x","y z"] => agent container/args has "y z"
podMonitor.enabled=true => PodMonitor/holdfast spec/podMetricsEndpoints/0/interval = "30s"
podMonitor.enabled=true => agent container/args has "--metrics-address=0.0.0.0:9414"
podMonitor.enabled=true => agent container/livenessProbe/httpGet/host = "127.0.0.1"
podMonitor.enabled=true; podMonitor.interval="5s" => PodMonitor/holdfast spec/podMetricsEndpoints/0/interval = "5s"
podMonitor.enabled=true; podMonitor.labels={"a":"b"} => PodMonitor/holdfast metadata/labels/a = "b"
global={"a":"b"} => agent pod/hostNetwork = true
"#;

/// One line of [`EFFECTS`].
struct Effect {
    line: &'static str,
    /// With what is written in the place of VERSION and DIGEST.
    values: String,
    object: (&'static str, &'static str),
    /// A JSON pointer, what stands there, and whether it is a list that `expected` is one of.
    found: Option<(String, bool, Value)>,
}

fn effects() -> Vec<Effect> {
    let lines = EFFECTS.lines().filter(|line| !line.is_empty());
    lines.map(effect).collect()
}

fn effect(line: &'static str) -> Effect {
    let fill = |text: &str| {
        text.replace("VERSION", env!("CARGO_PKG_VERSION"))
            .replace("DIGEST", &format!("sha256:{}", "0123456789abcdef".repeat(4)))
    };
    let (values, effect) = line.split_once(" => ").unwrap();
    let mut words = effect.splitn(4, ' ');
    let object = match words.next().unwrap() {
        "agent" => ("DaemonSet", "holdfast-agent"),
        "operator" => ("Deployment", "holdfast-operator"),
        "check" => ("Job", "holdfast-uninstall-check"),
        other => other.split_once('/').unwrap(),
    };
    let path = words.next().unwrap();
    let found = (path != "absent").then(|| {
        let pointer = match path.split_once('/') {
            Some(("container", rest)) => format!("/spec/template/spec/containers/0/{rest}"),
            Some(("pod", rest)) => format!("/spec/template/spec/{rest}"),
            _ => format!("/{path}"),
        };
        let is_list = words.next().unwrap() == "has";
        let expected = serde_json::from_str(&fill(words.next().unwrap())).unwrap();
        (pointer, is_list, expected)
    });
    Effect {
        line,
        values: fill(values),
        object,
        found,
    }
}

fn what_is_wrong(effect: &Effect) -> Option<String> {
    let values: Vec<&str> = effect.values.split("; ").collect();
    let objects = rendered(&values);
    let object = objects.get(effect.object.0, effect.object.1);
    let Some((pointer, is_list, expected)) = &effect.found else {
        return (!object.is_null()).then(|| format!("{}: it is there", effect.line));
    };
    let found = object.pointer(pointer).unwrap_or(&Value::Null);
    let fits = if *is_list {
        found.as_array().is_some_and(|list| list.contains(expected))
    } else {
        found == expected
    };
    (!fits).then(|| format!("{}: {found}", effect.line))
}

#[test]
fn each_value_has_its_effect() {
    let wrong: Vec<String> = effects().iter().filter_map(what_is_wrong).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_effect_is_there_without_its_value() {
    let default = rendered(&[]);
    // Said of what the value must not change, or of what is the default's too.
    let same = [
        "app.kubernetes.io~1name",
        "global=",
        "httpGet/host = \"127.0.0.1\"",
    ];
    for effect in effects() {
        if same.iter().any(|part| effect.line.contains(part)) {
            continue;
        }
        let object = default.get(effect.object.0, effect.object.1);
        match &effect.found {
            None => assert!(!object.is_null(), "{}", effect.line),
            Some((pointer, true, expected)) => {
                let found = object.pointer(pointer).and_then(Value::as_array);
                assert!(
                    !found.is_some_and(|list| list.contains(expected)),
                    "{}",
                    effect.line
                );
            }
            Some((pointer, false, expected)) => {
                assert_ne!(
                    object.pointer(pointer).unwrap_or(&Value::Null),
                    expected,
                    "{}",
                    effect.line
                );
            }
        }
    }
}

/// The paths of all values that have a default.
fn values_of(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}{name}");
        if property.get("default").is_some() {
            found.insert(path);
        } else {
            values_of(property, &format!("{path}."), found);
        }
    }
}

#[test]
fn every_value_of_the_schema_is_tested() {
    let schema = fs::read_to_string(chart::folder().join("values.schema.json")).unwrap();
    let mut untested = BTreeSet::new();
    values_of(&serde_json::from_str(&schema).unwrap(), "", &mut untested);
    assert!(untested.len() > 40, "{untested:?}");
    let set: Vec<String> = effects().into_iter().map(|effect| effect.values).collect();
    untested.retain(|value| !set.iter().any(|set| set.contains(value.as_str())));
    assert_eq!(untested, BTreeSet::new());
}

#[test]
fn wrong_values_are_refused_with_their_place_and_what_is_wanted() {
    for (value, sentences) in [
        ("operatr={}", ["additional properties 'operatr' not allowed", ""]),
        (
            "agent.apiserver=\"x\"",
            ["'/agent'", "additional properties 'apiserver' not allowed"],
        ),
        (
            "operator.replicas=\"two\"",
            ["'/operator/replicas'", "got string, want integer"],
        ),
        (
            "operator.replicas=-1",
            ["'/operator/replicas'", "minimum: got -1, want 0"],
        ),
        (
            "operator.memberPatience=\"5 minutes\"",
            ["'/operator/memberPatience'", "does not match pattern"],
        ),
        (
            "image.pullPolicy=\"Sometimes\"",
            ["'/image/pullPolicy'", "'Always', 'IfNotPresent', 'Never'"],
        ),
        (
            "agent.image.digest=\"sha256:abc\"",
            ["'/agent/image/digest'", "does not match pattern"],
        ),
        (
            "agent.apiServer=\"127.0.0.1:6443\"",
            ["'/agent/apiServer'", "does not match pattern"],
        ),
        (
            "agent.cacheFolder=\"\"",
            ["'/agent/cacheFolder'", "does not match pattern"],
        ),
        (
            "agent.maxUnavailable=0",
            ["'/agent/maxUnavailable'", "minimum: got 0, want 1"],
        ),
        (
            "agent.metrics.port=70000",
            ["'/agent/metrics/port'", "maximum: got 70,000, want 65,535"],
        ),
        (
            "agent.capabilities.sysAdmin=true",
            ["'/agent/capabilities'", "'sysAdmin' not allowed"],
        ),
        (
            "agent.exec.enabled=true",
            ["agent.exec.enabled without agent.exec.allow", "name the programs"],
        ),
        (
            "agent.resources.limits.cpu=\"1\"",
            ["agent.resources.limits.cpu must not be set", "addresses move"],
        ),
        (
            "podMonitor.labels={\"a\": 1}",
            ["'/podMonitor/labels/a'", "got number, want string"],
        ),
    ] {
        let error = match render(&[value]) {
            Ok(_) => panic!("{value} is accepted"),
            Err(error) => error.to_string(),
        };
        for sentence in sentences {
            assert!(
                error.contains(sentence),
                "{value}: {sentence:?} is not in: {error}"
            );
        }
    }
}

#[test]
fn the_definitions_are_those_of_the_repository_and_outlive_the_release() {
    let objects = rendered(&[]);
    let mut definitions = 0;
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let Objects(written) = Objects::read(&text).unwrap();
        for definition in written {
            let name = definition["metadata"]["name"].as_str().unwrap();
            let installed = objects.get("CustomResourceDefinition", name);
            assert!(
                installed["spec"] == definition["spec"],
                "{name} is not that of crds/"
            );
            assert_eq!(
                installed["metadata"]["annotations"]["helm.sh/resource-policy"],
                "keep"
            );
            definitions += 1;
        }
    }
    assert_eq!(definitions, objects.of_kind("CustomResourceDefinition").count());
}

#[test]
fn no_container_may_more_than_it_needs() {
    let objects = rendered(&[]);
    let pods = objects.pods();
    assert_eq!(pods.len(), 3);
    for (name, template) in pods {
        let (pod, container) = (&template["spec"], &template["spec"]["containers"][0]);
        assert_eq!(pod["containers"].as_array().map(Vec::len), Some(1), "{name}");
        assert_eq!(pod["initContainers"], Value::Null, "{name}");
        assert_eq!(
            pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault",
            "{name}"
        );
        for forbidden in ["hostPID", "hostIPC", "shareProcessNamespace"] {
            assert_eq!(pod[forbidden], Value::Null, "{name}");
        }
        let context = &container["securityContext"];
        assert!(
            context["privileged"] == Value::Null || context["privileged"] == false,
            "{name}"
        );
        assert_eq!(context["allowPrivilegeEscalation"], false, "{name}");
        assert_eq!(context["readOnlyRootFilesystem"], true, "{name}");
        assert_eq!(context["capabilities"]["drop"], json!(["ALL"]), "{name}");
        if name == "holdfast-agent" {
            assert_eq!(context["capabilities"]["add"], json!(["NET_ADMIN", "NET_RAW"]));
            assert_eq!(container["resources"]["limits"]["cpu"], Value::Null);
        } else {
            assert_eq!(context["capabilities"]["add"], Value::Null, "{name}");
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
            assert_eq!(pod["hostNetwork"], Value::Null, "{name}");
            assert_eq!(pod["volumes"], Value::Null, "{name}");
        }
    }
}

#[test]
fn an_agent_is_kept_alive_before_others_and_replaced_one_node_at_a_time() {
    let objects = rendered(&[]);
    let agent = objects.get("DaemonSet", "holdfast-agent");
    let pod = &agent["spec"]["template"]["spec"];
    assert_eq!(pod["priorityClassName"], "system-node-critical");
    assert_eq!(pod["tolerations"], json!([{"operator": "Exists"}]));
    assert_eq!(pod["hostNetwork"], true);
    assert_eq!(pod["dnsPolicy"], "Default");
    assert_eq!(
        agent["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"],
        1
    );
    let container = &pod["containers"][0];
    for (probe, path) in [("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")] {
        assert_eq!(
            container[probe]["httpGet"],
            json!({"host": "127.0.0.1", "path": path, "port": "metrics"})
        );
    }
    assert_eq!(container["ports"][0]["containerPort"], 9414);
}

#[test]
fn operators_stand_apart_and_drains_take_one_at_a_time() {
    let objects = rendered(&[]);
    let operator = objects.get("Deployment", "holdfast-operator");
    assert_eq!(operator["spec"]["replicas"], 2);
    let affinity = &operator["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"];
    let term = &affinity["preferredDuringSchedulingIgnoredDuringExecution"][0]["podAffinityTerm"];
    assert_eq!(term["topologyKey"], "kubernetes.io/hostname");
    assert_eq!(term["labelSelector"], operator["spec"]["selector"]);
    let budget = objects.get("PodDisruptionBudget", "holdfast-operator");
    assert_eq!(budget["spec"]["maxUnavailable"], 1);
    assert_eq!(budget["spec"]["selector"], operator["spec"]["selector"]);
}

#[test]
fn selectors_select_their_own_pods_and_no_others() {
    let objects = rendered(&[]);
    for kind in ["DaemonSet", "Deployment"] {
        for workload in objects.of_kind(kind) {
            let selector = workload["spec"]["selector"]["matchLabels"].as_object().unwrap();
            for (name, template) in objects.pods() {
                let labels = template["metadata"]["labels"].as_object().unwrap();
                let selected = selector.iter().all(|(key, value)| labels.get(key) == Some(value));
                assert_eq!(
                    selected,
                    workload["metadata"]["name"] == name,
                    "{kind} and {name}"
                );
            }
        }
    }
}

#[test]
fn every_object_bears_the_usual_labels() {
    for object in rendered(&["createNamespace=true", "podMonitor.enabled=true"]).0 {
        let labels = &object["metadata"]["labels"];
        for (label, value) in [
            ("app.kubernetes.io/name", "holdfast"),
            ("app.kubernetes.io/instance", chart::RELEASE),
            ("app.kubernetes.io/version", env!("CARGO_PKG_VERSION")),
            ("app.kubernetes.io/managed-by", "Helm"),
        ] {
            assert_eq!(
                labels[label], value,
                "{} {}",
                object["kind"], object["metadata"]["name"]
            );
        }
    }
}

/// Every right the chart gives, and to whom. A line more or less is a decision (docs/adr/0014-access.md).
const RIGHTS: &[&str] = &[
    "holdfast-agent everywhere: get list watch vip.holdfast.dev/virtualipnodes",
    "holdfast-agent everywhere: patch vip.holdfast.dev/virtualipnodes/status",
    "holdfast-agent in holdfast-system: get create update patch coordination.k8s.io/leases",
    "holdfast-agent in holdfast-system: get list watch /secrets",
    "holdfast-operator everywhere: get /namespaces kube-system",
    "holdfast-operator everywhere: get apiextensions.k8s.io/customresourcedefinitions virtualipgroups.vip.holdfast.dev",
    "holdfast-operator everywhere: get list watch /nodes",
    "holdfast-operator everywhere: get list watch create update patch vip.holdfast.dev/virtualipnodes",
    "holdfast-operator everywhere: get list watch patch vip.holdfast.dev/virtualipgroups",
    "holdfast-operator everywhere: patch vip.holdfast.dev/virtualipgroups/status",
    "holdfast-operator in default: create patch events.k8s.io/events",
    "holdfast-operator in holdfast-system: get list watch create update patch coordination.k8s.io/leases",
    "holdfast-operator in kube-public: get /configmaps cluster-info",
    "holdfast-uninstall-check everywhere: list vip.holdfast.dev/virtualipgroups",
];

fn words(list: &Value) -> String {
    let words: Vec<&str> = list
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    words.join(" ")
}

#[test]
fn rights_are_these_and_no_others() {
    let objects = rendered(&[]);
    let mut rights = BTreeSet::new();
    for (binding_kind, kind) in [("ClusterRoleBinding", "ClusterRole"), ("RoleBinding", "Role")] {
        for binding in objects.of_kind(binding_kind) {
            assert_eq!(binding["roleRef"]["kind"], kind);
            assert_eq!(binding["subjects"].as_array().map(Vec::len), Some(1));
            let subject = &binding["subjects"][0];
            assert_eq!(
                (&subject["kind"], &subject["namespace"]),
                (&json!("ServiceAccount"), &json!("holdfast-system"))
            );
            let role = objects.get(kind, binding["roleRef"]["name"].as_str().unwrap());
            assert_eq!(role["metadata"]["namespace"], binding["metadata"]["namespace"]);
            let place = binding["metadata"]["namespace"]
                .as_str()
                .map_or("everywhere".to_owned(), |name| format!("in {name}"));
            for rule in role["rules"].as_array().unwrap() {
                let right = format!(
                    "{} {place}: {} {}/{} {}",
                    subject["name"].as_str().unwrap(),
                    words(&rule["verbs"]),
                    words(&rule["apiGroups"]),
                    words(&rule["resources"]),
                    words(&rule["resourceNames"]),
                );
                rights.insert(right.trim_end().to_owned());
            }
        }
    }
    assert_eq!(rights.iter().map(String::as_str).collect::<Vec<_>>(), RIGHTS);
    assert_eq!(
        objects.of_kind("Role").count() + objects.of_kind("ClusterRole").count(),
        objects.of_kind("RoleBinding").count() + objects.of_kind("ClusterRoleBinding").count(),
    );
}
