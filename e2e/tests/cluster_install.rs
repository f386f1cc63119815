//! Installing, upgrading and uninstalling, with Helm and without, against a real API server. It has no controllers: the
//! test runs the hook's program itself, with the rights of the hook's account, and reports how it ended.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

use std::{fs, path::Path, process::Output, thread, time::Duration};

use holdfast_e2e::{
    Result,
    chart::{self, Objects, RELEASE},
};
use holdfast_lab::{
    Lab, agent,
    harness::{Case, Outcome, main as run},
    kubernetes::{ControlPlane, NAMESPACE, operator_binary},
    wait_until,
};
use serde_json::{Value, json};

fn main() -> std::process::ExitCode {
    run(&[
        Case::new(
            "a_release_is_installed_upgraded_and_uninstalled_only_without_groups",
            release,
        )
        .timeout(Duration::from_mins(3)),
        Case::new(
            "the_single_manifest_installs_everything_but_the_hook",
            single_manifest,
        )
        .timeout(Duration::from_mins(2)),
        Case::new("the_api_server_accepts_every_value", dry_run).timeout(Duration::from_mins(2)),
        Case::new("the_programs_understand_what_the_chart_tells_them", command_lines),
    ])
}

const HOOK: &str = "holdfast-uninstall-check";

const GROUP: &str = "\
apiVersion: vip.holdfast.dev/v1alpha1
kind: VirtualIPGroup
metadata: {name: web}
spec:
  addresses: [{address: 192.0.2.100/24}]
";

/// Values beside the default ones that the API server gets to see.
const EVERYTHING: &[&str] = &[
    r#"image={"registry": "r.example:5000/x", "tag": "v9", "pullPolicy": "Always", "pullSecrets": [{"name": "s"}]}"#,
    r#"log={"level": "debug", "format": "text"}"#,
    r#"operator.apiEndpoints=["api.example"]"#,
    r#"operator.metrics.address="::""#,
    r#"operator.podLabels={"a": "b"}"#,
    r#"operator.podAnnotations={"a": "b"}"#,
    r#"operator.nodeSelector={"a": "b"}"#,
    r#"agent.apiServer="https://127.0.0.1:6443""#,
    r#"agent.configFolder="/etc/holdfast""#,
    r#"agent.capabilities={"sysNice": true, "ipcLock": true}"#,
    r#"agent.seLinuxOptions={"type": "spc_t"}"#,
    r#"agent.metrics.address="192.0.2.1""#,
    r#"agent.maxUnavailable="10%""#,
    r#"agent.podLabels={"a": "b"}"#,
    r#"agent.podAnnotations={"a": "b"}"#,
    r#"agent.affinity={"nodeAffinity": {}}"#,
];

fn helm(plane: &ControlPlane, args: &[&str]) -> Result<String> {
    chart::said(&chart::helm_in(plane, args)?).map_err(|error| format!("helm {args:?}: {error}").into())
}

fn release() -> Outcome {
    let lab = Lab::new()?;
    let plane = ControlPlane::start(&lab)?;
    let folder = chart::folder().display().to_string();
    let install = ["install", RELEASE, &folder, "--create-namespace"];

    let notes = helm(&plane, &install)?;
    assert!(notes.contains("kubectl apply -f -"), "{notes}");
    assert_eq!(replicas(&plane)?, 2);
    wait_for_definitions(&plane)?;
    plane.apply(GROUP)?;

    helm(
        &plane,
        &["upgrade", RELEASE, &folder, "--set", "operator.replicas=3"],
    )?;
    assert_eq!(replicas(&plane)?, 3);
    plane.kubectl(&["get", "vipg", "web"])?;

    let refused = uninstall(&plane)?;
    let said = chart::said(&refused.helm).unwrap_err().to_string();
    assert!(said.contains("job holdfast-uninstall-check failed"), "{said}");
    assert!(!refused.check.status.success());
    let named = [&refused.check.stdout[..], &refused.check.stderr].concat();
    let named = String::from_utf8_lossy(&named).into_owned();
    assert!(
        named.contains("web"),
        "the check does not name the group: {named}"
    );
    assert_eq!(replicas(&plane)?, 3, "the operator went although a group exists");
    plane.kubectl(&["get", "vipg", "web"])?;
    plane.kubectl(&["get", "job", HOOK, "-n", NAMESPACE])?;
    assert!(
        plane.kubectl(&["get", "clusterrole", HOOK]).is_err(),
        "the check's rights outlive it"
    );

    plane.kubectl(&["delete", "vipg", "web"])?;
    let passed = uninstall(&plane)?;
    assert!(passed.check.status.success(), "{:?}", passed.check);
    let said = chart::said(&passed.helm)?;
    assert!(said.contains("uninstalled"), "{said}");
    let left = plane.kubectl(&["get", "all,sa,role,rolebinding", "-A", "-l", LABEL, "-o", "name"])?;
    assert_eq!(left, "");
    let everywhere =
        "clusterrole,clusterrolebinding,validatingadmissionpolicy,validatingadmissionpolicybinding";
    let left = plane.kubectl(&["get", everywhere, "-l", LABEL, "-o", "name"])?;
    assert_eq!(left, "");

    // The definitions stay, and a new release takes them over.
    let kept = plane.kubectl(&["get", "crd", "-l", LABEL, "-o", "name"])?;
    assert_eq!(kept.lines().count(), 2, "{kept}");
    helm(&plane, &install)?;
    assert_eq!(replicas(&plane)?, 2);
    Ok(())
}

const LABEL: &str = "app.kubernetes.io/name=holdfast";

fn replicas(plane: &ControlPlane) -> Result<i64> {
    let operator = plane.get(&["deployment", "holdfast-operator", "-n", NAMESPACE])?;
    Ok(operator["spec"]["replicas"].as_i64().ok_or("no replicas")?)
}

fn wait_for_definitions(plane: &ControlPlane) -> Result<()> {
    plane.kubectl(&[
        "wait",
        "crd",
        "-l",
        LABEL,
        "--for=condition=Established",
        "--timeout=30s",
    ])?;
    Ok(())
}

/// How an attempt to uninstall ended, and how the hook's program did.
struct Uninstall {
    helm: Output,
    check: Output,
}

/// Runs `helm uninstall`, and meanwhile what the controllers and the kubelet would do with the hook's Job.
fn uninstall(plane: &ControlPlane) -> Result<Uninstall> {
    // The Job of an attempt before this one is deleted by Helm, and must not be taken for the new one.
    let before = uid_of_job(plane);
    thread::scope(|scope| {
        let helm = scope.spawn(|| {
            chart::helm_in(plane, &["uninstall", RELEASE, "--timeout", "60s"])
                .map_err(|error| error.to_string())
        });
        wait_until("Helm makes the hook's Job", Duration::from_secs(30), || {
            thread::sleep(Duration::from_millis(100));
            let now = uid_of_job(plane);
            Ok(now.is_some() && now != before)
        })?;
        let check = run_job(plane)?;
        let helm = helm.join().map_err(|_| "the thread of helm panicked")??;
        Ok(Uninstall { helm, check })
    })
}

fn uid_of_job(plane: &ControlPlane) -> Option<String> {
    let job = plane.get(&["job", HOOK, "-n", NAMESPACE]).ok()?;
    job["metadata"]["uid"].as_str().map(str::to_owned)
}

/// Runs the program of the hook's Job with the Job's arguments and account, and reports how it ended.
fn run_job(plane: &ControlPlane) -> Result<Output> {
    let job = plane.get(&["job", HOOK, "-n", NAMESPACE])?;
    let pod = &job["spec"]["template"]["spec"];
    let account = pod["serviceAccountName"]
        .as_str()
        .ok_or("the Job names no account")?;
    let token = plane.token(NAMESPACE, account)?;
    let kubeconfig = plane.kubeconfig_for_token("hook", &token, None)?;
    let kubeconfig = format!("--kubeconfig={}", kubeconfig.display());
    let mut arguments = arguments(&pod["containers"][0]);
    arguments.push(kubeconfig);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = plane
        .node()
        .exec(&operator_binary()?.display().to_string(), &arguments)?;
    let status = json!({"status": job_status(output.status.success())}).to_string();
    plane.kubectl(&[
        "patch",
        "job",
        HOOK,
        "-n",
        NAMESPACE,
        "--subresource=status",
        "--type=merge",
        "-p",
        &status,
    ])?;
    Ok(output)
}

fn job_status(succeeded: bool) -> Value {
    let now = format!("{:.0}", jiff::Timestamp::now());
    let condition = |kind: &str, reason: &str| json!({"type": kind, "status": "True", "reason": reason, "lastTransitionTime": now});
    if succeeded {
        json!({
            "startTime": now,
            "completionTime": now,
            "succeeded": 1,
            "conditions": [
                condition("SuccessCriteriaMet", "CompletionsReached"),
                condition("Complete", "CompletionsReached"),
            ],
        })
    } else {
        json!({
            "startTime": now,
            "failed": 1,
            "conditions": [
                condition("FailureTarget", "BackoffLimitExceeded"),
                condition("Failed", "BackoffLimitExceeded"),
            ],
        })
    }
}

fn single_manifest() -> Outcome {
    let lab = Lab::new()?;
    let plane = ControlPlane::start(&lab)?;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/holdfast.yaml");
    let file = path.display().to_string();
    plane.kubectl(&["apply", "--server-side", "-f", &file])?;
    wait_for_definitions(&plane)?;
    plane.apply(GROUP)?;

    let Objects(objects) = Objects::read(&fs::read_to_string(&path)?)?;
    assert!(objects.len() > 20, "only {} objects", objects.len());
    for object in &objects {
        assert_ne!(
            object["metadata"]["labels"]["app.kubernetes.io/managed-by"],
            "Helm"
        );
        assert_ne!(object["kind"], "Job");
    }
    // Whoever changes to Helm later is told how: the objects are not Helm's.
    let folder = chart::folder().display().to_string();
    let adopted = helm(&plane, &["install", RELEASE, &folder, "--take-ownership"]);
    assert!(adopted.is_ok(), "{adopted:?}");
    Ok(())
}

fn dry_run() -> Outcome {
    let lab = Lab::new()?;
    let plane = ControlPlane::start(&lab)?;
    // The API server says what of a pod does not fit the strictest level.
    plane.apply(&format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {NAMESPACE}, labels: {{pod-security.kubernetes.io/warn: \
         restricted}}}}\n"
    ))?;
    for values in [&[][..], EVERYTHING] {
        let text = chart::template(values, &[])?;
        let file = plane.node().folder().join("rendered.yaml");
        fs::write(&file, text)?;
        let file = file.display().to_string();
        let output = plane.kubectl_as(
            plane.admin_kubeconfig(),
            &["apply", "--dry-run=server", "-f", &file],
        )?;
        let said = chart::said(&output)?;
        assert!(
            said.contains("job.batch/holdfast-uninstall-check created"),
            "{said}"
        );
        let warnings = String::from_utf8_lossy(&output.stderr).into_owned();
        let warnings: Vec<&str> = warnings.lines().collect();
        assert_eq!(warnings.len(), 1, "{warnings:#?}");
        assert!(warnings[0].contains("container \"agent\""), "{warnings:#?}");
    }
    Ok(())
}

fn command_lines() -> Outcome {
    let Objects(objects) = chart::render(EVERYTHING)?;
    let objects = Objects([objects, chart::render(&[])?.0].concat());
    let mut tried = 0;
    for (name, template) in objects.pods() {
        let program = if name == "holdfast-agent" {
            agent::agent_binary()?
        } else {
            operator_binary()?
        };
        // After the arguments, so that each of them is read first.
        let arguments = [
            arguments(&template["spec"]["containers"][0]),
            vec!["--help".to_owned()],
        ]
        .concat();
        let output = std::process::Command::new(program).args(&arguments).output()?;
        chart::said(&output).map_err(|error| format!("{name} {arguments:?}: {error}"))?;
        tried += 1;
    }
    assert_eq!(tried, 6);
    Ok(())
}

/// A container's arguments with the variables filled in, as the kubelet does it.
fn arguments(container: &Value) -> Vec<String> {
    let written = container["args"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    written
        .map(|argument| {
            argument
                .replace("$(NODE_NAME)", "worker-1")
                .replace("$(POD_NAMESPACE)", NAMESPACE)
        })
        .collect()
}
