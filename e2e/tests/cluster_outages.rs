//! The API server, etcd and what they know go away and come back: no address does.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

use std::{
    net::{IpAddr, SocketAddr, TcpListener},
    thread,
    time::{Duration, Instant},
};

use holdfast_api::v1alpha1::VirtualIPGroup;
use holdfast_e2e::{
    cluster::{Cluster, Console, LABEL, SETTLED, VIP, conditions, group_preferring, serve, serving, web},
    formula::{MARGIN_BESIDE, Timing},
    look,
    pair::{PATIENCE, plug_again, settle_on, stays_on, unnoticed},
};
use holdfast_lab::{
    AgentOptions, Meter,
    harness::{Case, Outcome, main as run},
    kubernetes::{ControlPlaneOptions, OperatorOptions, assets::KUBECTL},
    wait_until,
};
use jiff::Timestamp;
use serde_json::json;

fn main() -> std::process::ExitCode {
    let long = Duration::from_mins(3);
    run(&[
        Case::new(
            "a_failover_needs_no_api_server_and_the_status_is_right_after_it",
            failover,
        )
        .timeout(long),
        Case::new(
            "agents_restarted_without_an_api_server_serve_from_their_cache",
            cached,
        )
        .timeout(long),
        Case::new(
            "deleted_definitions_and_nodes_take_no_address_away",
            definitions_and_nodes,
        )
        .timeout(long),
        Case::new("an_older_snapshot_of_etcd_takes_no_address_away", older_snapshot).timeout(long),
        Case::new(
            "an_agent_that_missed_an_edit_catches_up_after_an_expired_watch",
            expired_watch,
        )
        .timeout(long),
        Case::new("an_api_server_that_throttles_delays_reports_only", throttled).timeout(long),
        Case::new(
            "an_api_server_on_a_new_port_is_followed_without_moving_an_address",
            new_port,
        )
        .timeout(long),
    ])
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Fails if a takeover took longer than the protocol promises.
fn as_fast_as_ever(meter: &Meter, start: Instant) {
    let report = meter.report_since(VIP, start);
    let promised = Timing::v3(100).outage(100, MARGIN_BESIDE, report.noise());
    println!("nobody answered for {:?}", report.longest_silence);
    assert!(
        report.longest_silence <= *promised.end(),
        "{promised:?}, but {report:#?}"
    );
}

fn failover() -> Outcome {
    let (mut cluster, meter) = serving()?;
    let statuses = cluster.console.record::<VirtualIPGroup>()?;
    let recorded = Instant::now();

    // Without an API server, an agent is killed.
    cluster.plane.kill_api_server()?;
    let start = Instant::now();
    cluster.agents.get_mut("a").unwrap().process.kill()?;
    meter.wait_for_answer(VIP, "b", PATIENCE)?;
    as_fast_as_ever(&meter, start);
    cluster.plane.start_api_server()?;
    let back = Instant::now();
    let after = cluster
        .console
        .wait_for_group("web", "the status follows", SETTLED, |group| {
            conditions::active_node(group) == Some("b")
        })?;
    println!(
        "the status was right {:?} after the API server's return",
        back.elapsed()
    );
    let transition = after.status.unwrap().last_transition.unwrap();
    assert_eq!(transition.to.as_deref(), Some("b"), "{transition:?}");
    cluster.start_agent("a")?;
    cluster.console.wait_until_ready("web", "a", SETTLED)?;
    settle_on(&meter, &[VIP], "a")?;

    // While etcd hangs, a cable is pulled.
    let frozen = Timestamp::now();
    cluster.plane.freeze_etcd()?;
    let start = Instant::now();
    cluster.node("a")?.unplug()?;
    meter.wait_for_answer(VIP, "b", PATIENCE)?;
    as_fast_as_ever(&meter, start);
    thread::sleep(Duration::from_secs(5));
    plug_again(cluster.node("a")?)?;
    settle_on(&meter, &[VIP], "a")?;
    cluster.plane.thaw_etcd()?;
    let back = Instant::now();
    // That a is active was true before and is true now: what is new is that b was active meanwhile.
    let what = "the status tells of b's turn";
    cluster.console.wait_for_group("web", what, SETTLED, |group| {
        conditions::is_true(group, "Ready")
            && conditions::active_node(group) == Some("a")
            && conditions::since(group, "b").is_some_and(|since| since > frozen)
    })?;
    println!("the status was right {:?} after etcd's thaw", back.elapsed());

    conditions::never_split(&statuses.since(recorded));
    Ok(())
}

fn cached() -> Outcome {
    let (mut cluster, meter) = serving()?;
    let kubeconfigs = [
        ("a", cluster.plane.agent_kubeconfig("a")?),
        ("b", cluster.plane.agent_kubeconfig("b")?),
    ];
    cluster.plane.kill_api_server()?;

    // The active agent is killed and comes back within the lifetime of its addresses, and nobody notices.
    let start = Instant::now();
    cluster.agents.get_mut("b").unwrap().process.kill()?;
    cluster.start_agent_with("b", &kubeconfigs[1].1, None, &AgentOptions::default())?;
    look::wait_for_state(cluster.agent("b")?, "web", "Backup", PATIENCE)?;
    unnoticed(&meter, VIP, start);

    // All nodes start at once, as after a power cut, and there is no API server.
    for agent in cluster.agents.values_mut() {
        agent.process.kill()?;
    }
    meter.wait_for_holders(VIP, &[], PATIENCE)?;
    let start = Instant::now();
    for (node, kubeconfig) in &kubeconfigs {
        cluster.start_agent_with(node, kubeconfig, None, &AgentOptions::default())?;
    }
    meter.wait_for_answer(VIP, "a", PATIENCE)?;
    println!("served from the cache after {:?}", start.elapsed());
    settle_on(&meter, &[VIP], "a")?;

    let start = Instant::now();
    cluster.plane.start_api_server()?;
    cluster.console.wait_until_ready("web", "a", SETTLED)?;
    unnoticed(&meter, VIP, start);
    Ok(())
}

fn definitions_and_nodes() -> Outcome {
    let (cluster, meter) = serving()?;
    let start = Instant::now();
    cluster.plane.kubectl(&["delete", "node", "a", "b"])?;
    thread::sleep(Duration::from_secs(2));
    unnoticed(&meter, VIP, start);
    let without_nodes = cluster.console.group("web")?;
    assert_eq!(
        conditions::active_node(&without_nodes),
        Some("a"),
        "{}",
        conditions::describe(&without_nodes)
    );

    // Deleting a definition deletes its objects, which is more than their owner asked for.
    cluster.plane.kubectl(&[
        "delete",
        "crd",
        "virtualipgroups.vip.holdfast.dev",
        "virtualipnodes.vip.holdfast.dev",
        "--wait=false",
    ])?;
    stays_on(&meter, VIP, "a", Duration::from_secs(5))?;
    unnoticed(&meter, VIP, start);
    // A group that hangs in its deletion is freed by hand, as people do.
    let patch = r#"{"metadata": {"finalizers": null}}"#;
    cluster
        .plane
        .kubectl(&["patch", "vipg", "web", "--type=merge", "-p", patch])
        .ok();
    wait_until("the definitions are gone", SETTLED, || {
        Ok(cluster.plane.get(&["crd"])?["items"] == json!([]))
    })?;
    stays_on(&meter, VIP, "a", Duration::from_secs(3))?;
    unnoticed(&meter, VIP, start);

    // Everything is written anew, and taken up as it runs.
    cluster.plane.install_crds()?;
    let labels = [LABEL];
    cluster
        .plane
        .add_nodes(&[(cluster.node("a")?, &labels), (cluster.node("b")?, &labels)])?;
    let mut again = web();
    again["spec"]["virtualRouterID"] = json!(without_nodes.spec.virtual_router_id);
    cluster.apply(&again)?;
    cluster.console.wait_until_ready("web", "a", 2 * SETTLED)?;
    unnoticed(&meter, VIP, start);
    Ok(())
}

fn older_snapshot() -> Outcome {
    let mut cluster = Cluster::start(&["a", "b"])?;
    cluster.apply(&web())?;
    cluster.console.wait_until_ready("web", "a", SETTLED)?;
    cluster.plane.snapshot("before")?;
    let more = group_preferring("more", &["10.77.0.101/24"], "b");
    cluster.apply(&more)?;
    cluster.console.wait_until_ready("more", "b", SETTLED)?;
    // Only now: to ask for an address that nobody has clogs the client's socket.
    let meter = cluster.meter(&[VIP, ip("10.77.0.101")])?;
    settle_on(&meter, &[VIP], "a")?;
    settle_on(&meter, &[ip("10.77.0.101")], "b")?;

    let start = Instant::now();
    cluster.plane.restore("before")?;
    assert!(cluster.console.group("more").is_err(), "the snapshot is older");
    stays_on(&meter, ip("10.77.0.101"), "b", Duration::from_secs(5))?;
    cluster.console.wait_until_ready("web", "a", 2 * SETTLED)?;
    unnoticed(&meter, VIP, start);
    unnoticed(&meter, ip("10.77.0.101"), start);

    // What runs and nobody knows of is taken up when it is applied again, and can be deleted then.
    cluster.apply(&more)?;
    cluster.console.wait_until_ready("more", "b", 2 * SETTLED)?;
    unnoticed(&meter, ip("10.77.0.101"), start);
    cluster
        .plane
        .kubectl(&["delete", "vipg", "more", "--timeout=30s"])?;
    meter.wait_for_holders(ip("10.77.0.101"), &[], PATIENCE)?;
    unnoticed(&meter, VIP, start);
    Ok(())
}

fn expired_watch() -> Outcome {
    let mut cluster = Cluster::without_programs(&["a", "b"], &ControlPlaneOptions::default())?;
    cluster.start_operator(&OperatorOptions::default())?;
    cluster.start_agent("a")?;
    let kubeconfig = cluster.plane.agent_kubeconfig("b")?;
    let talkative = AgentOptions {
        arguments: vec!["--log-level".to_owned(), "holdfast_agent=debug".to_owned()],
        ..AgentOptions::default()
    };
    cluster.start_agent_with("b", &kubeconfig, None, &talkative)?;
    let meter = serve(&cluster)?;

    // While b hangs, a new API server takes over that remembers nothing of what was before it, and b's object is edited.
    let start = Instant::now();
    cluster.agent("b")?.process.freeze()?;
    cluster.plane.kill_api_server()?;
    cluster.plane.start_api_server()?;
    let mut edit = web();
    edit["spec"]["addresses"] = json!([{"address": "10.77.0.100/24"}, {"address": "10.77.0.101/24"}]);
    cluster.apply(&edit)?;
    cluster
        .console
        .wait_for_node("b", "b's object is written", SETTLED, |node| {
            node.spec.groups.iter().any(|group| group.addresses.len() == 2)
        })?;
    cluster.agent("b")?.process.thaw()?;
    let back = Instant::now();
    cluster.console.wait_until_ready("web", "a", 2 * SETTLED)?;
    println!("caught up {:?} after its thaw", back.elapsed());
    unnoticed(&meter, VIP, start);
    let told = cluster.console.node("b")?;
    let status = told.status.unwrap();
    assert_eq!(
        status.observed_generation, told.metadata.generation,
        "{status:#?}"
    );
    // It went on from where it had been, and was told that nobody remembers that.
    let log = cluster.agent("b")?.process.log()?;
    assert!(log.contains("watching: 410"), "{log}");
    Ok(())
}

/// Holdfast's accounts share what is left to a user called hog, which is nothing as long as a request of the hog's is under
/// way; and the making of a ConfigMap is under way for half a minute. What is too much is answered 429.
fn starved(slow: &str) -> String {
    format!(
        "
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: PriorityLevelConfiguration
metadata: {{name: starved}}
spec:
  type: Limited
  limited: {{nominalConcurrencyShares: 0, lendablePercent: 0, borrowingLimitPercent: 0, limitResponse: {{type: Reject}}}}
---
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: FlowSchema
metadata: {{name: starved}}
spec:
  matchingPrecedence: 2
  priorityLevelConfiguration: {{name: starved}}
  rules:
  - subjects:
    - {{kind: Group, group: {{name: 'system:serviceaccounts:holdfast-system'}}}}
    - {{kind: User, user: {{name: hog}}}}
    resourceRules: [{{verbs: ['*'], apiGroups: ['*'], resources: ['*'], namespaces: ['*'], clusterScope: true}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: hog}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: hog}}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {{name: slow}}
webhooks:
- name: slow.example.com
  clientConfig: {{url: 'https://{slow}/'}}
  rules: [{{apiGroups: [''], apiVersions: [v1], resources: [configmaps], operations: [CREATE]}}]
  timeoutSeconds: 30
  failurePolicy: Fail
  sideEffects: None
  admissionReviewVersions: [v1]
"
    )
}

fn throttled() -> Outcome {
    let (mut cluster, meter) = serving()?;
    let agent = cluster.plane.agent_kubeconfig("b")?;
    // Who is connected to it is never answered.
    let silent = cluster.client.netns().run(|| {
        TcpListener::bind("0.0.0.0:9443").map_err(|error| holdfast_lab::Error::Invalid(error.to_string()))
    })?;
    let address = SocketAddr::from((cluster.client.ipv4(), silent.local_addr()?.port()));
    cluster.plane.apply(&starved(&address.to_string()))?;
    let hog = cluster
        .plane
        .kubeconfig_for_user("hog", None)?
        .display()
        .to_string();
    let mut hog = cluster.plane.node().spawn(
        KUBECTL.find()?,
        &[
            "--kubeconfig",
            &hog,
            "create",
            "configmap",
            "slow",
            "-n",
            "default",
        ],
    )?;
    wait_until("the agents are throttled", SETTLED, || {
        let asked = cluster
            .plane
            .kubectl_as(&agent, &["get", "vipn", "b", "--request-timeout=1s"])?;
        Ok(!asked.status.success())
    })?;
    let start = Instant::now();
    cluster.agents.get_mut("a").unwrap().process.kill()?;
    meter.wait_for_answer(VIP, "b", PATIENCE)?;
    as_fast_as_ever(&meter, start);
    thread::sleep(Duration::from_secs(3));
    assert_eq!(
        conditions::active_node(&cluster.console.group("web")?),
        Some("a"),
        "nobody could say so yet"
    );

    hog.kill()?;
    let free = Instant::now();
    cluster
        .console
        .wait_for_group("web", "the status follows", 2 * SETTLED, |group| {
            conditions::active_node(group) == Some("b")
        })?;
    println!(
        "the status was right {:?} after the throttle's end",
        free.elapsed()
    );
    Ok(())
}

fn new_port() -> Outcome {
    let (mut cluster, meter) = serving()?;
    let start = Instant::now();
    cluster.plane.move_api_server(7443)?;
    cluster.console = Console::new(cluster.plane.node(), cluster.plane.admin_kubeconfig())?;
    // Whoever moves an API server restarts its clients.
    cluster.operators.clear();
    cluster.renew_operator_kubeconfig()?;
    cluster.start_operator(&OperatorOptions::default())?;
    cluster.agents.get_mut("b").unwrap().process.kill()?;
    cluster.start_agent("b")?;
    // To hand over, a needs somebody who hears it.
    look::wait_for_peer(cluster.agent("b")?, "web", PATIENCE)?;
    unnoticed(&meter, VIP, start);
    let stopped = cluster.agents.get_mut("a").unwrap().process.stop(PATIENCE)?;
    assert!(stopped.success(), "{stopped}");
    cluster.start_agent("a")?;
    cluster.console.wait_until_ready("web", "a", 2 * SETTLED)?;
    settle_on(&meter, &[VIP], "a")?;
    let report = meter.report_since(VIP, start);
    assert_eq!(
        report.held_by_nobody,
        Duration::ZERO,
        "handed over and taken back: {report:#?}"
    );
    Ok(())
}
