//! The ground that the other cluster tests stand on: a real API server that can be killed, moved, frozen and set back.

#![allow(clippy::unwrap_used, reason = "a test without libtest is a test all the same")]

use std::time::{Duration, Instant};

use holdfast_lab::{
    Lab,
    harness::{Case, Outcome, main as run},
    kubernetes::{AGENT_ACCOUNT, ControlPlane, NAMESPACE},
    wait_until,
};

fn main() -> std::process::ExitCode {
    run(&[
        Case::new("a_control_plane_can_be_broken_and_set_back", broken_and_set_back)
            .timeout(Duration::from_mins(2)),
    ])
}

fn broken_and_set_back() -> Outcome {
    let lab = Lab::new()?;
    let worker = lab.node("w1")?;
    let start = Instant::now();
    let mut cluster = ControlPlane::start(&lab)?;
    println!("a control plane is ready after {:?}", start.elapsed());

    cluster.install_crds()?;
    cluster.add_node(&worker, &[("role", "edge")])?;
    let node = cluster.get(&["node", "w1"])?;
    assert_eq!(node["metadata"]["labels"]["role"], "edge");
    assert_eq!(
        node["status"]["addresses"][0]["address"],
        worker.ipv4().to_string()
    );
    println!("CRDs and a Node after {:?}", start.elapsed());

    // A token as a kubelet gets it names the node, and is good from the node, over the lab's network.
    cluster.add_namespace(NAMESPACE)?;
    cluster.add_service_account(NAMESPACE, AGENT_ACCOUNT)?;
    let agent = cluster.agent_kubeconfig("w1")?;
    let who = cluster.kubectl_as(&agent, &["auth", "whoami", "-o", "json"])?;
    let who = String::from_utf8(who.stdout)?;
    assert!(
        who.contains("system:serviceaccount:holdfast-system:holdfast-agent"),
        "{who}"
    );
    let claim = serde_json::from_str::<serde_json::Value>(&who)?;
    assert_eq!(
        claim["status"]["userInfo"]["extra"]["authentication.kubernetes.io/node-name"][0], "w1",
        "{who}"
    );
    let denied = cluster.kubectl_as(&agent, &["delete", "node", "w1"])?;
    assert!(!denied.status.success());
    println!("a bound token after {:?}", start.elapsed());

    // What came after the snapshot is gone when it is restored.
    cluster.snapshot("before")?;
    cluster.add_namespace("later")?;
    cluster.restore("before")?;
    assert!(cluster.get(&["namespace", "later"]).is_err());
    assert_eq!(
        cluster.get(&["node", "w1"])?["metadata"]["labels"]["role"],
        "edge"
    );
    println!("restored after {:?}", start.elapsed());

    cluster.kill_api_server()?;
    assert!(cluster.kubectl(&["get", "nodes"]).is_err());
    println!("it is back {:?} after it was killed", cluster.start_api_server()?);
    cluster.kubectl(&["get", "nodes"])?;

    cluster.freeze_etcd()?;
    let hung = cluster.kubectl(&["get", "nodes", "--request-timeout=1s"]);
    cluster.thaw_etcd()?;
    assert!(hung.is_err(), "{hung:?}");
    wait_until("etcd is back", Duration::from_secs(30), || {
        Ok(cluster.kubectl(&["get", "nodes"]).is_ok())
    })?;

    cluster.move_api_server(7443)?;
    assert!(cluster.url().ends_with(":7443"));
    cluster.kubectl(&["get", "nodes"])?;
    println!("all of it took {:?}", start.elapsed());
    Ok(())
}
